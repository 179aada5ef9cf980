"""Probes of what an embedding gives away, on embeddings of which that is known."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.linear_model import Ridge
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from stfmkit._core.errors import InputError
from stfmkit.metrics import coordinate_r2, embedding_neighbors, group_probe_accuracy, library_size_r2

PATIENTS = np.repeat(["P1", "P2", "P3", "P4"], 40)


def test_depth_is_found_where_it_is_and_not_where_it_is_not(rng):
    depth = rng.lognormal(6, 0.5, size=160)
    noise = rng.normal(size=(160, 5))
    assert library_size_r2(np.column_stack([noise, np.log(depth)]), depth, PATIENTS) > 0.95
    assert library_size_r2(noise, depth, PATIENTS) < 0.1


def test_depth_that_is_only_the_patient_is_not_transferred(rng):
    """The embedding knows who the patient is; the depth of a new patient cannot follow from that."""
    level = {"P1": 4.0, "P2": 7.0, "P3": 5.0, "P4": 6.0}
    depth = np.exp([level[p] for p in PATIENTS] + rng.normal(0, 0.05, size=160))
    identity = (PATIENTS[:, None] == np.unique(PATIENTS)).astype(float)
    assert library_size_r2(identity, depth, PATIENTS) < 0.05


def test_the_penalty_is_chosen_by_held_out_patients(rng):
    """Equal to a nested search with patients out in both loops."""
    shift = (PATIENTS[:, None] == np.unique(PATIENTS)).astype(float)
    embedding = np.column_stack(
        [rng.normal(size=(160, 3)), shift @ rng.normal(size=(4, 8)) + rng.normal(size=(160, 8))]
    )
    depth = np.exp(0.4 * embedding[:, 0] + shift @ [0.0, 2.0, -1.0, 1.0] + rng.normal(0, 0.3, size=160))
    target, names = np.log(depth), np.unique(PATIENTS)

    def guess(train, test, penalty):
        model = make_pipeline(StandardScaler(), Ridge(penalty * train.sum()))
        return model.fit(embedding[train], target[train]).predict(embedding[test])

    error = 0.0
    for held in names:
        train, test = held != PATIENTS, held == PATIENTS
        losses = dict.fromkeys(10.0 ** np.arange(-6, 3), 0.0)
        for penalty in losses:
            for inner in names[names != held]:
                out = inner == PATIENTS
                losses[penalty] += ((guess(train & ~out, out, penalty) - target[out]) ** 2).sum()
        error += ((guess(train, test, min(losses, key=losses.get)) - target[test]) ** 2).sum()
    spread = ((target - target.mean()) ** 2).sum()
    assert library_size_r2(embedding, depth, PATIENTS) == pytest.approx(1 - error / spread, abs=1e-8)


def test_one_library_size_has_no_score():
    assert np.isnan(library_size_r2(np.eye(160), np.full(160, 100.0), PATIENTS))


def test_place_is_found_per_sample(rng):
    xy = rng.uniform(size=(160, 2))
    assert coordinate_r2(xy @ [[1, 2], [3, -1]], xy, PATIENTS) > 0.99
    assert coordinate_r2(rng.normal(size=(160, 3)), xy, PATIENTS) < 0.1
    half = coordinate_r2(np.column_stack([xy[:, 0], rng.normal(size=160)]), xy, PATIENTS)
    assert 0.3 < half < 0.6  # one of two axes


def test_each_sample_has_its_own_frame(rng):
    xy = rng.uniform(size=(160, 2))
    signs = np.where(np.isin(PATIENTS, ["P1", "P3"]), 1, -1)[:, None]
    assert coordinate_r2(signs * xy, xy, PATIENTS) > 0.99


def test_coordinates_on_a_line_are_scored_along_it(rng):
    line = np.column_stack([rng.uniform(size=40), np.full(40, 7.0)])
    assert coordinate_r2(line, line, ["S"] * 40) > 0.99


def test_folds_are_seeded(rng):
    xy, features = rng.uniform(size=(50, 2)), rng.normal(size=(50, 4))
    scores = [coordinate_r2(features, xy, ["S"] * 50, rng=seed) for seed in (0, 0, 1)]
    assert scores[0] == scores[1] != scores[2]


def test_patient_probe_equals_the_slow_vote(rng):
    features = rng.normal(size=(160, 3)) + (PATIENTS == "P2")[:, None]
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    distance = cdist(scaled, scaled)
    np.fill_diagonal(distance, np.inf)
    guess = []
    for i in range(160):
        near = PATIENTS[np.argsort(distance[i])[:5]]
        guess.append(max(np.unique(PATIENTS), key=lambda p: ((near == p).sum(), -int(p[1]))))
    assert group_probe_accuracy(features, PATIENTS, n_neighbors=5) == pytest.approx(
        balanced_accuracy_score(PATIENTS, guess)
    )


def test_patient_probe_tells_mixed_from_apart(rng):
    noise = rng.normal(size=(160, 3))
    apart = noise + 20 * (PATIENTS[:, None] == np.unique(PATIENTS))[:, :3]
    assert group_probe_accuracy(noise, PATIENTS) < 0.45
    assert group_probe_accuracy(apart, PATIENTS) == 1


def test_duplicates_do_not_vote_for_themselves():
    """Each point has one twin, in the other group."""
    features = np.repeat(np.arange(10.0), 2)[:, None]
    assert group_probe_accuracy(features, ["a", "b"] * 10, n_neighbors=1) == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda X: library_size_r2(X, np.zeros(20), [1, 2] * 10), "library size of 0"),
        (lambda X: library_size_r2(X, np.ones(19), [1, 2] * 10), "library_size of shape"),
        (lambda X: library_size_r2(X, np.ones(20), [1] * 20), "one group"),
        (lambda X: library_size_r2(X * np.nan, np.ones(20), [1, 2] * 10), "NaN"),
        (lambda X: coordinate_r2(X, X[:9], [1] * 20), "coords of shape"),
        (lambda X: coordinate_r2(X, X, ["A"] * 15 + ["B"] * 5), "5 observations in sample 'B'"),
        (lambda X: coordinate_r2(X, X * 0, ["A"] * 20), "0 axes"),
        (lambda X: group_probe_accuracy(X, [1] * 20), "1 groups"),
        (lambda X: group_probe_accuracy(X, [1, 2] * 10, n_neighbors=20), "n_neighbors=20"),
        (lambda X: group_probe_accuracy(X, [1, 2] * 10, n_neighbors=0), "n_neighbors=0"),
        (lambda X: group_probe_accuracy(X, [1, 2]), "groups of shape"),
    ],
)
def test_unusable_input_is_refused(call, words, rng):
    with pytest.raises(InputError, match=words):
        call(rng.normal(size=(20, 2)))


def test_known_neighbours_of_the_standardised_embedding_give_the_same_probe(rng):
    features = rng.normal(size=(160, 4)) * [1, 10, 100, 0] + 3.0 * (PATIENTS == "P2")[:, None]
    scaled = (features - features.mean(axis=0)) / np.where(features.std(axis=0) > 0, features.std(axis=0), 1)
    known = embedding_neighbors(scaled, 15)
    for k in (1, 7, 15):
        assert group_probe_accuracy(features, PATIENTS, n_neighbors=k, neighbors=known) == group_probe_accuracy(
            features, PATIENTS, n_neighbors=k
        )
    with pytest.raises(InputError, match="n_neighbors=16"):
        group_probe_accuracy(features, PATIENTS, n_neighbors=16, neighbors=known)


@pytest.mark.parametrize("metric", [library_size_r2, coordinate_r2])
def test_a_new_order_of_rows_or_axes_changes_little(rng, metric):
    """Turning an embedding changes no linear probe but through its scaling, and the order of columns not at all."""
    features, target = rng.normal(size=(160, 4)), rng.lognormal(size=160)
    given = target if metric is library_size_r2 else np.column_stack([target, rng.normal(size=160)])
    groups = PATIENTS if metric is library_size_r2 else ["S"] * 160
    assert metric(features[:, ::-1], given, groups) == pytest.approx(metric(features, given, groups), abs=1e-9)
    assert metric(features * 1e6 + 5, given, groups) == pytest.approx(metric(features, given, groups), abs=1e-6)
