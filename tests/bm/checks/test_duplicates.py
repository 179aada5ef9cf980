"""Copies of a section under another patient are found, whatever was done to them."""

import anndata as ad
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from tests.bm.checks.conftest import alarms, audited, rows_of, simulate, with_counts

import stfmkit as sk
from stfmkit.bm.checks.alike import profile_correlation
from stfmkit.bm.checks.duplicates import centred_rows, likeness

COPY = "near-duplicate sections across the split"


def copied(cells, change, *, share=1.0, seed=0):
    """Add some observations of the first patient to a patient of their own, or in the place of those of another."""
    rng = np.random.default_rng(seed)
    rows = rows_of(cells, "P01")
    if share == 1:
        copy = cells[rows].copy()
        copy.obs["patient"], copy.obs["sample"] = "P99", "P99_S1"
        copy.obs_names = [f"copy{i}" for i in range(len(rows))]
        uns = cells.uns
        both = ad.concat([cells, with_counts(copy, lambda dense: change(dense, rng))])
        both.uns = uns
        return both
    into = rng.permutation(rows_of(cells, "P02"))
    n = int(share * len(into))
    source = cells.X[rng.permutation(rows)[:n]].toarray()
    return with_counts(cells, lambda _: change(source, rng), into[:n])


def thinned(p):
    return lambda dense, rng: rng.binomial(dense.astype(int), p).astype(dense.dtype)


def added(share):
    return lambda dense, rng: dense + (rng.random(dense.shape) < share)


CHANGES = {
    "one gene + 1": lambda dense, rng: dense + np.eye(1, dense.shape[1], 5),
    "1 % of entries + 1": added(0.01),
    "5 % of entries + 1": added(0.05),
    "10 % thinned away": thinned(0.9),
    "half thinned away": thinned(0.5),
    "70 % thinned away": thinned(0.3),
    "genes left out": lambda dense, rng: dense * (np.arange(dense.shape[1]) > 10),
    "observations dealt anew": lambda dense, rng: added(0.01)(rng.permutation(dense), rng),
    "drawn again": lambda dense, rng: rng.poisson(dense).astype(dense.dtype),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_section_under_another_name(name):
    found = audited(copied(simulate(counts_per_cell=300.0), CHANGES[name]))
    assert found[COPY].severity == "error"
    assert ("P01_S1", "P99_S1") in {row[:2] for row in found[COPY].rows}


def test_nine_tenths_thinned_away_of_many_genes():
    found = audited(copied(simulate(n_genes=1500, counts_per_cell=2000.0), thinned(0.1)))
    assert COPY in found


@pytest.mark.parametrize("share", [0.1, 0.3, 0.7])
def test_some_observations_of_a_section(share):
    found = audited(copied(simulate(counts_per_cell=300.0), thinned(0.7), share=share))
    assert found[COPY].rows[0][:2] == ("P01_S1", "P02_S1")


@pytest.mark.parametrize("turn", [[[-1, 0], [0, 1]], [[0, 1], [1, 0]], [[3.0, 0], [0, 3.0]]], ids=str)
def test_coordinates_may_be_mirrored_turned_or_scaled(turn):
    cells = copied(simulate(counts_per_cell=300.0), added(0.01))
    rows = rows_of(cells, "P99")
    cells.obsm["spatial"][rows] = cells.obsm["spatial"][rows] @ np.array(turn)
    assert COPY in audited(cells)


def test_exact_copies_are_told_by_their_counts():
    found = audited(copied(simulate(), lambda dense, rng: dense))
    assert found["duplicated counts across the split"].severity == "error"
    assert dict(found["duplicated counts across the split"].rows)["P99_S1"] > 100


def test_equal_rows_of_few_counts_are_no_copies(rng):
    cells = simulate(counts_per_cell=2.0, n_genes=40)
    assert len(np.unique(cells.X.toarray(), axis=0)) < cells.n_obs  # some are equal by chance
    assert alarms(audited(cells)) == set()


def test_a_screen_finds_the_pair_among_many_sections():
    cells = simulate(12, size=260.0, counts_per_cell=300.0)
    found = audited(copied(cells, thinned(0.6)), split=sk.pp.PatientKFold(5))
    assert {row[:2] for row in found[COPY].rows} == {("P01_S1", "P99_S1")}
    assert alarms(audited(cells, split=sk.pp.PatientKFold(5))) == set()


def test_sections_of_one_patient_under_two_names():
    cells = simulate(6, n_sections=2, patient_effect=0.8, counts_per_cell=150.0)
    assert alarms(audited(cells)) == set()
    name = cells.obs["patient"].astype(str)
    name[cells.obs["sample"].astype(str) == "P03_S2"] = "Q7"
    cells.obs["patient"] = name.astype("category")
    found = audited(cells)["two patients with one profile"]
    assert found.severity == "warning"
    assert found.rows[0][:4] == ("P03_S1", "P03", "P03_S2", "Q7")


def test_every_section_given_as_a_patient():
    cells = simulate(4, n_sections=2, patient_effect=0.8, counts_per_cell=150.0)
    cells.obs["patient"] = cells.obs["sample"].astype(str).to_numpy()
    assert len(audited(cells)["two patients with one profile"].rows) >= 3


def test_profile_correlation_against_numpy(rng):
    counts = rng.poisson(3.0, size=(60, 20))
    samples = np.repeat(np.arange(6), 10)
    total = np.array([counts[samples == s].sum(axis=0) for s in range(6)])
    logged = np.log1p(1e4 * total / total.sum(axis=1, keepdims=True))
    expected = np.corrcoef(logged - logged.mean(axis=0))
    np.testing.assert_allclose(profile_correlation(sparse.csr_array(counts), samples), expected, atol=1e-12)


@given(seed=st.integers(0, 2**16), n=st.integers(5, 40))
def test_likeness_of_a_copy_and_of_itself_in_another_order(seed, n):
    rng = np.random.default_rng(seed)
    rows = centred_rows(sparse.csr_array(rng.poisson(4.0, size=(n, 30))), np.arange(n), np.arange(30))
    order = rng.permutation(n)
    same = likeness(rows[order], rows)
    assert same.mutual == 1
    assert same.ratio < 1e-4
    assert same.copied
