"""What is counted where: the spots of every sample and resolution, and their numbers."""

from dataclasses import dataclass

from stfmkit._errors import InputError
from stfmkit._kernels._counts import BITS
from stfmkit.pp._binning._binned import Sample
from stfmkit.pp._binning._extent import Extent
from stfmkit.pp._binning._settings import BinSettings, Box, spots_for
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
    with_frames
        Whether groups of molecules are to be checked for lying upon each other.
    """

    ladder: list[BinSettings]
    masks: dict[str, Mask]
    boxes: dict[str, Box]
    samples: list[dict[str, Sample]]
    sizes: list[int]
    with_frames: bool

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
    return Plan(ladder, masks, boxes, samples, sizes, with_frames)


def check_size(n_spots: int, settings: BinSettings) -> None:
    """Refuse a lattice whose spots cannot be numbered."""
    if n_spots >= 2 ** (62 - BITS):
        raise InputError(
            f"a lattice of {n_spots:.3g} places with pitch={settings.pitch:g} µm.",
            allowed=f"fewer than {2 ** (62 - BITS):.2g} places",
            remedy="check pitch and microns_per_unit, and positions far away from the rest.",
        )
