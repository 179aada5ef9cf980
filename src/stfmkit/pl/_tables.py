"""Reading of the long benchmark table for plots."""

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


def with_keys(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of scores with the columns that tell its metrics apart; those that are missing become empty."""
    empty = {"setting": "", "scope": "", "status": "scored", "fold": -1, "gene": "", "niche": "", "reason": ""}
    return table.assign(**{name: value for name, value in empty.items() if name not in table.columns})
