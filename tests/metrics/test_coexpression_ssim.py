"""SSIM of co-expression: scikit-image as the oracle, and the pitfalls it is known for."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform
from skimage.metrics import structural_similarity

from stfmkit._core.errors import InputError
from stfmkit.metrics import coexpression_order, ssim_global, ssim_ordered, ssim_permuted

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
