"""Ceilings of labels: the share of wrong ones against closed forms, and means of tables."""

import anndata as ad
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, adjusted_rand_score, f1_score

from stfmkit.evaluation.clusters import score_clusters
from stfmkit.evaluation.label_ceilings import N_DRAWS, label_ceilings, right_labels
from stfmkit.evaluation.labels import score_labels


@pytest.fixture
def labels(rng):
    """Two samples with their own frequencies; some observations are not labelled."""
    first = rng.choice(["a", "b", "c"], size=6000, p=[0.6, 0.3, 0.1])
    second = rng.choice(["b", "d"], size=2000, p=[0.5, 0.5])
    found = np.concatenate([first, second]).astype(object)
    found[::50] = ""
    return found, np.repeat(["S1", "S2"], [6000, 2000])


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_wrong_labels_are_as_many_as_said_and_go_by_frequency(labels, share):
    own, samples = labels
    known = own != ""
    drawn = right_labels(own, samples, label_noise=share, seed=1)
    assert len(drawn) == N_DRAWS
    changed = np.mean([(right != own)[known].mean() for right in drawn])
    assert changed == pytest.approx(share, abs=0.01)
    assert all((right[~known] == "").all() for right in drawn)
    first, second = samples == "S1", samples == "S2"
    right = np.concatenate([part[first & (own == "a") & (part != "a")] for part in drawn])
    assert (right == "b").mean() == pytest.approx(0.75, abs=0.03)  # b : c = .3 : .1
    assert {x for part in drawn for x in part[second & known]} == {"b", "d"}


def test_attainable_scores_are_those_of_the_closed_form(labels):
    """F1 of a class: 2 (1 - e) n / (n + m), with m right labels of it, from the others by frequency."""
    own, samples = labels
    rows = (own != "") & (samples == "S1")
    share, where = 0.2, {"samples": samples[rows], "patients": samples[rows]}
    drawn = right_labels(own, samples, label_noise=share, seed=0)
    tables = [score_labels(own[rows], right[rows], **where) for right in drawn]
    found = label_ceilings(tables, ("macro_f1", "balanced_accuracy"), annotations=1).set_index("metric")["value"]
    n = np.unique(own[rows], return_counts=True)[1].astype(float)
    gained = [sum(n[j] * n[k] / (n.sum() - n[j]) for j in range(3) if j != k) for k in range(3)]
    expected = [2 * (1 - share) * n[k] / (n[k] + (1 - share) * n[k] + share * gained[k]) for k in range(3)]
    assert found["macro_f1"] == pytest.approx(np.mean(expected), abs=0.01)
    assert found["balanced_accuracy"] == pytest.approx(1 - share, abs=0.01)


def test_a_perfect_predictor_does_not_pass_what_wrong_labels_allow(rng):
    """The right labels as a prediction of written ones, of which a fifth is wrong: they lie at the ceiling."""
    right = rng.choice(["a", "b", "c", "d"], size=4000).astype(object)
    samples = np.full(4000, "S")
    other = right_labels(right, samples, label_noise=0.999, seed=5)[0]
    written = np.where(rng.random(4000) < 0.2, other, right).astype(object)
    drawn = right_labels(written, samples, label_noise=0.2, seed=0)
    limit = np.mean([f1_score(written, part, average="macro") for part in drawn])
    assert f1_score(written, right, average="macro") == pytest.approx(limit, abs=0.02)


def test_a_sample_of_one_label_stays():
    own = np.array(["a"] * 5, dtype=object)
    assert all((part == "a").all() for part in right_labels(own, np.full(5, "S"), label_noise=0.9, seed=0))


def test_same_seed_same_labels(labels):
    first, again, other = (right_labels(*labels, label_noise=0.3, seed=seed) for seed in (1, 1, 2))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert (first[0] != other[0]).any()
    assert (first[0] != first[1]).any()


@pytest.mark.real_data
def test_starmap_scattered_errors_cost_more_than_those_of_annotators(real_data):
    """Two published annotations of this slice agree for 80 % of the cells, with an ARI of .63, not .57."""
    data = ad.read_h5ad(real_data / "starmap_visual_cortex_1020genes.h5ad")
    own, samples = (data.obs[key].astype(str).to_numpy(dtype=object) for key in ("domain", "section"))
    drawn = right_labels(own, samples, label_noise=0.2, seed=0)
    where = {"samples": samples.astype(str), "patients": samples.astype(str)}
    codes = np.unique(own, return_inverse=True)[1]
    tables = [score_clusters(codes, np.unique(part, return_inverse=True)[1], **where) for part in drawn]
    ari = label_ceilings(tables, ("ari", "nmi"), annotations=1).set_index("metric")["value"]["ari"]
    assert ari == pytest.approx(np.mean([adjusted_rand_score(own, part) for part in drawn]))
    assert 0.54 < ari < 0.6
    assert np.mean([accuracy_score(own, part) for part in drawn]) == pytest.approx(0.8, abs=0.01)
