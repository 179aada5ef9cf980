"""Samples in different units in one table, seen in their sizes and densities."""

from collections.abc import Mapping

import numpy as np

from stfmkit._core.arguments import listed
from stfmkit._core.errors import UnitsError
from stfmkit.pp._binning._extent import Extent

_TIMES = 3.0  # the coarsest pixels in use are a third of a µm
_FEWEST = 1000  # so many molecules tell a density


def check_units(extents: Mapping[str, Extent]) -> None:
    """Refuse samples of which some are several times wider than all others, and sparser by the square of that.

    A larger section alone is as dense as the others, and a sparser one as large; a change of the unit is both at once.

    Raises
    ------
    UnitsError
        There are two such groups of samples.
    """
    side, density, names = [], [], []
    for name, extent in extents.items():
        x0, y0, x1, y1 = extent.box
        area = (x1 - x0) * (y1 - y0)
        if extent.n >= _FEWEST and area > 0:
            side.append(area**0.5)
            density.append(extent.n / area)
            names.append(name)
    if len(names) < 2:
        return
    order = np.argsort(side, kind="stable")
    sides, densities = np.array(side)[order], np.array(density)[order]
    steps = sides[1:] / sides[:-1]
    cut = int(steps.argmax()) + 1
    if steps[cut - 1] < _TIMES or densities[:cut].min() < _TIMES**2 * densities[cut:].max():
        return
    wide = [names[i] for i in order[cut:]]
    raise UnitsError(
        f"samples {listed(sorted(wide), most=5)} {steps[cut - 1]:.3g} times as wide as any other, "
        f"and {densities[:cut].min() / densities[cut:].max():.3g} times as sparse.",
        allowed="one unit for all samples",
        remedy="bring the positions to one unit (µm and pixels look mixed), or bin these samples on their own, with "
        "their own microns_per_unit.",
    )
