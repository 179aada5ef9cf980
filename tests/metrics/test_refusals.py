"""Planted faults: every metric that takes a matrix refuses what is no matrix of its observations, and says why."""

import numpy as np
import pytest
from scipy import sparse
from tests.metrics.calls import ARGUMENTS, CALLS, LOGGED, NICHE, PATIENT, N, score

import stfmkit as sk
from stfmkit._core.errors import InputError, InputTypeError

TABLES = [(name, key) for name, key in ARGUMENTS if key != "graph"]
GRAPHS = [name for name, key in ARGUMENTS if key == "graph"]
SPARSE_TOO = [name for name, key in ARGUMENTS if key == "X"]
TAKES_ONE = {"coexpression_order", "embedding_neighbors", "rigid_motion_change"}  # nothing to differ from


def spoiled(name, key, value):
    values = np.array(CALLS[name][key], dtype=np.float64)
    values[1, 2 % values.shape[1]] = value
    return values


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("name", "key"), TABLES)
def test_values_that_are_not_finite(name, key, value):
    with pytest.raises(InputError, match=r"(1 )?(NaN or )?infinite values"):
        score(name, **{key: spoiled(name, key, value)})


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", SPARSE_TOO)
def test_values_that_are_not_finite_in_a_sparse_matrix(name, value):
    for kind in (sparse.csr_array, sparse.csc_matrix):
        with pytest.raises(InputError, match="1 NaN or infinite values in X"):
            score(name, X=kind(spoiled(name, "X", value)))


@pytest.mark.parametrize(("name", "key"), [pair for pair in TABLES if pair[0] not in TAKES_ONE])
def test_another_number_of_rows(name, key):
    with pytest.raises(InputError, match=r"shape|lengths?|matrix of"):
        score(name, **{key: CALLS[name][key][:-1]})


@pytest.mark.parametrize(("name", "key"), TABLES)
def test_what_is_no_matrix_of_numbers(name, key):
    values = CALLS[name][key]
    for shape in ((0, 0), (len(values), 0), (2, 2, 2)):
        with pytest.raises(InputError, match="shape"):
            score(name, **{key: np.zeros(shape)})
    for bad in (values.astype(str), values.astype(complex), values.astype(object)):
        with pytest.raises(InputTypeError, match="real numbers"):
            score(name, **{key: bad})


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (sparse.csr_array(np.ones((N - 1, N - 1))), rf"\({N - 1}, {N - 1}\)"),
        (sparse.csr_array(np.ones((N, N - 1))), rf"\({N}, {N - 1}\)"),
        (sparse.csr_array((N, N)), "0 edges|0 observations with neighbours|without an edge"),
    ],
)
def test_graphs_of_other_observations_or_without_edges(name, graph, words):
    with pytest.raises(InputError, match=words):
        score(name, graph=graph)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
@pytest.mark.parametrize("name", [name for name in GRAPHS if name != "fide"])  # where weights do not count
def test_weights_that_are_none(name, value):
    graph = sparse.csr_array(CALLS[name]["graph"])
    graph.data[7] = value
    with pytest.raises(InputError, match=r"infinite values in graph|weights of at least 0"):
        score(name, graph=graph)


def names_of(kind):
    """Functions of two matrices of genes × genes, or of two of observations × genes."""
    keys = {"pairs": lambda v: v.shape[0] == v.shape[1], "expression": lambda v: v.shape == LOGGED.shape}[kind]
    return [n for n, call in CALLS.items() if {"truth", "predicted"} <= set(call) and keys(call["predicted"])]


@pytest.mark.parametrize("name", names_of("pairs"))
@pytest.mark.parametrize("key", ["truth", "predicted"])
def test_a_correlation_that_is_not_symmetric(name, key):
    bent = CALLS[name][key].copy()
    bent[0, 1] += 0.01
    with pytest.raises(InputError, match=r"differs from its transpose by up to 0\.01[\s\S]*symmetric"):
        score(name, **{key: bent})


@pytest.mark.parametrize("name", ["ssim_ordered", "ssim_permuted"])
def test_fewer_genes_than_the_window(name):
    few = {key: CALLS[name][key][:5, :5] for key in ("truth", "predicted")}
    with pytest.raises(InputError, match="a matrix of side 5 and window=7"):
        score(name, **few, **({"order": np.arange(5)} if name == "ssim_ordered" else {}))


@pytest.mark.parametrize("name", names_of("expression"))
def test_constant_genes_are_left_out_of_expression_scores_and_counted(name):
    """The third gene of the table is nowhere; one more is made constant."""
    truth, predicted = CALLS[name]["truth"].copy(), CALLS[name]["predicted"]
    truth[:, 5] = 2.5
    found = score(name, truth=truth)
    flat = np.flatnonzero(sk.metrics.degenerate_genes(truth, predicted).constant_truth)
    assert flat.tolist() == [3, 5]
    if name == "degenerate_genes":
        assert found.scored.sum() == truth.shape[1] - 2
    elif name == "rmse":  # an error is one for a constant gene, too
        assert np.isfinite(found).all()
    elif name == "moran_ratio":  # undefined as well where the truth has no positive autocorrelation
        assert np.isnan(found[flat]).all()
        assert np.isfinite(found).any()
    else:
        assert np.flatnonzero(np.isnan(found)).tolist() == [3, 5]


@pytest.mark.parametrize("name", SPARSE_TOO)
def test_a_constant_gene_changes_no_other(name):
    """A gene that is nowhere scores nothing, or chance, in every function, dense and sparse."""
    per_gene = {"auroc": 0.5, "auroc_by_group": 0.5, "niche_scores": 0.5, "morans_i": np.nan, "gearys_c": np.nan}
    if name in per_gene:
        for kind in (np.asarray, sparse.csr_array):
            found = np.atleast_2d(score(name, X=kind(CALLS[name]["X"])))
            np.testing.assert_array_equal(found[:, 3], per_gene[name])
            assert np.isfinite(np.delete(found, 3, axis=1)).all()
    elif name == "rank_sum_test":
        table = score(name)
        assert table.loc[table["gene"] == 3, "p_value"].tolist() == [1.0, 1.0]
    elif name == "correlation":
        found = score(name)
        assert np.isnan(found[3]).all()
        assert sk.metrics.drop_undefined(found, found).n_dropped == 1
    elif name == "latent_correlation":
        assert np.isnan(score(name)[3]).all()
    elif name in {"morans_i_test", "gearys_c_test", "sparkx_test"}:
        table = score(name)
        assert table.isna().any(axis=1).to_numpy().nonzero()[0].tolist() == [3]
    else:
        assert name in {"lagged_correlation", "signature_statistics", "signature_truth"}


def test_one_member_niches():
    lonely = NICHE.astype(object)
    lonely[0] = "lonely"
    score_of = sk.metrics.auroc_by_group(LOGGED, lonely)[1]
    inside = (LOGGED[1:] < LOGGED[0]).mean(axis=0) + (LOGGED[1:] == LOGGED[0]).mean(axis=0) / 2
    np.testing.assert_allclose(score_of, inside)
    table = sk.metrics.rank_sum_test(LOGGED, lonely)
    assert table["p_value"].between(0, 1).all()
    for call in (sk.metrics.niche_scores, sk.metrics.signature_statistics):
        with pytest.raises(InputError, match="niches 'lonely' with under 2 observations"):
            call(LOGGED, lonely, PATIENT)
    with pytest.raises(InputError, match="under 2 observations"):
        sk.metrics.signature_truth(LOGGED, lonely == "lonely", patients=PATIENT)


def test_empty_niches():
    for mask in (np.zeros(N, dtype=bool), np.ones(N, dtype=bool)):
        for call in (sk.metrics.auroc, sk.metrics.signature_truth):
            with pytest.raises(InputError, match="at least one inside and one outside"):
                call(LOGGED, mask)
    assert np.isnan(sk.metrics.auroc_by_group(LOGGED, NICHE, groups=["core", "nowhere"])[1]).all()
    table = sk.metrics.rank_sum_test(LOGGED, NICHE, groups=["core", "nowhere"])
    assert table.loc[table["group"] == "nowhere", ["auroc", "z", "p_value"]].isna().all(axis=None)
    for call in (sk.metrics.auroc_by_group, sk.metrics.rank_sum_test):
        with pytest.raises(InputError, match="one group only: 'core'"):
            call(LOGGED, ["core"] * N)
