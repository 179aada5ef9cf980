"""The network of CellPLM: linear attention over cells that conserves flow (Wu et al. 2022, ICML)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from stfmkit.models.nets.encoder import check_heads

EPS = 1e-6
N_GROUPS = 4
CLUSTER_HIDDEN = 512
ROWS = 1024
"""Cells that a step which treats every cell alone takes at once, so that they stay in the cache."""


def _norm(kind: str, width: int) -> nn.Module:
    return nn.GroupNorm(N_GROUPS, width) if kind == "groupnorm" else nn.LayerNorm(width)


class FlowAttention(nn.Module):
    """Attention whose cost grows with the number of cells, not with its square."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        check_heads(width, heads)
        self.heads = heads
        self.query_projection, self.key_projection = nn.Linear(width, width), nn.Linear(width, width)
        self.value_projection, self.out_projection = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor, norm: nn.Module) -> Tensor:
        """Return (n_cells, width) of (n_cells, width), which is normalised first."""
        q, k, v = (torch.empty_like(x) for _ in range(3))
        for start in range(0, len(x), ROWS):
            rows = slice(start, start + ROWS)
            part = norm(x[rows])
            q[rows] = self.query_projection(part).sigmoid_()
            k[rows] = self.key_projection(part).sigmoid_()
            v[rows] = self.value_projection(part)
        incoming = 1 / self._flow(q, k.sum(dim=0))
        outgoing = 1 / self._flow(k, q.sum(dim=0))
        sink = torch.sigmoid(self._flow(q, self._weighted(k, outgoing)))
        conserved = self._flow(k, self._weighted(q, incoming)).clamp_(-1, 1)
        source = torch.softmax(conserved, dim=0) * len(x)
        query, key, value = (self._split(held) for held in (q, k, v))
        context = key.transpose(1, 2) @ value.mul_(source.T.unsqueeze(-1))
        mixed = (query @ context).mul_((incoming * sink).T.unsqueeze(-1)).transpose(0, 1).reshape(x.shape)
        return torch.cat([self.out_projection(part) for part in mixed.split(ROWS)])

    def _split(self, x: Tensor) -> Tensor:
        """Return (heads, n_cells, width / heads) of (n_cells, width), in place."""
        return x.view(len(x), self.heads, -1).transpose(0, 1)

    def _flow(self, to: Tensor, total: Tensor) -> Tensor:
        """Return what every cell takes of a sum over cells (n_cells, heads); both have `EPS` added.

        Parameters
        ----------
        to
            A vector of every cell (n_cells, width).
        total
            The sum (width,).
        """
        parts = torch.block_diag(*(total + EPS).view(self.heads, -1, 1))  # one product for all heads
        return torch.addmm(EPS * parts.sum(dim=0), to, parts)

    def _weighted(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the sum over cells (width,) of (n_cells, width) with weights (n_cells, heads)."""
        sums = (weights.T @ x).view(self.heads, self.heads, -1)
        return sums.diagonal().T.reshape(-1)


class FlowLayer(nn.Module):
    """Attention and feed-forward, each after its norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.self_attn = FlowAttention(width, heads)
        self._ff_block = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Identity(), nn.Linear(2 * width, width)
        )
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n_cells, width)."""
        x = x + self.self_attn(x, self.norm1)
        return torch.cat([part + self._ff_block(self.norm2(part)) for part in x.split(ROWS)])


class Embedder(nn.Module):
    """Sum of the vectors of the genes, each times its value, through one layer."""

    def __init__(self, n_genes: int, width: int, norm: str) -> None:
        super().__init__()
        self.feat_enc = nn.Module()
        self.feat_enc.emb = nn.Parameter(torch.empty(n_genes, width))
        self.extra_linear = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Identity(), _norm(norm, width))

    def forward(self, ids: Tensor, values: Tensor, offsets: Tensor) -> Tensor:
        """Return (n_cells, width)."""
        table: Tensor = self.feat_enc.emb  # type: ignore[assignment]
        summed = functional.embedding_bag(ids, table, offsets, mode="sum", per_sample_weights=values)
        out: Tensor = self.extra_linear(summed)
        return out


class MixtureLatent(nn.Module):
    """Latent mean given the cluster of a cell, which is drawn by the Gumbel-max trick."""

    def __init__(self, width: int, latent: int, n_clusters: int) -> None:
        super().__init__()
        cluster = nn.Module()
        cluster.logits = nn.Linear(width, n_clusters)
        gaussian = nn.Module()
        gaussian.mu = nn.Linear(CLUSTER_HIDDEN, latent)
        self.inference = nn.Module()
        self.inference.inference_qyx = nn.ModuleList([cluster])
        self.inference.inference_qzyx = nn.ModuleList(
            [nn.Linear(width + n_clusters, CLUSTER_HIDDEN), nn.ReLU(), gaussian]
        )

    def forward(self, h: Tensor, uniform: Tensor) -> Tensor:
        """Return (n_cells, latent) for uniform numbers (n_cells, n_clusters)."""
        parts: Any = self.inference
        logits = parts.inference_qyx[0].logits(h)
        tiny = 1e-20
        gumbel = -torch.log(-torch.log(uniform + tiny) + tiny)
        cluster = functional.one_hot((logits + gumbel).argmax(dim=1), num_classes=logits.shape[1]).to(h.dtype)
        linear, relu, gaussian = parts.inference_qzyx
        out: Tensor = gaussian.mu(relu(linear(torch.cat([h, cluster], dim=1))))
        return out


class MeanLatent(nn.Module):
    """Latent mean."""

    def __init__(self, width: int, latent: int) -> None:
        super().__init__()
        self.hid_2mu = nn.Linear(width, latent)

    def forward(self, h: Tensor, uniform: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Return (n_cells, latent)."""
        out: Tensor = self.hid_2mu(h)
        return out


class CellPLMModule(nn.Module):
    """Embedder, layers over cells, norm, latent."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width, latent = config["enc_hid"], config["post_latent_dim"]
        self.embedder = Embedder(config["n_tokens"], width, config["norm"])
        self.encoder = nn.Module()
        self.encoder.layers = nn.ModuleList(FlowLayer(width, config["enc_head"]) for _ in range(config["enc_layers"]))
        self.pre_latent_norm = nn.Module()
        self.pre_latent_norm.norm = nn.LayerNorm(width)
        mixture = config["latent_mod"] == "gmvae"
        last = MixtureLatent(width, latent, config["num_clusters"]) if mixture else MeanLatent(width, latent)
        self.latent = nn.Module()
        self.latent.layers = nn.ModuleList([nn.Identity(), last])

    def states(self, batch: Mapping[str, Tensor]) -> list[Tensor]:
        """Return the states of the cells before the first and after every layer."""
        states = [self.embedder(batch["ids"], batch["values"], batch["offsets"])]
        for layer in self.encoder.layers:  # type: ignore[union-attr]
            states.append(layer(states[-1]))
        return states

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return (n_cells, latent)."""
        norm: Any = self.pre_latent_norm.norm
        latent: Any = self.latent.layers
        x = self.embedder(batch["ids"], batch["values"], batch["offsets"])
        for layer in self.encoder.layers:  # type: ignore[union-attr]
            x = layer(x)
        out: Tensor = latent[1](norm(x), batch.get("uniform"))
        return out
