"""Shared fixtures: the door to real data, and small tables."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import settings
from scipy import sparse

collect_ignore_glob = ["models/zoo/makers/*"]
"""Scripts that made fixtures by running the originals, which are not here."""

settings.register_profile("house", deadline=None)  # compiling and busy machines are no failures
settings.load_profile("house")

REAL_DATA = Path(os.environ.get("STFMKIT_DATA", Path(__file__).parents[2] / "shared" / "data"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the real data sets where they are absent."""
    if REAL_DATA.is_dir():
        return
    for item in items:
        if "real_data" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="the real data sets are not on this machine"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Directory of the small real data sets."""
    return REAL_DATA


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded generator."""
    return np.random.default_rng(0)


@pytest.fixture
def toy(rng: np.random.Generator) -> AnnData:
    """Four patients, six samples, 240 observations, 40 genes, two niches that half of the genes tell apart."""
    n, genes = 240, 40
    sample = np.repeat(np.arange(6), n // 6)
    xy = rng.uniform(0, 1000, size=(n, 2))
    niche = np.where(xy[:, 0] + 150 * np.sin(xy[:, 1] / 150) > 500, "tumour", "stroma")
    rate = np.exp(rng.normal(0.3, 0.5, size=genes))[None, :] * np.ones((n, 1))
    rate[niche == "tumour", : genes // 4] *= 3
    rate[niche == "stroma", genes // 4 : genes // 2] *= 3
    depth = rng.lognormal(0, 0.3, size=(n, 1))
    counts = rng.poisson(rate * depth)
    patient = np.array(["P1", "P1", "P2", "P2", "P3", "P4"])[sample]
    obs = pd.DataFrame(
        {
            "sample": pd.Categorical([f"S{s}" for s in sample]),
            "patient": pd.Categorical(patient),
            "niche": pd.Categorical(niche),
        },
        index=[f"spot{i}" for i in range(n)],
    )
    var = pd.DataFrame(index=[f"G{g}" for g in range(genes)])
    adata = AnnData(sparse.csr_matrix(counts.astype(np.float32)), obs=obs, var=var)
    adata.obsm["spatial"] = xy
    adata.uns["stfmkit"] = {"microns_per_unit": 1.0}
    return adata
