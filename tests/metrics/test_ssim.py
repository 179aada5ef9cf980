"""SSIM against scikit-image, also of co-expression in fixed and random orders of the genes."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform
from skimage.metrics import structural_similarity

from stfmkit._core.errors import InputError, InputTypeError
from stfmkit.metrics import coexpression_order, ssim, ssim_global, ssim_ordered, ssim_permuted

MATRIX = arrays(np.float64, (9, 8), elements=st.floats(-1, 1, allow_subnormal=False))


@pytest.mark.parametrize("shape", [(7, 7), (8, 31), (120, 90), (70, 600)])
@pytest.mark.parametrize("window", [3, 7])
@pytest.mark.parametrize("data_range", [1.0, 2.0, 255.0])
def test_equal_to_skimage(rng, shape, window, data_range):
    a = rng.uniform(-1, 1, size=shape) * data_range / 2
    b = a + rng.normal(size=shape) * data_range / 10
    expected = structural_similarity(a, b, win_size=window, data_range=data_range)
    assert ssim(a, b, window=window, data_range=data_range) == pytest.approx(expected, abs=1e-10)


def test_equal_to_skimage_on_flat_blocks_and_with_an_offset(rng):
    a = np.kron(rng.uniform(-1, 1, size=(6, 6)), np.ones((20, 20))) + 100
    b = a + 1e-3 * rng.normal(size=a.shape)
    assert ssim(a, b, data_range=2) == pytest.approx(structural_similarity(a, b, win_size=7, data_range=2), abs=1e-7)


def test_single_precision_is_computed_in_double(rng):
    a, b = rng.uniform(-1, 1, size=(2, 30, 30)).astype(np.float32)
    expected = structural_similarity(a.astype(float), b.astype(float), win_size=7, data_range=2)
    assert ssim(a, b, data_range=2) == pytest.approx(expected, abs=1e-12)
    assert ssim(a.T, b.T, data_range=2) == pytest.approx(
        structural_similarity(a.T.astype(float), b.T.astype(float), win_size=7, data_range=2), abs=1e-12
    )


@settings(deadline=None)
@given(MATRIX, MATRIX)
def test_bounds_symmetry_and_identity(a, b):
    score = ssim(a, b, data_range=2)
    assert -1 - 1e-12 <= score <= 1 + 1e-12
    assert ssim(b, a, data_range=2) == pytest.approx(score, abs=1e-12)
    assert ssim(a, a, data_range=2) == pytest.approx(1, abs=1e-12)
    assert ssim(a.T, b.T, data_range=2) == pytest.approx(score, abs=1e-12)
    assert ssim(5 * a, 5 * b, data_range=10) == pytest.approx(score, abs=1e-9)


def test_noise_lowers_the_score(rng):
    a = rng.uniform(-1, 1, size=(40, 40))
    noise = rng.normal(size=a.shape)
    scores = [ssim(a, a + size * noise, data_range=2) for size in (0.0, 0.1, 0.3, 1.0)]
    assert scores == sorted(scores, reverse=True)


def test_nothing_is_written_to_the_input(rng):
    a, b = rng.uniform(size=(2, 10, 10))
    before = a.copy(), b.copy()
    ssim(a, b, data_range=1)
    assert (a == before[0]).all()
    assert (b == before[1]).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"b": np.zeros((9, 8))}, "shape"),
        ({"a": np.zeros((6, 9)), "b": np.zeros((6, 9))}, "side 6 and window=7"),
        ({"window": 4}, "odd"),
        ({"window": 1}, "window=1"),
        ({"window": 7.5}, "window=7.5"),
        ({"data_range": 0.0}, "data_range"),
        ({"data_range": np.inf}, "data_range"),
        ({"a": np.full((9, 9), np.nan)}, "81 NaN or infinite values in a"),
        ({"b": np.full((9, 9), -np.inf)}, "81 NaN or infinite values in b"),
        ({"a": np.zeros(9)}, "shape"),
    ],
)
def test_unusable_input_is_refused(change, words):
    given_ = {"a": np.zeros((9, 9)), "b": np.zeros((9, 9)), "window": 7, "data_range": 2.0} | change
    with pytest.raises(InputError, match=words):
        ssim(given_.pop("a"), given_.pop("b"), **given_)


def test_complex_numbers_are_refused():
    with pytest.raises(InputTypeError, match="complex"):
        ssim(np.zeros((9, 9), dtype=complex), np.zeros((9, 9)), data_range=1)


NAN = float("nan")


def modules(rng, *, n_obs=300, shift=0, noise=0.0):
    """Correlations of 20 genes in 4 modules, shuffled."""
    hidden = rng.normal(size=(n_obs, 4))
    member = (np.arange(20) + shift) % 4
    X = hidden[:, member] + rng.normal(size=(n_obs, 20)) * (1 + noise)
    return np.corrcoef(X.T)


def undefined(matrix, *genes):
    out = matrix.copy()
    for g in genes:
        out[g] = out[:, g] = NAN
    return out


def test_order_puts_modules_together(rng):
    order = coexpression_order(modules(rng))
    assert sorted(order.tolist()) == list(range(20))
    member = order % 4
    assert (np.diff(member) != 0).sum() == 3


def test_order_is_shorter_than_that_of_the_plain_tree(rng):
    c = modules(rng)
    distance = np.clip(1 - c, 0, None)
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), "average")

    def length(order):
        return sum(distance[i, j] for i, j in pairwise(order))

    assert length(coexpression_order(c)) < length(leaves_list(tree))


def test_order_puts_undefined_genes_last(rng):
    c = modules(rng)
    order = coexpression_order(undefined(c, 3, 8))
    assert order[-2:].tolist() == [3, 8]
    kept = np.delete(np.arange(20), [3, 8])
    np.testing.assert_array_equal(order[:-2], kept[coexpression_order(c[np.ix_(kept, kept)])])


@pytest.mark.parametrize("n", [1, 2])
def test_order_of_hardly_any_genes(n):
    assert coexpression_order(np.eye(n)).tolist() == list(range(n))


def test_ordered_equals_skimage(rng):
    a, b = modules(rng), modules(rng, noise=0.5)
    order = coexpression_order(a)
    x, y = (m[np.ix_(order, order)].copy() for m in (a, b))
    np.fill_diagonal(x, 0)
    np.fill_diagonal(y, 0)
    for window in (3, 7):
        expected = structural_similarity(x, y, win_size=window, data_range=2)
        assert ssim_ordered(a, b, order=order, window=window) == pytest.approx(expected, abs=1e-12)


def test_undefined_genes_are_left_out_of_the_order(rng):
    a, b = modules(rng), modules(rng, noise=0.5)
    order = rng.permutation(20)
    first, second = undefined(a, 4), undefined(b, 0, 11)
    kept = [g for g in order if g not in {0, 4, 11}]
    expected = ssim_ordered(a[np.ix_(kept, kept)], b[np.ix_(kept, kept)], order=np.arange(17))
    assert ssim_ordered(first, second, order=order) == pytest.approx(expected, abs=1e-15)


def test_too_few_common_genes_have_no_score(rng):
    a, b = modules(rng), undefined(modules(rng), *range(14))
    assert np.isnan(ssim_ordered(a, b, order=np.arange(20)))
    assert np.isnan(ssim_permuted(a, b, n_orders=2)).all()
    assert np.isnan(ssim_global(a, undefined(a, *range(18))))


def test_permuted_is_the_mean_over_seeded_orders(rng):
    a, b = modules(rng), modules(rng, noise=0.5)
    generator = np.random.default_rng(5)
    scores = [ssim_ordered(a, b, order=generator.permutation(20)) for _ in range(12)]
    found = ssim_permuted(a, b, n_orders=12, rng=5)
    assert found.mean == pytest.approx(np.mean(scores), abs=1e-15)
    assert found.sd == pytest.approx(np.std(scores, ddof=1), abs=1e-15)
    assert found == ssim_permuted(a, b, n_orders=12, rng=np.random.default_rng(5))
    assert found != ssim_permuted(a, b, n_orders=12, rng=6)


def test_global_is_skimage_with_one_window(rng):
    a, b = (m[:7, :7] for m in (modules(rng), modules(rng, noise=0.5)))  # 21 pairs, an odd number
    upper = np.triu_indices(7, 1)
    expected = structural_similarity(a[upper], b[upper], win_size=21, data_range=2)
    assert ssim_global(a, b) == pytest.approx(expected, abs=1e-12)


def test_only_the_global_score_is_free_of_the_order(rng):
    a, b = modules(rng), modules(rng)
    mixed = rng.permutation(20)
    grid = np.ix_(mixed, mixed)
    assert ssim_global(a[grid], b[grid]) == pytest.approx(ssim_global(a, b), abs=1e-12)
    by_module, by_chance = coexpression_order(a), np.arange(20)
    # same structure in both: blocks of noise around a common level score low, although nothing is wrong
    assert ssim_ordered(a, b, order=by_module) < ssim_ordered(a, b, order=by_chance) - 0.05


def test_wrong_modules_score_low_in_every_form(rng):
    a, right = modules(rng), modules(rng)
    scramble = rng.permutation(20)
    wrong = right[np.ix_(scramble, scramble)]
    order = coexpression_order(a)
    assert ssim_ordered(a, right, order=order) > ssim_ordered(a, wrong, order=order) + 0.1
    assert ssim_permuted(a, right, n_orders=5).mean > ssim_permuted(a, wrong, n_orders=5).mean + 0.3
    assert ssim_global(a, right) > ssim_global(a, wrong) + 0.3


@pytest.mark.parametrize("order", [[0, 1, 2], [0] * 20, list(range(1, 21)), np.zeros((20, 1))])
def test_what_is_no_order_is_refused(rng, order):
    with pytest.raises(InputError, match="each of 20 genes once"):
        ssim_ordered(modules(rng), modules(rng), order=order)


@pytest.mark.parametrize(
    "metric",
    [lambda a, b, **k: ssim_ordered(a, b, order=np.arange(len(a)), **k), ssim_permuted],
)
def test_unusable_matrices_are_refused(metric, rng):
    a = modules(rng)
    with pytest.raises(InputError, match="side 6 and window=7"):
        metric(np.eye(6), np.eye(6))
    with pytest.raises(InputError, match="odd"):
        metric(a, a, window=6)
    with pytest.raises(InputError, match="transpose"):
        metric(a, np.triu(a))
    with pytest.raises(InputError, match="same genes"):
        metric(a, a[:-1, :-1])


def test_one_order_has_no_spread(rng):
    with pytest.raises(InputError, match="n_orders=1"):
        ssim_permuted(modules(rng), modules(rng), n_orders=1)
