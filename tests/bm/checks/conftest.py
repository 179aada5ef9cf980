"""Cohorts with a truth, and what an audit finds in them."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

import stfmkit as sk


@cache
def _simulated(options: tuple[tuple[str, object], ...]) -> AnnData:
    cells = sk.datasets.synthetic_cohort(as_="anndata", show_progress=False, **dict(options))
    cells.obs = cells.obs[["patient", "sample", "niche", "cell_type"]].copy()
    return cells


def simulate(n_patients: int = 4, **options: object) -> AnnData:
    """Return a fresh copy of a synthetic cohort."""
    given = {"n_patients": n_patients, "size": 500.0, "n_genes": 120, "rng": 0, **options}
    return _simulated(tuple(sorted(given.items()))).copy()


def protocol_of(adata: AnnData, **options: object) -> sk.bm.Protocol:
    """Return a protocol that holds out every patient in turn."""
    n = adata.obs["patient"].nunique()
    given = {
        "patient_key": "patient",
        "sample_key": "sample",
        "label_key": "niche",
        "split": sk.pp.PatientKFold(max(n, 2)),
    }
    return sk.bm.Protocol(**{**given, **options})


def audited(adata: AnnData, *, contenders: object = (), **options: object) -> dict[str, sk.bm.Finding]:
    """Return findings by their check."""
    return {f.check: f for f in sk.bm.audit(adata, protocol_of(adata, **options), contenders=contenders)}


def alarms(found: dict[str, sk.bm.Finding]) -> set[str]:
    """Return the checks that found something severe, but for what a small cohort always has."""
    usual = {"cannot test", "probes not tuned", "patient on both sides"}
    return {name for name, finding in found.items() if finding.severity != "info"} - usual


def with_counts(adata: AnnData, change: Callable[[np.ndarray], np.ndarray], rows: np.ndarray | None = None) -> AnnData:
    """Return a copy whose counts of some rows (all by default) are changed."""
    dense = adata.X.toarray()
    here = np.arange(len(dense)) if rows is None else rows
    dense[here] = change(dense[here])
    dense[np.arange(len(dense)), 0] += dense.sum(axis=1) == 0  # nothing is empty
    other = adata.copy()
    other.X = sparse.csr_matrix(dense)
    return other


def rows_of(adata: AnnData, patient: str) -> np.ndarray:
    """Return the rows of a patient."""
    return np.flatnonzero(adata.obs["patient"].astype(str) == patient)


@pytest.fixture
def cells() -> AnnData:
    """Four patients with one section each."""
    return simulate()
