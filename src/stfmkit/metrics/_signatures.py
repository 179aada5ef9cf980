"""Niche signatures: statistics of genes, true and predicted signatures, and scores of one niche."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse, stats

from stfmkit._core.arguments import check_choice, check_fraction, check_integer, listed
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit.metrics._arrays import labels as check_labels
from stfmkit.metrics._arrays import matrix, number, vector
from stfmkit.metrics._auroc import auroc, check_mask, scorable
from stfmkit.metrics._metric import metric
from stfmkit.metrics._overlap import items
from stfmkit.metrics._signature_patients import MIN_PATIENTS, PatientStatistics

COLUMNS = ("niche", "gene", "auroc", "log2fc", "pct_in", "pct_out", "n_patients", "p_value", "p_adj")

_LARGEST = 50.0


def signature_statistics(
    X: ArrayLike | sparse.sparray, labels: ArrayLike, patients: ArrayLike, *, min_obs: int = 2
) -> pd.DataFrame:
    """Return what says that a gene marks a niche, with the patient as the unit.

    Everything is computed per patient that has `min_obs` observations inside and outside the niche, and then averaged
    over these patients. p-values come from a two-sided paired t-test over patients on pseudobulks (log1p of the mean
    expression, niche against rest), adjusted over the genes of a niche by Benjamini and Hochberg; spots never enter as
    if they were independent.

    Parameters
    ----------
    X
        Size-factor log1p expression (n_obs, n_genes), the truth; dense or sparse.
    labels
        Niche of every observation (n_obs,).
    patients
        Patient of every observation (n_obs,).
    min_obs
        Fewest observations inside and outside a niche for which a patient counts.

    Returns
    -------
    One row per niche and gene: niche; gene (position in `X`); auroc; log2fc, of the mean expression without the
    logarithm (scanpy averages logarithms first); pct_in and pct_out, shares of observations with the gene; n_patients;
    p_value and p_adj, NaN with fewer than three patients.

    Raises
    ------
    InputError
        If a niche can be scored in no patient, or values are negative or too large for a logarithm.

    Examples
    --------
    >>> import stfmkit as sk
    >>> X = [[3.0, 0], [2, 1], [1, 0], [0, 1]]
    >>> table = sk.metrics.signature_statistics(X, ["core", "core", "rim", "rim"], ["P1"] * 4)
    >>> table[["niche", "gene", "auroc", "pct_in"]].head(2).values.tolist()
    [['core', 0, 1.0, 1.0], ['core', 1, 0.5, 0.5]]
    """
    values = matrix(X, name="X")
    _check_log1p(values)
    niche = check_labels(labels, name="labels", n=values.shape[0])
    patient = check_labels(patients, name="patients", n=values.shape[0])
    check_integer(min_obs, name="min_obs", least=1)
    scorable(niche, patient, min_obs=min_obs)
    return PatientStatistics.of(values, niche, patient, min_obs=min_obs).table()


def signature_sets(
    statistics: pd.DataFrame,
    *,
    n_genes: int = 50,
    min_auroc: float = 0.5,
    min_log2fc: float = 0.5,
    min_pct: float = 0.1,
    alpha: float = 0.05,
    direction: str = "up",
) -> dict[Any, np.ndarray]:
    """Return the true signature of every niche: the best genes among those that mark it.

    A gene marks a niche if its AUROC is above `min_auroc`, its fold change and share of observations are large enough,
    and, where three patients or more have the niche, its adjusted p-value is below `alpha`. With fewer patients nothing
    is tested.

    Parameters
    ----------
    statistics
        The result of `signature_statistics`.
    n_genes
        Most genes per niche.
    min_auroc, min_log2fc, min_pct, alpha
        AUROC must be above, log2 fold change and share of observations at least, adjusted p-value below these. With
        four or five patients the test has little power; ``alpha=1`` leaves it out.
    direction
        "up" for genes with more in the niche. "down" for genes with less, by the same rule turned around: AUROC below
        ``1 - min_auroc``, fold change at most ``-min_log2fc``, and the share is that of observations outside.

    Returns
    -------
    Positions of the genes of every niche, best (for "down": lowest) AUROC first; empty where no gene marks the niche.

    Raises
    ------
    MissingKeyError
        If a column of `statistics` is absent.
    InputError
        If a threshold is out of range, or there is no such direction.

    Examples
    --------
    >>> import stfmkit as sk
    >>> X = [[3.0, 0], [2, 1], [1, 0], [0, 1]]
    >>> table = sk.metrics.signature_statistics(X, ["core", "core", "rim", "rim"], ["P1"] * 4)
    >>> sk.metrics.signature_sets(table, n_genes=10)
    {'core': array([0]), 'rim': array([], dtype=int64)}
    """
    check_integer(n_genes, name="n_genes", least=1)
    for name, value in {"min_auroc": min_auroc, "min_pct": min_pct, "alpha": alpha}.items():
        check_fraction(value, name=name)
    absent = [c for c in COLUMNS if c not in statistics]
    if absent:
        raise MissingKeyError(
            f"statistics without {listed(absent)}.",
            allowed=listed(COLUMNS),
            remedy="pass the result of `sk.metrics.signature_statistics`.",
        )
    check_choice(direction, ("up", "down"), name="direction")
    up = direction == "up"
    sign = 1.0 if up else -1.0
    tested = statistics["n_patients"] >= MIN_PATIENTS
    marks = (
        ((statistics["auroc"] > min_auroc) if up else (statistics["auroc"] < 1 - min_auroc))
        & (sign * statistics["log2fc"] >= min_log2fc)
        & (statistics["pct_in" if up else "pct_out"] >= min_pct)
        & (~tested | (statistics["p_adj"] < alpha) | (alpha == 1))
    )
    out: dict[Any, np.ndarray] = {}
    for niche, rows in statistics.assign(marks=marks).groupby("niche", sort=True):
        best = rows[rows["marks"]].sort_values(["auroc", "gene"], ascending=[not up, True])
        out[niche] = best["gene"].to_numpy(dtype=np.int64)[: int(n_genes)]
    return out


def signature_truth(
    X: ArrayLike | sparse.sparray,
    mask: ArrayLike,
    *,
    patients: ArrayLike | None = None,
    scores: ArrayLike | None = None,
    n_genes: int = 50,
    min_auroc: float = 0.5,
    min_log2fc: float = 0.5,
    min_pct: float = 0.1,
    alpha: float = 0.05,
    min_obs: int = 2,
) -> np.ndarray:
    """Return the true signature of one niche: the best genes among those that mark it.

    For all niches of a cohort at once, see `signature_statistics` and `signature_sets`, whose rules these are.

    Parameters
    ----------
    X
        Size-factor log1p expression (n_obs, n_genes), the truth; dense or sparse.
    mask
        True for observations of the niche (n_obs,).
    patients
        Patient of every observation (n_obs,). Without it all are of one patient, and nothing is tested.
    scores
        AUROC of every gene (n_genes,) where it is known already, such as a row of `niche_scores`.
    n_genes
        Most genes.
    min_auroc, min_log2fc, min_pct, alpha
        AUROC must be above, log2 fold change and share of observations at least, adjusted p-value below these.
    min_obs
        Fewest observations inside and outside the niche for which a patient counts.

    Returns
    -------
    Positions of the genes (at most `n_genes`), best AUROC first; empty where no gene marks the niche.

    Raises
    ------
    InputError
        If the niche can be scored in no patient, or values are negative or too large for a logarithm.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> X = [[3.0, 0], [2, 1], [1, 0], [0, 1]]
    >>> sk.metrics.signature_truth(X, np.array([True, True, False, False]), n_genes=10)
    array([0])
    """
    values = matrix(X, name="X")
    _check_log1p(values)
    inside = check_mask(mask, n=values.shape[0])
    who = np.zeros(len(inside), dtype=np.int64) if patients is None else patients
    patient = check_labels(who, name="patients", n=len(inside))
    known = None if scores is None else number(scores, name="scores").astype(np.float64)
    if known is not None and known.shape != (values.shape[1],):
        raise InputError(
            f"scores of shape {known.shape}.",
            allowed=f"one score for each of {values.shape[1]} genes",
            remedy="pass one row of `sk.metrics.niche_scores`.",
        )
    usable = scorable(inside, patient, min_obs=min_obs)[1]
    found = PatientStatistics.of(values, inside, patient, min_obs=min_obs)
    score = found.mean_auroc(1) if known is None else known
    statistics = found.means.table(1, use=usable, auroc=score, niche=True)
    sets = signature_sets(
        statistics, n_genes=n_genes, min_auroc=min_auroc, min_log2fc=min_log2fc, min_pct=min_pct, alpha=alpha
    )
    return sets[True]


def signature_top(scores: ArrayLike, n_genes: int) -> np.ndarray:
    """Return the positions of the best genes by score, best first.

    This is how a predicted signature is made: by rank alone. Predictions are smooth, so that by p-value nearly every
    gene of them would be significant.

    Parameters
    ----------
    scores
        One score per gene (n_genes,), such as a row of `niche_scores`; NaN is never chosen.
    n_genes
        Number of genes.

    Returns
    -------
    Positions (n_genes,); of equal scores the lower position comes first.

    Raises
    ------
    InputError
        If fewer than `n_genes` genes have a score.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.signature_top([0.5, 0.9, float("nan"), 0.7], 2)
    array([1, 3])
    """
    check_integer(n_genes, name="n_genes", least=1)
    values = number(scores, name="scores").astype(np.float64)
    defined = int((~np.isnan(values)).sum())
    if values.ndim != 1 or defined < n_genes:
        raise InputError(
            f"scores of shape {values.shape}, {defined} of them not NaN, and n_genes={n_genes}.",
            allowed="a flat array with at least n_genes scores",
            remedy="pass the scores of one niche, and a smaller n_genes for small panels.",
        )
    return np.argsort(-values, kind="stable")[: int(n_genes)].astype(np.int64)


@metric(
    title="Genes in the true signature",
    label="Signature size",
    family="signatures",
    higher_is_better=None,
    bounds=(0, None),
    chance=None,
    source="stfmkit documentation",
    summary="How many genes mark the niche in the measured counts, up to the size that is asked for.",
)
def signature_size(truth: Iterable[Any]) -> int:
    """Return how many genes the true signature of a niche has.

    It says how many genes there are to be found; a niche without a signature cannot be scored.

    Parameters
    ----------
    truth
        Genes of the true signature: names, or integer positions; every gene once.

    Returns
    -------
    A number of at least 0.

    Raises
    ------
    InputError
        If a gene is named twice.
    InputTypeError
        If it is no list of names or positions.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.signature_size(["CD3E", "CD8A"])
    2
    """
    return len(items(truth, name="truth"))


@metric(
    title="AUROC for the true signature",
    label="Signature AUROC",
    family="signatures",
    higher_is_better=True,
    bounds=(0, 1),
    chance=0.5,
    source="Hanley and McNeil 1982, Radiology 143:29",
    summary="Chance that a gene of the true signature is ranked above another gene.",
)
def signature_ranking_auroc(truth: Iterable[int], scores: ArrayLike) -> float:
    """Return how well a predicted ranking of all genes puts the true signature on top.

    The chance that a gene of the true signature has a higher score than one outside it, ties counting half. No size
    of a predicted set is needed.

    Parameters
    ----------
    truth
        Positions of the genes of the true signature.
    scores
        Predicted score of every gene (n_genes,), such as the AUROC of the predicted expression for the niche.

    Returns
    -------
    A number in [0, 1]; 0.5 by chance, NaN where the signature is empty or the whole panel.

    Raises
    ------
    InputError
        If a position is not that of a gene, or a score is not finite.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.signature_ranking_auroc([0, 2], [0.9, 0.8, 0.7, 0.1])
    0.75
    """
    known = vector(scores, name="scores")
    genes = np.asarray(items(truth, name="truth"))
    if not genes.size or genes.size == known.size:
        return float("nan")
    if genes.dtype.kind not in "iu" or genes.min() < 0 or genes.max() >= known.size:
        raise InputError(
            f"truth with {listed(genes.tolist(), most=5)}.",
            allowed=f"positions from 0 to {known.size - 1}",
            remedy="pass positions of genes in the order of the scores.",
        )
    inside = np.zeros(known.size, dtype=bool)
    inside[genes] = True
    return float(auroc(known[:, None], inside)[0])


@metric(
    title="Spearman ρ of fold changes",
    label="Fold changes ρ",
    family="signatures",
    higher_is_better=True,
    bounds=(-1, 1),
    chance=0,
    source="Spearman 1904, Am J Psychol 15:72",
    summary="Rank correlation over genes of true and predicted fold changes of a niche.",
)
def signature_fold_change_correlation(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return Spearman's ρ over genes between true and predicted fold changes of one niche.

    Parameters
    ----------
    truth, predicted
        Log fold change of every gene (n_genes,), niche against the rest.

    Returns
    -------
    A number in [-1, 1]; NaN where one side is constant.

    Raises
    ------
    InputError
        If lengths differ, a value is not finite, or there are fewer than two genes.

    Examples
    --------
    >>> import stfmkit as sk
    >>> round(sk.metrics.signature_fold_change_correlation([2.0, 1, 0, -1], [0.4, 0.5, 0.1, 0.0]), 3)
    0.8
    """
    first = vector(truth, name="truth")
    second = vector(predicted, name="predicted", n=len(first))
    if len(first) < 2:
        raise InputError(f"{len(first)} genes.", allowed="two or more", remedy="pass the genes of the whole panel.")
    ranks = np.stack([stats.rankdata(first), stats.rankdata(second)])
    ranks -= ranks.mean(axis=1, keepdims=True)
    bottom = float(np.sqrt((ranks**2).sum(axis=1).prod()))
    return float(np.clip(ranks[0] @ ranks[1] / bottom, -1, 1)) if bottom > 0 else float("nan")


def _check_log1p(values: np.ndarray | sparse.csr_array) -> None:
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > _LARGEST:
        raise InputError(
            f"values from {low:g} to {high:g}.",
            allowed=f"size-factor log1p expression, from 0 to at most {_LARGEST:g}",
            remedy="normalise the counts and take log1p before.",
        )
