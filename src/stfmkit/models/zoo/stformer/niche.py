"""The cells around each cell, and the ligands that they express (stFormer)."""

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from stfmkit._core.errors import UnitsError
from stfmkit._kernels._neighbors import knn_within
from stfmkit.models.nets.tokens import Tokens

_STEP, _FARTHEST = 0.1, 1e6


def niche_members(
    coords: np.ndarray, samples: np.ndarray, *, most: int, nearest: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of an observation and a member of its niche, itself among them, in ascending order.

    Parameters
    ----------
    coords
        Coordinates (n_obs, 2).
    samples
        Sample of every observation (n_obs,); a niche never crosses samples.
    most
        Most members of a niche.
    nearest
        Whether the niche holds that many nearest cells, instead of all cells within one radius for the sample.
    """
    if nearest:
        others = knn_within(coords, samples, k=most - 1)
        center = np.repeat(np.arange(len(coords)), most)
        member = np.column_stack([np.arange(len(coords)), others]).ravel()
        center, member = center[member >= 0], member[member >= 0]
    else:
        rows = [np.flatnonzero(samples == sample) for sample in np.unique(samples)]
        pairs = [(held, _within(coords[held], niche_radius(coords[held], most=most))) for held in rows]
        center = np.concatenate([held[found[0]] for held, found in pairs])
        member = np.concatenate([held[found[1]] for held, found in pairs])
    order = np.lexsort((member, center))
    return center[order], member[order]


def niche_radius(coords: np.ndarray, *, most: int) -> float:
    """Return the largest radius, in steps of 0.1, within which no observation has more than `most`, itself among them.

    Infinite where the sample is not larger than that.

    Raises
    ------
    UnitsError
        The steps are far too small for the coordinates.
    """
    if len(coords) <= most:
        return float("inf")
    distance = float(cKDTree(coords).query(coords, k=most + 1)[0][:, -1].min())
    if distance > _FARTHEST:
        raise UnitsError(
            f"a niche of {most} cells that is {distance:.3g} units wide.",
            allowed="coordinates in µm or pixels",
            remedy="rescale the coordinates, or pass niche='nearest'.",
        )
    steps = np.cumsum(np.full(int(distance / _STEP) + 3, _STEP))  # adds up with the rounding of the original's loop
    return float(steps[np.searchsorted(steps, distance, side="right")] - _STEP)


def _within(coords: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    n = len(coords)
    if np.isinf(radius):
        return np.repeat(np.arange(n), n), np.tile(np.arange(n), n)
    pairs = cKDTree(coords).query_pairs(radius * (1 + 1e-9) + 1e-12, output_type="ndarray")
    away = np.sqrt(((coords[pairs[:, 0]] - coords[pairs[:, 1]]) ** 2).sum(axis=1))
    a, b = pairs[away <= radius].T
    itself = np.arange(n)
    return np.concatenate([a, b, itself]), np.concatenate([b, a, itself])


def niche_tokens(
    values: sparse.csr_array,
    ids: np.ndarray,
    ligands: np.ndarray,
    pairs: tuple[np.ndarray, np.ndarray] | None,
    *,
    shares: np.ndarray | None = None,
) -> Tokens:
    """Return the genes of every observation, then the ligands of the members of its niche.

    Parameters
    ----------
    values
        Expression (n_obs, m), without stored zeros.
    ids
        Token of every column (m,).
    ligands
        Which columns are ligands (m,).
    pairs
        Observations and members of their niches; None for no niche.
    shares
        Weight of every observation as a member (n_obs,); None for the same weight of all members of a niche.

    Returns
    -------
    Tokens with the rows ``n_center`` (number of genes before the ligands), ``empty``, and ``log_share``: the log of
    one over the size of the niche (n_obs,), or with `shares` the log of that of every member (n_obs, m), and
    ``until``, the number of ligands up to and with each (n_obs, m).
    """
    n_obs = values.shape[0]
    own = np.diff(values.indptr).astype(np.int64)
    tokens, numbers = np.asarray(ids, dtype=np.int64)[values.indices], values.data.astype(np.float32)
    center, member = pairs if pairs is not None else (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    part = sparse.csr_array(values[:, np.flatnonzero(ligands)])
    part_tokens = np.asarray(ids, dtype=np.int64)[ligands][part.indices]
    each = np.diff(part.indptr)[member].astype(np.int64)
    around = np.bincount(center, weights=each, minlength=n_obs).astype(np.int64)
    indptr = np.concatenate([[0], np.cumsum(own + around)]).astype(np.int64)
    out, amounts = np.empty(indptr[-1], dtype=np.int64), np.empty(indptr[-1], dtype=np.float32)
    place = np.repeat(indptr[:-1] - values.indptr[:-1], own) + np.arange(len(tokens))
    out[place], amounts[place] = tokens, numbers
    before = np.concatenate([[0], np.cumsum(each)])[:-1]
    source = np.repeat(part.indptr[member] - before, each) + np.arange(each.sum())
    place = np.repeat((indptr[:-1] + own - np.concatenate([[0], np.cumsum(around)])[:-1])[center], each)
    place += np.arange(each.sum())
    out[place], amounts[place] = part_tokens[source], part.data[source]
    size = np.bincount(center, minlength=n_obs)
    rows = {"n_center": own, "empty": own == 0}
    if shares is None:
        rows["log_share"] = np.log((1 / np.maximum(size, 1)).astype(np.float32))
    else:
        nth = np.arange(len(center)) - (np.cumsum(size) - size)[center]
        log_share, number = (np.zeros((n_obs, max(int(size.max(initial=0)), 1))) for _ in range(2))
        log_share[center, nth], number[center, nth] = np.log(shares[member]), each
        rows["log_share"], rows["until"] = log_share.astype(np.float32), number.cumsum(axis=1).astype(np.int64)
        rows["empty"] = (own == 0) | (shares == 0)
    return Tokens(indptr, out, amounts, rows)
