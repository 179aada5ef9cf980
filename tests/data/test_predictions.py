"""A prediction is matched to the table by name, and refused where it cannot be what it is said to be."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
from stfmkit._data.predictions import Prediction, check_prediction, read_prediction


@pytest.fixture
def frame(toy, rng):
    """Predictions of three genes, not in the order of the table."""
    return pd.DataFrame(rng.random((toy.n_obs, 3)), index=toy.obs_names, columns=["G7", "G2", "G31"])


def test_layer_table_in_obsm_and_table_are_read(toy, frame):
    toy.layers["model"] = sparse.csr_matrix(toy.X.toarray() * 2)
    layer = read_prediction(toy, "model")
    np.testing.assert_array_equal(layer.matrix.toarray(), toy.X.toarray() * 2)
    np.testing.assert_array_equal(layer.columns, np.arange(toy.n_vars))
    toy.obsm["model_b"] = frame
    for prediction in (read_prediction(toy, "model_b"), read_prediction(toy, frame)):
        np.testing.assert_array_equal(prediction.columns, [7, 2, 31])
        np.testing.assert_array_equal(prediction.dense(np.array([4, 0]), slice(1, 3)), frame.to_numpy()[[4, 0], 1:3])


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda f: f.iloc[::-1], InputError, "the same in another order"),
        (lambda f: f.iloc[:9], InputError, "9 rows"),
        (lambda f: f.rename(columns={"G2": "g2"}), MissingKeyError, r"1 predicted genes(?s:.)*Did you mean 'G2'"),
        (lambda f: f.rename(columns={"G2": "G7"}), InputError, "1 of them repeated: 'G7'"),
        (lambda f: f.iloc[:, :0], InputError, "0 genes"),
        (lambda f: f.assign(G2="a"), InputTypeError, "not numbers: 'G2'"),
    ],
)
def test_tables_refused(toy, frame, change, error, text):
    with pytest.raises(error, match=text):
        read_prediction(toy, change(frame))


def test_names_refused(toy, frame):
    toy.layers["both"], toy.obsm["both"] = toy.X, frame
    with pytest.raises(InputError, match="'both' in layers and in obsm"):
        read_prediction(toy, "both")
    toy.obsm["array"] = frame.to_numpy()
    with pytest.raises(InputTypeError, match="does not say what its columns are"):
        read_prediction(toy, "array")
    with pytest.raises(MissingKeyError, match="Did you mean 'array'"):
        read_prediction(toy, "arrays")


def prediction(values):
    values = sparse.csr_array(values) if sparse.issparse(values) else np.asarray(values, dtype=float)
    return Prediction(matrix=values, genes=np.array(["a", "b"]), columns=np.arange(2), where="layers['m']")


def test_nan_is_not_predicted():
    nan = np.nan
    np.testing.assert_array_equal(
        check_prediction(prediction([[nan, nan], [1, nan], [1, 2]]), scale="as_is"), [False, True, True]
    )
    assert check_prediction(prediction(sparse.csr_matrix(np.eye(2))), scale="counts").all()


@pytest.mark.parametrize(
    ("values", "scale", "text"),
    [
        ([[1, np.inf]], "as_is", r"1 infinite (?s:.)*layers\['m'\]"),
        ([[1, -1]], "counts", "1 negative values"),
        ([[1, 31]], "log1p", "as high as 31"),
        ([[1, 31]], "size_factor_log1p", "as high as 31"),
        ([[np.nan, np.nan]], "as_is", "all NaN"),
        (sparse.csr_matrix(np.array([[1, np.nan]])), "as_is", "in a sparse layer, NaN"),
        ([[1, 2]], "log", "scale='log'"),
    ],
)
def test_values_refused(values, scale, text):
    with pytest.raises(InputError, match=text):
        check_prediction(prediction(values), scale=scale)
