"""The registry: complete, true to the functions, and cheap."""

import inspect
import json
import subprocess
import sys
from dataclasses import FrozenInstanceError, asdict

import numpy as np
import pytest

from stfmkit import metrics
from stfmkit._core.errors import MissingKeyError
from stfmkit.metrics import MetricSpec, list_metrics, spec

HELPERS = {
    "auroc_by_group",
    "coexpression_order",
    "correlation",
    "degenerate_genes",
    "drop_undefined",
    "embedding_neighbors",
    "expected_jaccard",
    "gearys_c_test",
    "grouped_ridge",
    "list_metrics",
    "morans_i_test",
    "neighborhood_composition",
    "niche_scores",
    "rank_sum_test",
    "signature_sets",
    "signature_statistics",
    "signature_top",
    "signature_truth",
    "sparkx_test",
    "spec",
}


def public_functions():
    return {n: f for n in metrics.__all__ if inspect.isfunction(f := getattr(metrics, n))}


def test_every_public_function_is_a_metric_or_a_known_helper():
    assert set(public_functions()) == set(list_metrics().index) | HELPERS
    assert not set(list_metrics().index) & HELPERS


@pytest.mark.parametrize("name", list_metrics().index)
def test_spec_is_true_to_the_function(name):
    found = spec(name)
    assert found.function is getattr(metrics, name)
    parameters = inspect.signature(found.function).parameters.values()
    assert found.needs == tuple(p.name for p in parameters if p.default is p.empty)
    low, high = found.bounds
    assert low is None or high is None or low < high
    if found.chance is not None:
        assert low is None or found.chance >= low
        assert high is None or found.chance <= high
    assert found.summary.endswith(".")
    assert found.source
    json.dumps(asdict(found))


@pytest.mark.parametrize("name", public_functions())
def test_functions_take_at_most_three_positional_arguments_and_say_what_they_do(name):
    function = public_functions()[name]
    kinds = [p.kind for p in inspect.signature(function).parameters.values()]
    assert kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD) <= 3
    for section in ("Parameters", "Returns", "Raises", "Examples"):
        assert f"{section}\n    ---" in function.__doc__


def test_directions_are_those_of_truth_against_noise(rng):
    truth = rng.gamma(2, size=(60, 12)) + rng.gamma(2, size=(60, 1))
    good, bad = truth + 0.1 * rng.normal(size=truth.shape), rng.permutation(truth)
    extra = {
        "q2": {"train_mean": truth.mean(axis=0)},
        "deviance_explained": {"null": truth.mean(axis=0)},
        "partial_pearson": {"covariate": rng.normal(size=60)},
    }
    for name in ("pearson", "spearman", "ccc", "q2", "deviance_explained", "partial_pearson", "rmse"):
        found, more = spec(name), extra.get(name, {})
        better = found.function(truth, np.abs(good), **more).mean() > found.function(truth, np.abs(bad), **more).mean()
        assert better is np.bool_(found.higher_is_better)
    matrices = [metrics.correlation(m) for m in (truth, good, rng.normal(size=truth.shape))]
    names = list_metrics("coexpression").query("higher_is_better.notna()").index.drop(["ssim", "mantel"])
    for name in names:
        more = {"order": np.arange(12)} if name == "ssim_ordered" else {}
        scores = [np.ravel(spec(name).function(matrices[0], m, **more))[0] for m in matrices[1:]]
        assert (scores[0] > scores[1]) == spec(name).higher_is_better


def test_list_has_one_row_per_metric_and_the_fields_of_the_spec():
    table = list_metrics()
    assert table.index.is_unique
    assert ["name", *table.columns] == list(MetricSpec.__dataclass_fields__)
    for family, rows in table.groupby("family"):
        assert list_metrics(family).index.tolist() == rows.index.tolist()


def test_spec_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        spec("ari").title = "mine"


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(MissingKeyError, match="Did you mean 'pearson'"):
        spec("pearsen")
    with pytest.raises(MissingKeyError, match="'coexpression'"):
        list_metrics("co-expression")


def test_listing_metrics_loads_nothing_heavy():
    code = "import sys; from stfmkit.metrics import list_metrics; list_metrics(); print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert "stfmkit.metrics._specs" in loaded
    assert not loaded & {"numba", "sklearn", "skimage", "scanpy", "torch", "matplotlib", "anndata"}


def test_metrics_never_load_anndata():
    names = " ".join(sorted({s.split(":")[0] for s in list_metrics()["target"]}))
    code = f"import sys, importlib\nfor m in '{names}'.split(): importlib.import_module(m)\nprint(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert "stfmkit.metrics._ssim" in loaded
    assert not loaded & {"anndata", "scanpy", "torch", "spatialdata", "matplotlib.pyplot"}
