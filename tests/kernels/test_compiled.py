"""Kernels are kept on disk where that is possible, and work where it is not."""

import subprocess
import sys

NOWHERE = """
import warnings
from numba.core import caching
caching.CacheImpl._locator_classes = []
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("default")
    import numpy as np
    import stfmkit as sk
    values = np.random.default_rng(0).normal(size=(30, 4))
    print(np.allclose(sk.metrics.correlation(values), np.corrcoef(values.T)))
    import stfmkit.bm
print(sum("NUMBA_CACHE_DIR" in str(one.message) for one in told))
"""


def test_without_a_place_for_what_was_compiled():
    done = subprocess.run([sys.executable, "-c", NOWHERE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    works, told = done.stdout.split()
    assert works == "True"
    assert told == "1"
