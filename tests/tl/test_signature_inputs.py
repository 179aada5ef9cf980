"""What niche signatures cannot be computed from is refused before any work: found, allowed, remedy."""

import numpy as np
import pytest
from scipy import sparse

import stfmkit as sk
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError

KEYS = {"patient_key": "patient"}


def run(adata, niche="niche", **options):
    return sk.tl.niche_signatures(adata, niche, copy=True, **(KEYS | {"sizes": 10} | options))


@pytest.fixture
def predicted(toy):
    """A table with its size-factor log1p as a perfect prediction."""
    counts = toy.X.toarray().astype(float)
    depth = counts.sum(axis=1, keepdims=True)
    toy.layers["truth"] = sparse.csr_matrix(np.log1p(counts / depth * np.median(depth)))
    return toy


def plant(toy, value):
    matrix = toy.layers["truth"].toarray()
    matrix[3, 5] = value
    toy.layers["bad"] = matrix
    return toy


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_predictions_that_are_not_finite_are_refused(predicted, value):
    with pytest.raises(InputError, match=r"1 (NaN or )?infinite .*values in layers\['bad'\]"):
        run(plant(predicted, value), prediction="bad")


def test_values_off_the_declared_scale_are_refused(predicted):
    plant(predicted, 80.0)
    with pytest.raises(InputError, match=r"predictions as high as 80(?s:.)*scale='counts'"):
        run(predicted, prediction="bad")
    with pytest.raises(InputError, match=r"1 negative values"):
        run(plant(predicted, -1.0), prediction="bad", scale="counts")
    with pytest.raises(InputError, match="not integers"):
        run(predicted, layer="truth")
    with pytest.raises(InputError, match=r"scale='as_is'(?s:.)*scale='size_factor_log1p'"):
        run(predicted, scale="as_is")
    with pytest.raises(InputError, match="from -1"):
        run(plant(predicted, -1.0), layer="bad", scale="as_is")


def test_a_prediction_of_other_observations_or_genes_is_refused(predicted):
    frame = predicted.to_df("truth")
    with pytest.raises(InputError, match=r"240 rows are not the observations .* but the same in another order"):
        run(predicted, prediction=frame.iloc[::-1])
    with pytest.raises(MissingKeyError, match="1 predicted genes that the table does not measure: 'mouse'"):
        run(predicted, prediction=frame.rename(columns={"G3": "mouse"}))
    with pytest.raises(InputTypeError, match="not numbers"):
        run(predicted, prediction=frame.astype(object))
    with pytest.raises(InputError, match=r"39 of 40 genes(?s:.)*scale='counts'"):
        run(predicted, prediction=frame.iloc[:, 1:], scale="counts")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"patient_key": "patients"}, MissingKeyError, r"patient_key='patients'(?s:.)*Did you mean 'patient'"),
        ({"niche": "nich"}, MissingKeyError, r"label_key='nich'(?s:.)*Did you mean 'niche'"),
        ({"layer": "counts"}, MissingKeyError, "no layer named 'counts'"),
        ({"prediction": "model"}, MissingKeyError, "no layer and no obsm entry named 'model'"),
        ({"scale": "raw"}, InputError, "scale='raw'"),
        ({"key_added": "a/b"}, InputError, "key_added='a/b'"),
        ({"sizes": ()}, InputError, r"sizes=\(\)"),
        ({"sizes": (10, 10)}, InputError, "each once"),
        ({"sizes": (0, 10)}, InputError, "sizes=0"),
        ({"min_obs": 0}, InputError, "min_obs=0"),
        ({"min_pct": 10}, InputError, "min_pct=10"),
        ({"alpha": "5 %"}, InputTypeError, "alpha='5 %'"),
        ({"table_key": "cells"}, InputError, "table_key='cells' with an AnnData"),
    ],
)
def test_unusable_options_are_refused(toy, options, error, words):
    with pytest.raises(error, match=words):
        run(toy, **options)


def test_missing_patients_and_empty_observations_are_refused(toy):
    toy.obs["who"] = toy.obs["patient"].astype(object)
    toy.obs.loc[toy.obs_names[0], "who"] = None
    with pytest.raises(InputError, match="1 of 240 observations without an id"):
        run(toy, patient_key="who")
    counts = toy.X.tolil()
    counts[7] = 0
    toy.X = counts.tocsr()
    with pytest.raises(InputError, match="1 labelled observations without any count"):
        run(toy)
