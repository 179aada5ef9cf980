"""The network of TranscriptFormer: causal attention with a bias of counts and capped scores."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from stfmkit.models.nets.encoder import check_heads

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "gelu": functional.gelu,
    "silu": functional.silu,
}
_QUERIES = 128
"""Queries whose scores are held at once; earlier ones see fewer keys."""


class CausalAttention(nn.Module):
    """Attention to earlier tokens: scores of q·k plus a bias of the key, capped by a scaled tanh.

    Parameters
    ----------
    width
        Width of a state.
    heads
        Number of heads.
    softcap
        Limit of a score; 0 for none.
    bias
        Whether the projections have a bias.
    """

    def __init__(self, width: int, heads: int, *, softcap: float, bias: bool) -> None:
        super().__init__()
        check_heads(width, heads)
        self.heads, self.softcap = heads, softcap
        self.linears = nn.ModuleList(nn.Linear(width, width, bias=bias) for _ in range(4))

    def forward(self, x: Tensor, *, keep: Tensor, bias: Tensor) -> Tensor:
        """Return (b, t, width); `keep` (b, t) is True for keys that count, `bias` (b, t) is added to their scores."""
        b, t, width = x.shape
        q, k, v = (self.linears[i](x).view(b, t, self.heads, -1).transpose(1, 2) for i in range(3))
        q = q / math.sqrt(width // self.heads)
        places = torch.arange(t, device=x.device)
        parts = []
        for start in range(0, t, _QUERIES):
            stop = min(start + _QUERIES, t)
            scores = q[:, :, start:stop] @ k[:, :, :stop].transpose(2, 3) + bias[:, None, None, :stop]
            if self.softcap > 0:
                scores = self.softcap * torch.tanh(scores / self.softcap)
            own = places[start:stop, None] == places[None, :stop]
            earlier = places[start:stop, None] >= places[None, :stop]
            # a token that does not count still sees itself: its state is used nowhere, and is never NaN
            allowed = (earlier & keep[:, None, None, :stop]) | own
            parts.append(scores.masked_fill(~allowed, float("-inf")).softmax(dim=3) @ v[:, :, :stop])
        out: Tensor = self.linears[3](torch.cat(parts, dim=2).transpose(1, 2).reshape(b, t, width))
        return out


class CausalLayer(nn.Module):
    """Attention and feed-forward, each added to its normalised input."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width, hidden = config["embed_dim"], config["model_dim"]
        self.self_attn = CausalAttention(
            width, config["num_heads"], softcap=config["softcap"], bias=config["attn_bias"]
        )
        self.linear1 = nn.Linear(width, hidden, bias=config["fw_bias"])
        self.linear2 = nn.Linear(hidden, width, bias=config["fw_bias"])
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.activation = ACTIVATIONS[config["activation"]]

    def forward(self, x: Tensor, *, keep: Tensor, bias: Tensor) -> Tensor:
        """Return (b, t, width)."""
        x = self.norm1(x)
        x = self.norm2(self.self_attn(x, keep=keep, bias=bias) + x)
        out: Tensor = self.linear2(self.activation(self.linear1(x))) + x
        return out


class _TwoLayers(nn.Module):
    def __init__(self, gene_dim: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(gene_dim, width), nn.ReLU(), nn.LayerNorm(width), nn.Dropout(), nn.Linear(width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return out


class _Stack(nn.Module):
    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.encoder_layers = nn.ModuleList(CausalLayer(config) for _ in range(config["num_layers"]))


class GeneVectors(nn.Module):
    """Protein vectors of genes, and two layers that bring them to the width of the network."""

    def __init__(self, n_tokens: int, gene_dim: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, gene_dim)
        self.mlp = _TwoLayers(gene_dim, width)

    def forward(self, ids: Tensor) -> Tensor:
        """Return (b, t, width); every gene of the batch is computed once."""
        unique, place = torch.unique(ids, return_inverse=True)
        out: Tensor = self.mlp(self.embedding(unique))[place]
        return out


class TranscriptFormerNet(nn.Module):
    """Vectors of genes after one of the assay, and causal layers.

    Parameters
    ----------
    config
        Sizes of the publication, and ``n_tokens``, ``gene_dim``, ``n_assays``.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width = config["embed_dim"]
        self.gene_embeddings = GeneVectors(config["n_tokens"], config["gene_dim"], width)
        self.aux_embeddings = nn.ModuleDict({"assay": nn.Embedding(config["n_assays"], width)})
        self.transformer_encoder = _Stack(config)
        self.eps, self.seq_len = config["log_counts_eps"], config["seq_len"]

    def states(self, batch: Mapping[str, Tensor], *, start: int, unknown: int) -> list[Tensor]:
        """Return the input and the states after every layer (b, 1 + t, width); the first token is the assay.

        Genes are shifted by one place behind the token `start`, so that a state has seen all genes before its own.
        """
        ids, keep, counts, assay = batch["ids"], batch["keep"], batch["values"], batch["assay"]
        first = ids.new_full((len(ids), 1), start)
        ones = torch.ones_like(counts[:, :1])
        shifted = torch.cat([first, ids], dim=1)[:, : self.seq_len]
        keep = torch.cat([(assay != unknown)[:, None], ones.bool(), keep], dim=1)[:, : self.seq_len + 1]
        counts = torch.cat([ones, ones, counts], dim=1)[:, : self.seq_len + 1]
        bias = torch.log1p(counts + self.eps)
        states = [torch.cat([self.aux_embeddings["assay"](assay)[:, None], self.gene_embeddings(shifted)], dim=1)]
        for layer in self.transformer_encoder.encoder_layers:
            states.append(layer(states[-1], keep=keep, bias=bias))
        return states
