"""The scIB metrics of batch: whether an embedding mixes patients, slides or platforms."""

import warnings

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from stfmkit.metrics._arrays import table
from stfmkit.metrics._metric import metric
from stfmkit.metrics._neighbors import Neighbors
from stfmkit.metrics._scib import CONNECTIVITY, KBET, LISI, SOURCE, load_scib, own_first, read_inputs, results

_BRAS = "Rautenstrauch and Ohler 2025, Nat Biotechnol, doi:10.1038/s41587-025-02743-4, by scib-metrics"
_SMALLEST = 10  # scib-metrics leaves labels with fewer members out of kBET


@metric(
    title="scIB BRAS",
    label="BRAS",
    family="embedding",
    higher_is_better=True,
    bounds=(0, 1),
    chance=None,
    source=_BRAS,
    summary="One less the absolute silhouette of batches within labels.",
)
def scib_bras(embedding: ArrayLike, labels: ArrayLike, batches: ArrayLike) -> float:
    """Return BRAS: one less the absolute silhouette of batches within labels, cosine, against all other batches.

    It takes the place of the batch silhouette, which nested batch effects mislead (Rautenstrauch and Ohler 2025).

    Parameters
    ----------
    embedding
        Embedding (n_obs, d), as it is.
    labels
        Cell type or niche of every observation (n_obs,), at least two.
    batches
        Patient, slide or platform of every observation (n_obs,), at least two.

    Returns
    -------
    A number in [0, 1]; 1 where batches overlap in every label. NaN where no label has two batches.

    Raises
    ------
    InputError
        If labels or batches do not differ, values are not finite, or lengths differ.
    ImportError
        If scib-metrics is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> embedding = np.repeat([[0.0], [9.0]], 20, axis=0) + np.random.default_rng(0).normal(size=(40, 2))
    >>> celltype, patient = np.repeat(["B", "T"], 20), np.tile(["P1", "P2"], 20)
    >>> sk.metrics.scib_bras(embedding, celltype, patient) > 0.8
    True
    """
    features, (what, who) = read_inputs(embedding, labels=labels, batches=batches)
    tab = pd.crosstab(what, who)
    levels = (tab > 0).sum(axis=1)
    if not ((levels > 1) & (levels < tab.sum(axis=1))).any():
        return float("nan")
    with load_scib() as scib:
        return float(scib.bras(features, what, who))


@metric(
    title="scIB iLISI",
    label="iLISI",
    family="embedding",
    higher_is_better=True,
    bounds=(0, 1),
    chance=None,
    source=SOURCE,
    summary="How evenly batches are mixed among the 90 nearest; best without any structure.",
)
def scib_ilisi(embedding: ArrayLike, batches: ArrayLike, *, neighbors: Neighbors | None = None) -> float:
    """Return iLISI: how many batches are among the 90 nearest, median over observations, rescaled to [0, 1].

    Parameters
    ----------
    embedding
        Embedding (n_obs, d), as it is.
    batches
        Patient, slide or platform of every observation (n_obs,), at least two.
    neighbors
        Result of `embedding_neighbors` at 89 or more, exact where it is left out.

    Returns
    -------
    A number in [0, 1]; 1 where every neighbourhood holds all batches evenly.

    Raises
    ------
    InputError
        If batches do not differ, there are not more than 89 observations, or lengths differ.
    ImportError
        If scib-metrics is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> embedding = np.repeat([[0.0], [9.0]], 50, axis=0) + np.random.default_rng(0).normal(size=(100, 2))
    >>> celltype, patient = np.repeat(["B", "T"], 50), np.tile(["P1", "P2"], 50)
    >>> sk.metrics.scib_ilisi(embedding, patient) > 0.8
    True
    """
    features, (who,) = read_inputs(embedding, batches=batches)
    near = own_first(features, LISI, neighbors)
    with load_scib() as scib:
        return float(scib.ilisi_knn(results(scib, near), who))


@metric(
    title="scIB kBET",
    label="kBET",
    family="embedding",
    higher_is_better=True,
    bounds=(0, 1),
    chance=None,
    source=SOURCE,
    summary="Share of neighbourhoods within a label whose batches are as frequent as in the whole label.",
)
def scib_kbet(
    embedding: ArrayLike, labels: ArrayLike, batches: ArrayLike, *, neighbors: Neighbors | None = None
) -> float:
    """Return kBET: the share of neighbourhoods within a label whose batches are as frequent as in the whole label.

    Within each label, diffusion distances on the graph of the 50 nearest (the observation itself is one) give as many
    neighbours as a quarter of a batch holds there, 10 to 70; their batches pass a χ² test at 0.05 or not. The mean over
    labels.

    Parameters
    ----------
    embedding
        Embedding (n_obs, d), as it is.
    labels
        Cell type or niche of every observation (n_obs,), at least two.
    batches
        Patient, slide or platform of every observation (n_obs,), at least two.
    neighbors
        Result of `embedding_neighbors` at 49 or more, exact where it is left out.

    Returns
    -------
    A number in [0, 1]; higher is better mixed. NaN where no label has ten members and two batches.

    Raises
    ------
    InputError
        If labels or batches do not differ, there are not more than 49 observations, or lengths differ.
    ImportError
        If scib-metrics is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> celltype, patient = np.repeat(["B", "T"], 30), np.repeat(["P1", "P2"], 30)
    >>> sk.metrics.scib_kbet(
    ...     np.random.default_rng(0).normal(size=(60, 2)), celltype, patient
    ... )  # no label has two batches
    nan
    """
    features, (what, who) = read_inputs(embedding, labels=labels, batches=batches)
    near = own_first(features, KBET, neighbors)
    tab = pd.crosstab(what, who)
    if not (((tab > 0).sum(axis=1) > 1) & (tab.sum(axis=1) >= _SMALLEST)).any():
        return float("nan")
    with load_scib() as scib:
        return float(scib.kbet_per_label(results(scib, near), who, what))


@metric(
    title="scIB graph connectivity",
    label="Graph connectivity",
    family="embedding",
    higher_is_better=True,
    bounds=(0, 1),
    chance=None,
    source=SOURCE,
    summary="Share of every label in its largest connected part of the 15-neighbour graph.",
)
def scib_graph_connectivity(embedding: ArrayLike, labels: ArrayLike, *, neighbors: Neighbors | None = None) -> float:
    """Return the share of every label in its largest connected part of the 15-neighbour graph, averaged.

    Parts are strongly connected, along the directed edges to the 15 nearest (the observation itself is one).

    Parameters
    ----------
    embedding
        Embedding (n_obs, d), as it is.
    labels
        Cell type or niche of every observation (n_obs,), at least two.
    neighbors
        Result of `embedding_neighbors` at 14 or more, exact where it is left out.

    Returns
    -------
    A number in (0, 1]; 1 where every label is one piece.

    Raises
    ------
    InputError
        If labels do not differ, there are not more than 14 observations, or lengths differ.
    ImportError
        If scib-metrics is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> embedding = np.repeat([[0.0], [9.0]], 20, axis=0) + np.random.default_rng(0).normal(size=(40, 2))
    >>> celltype, patient = np.repeat(["B", "T"], 20), np.tile(["P1", "P2"], 20)
    >>> 0 < sk.metrics.scib_graph_connectivity(embedding, celltype) <= 1
    True
    """
    features, (what,) = read_inputs(embedding, labels=labels)
    near = own_first(features, CONNECTIVITY, neighbors)
    with load_scib() as scib:
        return float(scib.graph_connectivity(results(scib, near), what))


@metric(
    title="scIB PCR",
    label="PCR",
    family="embedding",
    higher_is_better=True,
    bounds=(0, 1),
    chance=0,
    source=SOURCE,
    summary="How much less variance the batch explains than in a reference embedding.",
)
def scib_pcr(embedding: ArrayLike, reference: ArrayLike, batches: ArrayLike) -> float:
    """Return by how much less of the variance the batch explains than before integration, as a share of before.

    Parameters
    ----------
    embedding
        Embedding (n_obs, d), as it is.
    reference
        Embedding (n_obs, d) before integration, such as ``hvg_pca``.
    batches
        Patient, slide or platform of every observation (n_obs,), at least two.

    Returns
    -------
    A number in [0, 1]; 0 where the batch explains as much as before, or more. NaN where it explained nothing.

    Raises
    ------
    InputError
        If labels or batches do not differ, values are not finite, or lengths differ.
    ImportError
        If scib-metrics is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> patient, noise = np.tile(["P1", "P2"], 20), np.random.default_rng(0).normal(size=(40, 2))
    >>> shifted = noise + 5.0 * (patient == "P2")[:, None]
    >>> sk.metrics.scib_pcr(noise, shifted, patient) > 0.8, sk.metrics.scib_pcr(shifted, noise, patient)
    (True, 0.0)
    """
    features, (who,) = read_inputs(embedding, batches=batches)
    before = table(reference, name="reference", n=len(features)).astype(np.float32)
    with load_scib() as scib, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="PCR comparison score is negative", category=UserWarning)
        if scib.utils.principal_component_regression(before, who, categorical=True) == 0:
            return float("nan")
        return float(scib.pcr_comparison(before, features, who, categorical=True))
