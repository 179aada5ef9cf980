"""Read what the scores of predicted expression need, checked before any work."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import ArrayLike
from scipy import sparse

from stfmkit._core.errors import InputError
from stfmkit._core.random import stream
from stfmkit._data.coordinates import check_positions, read_coords
from stfmkit._data.graphs import read_graph
from stfmkit._data.identity import read_patients_and_samples
from stfmkit._data.predictions import Prediction, check_prediction, read_prediction
from stfmkit._data.training import Train, training_rows
from stfmkit._kernels._thinning import thin
from stfmkit.evaluation.measured import Matrix, Measured
from stfmkit.tl._expression_reference import fold_of, prediction_record, scale_of, training_means
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
    halves
        Two independent parts of the counts, or None.
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
    halves: tuple[Matrix, Matrix] | None
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
    seed: int,
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
        halves=thin(sparse.csr_array(measured.matrix), rng=stream(seed, "thinning")) if measured.counted else None,
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
