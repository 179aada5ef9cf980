"""Every plot leaves the caller's settings as they were, and every figure is closed."""

from collections.abc import Iterator

import matplotlib as mpl
import pytest


@pytest.fixture(autouse=True)
def tidy() -> Iterator[None]:
    """Close figures, and compare ``rcParams`` before and after."""
    import matplotlib.pyplot as plt

    plt.switch_backend("agg")
    before = dict(mpl.rcParams)
    yield
    plt.close("all")
    assert dict(mpl.rcParams) == before
