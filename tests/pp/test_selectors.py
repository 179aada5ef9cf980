"""Selectors on arrays: oracles from scanpy, planted genes, determinism."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import sparse

from stfmkit._core.errors import InputError
from stfmkit._kernels._autocorrelation import morans_i
from stfmkit.metrics import sparkx_test
from stfmkit.pp._gene_limits import GeneLimits
from stfmkit.pp._selectors import NON_SPATIAL, SELECTORS, Options, Training, rank_genes

N_SPOTS, N_GENES = 150, 60
PATTERN, DEPTH, SPIKE, NOISE = 0, 1, 2, 3


@pytest.fixture(scope="module")
def cohort() -> dict:
    """Four samples of three patients; gene 0 has a pattern, 1 follows depth, 2 is a spike, the others are noise."""
    rng = np.random.default_rng(11)
    samples = np.repeat([0, 1, 2, 3], N_SPOTS)
    xy = rng.uniform(0, 10, (4 * N_SPOTS, 2))
    # Depth is smooth in space, so that a gene that follows depth looks like a pattern.
    depth = np.exp(0.9 * np.sin(xy[:, 1] / 2) + rng.normal(0, 0.1, len(xy)))
    rate = np.outer(depth, rng.uniform(1, 6, N_GENES))
    rate[:, PATTERN] *= np.where(xy[:, 0] > 5, 4.0, 0.25)
    rate[:, DEPTH] = 80 * depth**1.5
    rate[:, SPIKE] = 0
    seen = rng.poisson(rate)
    seen[samples.searchsorted([0, 1, 2, 3]), SPIKE] = 200
    return {
        "counts": sparse.csr_array(seen),
        "coords": xy,
        "samples": samples,
        "patients": np.repeat([0, 0, 1, 2], N_SPOTS),
    }


def scanpy_table(counts: sparse.csr_array) -> ad.AnnData:
    return ad.AnnData(
        sparse.csr_matrix(counts, dtype=np.float64), var=pd.DataFrame(index=[f"g{i}" for i in range(counts.shape[1])])
    )


def scanpy_top(adata: ad.AnnData, n: int) -> list[int]:
    table = sc.pp.highly_variable_genes(adata, flavor="seurat", n_top_genes=n, inplace=False)
    order = np.argsort(-table["dispersions_norm"].to_numpy(), kind="stable")
    assert set(order[:n]) == set(np.flatnonzero(table["highly_variable"]))
    return order[:n].tolist()


@pytest.mark.parametrize("selector", list(SELECTORS))
def test_deterministic_unique_and_bounded(cohort, selector):
    got = rank_genes(selector, n_genes=10, **cohort)
    np.testing.assert_array_equal(got, rank_genes(selector, n_genes=10, **cohort))
    assert 0 < len(got) <= 10
    assert len(set(got.tolist())) == len(got)
    np.testing.assert_array_equal(rank_genes(selector, n_genes=3, **cohort), got[:3])


@pytest.mark.parametrize("selector", list(SELECTORS))
def test_excluded_and_control_genes_are_never_selected(cohort, selector):
    best = rank_genes(selector, n_genes=N_GENES, **cohort)[0]
    exclude = np.arange(N_GENES) == best
    assert best not in rank_genes(selector, n_genes=N_GENES, exclude=exclude, **cohort)
    names = np.array([f"g{i}" for i in range(N_GENES)], dtype=object)
    names[best] = "NegControlProbe_00001"
    assert best not in rank_genes(selector, n_genes=N_GENES, genes=names, **cohort)


def test_caller_matrix_with_zeros_and_doubles_is_kept(cohort):
    counts = sparse.csr_array(sparse.hstack([cohort["counts"], sparse.csr_array((4 * N_SPOTS, 1))]))
    messy = counts.copy()
    messy.data[::7] = 0
    before = messy.data.copy()
    clean = messy.copy()
    clean.eliminate_zeros()
    rest = {k: v for k, v in cohort.items() if k != "counts"}
    for selector in SELECTORS:
        one, two = (rank_genes(selector, counts=m, n_genes=8, **rest) for m in (messy, clean))
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(messy.data, before)


def test_hvg_of_one_sample_is_scanpys(cohort):
    rows = cohort["samples"] == 1
    one = {k: v[rows] for k, v in cohort.items()}
    adata = scanpy_table(one["counts"])
    sc.pp.normalize_total(adata)
    sc.pp.log1p(adata)
    assert rank_genes("hvg", n_genes=15, **one).tolist() == scanpy_top(adata, 15)


def test_hvg_aggregates_ranks_over_patients(cohort):
    """A gene that varies in one of three patients only loses against one that varies in all."""
    counts = cohort["counts"].toarray()
    rng = np.random.default_rng(0)
    counts[:, NOISE] = np.where(rng.random(len(counts)) < 0.1, 60, 1)
    counts[:, NOISE + 1] = 7
    last = cohort["patients"] == 2
    counts[last, NOISE + 1] = np.where(rng.random(last.sum()) < 0.1, 300, 1)
    order = rank_genes("hvg", n_genes=N_GENES, **{**cohort, "counts": sparse.csr_array(counts)}).tolist()
    assert order.index(NOISE) < order.index(NOISE + 1)


def test_hest_is_the_rule_of_hest(cohort):
    """Plain restatement with scanpy: 10 % of every slide, intersect, pool, log1p of raw counts, seurat."""
    names = [f"g{i}" for i in range(N_GENES)]
    names[5], names[6] = "BLANK_0001", "antiControlX"
    adata = scanpy_table(cohort["counts"])
    adata.var_names = names
    kept = None
    for sample in np.unique(cohort["samples"]):
        slide = adata[cohort["samples"] == sample].copy()
        sc.pp.filter_genes(slide, min_cells=int(np.ceil(0.1 * slide.n_obs)))
        kept = slide.var_names if kept is None else kept.intersection(slide.var_names)
    kept = [g for g in adata.var_names if g in set(kept) and "BLANK" not in g and "Control" not in g]
    pooled = adata[:, kept].copy()
    sc.pp.log1p(pooled)
    want = [names.index(kept[i]) for i in scanpy_top(pooled, 20)]
    assert rank_genes("hest", n_genes=20, genes=np.array(names), **cohort).tolist() == want
    assert SPIKE not in want


def test_hest_keeps_a_gene_at_exactly_ten_percent():
    counts = np.random.default_rng(1).poisson(3, (25, 4)) + 1
    counts[:, 0] = 0
    counts[:3, 0] = 5  # ceil(2.5) = 3
    counts[:, 1] = 0
    counts[:2, 1] = 5
    one = np.zeros(25, dtype=int)
    got = rank_genes("hest", counts=sparse.csr_array(counts), samples=one, patients=one, n_genes=4)
    assert set(got.tolist()) == {0, 2, 3}


def test_svg_orders_by_median_over_patients(cohort):
    training = Training(**cohort)
    counts = cohort["counts"].toarray()
    depth = counts.sum(axis=1)
    logged = np.log1p(counts / depth[:, None] * np.median(depth))
    by_sample = []
    for sample in range(4):
        rows = np.flatnonzero(cohort["samples"] == sample)
        by_sample.append(morans_i(sparse.csr_array(logged[rows]), sparse.csr_array(training.graph[rows][:, rows])))
    patients = np.stack([(by_sample[0] + by_sample[1]) / 2, by_sample[2], by_sample[3]])
    want = np.argsort(-np.median(patients, axis=0), kind="stable")[:10]
    got = rank_genes("svg", n_genes=10, **cohort)
    np.testing.assert_array_equal(got, want)
    assert got[0] == PATTERN


def test_depth_driven_gene_falls_once_depth_is_taken_out(cohort):
    svg = rank_genes("svg", n_genes=N_GENES, **cohort).tolist()
    within = rank_genes("svg_within_depth", n_genes=N_GENES, **cohort).tolist()
    assert svg.index(DEPTH) <= 2
    assert within.index(PATTERN) == 0
    assert within.index(DEPTH) > svg.index(DEPTH)
    assert DEPTH not in rank_genes("reliable_svg", n_genes=N_GENES, **cohort)


def test_reliable_svg_leaves_noise_and_spikes_out(cohort):
    got = rank_genes("reliable_svg", n_genes=N_GENES, **cohort)
    assert got[0] == PATTERN
    assert SPIKE not in got
    strict = rank_genes("reliable_svg", n_genes=N_GENES, options=Options(min_reliability=0.9999), **cohort)
    assert len(strict) == 0
    limits = GeneLimits(max_depth_r2=1.0)
    assert DEPTH in rank_genes("reliable_svg", n_genes=N_GENES, options=Options(limits=limits), **cohort)


def test_panel_safe_needs_enough_panels(cohort):
    present = np.ones((4, N_GENES), dtype=bool)
    present[0, PATTERN] = False  # samples are the panels
    assert PATTERN not in rank_genes("panel_safe", n_genes=N_GENES, present=present, **cohort)
    some = Options(min_panel_share=0.75)
    assert rank_genes("panel_safe", n_genes=N_GENES, present=present, options=some, **cohort)[0] == PATTERN
    panels = np.repeat([0, 0, 1, 1], N_SPOTS)
    two = present[:2]
    assert PATTERN not in rank_genes("panel_safe", n_genes=N_GENES, present=two, panels=panels, **cohort)


def test_sparkx_is_the_test_combined_over_samples_and_patients(cohort):
    cot = []
    for sample in range(4):
        rows = cohort["samples"] == sample
        p = sparkx_test(sparse.csr_array(cohort["counts"][np.flatnonzero(rows)]), cohort["coords"][rows])["p"]
        cot.append(1 / np.tan(np.pi * np.clip(p, 1e-80, 0.999)))
    score = np.mean([(cot[0] + cot[1]) / 2, cot[2], cot[3]], axis=0)
    got = rank_genes("sparkx", n_genes=8, **cohort)
    np.testing.assert_array_equal(got, np.argsort(-score, kind="stable")[:8])
    assert PATTERN in got[:2]


def test_sparkx_needs_coordinates(cohort):
    graph = Training(**cohort).graph
    with pytest.raises(InputError, match="sparkx"):
        rank_genes("sparkx", n_genes=3, graph=graph, **{**cohort, "coords": None})


def test_unmeasured_samples_do_not_lower_a_gene(cohort):
    counts = cohort["counts"].toarray()
    counts[cohort["patients"] != 0, PATTERN] = 0
    table = {**cohort, "counts": sparse.csr_array(counts)}
    present = np.ones((4, N_GENES), dtype=bool)
    present[2:, PATTERN] = False
    assert rank_genes("svg", n_genes=1, present=present, **table)[0] == PATTERN
    assert rank_genes("svg", n_genes=1, **table)[0] != PATTERN


def test_a_given_graph_replaces_coordinates(cohort):
    graph = Training(**cohort).graph
    blind = {**cohort, "coords": None}
    np.testing.assert_array_equal(
        rank_genes("svg", n_genes=9, graph=graph * 3, **blind), rank_genes("svg", n_genes=9, **cohort)
    )
    with pytest.raises(InputError, match="neither coordinates nor a graph"):
        rank_genes("svg", n_genes=9, **blind)
    for selector in NON_SPATIAL:
        assert len(rank_genes(selector, n_genes=9, **blind)) == 9


def test_ties_go_to_the_first_gene():
    counts = sparse.csr_array(np.tile(np.random.default_rng(0).poisson(3, (40, 1)), 5))
    one = np.zeros(40, dtype=int)
    xy = np.random.default_rng(1).uniform(size=(40, 2))
    got = rank_genes("svg", counts=counts, coords=xy, samples=one, patients=one, n_genes=3)
    assert got.tolist() == [0, 1, 2]


def test_genes_without_counts_do_not_qualify(cohort):
    counts = cohort["counts"].toarray()
    counts[:, 10:] = 0
    for selector in SELECTORS:
        got = rank_genes(selector, n_genes=N_GENES, **{**cohort, "counts": sparse.csr_array(counts)})
        assert max(got) < 10


def test_wrong_arguments(cohort):
    with pytest.raises(InputError, match="Did you mean 'hvg'"):
        rank_genes("hvgs", n_genes=3, **cohort)
    with pytest.raises(InputError, match="n_genes=0"):
        rank_genes("hvg", n_genes=0, **cohort)


@pytest.mark.real_data
def test_her2st_finds_what_is_known(real_data):
    adata = ad.read_h5ad(real_data / "her2st_patients_A-F.h5ad")
    table = {
        "counts": sparse.csr_array(adata.X),
        "coords": adata.obsm["spatial_um"],
        "samples": pd.factorize(adata.obs["section"], sort=True)[0],
        "patients": pd.factorize(adata.obs["patient"], sort=True)[0],
        "genes": adata.var_names.to_numpy(),
    }
    got = rank_genes("reliable_svg", n_genes=100, **table)
    assert len(got) == 100
    # plasma cells, antigen presentation and secretory tumour cells
    assert {"IGKC", "IGHG3", "CD74", "MUCL1"} <= set(adata.var_names[got])
