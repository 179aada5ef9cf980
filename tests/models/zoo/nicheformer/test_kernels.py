"""Ranking by share over mean, against one row at a time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from stfmkit.models.zoo.nicheformer.kernels import rank_shares


@given(seed=st.integers(0, 10_000), limit=st.integers(1, 12), n_rows=st.integers(1, 40))
def test_every_row_is_sorted_as_alone(seed: int, limit: int, n_rows: int) -> None:
    draw = np.random.default_rng(seed)
    counts = sparse.csr_array(draw.poisson(0.8, size=(n_rows, 9)).astype(np.float32))
    means = draw.choice([1.0, 2.0, 3.0, -2.0, np.nan], size=9)
    tokens, tail = 30 + np.cumsum(draw.integers(1, 4, size=9)), np.array([5, 7, 6])[: draw.integers(0, 4)]
    limits, found = rank_shares((counts.indptr, counts.indices, counts.data), (tokens, means), tail, limit=limit)
    for row, dense in enumerate(counts.toarray().astype(np.float64)):
        seen = np.flatnonzero((dense > 0) & ~np.isnan(means))
        values = dense * (10_000 / max(dense.sum(), 1)) / means
        order = seen[np.argsort(-values[seen], kind="stable")]
        np.testing.assert_array_equal(found[limits[row] : limits[row + 1]], [*tokens[order], *tail][:limit])
