"""Read what niche signatures are computed from, checked, and on one scale."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from stfmkit._core.arguments import check_choice, check_integer, listed
from stfmkit._core.errors import InputError, StfmkitWarning
from stfmkit._core.random import stream
from stfmkit._data.columns import read_column, read_groups, read_labels
from stfmkit._data.coordinates import check_one_frame, check_positions, read_coords
from stfmkit._data.matrices import check_no_empty, read_counts, read_matrix
from stfmkit._data.names import check_names
from stfmkit._data.predictions import Prediction, check_prediction, read_prediction
from stfmkit._kernels._normalize import median_total, size_factor_log1p, totals
from stfmkit._kernels._thinning import thin
from stfmkit.evaluation.signature_tables import Matrix, SignatureInput
from stfmkit.metrics._signature_patients import MIN_PATIENTS

SCALES = ("size_factor_log1p", "counts", "as_is")
LARGEST = 50.0
"""No logarithm of an expression value is above this."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Inputs:
    """What was read of a table.

    Attributes
    ----------
    arrays
        The labelled observations, ready to be ranked.
    rows
        Their positions in the table (n,).
    genes
        Names of the genes that are compared (n_genes,).
    summary
        One row per niche: niche, n_obs, n_patients, patients_left_out, tested, scored.
    """

    arrays: SignatureInput
    rows: np.ndarray
    genes: pd.Index
    summary: pd.DataFrame


def read_inputs(
    adata: AnnData,
    *,
    label_key: str,
    patient_key: str,
    layer: str | None,
    scale: str,
    prediction: str | pd.DataFrame | None,
    predicted_label_key: str | None,
    min_obs: int,
    seed: int,
) -> Inputs:
    """Read and check everything but coordinates, before any long work."""
    check_choice(scale, SCALES, name="scale")
    check_integer(min_obs, name="min_obs", least=1)
    check_names(adata)
    labels = read_labels(adata, label_key)
    patients = read_groups(adata, patient_key, role="patient_key")
    predicted = None if prediction is None else read_prediction(adata, prediction)
    guessed = labels
    if predicted_label_key is not None:
        guessed = _predicted_labels(adata, predicted_label_key, labels, predicted)
    rows = np.flatnonzero((labels.codes >= 0) & (guessed.codes >= 0))
    if not rows.size:
        raise InputError(
            f"no observation with a label in obs[{label_key!r}] and in obs[{predicted_label_key!r}].",
            allowed="labels in both columns for some observations",
            remedy="pass columns that belong to the same observations.",
        )
    niche, patient = (np.asarray(part)[rows].astype(str) for part in (labels, patients))
    summary = _summary(niche, patient, declared=_declared(adata, label_key), min_obs=min_obs)
    _report(summary, label_key=label_key, min_obs=min_obs)
    columns = np.arange(adata.n_vars) if predicted is None else np.sort(predicted.columns)
    truth, halves = _read_truth(adata, layer, scale, rows=rows, columns=columns, seed=seed)
    arrays = SignatureInput(
        niche=niche,
        patient=patient,
        niches=summary.loc[summary["scored"], "niche"].to_numpy(dtype=str),
        truth=truth,
        halves=halves,
        predicted=None
        if predicted is None
        else _read_predicted(predicted, scale, rows=rows, columns=columns, n_vars=adata.n_vars),
        predicted_niche=np.asarray(guessed)[rows].astype(str),
        min_obs=min_obs,
    )
    return Inputs(arrays=arrays, rows=rows, genes=adata.var_names[columns], summary=summary)


def read_moved_places(
    adata: AnnData, *, patient_key: str, sample_key: str | None, spatial_key: str, null_model: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates and sample of all observations, for labels that are moved within samples.

    Raises
    ------
    InputError
        There are several patients and no `sample_key`, or places that are not one sample's.
    """
    patients = read_groups(adata, patient_key, role="patient_key")
    if sample_key is None and len(patients.categories) > 1:
        raise InputError(
            f"null_model={null_model!r}, {len(patients.categories)} patients, and no sample_key.",
            allowed="labels that are moved within one sample",
            remedy="pass sample_key=, the column that tells the samples apart.",
        )
    coords = read_coords(adata, spatial_key=spatial_key)
    if sample_key is None:
        check_one_frame(adata, coords)
        check_positions(coords, None, adata.obs_names, sample_key=None)
        return coords, np.zeros(adata.n_obs, dtype=np.int64)
    samples = read_groups(adata, sample_key, role="sample_key").codes.astype(np.int64)
    check_positions(coords, samples, adata.obs_names, sample_key=sample_key)
    return coords, samples


def check_sizes(sizes: int | Sequence[int]) -> tuple[int, ...]:
    """Return the sizes of signatures, sorted; refuse none, repeats, and what is no size."""
    wanted = (sizes,) if isinstance(sizes, int | np.integer) else tuple(sizes)
    for size in wanted:
        check_integer(size, name="sizes", least=1)
    if not wanted or len(set(wanted)) < len(wanted):
        raise InputError(
            f"sizes={sizes!r}.", allowed="one size or several, each once", remedy="pass sizes=(10, 20, 50)."
        )
    return tuple(sorted(int(size) for size in wanted))


def _predicted_labels(adata: AnnData, key: str, labels: pd.Categorical, predicted: Prediction | None) -> pd.Categorical:
    if predicted is None:
        raise InputError(
            f"predicted_label_key={key!r} without prediction.",
            allowed="predicted labels beside a prediction of expression",
            remedy="pass prediction=, or leave predicted_label_key out.",
        )
    guessed = read_labels(adata, key, role="predicted_label_key")
    if not set(guessed.categories) & set(labels.categories):
        raise InputError(
            f"no name in common between obs[{key!r}] ({listed(guessed.categories, most=5)}) and the annotation.",
            allowed=f"predicted labels named as the annotation: {listed(labels.categories, most=5)}",
            remedy="match the names first; clusters have none of their own.",
        )
    return guessed


def _declared(adata: AnnData, key: str) -> list[str]:
    column = read_column(adata, key, role="label_key")
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return []
    return [name for name in map(str, column.cat.categories) if name.strip()]


def _summary(niche: np.ndarray, patient: np.ndarray, *, declared: list[str], min_obs: int) -> pd.DataFrame:
    inside = pd.crosstab(niche, patient)
    inside = inside.reindex(sorted({*inside.index, *declared}), fill_value=0)
    outside = inside.sum(axis=0) - inside
    usable = (inside >= min_obs) & (outside >= min_obs)
    known = usable.sum(axis=1).to_numpy()
    return pd.DataFrame(
        {
            "niche": inside.index.to_numpy(dtype=str).astype(object),
            "n_obs": inside.sum(axis=1).to_numpy(),
            "n_patients": known,
            "patients_left_out": inside.shape[1] - known,
            "tested": known >= MIN_PATIENTS,
            "scored": known > 0,
        }
    )


def _report(summary: pd.DataFrame, *, label_key: str, min_obs: int) -> None:
    """Refuse data without anything to score; say which niches are left out, and which are not tested."""
    if not summary["scored"].any():
        raise InputError(
            f"no niche of obs[{label_key!r}] with {min_obs} observations inside and outside in one patient.",
            allowed="at least two niches in some patient",
            remedy="pass another label_key, merge rare niches, or lower min_obs.",
        )
    lost = summary.loc[~summary["scored"], "niche"]
    if len(lost):
        warnings.warn(
            f"{len(lost)} niches are left out, with fewer than {min_obs} observations inside or outside in every "
            f"patient: {listed(lost, most=5)}. Their observations count as the rest of the others.",
            StfmkitWarning,
            stacklevel=4,
        )
    few = summary.loc[summary["scored"] & ~summary["tested"], "niche"]
    if len(few):
        warnings.warn(
            f"{len(few)} niches are in fewer than {MIN_PATIENTS} patients, so that their genes are not tested: "
            f"{listed(few, most=5)}.",
            StfmkitWarning,
            stacklevel=4,
        )


def _read_truth(
    adata: AnnData, layer: str | None, scale: str, *, rows: np.ndarray, columns: np.ndarray, seed: int
) -> tuple[sparse.csr_array, tuple[sparse.csr_array, sparse.csr_array] | None]:
    """Return true log expression of some rows and genes, and two halves of the counts on the same scale.

    Equal shares of the library are equal numbers, so that ties stay ties: ranks then depend neither on the target nor
    on the platform.
    """
    if scale == "as_is":
        return sparse.csr_array(_read_logarithms(adata, layer)[rows][:, columns]), None
    counts = sparse.csr_array(read_counts(adata, layer)[rows])
    check_no_empty(counts, adata.obs_names[rows], what="labelled observations")
    depth = totals(counts)
    target = median_total(depth)
    chosen = sparse.csr_array(counts[:, columns])
    first, second = (
        size_factor_log1p(half, depth=depth / 2, target=target)
        for half in thin(chosen, rng=stream(seed, "niche_signatures", "thinning"))
    )
    return size_factor_log1p(chosen, depth=depth, target=target), (first, second)


def _read_logarithms(adata: AnnData, layer: str | None) -> sparse.csr_array:
    where = "X" if layer is None else f"layers[{layer!r}]"
    values = sparse.csr_array(read_matrix(adata, layer)).astype(np.float64)
    _check_finite(values.data, where=where)
    low, high = (values.data.min(), values.data.max()) if values.nnz else (0.0, 0.0)
    if low < 0 or high > LARGEST or bool((values.data == np.rint(values.data)).all()):
        raise InputError(
            f"{where} with values from {low:g} to {high:g}, and scale='as_is'.",
            allowed=f"size-factor log1p expression: from 0 to {LARGEST:g}, not all of them integers",
            remedy="pass scale='size_factor_log1p' for raw counts; sk.pp.normalize writes the logarithm.",
        )
    return values


def _read_predicted(predicted: Prediction, scale: str, *, rows: np.ndarray, columns: np.ndarray, n_vars: int) -> Matrix:
    """Return predicted log expression of some rows, genes in the order of `columns`."""
    check_prediction(predicted, scale="counts" if scale == "counts" else "log1p")
    position = pd.Index(predicted.columns).get_indexer(columns)
    values = predicted.matrix[rows][:, position].astype(np.float64)
    _check_finite(values if isinstance(values, np.ndarray) else values.data, where=predicted.where)
    if scale != "counts":
        return values
    if len(columns) < n_vars:
        raise InputError(
            f"{len(columns)} of {n_vars} genes in {predicted.where}, and scale='counts'.",
            allowed="expected counts of all genes, whose sum is the library size",
            remedy="predict log expression, or the counts of all genes.",
        )
    expected = sparse.csr_array(values)
    expected.eliminate_zeros()
    depth = totals(expected)
    return size_factor_log1p(expected, depth=depth, target=median_total(depth))


def _check_finite(values: np.ndarray, *, where: str) -> None:
    bad = int(np.size(values) - np.isfinite(values).sum())
    if bad:
        raise InputError(
            f"{bad} NaN or infinite values in {where}.",
            allowed="a finite value for every observation and gene",
            remedy="leave out the genes and observations that were not predicted or measured.",
        )
