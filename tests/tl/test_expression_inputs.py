"""What cannot be judged is refused before any work: found, allowed, remedy."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from tests.tl.wide import by_gene, summary

import stfmkit as sk
from stfmkit._core.errors import InputError, InputTypeError, LeakError, MissingKeyError
from stfmkit.splits.folds import Fold

KEYS = {"patient_key": "patient", "sample_key": "sample"}


@pytest.fixture
def table(toy, rng):
    """The toy with a prediction of log1p counts."""
    toy.layers["model"] = np.log1p(toy.X.toarray()) + rng.normal(0, 0.1, toy.shape)
    toy.layers["logged"] = np.log1p(toy.X.toarray())
    return toy


def evaluate(adata, key="model", **options):
    return sk.tl.evaluate_expression(adata, key, copy=True, **{**KEYS, "scale": "log1p", **options})


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"key": "modle"}, MissingKeyError, "Did you mean 'model'"),
        ({"patient_key": "who"}, MissingKeyError, "patient_key='who'"),
        ({"sample_key": "slide"}, MissingKeyError, "sample_key='slide'"),
        ({"sample_key": "niche"}, InputError, "several values of obs"),
        ({"layer": "logged"}, InputError, "are not integers"),
        ({"layer": "nothing"}, MissingKeyError, "no layer named 'nothing'"),
        ({"scale": "z-score"}, InputError, "scale='z-score'"),
        ({"scale": "counts"}, InputError, "negative values in layers"),
        ({"scale": "log1p", "target_sum": 1e4}, InputError, "target_sum=10000"),
        ({"scale": "size_factor_log1p", "target_sum": 0}, InputError, "target_sum=0"),
        ({"library_size_key": "niche"}, InputTypeError, "library sizes"),
        ({"library_size_key": "depth"}, InputError, "1 library sizes"),
        ({"spatial_key": "places"}, MissingKeyError, "no obsm\\['places'\\]"),
        ({"graph_key": "neighbours"}, MissingKeyError, "no obsp\\['neighbours'\\]"),
        ({"graph_key": "across"}, InputError, "1 edges between samples"),
        ({"min_obs": 2}, InputError, "min_obs=2"),
        ({"min_obs": 500}, InputError, "no sample with 500"),
        ({"train": "niche"}, InputTypeError, "True or False"),
        ({"train": np.ones(240, dtype=bool)}, InputError, "training observations only"),
        ({"train": Fold(0, np.arange(9), np.arange(5, 12), np.zeros(9))}, LeakError, "training and test of one fold"),
        ({"train_mean": np.ones(3)}, InputError, "train_mean of shape \\(3,\\)"),
        ({"train_mean": np.full(40, np.nan)}, InputError, "40 of its values not finite"),
        ({"train_mean": -np.ones(40)}, InputError, "train_mean as low as -1"),
        ({"train_mean": pd.Series({"G1": 1.0})}, MissingKeyError, "train_mean without 'G0'"),
        ({"key_added": ""}, InputError, "key_added=''"),
        ({"rng": -1}, InputError, "rng=-1"),
        ({"table_key": "cells"}, InputError, "table_key"),
    ],
)
def test_wrong_arguments(table, options, error, match):
    table.obs["depth"] = np.r_[0.0, np.ones(239)]
    edge = sparse.coo_matrix(([1.0], ([0], [239])), shape=(240, 240))
    table.obsp["across"] = sparse.csr_matrix(edge)
    with pytest.raises(error, match=match):
        evaluate(table, **options)


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinite_predictions(table, bad):
    table.layers["model"][3, 3] = bad
    with pytest.raises(InputError, match="1 infinite"):
        evaluate(table)


def test_predictions_that_are_missing_here_and_there(table):
    table.layers["model"][[3, 7], 3] = np.nan
    with pytest.raises(InputError, match="2 NaN among the predictions of 1 genes in 'S0'"):
        evaluate(table)
    table.layers["model"][:] = np.nan
    with pytest.raises(InputError, match="all NaN"):
        evaluate(table)


def test_missing_values_in_a_sparse_layer(table):
    values = sparse.csr_matrix(np.log1p(table.X.toarray()))
    values.data[0] = np.nan
    table.layers["model"] = values
    with pytest.raises(InputError, match="in a sparse layer, NaN"):
        evaluate(table)


def test_counts_given_as_logs(table):
    table.layers["model"] = table.X.toarray() * 10
    with pytest.raises(InputError, match="scale='counts' if these are counts"):
        evaluate(table)


def test_tables_in_obsm_need_genes_and_numbers(table):
    values = table.layers["model"][:, :2]
    table.obsm["array"] = values
    with pytest.raises(InputTypeError, match="does not say what its columns are"):
        evaluate(table, "array")
    for columns, error, match in (
        (["G1", "mouse"], MissingKeyError, "1 predicted genes that the table does not measure: 'mouse'"),
        (["G1", "g2"], MissingKeyError, "Did you mean 'G2'"),
    ):
        table.obsm["frame"] = pd.DataFrame(values, index=table.obs_names, columns=columns)
        with pytest.raises(error, match=match):
            evaluate(table, "frame")
    table.obsm["frame"] = pd.DataFrame({"G1": values[:, 0], "G2": "much"}, index=table.obs_names)
    with pytest.raises(InputTypeError, match="columns that are not numbers: 'G2'"):
        evaluate(table, "frame")
    table.obsm["frame"] = pd.DataFrame(index=table.obs_names)
    with pytest.raises(InputError, match="0 genes"):
        evaluate(table, "frame")
    table.obsm["model"] = pd.DataFrame(values, index=table.obs_names, columns=["G1", "G2"])
    with pytest.raises(InputError, match="in layers and in obsm"):
        evaluate(table)


def test_truth_that_is_not_finite_or_not_counts(table):
    table.layers["holes"] = np.log1p(table.X.toarray())
    table.layers["holes"][0, 0] = np.nan
    with pytest.raises(InputError, match="1 NaN or infinite values in layers\\['holes'\\]"):
        evaluate(table, layer="holes", scale="as_is")
    table.layers["negative"] = -table.X.toarray()
    with pytest.raises(InputError, match="negative values"):
        evaluate(table, layer="negative")


def test_ids_and_names_that_are_missing_or_doubled(table):
    broken = table.copy()
    broken.obs["patient"] = broken.obs["patient"].cat.add_categories([""]).where(np.arange(240) > 0, "")
    with pytest.raises(InputError, match="1 of 240 observations without an id"):
        evaluate(broken)
    broken = table.copy()
    broken.var_names = ["G0", *broken.var_names[:-1]]
    with pytest.raises(InputError, match="duplicated gene names"):
        evaluate(broken)
    broken = table.copy()
    broken.obsm["spatial"][1] = broken.obsm["spatial"][0]
    with pytest.raises(InputError, match="share their coordinates"):
        evaluate(broken)
    broken.obsm["spatial"][1] = np.inf
    with pytest.raises(InputError, match="NaN or infinite coordinates"):
        evaluate(broken)


def test_observations_without_counts_have_no_size_factor(table):
    counts = table.X.toarray()
    counts[5] = 0
    table.X = sparse.csr_matrix(counts)
    with pytest.raises(InputError, match="1 observations without any count: 'spot5'"):
        evaluate(table, scale="size_factor_log1p")
    assert summary(evaluate(table)).loc["pearson", "mean"] > 0.5


def test_recorded_predictions_are_held_to_their_record(table, rng):
    table.obsm["encoder"] = rng.normal(size=(240, 2))
    sk.tl.predict_expression(table, "encoder", genes=["G1", "G2"], split=sk.pp.PatientKFold(2), scale="log1p", **KEYS)
    assert len(by_gene(sk.tl.evaluate_expression(table, "predicted", copy=True, **KEYS))) == 12
    with pytest.raises(InputError, match="that was made as 'log1p'"):
        evaluate(table, "predicted", scale="size_factor_log1p")
    table.obsm["predicted"]["G3"] = 1.0  # a column that was added by hand has no training mean
    assert "q2" not in by_gene(evaluate(table, "predicted"))
    del table.obsm["predicted"]["G3"]
    table.obs["predicted_fold"] = 7
    with pytest.raises(InputError, match="for 2 folds"):
        evaluate(table, "predicted")


def test_genes_that_differ_between_folds_have_no_pooled_score(table, rng):
    table.obsm["encoder"] = rng.normal(size=(240, 2))
    sk.tl.predict_expression(
        table, "encoder", n_genes=4, selector="hvg", split=sk.pp.PatientKFold(4), scale="log1p", **KEYS
    )
    assert table.obsm["predicted"].isna().to_numpy().any()
    with pytest.raises(InputError, match="not predicted for all observations"):
        evaluate(table, "predicted", hest_compat=True)


def test_what_is_not_ours_is_not_overwritten(table):
    table.uns["expression_scores"] = {"mine": 1}
    with pytest.raises(InputError, match="not written by evaluate_expression"):
        sk.tl.evaluate_expression(table, "model", scale="log1p", **KEYS)
    sk.tl.evaluate_expression(table, "model", scale="log1p", key_added="ours", **KEYS)
    assert table.uns["expression_scores"] == {"mine": 1}
