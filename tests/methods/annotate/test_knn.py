"""Votes of nearest reference cells, against scikit-learn's classifier and by hand."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from sklearn.neighbors import KNeighborsClassifier

from stfmkit._data.view import View
from stfmkit.errors import InputError, MissingKeyError
from stfmkit.methods._run_method import run_method
from stfmkit.methods.annotate.knn import KNN, nearest, votes


def table(vectors, labels=None, prefix="q", key="X_e") -> View:
    vectors = np.asarray(vectors, dtype=float)
    names = [f"{prefix}{i}" for i in range(len(vectors))]
    obs = pd.DataFrame(index=names)
    if labels is not None:
        obs["type"] = labels
    adata = AnnData(np.ones((len(vectors), 1), dtype=np.float32), obs=obs)
    adata.obsm[key] = vectors
    return View(table=adata)


def annotate(queries, vectors, labels, **options):
    method = KNN(embedding_key="X_e", label_key="type", **options)
    return run_method(method, table(queries), table(vectors, labels, prefix="r"), rng=0)


@pytest.fixture
def cells(rng):
    vectors = rng.normal(size=(300, 6))
    labels = np.array(["b", "a", "c"])[np.digitize(vectors[:, 0] + 0.3 * rng.normal(size=300), [-0.5, 0.5])]
    return rng.normal(size=(120, 6)), vectors, labels


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("n_neighbors", [1, 7, 40, 300])
def test_equals_the_classifier_of_scikit_learn(cells, weights, n_neighbors):
    queries, vectors, labels = cells
    found = annotate(queries, vectors, labels, weights=weights, n_neighbors=n_neighbors)
    oracle = KNeighborsClassifier(n_neighbors, weights=weights, algorithm="kd_tree").fit(vectors, labels)
    np.testing.assert_allclose(found.probabilities, oracle.predict_proba(queries), atol=1e-12)
    assert list(found.probabilities.columns) == list(oracle.classes_) == list(found.result.cat.categories)
    np.testing.assert_array_equal(found.result.astype(str), oracle.predict(queries))


@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_cosine_equals_the_classifier_of_scikit_learn(cells, weights):
    queries, vectors, labels = cells
    found = annotate(queries, vectors, labels, weights=weights, metric="cosine", n_neighbors=9)
    oracle = KNeighborsClassifier(9, weights=weights, metric="cosine", algorithm="brute").fit(vectors, labels)
    np.testing.assert_allclose(found.probabilities, oracle.predict_proba(queries), rtol=1e-6)


def test_length_does_not_count_for_the_cosine(cells):
    queries, vectors, labels = cells
    found = annotate(queries, vectors, labels, metric="cosine")
    longer = annotate(queries * 7, vectors, labels, metric="cosine")
    pd.testing.assert_frame_equal(found.probabilities, longer.probabilities)


def test_the_very_vector_votes_alone_by_distance():
    found = annotate([[0.0, 0.1]], [[0.0, 0.1], [0.0, 0.2], [0.0, 0.2]], ["a", "b", "b"], n_neighbors=3)
    assert found.result.tolist() == ["b"]
    close = annotate(
        [[0.0, 0.1]], [[0.0, 0.1], [0.0, 0.2], [0.0, 0.2]], ["a", "b", "b"], n_neighbors=3, weights="distance"
    )
    assert close.probabilities.loc["q0"].to_dict() == {"a": 1.0, "b": 0.0}


def test_ties_do_not_depend_on_the_order_of_the_reference(rng):
    """On a lattice many reference cells are equally far."""
    vectors = np.array([[x, y] for x in range(8) for y in range(8)] * 2, dtype=float)
    labels = rng.choice(["a", "b", "c"], size=len(vectors))
    queries = vectors[:64] + 0.5
    order = rng.permutation(len(vectors))
    for n_neighbors in (1, 2, 3, 5):
        found = annotate(queries, vectors, labels, n_neighbors=n_neighbors)
        turned = annotate(queries, vectors[order], labels[order], n_neighbors=n_neighbors)
        pd.testing.assert_frame_equal(found.probabilities, turned.probabilities)


def test_bits_do_not_depend_on_other_queries(cells):
    queries, vectors, labels = cells
    whole = annotate(queries, vectors, labels, weights="distance")
    part = annotate(queries[:7], vectors, labels, weights="distance")
    assert whole.probabilities.iloc[:7].equals(part.probabilities)


def test_unsure_observations_are_unknown_on_request():
    vectors, labels = [[0.0], [1.0], [2.0], [9.0]], ["a", "b", "b", "a"]
    found = annotate([[0.0], [1.5]], vectors, labels, n_neighbors=2, min_probability=0.6)
    assert found.result.tolist() == ["unknown", "b"]
    assert list(found.result.cat.categories) == ["a", "b", "unknown"]
    assert list(found.probabilities.columns) == ["a", "b"]
    assert found.facts == {"n_unknown": 1}
    assert annotate([[0.0]], vectors, labels, n_neighbors=2).result.tolist() == ["a"]


def test_many_queries_are_done_in_parts(rng):
    queries, vectors = rng.normal(size=(5000, 2)), rng.normal(size=(50, 2))
    index, distance = nearest(queries, vectors, 3)
    wanted = np.linalg.norm(queries[:, None] - vectors[None], axis=2)
    np.testing.assert_array_equal(index, np.argsort(wanted, axis=1, kind="stable")[:, :3])
    np.testing.assert_allclose(distance, np.sort(wanted, axis=1)[:, :3])


def test_votes_by_hand():
    codes, distance = np.array([[0, 1, 1]]), np.array([[1.0, 2.0, 4.0]])
    np.testing.assert_allclose(votes(codes, distance, 3, weights="uniform"), [[1 / 3, 2 / 3, 0]])
    np.testing.assert_allclose(votes(codes, distance, 3, weights="distance"), [[4 / 7, 3 / 7, 0]])


def test_refusals(cells):
    queries, vectors, labels = cells
    with pytest.raises(InputError, match="width 5 in the data, and 6 in the reference"):
        annotate(queries[:, :5], vectors, labels)
    with pytest.raises(InputError, match="n_neighbors=301 and 300 reference cells"):
        annotate(queries, vectors, labels, n_neighbors=301)
    with pytest.raises(InputError, match="unknown_label='a', which the reference has"):
        annotate(queries, vectors, labels, min_probability=0.5, unknown_label="a")
    with pytest.raises(InputError, match=r"1 vectors of length 0[\s\S]*reference"):
        annotate(queries, np.vstack([vectors, np.zeros(6)]), [*labels, "a"], metric="cosine")
    holes = vectors.copy()
    holes[3, 1] = np.nan
    with pytest.raises(InputError, match=r"1 observations with NaN or infinite values in obsm\['X_e'\]: 'r3'"):
        annotate(queries, holes, labels)
    with pytest.raises(InputError, match="1 of 300 observations without an id"):
        annotate(queries, vectors, [*labels[:-1], None])


def test_what_is_not_there():
    method = KNN(embedding_key="X_e", label_key="type")
    with pytest.raises(MissingKeyError, match=r"no obsm\['X_e'\] in the data[\s\S]*Did you mean 'X_f'"):
        run_method(method, table([[0.0]], key="X_f"), table([[0.0]], ["a"]), rng=0)
    with pytest.raises(MissingKeyError, match=r"no obs\['type'\] in the reference"):
        run_method(method, table([[0.0]]), table([[0.0]]), rng=0)
    with pytest.raises(InputError, match="without a reference"):
        run_method(method, table([[0.0]]), None, rng=0)
