"""Noise that is noise, and hangs on the name alone."""

import numpy as np
import pandas as pd
from scipy import stats

from stfmkit.models import load_model
from stfmkit.models.keyed_random import named_normals
from stfmkit.models.runtime.run import ModelRun

GOLDEN = [[0.2704185076502768, 1.2166936304060414], [-0.23574280313685883, 0.6305037453064595]]


def test_is_standard_normal_and_independent():
    values = named_normals(pd.Index([f"cell{i}" for i in range(4000)]), seed=0, dimension=20)
    assert values.shape == (4000, 20)
    assert stats.kstest(values.ravel(), "norm").pvalue > 1e-3
    columns = np.corrcoef(values, rowvar=False)[np.triu_indices(20, 1)]
    assert np.abs(columns).max() < 5 / np.sqrt(4000)
    rows = (values[:-1] * values[1:]).sum(axis=1)
    assert abs(rows.mean()) < 5 * np.sqrt(20 / 4000)


def test_vector_hangs_on_name_and_seed_alone(block):
    model = load_model("random", rng=3, dimension=8)
    whole = ModelRun(model).embed(block)
    rows = np.array([40, 3, 77])
    assert np.array_equal(ModelRun(model).embed(block.take(rows)), whole[rows])
    assert np.array_equal(ModelRun(load_model("random", rng=3, dimension=12)).embed(block)[:, :8], whole)
    assert not np.isclose(ModelRun(load_model("random", rng=4, dimension=8)).embed(block), whole).any()


def test_seeds_are_unrelated():
    names = pd.Index([f"cell{i}" for i in range(2000)])
    a, b = (named_normals(names, seed=seed, dimension=10) for seed in (0, 1))
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 5 / np.sqrt(20000)


def test_names_of_other_kinds_of_index():
    text = named_normals(pd.Index(["1", "2"]), seed=0, dimension=3)
    assert np.array_equal(named_normals(pd.Index([1, 2]), seed=0, dimension=3), text)
    assert np.array_equal(named_normals(pd.Index(["1", "2"], dtype="string"), seed=0, dimension=3), text)
    assert np.array_equal(named_normals(pd.CategoricalIndex(["1", "2"]), seed=0, dimension=3), text)


def test_bits_do_not_change_with_the_version():
    found = named_normals(pd.Index(["spot0", "µ"]), seed=0, dimension=2)
    np.testing.assert_allclose(found, GOLDEN, rtol=1e-12)


def test_rows_of_a_large_table_are_those_of_a_part():
    names = pd.Index(np.arange(100_000).astype(str))
    some = [0, 17, 65_535, 65_536, 99_999]
    whole = named_normals(names, seed=0, dimension=10)
    assert np.array_equal(whole[some], named_normals(names[some], seed=0, dimension=10))
