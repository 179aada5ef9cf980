"""Scores as shares of what the noise of the data allows."""

from collections.abc import Collection

import numpy as np
import pandas as pd

MIN_CEILING = 0.1
"""Below this a mean ceiling is too near to chance for a share of it."""
SHARES_MOLECULES = ("control:thinned",)
"""Controls that hold molecules of the truth that they are judged by: no ceiling is meant for them."""
_METRIC = ["task", "metric", "setting", "scope"]
_PART = ["fold", "patient", "sample", "gene", "niche"]
_SAMPLE = [*_METRIC, "contender", "fold", "patient", "sample"]
_NO_SCORE = "no score of a gene or niche with a ceiling"
_TOO_LOW = "the ceiling is too near to chance"


def relative_scores(scores: pd.DataFrame, *, knowing: Collection[str] = SHARES_MOLECULES) -> pd.DataFrame:
    """Return the scores of every sample as shares of their ceilings, for the metrics that have ceilings.

    A share is the sum of the scores of a sample over the sum of their ceilings: over the genes (or niches) that have
    both. So genes whose ceiling says little weigh little, and none is chosen by the noise of what is tested. A gene
    that is not to count has a ceiling without a value, and the reason. A score and its ceiling agree in task, metric,
    setting, scope, fold, patient, sample, gene and niche; the contender of a ceiling does not matter.

    Parameters
    ----------
    scores
        Scores, and ceilings as rows with ``status="ceiling"``.
    knowing
        Contenders that know the truth, or a part of it, and so have no share of a ceiling.

    Returns
    -------
    One row for every contender, metric, fold and sample, with ``status="of ceiling"``, the scope of the scores and an
    empty gene and niche; without a value, and with the reason, where no score has a ceiling, or the mean ceiling is
    below 0.1. All other columns, also those beside the schema, are those of the first score.
    """
    ceilings = scores[scores["status"] == "ceiling"]
    named = ceilings[_METRIC].drop_duplicates()
    known = ceilings.set_index([*_METRIC, *_PART])["value"].rename("ceiling")
    rows = scores[scores["status"].isin(["scored", "undefined"]) & ~scores["contender"].isin(list(knowing))]
    rows = rows.merge(named, on=_METRIC, how="inner").join(known, on=[*_METRIC, *_PART])
    both = rows["value"].notna() & rows["ceiling"].notna()
    rows = rows.assign(ceiling=rows["ceiling"].where(both), counted=rows["value"].where(both))
    groups = rows.groupby(_SAMPLE, sort=False, observed=True)
    total, limit = groups["counted"].sum().to_numpy(), groups["ceiling"].sum().to_numpy()
    n, least = groups["ceiling"].count().to_numpy(), groups["ceiling"].mean().to_numpy()
    usable = (n > 0) & (np.nan_to_num(least) >= MIN_CEILING)
    share = np.divide(total, limit, out=np.full(len(total), np.nan), where=usable)
    found = rows.drop_duplicates(_SAMPLE).drop(columns=["ceiling", "counted"])
    reason = np.where(n > 0, _TOO_LOW, np.where(found["reason"] != "", found["reason"], _NO_SCORE))
    found = found.assign(value=share, status="of ceiling", gene="", niche="", reason=np.where(usable, "", reason))
    return found[list(scores.columns)]
