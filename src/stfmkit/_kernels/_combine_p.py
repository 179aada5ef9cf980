"""Combine p-values that depend on each other, on the log scale, so that none of them underflows."""

import numpy as np

_CAP = 0.999
_TINY = -200.0  # below, the cotangent is 1 / (π p) to the last bit, and p itself may be too small for a float


def log_cauchy(log_p: np.ndarray) -> np.ndarray:
    """Return log p of the Cauchy combination over the first axis (...,); NaN is left out, and NaN where all are.

    ``T = mean(cot(π p))``, which is standard Cauchy in its upper tail under the null, however the p-values depend on
    each other (Liu and Xie 2020, JASA 115:393). A p-value counts as at most 0.999: its cotangent would otherwise be a
    large negative number that no evidence elsewhere makes up for.

    Parameters
    ----------
    log_p
        Natural logarithms of p-values (k, ...).

    Examples
    --------
    >>> import numpy as np
    >>> np.exp(log_cauchy(np.log([0.01, 0.5]))).round(4)
    np.float64(0.02)
    """
    known = ~np.isnan(log_p)
    number = known.sum(axis=0)
    share = np.divide(1.0, number, out=np.zeros(number.shape), where=number > 0)
    capped = np.where(known, np.minimum(log_p, np.log(_CAP)), np.log(0.5))
    plain = np.where(known, 1 / np.tan(np.pi * np.exp(np.maximum(capped, _TINY))), 0.0).sum(axis=0) * share
    smallest = capped.min(axis=0, initial=0.0)
    others = np.where(known, np.exp(smallest - capped), 0.0).sum(axis=0)
    with np.errstate(divide="ignore"):
        tiny = smallest - np.log(others) - np.log(share)
    combined = np.where(smallest < _TINY, np.minimum(tiny, 0.0), np.log(np.arctan2(1.0, plain) / np.pi))
    return np.where(number > 0, combined, np.nan)


def over_patients_log_p(log_p: np.ndarray, patients: np.ndarray, *, measured: np.ndarray | None = None) -> np.ndarray:
    """Return log p over patients (n_genes,): samples of a patient combined, then patients, so that each counts alike.

    A sample that measures a gene and has no p-value for it, as the gene is flat there, says nothing: it counts as
    p = 0.5, which is neutral. A sample that does not measure the gene is left out.

    Parameters
    ----------
    log_p
        Natural logarithms of p-values (n_samples, n_genes).
    patients
        Patient of every sample (n_samples,).
    measured
        Whether a sample measures a gene (n_samples, n_genes); all do where it is left out.
    """
    flat = np.isnan(log_p) if measured is None else np.isnan(log_p) & measured
    filled = np.where(flat, np.log(0.5), log_p)
    return log_cauchy(np.stack([log_cauchy(filled[patients == who]) for who in np.unique(patients)]))
