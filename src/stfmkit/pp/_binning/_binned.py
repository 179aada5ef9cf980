"""Counts by spot, before they become a table."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from stfmkit.pp._binning._spots import Spots
from stfmkit.pp._binning._tissue_mask import Mask


@dataclass(frozen=True, eq=False)
class Sample:
    """One sample: its spots, its mask, and the number of its first spot."""

    name: str
    spots: Spots
    mask: Mask
    base: int


@dataclass(frozen=True, eq=False)
class Binned:
    """What was counted in the spots that hold something.

    Attributes
    ----------
    samples
        In the order of their spots.
    numbers
        Numbers of the spots (n,), ascending.
    counts
        Counts (n, genes).
    genes
        Names of the columns, sorted.
    is_control
        Which columns are controls, or ``None`` where there are none.
    n_control
        Controls in every spot (n,).
    n_cells
        Cells in every spot (n,), or ``None``.
    unassigned
        Molecules of every spot (n,) without a cell, or ``None``.
    shares
        For every carried column its levels, sorted, and their counts (n, levels).
    molecules
        How many were read and left out, and why.
    qv
        The column of quality values, "absent" or "not used".
    """

    samples: list[Sample]
    numbers: np.ndarray
    counts: sparse.csr_array
    genes: list[str]
    is_control: np.ndarray | None
    n_control: np.ndarray
    n_cells: np.ndarray | None
    unassigned: np.ndarray | None
    shares: dict[str, tuple[list[str], sparse.csr_array]]
    molecules: dict[str, int]
    qv: str
