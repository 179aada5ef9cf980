"""Tokens of many observations, one after the other, and padded batches of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Tokens:
    """Ragged tokens.

    Attributes
    ----------
    indptr
        Limits of the observations (n_obs + 1,).
    ids
        Tokens (n_tokens,).
    values
        A number beside every token (n_tokens,), or None.
    rows
        Further arrays by name, one row per observation.
    """

    indptr: np.ndarray
    ids: np.ndarray
    values: np.ndarray | None = None
    rows: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def n_obs(self) -> int:
        """Number of observations."""
        return len(self.indptr) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Number of tokens of every observation (n_obs,)."""
        return np.diff(self.indptr)

    def take(self, rows: np.ndarray) -> Self:
        """Return the tokens of some observations."""
        lengths = self.lengths[rows]
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        where = np.repeat(self.indptr[rows] - indptr[:-1], lengths) + np.arange(indptr[-1])
        return type(self)(
            indptr,
            self.ids[where],
            None if self.values is None else self.values[where],
            {name: values[rows] for name, values in self.rows.items()},
        )

    def framed(self, *, first: tuple[int, float] | None = None, last: tuple[int, float] | None = None) -> Self:
        """Return the tokens with a (token, value) before and after those of every observation."""
        more = (first is not None) + (last is not None)
        indptr = self.indptr + more * np.arange(self.n_obs + 1)
        where = np.arange(len(self.ids)) + np.repeat(more * np.arange(self.n_obs) + (first is not None), self.lengths)

        def spread(held: np.ndarray, part: int) -> np.ndarray:
            out = np.empty(indptr[-1], dtype=held.dtype)
            out[where] = held
            if first is not None:
                out[indptr[:-1]] = first[part]
            if last is not None:
                out[indptr[1:] - 1] = last[part]
            return out

        values = None if self.values is None else spread(self.values, 1)
        return type(self)(indptr, spread(self.ids, 0), values, self.rows)


def batches(lengths: np.ndarray, *, batch_size: int | None, most_tokens: int) -> Iterator[np.ndarray]:
    """Yield the rows of one batch after the other: alike in length, longest first, in a fixed order.

    Where `batch_size` is None, a batch has as many rows as hold `most_tokens` with their padding, and at least one.
    """
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        longest = max(int(lengths[order[start]]), 1)
        size = max(1, most_tokens // longest) if batch_size is None else batch_size
        yield order[start : start + size]
        start += size


def collate(tokens: Tokens, *, pad_id: int, pad_value: float = 0.0, length: int | None = None) -> dict[str, "Tensor"]:
    """Return padded tensors: ``ids`` (n_obs, t), ``keep`` (n_obs, t; True for tokens), ``values`` and the rows.

    `t` is `length`, or that of the longest observation.
    """
    import torch

    width = int(tokens.lengths.max(initial=1)) if length is None else length
    keep = np.arange(width)[None, :] < tokens.lengths[:, None]
    ids = np.full(keep.shape, pad_id, dtype=np.int64)
    ids[keep] = tokens.ids
    batch = {"ids": torch.from_numpy(ids), "keep": torch.from_numpy(keep)}
    if tokens.values is not None:
        values = np.full(keep.shape, pad_value, dtype=np.float32)
        values[keep] = tokens.values
        batch["values"] = torch.from_numpy(values)
    for name, rows in tokens.rows.items():
        batch[name] = torch.from_numpy(np.ascontiguousarray(rows))
    return batch
