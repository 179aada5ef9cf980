"""Values that are no counts, though they are integers; genes that stand there twice; units that differ."""

import anndata as ad
import numpy as np
import pytest
from scipy import sparse
from tests.bm.checks.conftest import alarms, audited, rows_of, simulate, with_counts

import stfmkit as sk


@pytest.mark.parametrize("factor", [2, 3, 1000])
def test_one_section_is_scaled(cells, factor):
    found = audited(with_counts(cells, lambda dense: dense * factor, rows_of(cells, "P02")))["scaled counts"]
    assert found.severity == "error"
    assert found.rows[0][:2] == ("P02_S1", factor)


@pytest.mark.parametrize("target", [1e4, 1e3, 2345.0])
def test_normalised_and_rounded(target):
    cells = simulate(counts_per_cell=200.0)
    changed = with_counts(cells, lambda dense: np.rint(dense / dense.sum(axis=1, keepdims=True) * target))
    found = audited(changed)
    assert found["normalised and rounded counts"].severity == "error"
    assert "nearly equal library sizes" in found


def test_one_section_times_a_number_of_its_own_and_rounded(cells):
    changed = with_counts(cells, lambda dense: np.rint(dense * 3.7), rows_of(cells, "P03"))
    # one number for the whole section leaves no divisor, but a grid
    assert "normalised and rounded counts" in audited(changed)


def test_normalised_to_the_median_and_rounded():
    cells = simulate(counts_per_cell=200.0)
    depth = cells.X.sum(axis=1).A1 if hasattr(cells.X.sum(axis=1), "A1") else np.asarray(cells.X.sum(axis=1)).ravel()
    changed = with_counts(cells, lambda dense: np.rint(dense / dense.sum(axis=1, keepdims=True) * np.median(depth)))
    assert "nearly equal library sizes" in audited(changed)


def test_logged_and_rounded():
    cells = simulate(counts_per_cell=400.0, n_genes=60)
    found = audited(with_counts(cells, lambda dense: np.rint(np.log1p(dense))))
    assert found["less varied than counts"].severity == "warning"


@pytest.mark.parametrize("factor", [10, 100])
def test_logged_times_a_number_and_rounded(cells, factor):
    changed = with_counts(cells, lambda dense: np.rint(factor * np.log1p(dense)))
    assert audited(changed)["normalised and rounded counts"].severity == "error"


def test_counts_drawn_down_to_one_depth_are_no_fault(cells):
    rng = np.random.default_rng(0)

    def drawn(dense):
        return np.array([rng.multivariate_hypergeometric(row.astype(int), min(20, int(row.sum()))) for row in dense])

    kept = cells[np.asarray(cells.X.sum(axis=1)).ravel() >= 20].copy()
    found = audited(with_counts(kept, drawn))
    assert alarms(found) == set()
    assert found["equal library sizes"].severity == "info"


def test_dense_counts_without_a_one_are_counts():
    cells = simulate(counts_per_cell=3000.0, n_genes=30)
    assert alarms(audited(cells)) == set()


def doubled(cells, change=lambda values, rng: values, gene="G00005"):
    values = change(cells[:, gene].X.toarray().astype(int), np.random.default_rng(0))
    twin = ad.AnnData(sparse.csr_matrix(values.astype(np.float32)), obs=cells.obs[[]].copy())
    twin.var_names = ["TWIN"]
    both = ad.concat([cells, twin], axis=1, merge="first")
    both.uns = cells.uns
    return both


@pytest.mark.parametrize("noise", [0.0, 0.002])
def test_a_target_under_a_second_name(noise):
    cells = simulate(counts_per_cell=600.0)
    gene = str(cells.var_names[np.argmax(np.asarray(cells.X.sum(axis=0)).ravel())])
    both = doubled(cells, lambda values, rng: values + (rng.random(values.shape) < noise), gene)
    found = audited(both, target_genes=[gene, str(cells.var_names[3])])["gene under two names"]
    assert found.severity == "error"
    assert {found.rows[0][0], found.rows[0][1]} == {gene, "TWIN"}
    assert audited(both)["gene under two names"].severity == "warning"  # either may become a target
    hidden = audited(both, target_genes=[gene, "TWIN"])["gene under two names"]
    assert hidden.severity == "warning"


def test_rare_genes_that_are_equal_by_chance_are_silent(cells):
    dense = cells.X.toarray()
    dense[:, 7:9] = 0
    dense[3, 7:9] = 1
    cells.X = sparse.csr_matrix(dense)
    assert alarms(audited(cells)) == set()


@pytest.mark.parametrize("patients", [["P01"], ["P01", "P02"], ["P01", "P02", "P03"]])
@pytest.mark.parametrize("factor", [4.0, 0.2125, 1000.0])
def test_samples_in_two_units(cells, patients, factor):
    for patient in patients:
        cells.obsm["spatial"][rows_of(cells, patient)] *= factor
    found = audited(cells)["mixed units of coordinates"]
    assert found.severity == "warning"


@pytest.mark.parametrize("slope", [0.0, 1.0, -0.3])
def test_coordinates_on_a_line(cells, slope):
    here = rows_of(cells, "P02")
    cells.obsm["spatial"][here, 1] = 7 + slope * cells.obsm["spatial"][here, 0]
    found = audited(cells)["coordinates on a line"]
    assert (found.severity, found.rows) == ("warning", (("P02_S1", len(here)),))


def test_a_finer_technology_is_no_other_unit():
    coarse, fine = simulate(2, cell_density=150.0, size=900.0), simulate(4, cell_density=3000.0, size=900.0)
    both = ad.concat([coarse, fine[~fine.obs["patient"].isin(["P01", "P02"])]])
    both.uns = coarse.uns
    both.obs_names_make_unique()
    assert alarms(audited(both)) == set()


def test_blocks_in_a_sample_of_another_unit_have_no_buffer():
    cells = simulate(2, size=900.0)
    cells.obsm["spatial"][rows_of(cells, "P02")] *= 20.0
    split = sk.pp.SpatialBlockKFold(block=250, buffer=60, n_splits=3)
    assert {"no buffer", "mixed units of coordinates"} <= set(audited(cells, split=split))
