"""Which genes mark a niche: statistics, the true set, and the predicted set."""

from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse, stats

from stfmkit._errors import InputError, MissingKeyError
from stfmkit._validate import check_fraction, check_integer, listed
from stfmkit.metrics._auroc import check_mask, niche_scores, scorable
from stfmkit.metrics._checks import labels as check_labels
from stfmkit.metrics._checks import matrix, number

COLUMNS = ("niche", "gene", "auroc", "log2fc", "pct_in", "pct_out", "n_patients", "p_value", "p_adj")
MIN_PATIENTS = 3
_TINY = 1e-9  # scanpy's guard against division by zero in fold changes
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
    >>> X = [[3.0, 0], [2, 1], [1, 0], [0, 1]]
    >>> table = signature_statistics(X, ["core", "core", "rim", "rim"], ["P1"] * 4)
    >>> table[["niche", "gene", "auroc", "pct_in"]].head(2).values.tolist()
    [['core', 0, 1.0, 1.0], ['core', 1, 0.5, 0.5]]
    """
    values = matrix(X, name="X")
    _check_log1p(values)
    niche = check_labels(labels, name="labels", n=values.shape[0])
    patient = check_labels(patients, name="patients", n=values.shape[0])
    aurocs = niche_scores(values, niche, patient, min_obs=min_obs)
    means = _Means.of(values, niche, patient)
    usable = scorable(niche, patient, min_obs=min_obs)
    return pd.concat(
        [
            means.table(k, use=usable[k], auroc=aurocs[k], niche=name)
            for k, name in enumerate(np.unique(niche).tolist())
        ],
        ignore_index=True,
    )


def signature_sets(
    statistics: pd.DataFrame,
    *,
    n: int = 50,
    min_auroc: float = 0.5,
    min_log2fc: float = 0.5,
    min_pct: float = 0.1,
    alpha: float = 0.05,
) -> dict[Any, np.ndarray]:
    """Return the true signature of every niche: the best genes among those that mark it.

    A gene marks a niche if its AUROC is above `min_auroc`, its fold change and share of observations are large enough,
    and, where three patients or more have the niche, its adjusted p-value is below `alpha`. With fewer patients nothing
    is tested.

    Parameters
    ----------
    statistics
        The result of `signature_statistics`.
    n
        Most genes per niche.
    min_auroc, min_log2fc, min_pct, alpha
        AUROC must be above, log2 fold change and share of observations at least, adjusted p-value below these.

    Returns
    -------
    Positions of the genes of every niche, best AUROC first; empty where no gene marks the niche.

    Raises
    ------
    MissingKeyError
        If a column of `statistics` is absent.
    InputError
        If a threshold is out of range.

    Examples
    --------
    >>> X = [[3.0, 0], [2, 1], [1, 0], [0, 1]]
    >>> table = signature_statistics(X, ["core", "core", "rim", "rim"], ["P1"] * 4)
    >>> signature_sets(table, n=10)
    {'core': array([0]), 'rim': array([], dtype=int64)}
    """
    check_integer(n, name="n", least=1)
    for name, value in {"min_auroc": min_auroc, "min_pct": min_pct, "alpha": alpha}.items():
        check_fraction(value, name=name)
    absent = [c for c in COLUMNS if c not in statistics]
    if absent:
        raise MissingKeyError(
            f"statistics without {listed(absent)}.",
            allowed=listed(COLUMNS),
            remedy="pass the result of `sk.metrics.signature_statistics`.",
        )
    tested = statistics["n_patients"] >= MIN_PATIENTS
    marks = (
        (statistics["auroc"] > min_auroc)
        & (statistics["log2fc"] >= min_log2fc)
        & (statistics["pct_in"] >= min_pct)
        & (~tested | (statistics["p_adj"] < alpha))
    )
    out: dict[Any, np.ndarray] = {}
    for niche, rows in statistics.assign(marks=marks).groupby("niche", sort=True):
        best = rows[rows["marks"]].sort_values(["auroc", "gene"], ascending=[False, True])
        out[niche] = best["gene"].to_numpy(dtype=np.int64)[:n]
    return out


def signature_truth(
    X: ArrayLike | sparse.sparray,
    mask: ArrayLike,
    *,
    patients: ArrayLike | None = None,
    scores: ArrayLike | None = None,
    n: int = 50,
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
    n
        Most genes.
    min_auroc, min_log2fc, min_pct, alpha
        AUROC must be above, log2 fold change and share of observations at least, adjusted p-value below these.
    min_obs
        Fewest observations inside and outside the niche for which a patient counts.

    Returns
    -------
    Positions of the genes (at most n,), best AUROC first; empty where no gene marks the niche.

    Raises
    ------
    InputError
        If the niche can be scored in no patient, or values are negative or too large for a logarithm.

    Examples
    --------
    >>> import numpy as np
    >>> X = [[3.0, 0], [2, 1], [1, 0], [0, 1]]
    >>> signature_truth(X, np.array([True, True, False, False]), n=10)
    array([0])
    """
    values = matrix(X, name="X")
    _check_log1p(values)
    inside = check_mask(mask, n=values.shape[0])
    who = np.zeros(len(inside), dtype=np.int64) if patients is None else patients
    patient = check_labels(who, name="patients", n=len(inside))
    if scores is None:
        known = niche_scores(values, inside, patient, min_obs=min_obs)[1]
    else:
        known = number(scores, name="scores").astype(np.float64)
        if known.shape != (values.shape[1],):
            raise InputError(
                f"scores of shape {known.shape}.",
                allowed=f"one score for each of {values.shape[1]} genes",
                remedy="pass one row of `sk.metrics.niche_scores`.",
            )
    usable = scorable(inside, patient, min_obs=min_obs)[1]
    statistics = _Means.of(values, inside, patient).table(1, use=usable, auroc=known, niche=True)
    thresholds = {"min_auroc": min_auroc, "min_log2fc": min_log2fc, "min_pct": min_pct, "alpha": alpha}
    return signature_sets(statistics, n=n, **thresholds)[True]


def signature_top(scores: ArrayLike, n: int) -> np.ndarray:
    """Return the positions of the `n` best genes by score, best first.

    This is how a predicted signature is made: by rank alone. Predictions are smooth, so that by p-value nearly every
    gene of them would be significant.

    Parameters
    ----------
    scores
        One score per gene (n_genes,), such as a row of `niche_scores`; NaN is never chosen.
    n
        Number of genes.

    Returns
    -------
    Positions (n,); of equal scores the lower position comes first.

    Raises
    ------
    InputError
        If fewer than `n` genes have a score.

    Examples
    --------
    >>> signature_top([0.5, 0.9, float("nan"), 0.7], 2)
    array([1, 3])
    """
    check_integer(n, name="n", least=1)
    values = number(scores, name="scores").astype(np.float64)
    defined = int((~np.isnan(values)).sum())
    if values.ndim != 1 or defined < n:
        raise InputError(
            f"scores of shape {values.shape}, {defined} of them not NaN, and n={n}.",
            allowed="a flat array with at least n scores",
            remedy="pass the scores of one niche, and a smaller n for small panels.",
        )
    return np.argsort(-values, kind="stable")[: int(n)].astype(np.int64)


def _check_log1p(values: np.ndarray | sparse.csr_array) -> None:
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > _LARGEST:
        raise InputError(
            f"values from {low:g} to {high:g}.",
            allowed=f"size-factor log1p expression, from 0 to at most {_LARGEST:g}",
            remedy="normalise the counts and take log1p before.",
        )


class _Means(NamedTuple):
    """Mean expression and share of observations with the gene, (n_niches, n_patients, n_genes) inside and outside."""

    mean_in: np.ndarray
    mean_out: np.ndarray
    pct_in: np.ndarray
    pct_out: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray | sparse.csr_array, niche: np.ndarray, patient: np.ndarray) -> Self:
        """Sum over niches and patients by one sparse product; nothing of the size of the data is made dense."""
        niche_code, niches = pd.factorize(niche, sort=True)
        patient_code, patients = pd.factorize(patient, sort=True)
        n, shape = len(niche), (len(niches), len(patients))
        cell = niche_code * shape[1] + patient_code
        member = sparse.csr_array((np.ones(n), (cell, np.arange(n))), shape=(shape[0] * shape[1], n))
        size = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(*shape, 1)
        rest = size.sum(axis=0) - size
        out = []
        for part in (np.expm1(values), (values > 0).astype(np.float64)):
            product = member @ part
            dense = product if isinstance(product, np.ndarray) else product.toarray()
            total = dense.reshape(*shape, -1)
            others = np.maximum(total.sum(axis=0) - total, 0)
            out += [total / np.maximum(size, 1), others / np.maximum(rest, 1)]
        return cls(*out)

    def table(self, k: int, *, use: np.ndarray, auroc: np.ndarray, niche: Any) -> pd.DataFrame:
        """Return the statistics of niche number `k` over the patients in `use`."""
        mean_in, mean_out = self.mean_in[k, use], self.mean_out[k, use]
        p = _paired_p(np.log1p(mean_in) - np.log1p(mean_out))
        return pd.DataFrame(
            {
                "niche": niche,
                "gene": np.arange(mean_in.shape[1]),
                "auroc": auroc,
                "log2fc": np.log2((mean_in.mean(axis=0) + _TINY) / (mean_out.mean(axis=0) + _TINY)),
                "pct_in": self.pct_in[k, use].mean(axis=0),
                "pct_out": self.pct_out[k, use].mean(axis=0),
                "n_patients": int(use.sum()),
                "p_value": p,
                "p_adj": p if np.isnan(p).any() else stats.false_discovery_control(p),
            }
        )


def _paired_p(difference: np.ndarray) -> np.ndarray:
    """Return two-sided p-values of a paired t-test over the rows; NaN with too few of them."""
    n = len(difference)
    if n < MIN_PATIENTS:
        return np.full(difference.shape[1], np.nan)
    mean = difference.mean(axis=0)
    error = difference.std(axis=0, ddof=1) / np.sqrt(n)
    exact = error <= 1e-12 * np.abs(mean)  # all patients agree to the last digit, or the gene is nowhere
    t = np.abs(mean) / np.where(exact, 1.0, error)
    p = 2 * stats.t.sf(t, df=n - 1)
    p[exact] = np.where(mean[exact] == 0, 1.0, 0.0)
    return np.asarray(p)
