"""What predictions are compared with: folds, training means, library sizes, places."""

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import ArrayLike
from scipy import sparse

from stfmkit._core.arguments import check_positive, listed, nearest
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit._data.coordinates import check_positions, read_coords
from stfmkit._kernels._normalize import median_total
from stfmkit.tl._expression_inputs import Predicted, Truth, fold_key


def fold_of(adata: AnnData, key: str, recorded: dict[str, Any]) -> np.ndarray:
    """Return the fold that tests each observation (n_obs,); 0 for all where none are recorded."""
    if not recorded:
        return np.zeros(adata.n_obs, dtype=np.int64)
    folds = adata.obs[fold_key(key)].to_numpy()
    n_folds = len(recorded["size_target"])
    if folds.dtype.kind not in "iu" or folds.max(initial=0) >= n_folds:
        raise InputError(
            f"obs[{fold_key(key)!r}] of dtype {folds.dtype}, up to {folds.max(initial=0)}, for {n_folds} folds.",
            allowed="what sk.tl.predict_expression wrote",
            remedy="predict again, or rename the column.",
        )
    return np.asarray(folds, dtype=np.int64)


def scale_of(
    truth: Truth,
    *,
    target_sum: float | None,
    folds: np.ndarray,
    recorded: dict[str, Any],
    train: np.ndarray | None,
) -> np.ndarray:
    """Return the library size that every observation is scaled to (n_obs,)."""
    if target_sum is not None:
        check_positive(target_sum, name="target_sum")
        if truth.target != "size_factor_log1p":
            raise InputError(
                f"target_sum={target_sum:g} with target={truth.target!r}.",
                allowed="target_sum with target='size_factor_log1p'",
                remedy="leave target_sum out.",
            )
        return np.full(len(folds), float(target_sum))
    if truth.depth is None:
        return np.ones(len(folds))
    usual = median_total(truth.depth if train is None else truth.depth[train])
    sizes = np.full(len(folds), usual)
    if recorded:
        tested = folds >= 0
        sizes[tested] = np.asarray(recorded["size_target"], dtype=np.float64)[folds[tested]]
    return sizes


def training_means(
    truth: Truth,
    predicted: Predicted,
    *,
    given: ArrayLike | pd.Series | None,
    train: np.ndarray | None,
    recorded: dict[str, Any],
    sizes: np.ndarray,
) -> np.ndarray | None:
    """Return the training mean of every fold and predicted gene (n_folds, n_genes), or None where it is not known."""
    if given is not None:
        return np.tile(_given_mean(given, predicted, target=truth.target), (len(recorded.get("alpha", [0])), 1))
    if train is not None:
        return _mean_of(truth, predicted, np.flatnonzero(train), sizes)[None]
    if not recorded:
        return None
    at = pd.Index([str(gene) for gene in recorded["genes"]]).get_indexer(predicted.genes)
    if (at < 0).any():
        return None  # columns were added to the table since
    return np.asarray(recorded["train_mean"], dtype=np.float64)[:, at]


def _mean_of(truth: Truth, predicted: Predicted, rows: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    step = max(16, 2**24 // len(rows))
    parts = [
        truth.scaled(truth.matrix, rows, predicted.columns[i : i + step], size_target=sizes[rows]).mean(axis=0)
        for i in range(0, len(predicted.columns), step)
    ]
    return np.concatenate(parts)


def _given_mean(given: ArrayLike | pd.Series, predicted: Predicted, *, target: str) -> np.ndarray:
    if isinstance(given, pd.Series):
        missing = [str(g) for g in predicted.genes if g not in given.index]
        if missing or not given.index.is_unique:
            raise MissingKeyError(
                f"train_mean without {listed(missing, most=5)}, or with genes twice.",
                allowed="one value for every predicted gene",
                remedy="compute it on the training observations, for the genes that are predicted.",
            )
        given = given.loc[predicted.genes].to_numpy()
    mean = np.asarray(given, dtype=np.float64)
    if mean.shape != (len(predicted.genes),) or not np.isfinite(mean).all():
        raise InputError(
            f"train_mean of shape {mean.shape}, {int((~np.isfinite(mean)).sum())} of its values not finite.",
            allowed=f"({len(predicted.genes)},), finite, in the order of the predicted genes",
            remedy="pass a Series by gene.",
        )
    if target != "as_is" and mean.min() < 0:
        raise InputError(
            f"train_mean as low as {mean.min():g} with target={target!r}.",
            allowed="values of at least 0",
            remedy="pass the mean on the scale of the target, without centring.",
        )
    return mean


def read_places(
    adata: AnnData, *, spatial_key: str | None, graph: str | None, samples: pd.Categorical, sample_key: str
) -> tuple[np.ndarray | None, sparse.csr_array | None]:
    """Return coordinates (n_obs, 2) and weights (n_obs, n_obs), None where they are not asked for."""
    coords = weights = None
    if spatial_key is not None:
        coords = read_coords(adata, spatial_key=spatial_key)
        check_positions(coords, np.asarray(samples), adata.obs_names, sample_key=sample_key)
    if graph is not None:
        if graph not in adata.obsp:
            raise MissingKeyError(
                f"no obsp[{graph!r}].",
                allowed=listed(adata.obsp),
                remedy=f"run sk.pp.spatial_graph first, or leave graph out.{nearest(graph, list(adata.obsp))}",
            )
        weights = sparse.csr_array(adata.obsp[graph])
        edges = weights.tocoo()
        across = int(np.sum(samples.codes[edges.row] != samples.codes[edges.col]))
        if across:
            raise InputError(
                f"obsp[{graph!r}] has {across} edges between samples.",
                allowed="edges within a sample",
                remedy=f"build it with sk.pp.spatial_graph(adata, sample_key={sample_key!r}).",
            )
    return coords, weights
