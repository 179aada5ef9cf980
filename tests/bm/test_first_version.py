"""The numbers of the first version: what was not defined anew has not changed."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import stfmkit as sk

STORED = Path(__file__).parent / "data" / "first_version.parquet"
"""Long tables of commit 1f645ff, by name of the run; see NOTE.md beside it."""
KEYS = ["task", "metric", "model", "fold", "patient", "sample", "gene", "niche"]
MODELS = ["hvg_pca", "neighbor_pca", "coordinates", "library_size", "random", "X_given"]
RUNS = {
    "all tasks": {"models": MODELS, "tasks": None, "target_genes": None},
    "cohort": {"models": ["hvg_pca"], "tasks": ["niche_signatures"], "target_genes": slice(0, 60, 2)},
}


def table_of(run: str) -> pd.DataFrame:
    """Return the long table of one of the runs with the code as it is now."""
    cells = sk.datasets.synthetic_cohort(n_patients=4, size=500, as_="anndata", rng=1)
    cells.obsm["X_given"] = np.random.default_rng(0).normal(size=(cells.n_obs, 5)).astype(np.float32)
    genes = RUNS[run]["target_genes"]
    protocol = sk.bm.Protocol(
        patient_key="patient",
        sample_key="sample",
        label_key="niche",
        split=sk.pp.PatientKFold(4),
        target_genes=None if genes is None else cells.var_names[genes].tolist(),
        n_target_genes=30,
        linear_c=(1e-2, 1.0),
        knn_k=(5, 20),
        ridge_alpha=(1.0, 100.0),
    )
    results = sk.bm.run(
        cells, models=RUNS[run]["models"], tasks=RUNS[run]["tasks"], protocol=protocol, show_progress=False
    )
    return results.table


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS)
def test_every_number_is_reproduced(run: str) -> None:
    stored = pd.read_parquet(STORED).query("run == @run").set_index(KEYS)["value"].sort_index()
    found = table_of(run).set_index(KEYS)["value"].sort_index()
    assert found.index.equals(stored.index)
    np.testing.assert_allclose(found.to_numpy(), stored.to_numpy(), rtol=1e-6, atol=1e-9)
