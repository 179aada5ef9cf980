"""The co-expression task on a cohort whose noise-free truth is known: which truth orders predictions as that does."""

import numpy as np
import pandas as pd
import pytest

import stfmkit as sk
from stfmkit import metrics
from stfmkit.bm.model_contenders import from_registry, shared_inputs
from stfmkit.bm.stage import Stage
from stfmkit.bm.study import load_study
from stfmkit.bm.task_catalogue import catalogue
from stfmkit.evaluation.controls import shuffled
from stfmkit.evaluation.molecules import PredictedStructure

pytestmark = pytest.mark.slow
MODELS = ("hvg_pca", "neighbor_pca", "library_size")
TASK = catalogue.find("coexpression")


def predictions(truth, stage, models, noise_free, rng):
    """Return by name what is judged in one fold: values, or correlations."""
    models = {m.label: TASK.predict(stage.output(m, truth.fold, truth.targets), truth) for m in models}
    own = truth.test.molecules
    expected = np.log1p(noise_free / own.library_size[:, None] * own.target_sum)
    again = np.log1p(rng.poisson(noise_free) / own.library_size[:, None] * own.target_sum)
    mixed = 0.5 * expected + 0.5 * shuffled(expected, truth.test.samples, rng=rng)
    controls = TASK.controls(truth)
    return {
        "noise-free truth": expected,
        **models,
        "train_coexpression": TASK.baselines(truth)["train_coexpression"],
        "replicate": again,
        "half noise": mixed,
        **{name: controls[name] for name in ("train_covariance", "thinned", "shuffled")},
    }


@pytest.fixture(scope="module")
def table():
    """SSIM and off-diagonal correlation of every prediction with three truths, means over four patients."""
    cells = sk.datasets.synthetic_cohort(4, n_genes=160, size=800, counts_per_cell=150, as_="anndata", rng=0)
    protocol = sk.bm.Protocol(
        patient_key="patient", sample_key="sample", split=sk.pp.PatientKFold(4), n_target_genes=60, selector="hvg"
    )
    study = load_study(cells, protocol)
    stage = Stage(inputs=shared_inputs(study), n_obs=len(study.obs_names), data="")
    models = [from_registry(name, name, {}, study) for name in MODELS]
    rows = []
    for fold in study.folds:
        truth = TASK.truth(study, fold, TASK.hidden(study, fold))
        order = metrics.coexpression_order(metrics.correlation(truth.train))
        noise_free = cells.layers["noise_free"][fold.test][:, truth.targets].astype(np.float64)
        judged = predictions(truth, stage, models, noise_free, np.random.default_rng(fold.number))
        oracle = metrics.correlation(judged["noise-free truth"])
        for name, prediction in judged.items():
            scores = TASK.score(truth, prediction).table.set_index(["metric", "setting"])["value"]
            given = isinstance(prediction, PredictedStructure)
            matrix = next(iter(prediction.by_sample.values())) if given else metrics.correlation(prediction)
            rows.append(
                {
                    "prediction": name,
                    "ssim raw": scores["ssim_ordered", "window=7, truth=raw"],
                    "ssim latent": scores["ssim_ordered", "window=7, truth=latent"],
                    "ssim oracle": metrics.ssim_ordered(oracle, np.nan_to_num(matrix), order=order),
                    "r raw": scores["offdiagonal_correlation", "truth=raw"],
                    "r latent": scores["offdiagonal_correlation", "truth=latent"],
                    "r oracle": metrics.offdiagonal_correlation(oracle, np.nan_to_num(matrix)),
                    "left out": scores["share_degenerate", "truth=latent"],
                }
            )
    return pd.DataFrame(rows).groupby("prediction").mean()


def in_order(column, *names):
    values = column[list(names)].to_numpy()
    return (np.diff(values) < 0).all()


def test_the_latent_truth_orders_predictions_as_the_noise_free_one_does(table):
    for score in ("ssim", "r"):
        latent = table[f"{score} latent"].corr(table[f"{score} oracle"], method="spearman")
        raw = table[f"{score} raw"].corr(table[f"{score} oracle"], method="spearman")
        assert latent > 0.8
        assert raw < latent - 0.1
    for column in ("ssim latent", "ssim oracle"):
        assert in_order(table[column], "noise-free truth", "hvg_pca", "neighbor_pca", "library_size", "shuffled")
        assert in_order(table[column], "hvg_pca", "replicate", "train_covariance", "thinned", "library_size")
        assert table.loc["train_coexpression", column] > table.loc["neighbor_pca", column] + 0.1


def test_the_raw_truth_prefers_the_right_noise(table):
    assert in_order(table["ssim raw"], "thinned", "train_covariance", "noise-free truth", "hvg_pca", "neighbor_pca")
    assert table.loc["half noise", "ssim raw"] > table.loc["noise-free truth", "ssim raw"] + 0.2
    assert table.loc["shuffled", "ssim raw"] > table.loc["neighbor_pca", "ssim raw"]


def test_the_metric_that_ranks_puts_them_in_their_places(table):
    r = table["r latent"]
    assert in_order(r, "noise-free truth", "hvg_pca", "train_covariance", "library_size", "shuffled")
    assert r["train_coexpression"] > r["hvg_pca"]  # what training patients tell has to be beaten
    assert abs(r["shuffled"]) < 0.05
    assert np.ptp(table["left out"]) == 0  # the same genes for all
