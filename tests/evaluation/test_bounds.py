"""Upper bounds: their ends, and what genes of one sample share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from stfmkit.evaluation.bounds import joint_bounds, overlap_bound, upper_bound


@given(arrays(float, st.integers(1, 30), elements=st.floats(-0.99, 0.99)), st.integers(3, 5000))
def test_joint_bounds_lie_between_the_own_and_the_common_one(r, n_obs):
    found = joint_bounds(r, n_obs)
    common = upper_bound(np.tanh(np.arctanh(r).mean()))
    own = upper_bound(r)
    assert ((found >= np.minimum(own, common) - 1e-6) & (found <= np.maximum(own, common) + 1e-6)).all()
    np.testing.assert_allclose(joint_bounds(r, 10**9), own, atol=1e-3)
    order = np.argsort(r)
    assert (np.diff(found[order]) >= -1e-12).all()
    holes = joint_bounds(np.append(r, np.nan), n_obs)
    assert np.isnan(holes[-1])
    np.testing.assert_allclose(holes[:-1], found)


def test_equal_genes_share_one_bound():
    """Genes of one reliability in few observations: their spread is noise, and a root of it would be too low."""
    rng = np.random.default_rng(0)
    truth, n_obs = 0.2, 60
    pairs = rng.multivariate_normal([0, 0], [[1, truth], [truth, 1]], size=(400, n_obs))
    r = np.array([stats.pearsonr(*pair.T)[0] for pair in pairs])
    true = np.sqrt(2 * truth / (1 + truth))
    assert joint_bounds(r, n_obs).mean() == pytest.approx(true, abs=0.02)
    assert upper_bound(r).mean() < true - 0.03


@pytest.mark.parametrize(("bound", "root"), [(upper_bound, 0.5), (overlap_bound, 1.0)])
def test_bounds_of_an_agreement(bound, root):
    np.testing.assert_allclose(bound([0.5, 1.0, 0.0, -0.4]), [(2 / 3) ** root, 1, 0, 0])
    assert np.isnan(bound(np.nan))
    assert bound(0.2).shape == ()
