"""Linear baselines: held out by patient, and on one scale."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from stfmkit.evaluation.linear_baselines import LinearBaselines, baseline_folds, centred_coordinates
from stfmkit.evaluation.measured import Measured


@pytest.fixture
def measured(rng):
    counts = rng.poisson(rng.lognormal(1, 0.5, size=(60, 1)) * np.ones((1, 5))) + 1
    return Measured(matrix=sparse.csr_array(counts), scale="size_factor_log1p", depth=counts.sum(axis=1).astype(float))


def test_scales_are_those_by_hand(measured):
    counts, rows, columns = measured.matrix.toarray(), np.array([3, 1]), np.array([4, 0])
    sizes = np.array([10.0, 20.0])
    part = counts[rows][:, columns]
    expected = np.log1p(part / measured.depth[rows][:, None] * sizes[:, None])
    np.testing.assert_allclose(measured.scaled(rows, columns, size_target=sizes), expected)
    for scale, wanted in (("log1p", np.log1p(part)), ("counts", part), ("as_is", part)):
        other = Measured(matrix=measured.matrix, scale=scale, depth=None)
        np.testing.assert_allclose(other.scaled(rows, columns, size_target=sizes), wanted)
        assert other.counted is (scale != "as_is")


def test_predictions_are_those_of_sklearn_on_other_patients(measured):
    patients, sizes = np.repeat(["A", "B", "C"], 20), np.full(60, 12.0)
    features = {"library_size": np.log1p(measured.depth)[:, None]}
    folds = baseline_folds(patients, scored=np.ones(60, dtype=bool), train=None, seed=0)
    baselines = LinearBaselines(features, measured, size_targets=sizes, folds=folds)
    assert baselines.names == ["library_size"]
    found = baselines.predict(np.array([2, 3]))["library_size"]
    y = measured.scaled(np.arange(60), np.array([2, 3]), size_target=sizes)
    for patient in "ABC":
        test = patients == patient
        model = make_pipeline(StandardScaler(), Ridge(alpha=1.0)).fit(features["library_size"][~test], y[~test])
        np.testing.assert_allclose(found[test], model.predict(features["library_size"][test]))


def test_known_training_observations_are_the_only_fold(measured):
    train = np.arange(60) < 30
    folds = baseline_folds(np.repeat(["A", "B"], 30), scored=~train, train=train, seed=0)
    assert len(folds) == 1
    baselines = LinearBaselines({"one": np.arange(60.0)[:, None]}, measured, size_targets=np.ones(60), folds=folds)
    found = baselines.predict(np.array([0]))["one"]
    assert np.isnan(found[train]).all()
    assert np.isfinite(found[~train]).all()
    one_patient = baseline_folds(np.repeat("A", 60), scored=~train, train=None, seed=0)
    assert LinearBaselines({}, measured, size_targets=np.ones(60), folds=one_patient).names == []


def test_coordinates_are_centred_in_every_sample(rng):
    samples = np.repeat([0, 1, 2], [20, 30, 1])
    found = centred_coordinates(rng.uniform(5, 900, size=(51, 2)), samples)
    for sample in (0, 1):
        rows = found[samples == sample]
        np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-12)
        assert np.sqrt((rows**2).sum(axis=1).mean()) == pytest.approx(1)
    np.testing.assert_array_equal(found[-1], [0, 0])
