"""Logarithms of known genes, against dense arithmetic."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from stfmkit.models.nets.value_kernels import log_values


@settings(deadline=None)  # the first call compiles
@given(
    seed=st.integers(0, 10_000),
    n_rows=st.integers(1, 40),
    target=st.sampled_from([0.0, 1e4]),
    rate=st.sampled_from([0.8, 64.0, 5000.0]),
    step=st.sampled_from([1.0, 0.3]),
)
def test_every_row_equals_dense_arithmetic(seed: int, n_rows: int, target: float, rate: float, step: float) -> None:
    draw = np.random.default_rng(seed)
    counts = sparse.csr_array((draw.poisson(rate, size=(n_rows, 9)) * step).astype(np.float32))
    counts.data[: counts.nnz // 4] = 0  # stored zeros
    tokens = draw.permutation(12)[:9]
    tokens[draw.random(9) < 0.3] = -1
    starts, ids, values = log_values((counts.indptr, counts.indices, counts.data), tokens, target=target)
    dense = counts.toarray().astype(np.float64) * (tokens >= 0)
    total = dense.sum(axis=1, keepdims=True)
    scale = target / np.where(total > 0, total, 1) if target else 1.0
    found = np.zeros((n_rows, 12))
    found[np.repeat(np.arange(n_rows), np.diff(starts)), ids] = values
    np.testing.assert_array_equal(np.diff(starts), (dense > 0).sum(axis=1))
    np.testing.assert_allclose(found[:, tokens[tokens >= 0]], np.log1p(dense * scale)[:, tokens >= 0], rtol=2e-7)
    assert values.dtype == np.float32
