"""Scores relative to what the noise of the data allows."""

import numpy as np
import pandas as pd

from stfmkit.metrics._noise import ceiling_normalized

MIN_CEILING = 0.1
"""Below this a ceiling is too near to chance for a share of it."""
_MIN_CEILING_OF = {"pearson": float(np.sqrt(MIN_CEILING))}
"""The same where the ceiling is the root of a reliability."""
_METRIC = ["task", "metric", "setting", "scope"]
_KEYS = [*_METRIC, "fold", "patient", "sample", "gene", "niche"]
_REASON = "the ceiling is unknown, or too near to chance"


def relative_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of a table again, as shares of their ceilings, for the metrics that have one.

    A score and its ceiling agree in task, metric, setting, scope, fold, patient, sample, gene and niche; the contender
    of a ceiling does not matter. Chance is 0 in all metrics that have ceilings.

    Parameters
    ----------
    scores
        Scores, and ceilings as rows with ``status="ceiling"``.

    Returns
    -------
    One row for every score of a metric that has some ceiling, with ``status="of ceiling"``; without a value, and with
    the reason, where the ceiling is below 0.1 (of Pearson's r: the root of that), where it is not known, or where the
    score is not. All other columns, also those beside the schema, are those of the score.
    """
    ceilings = scores[scores["status"] == "ceiling"]
    named = ceilings[_METRIC].drop_duplicates()
    known = ceilings.set_index(_KEYS)["value"].rename("ceiling")
    rows = scores[scores["status"].isin(["scored", "undefined"])]
    rows = rows.merge(named, on=_METRIC, how="inner").join(known, on=_KEYS)
    least = rows["metric"].map(_MIN_CEILING_OF).fillna(MIN_CEILING)
    limit = rows["ceiling"].where(rows["ceiling"] >= least)
    share = ceiling_normalized(rows["value"].to_numpy(), ceiling=limit.to_numpy())
    reason = np.where(rows["reason"] != "", rows["reason"], _REASON)
    found = rows.drop(columns="ceiling").assign(
        value=share, status="of ceiling", reason=np.where(np.isnan(share), reason, "")
    )
    return found[list(scores.columns)]
