"""Exact sums by integer key over a stream of chunks."""

import numpy as np


class Tally:
    """Sums of integer weights by key, filled chunk by chunk; the result does not depend on the chunks.

    Parameters
    ----------
    width
        Number of weights of every key; 0 counts occurrences.
    """

    def __init__(self, width: int = 0) -> None:
        self._width = width
        self._keys = np.empty(0, dtype=np.int64)
        self._sums = np.empty((0, max(width, 1)), dtype=np.int64)
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []
        self._waiting_size = 0

    def add(self, keys: np.ndarray, *weights: np.ndarray) -> None:
        """Add one chunk: keys (n,) and, for each weight, integers (n,)."""
        if not len(keys):
            return
        if self._width:
            part = _sum_sorted(keys, np.column_stack(weights))
        else:
            ordered = np.sort(keys)
            starts = _run_starts(ordered)
            part = ordered[starts], np.diff(starts, append=len(ordered))[:, None]
        self._waiting.append(part)
        self._waiting_size += len(part[0])
        if self._waiting_size > max(len(self._keys), 1 << 20):  # merge seldom: the cost stays linear
            self._merge()

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the keys (k,) in ascending order and their sums, (k,) or (k, width)."""
        self._merge()
        return self._keys, self._sums if self._width else self._sums[:, 0]

    def _merge(self) -> None:
        if self._waiting:
            keys, sums = zip((self._keys, self._sums), *self._waiting, strict=True)
            self._keys, self._sums = _sum_sorted(np.concatenate(keys), np.concatenate(sums))
            self._waiting, self._waiting_size = [], 0


def _run_starts(ordered: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))


def _sum_sorted(keys: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = _run_starts(ordered)
    return ordered[starts], np.add.reduceat(weights[order].astype(np.int64), starts, axis=0)
