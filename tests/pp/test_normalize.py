"""Normalisation against scanpy; the target is fixed and recorded."""

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit.pp._normalize import normalize


def test_is_scanpys(toy):
    want = ad.AnnData(toy.X.astype(np.float64))
    sc.pp.normalize_total(want)
    sc.pp.log1p(want)
    before = toy.X.toarray()
    assert normalize(toy) is None
    np.testing.assert_allclose(toy.layers["size_factor_log1p"].toarray(), want.X.toarray(), rtol=1e-12)
    np.testing.assert_array_equal(toy.X.toarray(), before)
    record = toy.uns["stfmkit"]["normalize"]["results"]["size_factor_log1p"]
    assert record == {"scale": "size_factor_log1p", "target_sum": np.median(before.sum(axis=1)), "layer": None}


def test_log1p_of_raw_counts_is_scanpys(toy):
    want = sc.pp.log1p(toy.X.astype(np.float64), copy=True)
    normalize(toy, scale="log1p")
    np.testing.assert_allclose(toy.layers["log1p"].toarray(), want.toarray(), rtol=1e-12)
    assert toy.uns["stfmkit"]["normalize"]["results"]["log1p"]["target_sum"] is None
    with pytest.raises(InputError, match="leave target_sum out"):
        normalize(toy, scale="log1p", target_sum=1e4)
    with pytest.raises(InputError, match="scale='log'"):
        normalize(toy, scale="log")


def test_fixed_target_is_scanpys(toy):
    want = ad.AnnData(toy.X.astype(np.float64))
    sc.pp.normalize_total(want, target_sum=1e4)
    sc.pp.log1p(want)
    np.testing.assert_allclose(normalize(toy, target_sum=1e4, copy=True).toarray(), want.X.toarray(), rtol=1e-12)
    assert "size_factor_log1p" not in toy.layers


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.5, 1e5))
def test_rows_sum_to_the_target(seed, target):
    counts = np.random.default_rng(seed).poisson(1.0, (8, 5)).astype(np.float32)
    counts[:, 0] += 1
    values = normalize(ad.AnnData(counts), target_sum=target, copy=True)
    np.testing.assert_allclose(np.expm1(values.toarray()).sum(axis=1), target, rtol=1e-9)


def test_train_and_test_agree_with_one_target(toy):
    train, test = toy[:100].copy(), toy[100:].copy()
    normalize(train)
    target = train.uns["stfmkit"]["normalize"]["results"]["size_factor_log1p"]["target_sum"]
    normalize(test, target_sum=target)
    both = normalize(toy, target_sum=target, copy=True).toarray()
    np.testing.assert_array_equal(both[:100], train.layers["size_factor_log1p"].toarray())
    np.testing.assert_array_equal(both[100:], test.layers["size_factor_log1p"].toarray())


def test_layer_in_and_dense_in(toy):
    toy.layers["counts"] = toy.X.toarray()
    want = normalize(toy, copy=True).toarray()
    toy.X = None
    np.testing.assert_array_equal(normalize(toy, layer="counts", copy=True).toarray(), want)
    with pytest.raises(MissingKeyError, match="Did you mean 'counts'"):
        normalize(toy, layer="count")


def test_faults_are_named(toy):
    with pytest.raises(InputError, match="target_sum=0"):
        normalize(toy, target_sum=0)
    toy.layers["size_factor_log1p"] = toy.X.copy()
    with pytest.raises(InputError, match="already has"):
        normalize(toy)
    normalize(toy, key_added="mine")
    normalize(toy, key_added="mine")  # what it wrote itself may be written again
    empty = toy.copy()
    counts = empty.X.toarray()
    counts[4] = 0
    empty.X = sparse.csr_matrix(counts)
    with pytest.raises(InputError, match="1 observations without any count: 'spot4'"):
        normalize(empty, key_added="other")
