"""Units of coordinates: known or not, and the same in all samples."""

from collections.abc import Iterator

import numpy as np
from scipy.spatial import cKDTree

from stfmkit._core import slots
from stfmkit._core.arguments import listed
from stfmkit._data.write_slots import records
from stfmkit.bm.finding import Finding
from stfmkit.bm.study import Study

_FOLD = 3.0
"""Ratio of spacings, and of extents, beyond which two samples are not in one unit; her2st has 1.0 in µm and at most 1.1
in pixels of its scans."""
_LEAST = 10
_FLAT = 1e-6
"""Extent across the widest direction, over that along it."""


def unknown_unit(study: Study) -> Iterator[Finding]:
    """Say where the unit of the coordinates is not known."""
    known = records(study.adata).get(slots.MICRONS) or study.protocol.microns_per_unit
    if known is None:
        yield Finding(
            severity="info",
            check="unknown unit of coordinates",
            evidence="neither uns['stfmkit']['microns_per_unit'] nor the protocol says it.",
            remedy="nothing here depends on it; distances in µm cannot be given.",
        )


def mixed_units(study: Study) -> Iterator[Finding]:
    """Find samples whose spacing and extent both differ from those of the others by one factor.

    A finer technology has a smaller spacing and the same extent; another unit changes both.
    """
    measured = []
    for code, name in enumerate(study.samples.categories):
        coords = study.coords[study.sample_codes == code]
        if len(coords) >= _LEAST:
            rows = np.arange(0, len(coords), max(1, len(coords) // 2000))
            near = float(np.median(cKDTree(coords).query(coords[rows], k=2)[0][:, 1]))
            if near > 0:
                measured.append((str(name), near, float(np.linalg.norm(np.ptp(coords, axis=0)))))
    if len(measured) < 2:
        return
    measured.sort(key=lambda row: row[1])
    spacing, extent = (np.log([row[column] for row in measured]) for column in (1, 2))
    cut = int(np.argmax(np.diff(spacing))) + 1  # the widest gap parts one unit from the next
    apart = min(spacing[cut] - spacing[cut - 1], extent[cut:].min() - extent[:cut].max())
    if apart > np.log(_FOLD):
        yield Finding(
            severity="warning",
            check="mixed units of coordinates",
            evidence=f"neighbours are {measured[0][1]:.3g} apart in {measured[0][0]!r} and {measured[-1][1]:.3g} in "
            f"{measured[-1][0]!r}, and the extents differ alike ({measured[0][2]:.3g} and {measured[-1][2]:.3g}).",
            remedy="bring all samples to one unit (sk.pp reads microns_per_unit for the whole table); a buffer or a "
            "radius means nothing until then.",
            columns=("sample", "median distance to the nearest", "extent"),
            rows=tuple((name, round(near, 4), round(wide, 2)) for name, near, wide in measured),
        )


def on_a_line(study: Study) -> Iterator[Finding]:
    """Find samples all of whose observations lie on one line."""
    found = []
    for code, name in enumerate(study.samples.categories):
        coords = study.coords[study.sample_codes == code].astype(np.float64)
        if len(coords) >= _LEAST:
            along = np.linalg.svd(coords - coords.mean(axis=0), compute_uv=False)
            if along[1] <= _FLAT * along[0]:
                found.append((str(name), len(coords)))
    if found:
        yield Finding(
            severity="warning",
            check="coordinates on a line",
            evidence=f"all observations of {listed([name for name, _ in found], most=4)} lie on one line: one "
            "coordinate is missing, or stands there twice.",
            remedy="pass both coordinates (spatial_key), or leave the sample out.",
            columns=("sample", "observations"),
            rows=tuple(found),
        )
