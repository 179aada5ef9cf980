"""Spots taken apart into cell types: the share of each in its spot, and who shares a spot (stFormer)."""

import numpy as np
import pandas as pd

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError

LEAST = 0.05
"""Share of a spot below which the original takes a cell type as absent."""


def parse_abundances(column: np.ndarray, *, key: str) -> np.ndarray:
    """Return abundances (n_obs,) from a column of obs.

    Raises
    ------
    InputError
        Some are no numbers ≥ 0.
    """
    values = pd.to_numeric(pd.Series(column), errors="coerce").to_numpy(dtype=np.float64)
    bad = ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        raise InputError(
            f"{int(bad.sum())} of {len(values)} abundances in obs[{key!r}] are no numbers of at least zero: "
            f"{listed(np.asarray(column)[bad], most=3)}.",
            allowed="the abundance of the cell type in its spot",
            remedy="pass the column that holds them as abundance_key=.",
        )
    return values


def spot_shares(spot: np.ndarray, abundance: np.ndarray) -> np.ndarray:
    """Return the share of every observation in its spot (n_obs,), 0 for those below `LEAST`; the others add up to 1.

    Parameters
    ----------
    spot
        Code of the spot of every observation (n_obs,).
    abundance
        Abundance of the cell type in its spot (n_obs,).
    """
    for _ in range(2):
        total = np.bincount(spot, weights=abundance)[spot]
        abundance = abundance / np.where(total > 0, total, 1)
        abundance = np.where(abundance < LEAST, 0.0, abundance)
    return abundance


def spot_members(spot: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of an observation and one of its spot, itself among them, in ascending order; shares of 0 in none.

    Parameters
    ----------
    spot
        Code of the spot of every observation (n_obs,).
    shares
        Share of every observation in its spot (n_obs,).
    """
    kept = np.flatnonzero(shares > 0)
    kept = kept[np.argsort(spot[kept], kind="stable")]
    number = np.bincount(spot[kept], minlength=int(spot.max(initial=-1)) + 1)
    each = number[spot[kept]]
    first = (np.cumsum(number) - number)[spot[kept]]
    within = np.arange(each.sum()) - np.repeat(np.cumsum(each) - each, each)
    center, member = np.repeat(kept, each), kept[np.repeat(first, each) + within]
    order = np.lexsort((member, center))
    return center[order], member[order]
