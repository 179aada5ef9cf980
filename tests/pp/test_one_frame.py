"""Samples that lie upon each other are noticed; neighbours are not."""

import pytest

from stfmkit._core.errors import InputError
from stfmkit.pp._binning._one_frame import check_frames

SQUARE = (0.0, 0.0, 100.0, 100.0)


def moved(by: float) -> tuple[float, float, float, float]:
    return (by, 0.0, 100.0 + by, 100.0)


@pytest.mark.parametrize(("name", "by"), [("sample", 100), ("sample", 81), ("fov", 51), ("fov_name", 300)])
def test_neighbours_pass(name: str, by: float) -> None:
    check_frames(name, [SQUARE, moved(by)])


@pytest.mark.parametrize(("name", "by"), [("sample", 0), ("sample", 79), ("fov", 49), ("FOV", -3)])
def test_overlap_is_refused(name: str, by: float) -> None:
    with pytest.raises(InputError, match=f"pass sample_key='{name}'"):
        check_frames(name, [SQUARE, moved(500), moved(by)])


def test_one_group_or_far_too_many_say_nothing() -> None:
    check_frames("sample", [SQUARE])
    check_frames("sample", [])
    check_frames("sample_barcode", [SQUARE] * 3001)
