"""What signatures look like when labels are moved over the tissue."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from anndata import AnnData

from stfmkit import metrics
from stfmkit._core.random import stream
from stfmkit._data.columns import read_groups
from stfmkit._data.coordinates import check_one_frame, check_positions, read_coords
from stfmkit._kernels._ranks import Ranked
from stfmkit._kernels._torus import LabelMover
from stfmkit.tl._signature_agreement import Signatures, top
from stfmkit.tl._signature_input import Matrix, SignatureInput

_ROUNDING = 1e-12


def read_places(adata: AnnData, *, sample_key: str | None, spatial_key: str) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates and samples of all observations, checked; without a key all are one sample."""
    coords = read_coords(adata, spatial_key=spatial_key)
    if sample_key is None:
        check_one_frame(adata, coords)
        check_positions(coords, None, adata.obs_names, sample_key=None)
        return coords, np.zeros(adata.n_obs, dtype=np.int64)
    samples = read_groups(adata, sample_key, role="sample_key").codes.astype(np.int64)
    check_positions(coords, samples, adata.obs_names, sample_key=sample_key)
    return coords, samples


def null_table(
    data: SignatureInput,
    found: Signatures,
    *,
    places: tuple[np.ndarray, np.ndarray],
    kind: str,
    n_null: int,
    sizes: tuple[int, ...],
    seed: int,
) -> pd.DataFrame:
    """Return one row per niche, size and statistic: observed, mean and spread under the null, p, number of draws.

    Parameters
    ----------
    data, found
        The data, and what they showed.
    places
        Coordinates and samples of all observations of the table.
    kind
        How labels are moved.
    n_null
        Number of draws.
    sizes
        Sizes of the signatures.
    seed
        Of the draws; each has its own stream.
    """
    mover = LabelMover(places[0][data.rows], places[1][data.rows], kind=kind)
    truth = _Scorer(data.truth, data.niche, data)
    guess = None if data.predicted is None else _Scorer(data.predicted, data.predicted_niche, data)

    def statistics(source: np.ndarray) -> dict[tuple[str, int, str], float]:
        parts = {"top_auroc": _top_auroc(truth(source), sizes, data)}
        if guess is not None:
            parts["jaccard"] = _overlaps(guess(source), sizes, data, found)
        return {(niche, n, name): v for name, part in parts.items() for (niche, n), v in part.items()}

    observed = statistics(np.arange(len(data.rows)))
    draws = [statistics(mover.draw(stream(seed, "niche_signatures", "null", i))) for i in range(n_null)]
    rows = [_row(key, value, np.array([d[key] for d in draws])) for key, value in observed.items()]
    columns = ["niche", "n", "statistic", "observed", "null_mean", "null_sd", "p_value", "n_null"]
    table = pd.DataFrame(rows, columns=columns)
    for column in ("niche", "statistic"):
        table[column] = pd.Categorical(table[column], categories=list(dict.fromkeys(table[column])))
    table.index = table.index.astype(str)
    return table


class _Scorer:
    """AUROC of every niche under moved labels, averaged over patients; values are ranked once."""

    def __init__(self, values: Matrix, niche: np.ndarray, data: SignatureInput) -> None:
        self._codes = pd.Index(data.niches).get_indexer(pd.Index(niche))
        self._n = len(data.niches)
        self._least = data.min_obs
        self._parts = []
        for who in np.unique(data.patient):
            rows = np.flatnonzero(data.patient == who)
            self._parts.append((rows, Ranked.of(values[rows])))

    def __call__(self, source: np.ndarray) -> np.ndarray:
        """Return (n_niches, n_genes); NaN for a niche that no patient has any more."""
        codes = self._codes[source]
        total: np.ndarray | float = 0.0
        known = np.zeros(self._n)
        for rows, ranked in self._parts:
            own = codes[rows]
            size = np.bincount(own[own >= 0], minlength=self._n)
            use = (size >= self._least) & (len(own) - size >= self._least)
            total = total + np.where(use[:, None], ranked.auroc(own, self._n), 0.0)
            known += use
        out = np.full(np.shape(total), np.nan)
        np.divide(total, known[:, None], out=out, where=known[:, None] > 0)
        return out


def _per_niche(
    data: SignatureInput, sizes: tuple[int, ...], value: Callable[[int, str, int], float]
) -> dict[tuple[str, int], float]:
    return {(niche, n): value(k, niche, n) for k, niche in enumerate(data.niches.tolist()) for n in sizes}


def _top_auroc(scores: np.ndarray, sizes: tuple[int, ...], data: SignatureInput) -> dict[tuple[str, int], float]:
    ordered = -np.sort(-scores, axis=1)
    return _per_niche(data, sizes, lambda k, _, n: float(ordered[k, :n].mean()))


def _overlaps(
    scores: np.ndarray, sizes: tuple[int, ...], data: SignatureInput, found: Signatures
) -> dict[tuple[str, int], float]:
    def overlap(k: int, niche: str, n: int) -> float:
        own = found.up[niche][:n]
        if not len(own) or np.isnan(scores[k]).all():
            return float("nan")
        return metrics.jaccard(own, top(scores[k], len(own)))

    return _per_niche(data, sizes, overlap)


def _row(key: tuple[str, int, str], observed: float, draws: np.ndarray) -> tuple[object, ...]:
    known = draws[~np.isnan(draws)]
    mean = spread = p = float("nan")
    if known.size and not np.isnan(observed):
        mean = float(known.mean())
        spread = float(known.std(ddof=1)) if known.size > 1 else float("nan")
        p = float((1 + (known >= observed - _ROUNDING).sum()) / (1 + known.size))
    return (*key, observed, mean, spread, p, int(known.size))
