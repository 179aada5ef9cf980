"""What is predicted, and what is true: read from a table, checked, and brought to one scale."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from stfmkit._core import slots
from stfmkit._core.arguments import check_choice, listed, nearest
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
from stfmkit._core.random import RNGLike, as_generator, int_seed
from stfmkit._data.columns import read_column
from stfmkit._data.matrices import check_no_empty, read_counts, read_matrix
from stfmkit._kernels._normalize import size_factor_log1p, totals

Target: TypeAlias = Literal["size_factor_log1p", "log1p", "counts", "as_is"]
Matrix: TypeAlias = np.ndarray | sparse.csr_array

TARGETS = ("size_factor_log1p", "log1p", "counts", "as_is")
LOGGED = frozenset({"size_factor_log1p", "log1p"})
STEP_PREDICT = "predict_expression"
_HIGHEST_LOG = 30.0  # log1p of a count that no experiment reaches


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """True expression, and how it is brought to the scale of the prediction.

    Attributes
    ----------
    matrix
        Counts (n_obs, n_vars), or values as they are.
    target
        The scale.
    depth
        Library size of every observation (n_obs,); None where it is not known.
    """

    matrix: Matrix
    target: str
    depth: np.ndarray | None

    @property
    def counted(self) -> bool:
        """Whether the matrix holds counts."""
        return self.target != "as_is"

    def scaled(
        self, matrix: Matrix, rows: np.ndarray, columns: np.ndarray, *, size_target: np.ndarray, share: float = 1.0
    ) -> np.ndarray:
        """Return rows and columns of a matrix on the scale of the target, dense float64.

        Parameters
        ----------
        matrix
            The truth itself, or a thinned part of it.
        size_target
            Library size that every row is scaled to (n_rows,).
        share
            The share of the molecules that the part holds.
        """
        part = matrix[rows][:, columns]
        if self.target == "size_factor_log1p" and self.depth is not None:
            depth = self.depth[rows] * share
            return np.asarray(size_factor_log1p(sparse.csr_array(part), depth=depth, target=size_target).toarray())
        dense = np.asarray(part.toarray() if sparse.issparse(part) else part, dtype=np.float64)
        return np.log1p(dense) if self.target == "log1p" else dense


@dataclass(frozen=True, kw_only=True, eq=False)
class Predicted:
    """A prediction: matrix (n_obs, n_genes), the genes, and their positions in the table."""

    matrix: Matrix
    genes: np.ndarray
    columns: np.ndarray

    def dense(self, rows: np.ndarray, part: slice) -> np.ndarray:
        """Return rows and some of the genes as dense float64."""
        values = self.matrix[rows][:, part]
        return np.asarray(values.toarray() if sparse.issparse(values) else values, dtype=np.float64)


def read_truth(adata: AnnData, *, layer: str | None, target: str, library_size_key: str | None) -> Truth:
    """Read the true expression; counts where the target is made of counts."""
    check_choice(target, TARGETS, name="target")
    where = "X" if layer is None else f"layers[{layer!r}]"
    if target == "as_is":
        matrix = read_matrix(adata, layer)
        _check_finite(matrix, where=where)
    else:
        matrix = read_counts(adata, layer)
    depth = None
    if library_size_key is not None:
        depth = _library_size(adata, library_size_key)
    elif target != "as_is":
        counts = sparse.csr_array(matrix)
        if target == "size_factor_log1p":
            check_no_empty(counts, adata.obs_names)
        depth = totals(counts)
    return Truth(matrix=matrix, target=target, depth=depth)


def read_prediction(adata: AnnData, key: str) -> Predicted:
    """Read a prediction from a layer, or from a table in ``obsm`` whose columns are genes."""
    if key in adata.layers and key in adata.obsm:
        raise InputError(
            f"{key!r} in layers and in obsm.", allowed="one prediction of a name", remedy="rename one of them."
        )
    if key in adata.layers:
        values, genes = read_matrix(adata, key), adata.var_names.to_numpy(dtype=str)
        if values.dtype.kind not in "biuf":
            raise InputTypeError(
                f"layers[{key!r}] of dtype {values.dtype}.", allowed="numbers", remedy="store numbers there."
            )
    elif key in adata.obsm:
        values, genes = _read_obsm(adata, key)
    else:
        known = [*adata.layers, *adata.obsm]
        raise MissingKeyError(
            f"no layer and no obsm entry named {key!r}.",
            allowed=listed(known),
            remedy="store predictions in a layer, or in obsm as a DataFrame with genes as columns."
            f"{nearest(str(key), known)}",
        )
    columns = adata.var_names.get_indexer(genes)
    if (columns < 0).any():
        unknown = [str(gene) for gene in genes[columns < 0]]
        raise MissingKeyError(
            f"{len(unknown)} predicted genes that the table does not measure: {listed(unknown, most=5)}.",
            allowed="genes in var_names",
            remedy=f"drop these columns, or bring names to one convention.{nearest(unknown[0], list(adata.var_names))}",
        )
    return Predicted(matrix=values, genes=genes, columns=columns)


def _read_obsm(adata: AnnData, key: str) -> tuple[np.ndarray, np.ndarray]:
    frame = adata.obsm[key]
    if not isinstance(frame, pd.DataFrame):
        raise InputTypeError(
            f"obsm[{key!r}] is a {type(frame).__name__}, which does not say what its columns are.",
            allowed="a DataFrame with genes as columns",
            remedy=f"adata.obsm[{key!r}] = pd.DataFrame(values, index=adata.obs_names, columns=genes).",
        )
    names = pd.Index(frame.columns.astype(str))
    if not len(names) or not names.is_unique:
        twice = names[names.duplicated()].unique()
        raise InputError(
            f"obsm[{key!r}] with {len(names)} genes, {len(twice)} of them twice: {listed(twice, most=5)}.",
            allowed="every gene once, and one gene or more",
            remedy="decide which column of a gene is meant.",
        )
    odd = [str(c) for c, kind in zip(names, frame.dtypes, strict=True) if kind.kind not in "biuf"]
    if odd:
        raise InputTypeError(
            f"obsm[{key!r}] with columns that are not numbers: {listed(odd, most=5)}.",
            allowed="one column of numbers per gene",
            remedy="keep ids in obs, and predictions alone in the table.",
        )
    return frame.to_numpy(), names.to_numpy(dtype=str)


def check_prediction(predicted: Predicted, *, key: str, target: str) -> np.ndarray:
    """Refuse values that cannot be a prediction on this scale; return which observations are predicted (n_obs,).

    NaN says "not predicted"; infinities, negative counts, and logs beyond any count are errors.
    """
    sparse_values = isinstance(predicted.matrix, sparse.csr_array)
    values = np.asarray(predicted.matrix.data if sparse_values else predicted.matrix)
    nan = np.isnan(values)
    known = values[~nan]
    if np.isinf(known).any() or (sparse_values and nan.any()):
        raise InputError(
            f"{int((~np.isfinite(values)).sum())} infinite (or, in a sparse layer, NaN) values in {key!r}.",
            allowed="finite numbers; in a dense table, NaN for observations that are not predicted",
            remedy="find out why the predictor diverges.",
        )
    if target == "counts" and known.size and known.min() < 0:
        raise InputError(
            f"{int((known < 0).sum())} negative values in {key!r}, the least {known.min():g}, with target='counts'.",
            allowed="expected counts of at least 0",
            remedy="clip them at 0, or name the scale that the predictor was trained on as target.",
        )
    if target in LOGGED and known.size and known.max() > _HIGHEST_LOG:
        raise InputError(
            f"predictions as high as {known.max():g} in {key!r} with target={target!r}.",
            allowed=f"logarithms (below {_HIGHEST_LOG:g})",
            remedy="pass target='counts' if these are counts, or log1p them.",
        )
    here = np.ones(predicted.matrix.shape[0], dtype=bool) if sparse_values else ~nan.all(axis=1)
    if not here.any():
        raise InputError(f"no prediction in {key!r}: all NaN.", allowed="some predictions", remedy="predict first.")
    return here


def provenance(adata: AnnData, key: str) -> dict[str, Any] | None:
    """Return what `predict_expression` recorded of a prediction, or None where it came from elsewhere."""
    results = adata.uns.get(slots.ROOT, {}).get(STEP_PREDICT, {}).get("results", {})
    return results.get(key) if fold_key(key) in adata.obs.columns else None


def fold_key(key: str) -> str:
    """Column of ``obs`` with the fold that tests an observation, for a prediction."""
    return f"{key}_fold"


def seed_of(rng: RNGLike) -> int:
    """Return the integer that names all streams; a generator is asked for one."""
    return int(rng) if isinstance(rng, int | np.integer) else int_seed(as_generator(rng))


def _library_size(adata: AnnData, key: str) -> np.ndarray:
    column = read_column(adata, key, role="library_size_key")
    if not pd.api.types.is_numeric_dtype(column):
        raise InputTypeError(
            f"obs[{key!r}] of dtype {column.dtype}.", allowed="library sizes", remedy="pass a column of numbers."
        )
    depth = column.to_numpy(dtype=np.float64)
    if not (np.isfinite(depth).all() and (depth > 0).all()):
        bad = int((~(np.isfinite(depth) & (depth > 0))).sum())
        raise InputError(
            f"{bad} library sizes in obs[{key!r}] that are not above 0.",
            allowed="finite numbers above 0",
            remedy="drop these observations.",
        )
    return depth


def _check_finite(matrix: Matrix, *, where: str) -> None:
    values = matrix.data if isinstance(matrix, sparse.csr_array) else matrix
    if values.dtype.kind not in "biuf":
        raise InputTypeError(f"{where} of dtype {values.dtype}.", allowed="numbers", remedy="store numbers there.")
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise InputError(
            f"{bad} NaN or infinite values in {where}.", allowed="finite truth", remedy="drop what was not measured."
        )
