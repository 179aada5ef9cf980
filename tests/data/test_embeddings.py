"""An embedding is finite numbers, one row for every observation."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
from stfmkit._data.embeddings import check_embedding, embedding_record, other_space, read_embedding
from stfmkit._data.write_slots import write_embedding


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix, pd.DataFrame])
def test_an_embedding_is_read_as_it_is_stored(toy, rng, kind):
    values = rng.normal(size=(toy.n_obs, 3)).astype(np.float32)
    stored = kind(values)
    toy.obsm["X_a"] = stored.set_axis(toy.obs_names) if isinstance(stored, pd.DataFrame) else stored
    read = read_embedding(toy, "X_a")
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, values)


def test_a_missing_embedding_is_suggested(toy):
    toy.obsm["X_pca"] = np.ones((toy.n_obs, 2))
    with pytest.raises(MissingKeyError, match=r"reference_key='X_pac'(?s:.)*Did you mean 'X_pca'"):
        read_embedding(toy, "X_pac", role="reference_key")


def test_observations_that_are_not_finite_are_named(toy):
    toy.obsm["X_a"] = np.ones((toy.n_obs, 2))
    toy.obsm["X_a"][[5, 9], 1] = [np.nan, np.inf]
    with pytest.raises(InputError, match=r"2 observations with NaN(?s:.)*obsm\['X_a'\]: 'spot5', 'spot9'"):
        read_embedding(toy, "X_a")


@pytest.mark.parametrize(
    ("values", "error", "text"),
    [
        (np.ones((239, 2)), InputError, r"an array of shape \(239, 2\)(?s:.)*\(240, d\)"),
        (np.ones(240), InputError, r"\(240,\)"),
        (np.ones((240, 0)), InputError, r"\(240, 0\)"),
        (np.full((240, 2), "a"), InputTypeError, "dtype"),
        (object(), InputTypeError, "object"),
    ],
)
def test_refused(toy, values, error, text):
    with pytest.raises(error, match=text):
        check_embedding(values, toy.obs_names, where="an array")


def test_the_record_of_an_embedding_is_found_by_its_key(toy):
    assert embedding_record(toy, "X_a") == {}
    write_embedding(toy, "X_a", np.ones((toy.n_obs, 2)), {"model": "a", "n_obs_fitted": 7})
    assert embedding_record(toy, "X_a")["n_obs_fitted"] == 7


def record(*, model="net", fitted=0, sha=None, rng=0, seconds=1.0, **options):
    loaded = {} if sha is None else {"provenance": {"sha256": {"model.bin": sha}}}
    return {"model": model, "n_obs_fitted": fitted, "rng": rng, "seconds": seconds, "options": options} | loaded


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        (record(sha="a"), record(sha="a", seconds=2.0, rng=3), ""),
        (record(sha="a"), record(sha="b"), "different weights"),
        (record(sha="a"), record(), "different weights"),
        (record(rng=0), record(rng=1), "different weights"),
        (record(model="a"), record(model="b"), "of the model 'a', the other of 'b'"),
        (record(fitted=9), record(fitted=9), ""),
        (record(fitted=9), record(fitted=9, seconds=2.0), "fitted twice"),
        (record(fitted=9), record(), "fitted twice"),
        (record(sha="a", layer=1), record(sha="a", layer=2), "layer=1 and 2"),
        (record(sha="a", layer=1), record(sha="a"), "layer=1 and None"),
        (record(sha="a", device="cpu", weights="x"), record(sha="a", device="cuda", weights="y"), ""),
    ],
)
def test_records(first, second, why):
    for one, other in ((first, second), (second, first)):
        found = other_space(one, other)
        assert bool(found) == bool(why)
    assert why in other_space(first, second)
