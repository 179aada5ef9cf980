"""Scores relative to what the noise of the data allows, from the long table of raw scores and ceilings."""

import numpy as np
import pandas as pd

from stfmkit.metrics._noise import ceiling_normalized

CEILING, OF_CEILING = "_ceiling", "_of_ceiling"
"""How the names of ceilings and of relative scores end."""
_KEYS = ["task", "fold", "patient", "sample", "gene", "niche"]
_LEAST = 0.1
"""Below this a ceiling is too near to chance for a share of it."""
_LEAST_OF = {"pearson": float(np.sqrt(0.1))}
"""The same where the ceiling is the root of a reliability, as in `sk.tl.evaluate_expression`."""


def is_ceiling(metric: str) -> bool:
    """Tell whether a metric is a ceiling, and says nothing of a model."""
    return metric.endswith(CEILING) and not metric.endswith(OF_CEILING)


def relative_scores(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a table again, as shares of their ceilings, for the metrics that have one.

    A score and its ceiling belong to the same task, fold, patient, sample, gene and niche; chance is 0 in all of these
    metrics. NaN where the ceiling is below 0.1 (of a correlation of genes: its square), or is not known.
    """
    ceilings = table[[is_ceiling(m) for m in table["metric"]]]
    parts = []
    for name, limits in ceilings.groupby("metric", sort=True, observed=True):
        metric = str(name).removesuffix(CEILING)
        limit = limits.set_index(_KEYS)["value"].rename("ceiling")
        rows = table[table["metric"] == metric].join(limit, on=_KEYS)
        known = rows["ceiling"].where(rows["ceiling"] >= _LEAST_OF.get(metric, _LEAST))
        share = ceiling_normalized(rows["value"].to_numpy(), ceiling=known.to_numpy())
        parts.append(rows.drop(columns="ceiling").assign(metric=metric + OF_CEILING, value=share))
    return pd.concat(parts, ignore_index=True) if parts else table.iloc[:0]
