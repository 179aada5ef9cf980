"""Whether neighbours in an embedding share the biology, or the patient, slide, panel or platform."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from stfmkit._core.errors import InputError
from stfmkit.metrics._arrays import labels as check_labels
from stfmkit.metrics._arrays import table
from stfmkit.metrics._metric import metric
from stfmkit.metrics._neighbors import Neighbors, embedding_neighbors, nearest


@metric(
    title="Robustness index",
    family="embedding",
    higher_is_better=True,
    bounds=(0, 1),
    chance=None,
    source="Kömen et al. 2026, Nat Commun 17:5218 (PathoROB)",
    summary="Share of biology among neighbours that share either biology or confounder; chance depends on sizes.",
)
def robustness_index(
    embedding: ArrayLike,
    biology: ArrayLike,
    confounder: ArrayLike,
    *,
    n_neighbors: int = 50,
    exclude: ArrayLike | None = None,
    neighbors: Neighbors | None = None,
) -> float:
    """Return the robustness index: the share of biology among neighbours that share either biology or confounder.

    Among the nearest others of every observation, SO counts those of the Same biology and Other confounder, OS those of
    Other biology and the Same confounder; the index is SO / (SO + OS) over all observations. Neighbours that share both
    or neither say nothing. What random neighbours would score depends on the class sizes: see
    `robustness_index_chance`.

    PathoROB (Kömen et al. 2026, Nat Commun 17:5218) brings embeddings to unit length, takes no neighbour from the
    slide of the observation, and chooses `n_neighbors` by how well neighbours tell the biology. For its index pass rows
    of unit length, ``exclude=slide`` and that number. Without `exclude`, what is alike within a slide counts against
    the model; with it, a confounder with one slide for each level has nothing left to count.

    Parameters
    ----------
    embedding
        Embedding (n_obs, d).
    biology
        Label of every observation (n_obs,), such as the niche or the cell type.
    confounder
        Patient, slide, panel or platform of every observation (n_obs,).
    n_neighbors
        Number of neighbours.
    exclude
        Slide of every observation (n_obs,): members of the own slide are no neighbours. All others may be where it is
        left out.
    neighbors
        Result of `embedding_neighbors` at `n_neighbors` or more, with the same `exclude`, to be found once for several
        metrics.

    Returns
    -------
    A number in [0, 1]; 1 where no neighbour is there for the confounder alone. NaN where no neighbour tells them apart.

    Raises
    ------
    InputError
        If there is one label or one level of the confounder, there are not more than `n_neighbors` observations,
        lengths differ, or `neighbors` hold members of the own slide.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> niche, patient = np.repeat(["a", "b"], 20), np.tile(["P1", "P2"], 20)
    >>> sorted_by_niche = (niche == "b")[:, None] + np.random.default_rng(0).normal(0, 0.01, size=(40, 2))
    >>> sk.metrics.robustness_index(sorted_by_niche, niche, patient, n_neighbors=10)
    1.0
    """
    features = table(embedding, name="embedding")
    what = _codes(biology, name="biology", n=len(features))
    who = _codes(confounder, name="confounder", n=len(features))
    indices = _nearest(features, n_neighbors, exclude, neighbors)
    same_what, same_who = what[indices] == what[:, None], who[indices] == who[:, None]
    biological, confounded = int((same_what & ~same_who).sum()), int((~same_what & same_who).sum())
    told = biological + confounded
    return biological / told if told else float("nan")


@metric(
    title="Robustness index by chance",
    label="Robustness by chance",
    family="embedding",
    higher_is_better=None,
    bounds=(0, 1),
    chance=None,
    source="stfmkit documentation",
    summary="Robustness index of neighbours drawn at random; the floor to read the index against.",
)
def robustness_index_chance(biology: ArrayLike, confounder: ArrayLike, *, exclude: ArrayLike | None = None) -> float:
    """Return the robustness index of neighbours that are drawn at random.

    Parameters
    ----------
    biology, confounder, exclude
        As for `robustness_index`.

    Returns
    -------
    A number in [0, 1]; 0.5 where all combinations are equally frequent and there are as many labels as levels of the
    confounder. NaN where no pair tells them apart.

    Raises
    ------
    InputError
        If there is one label or one level of the confounder, or lengths differ.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.robustness_index_chance(["a", "a", "b", "b"], ["P1", "P2", "P1", "P2"])
    0.5
    """
    what = _codes(biology, name="biology", n=None)
    who = _codes(confounder, name="confounder", n=len(what))
    where = np.zeros_like(what) if exclude is None else _codes(exclude, name="exclude", n=len(what))
    both = _pairs(what, who)
    biological, confounded = _pairs(what) - both, _pairs(who) - both
    if exclude is not None:
        both = _pairs(what, who, where)
        biological -= _pairs(what, where) - both
        confounded -= _pairs(who, where) - both
    told = biological + confounded
    return biological / told if told else float("nan")


@metric(
    title="Neighbourhood purity",
    family="embedding",
    higher_is_better=True,
    bounds=(0, 1),
    chance=None,
    source="stfmkit documentation",
    summary="Share of the nearest others that have the same label, averaged over labels.",
)
def neighborhood_purity(
    embedding: ArrayLike, labels: ArrayLike, *, n_neighbors: int = 15, neighbors: Neighbors | None = None
) -> float:
    """Return the share of the nearest others in an embedding that have the same label, averaged over labels.

    Every label has the same weight. Random neighbours score the mean of (size - 1) / (n_obs - 1) over labels.

    Parameters
    ----------
    embedding
        Embedding (n_obs, d).
    labels
        Label of every observation (n_obs,).
    n_neighbors
        Number of neighbours.
    neighbors
        Result of `embedding_neighbors` at `n_neighbors` or more.

    Returns
    -------
    A number in [0, 1]; higher is purer.

    Raises
    ------
    InputError
        If there is one label, there are not more than `n_neighbors` observations, or lengths differ.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.neighborhood_purity([[0.0], [0.1], [5.0], [5.1]], ["a", "a", "b", "b"], n_neighbors=1)
    1.0
    """
    features = table(embedding, name="embedding")
    codes = _codes(labels, name="labels", n=len(features))
    indices = nearest(features, n_neighbors, neighbors).indices
    same = (codes[indices] == codes[:, None]).mean(axis=1)
    return float((np.bincount(codes, weights=same) / np.bincount(codes)).mean())


def _nearest(features: np.ndarray, k: int, exclude: ArrayLike | None, neighbors: Neighbors | None) -> np.ndarray:
    if exclude is None:
        return nearest(features, k, neighbors).indices
    where = _codes(exclude, name="exclude", n=len(features))
    if neighbors is None:
        return embedding_neighbors(features, k, exclude=where).indices
    indices = nearest(features, k, neighbors).indices
    inside = int((where[indices] == where[:, None]).sum())
    if inside:
        raise InputError(
            f"{inside} neighbours in the own group of exclude.",
            allowed="neighbours that were found with the same exclude",
            remedy="pass embedding_neighbors(embedding, n_neighbors, exclude=...), or leave neighbors out.",
        )
    return indices


def _pairs(*codes: np.ndarray) -> int:
    """Return the number of ordered pairs, an observation with itself among them, that share all codes."""
    joint = codes[0].astype(np.int64)
    for more in codes[1:]:
        joint = np.unique(joint * (int(more.max()) + 1) + more, return_inverse=True)[1]
    return int((np.bincount(joint) ** 2).sum())


def _codes(values: ArrayLike, *, name: str, n: int | None) -> np.ndarray:
    codes, names = pd.factorize(check_labels(values, name=name, n=n), sort=True)
    if len(names) < 2:
        raise InputError(
            f"one value in {name}.", allowed="at least two", remedy=f"pass observations that differ in {name}."
        )
    return codes
