"""What is counted where: the spots of every sample and resolution, and their numbers."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from stfmkit._core.errors import InputError
from stfmkit._kernels._counts import BITS
from stfmkit._kernels._runs import Grouping
from stfmkit.pp._binning._binned import Sample
from stfmkit.pp._binning._extent import Extent
from stfmkit.pp._binning._settings import BinSettings, Box, spots_for
from stfmkit.pp._binning._spots import LatticeSpots
from stfmkit.pp._binning._tissue_mask import Mask, sample_mask


@dataclass(frozen=True, eq=False)
class Plan:
    """The lattices of every sample.

    Attributes
    ----------
    ladder
        Settings, one for each resolution.
    masks
        The tissue of every sample, in the order of their names.
    boxes
        The box of every sample.
    samples
        For every resolution the samples by name.
    sizes
        For every resolution the number of places.
    finer
        For every resolution the place of the one whose squares it is made of, ``None`` where molecules are counted.
    with_frames
        Whether groups of molecules are to be checked for lying upon each other.
    """

    ladder: list[BinSettings]
    masks: dict[str, Mask]
    boxes: dict[str, Box]
    samples: list[dict[str, Sample]]
    sizes: list[int]
    with_frames: bool
    finer: list[int | None]

    @property
    def settings(self) -> BinSettings:
        """What all resolutions share."""
        return self.ladder[0]


def make_plan(ladder: list[BinSettings], extents: dict[str, Extent], *, with_frames: bool) -> Plan:
    """Lay the lattices.

    Raises
    ------
    InputError
        They have too many places, or a mask is missing.
    """
    extents = dict(sorted(extents.items()))
    boxes = {name: extent.box for name, extent in extents.items()}
    masks = {name: sample_mask(ladder[0].mask, name, box) for name, box in boxes.items()}
    samples, sizes = [], []
    for settings in ladder:
        base, here = 0, {}
        for name, extent in extents.items():
            centroid = extent.centroid if settings.origin == "centroid" else (0.0, 0.0)
            spots = spots_for(settings, name, box=extent.box, centroid=centroid)
            here[name] = Sample(name, spots, masks[name], base)
            base += spots.size
        check_size(base, settings)
        samples.append(here)
        sizes.append(base)
    return Plan(ladder, masks, boxes, samples, sizes, with_frames, _finer(ladder))


def _finer(ladder: list[BinSettings]) -> list[int | None]:
    """Find squares that are made of whole squares of another resolution: exactly, not only up to rounding."""
    pitches = [Fraction(float(s.pitch)) for s in ladder]
    divides = [[(a / b).denominator == 1 and a > b for b in pitches] for a in pitches]
    counted = [ladder[0].shape != "square" or not any(row) for row in divides]
    return [
        None if counted[i] else max((j for j in range(len(ladder)) if row[j] and counted[j]), key=pitches.__getitem__)
        for i, row in enumerate(divides)
    ]


def squares_of(plan: Plan, i: int, j: int) -> Grouping:
    """Return how squares of the resolution j make up those of the resolution i."""
    m = round(plan.ladder[i].pitch / plan.ladder[j].pitch)
    fine, coarse = (
        [(s.base, s.spots.reach) for s in plan.samples[k].values() if isinstance(s.spots, LatticeSpots)] for k in (j, i)
    )
    bases = np.array([base for base, _ in fine])
    seams = []
    for base, (row0, _, rows, cols) in fine:
        starts = np.arange(-row0 % m, rows, m)  # where a coarse row begins
        seams.append(base + np.append(0, starts * cols))

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

    return Grouping(rows_of, np.unique(np.concatenate(seams)))


def check_size(n_spots: int, settings: BinSettings) -> None:
    """Refuse a lattice whose spots cannot be numbered."""
    if n_spots >= 2 ** (62 - BITS):
        raise InputError(
            f"a lattice of {n_spots:.3g} places with pitch={settings.pitch:g} µm.",
            allowed=f"fewer than {2 ** (62 - BITS):.2g} places",
            remedy="check pitch and microns_per_unit, and positions far away from the rest.",
        )
