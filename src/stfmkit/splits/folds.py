"""Folds of a split, as row numbers."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

Folds: TypeAlias = list[tuple[np.ndarray, np.ndarray]]
"""(fit, check) row numbers."""


@dataclass(frozen=True, eq=False)
class Fold:
    """Training and test rows of one fold.

    Attributes
    ----------
    number
        Counts from 0.
    train
        Rows that may be fitted on.
    test
        Rows that are predicted. Rows in neither lie in a buffer.
    train_groups
        The group (patient, slide, block …) of every training row, for inner folds that keep groups whole.
    """

    number: int
    train: np.ndarray
    test: np.ndarray
    train_groups: np.ndarray


def deal_groups(groups: np.ndarray, n_folds: int, rng: np.random.Generator | None) -> np.ndarray:
    """Return the fold of every row (n_obs,): whole groups, large ones first, each to the fold with the fewest rows.

    Groups of one size come in a random order, or sorted without `rng`, for scores that have no seed.
    """
    names, codes, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    shuffled = np.arange(len(names)) if rng is None else rng.permutation(len(names))
    load, fold_of = np.zeros(n_folds, dtype=np.int64), np.empty(len(names), dtype=np.int64)
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        fold_of[group] = np.argmin(load)
        load[fold_of[group]] += sizes[group]
    return fold_of[codes.ravel()]


def inner_folds(groups: np.ndarray, n_folds: int, rng: np.random.Generator) -> Folds:
    """Return (fit, check) row numbers of inner folds that keep groups whole; none where there is one group."""
    n = min(n_folds, len(np.unique(groups)))
    if n < 2:
        return []
    row = deal_groups(groups, n, rng)
    return [(np.flatnonzero(row != k), np.flatnonzero(row == k)) for k in range(n)]
