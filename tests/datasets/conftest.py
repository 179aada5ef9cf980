"""Small cohorts, made once."""

from typing import TYPE_CHECKING

import pytest

import stfmkit as sk

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData

SMALL = {"n_patients": 2, "size": 300.0, "n_genes": 60, "show_progress": False}


@pytest.fixture(scope="session")
def small() -> dict[str, object]:
    """Arguments of a small cohort."""
    return dict(SMALL)


@pytest.fixture(scope="session")
def cells() -> "AnnData":
    """A small cohort as a table; do not change it."""
    return sk.datasets.synthetic_cohort(**SMALL, as_="anndata")


@pytest.fixture(scope="session")
def tissue() -> "SpatialData":
    """The same cohort with everything; do not change it."""
    return sk.datasets.synthetic_cohort(**SMALL)


@pytest.fixture(scope="session")
def two_panels() -> "SpatialData":
    """Four patients on two panels, without pictures and controls, cells as circles."""
    return sk.datasets.synthetic_cohort(
        4, 1, 60, size=250.0, n_panels=2, n_controls=0, image=False, polygons=False, show_progress=False
    )


@pytest.fixture(scope="session")
def default_cells() -> "AnnData":
    """The cohort of the defaults, as a table; do not change it."""
    return sk.datasets.synthetic_cohort(as_="anndata", show_progress=False)
