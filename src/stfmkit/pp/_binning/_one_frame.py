"""Several samples on one coordinate frame, seen in their boxes."""

from collections.abc import Sequence

import numpy as np

from stfmkit._core.errors import InputError

_MOST_GROUPS = 3000


def check_frames(name: str, boxes: Sequence[tuple[float, float, float, float]]) -> None:
    """Refuse groups of molecules whose boxes (x0, y0, x1, y1) overlap like samples that lie upon each other.

    Fields of view overlap a little at their seams, so they need more evidence than samples.
    """
    if not 2 <= len(boxes) <= _MOST_GROUPS:
        return
    box = np.asarray(boxes)
    low = np.maximum(box[:, None, :2], box[None, :, :2])
    high = np.minimum(box[:, None, 2:], box[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    area = (box[:, 2:] - box[:, :2]).prod(axis=1)
    smaller = np.minimum(area[:, None], area[None, :])
    np.fill_diagonal(shared, 0.0)
    limit = 0.5 if "fov" in name.casefold() else 0.2
    if (shared > limit * smaller).any():
        raise InputError(
            f"no sample_key, and the {len(boxes)} groups of the column {name!r} overlap in space.",
            allowed="one sample for one coordinate frame",
            remedy=f"pass sample_key={name!r} (or the column that tells the samples apart).",
        )
