"""The catalogue: complete, true to the functions, open to plug-ins, and cheap to import."""

import inspect
import json
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from tests.metrics.calls import CALLS, score

from stfmkit import metrics
from stfmkit._core import catalogue as core
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError, StfmkitWarning
from stfmkit.metrics import MetricSpec, _catalogue, list_metrics, metric, register_metric, spec, unregister_metric

ABOUT_METRICS = {"describe", "list_metrics", "metric", "register_metric", "spec", "unregister_metric"}
NO_METRICS = ABOUT_METRICS | {
    *("auroc_by_group", "niche_scores", "rank_sum_test", "gearys_c_test", "morans_i_test", "sparkx_test", "mantel"),
    *("coexpression_order", "correlation", "degenerate_genes", "drop_undefined", "latent_correlation"),
    *("embedding_neighbors", "grouped_ridge", "neighborhood_composition"),
    *("signature_sets", "signature_statistics", "signature_top", "signature_truth"),
}
"""Functions that return no score: tables of statistics, tests, orders, and parts of other scores."""
MEDIANS = {"r2", "nrmse", "q2", "deviance_explained", "variance_ratio", "moran_ratio"}
PLUGIN = '''
import numpy as np
import stfmkit as sk

@sk.metrics.metric(
    title="Share of zeros kept",
    family="sparsity",
    higher_is_better=True,
    bounds=(0, 1),
    chance=None,
    source="textbook",
    summary="Share of the zeros of the truth that are zeros of the prediction.",
)
def zeros_kept(truth, predicted):
    """Return the share of zeros that are kept."""
    return float((np.asarray(predicted)[np.asarray(truth) == 0] == 0).mean())

def plain(truth, predicted):
    return 0.0
'''


def public_functions():
    return {n: f for n in metrics.__all__ if inspect.isfunction(f := getattr(metrics, n))}


def test_every_public_function_is_a_metric_or_declared_to_be_none():
    assert set(public_functions()) == set(list_metrics().index) | NO_METRICS
    assert not set(list_metrics().index) & NO_METRICS


@pytest.mark.parametrize("name", list_metrics().index)
def test_spec_is_true_to_the_function(name):
    about = spec(name)
    assert about.function is getattr(metrics, name)
    module, function = about.target.split(":")
    assert (about.function.__module__, about.function.__name__) == (module, function) == (module, name)
    parameters = inspect.signature(about.function).parameters.values()
    assert about.needs == tuple(p.name for p in parameters if p.default is p.empty)
    assert about.summary.endswith(".")
    assert about.family in _catalogue.FAMILIES
    json.dumps(about.facts())


@pytest.mark.parametrize("name", [name for name in list_metrics().index if name in CALLS])
def test_values_lie_within_the_bounds(name):
    low, high = spec(name).bounds
    values = score(name)
    values = values["macro_f1"] if name == "few_shot_f1" else values
    values = values[0] if isinstance(values, tuple) else values
    found = np.ravel(np.asarray(values, dtype=np.float64))
    found = found[~np.isnan(found)]
    assert found.size
    assert low is None or found.min() >= low - 1e-9
    assert high is None or found.max() <= high + 1e-9


@pytest.mark.parametrize("name", public_functions())
def test_functions_take_at_most_three_positional_arguments_and_say_what_they_do(name):
    function = public_functions()[name]
    kinds = [p.kind for p in inspect.signature(function).parameters.values()]
    assert kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD) <= 3
    for section in ("Parameters", "Raises", "Examples"):
        assert f"{section}\n    ---" in function.__doc__
    assert "Returns\n    ---" in function.__doc__ or inspect.signature(function).return_annotation is None


def test_counts_have_one_vocabulary():
    """No parameter of a metric is named by a letter or by a spelling of its own."""
    short = {"k", "n", "n_neighs", "n_top", "min_spots", "seed", "null_method"}
    for name, function in public_functions().items():
        assert not short & set(inspect.signature(function).parameters), name


def test_directions_are_those_of_truth_against_noise(rng):
    truth = rng.gamma(2, size=(60, 12)) + rng.gamma(2, size=(60, 1))
    good, bad = truth + 0.1 * rng.normal(size=truth.shape), rng.permutation(truth)
    extra = {
        "q2": {"train_mean": truth.mean(axis=0)},
        "deviance_explained": {"null": truth.mean(axis=0)},
        "partial_pearson": {"covariate": rng.normal(size=60)},
    }
    for name in ("pearson", "spearman", "ccc", "q2", "deviance_explained", "partial_pearson", "rmse", "nrmse", "r2"):
        about, more = spec(name), extra.get(name, {})
        better = about.function(truth, np.abs(good), **more).mean() > about.function(truth, np.abs(bad), **more).mean()
        assert better is np.bool_(about.higher_is_better)
    matrices = [metrics.correlation(m) for m in (truth, good, rng.normal(size=truth.shape))]
    names = list_metrics("coexpression").query("higher_is_better.notna()").index.drop("ssim")
    for name in names:
        more = {"order": np.arange(12)} if name == "ssim_ordered" else {}
        values = [np.ravel(spec(name).function(matrices[0], m, **more))[0] for m in matrices[1:]]
        assert (values[0] > values[1]) == spec(name).higher_is_better


def test_chance_is_the_mean_score_of_uninformative_predictions(rng):
    """Shuffled predictions score the chance level on average, as far as it is a number."""
    truth = rng.poisson(3, size=(50, 40)) * 1.0
    for name in ("pearson", "spearman", "ccc", "auroc_top", "bivariate_morans_i"):
        graph = CALLS["morans_i"]["graph"][:50, :50] if name == "bivariate_morans_i" else None
        more = {} if graph is None else {"graph": graph}
        values = [np.nanmean(spec(name).function(truth, rng.permutation(truth), **more)) for _ in range(30)]
        assert np.mean(values) == pytest.approx(spec(name).chance, abs=0.02)
    mean = truth.mean(axis=0)
    flat = np.broadcast_to(mean, truth.shape)
    for name, more in (("q2", {"train_mean": mean}), ("deviance_explained", {"null": mean}), ("r2", {}), ("nrmse", {})):
        np.testing.assert_allclose(spec(name).function(truth, flat, **more), spec(name).chance, atol=1e-9)
    labels = np.repeat(["a", "b", "c"], 20)
    values = [metrics.ari(labels, rng.permutation(labels)) for _ in range(300)]
    assert np.mean(values) == pytest.approx(spec("ari").chance, abs=0.01)


def test_scores_without_a_bound_take_medians_over_genes():
    table = list_metrics()
    assert set(table.index[table["over_genes"] == "median"]) == MEDIANS
    assert set(table["over"]) == {"mean"}


def test_one_quantity_has_one_name():
    names = set(list_metrics().index)
    assert names >= {
        *("offdiagonal_correlation", "rv_coefficient", "eigen_spectrum_distance", "mantel_p", "ssim_permuted_sd"),
        *("n_degenerate", "share_degenerate", "expected_jaccard", "signature_size"),
        *("signature_specificity", "signature_ranking_auroc", "signature_fold_change_correlation"),
    }
    titles = list_metrics()["title"]
    assert titles.is_unique
    assert list_metrics()["label"].is_unique


def test_quantities_that_a_result_has_beside_another(rng):
    a, b = (np.corrcoef(rng.normal(size=(12, 30))) for _ in range(2))
    b[3] = b[:, 3] = np.nan
    a[5] = a[:, 5] = np.nan
    assert metrics.n_degenerate(a, b) == metrics.drop_undefined(a, b).n_dropped == 2
    assert metrics.share_degenerate(a, b) == 2 / 12
    assert metrics.mantel_p(a, b, n_permutations=49, rng=3) == metrics.mantel(a, b, n_permutations=49, rng=3).p
    assert metrics.ssim_permuted_sd(a, b, n_orders=9, rng=3) == metrics.ssim_permuted(a, b, n_orders=9, rng=3).sd
    assert metrics.signature_size(np.array([4, 7, 1])) == 3
    assert metrics.signature_size([]) == 0
    with pytest.raises(InputError, match="more than once"):
        metrics.signature_size(["A", "A"])


def test_list_has_one_row_per_metric_and_the_fields_of_the_spec():
    table = list_metrics()
    assert table.index.is_unique
    assert ["name", *table.columns] == [n for n in MetricSpec.__dataclass_fields__ if n != "function"]
    assert list(dict.fromkeys(table["family"])) == list(_catalogue.FAMILIES)
    for family, rows in table.groupby("family"):
        assert list_metrics(family).index.tolist() == rows.index.tolist()


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(MissingKeyError, match="Did you mean 'pearson'"):
        spec("pearsen")
    with pytest.raises(MissingKeyError, match="'coexpression'"):
        list_metrics("co-expression")


# metrics of others


def described(function):
    facts = {"family": "labels", "higher_is_better": True, "bounds": (0, 1), "chance": None, "source": "textbook"}
    return metric(title="Mine", summary="Says nothing.", **facts)(function)


@pytest.fixture
def fresh(monkeypatch):
    """Return a function that makes a catalogue anew, with entry points of this test."""

    def make(*values):
        points = [EntryPoint(name="extra", value=value, group="stfmkit.metrics") for value in values]
        monkeypatch.setattr(core, "entry_points", lambda group: points if group == "stfmkit.metrics" else [])
        monkeypatch.setattr(_catalogue._CATALOGUE, "_entries", None)

    return make


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    (tmp_path / "stfmkit_metric_plugin.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "stfmkit_metric_plugin", raising=False)
    return "stfmkit_metric_plugin"


def test_a_registered_function_is_a_metric_until_it_is_taken_out(fresh):
    fresh()

    @described
    def mine(truth, predicted):
        """Score."""
        return 0.5

    register_metric(mine)
    assert spec("mine").function is mine
    assert list_metrics("labels").index[-1] == "mine"
    assert metrics.describe("mine", "n=3").title == "Mine @3"
    with pytest.raises(InputError, match="a metric named 'mine' exists"):
        register_metric(mine)
    register_metric(mine, overwrite=True)
    unregister_metric("mine")
    with pytest.raises(MissingKeyError, match="no metric named 'mine'"):
        spec("mine")


@pytest.mark.parametrize(
    ("thing", "error", "words"),
    [
        (test_counts_have_one_vocabulary, InputError, "has no description"),
        ("ari", InputTypeError, "a metric of type str"),
        (metrics.ari, InputError, "a metric named 'ari' exists"),
    ],
)
def test_what_cannot_be_registered(thing, error, words):
    with pytest.raises(error, match=words):
        register_metric(thing)


def test_a_plug_in_is_listed_documented_and_computed(fresh, plugin):
    fresh(f"{plugin}:zeros_kept")
    table = list_metrics("sparsity")
    assert table["title"].to_dict() == {"zeros_kept": "Share of zeros kept"}
    assert spec("zeros_kept").target == f"{plugin}:zeros_kept"
    assert spec("zeros_kept").function([0, 0, 3], [0, 1, 2]) == 0.5
    assert metrics.describe("zeros_kept", status="of ceiling").title == "Share of zeros kept, of ceiling"


@pytest.mark.parametrize(
    ("name", "words"),
    [("plain", "'plain' has no description"), ("absent", "AttributeError"), ("PLUGIN", "AttributeError")],
)
def test_a_broken_plug_in_is_a_warning_that_names_it(fresh, plugin, name, words):
    fresh(f"{plugin}:{name}", f"{plugin}:zeros_kept")
    with pytest.warns(StfmkitWarning, match=rf"(?s)'extra' \({plugin}:{name}\).*{words}"):
        assert "zeros_kept" in list_metrics().index


# what an import loads


def loaded_by(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_namespace_and_the_decorator_load_nothing_heavy():
    modules = loaded_by("import sys\nimport stfmkit as sk\ndir(sk.metrics)\nsk.metrics.metric\nprint(*sys.modules)")
    assert "stfmkit.metrics._metric" in modules
    assert not modules & {"numba", "sklearn", "scipy", "pandas", "skimage", "scanpy", "torch", "matplotlib", "anndata"}


def test_metrics_never_load_anndata():
    modules = loaded_by("import sys\nfrom stfmkit.metrics import list_metrics\nlist_metrics()\nprint(*sys.modules)")
    files = Path(metrics.__file__).parent.glob("_*.py")
    assert modules >= {f"stfmkit.metrics.{file.stem}" for file in files if file.stem != "__init__"} - {
        "stfmkit.metrics._describe"
    }
    assert not modules & {"anndata", "scanpy", "torch", "spatialdata", "matplotlib.pyplot"}
