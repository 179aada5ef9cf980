"""Read what predictions of expression are scored on, checked before any work: folds, sizes, training means, truth."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import ArrayLike
from scipy import sparse

from stfmkit._core.arguments import check_positive, listed
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit._data.coordinates import check_positions, read_coords
from stfmkit._data.graphs import read_graph
from stfmkit._data.patients import read_patients_and_samples
from stfmkit._data.predictions import Prediction, check_prediction, read_prediction
from stfmkit._data.training import Train, training_rows
from stfmkit._data.write_slots import read_record
from stfmkit._kernels._normalize import median_total
from stfmkit.evaluation.measured import Measured
from stfmkit.tl._measured import read_measured


@dataclass(frozen=True, kw_only=True, eq=False)
class Study:
    """Everything that the scores of one prediction need.

    Attributes
    ----------
    measured, prediction
        Both sides.
    contender
        Name of the prediction in the table of scores.
    scored
        Which observations are scored (n_obs,).
    samples, patients
        Ids (n_obs,).
    folds
        Number of the fold that tests an observation (n_obs,), -1 where there is none.
    size_targets
        Library size that every observation is scaled to (n_obs,).
    means
        Training mean of every fold and gene (n_folds, n_genes), or None.
    coords, graph
        Coordinates (n_obs, 2), and weights (n_obs, n_obs), or None.
    min_obs
        Samples with fewer scored observations are left out.
    """

    measured: Measured
    prediction: Prediction
    contender: str
    scored: np.ndarray
    samples: pd.Categorical
    patients: pd.Categorical
    folds: np.ndarray
    size_targets: np.ndarray
    means: np.ndarray | None
    coords: np.ndarray | None
    graph: sparse.csr_array | None
    min_obs: int


def read_study(
    adata: AnnData,
    prediction: str | pd.DataFrame,
    *,
    patient_key: str,
    sample_key: str,
    layer: str | None,
    scale: str | None,
    train: Train,
    train_mean: ArrayLike | pd.Series | None,
    target_sum: float | None,
    library_size_key: str | None,
    spatial_key: str | None,
    graph_key: str | None,
    min_obs: int,
    hest_compat: bool,
) -> tuple[Study, np.ndarray | None, str | None]:
    """Return what is scored, which observations were trained on (n_obs,) if that is known, and the layer of the truth.

    What is not given is what `sk.tl.predict_expression` recorded of the prediction.
    """
    patients, samples = read_patients_and_samples(adata, patient_key=patient_key, sample_key=sample_key)
    predicted = read_prediction(adata, prediction)
    recorded = prediction_record(adata, prediction)
    chosen = _scale(scale, recorded, hest_compat=hest_compat)
    source = layer if layer is not None else recorded.get("layer")
    measured = read_measured(adata, layer=source, scale=chosen, library_size_key=library_size_key)
    fitted = None if train is None else np.isin(np.arange(adata.n_obs), training_rows(adata, train))
    scored = _held_out(check_prediction(predicted, scale=chosen), fitted)
    folds = fold_of(adata, prediction, recorded)
    known: dict[str, Any] = {"recorded": recorded, "train": fitted}
    sizes = scale_of(measured, target_sum=target_sum, folds=folds, **known)
    coords = graph = None
    if spatial_key is not None:
        coords = read_coords(adata, spatial_key=spatial_key)
        check_positions(coords, np.asarray(samples), adata.obs_names, sample_key=sample_key)
    if graph_key is not None:
        graph = read_graph(adata, graph_key, samples=samples, sample_key=sample_key)
    study = Study(
        measured=measured,
        prediction=predicted,
        contender=prediction if isinstance(prediction, str) else "prediction",
        scored=scored,
        samples=samples,
        patients=patients,
        folds=folds,
        size_targets=sizes,
        means=training_means(measured, predicted, train_mean=train_mean, sizes=sizes, **known),
        coords=coords,
        graph=graph,
        min_obs=min_obs,
    )
    return study, fitted, source


def _scale(scale: str | None, recorded: dict[str, Any], *, hest_compat: bool) -> str:
    known = recorded.get("scale")
    chosen = scale or known or ("log1p" if hest_compat else "size_factor_log1p")
    if known is not None and chosen != known:
        raise InputError(
            f"scale={chosen!r} for a prediction that was made as {known!r}.",
            allowed="the scale of the prediction",
            remedy="leave scale out, or predict again on the other scale.",
        )
    if hest_compat and chosen != "log1p":
        raise InputError(
            f"scale={chosen!r} with hest_compat=True.",
            allowed="predictions of log1p of raw counts",
            remedy="leave hest_compat out, or predict log1p of raw counts.",
        )
    return str(chosen)


def _held_out(scored: np.ndarray, train: np.ndarray | None) -> np.ndarray:
    if train is None:
        return scored
    left = scored & ~train
    if not left.any():
        raise InputError(
            "predictions of training observations only.",
            allowed="predictions of held-out observations",
            remedy="pass the observations that the predictor was trained on as train.",
        )
    return left


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
