"""Labels by the vote of the nearest reference cells in an embedding."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from stfmkit._core.arguments import check_fraction, check_integer
from stfmkit._core.errors import InputError
from stfmkit._core.random import global_state_kept
from stfmkit._data.columns import read_groups
from stfmkit._data.embeddings import read_embedding
from stfmkit._data.view import View
from stfmkit.evaluation.canonical import canonical_order
from stfmkit.methods.contract import Method, MethodCard, Output, Requirements, Slots

CARD = MethodCard(
    task="annotate",
    name="knn",
    target="stfmkit.methods.annotate.knn:KNN",
    title="k nearest neighbours",
    summary="The label that most of the nearest reference cells in an embedding have.",
    needs=("embedding",),
    reference_needs=("embedding", "labels"),
    transductive=False,
    draws=False,
    source="votes and weights as in scikit-learn's KNeighborsClassifier",
    paper="https://doi.org/10.1109/TIT.1967.1053964",
    bib_key="cover1967",
)

_SPARE = 8
"""Neighbours asked for beyond those that vote, so that ties at the border are broken in one way."""

_ROWS = 2048


@dataclass(frozen=True, kw_only=True)
class KNN(Method):
    """Vote of the `n_neighbors` nearest reference cells.

    Parameters
    ----------
    embedding_key
        Key of the embedding in ``obsm`` of the data and of the reference, made by the same model.
    label_key
        Column of ``obs`` of the reference with its labels, none missing.
    n_neighbors
        Number of reference cells that vote.
    weights
        "uniform", or "distance" for votes of weight 1 / distance; where reference cells have the very vector of an
        observation, these alone vote.
    metric
        "euclidean" or "cosine".
    min_probability
        An observation whose label has a smaller share of the votes gets `unknown_label`; None for no such label.
    unknown_label
        The label of these observations.
    """

    card = CARD

    embedding_key: str
    label_key: str
    n_neighbors: int = 15
    weights: Literal["uniform", "distance"] = "uniform"
    metric: Literal["euclidean", "cosine"] = "euclidean"
    min_probability: float | None = None
    unknown_label: str = "unknown"

    def __post_init__(self) -> None:
        check_integer(self.n_neighbors, name="n_neighbors", least=1)
        if self.min_probability is not None:
            check_fraction(self.min_probability, name="min_probability")

    def requirements(self) -> Requirements:
        """Return the embedding of both sides, and the labels of the reference."""
        return Requirements(
            data=Slots(obsm=(self.embedding_key,)),
            reference=Slots(obsm=(self.embedding_key,), obs=(self.label_key,)),
        )

    def run(self, view: View, reference: View | None, *, rng: int) -> Output:  # noqa: ARG002  nothing is drawn
        """Return labels, and the share of the votes that every label has."""
        if reference is None:
            raise InputError("no reference.", allowed="a table with labels", remedy="pass the reference.")
        labels = read_groups(reference.table, self.label_key, role="label_key")
        vectors, queries = self._vectors(reference, "reference"), self._vectors(view, "data")
        self._check(vectors, queries, labels)
        order = canonical_order(np.column_stack([vectors, labels.codes]))
        index, distance = nearest(queries, vectors[order], self.n_neighbors)
        if self.metric == "cosine":
            distance = distance**2 / 2  # of vectors of length 1: 1 - cosine
        shares = votes(labels.codes[order][index], distance, len(labels.categories), weights=self.weights)
        names, winner = list(labels.categories), shares.argmax(axis=1)
        facts = {}
        if self.min_probability is not None:
            unsure = shares.max(axis=1) < self.min_probability
            winner[unsure] = len(names)
            names.append(self.unknown_label)
            facts["n_unknown"] = int(unsure.sum())
        rows = view.table.obs_names
        return Output(
            kind="labels",
            result=pd.Series(pd.Categorical.from_codes(winner, categories=names), index=rows),
            probabilities=pd.DataFrame(shares, index=rows, columns=list(labels.categories)),
            facts=facts,
        )

    def _vectors(self, view: View, where: str) -> np.ndarray:
        vectors = read_embedding(view.table, self.embedding_key).astype(np.float64)
        if self.metric == "euclidean":
            return vectors
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        if (length == 0).any():
            raise InputError(
                f"{int((length == 0).sum())} vectors of length 0 in obsm[{self.embedding_key!r}] of the {where}.",
                allowed="vectors with a direction, for metric='cosine'",
                remedy="drop these observations, or pass metric='euclidean'.",
            )
        return vectors / length

    def _check(self, vectors: np.ndarray, queries: np.ndarray, labels: pd.Categorical) -> None:
        if vectors.shape[1] != queries.shape[1]:
            raise InputError(
                f"obsm[{self.embedding_key!r}] of width {queries.shape[1]} in the data, and {vectors.shape[1]} in the "
                "reference.",
                allowed="embeddings of one width, made by the same model",
                remedy="embed data and reference together, or by the same model with the same options.",
            )
        if self.n_neighbors > len(vectors):
            raise InputError(
                f"n_neighbors={self.n_neighbors} and {len(vectors)} reference cells.",
                allowed="at most as many neighbours as reference cells",
                remedy="pass a smaller n_neighbors.",
            )
        if self.min_probability is not None and self.unknown_label in labels.categories:
            raise InputError(
                f"unknown_label={self.unknown_label!r}, which the reference has as a label.",
                allowed="text that is no label of the reference",
                remedy="pass another unknown_label.",
            )


def nearest(queries: np.ndarray, vectors: np.ndarray, n_neighbors: int) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers and distances of the nearest vectors of every query (n_queries, n_neighbors), nearest first.

    scikit-learn finds candidates by products of matrices. Their distances are then computed anew from the differences,
    so that equal vectors are at distance 0 exactly and the bits depend neither on the other queries nor on the number
    of cores; vectors at one distance go by their number.
    """
    with global_state_kept():  # the import draws from it
        from sklearn.neighbors import NearestNeighbors

    ask = min(n_neighbors + _SPARE, len(vectors))
    candidates = NearestNeighbors(n_neighbors=ask, algorithm="brute").fit(vectors).kneighbors(queries)[1]
    step = 1e-9 * max(float(np.abs(vectors).max()), float(np.abs(queries).max()), np.finfo(np.float64).tiny)
    index = np.empty((len(queries), n_neighbors), dtype=np.int64)
    distance = np.empty((len(queries), n_neighbors))
    for start in range(0, len(queries), _ROWS):
        rows = slice(start, start + _ROWS)
        near = candidates[rows]
        apart = np.linalg.norm(vectors[near] - queries[rows, None, :], axis=2)
        best = np.lexsort((near, np.round(apart / step)), axis=1)[:, :n_neighbors]
        index[rows] = np.take_along_axis(near, best, axis=1)
        distance[rows] = np.take_along_axis(apart, best, axis=1)
    return index, distance


def votes(codes: np.ndarray, distance: np.ndarray, n_labels: int, *, weights: str) -> np.ndarray:
    """Return the share of the votes of every label (n_queries, n_labels), from the codes of the neighbours."""
    weight = np.ones_like(distance)
    if weights == "distance":
        same = distance == 0
        with np.errstate(divide="ignore"):
            weight = np.where(same.any(axis=1, keepdims=True), same, 1 / distance)
    shares = np.zeros((len(codes), n_labels))
    np.add.at(shares, (np.arange(len(codes))[:, None], codes), weight)
    return shares / shares.sum(axis=1, keepdims=True)
