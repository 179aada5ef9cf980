"""Real tissue: noise mixed step by step into what a model gives lowers every metric that judges models."""

import anndata as ad
import numpy as np
import pytest
from tests.bm.noise_ladder import SHARES, ladder, mixed

import stfmkit as sk
from stfmkit.bm.study import load_study
from stfmkit.bm.task_catalogue import catalogue

SLACK = 0.05
"""Share of the whole fall that a step may rise by: the spread over draws of the noise, measured on these data."""
NOISY = {"module_preservation", "signed_jaccard", "signature_specificity"}
"""Metrics of few counts (modules, signs of ten genes), whose spread over draws is wider."""


def test_noise_keeps_the_values_of_every_column(rng):
    values, groups = rng.normal(size=(40, 3)), np.repeat(["a", "b"], 20)
    whole = mixed(values, groups, 1.0, rng)
    np.testing.assert_array_equal(np.sort(whole[:20], axis=0), np.sort(values[:20], axis=0))
    np.testing.assert_array_equal(mixed(values, groups, 0.0, rng), values)
    assert np.corrcoef(mixed(values, groups, 0.5, rng)[:, 0], values[:, 0])[0, 1] > 0.4


def study_of(path, patients, *, labelled):
    cells = ad.read_h5ad(path / "her2st_patients_A-F.h5ad")
    chosen = cells.obs["patient"].isin(list(patients)) & (cells.obs["has_label"] | (not labelled))
    cells = cells[chosen]
    frequent = np.argsort(-np.asarray((cells.X > 0).sum(axis=0)).ravel())[:1500]
    cells = cells[:, np.sort(frequent)]
    cells = cells[np.asarray(cells.X.sum(axis=1)).ravel() > 0].copy()
    protocol = sk.bm.Protocol(
        patient_key="patient",
        sample_key="section",
        label_key="label",
        spatial_key="spatial_um",
        split=sk.pp.PatientKFold(len(patients)),
        n_target_genes=60,
        linear_c=(1e-2,),
        n_neighbors=(15,),
    )
    return load_study(cells, protocol)


@pytest.mark.real_data
@pytest.mark.slow
@pytest.mark.parametrize("name", ["coexpression", "expression", "niche_signatures", "domains", "niche_probe"])
def test_metrics_fall_with_noise_on_her2st(real_data, name):
    """Two patients; three for the labels, which few patients have in common, on their labelled sections."""
    labels = name == "niche_probe"
    task = catalogue.find(name)
    found = ladder(task, study_of(real_data, "BCE" if labels else "AD", labelled=labels))
    assert list(found.columns) == list(SHARES)
    fall = found[0.0] - found[1.0]
    rise = found.diff(axis=1).max(axis=1)
    primary = tuple(task.primary)
    assert rise[primary] <= 0.01 * fall[primary]
    assert fall[primary] > 0.05
    if labels:
        return  # kNN and balanced accuracy of so few patients are too noisy to judge
    assert (fall > 0).all()
    noisy = found.index.get_level_values("metric").isin(NOISY)
    assert (rise[~noisy] <= SLACK * fall[~noisy]).all(), rise / fall
    assert (rise[noisy] <= 2 * SLACK * fall[noisy]).all(), rise / fall


@pytest.mark.real_data
@pytest.mark.slow
def test_raw_truth_rewards_noise_on_her2st(real_data):
    """Why magnitudes against raw correlations rank nothing: at half noise they are better than without."""
    study = study_of(real_data, "AD", labelled=False)
    task = type("Raw", (type(catalogue.find("coexpression")),), {"no_direction": lambda *_: ""})()
    found = ladder(task, study, seeds=(0,)).reset_index(["scope", "status"], drop=True)
    for key in [
        ("ssim_ordered", "window=7, truth=raw"),
        ("ssim_global", "truth=raw"),
        ("eigen_spectrum_distance", "truth=raw"),
        ("frobenius_error", "truth=raw"),
        ("frobenius_error", "truth=latent"),
        ("mean_absolute_difference", "truth=latent"),
    ]:
        assert found.loc[key, 0.5] > found.loc[key, 0.0]
    assert (
        found.loc[("ssim_ordered", "window=7, truth=latent"), 0.5]
        < found.loc[("ssim_ordered", "window=7, truth=latent"), 0.0]
    )
