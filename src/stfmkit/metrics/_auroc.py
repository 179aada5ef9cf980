"""AUROC of every gene for a mask, for groups, and for niches within patients."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse

from stfmkit._core.arguments import check_integer, listed
from stfmkit._core.errors import InputError
from stfmkit._kernels._ranks import rank_sums
from stfmkit.metrics._arrays import labels as check_labels
from stfmkit.metrics._arrays import read_values
from stfmkit.metrics._metric import metric


@metric(
    title="AUROC",
    family="signatures",
    higher_is_better=True,
    bounds=(0, 1),
    chance=0.5,
    source="Hanley and McNeil 1982, Radiology 143:29",
    summary="Chance that a random observation inside has more of the gene than one outside.",
)
def auroc(X: ArrayLike | sparse.sparray, mask: ArrayLike) -> np.ndarray:
    """Return, per gene, the area under the ROC curve for telling observations inside a mask from the rest.

    It is the chance that a random observation inside has more of the gene than a random one outside, ties counting
    half: the Mann-Whitney U over the product of the group sizes.

    Parameters
    ----------
    X
        Values (n_obs, n_genes), dense or sparse; a sparse matrix is not densified. Any monotone scale gives the same.
    mask
        True for observations inside (n_obs,).

    Returns
    -------
    One value in [0, 1] per gene (n_genes,); 0.5 for a constant gene.

    Raises
    ------
    InputError
        If the mask is empty or full, has another length, or a value is not finite.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.auroc([[3.0, 0], [2, 1], [1, 0], [0, 1]], [True, True, False, False])
    array([1. , 0.5])
    """
    values = read_values(X)
    inside = check_mask(mask, n=values.shape[0])
    return _scores(values, inside.astype(np.int64), 2)[1]


def auroc_by_group(
    X: ArrayLike | sparse.sparray, labels: ArrayLike, *, groups: Sequence[Any] | np.ndarray | None = None
) -> np.ndarray:
    """Return the AUROC of every gene for every group against all other observations.

    Parameters
    ----------
    X
        Values (n_obs, n_genes), dense or sparse; a sparse matrix is not densified.
    labels
        Group of every observation (n_obs,).
    groups
        Groups to score and the order of the rows of the result; by default ``np.unique(labels)``. A group that is
        absent, or holds all observations, gets NaN.

    Returns
    -------
    Scores (n_groups, n_genes) in [0, 1].

    Raises
    ------
    InputError
        If there is one group only, a label is missing, or a value is not finite.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.auroc_by_group([[3.0], [2], [1], [0]], ["tumour", "tumour", "stroma", "stroma"])
    array([[0.],
           [1.]])
    """
    values = read_values(X)
    codes, wanted = group_codes(labels, groups, n=values.shape[0])
    return _scores(values, codes, len(wanted) + 1)[:-1]


def group_codes(labels: ArrayLike, groups: Sequence[Any] | np.ndarray | None, *, n: int) -> tuple[np.ndarray, pd.Index]:
    """Return the position of every label among the groups (n,), their number for the others, and the groups."""
    group = check_labels(labels, name="labels", n=n)
    wanted = pd.Index(np.unique(group) if groups is None else groups)
    if groups is None and len(wanted) < 2:
        raise InputError(
            f"one group only: {listed(wanted)}.",
            allowed="at least two groups",
            remedy="pass observations of several niches; there is no rest to compare with.",
        )
    codes = wanted.get_indexer(pd.Index(group))
    codes[codes < 0] = len(wanted)
    return codes, wanted


def niche_scores(
    X: ArrayLike | sparse.sparray, labels: ArrayLike, patients: ArrayLike, *, min_obs: int = 2
) -> np.ndarray:
    """Return the AUROC of every gene for every niche against the rest, per patient and then averaged.

    Patients count the same, however many observations they have, and differences between patients do not pass for
    differences between niches. A patient counts for a niche if it has `min_obs` observations inside and outside.

    Parameters
    ----------
    X
        Values (n_obs, n_genes), true or predicted; dense or sparse.
    labels
        Niche of every observation (n_obs,).
    patients
        Patient of every observation (n_obs,).
    min_obs
        Fewest observations inside and outside a niche for which a patient counts.

    Returns
    -------
    Scores (n_niches, n_genes) in [0, 1], niches in the order of ``np.unique(labels)``.

    Raises
    ------
    InputError
        If a niche can be scored in no patient, an id is missing, or a value is not finite.

    Examples
    --------
    >>> import stfmkit as sk
    >>> X = [[3.0], [2], [1], [0], [9], [8], [9], [8]]
    >>> niche = ["core", "core", "rim", "rim"] * 2
    >>> sk.metrics.niche_scores(X, niche, ["P1"] * 4 + ["P2"] * 4)  # 1 in one patient, 0.5 in the other
    array([[0.75],
           [0.25]])
    """
    check_integer(min_obs, name="min_obs", least=1)
    values = read_values(X)
    niche = check_labels(labels, name="labels", n=values.shape[0])
    patient = check_labels(patients, name="patients", n=values.shape[0])
    niches = np.unique(niche)
    usable = scorable(niche, patient, min_obs=min_obs)
    total = np.zeros((len(niches), values.shape[1]))
    for column, who in enumerate(np.unique(patient)):
        use = usable[:, column]
        if use.any():
            rows = np.flatnonzero(patient == who)
            total[use] += auroc_by_group(values[rows], niche[rows], groups=niches[use])
    return total / usable.sum(axis=1)[:, None]


def check_mask(mask: ArrayLike, *, n: int) -> np.ndarray:
    """Return a boolean mask with someone inside and someone outside."""
    inside = np.asarray(mask)
    if inside.dtype != bool or inside.shape != (n,):
        raise InputError(
            f"mask of dtype {inside.dtype} and shape {inside.shape}.",
            allowed=f"{n} booleans",
            remedy="pass a comparison, such as `labels == niche`.",
        )
    if inside.all() or not inside.any():
        raise InputError(
            f"{int(inside.sum())} of {len(inside)} observations inside the mask.",
            allowed="at least one inside and one outside",
            remedy="leave out niches that are absent or fill the whole sample.",
        )
    return inside


def scorable(niche: np.ndarray, patient: np.ndarray, *, min_obs: int) -> np.ndarray:
    """Say which niche can be scored in which patient (n_niches, n_patients); refuse a niche that can be in none."""
    inside = pd.crosstab(niche, patient).to_numpy()
    outside = inside.sum(axis=0) - inside
    usable = (inside >= min_obs) & (outside >= min_obs)
    lost = np.unique(niche)[~usable.any(axis=1)]
    if lost.size:
        raise InputError(
            f"niches {listed(lost.tolist())} with under {min_obs} observations inside or outside, in all patients.",
            allowed=f"at least {min_obs} observations of the niche and of the rest in one patient",
            remedy="drop these niches, or merge them with others.",
        )
    return np.asarray(usable)


def _scores(values: np.ndarray | sparse.csr_array, codes: np.ndarray, n_groups: int) -> np.ndarray:
    size = np.bincount(codes, minlength=n_groups).astype(np.float64)
    return auroc_of(rank_sums(values, codes=codes, n_groups=n_groups), size)


def auroc_of(ranks: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return the AUROC of every group against the rest (n_groups, n_genes), NaN for a group without a rest.

    Parameters
    ----------
    ranks
        Sums of mid-ranks (n_groups, n_genes).
    size
        Observations of every group (n_groups,), as floats.
    """
    inside = size[:, None]
    pairs = inside * (size.sum() - inside)
    out = np.full(ranks.shape, np.nan)
    np.divide(ranks - inside * (inside + 1) / 2, pairs, out=out, where=pairs > 0)
    return out
