"""Reading of the long benchmark table for plots: checks, and one value per patient."""

from collections.abc import Iterable

import pandas as pd

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputTypeError, MissingKeyError


def require_columns(frame: object, columns: Iterable[str], *, what: str) -> pd.DataFrame:
    """Return `frame` if it is a DataFrame that has the columns."""
    if not isinstance(frame, pd.DataFrame):
        raise InputTypeError(
            f"{what} of type {type(frame).__name__}.",
            allowed="Results of sk.bm.run, or a pandas DataFrame",
            remedy="pass the Results object itself.",
        )
    missing = [c for c in columns if c not in frame.columns]
    if missing:
        raise MissingKeyError(
            f"{what} without the columns {listed(missing)}.",
            allowed=f"a table with these beside {listed(map(str, frame.columns))}",
            remedy="pass the table as sk.bm.run returned it.",
        )
    return frame


def patient_values(table: pd.DataFrame, *, task: str, metric: str) -> pd.DataFrame:
    """Return one value per model and patient: the mean over genes and niches, then folds, then samples.

    Undefined values are left out.

    Returns
    -------
    Models × patients, NaN where a model has no value.

    Examples
    --------
    >>> rows = [("t", "f1", "a", "P1", "S1", 0.2), ("t", "f1", "a", "P1", "S1", 0.4), ("t", "f1", "a", "P1", "S2", 0.7)]
    >>> table = pd.DataFrame(rows, columns=["task", "metric", "model", "patient", "sample", "value"])
    >>> float(patient_values(table, task="t", metric="f1").loc["a", "P1"].round(2))
    0.5
    """
    rows = table.loc[(table["task"] == task) & (table["metric"] == metric)].dropna(subset="value")
    keys = ["model", "patient", "sample", *(["fold"] if "fold" in rows.columns else [])]
    rows = rows.astype({"model": str, "patient": str, "sample": str})
    while len(keys) >= 2:  # genes and niches, then folds, then samples
        rows = rows.groupby(keys, observed=True)["value"].mean().reset_index()
        keys = keys[:-1]
    return rows.pivot_table(index="model", columns="patient", values="value")
