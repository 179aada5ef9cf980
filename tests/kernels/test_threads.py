"""Work in parts: complete, in order, and the same whatever the number of threads."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from stfmkit._kernels import _threads
from stfmkit._kernels._autocorrelation import sums_of
from stfmkit._kernels._autocorrelation_null import permuted
from stfmkit._kernels._gene_stats import area_frac
from stfmkit._kernels._ranks import rank_sums
from stfmkit._kernels._threads import over_spans, spans


@given(st.integers(0, 300), st.integers(1, 40))
def test_parts_cover_the_range_once_and_none_is_empty(n, n_spans):
    found = [list(range(a, b)) for a, b in spans(n, n_spans=n_spans)]
    assert [i for part in found for i in part] == list(range(n))
    assert all(found)
    assert len(found) <= n_spans


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_the_order_of_the_parts(monkeypatch, threads):
    monkeypatch.setattr(_threads, "n_threads", lambda: threads)
    assert over_spans(lambda a, b: (a, b), 10, n_spans=4) == list(spans(10, n_spans=4))
    assert over_spans(lambda a, b: (a, b), 0) == []


def test_several_threads_are_used_where_there_are_several(monkeypatch):
    monkeypatch.setattr(_threads, "n_threads", lambda: 2)
    meet = threading.Barrier(2, timeout=20)
    assert over_spans(lambda a, b: meet.wait() >= 0, 2, n_spans=2) == [True, True]


def test_short_work_starts_no_thread(monkeypatch):
    monkeypatch.setattr(_threads, "n_threads", lambda: 2)
    here = threading.get_ident()
    assert over_spans(lambda a, b: threading.get_ident(), 8, n_spans=4, short=True) == [here] * 4


def test_small_matrices_have_the_same_bits_in_one_thread(monkeypatch):
    from stfmkit._kernels import _ssim

    monkeypatch.setattr(_threads, "n_threads", lambda: 3)
    a, b = np.random.default_rng(0).uniform(-1, 1, size=(2, 60, 60))
    constants = (1e-4, 9e-4)
    order = np.random.default_rng(1).permutation(60)
    found = [_ssim.mean_ssim(a, b, 7, constants), _ssim.mean_ssim_ordered((a, b), order, 7, constants)]
    monkeypatch.setattr(_ssim, "_SHORT", 0)
    assert found == [_ssim.mean_ssim(a, b, 7, constants), _ssim.mean_ssim_ordered((a, b), order, 7, constants)]


def test_an_error_in_a_part_is_raised(monkeypatch):
    monkeypatch.setattr(_threads, "n_threads", lambda: 2)
    with pytest.raises(ZeroDivisionError):
        over_spans(lambda a, b: 1 // a, 4)


def test_the_number_of_threads_changes_no_bit(monkeypatch, rng):
    """Sums of floats depend on their order, so this fails if the parts follow the threads."""
    x = sparse.csr_array(np.where(rng.uniform(size=(400, 60)) < 0.4, rng.gamma(2, size=(400, 60)), 0.0))
    graph = sparse.csr_array(sparse.random_array((400, 400), density=0.02, rng=rng))
    codes = rng.integers(0, 5, 400)
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(_threads, "n_threads", lambda threads=threads: threads)
        orders = permuted(x, graph, statistic="moran", n_permutations=70, rng=np.random.default_rng(1))
        found.append([*sums_of(x, graph), *orders, rank_sums(x, codes=codes, n_groups=5), area_frac(x, graph)])
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, two)
