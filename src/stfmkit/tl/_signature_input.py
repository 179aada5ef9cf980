"""What niche signatures are computed from: read, checked, and on one scale."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from stfmkit._core.arguments import check_choice, check_integer, listed
from stfmkit._core.errors import InputError, StfmkitWarning
from stfmkit._data.columns import read_column, read_groups, read_labels
from stfmkit._data.matrices import check_no_empty, read_counts, read_matrix
from stfmkit._data.names import check_names
from stfmkit._kernels._normalize import median_total, size_factor_log1p, totals
from stfmkit.metrics._signature_patients import MIN_PATIENTS

SCALES = ("counts", "log1p")
LARGEST = 50.0
"""No logarithm of an expression value is above this."""

Matrix: TypeAlias = np.ndarray | sparse.csr_array


@dataclass(frozen=True, kw_only=True, eq=False)
class SignatureInput:
    """Labelled observations, ready to be ranked.

    Attributes
    ----------
    rows
        Their positions in the table (n,).
    niche, patient
        Names (n,).
    niches
        The niches that can be scored in some patient, sorted.
    truth
        Size-factor log1p (n, n_genes), CSR.
    counts
        Raw counts, None where the truth was given as log1p.
    predicted
        Predicted log1p expression, or None.
    predicted_niche
        Niche after which the prediction is ranked (n,): that of the annotation unless the caller wants otherwise.
    genes
        Names (n_genes,).
    summary
        One row per niche: niche, n_obs, n_patients, patients_left_out, tested, scored.
    min_obs
        Fewest observations inside and outside a niche for which a patient counts.
    """

    rows: np.ndarray
    niche: np.ndarray
    patient: np.ndarray
    niches: np.ndarray
    truth: sparse.csr_array
    counts: sparse.csr_array | None
    predicted: Matrix | None
    predicted_niche: np.ndarray
    genes: pd.Index
    summary: pd.DataFrame
    min_obs: int


def read_input(
    adata: AnnData,
    *,
    niche_key: str,
    patient_key: str,
    layer: str | None,
    scale: str,
    pred_layer: str | pd.DataFrame | None,
    pred_scale: str,
    pred_niche_key: str | None,
    min_obs: int,
) -> SignatureInput:
    """Read and check everything but coordinates, before any long work."""
    check_choice(scale, SCALES, name="scale")
    check_choice(pred_scale, SCALES, name="pred_scale")
    check_integer(min_obs, name="min_obs", least=1)
    check_names(adata)
    labels = read_labels(adata, niche_key, role="niche_key")
    patients = read_groups(adata, patient_key, role="patient_key")
    guessed = labels if pred_niche_key is None else _predicted_labels(adata, pred_niche_key, labels, pred_layer)
    rows = np.flatnonzero((labels.codes >= 0) & (guessed.codes >= 0))
    if not rows.size:
        raise InputError(
            f"no observation with a label in obs[{niche_key!r}] and in obs[{pred_niche_key!r}].",
            allowed="labels in both columns for some observations",
            remedy="pass columns that belong to the same observations.",
        )
    niche, patient = (np.asarray(part)[rows].astype(str) for part in (labels, patients))
    summary = _summary(niche, patient, declared=_declared(adata, niche_key), min_obs=min_obs)
    _report(summary, niche_key=niche_key, min_obs=min_obs)
    counts = None
    if scale == "counts":
        counts = sparse.csr_array(read_counts(adata, layer)[rows])
        check_no_empty(counts, adata.obs_names[rows], what="labelled observations")
        truth = normalized(counts)
    else:
        truth = _read_log1p(adata, layer)[rows]
    predicted = None if pred_layer is None else _read_prediction(adata, pred_layer, pred_scale, rows)
    return SignatureInput(
        rows=rows,
        niche=niche,
        patient=patient,
        niches=summary.loc[summary["scored"], "niche"].to_numpy(dtype=str),
        truth=sparse.csr_array(truth),
        counts=counts,
        predicted=predicted,
        predicted_niche=np.asarray(guessed)[rows].astype(str),
        genes=adata.var_names,
        summary=summary,
        min_obs=min_obs,
    )


def check_sizes(n: int | Sequence[int]) -> tuple[int, ...]:
    """Return the sizes of signatures, sorted; refuse none, repeats, and what is no size."""
    sizes = (n,) if isinstance(n, int | np.integer) else tuple(n)
    for size in sizes:
        check_integer(size, name="n", least=1)
    if not sizes or len(set(sizes)) < len(sizes):
        raise InputError(f"n={n!r}.", allowed="one size or several, each once", remedy="pass n=(10, 20, 50).")
    return tuple(sorted(int(size) for size in sizes))


def normalized(counts: sparse.csr_array) -> sparse.csr_array:
    """Return size-factor log1p in which equal shares of the library are equal numbers, so that ties stay ties.

    Ranks then depend neither on the target nor on the platform.
    """
    depth = totals(counts)
    return size_factor_log1p(counts, depth=depth, target=median_total(depth))


def _predicted_labels(
    adata: AnnData, key: str, labels: pd.Categorical, pred_layer: str | pd.DataFrame | None
) -> pd.Categorical:
    if pred_layer is None:
        raise InputError(
            f"pred_niche_key={key!r} without pred_layer.",
            allowed="predicted labels beside a prediction of expression",
            remedy="pass pred_layer=, or leave pred_niche_key out.",
        )
    guessed = read_labels(adata, key, role="pred_niche_key")
    if not set(guessed.categories) & set(labels.categories):
        raise InputError(
            f"no name in common between obs[{key!r}] ({listed(guessed.categories, most=5)}) and the annotation.",
            allowed=f"predicted labels named as the annotation: {listed(labels.categories, most=5)}",
            remedy="match the names first; clusters have none of their own.",
        )
    return guessed


def _declared(adata: AnnData, key: str) -> list[str]:
    column = read_column(adata, key, role="niche_key")
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


def _report(summary: pd.DataFrame, *, niche_key: str, min_obs: int) -> None:
    """Refuse data without anything to score; say which niches are left out, and which are not tested."""
    if not summary["scored"].any():
        raise InputError(
            f"no niche of obs[{niche_key!r}] with {min_obs} observations inside and outside in one patient.",
            allowed="at least two niches in some patient",
            remedy="pass another niche_key, merge rare niches, or lower min_obs.",
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


def _read_log1p(adata: AnnData, layer: str | None) -> sparse.csr_array:
    where = "X" if layer is None else f"layers[{layer!r}]"
    values = sparse.csr_array(read_matrix(adata, layer)).astype(np.float64)
    _check_finite(values.data, where=where)
    low, high = (values.data.min(), values.data.max()) if values.nnz else (0.0, 0.0)
    if low < 0 or high > LARGEST or bool((values.data == np.rint(values.data)).all()):
        raise InputError(
            f"{where} with values from {low:g} to {high:g}, and scale='log1p'.",
            allowed=f"size-factor log1p expression: from 0 to {LARGEST:g}, not all of them integers",
            remedy="pass scale='counts' for raw counts; sk.pp.normalize writes the logarithm.",
        )
    return values


def _read_prediction(adata: AnnData, source: str | pd.DataFrame, scale: str, rows: np.ndarray) -> Matrix:
    if isinstance(source, pd.DataFrame):
        where = "pred_layer"
        for axis, names, own in (("rows", source.index, adata.obs_names), ("columns", source.columns, adata.var_names)):
            if not names.equals(own):
                same = len(names) == len(own) and set(names) == set(own)
                raise InputError(
                    f"a prediction whose {len(names)} {axis} are not those of the table"
                    f"{', but the same in another order' if same else ''}.",
                    allowed=f"the {len(own)} names of the table, in its order",
                    remedy="pass frame.reindex(index=adata.obs_names, columns=adata.var_names), and check for NaN.",
                )
        matrix: Matrix = source.to_numpy()
    else:
        where = f"layers[{source!r}]"
        matrix = read_matrix(adata, source)
    if matrix.dtype.kind not in "biuf":
        raise InputError(f"{where} of dtype {matrix.dtype}.", allowed="numbers", remedy="pass predicted expression.")
    values = matrix[rows].astype(np.float64)
    stored = values if isinstance(values, np.ndarray) else values.data
    _check_finite(stored, where=where)
    if scale == "counts":
        if (stored < 0).any():
            raise InputError(
                f"{int((stored < 0).sum())} negative values in {where}, and pred_scale='counts'.",
                allowed="expected counts, of at least 0",
                remedy="pass pred_scale='log1p' for predictions of log expression.",
            )
        expected = sparse.csr_array(values)
        expected.eliminate_zeros()
        return normalized(expected)
    if stored.size and stored.max() > LARGEST:
        raise InputError(
            f"values up to {stored.max():g} in {where}, and pred_scale='log1p'.",
            allowed=f"predicted log1p expression, at most {LARGEST:g}",
            remedy="pass pred_scale='counts' for predictions of counts.",
        )
    return values


def _check_finite(values: np.ndarray, *, where: str) -> None:
    bad = int(np.size(values) - np.isfinite(values).sum())
    if bad:
        raise InputError(
            f"{bad} NaN or infinite values in {where}.",
            allowed="a finite value for every observation and gene",
            remedy="leave out the genes and observations that were not predicted or measured.",
        )
