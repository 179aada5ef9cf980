"""The layers of stFormer: self-attention, attention to the niche, feed-forward."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from stfmkit.models.nets.autobin import AutoBin
from stfmkit.models.nets.encoder import SelfAttention, attention_mask


class CrossAttention(nn.Module):
    """Attention from the genes of a cell to a memory, with a number added to every score of an observation."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.Wq, self.Wkv, self.out_proj = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        """Return (b, t, width); `mask` (b, 1, 1, s) is added to the scores."""
        b, t, width = x.shape
        q = self.Wq(x).view(b, t, self.heads, -1).transpose(1, 2)
        k, v = self.Wkv(memory).view(b, memory.shape[1], 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).reshape(b, t, width))
        return out


class DecoderLayer(nn.Module):
    """Attention within a cell, attention to its niche, feed-forward; each added and normalised after."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.self_attn, self.cross_attn = SelfAttention(width, heads), CrossAttention(width, heads)
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor, keep: Tensor | None, *, memory: Tensor, bias: Tensor, heard: Tensor) -> Tensor:
        """Return (b, t, width); observations that are not `heard` (b, 1, 1) get nothing from the memory."""
        x = self.norm1(x + self.self_attn(x, keep))
        x = self.norm2(x + self.cross_attn(x, memory, bias) * heard)
        out: Tensor = self.norm3(x + self.linear2(functional.relu(self.linear1(x))))
        return out


class StFormerModule(nn.Module):
    """Two tables of genes and values, one for the cell and one for its niche, and the layers."""

    def __init__(
        self, *, n_rows: int, width: int, heads: int, hidden: int, n_layers: int, n_bins: int, alpha: float
    ) -> None:
        super().__init__()
        self.niche_value, self.value = (AutoBin(width, n_bins=n_bins, alpha=alpha) for _ in range(2))
        self.niche_gene, self.gene = nn.Embedding(n_rows, width), nn.Embedding(n_rows, width)
        self.layers = nn.ModuleList(DecoderLayer(width, heads, hidden) for _ in range(n_layers))

    def states(self, batch: Mapping[str, Tensor]) -> tuple[list[Tensor], Tensor]:
        """Return the states of the cell's genes before the first and after every layer, and which are real (b, t)."""
        ids, values, n_center = batch["ids"], batch["values"], batch["n_center"]
        step = torch.arange(ids.shape[1], device=ids.device)[None, :]
        t, s = int(n_center.max()), max(int((batch["keep"].sum(dim=1) - n_center).max()), 1)
        keep = step[:, :t] < n_center[:, None]
        where = n_center[:, None] + step[:, :s]
        there = where < batch["keep"].sum(dim=1)[:, None]
        where = where.clamp(max=ids.shape[1] - 1)
        memory = self.niche_gene(ids.gather(1, where)) + self.niche_value(values.gather(1, where))
        states = [self.gene(ids[:, :t]) + self.value(values[:, :t])]
        heard = there.any(dim=1)
        bias = _shares(batch, step[:, :s]).masked_fill(~there & heard[:, None], float("-inf"))
        bias = bias[:, None, None, :].to(memory.dtype)
        mask = attention_mask(states[0], keep=keep, bias=None)
        for layer in self.layers:
            states.append(layer(states[-1], mask, memory=memory, bias=bias, heard=heard[:, None, None]))
        return states, keep


def _shares(batch: Mapping[str, Tensor], step: Tensor) -> Tensor:
    """Return the log of the share of the member to which every ligand belongs (b, s)."""
    held, s = batch["log_share"], step.shape[1]
    if held.ndim == 1:
        return held[:, None].expand(-1, s)
    which = torch.searchsorted(batch["until"], step.expand(len(held), -1).contiguous(), right=True)
    return held.gather(1, which.clamp(max=held.shape[1] - 1))
