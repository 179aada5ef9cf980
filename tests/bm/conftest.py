"""A small cohort whose niches lie elsewhere in every patient, and a finished comparison of it."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

import stfmkit as sk

KEYS = {"patient_key": "patient", "sample_key": "sample", "label_key": "niche"}


def make_cohort(*, n_patients: int = 4, per_patient: int = 60, n_genes: int = 60, seed: int = 0) -> AnnData:
    """Patients with one sample each; two niches with a border that turns from patient to patient."""
    rng = np.random.default_rng(seed)
    parts = []
    base = np.exp(rng.normal(1.2, 0.5, n_genes))  # counts enough for co-expression to show
    effect = np.exp(rng.normal(0, 0.7, size=(2, n_genes)))
    for p in range(n_patients):
        xy = rng.uniform(0, 1000, size=(per_patient, 2))
        angle = 2 * np.pi * p / n_patients
        niche = ((xy - 500) @ [np.cos(angle), np.sin(angle)] > 40 * rng.normal(size=per_patient)).astype(int)
        rate = base * effect[niche] * np.exp(rng.normal(0, 0.1, n_genes)) * rng.lognormal(0, 0.3, (per_patient, 1))
        obs = pd.DataFrame(
            {"patient": f"P{p}", "sample": f"S{p}", "niche": np.array(["stroma", "tumour"])[niche]},
            index=[f"spot{p * per_patient + i}" for i in range(per_patient)],
        )
        part = AnnData(sparse.csr_matrix(rng.poisson(rate).astype(np.float32)), obs=obs)
        part.obsm["spatial"] = xy
        parts.append(part)
    both = ad.concat(parts)
    both.var_names = [f"G{g}" for g in range(n_genes)]
    both.obs = both.obs.astype("category")
    both.uns["stfmkit"] = {"microns_per_unit": 1.0}
    return both


def make_protocol(**options) -> sk.bm.Protocol:
    """A quick protocol."""
    quick = {
        "split": sk.pp.PatientKFold(4),
        "min_obs": 10,
        "n_target_genes": 30,
        "selector": "hvg",
        "linear_c": (0.01, 1.0),
        "ridge_alpha": (1.0, 100.0, 1e4),
        "n_neighbors": (5, 15),
    }
    return sk.bm.Protocol(**{**KEYS, **quick, **options})


@pytest.fixture
def cohort() -> AnnData:
    """A fresh cohort."""
    return make_cohort()


@pytest.fixture(scope="session")
def results() -> sk.bm.Results:
    """A finished comparison of four contenders on all tasks."""
    return sk.bm.run(
        make_cohort(),
        ["hvg_pca", "neighbor_pca", "coordinates", "library_size"],
        protocol=make_protocol(),
        show_progress=False,
    )
