"""Average scores: genes and niches, then folds, then samples, then patients.

Every step weighs its parts alike, whatever their size, so that a patient with many samples, or a sample with many
observations, counts no more than another. Rows without a value are left out of every mean.
"""

import numpy as np
import pandas as pd

CONTENDER = ["task", "metric", "setting", "scope", "status", "contender"]
"""Columns that name what is averaged."""

_MEDIANS = frozenset({"r2", "nrmse", "q2", "deviance_explained", "variance_ratio", "moran_ratio"})
"""Metrics without a bound: a few genes would decide their mean, so that genes are summarised by the median."""


def over_genes(metric: str) -> str:
    """Return how the genes of a sample are summarised for a metric: "mean" or "median"."""
    return "median" if metric in _MEDIANS else "mean"


def per_sample(scores: pd.DataFrame) -> pd.DataFrame:
    """Return one value for every sample: over its genes or niches within a fold, then the mean over folds.

    Genes are summarised by the mean or the median, as the metric says; an undefined score counts to what it would have
    been a score of, and is left out.

    Parameters
    ----------
    scores
        A table of scores; of columns beside the schema none is kept.

    Returns
    -------
    The columns of `CONTENDER`, patient, sample, and value; NaN where nothing is defined.
    """
    rows = _as_scored(scores)
    keys = [*CONTENDER, "patient", "sample"]
    median = (rows["scope"] == "gene") & (rows["metric"].map(over_genes) == "median")
    parts = []
    for how, part in (("mean", rows[~median]), ("median", rows[median])):
        if len(part):
            parts.append(part.groupby([*keys, "fold"], sort=True, observed=True)["value"].agg(how))
    if not parts:
        return pd.DataFrame({**dict.fromkeys(keys, pd.Series(dtype=str)), "value": pd.Series(dtype=np.float64)})
    return pd.concat(parts).groupby(keys, sort=True, observed=True).mean().reset_index()


def per_patient(scores: pd.DataFrame) -> pd.DataFrame:
    """Return one value for every patient: the mean over the samples of `per_sample`."""
    keys = [*CONTENDER, "patient"]
    return per_sample(scores).groupby(keys, sort=True, observed=True)["value"].mean().reset_index()


def summary(scores: pd.DataFrame) -> pd.DataFrame:
    """Return mean, standard deviation and range over patients, one row for every contender, metric and setting.

    Returns
    -------
    The columns of `CONTENDER`, and mean, sd (NaN of one patient), min, max, n_patients (with a value; 0 for a score of
    all patients together).
    """
    patients = per_patient(scores)
    counted = patients["value"].notna() & (patients["patient"] != "")
    groups = patients.assign(counted=counted.astype(np.int64)).groupby(CONTENDER, sort=True, observed=True)
    table = groups["value"].agg(mean="mean", sd="std", min="min", max="max")
    return table.assign(n_patients=groups["counted"].sum()).reset_index()


def _as_scored(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the table in which an undefined score stands beside the defined ones of its metric, with value NaN."""
    return scores.assign(status=scores["status"].replace("undefined", "scored"))
