"""What one call of `bin` asks for, and what is counted where: the spots of every sample and grid, and their numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from stfmkit._core.arguments import check_fraction, check_integer, check_positive, listed
from stfmkit._core.errors import InputError
from stfmkit._kernels._counts import BITS
from stfmkit._kernels._runs import Grouping
from stfmkit.pp._binning.extents import Box, Extent
from stfmkit.pp._binning.mask import Mask, check_mask, sample_mask
from stfmkit.pp._binning.spots import LatticeSpots, Spots, spots_for
from stfmkit.pp._grids import Grid, SquareGrid

OBS_COLUMNS = (
    "array_row",
    "array_col",
    "total_counts",
    "n_genes",
    "n_control",
    "control_rate",
    "frac_inside",
    "border",
    "n_cells",
    "frac_unassigned",
)
"""Columns of ``obs`` that `bin` writes."""


@dataclass(frozen=True, eq=False)
class BinSettings:
    """Arguments of `bin` that hold for all grids and do not depend on where molecules come from.

    Raises
    ------
    InputError
        An argument cannot be used.
    """

    sample_key: str | None = None
    spatial_key: str = "spatial"
    microns_per_unit: float | None = None
    min_qv: float | None = 20
    drop_controls: bool = True
    mask: Any = "computed"
    min_inside: float = 0.5
    carry: tuple[str, ...] = ()
    chunk_size: int = 1 << 20
    show_progress: bool = True

    def __post_init__(self) -> None:
        if self.min_qv is not None and (isinstance(self.min_qv, str) or not self.min_qv >= 0):
            raise InputError(f"min_qv={self.min_qv!r}.", allowed="a number ≥ 0, or None", remedy="20 is usual.")
        check_fraction(self.min_inside, name="min_inside")
        check_integer(self.chunk_size, name="chunk_size", least=1)
        check_mask(self.mask)
        if self.microns_per_unit is not None:
            check_positive(self.microns_per_unit, name="microns_per_unit")
        taken = [k for k in self.carry if k in OBS_COLUMNS or k == self.sample_key]
        if taken or len(set(self.carry)) < len(self.carry):
            raise InputError(
                f"carry={list(self.carry)}.",
                allowed=f"different columns, none of {listed(OBS_COLUMNS)}, and not the sample_key",
                remedy="rename or leave out the column.",
            )

    @property
    def for_spots(self) -> dict[str, Any]:
        """What the spots of a sample depend on beside its grid."""
        return {"sample_key": self.sample_key, "microns_per_unit": self.microns_per_unit}


@dataclass(frozen=True, eq=False)
class Sample:
    """One sample in one grid: its spots, its mask, and the number of its first spot."""

    name: str
    spots: Spots
    mask: Mask
    base: int


@dataclass(frozen=True, eq=False)
class Plan:
    """The spots of every sample and grid.

    Attributes
    ----------
    settings
        What holds for all grids.
    grids
        What is counted in.
    masks
        The tissue of every sample, in the order of their names.
    boxes
        The box of every sample.
    samples
        For every grid the samples by name.
    sizes
        For every grid the number of spots that can be numbered.
    summed_from
        For every grid the index of the grid whose squares it is made of, None where molecules are counted.
    check_overlap
        Whether groups of molecules that may be samples are to be checked for lying upon each other.
    """

    settings: BinSettings
    grids: tuple[Grid, ...]
    masks: dict[str, Mask]
    boxes: dict[str, Box]
    samples: list[dict[str, Sample]]
    sizes: list[int]
    summed_from: list[int | None]
    check_overlap: bool


def make_plan(
    settings: BinSettings, grids: tuple[Grid, ...], extents: Mapping[str, Extent], *, check_overlap: bool
) -> Plan:
    """Lay the grids over the extents of the samples.

    Raises
    ------
    InputError
        They have too many spots, or a mask is missing.
    """
    extents = dict(sorted(extents.items()))
    boxes = {name: extent.box for name, extent in extents.items()}
    masks = {name: sample_mask(settings.mask, name, box) for name, box in boxes.items()}
    samples, sizes = [], []
    for grid in grids:
        base, by_name = 0, {}
        for name, extent in extents.items():
            centroid = extent.centroid if grid.origin == "centroid" else (0.0, 0.0)
            spots = spots_for(grid, name, box=extent.box, centroid=centroid, **settings.for_spots)
            by_name[name] = Sample(name, spots, masks[name], base)
            base += spots.size
        check_size(base, grid)
        samples.append(by_name)
        sizes.append(base)
    return Plan(settings, grids, masks, boxes, samples, sizes, _summed_from(grids), check_overlap)


def _summed_from(grids: tuple[Grid, ...]) -> list[int | None]:
    """Find squares that are made of whole squares of another grid: exactly, not only up to rounding."""
    sides = [Fraction(float(grid.pitch)) for grid in grids]

    def divides(a: int, b: int) -> bool:
        coarse, fine = grids[a], grids[b]
        both_squares = isinstance(coarse, SquareGrid) and isinstance(fine, SquareGrid)
        if not both_squares or (coarse.origin, coarse.angle) != (fine.origin, fine.angle):
            return False
        return (sides[a] / sides[b]).denominator == 1 and sides[a] > sides[b]

    order = range(len(grids))
    counted = [not any(divides(a, b) for b in order) for a in order]
    return [
        None if counted[a] else max((b for b in order if divides(a, b) and counted[b]), key=sides.__getitem__)
        for a in order
    ]


def squares_of(plan: Plan, i: int, j: int) -> Grouping:
    """Return how squares of the grid j make up those of the grid i."""
    m = round(plan.grids[i].pitch / plan.grids[j].pitch)
    fine, coarse = (
        [(s.base, s.spots.index_range) for s in plan.samples[k].values() if isinstance(s.spots, LatticeSpots)]
        for k in (j, i)
    )
    bases = np.array([base for base, _ in fine])
    cuts = []
    for base, (row0, _, rows, cols) in fine:
        starts = np.arange(-row0 % m, rows, m)  # where a coarse row begins
        cuts.append(base + np.append(0, starts * cols))

    def rows_of(numbers: np.ndarray) -> np.ndarray:
        out = np.empty_like(numbers)
        of = np.searchsorted(bases, numbers, side="right") - 1
        for s in np.unique(of).tolist():
            here = of == s
            base, (row0, col0, _, cols) = fine[s]
            at = numbers[here] - base
            row, col = (at // cols + row0) // m, (at % cols + col0) // m
            start, (first_row, first_col, _, width) = coarse[s]
            out[here] = start + (row - first_row) * width + col - first_col
        return out

    return Grouping(rows_of, np.unique(np.concatenate(cuts)))


def check_size(n_spots: int, grid: Grid) -> None:
    """Refuse a grid whose spots cannot be numbered."""
    if n_spots >= 2 ** (62 - BITS):
        raise InputError(
            f"a grid of {n_spots:.3g} spots with a pitch of {grid.pitch:g} µm.",
            allowed=f"fewer than {2 ** (62 - BITS):.2g} spots",
            remedy="check the pitch and microns_per_unit, and positions far away from the rest.",
        )
