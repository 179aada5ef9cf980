"""Read predicted expression: a layer, a table in ``obsm``, or a table that the caller passes."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from stfmkit._core.arguments import check_choice, listed, nearest
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
from stfmkit._data.matrices import read_matrix

Matrix: TypeAlias = np.ndarray | sparse.csr_array

SCALES = ("size_factor_log1p", "log1p", "counts", "as_is")
"""Scales of expression: log1p of counts over library size, log1p of counts, counts, or as the table holds it."""

_HIGHEST_LOG = 30.0
"""log1p of a count that no experiment reaches."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Prediction:
    """Predicted expression of some genes of a table.

    Attributes
    ----------
    matrix
        Values (n_obs, n_genes), dense or CSR; NaN (dense only) says that a value is not predicted.
    genes
        Names of the genes (n_genes,).
    columns
        Their positions in ``var_names`` (n_genes,).
    where
        What it is called in errors, such as "layers['model']".
    """

    matrix: Matrix
    genes: np.ndarray
    columns: np.ndarray
    where: str

    def dense(self, rows: np.ndarray, part: slice) -> np.ndarray:
        """Return rows and some of the genes as dense float64."""
        values = self.matrix[rows][:, part]
        return np.asarray(values.toarray() if sparse.issparse(values) else values, dtype=np.float64)


def read_prediction(adata: AnnData, prediction: str | pd.DataFrame) -> Prediction:
    """Return predicted expression, its genes matched to the table.

    Parameters
    ----------
    adata
        The table.
    prediction
        Name of a layer (all genes of the table), key in ``obsm`` of a DataFrame, or a DataFrame: observations in the
        order of the table, genes as columns, any subset of the table in any order.

    Raises
    ------
    MissingKeyError
        There is no such layer or key, or predicted genes are not in ``var_names``.
    InputError
        The name is that of a layer and of an ``obsm`` entry, genes are repeated, or observations are not those of the
        table.
    InputTypeError
        An array in ``obsm`` that does not name its genes, or values that are not numbers.
    """
    if isinstance(prediction, pd.DataFrame):
        _check_observations(prediction, adata.obs_names)
        where = "the table passed as prediction"
        values, genes = _read_frame(prediction, where=where)
    else:
        values, genes, where = _read_slot(adata, prediction)
    columns = adata.var_names.get_indexer(genes)
    if (columns < 0).any():
        unknown = [str(gene) for gene in genes[columns < 0]]
        raise MissingKeyError(
            f"{len(unknown)} predicted genes that the table does not measure: {listed(unknown, most=5)}.",
            allowed="genes in var_names",
            remedy=f"drop these columns, or bring names to one convention.{nearest(unknown[0], list(adata.var_names))}",
        )
    return Prediction(matrix=values, genes=genes, columns=columns, where=where)


def check_prediction(prediction: Prediction, *, scale: str) -> np.ndarray:
    """Refuse values that cannot be a prediction on a scale, and return which observations are predicted (n_obs,).

    NaN says that a value is not predicted; infinite values, negative counts, and logarithms beyond any count are
    refused.
    """
    check_choice(scale, SCALES, name="scale")
    matrix, where = prediction.matrix, prediction.where
    stored = isinstance(matrix, sparse.csr_array)
    values = np.asarray(matrix.data if stored else matrix)
    missing = np.isnan(values)
    if np.isinf(values).any() or (stored and missing.any()):
        raise InputError(
            f"{int((~np.isfinite(values)).sum())} infinite (or, in a sparse layer, NaN) values in {where}.",
            allowed="finite numbers; in a dense table, NaN for observations that are not predicted",
            remedy="find out why the predictor diverges.",
        )
    finite = values[~missing]
    if scale == "counts" and finite.size and finite.min() < 0:
        raise InputError(
            f"{int((finite < 0).sum())} negative values in {where}, the least {finite.min():g}, with scale='counts'.",
            allowed="expected counts of at least 0",
            remedy="clip them at 0, or pass the scale that the predictor was trained on.",
        )
    if scale in {"size_factor_log1p", "log1p"} and finite.size and finite.max() > _HIGHEST_LOG:
        raise InputError(
            f"predictions as high as {finite.max():g} in {where} with scale={scale!r}.",
            allowed=f"logarithms (below {_HIGHEST_LOG:g})",
            remedy="pass scale='counts' if these are counts, or log1p them.",
        )
    predicted = np.ones(matrix.shape[0], dtype=bool) if stored else ~missing.all(axis=1)
    if not predicted.any():
        raise InputError(f"no prediction in {where}: all NaN.", allowed="some predictions", remedy="predict first.")
    return predicted


def _read_slot(adata: AnnData, key: str) -> tuple[Matrix, np.ndarray, str]:
    """Return values, genes and the place of a prediction in a layer or in ``obsm``."""
    if key in adata.layers and key in adata.obsm:
        raise InputError(
            f"{key!r} in layers and in obsm.", allowed="one prediction of a name", remedy="rename one of them."
        )
    if key in adata.layers:
        where, layer = f"layers[{key!r}]", read_matrix(adata, key)
        if layer.dtype.kind not in "biuf":
            raise InputTypeError(f"{where} of dtype {layer.dtype}.", allowed="numbers", remedy="store numbers there.")
        return layer, adata.var_names.to_numpy(dtype=str), where
    if key not in adata.obsm:
        known = [*adata.layers, *adata.obsm]
        raise MissingKeyError(
            f"no layer and no obsm entry named {key!r}.",
            allowed=listed(known),
            remedy="store predictions in a layer, or in obsm as a DataFrame with genes as columns."
            f"{nearest(str(key), known)}",
        )
    where, frame = f"obsm[{key!r}]", adata.obsm[key]
    if not isinstance(frame, pd.DataFrame):
        raise InputTypeError(
            f"{where} is a {type(frame).__name__}, which does not say what its columns are.",
            allowed="a DataFrame with genes as columns",
            remedy=f"adata.{where} = pd.DataFrame(values, index=adata.obs_names, columns=genes).",
        )
    return (*_read_frame(frame, where=where), where)


def _read_frame(frame: pd.DataFrame, *, where: str) -> tuple[np.ndarray, np.ndarray]:
    names = pd.Index(frame.columns.astype(str))
    if not len(names) or not names.is_unique:
        repeated = names[names.duplicated()].unique()
        raise InputError(
            f"{where} with {len(names)} genes, {len(repeated)} of them repeated: {listed(repeated, most=5)}.",
            allowed="every gene once, and one gene or more",
            remedy="decide which column of a gene is meant.",
        )
    odd = [name for name, dtype in zip(names, frame.dtypes, strict=True) if dtype.kind not in "biuf"]
    if odd:
        raise InputTypeError(
            f"{where} with columns that are not numbers: {listed(odd, most=5)}.",
            allowed="one column of numbers per gene",
            remedy="keep ids in obs, and predictions alone in the table.",
        )
    return frame.to_numpy(), names.to_numpy(dtype=str)


def _check_observations(frame: pd.DataFrame, obs_names: pd.Index) -> None:
    if not frame.index.equals(obs_names):
        same = len(frame) == len(obs_names) and set(frame.index) == set(obs_names)
        raise InputError(
            f"a prediction whose {len(frame)} rows are not the observations of the table"
            f"{', but the same in another order' if same else ''}.",
            allowed=f"the {len(obs_names)} names of the observations, in their order",
            remedy="pass frame.reindex(index=adata.obs_names), and check for NaN.",
        )
