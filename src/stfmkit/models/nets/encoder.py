"""The transformer that most models share: post-norm layers, attention without materialised scores."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from stfmkit._core.errors import InputError

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": torch.relu_, "gelu": functional.gelu}
"""What is applied to a hidden state that nothing else reads."""


def check_heads(width: int, heads: int) -> None:
    """Refuse a width that the heads cannot share."""
    if heads < 1 or width % heads or width < heads:
        raise InputError(
            f"a width of {width} for {heads} attention heads.",
            allowed="a width that is a multiple of the number of heads",
            remedy="change config=, or pass the config that belongs to the checkpoint.",
        )


class SelfAttention(nn.Module):
    """Multi-head attention with the parameter names of ``torch.nn.MultiheadAttention``.

    Parameters
    ----------
    width
        Width of a state.
    heads
        Number of heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        check_heads(width, heads)
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None, *, queries: int | None = None) -> Tensor:
        """Return (b, t, width), or only the first `queries` of the t.

        `mask` is boolean (True attends) or additive, broadcast to (b, heads, t, keys); tokens after the last key of it
        are not attended to.
        """
        b, t, width = x.shape
        keys, asked = t if mask is None else mask.shape[-1], t if queries is None else queries
        if keys == t == asked:
            qkv = functional.linear(x, self.in_proj_weight, self.in_proj_bias)
            q, k, v = qkv.view(b, t, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        else:
            weight, bias = self.in_proj_weight, self.in_proj_bias
            q = (
                functional.linear(x[:, :asked], weight[:width], bias[:width])
                .view(b, asked, self.heads, -1)
                .transpose(1, 2)
            )
            kv = functional.linear(x[:, :keys], weight[width:], bias[width:])
            k, v = kv.view(b, keys, 2, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        if mask is not None and mask.shape[-2] > 1:
            mask = mask[..., :asked, :]
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).reshape(b, asked, width))
        return out


class EncoderLayer(nn.Module):
    """Attention and feed-forward, each added to its input and normalised after.

    Parameters
    ----------
    width
        Width of a state.
    heads
        Number of heads.
    hidden
        Width of the feed-forward layer.
    activation
        "relu" or "gelu".
    eps
        Of the layer norms.
    """

    def __init__(self, width: int, heads: int, hidden: int, *, activation: str = "relu", eps: float = 1e-5) -> None:
        super().__init__()
        self.self_attn = SelfAttention(width, heads)
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=eps), nn.LayerNorm(width, eps=eps)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Tensor, mask: Tensor | None, *, queries: int | None = None) -> Tensor:
        """Return (b, t, width), or only the first `queries` of the t."""
        x = self.norm1(x[:, :queries] + self.self_attn(x, mask, queries=queries))
        out: Tensor = self.norm2(x + self.linear2(self.activation(self.linear1(x))))
        return out


class Encoder(nn.Module):
    """A stack of post-norm layers.

    Parameters
    ----------
    n_layers
        Number of layers.
    width
        Width of a state.
    heads
        Number of heads.
    hidden
        Width of the feed-forward layers.
    activation
        "relu" or "gelu".
    eps
        Of the layer norms.
    """

    def __init__(
        self, n_layers: int, width: int, heads: int, hidden: int, *, activation: str = "relu", eps: float = 1e-5
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            EncoderLayer(width, heads, hidden, activation=activation, eps=eps) for _ in range(n_layers)
        )

    def forward(
        self,
        x: Tensor,
        *,
        keep: Tensor | None = None,
        bias: Tensor | None = None,
        layers: int | None = None,
        queries: int | None = None,
    ) -> Tensor:
        """Return the states (b, t, width) after a number of layers.

        Parameters
        ----------
        x
            Input (b, t, width).
        keep
            True for real tokens (b, t); others are not attended to.
        bias
            Added to the scores, broadcast to (b, heads, t, t).
        layers
            How many layers to apply; all by default.
        queries
            How many of the first states are wanted; the last layer computes no others. All by default.
        """
        mask = _trimmed(attention_mask(x, keep=keep, bias=bias))
        wanted = list(self.layers[:layers])
        for layer in wanted[:-1]:
            x = layer(x, mask)
        for layer in wanted[-1:]:
            x = layer(x, mask, queries=queries)
        return x[:, :queries]

    def states(
        self, x: Tensor, *, keep: Tensor | None = None, bias: Tensor | None = None, layers: int | None = None
    ) -> list[Tensor]:
        """Return the input and the states after every layer, up to a number of layers."""
        mask = _trimmed(attention_mask(x, keep=keep, bias=bias))
        states = [x]
        for layer in self.layers[:layers]:
            states.append(layer(states[-1], mask))
        return states


def attention_mask(x: Tensor, *, keep: Tensor | None, bias: Tensor | None) -> Tensor | None:
    """Return what attention adds to or takes out of its scores, None where nothing.

    An observation without a token attends to its padding, so that no state becomes NaN.
    """
    if keep is None:
        return bias
    empty = ~keep.any(dim=1, keepdim=True)
    allowed = (keep | empty)[:, None, None, :]
    if bias is None:
        return None if bool(allowed.all()) else allowed
    return bias.to(x.dtype).masked_fill(~allowed, float("-inf"))


def _trimmed(mask: Tensor | None) -> Tensor | None:
    """Return a boolean mask without the last keys that nothing attends to."""
    if mask is None or mask.dtype != torch.bool:
        return mask
    seen = mask.any(dim=0).flatten(0, -2).any(dim=0).nonzero()
    return mask[..., : int(seen.max()) + 1]
