"""What predictions are compared with: folds, library sizes, training means."""

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import ArrayLike

from stfmkit._core.arguments import check_positive, listed
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit._data.predictions import Prediction
from stfmkit._data.write import read_record
from stfmkit._kernels._normalize import median_total
from stfmkit.evaluation.measured import Measured

PREDICT = "predict_expression"
"""The verb whose records say how a prediction was made."""


def fold_key(key: str) -> str:
    """Column of ``obs`` with the fold that tests an observation, for a prediction."""
    return f"{key}_fold"


def prediction_record(adata: AnnData, prediction: object) -> dict[str, Any]:
    """Return what `sk.tl.predict_expression` recorded of a prediction; empty where it came from elsewhere."""
    if not isinstance(prediction, str) or fold_key(prediction) not in adata.obs.columns:
        return {}
    return read_record(adata, PREDICT, prediction) or {}


def fold_of(adata: AnnData, key: object, recorded: dict[str, Any]) -> np.ndarray:
    """Return the fold that tests each observation (n_obs,); -1 for all where none are recorded."""
    if not recorded:
        return np.full(adata.n_obs, -1, dtype=np.int64)
    column = fold_key(str(key))
    folds = adata.obs[column].to_numpy()
    n_folds = len(recorded["size_target"])
    if folds.dtype.kind not in "iu" or folds.max(initial=0) >= n_folds:
        raise InputError(
            f"obs[{column!r}] of dtype {folds.dtype}, up to {folds.max(initial=0)}, for {n_folds} folds.",
            allowed="what sk.tl.predict_expression wrote",
            remedy="predict again, or rename the column.",
        )
    return np.asarray(folds, dtype=np.int64)


def scale_of(
    measured: Measured,
    *,
    target_sum: float | None,
    folds: np.ndarray,
    recorded: dict[str, Any],
    train: np.ndarray | None,
) -> np.ndarray:
    """Return the library size that every observation is scaled to (n_obs,)."""
    if target_sum is not None:
        check_positive(target_sum, name="target_sum")
        if measured.scale != "size_factor_log1p":
            raise InputError(
                f"target_sum={target_sum:g} with scale={measured.scale!r}.",
                allowed="target_sum with scale='size_factor_log1p'",
                remedy="leave target_sum out.",
            )
        return np.full(len(folds), float(target_sum))
    if measured.depth is None:
        return np.ones(len(folds))
    usual = median_total(measured.depth if train is None else measured.depth[train])
    sizes = np.full(len(folds), usual)
    if recorded:
        tested = folds >= 0
        sizes[tested] = np.asarray(recorded["size_target"], dtype=np.float64)[folds[tested]]
    return sizes


def training_means(
    measured: Measured,
    prediction: Prediction,
    *,
    train_mean: ArrayLike | pd.Series | None,
    train: np.ndarray | None,
    recorded: dict[str, Any],
    sizes: np.ndarray,
) -> np.ndarray | None:
    """Return the training mean of every fold and predicted gene (n_folds, n_genes), or None where it is not known.

    Parameters
    ----------
    train_mean
        What the caller passed.
    train
        Which observations were trained on (n_obs,), or None.
    recorded
        Record of the prediction.
    sizes
        Library size that every observation is scaled to (n_obs,).
    """
    n_folds = len(recorded.get("size_target", [0]))
    if train_mean is not None:
        return np.tile(_checked_mean(train_mean, prediction, scale=measured.scale), (n_folds, 1))
    if train is not None:
        return np.tile(_mean_of(measured, prediction, np.flatnonzero(train), sizes), (n_folds, 1))
    if not recorded:
        return None
    at = pd.Index([str(gene) for gene in recorded["genes"]]).get_indexer(prediction.genes)
    if (at < 0).any():
        return None  # columns were added to the table since
    return np.asarray(recorded["train_mean"], dtype=np.float64)[:, at]


def _mean_of(measured: Measured, prediction: Prediction, rows: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    step = max(16, 2**24 // len(rows))  # genes at a time, so that memory does not grow with their number
    parts = [
        measured.scaled(rows, prediction.columns[i : i + step], size_target=sizes[rows]).mean(axis=0)
        for i in range(0, len(prediction.columns), step)
    ]
    return np.concatenate(parts)


def _checked_mean(train_mean: ArrayLike | pd.Series, prediction: Prediction, *, scale: str) -> np.ndarray:
    if isinstance(train_mean, pd.Series):
        missing = [str(g) for g in prediction.genes if g not in train_mean.index]
        if missing or not train_mean.index.is_unique:
            raise MissingKeyError(
                f"train_mean without {listed(missing, most=5)}, or with genes twice.",
                allowed="one value for every predicted gene",
                remedy="compute it on the training observations, for the genes that are predicted.",
            )
        train_mean = train_mean.loc[prediction.genes].to_numpy()
    mean = np.asarray(train_mean, dtype=np.float64)
    if mean.shape != (len(prediction.genes),) or not np.isfinite(mean).all():
        raise InputError(
            f"train_mean of shape {mean.shape}, {int((~np.isfinite(mean)).sum())} of its values not finite.",
            allowed=f"({len(prediction.genes)},), finite, in the order of the predicted genes",
            remedy="pass a Series by gene.",
        )
    if scale != "as_is" and mean.min() < 0:
        raise InputError(
            f"train_mean as low as {mean.min():g} with scale={scale!r}.",
            allowed="values of at least 0",
            remedy="pass the mean on the scale of the prediction, without centring.",
        )
    return mean
