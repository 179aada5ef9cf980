"""Average scores: genes and niches, then folds, then samples, then patients.

Every step weighs its parts alike, whatever their size, so that a patient with many samples, or a sample with many
observations, counts no more than another. Rows without a value are left out of every mean.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from stfmkit._core.errors import MissingKeyError
from stfmkit.evaluation.ceilings import relative_scores
from stfmkit.evaluation.scores import concat_scores, score_table
from stfmkit.metrics._catalogue import spec

CONTENDER = ["task", "metric", "setting", "scope", "status", "contender"]
"""Columns that name what is averaged."""


def aggregation(metric: str, scope: str) -> str:
    """Return how the genes, niches or classes of one sample become one value: "mean" or "median", as the metric says.

    What is no metric of `sk.metrics` is averaged.
    """
    try:
        about = spec(metric)
    except MissingKeyError:
        return "mean"
    return about.over_genes if scope == "gene" else about.over


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
    parts = []
    for how, part in _by_aggregation(rows):
        parts.append(part.groupby([*keys, "fold"], sort=True, observed=True)["value"].agg(how))
    if not parts:
        return pd.DataFrame({**dict.fromkeys(keys, pd.Series(dtype=str)), "value": pd.Series(dtype=np.float64)})
    return pd.concat(parts).groupby(keys, sort=True, observed=True).mean().reset_index()


def sample_means(scores: pd.DataFrame) -> pd.DataFrame:
    """Return a table of scores with one row for every sample and fold, over its genes or niches."""
    keys = [*CONTENDER, "patient", "sample", "fold"]
    parts = [
        part.groupby(keys, sort=True, observed=True)["value"].agg(how).reset_index()
        for how, part in _by_aggregation(_as_scored(scores))
    ]
    whole = pd.concat(parts) if parts else pd.DataFrame({"value": []})
    return score_table(**{name: whole[name].to_numpy() for name in whole})


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
    return over_patients(per_patient(scores))


def over_patients(patients: pd.DataFrame) -> pd.DataFrame:
    """Return the same of what `per_patient` returned."""
    counted = patients["value"].notna() & (patients["patient"] != "")
    groups = patients.assign(counted=counted.astype(np.int64)).groupby(CONTENDER, sort=True, observed=True)
    table = groups["value"].agg(mean="mean", sd="std", min="min", max="max")
    return table.assign(n_patients=groups["counted"].sum()).reset_index()


def _by_aggregation(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the rows of the metrics whose parts are summarised alike, with how."""
    kinds = rows[["metric", "scope"]].drop_duplicates()
    kinds = kinds.assign(how=[aggregation(*kind) for kind in kinds.itertuples(index=False)])
    named = rows.merge(kinds, on=["metric", "scope"], how="left")
    for how, part in named.groupby("how", sort=True):
        yield str(how), part


def _as_scored(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the table in which an undefined score stands beside the defined ones of its metric, with value NaN."""
    return scores.assign(status=scores["status"].replace("undefined", "scored"))


def score_tables(scores: pd.DataFrame, *, relative: bool = True) -> dict[str, pd.DataFrame]:
    """Return the scores, shares of their ceilings among them, and their averages.

    Parameters
    ----------
    scores
        A table of scores, and ceilings as rows with ``status="ceiling"``.
    relative
        Add the scores as shares of their ceilings.

    Returns
    -------
    "scores", "by_patient" (one value for every contender, metric, setting and patient) and "summary" (over patients).
    """
    whole = concat_scores([scores, relative_scores(scores)]) if relative else scores
    patients = per_patient(whole)
    named = patients[patients["patient"] != ""].reset_index(drop=True)  # others speak of all patients together
    return {"scores": whole, "by_patient": named, "summary": over_patients(patients)}
