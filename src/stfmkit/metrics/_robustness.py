"""Whether an embedding sorts by biology, or by who, where and with what it was measured."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from stfmkit._errors import InputError
from stfmkit.metrics._checks import labels as check_labels
from stfmkit.metrics._checks import table
from stfmkit.metrics._neighbors import Neighbors, nearest


def robustness_index(
    embedding: ArrayLike,
    biology: ArrayLike,
    confounder: ArrayLike,
    *,
    k: int = 50,
    neighbors: Neighbors | None = None,
) -> float:
    """Return the robustness index: of the neighbours that tell biology from confounder, the share that is biology.

    As PathoROB defines it: among the `k` nearest others of every observation, SO counts those of the Same biology and
    Other confounder, OS those of Other biology and the Same confounder; the index is SO / (SO + OS) over all
    observations. Neighbours that share both or neither say nothing. What random neighbours would score depends on the
    class sizes: see `robustness_index_chance`.

    Parameters
    ----------
    embedding
        Embedding (n_obs, d).
    biology
        Label of every observation (n_obs,), such as the niche or the cell type.
    confounder
        Patient, slide, panel or platform of every observation (n_obs,).
    k
        Number of neighbours.
    neighbors
        Result of `embedding_neighbors` at `k` or more, to be found once for several metrics.

    Returns
    -------
    A number in [0, 1]; 1 where no neighbour is there for the confounder alone. NaN where no neighbour tells them apart.

    Raises
    ------
    InputError
        If there is one label or one level of the confounder, there are not more than `k` observations, or lengths
        differ.

    Examples
    --------
    >>> import numpy as np
    >>> niche, patient = np.repeat(["a", "b"], 20), np.tile(["P1", "P2"], 20)
    >>> sorted_by_niche = (niche == "b")[:, None] + np.random.default_rng(0).normal(0, 0.01, size=(40, 2))
    >>> robustness_index(sorted_by_niche, niche, patient, k=10)
    1.0
    """
    features = table(embedding, name="embedding")
    what = _codes(biology, name="biology", n=len(features))
    who = _codes(confounder, name="confounder", n=len(features))
    indices = nearest(features, k, neighbors).indices
    same_what, same_who = what[indices] == what[:, None], who[indices] == who[:, None]
    biological, confounded = int((same_what & ~same_who).sum()), int((~same_what & same_who).sum())
    told = biological + confounded
    return biological / told if told else float("nan")


def robustness_index_chance(biology: ArrayLike, confounder: ArrayLike) -> float:
    """Return the robustness index of neighbours that are drawn at random.

    Parameters
    ----------
    biology, confounder
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
    >>> robustness_index_chance(["a", "a", "b", "b"], ["P1", "P2", "P1", "P2"])
    0.5
    """
    what = _codes(biology, name="biology", n=None)
    who = _codes(confounder, name="confounder", n=len(what))
    cells = np.zeros((what.max() + 1, who.max() + 1))
    np.add.at(cells, (what, who), 1)
    both = (cells**2).sum()
    biological = (cells.sum(axis=1) ** 2).sum() - both
    confounded = (cells.sum(axis=0) ** 2).sum() - both
    told = biological + confounded
    return float(biological / told) if told else float("nan")


def neighborhood_purity(
    embedding: ArrayLike, labels: ArrayLike, *, k: int = 15, neighbors: Neighbors | None = None
) -> float:
    """Return the share of the nearest others in an embedding that have the same label, averaged over labels.

    Every label has the same weight. Random neighbours score the mean of (size - 1) / (n_obs - 1) over labels.

    Parameters
    ----------
    embedding
        Embedding (n_obs, d).
    labels
        Label of every observation (n_obs,).
    k
        Number of neighbours.
    neighbors
        Result of `embedding_neighbors` at `k` or more.

    Returns
    -------
    A number in [0, 1]; higher is purer.

    Raises
    ------
    InputError
        If there is one label, there are not more than `k` observations, or lengths differ.

    Examples
    --------
    >>> neighborhood_purity([[0.0], [0.1], [5.0], [5.1]], ["a", "a", "b", "b"], k=1)
    1.0
    """
    features = table(embedding, name="embedding")
    codes = _codes(labels, name="labels", n=len(features))
    indices = nearest(features, k, neighbors).indices
    same = (codes[indices] == codes[:, None]).mean(axis=1)
    return float((np.bincount(codes, weights=same) / np.bincount(codes)).mean())


def _codes(values: ArrayLike, *, name: str, n: int | None) -> np.ndarray:
    codes, names = pd.factorize(check_labels(values, name=name, n=n), sort=True)
    if len(names) < 2:
        raise InputError(
            f"one value in {name}.", allowed="at least two", remedy=f"pass observations that differ in {name}."
        )
    return codes
