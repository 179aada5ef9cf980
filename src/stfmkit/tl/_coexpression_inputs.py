"""What the co-expression suite reads from a table, checked before any work."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
from stfmkit._data.columns import read_column, read_groups
from stfmkit._data.coordinates import check_one_frame, check_positions, read_coords
from stfmkit._data.matrices import check_no_empty, read_counts, read_matrix
from stfmkit._data.names import check_names
from stfmkit._kernels._neighbors import knn_within, mean_operator
from stfmkit._kernels._normalize import median_total, size_factor_log1p, totals

LIBRARY_SIZE = "library_size"
_RING = 6


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Values of the observations that are scored, and of those that the order is learned from.

    Attributes
    ----------
    genes
        Positions in the table of the genes that are compared (n_genes,).
    rows, train
        Positions of the observations that are scored, and of those that the order comes from.
    truth, train_truth
        True values of both (n_obs, n_genes).
    predicted
        Predicted values (n_obs, n_genes), or None.
    counts
        Counts of all genes of the observations that are scored, or None where values are no counts.
    samples
        Sample of every observation that is scored (n_obs,), integers.
    covariate, train_covariate
        What is regressed on (n_obs,), or None.
    """

    genes: np.ndarray
    rows: np.ndarray
    train: np.ndarray
    truth: np.ndarray | sparse.csr_array
    train_truth: np.ndarray | sparse.csr_array
    predicted: np.ndarray | sparse.csr_array | None
    counts: sparse.csr_array | None
    samples: np.ndarray
    train_samples: np.ndarray
    covariate: np.ndarray | None
    train_covariate: np.ndarray | None


def read_inputs(
    adata: AnnData,
    *,
    layer: str | None,
    pred_layer: str | None,
    genes: str | list[str] | pd.Index | np.ndarray | None,
    sample_key: str | None,
    covariate: str | None,
    train: str | np.ndarray | pd.Series | None,
    normalize: bool,
) -> Inputs:
    """Read everything but coordinates and graphs."""
    check_names(adata)
    wanted = gene_positions(adata, genes)
    rows, fitted = _split(adata, train)
    codes = np.zeros(adata.n_obs, dtype=np.int64)
    if sample_key is not None:
        codes = read_groups(adata, sample_key, role="sample_key").codes.astype(np.int64)
    counts = None
    if normalize:
        counts = read_counts(adata, layer)
        check_no_empty(counts, adata.obs_names)
        depth = totals(counts)
        target = median_total(depth[fitted])
        values: np.ndarray | sparse.csr_array = size_factor_log1p(counts, depth=depth, target=target)[:, wanted]
    else:
        values = read_matrix(adata, layer)[:, wanted]
    known = _covariate(adata, covariate, None if counts is None else depth)
    predicted = None if pred_layer is None else read_matrix(adata, pred_layer)[rows][:, wanted]
    return Inputs(
        genes=wanted,
        rows=rows,
        train=fitted,
        truth=values[rows],
        train_truth=values[fitted],
        predicted=predicted,
        counts=None if counts is None else counts[rows],
        samples=np.unique(codes[rows], return_inverse=True)[1],
        train_samples=codes[fitted],
        covariate=None if known is None else known[rows],
        train_covariate=None if known is None else known[fitted],
    )


def gene_positions(adata: AnnData, genes: str | list[str] | pd.Index | np.ndarray | None) -> np.ndarray:
    """Return positions of genes that are named, marked in a boolean column of ``var``, or all."""
    if genes is None:
        return np.arange(adata.n_vars)
    if isinstance(genes, str):
        if genes not in adata.var.columns:
            raise MissingKeyError(
                f"genes={genes!r}, but var has no such column.",
                allowed=f"a boolean column of var, one of {listed(adata.var.columns)}, or a list of names",
                remedy="pass a list for a single gene, or the name of the column.",
            )
        mask = adata.var[genes].to_numpy()
        if mask.dtype != bool or not mask.any():
            raise InputError(
                f"var[{genes!r}] of dtype {mask.dtype} with {int(np.sum(mask != 0))} genes marked.",
                allowed="a boolean column, some of it True",
                remedy="select genes first, such as sk.pp.select_genes.",
            )
        return np.flatnonzero(mask)
    names = pd.Index(genes)
    missing = names.difference(adata.var_names)
    if len(missing) or not names.is_unique or not len(names):
        raise InputError(
            f"{len(names)} genes, of which {len(missing)} are not in var ({listed(missing, most=3)}) and "
            f"{int(names.duplicated().sum())} are repeated.",
            allowed="different names of var_names",
            remedy="pass adata.var_names.intersection(genes).",
        )
    return np.sort(adata.var_names.get_indexer(names))


def _split(adata: AnnData, train: str | np.ndarray | pd.Series | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that are scored and those of the training; all of them twice without `train`."""
    if train is None:
        return np.arange(adata.n_obs), np.arange(adata.n_obs)
    column = read_column(adata, train, role="train") if isinstance(train, str) else train
    mask = np.asarray(column)
    aligned = not isinstance(column, pd.Series) or column.index.equals(adata.obs_names)
    good = mask.dtype == bool and mask.shape == (adata.n_obs,) and aligned
    if not good or min(mask.sum(), (~mask).sum()) < 2:
        raise InputError(
            f"train of shape {mask.shape} and dtype {mask.dtype}{'' if aligned else ', in another order'}.",
            allowed=f"a boolean obs column or mask of shape ({adata.n_obs},), with two or more of True and of False",
            remedy="pass train=adata.obs['split'] == 'train', for example.",
        )
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def _covariate(adata: AnnData, covariate: str | None, depth: np.ndarray | None) -> np.ndarray | None:
    if covariate is None:
        return None
    if covariate == LIBRARY_SIZE:
        if depth is None:
            raise InputError(
                "covariate='library_size' with normalize=False.",
                allowed="counts, or a column of obs",
                remedy="pass the column of obs with the library size as covariate=.",
            )
        return np.log(depth)
    column = read_column(adata, covariate, role="covariate").to_numpy()
    if column.dtype.kind not in "iuf":
        raise InputTypeError(
            f"obs[{covariate!r}] of dtype {column.dtype}.", allowed="numbers", remedy="pass a numeric column."
        )
    return column.astype(np.float64)


def read_places(adata: AnnData, inputs: Inputs, *, spatial_key: str, sample_key: str | None) -> np.ndarray:
    """Return the coordinates of the observations that are scored, each place once in a sample."""
    coords = read_coords(adata, spatial_key=spatial_key)[inputs.rows]
    part = adata[inputs.rows]
    if sample_key is None:
        check_one_frame(part, coords)
    check_positions(coords, inputs.samples, part.obs_names, sample_key=sample_key)
    return coords


def read_graph(
    adata: AnnData, inputs: Inputs, *, graph: str | None, spatial_key: str, sample_key: str | None
) -> sparse.csr_array:
    """Return the weights between the observations that are scored: a slot of ``obsp``, or the nearest neighbours."""
    if graph is None:
        coords = read_places(adata, inputs, spatial_key=spatial_key, sample_key=sample_key)
        return mean_operator(knn_within(coords, inputs.samples, k=_RING), include_self=False)
    if graph not in adata.obsp:
        raise MissingKeyError(
            f"no obsp[{graph!r}].",
            allowed=f"one of {listed(adata.obsp)}, or None for the {_RING} nearest neighbours",
            remedy="run sk.pp.spatial_graph first, and pass graph='spatial_connectivities'.",
        )
    return sparse.csr_array(adata.obsp[graph])[inputs.rows][:, inputs.rows]
