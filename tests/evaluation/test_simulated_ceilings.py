"""The script behind the page on ceilings: its best possible predictor is the conditional mean."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse, stats

from stfmkit.evaluation.molecules import Molecules

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script():
    spec = spec_from_file_location("simulate_ceilings", ROOT / "benchmarks" / "simulate_ceilings.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("dispersion", [0.0, 0.5])
def test_the_best_predictor_is_what_counts_are_expected_to_be(script, dispersion):
    rates = np.array([[0.05, 3.0, 20.0], [1.0, 45.0, 400.0]])
    size = np.array([0.5, 1.5])
    own = Molecules(counts=sparse.csr_array(np.ones((2, 3))), library_size=size, target_sum=1.0)
    mean, k = rates * size[:, None], np.arange(20_000)[:, None, None]
    p = stats.nbinom.pmf(k, 1 / dispersion, 1 / (1 + dispersion * mean)) if dispersion else stats.poisson.pmf(k, mean)
    expected = (p * np.log1p(k / size[:, None])).sum(axis=0)
    found = script._conditional_mean(rates, own, dispersion)
    below = mean < 50
    np.testing.assert_allclose(found[below], expected[below], rtol=1e-6)
    if not dispersion:
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_best_predictor_is_near_its_ceiling_and_sharing_noise_lowers_shares(script):
    found = [script._best(60, 2.0, 0.3, 0.0, seed=seed) for seed in range(6)]
    share, alone = (np.mean([one[name] for one in found]) for name in ("share", "unshared noise"))
    assert 0.85 < share < 1.1
    assert alone > share + 0.05
