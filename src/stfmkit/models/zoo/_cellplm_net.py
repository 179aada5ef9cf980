"""The network of CellPLM: linear attention over cells that conserves flow (Wu et al. 2022, ICML)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from stfmkit.models.zoo._encoder import check_heads

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
        query, key, value = (self._split(held) for held in (q, k, v))
        incoming = 1 / _flow(query, key.sum(dim=1))
        outgoing = 1 / _flow(key, query.sum(dim=1))
        sink = torch.sigmoid(_flow(query, _weighted(key, outgoing)))
        conserved = _flow(key, _weighted(query, incoming)).clamp_(-1, 1)
        source = torch.softmax(conserved, dim=1) * len(x)
        context = key.transpose(1, 2) @ value.mul_(source)
        share = incoming * sink
        mixed = (query @ context).mul_(share).transpose(0, 1).reshape(x.shape)
        return torch.cat([self.out_projection(part) for part in mixed.split(ROWS)])

    def _split(self, x: Tensor) -> Tensor:
        """Return (heads, n_cells, width / heads) of (n_cells, width), in place."""
        return x.view(len(x), self.heads, -1).transpose(0, 1)


def _flow(to: Tensor, total: Tensor) -> Tensor:
    """Return what every cell of `to` takes of a sum over cells (heads, n_cells, 1); every term is `EPS` above zero."""
    total = (total + EPS).unsqueeze(-1)
    return to @ total + EPS * total.sum(dim=1, keepdim=True)


def _weighted(x: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted sum over cells (heads, d)."""
    return (weights.transpose(1, 2) @ x).squeeze(1)


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
