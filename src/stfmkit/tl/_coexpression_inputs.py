"""Read what co-expression is computed from, checked before any work."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from stfmkit._core.arguments import check_choice, listed
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
from stfmkit._core.random import stream
from stfmkit._data.columns import read_column, read_groups
from stfmkit._data.coordinates import check_one_frame, check_positions, read_coords
from stfmkit._data.graphs import read_graph
from stfmkit._data.matrices import check_no_empty, read_counts, read_matrix
from stfmkit._data.names import check_names
from stfmkit._data.predictions import Prediction, read_prediction
from stfmkit._data.training import Train, held_out_rows, training_rows
from stfmkit._kernels._neighbors import neighbor_graph
from stfmkit._kernels._normalize import median_total, totals
from stfmkit.evaluation.coexpression_suite import CoexpressionValues, Values
from stfmkit.evaluation.molecules import Molecules
from stfmkit.tl._ligand_receptor import Pairs, read_pairs

LIBRARY_SIZE = "library_size"
SCALES = ("size_factor_log1p", "log1p", "as_is")
_FEWEST = 2
"""Fewest observations that are scored, and that are trained on."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Inputs:
    """What was read of a table.

    Attributes
    ----------
    arrays
        What is compared.
    genes
        Positions in the table of the genes that are compared (n_genes,).
    rows
        Positions of the observations that are scored.
    sample
        Name of the sample where it is the only one, else empty text.
    pairs
        Ligands and receptors, or None.
    """

    arrays: CoexpressionValues
    genes: np.ndarray
    rows: np.ndarray
    sample: str
    pairs: Pairs | None


def read_inputs(
    adata: AnnData,
    *,
    layer: str | None,
    prediction: str | pd.DataFrame | None,
    scale: str,
    genes: str | list[str] | pd.Index | np.ndarray | None,
    sample_key: str | None,
    covariate: str | None,
    train: Train,
    lr_pairs: str | pd.DataFrame | None,
    graph_key: str | None,
    spatial_key: str,
    rotates: bool,
    seed: int,
) -> Inputs:
    """Read everything that a comparison needs; coordinates only where maps are rotated or neighbours are looked for."""
    check_choice(scale, SCALES, name="scale")
    check_names(adata)
    predicted = None if prediction is None else read_prediction(adata, prediction)
    wanted = _predicted_positions(adata, genes, predicted)
    fitted = training_rows(adata, train, least=_FEWEST)
    rows = fitted if train is None else held_out_rows(adata, train, least=_FEWEST)
    samples = None if sample_key is None else read_groups(adata, sample_key, role="sample_key")
    codes = np.zeros(adata.n_obs, dtype=np.int64) if samples is None else samples.codes.astype(np.int64)
    own_samples = np.unique(codes[rows], return_inverse=True)[1]
    values = _read_values(adata, layer, scale, wanted, rows=rows, fitted=fitted, seed=seed)
    whole = values.whole
    known = _covariate(adata, covariate, values.depth)
    pairs = None if lr_pairs is None else read_pairs(lr_pairs, genes=adata.var_names[wanted])
    coords = graph = None
    if rotates or (pairs is not None and graph_key is None):
        coords = _read_coords(adata, rows, own_samples, spatial_key=spatial_key, sample_key=sample_key)
    if pairs is not None and graph_key is not None:
        graph = read_graph(adata, graph_key, samples=samples, sample_key=sample_key, rows=rows)
    elif pairs is not None and coords is not None:
        graph = neighbor_graph(coords, own_samples)
    truth = whole[rows]
    arrays = CoexpressionValues(
        truth=truth,
        train_truth=truth if train is None else whole[fitted],
        predicted=None if predicted is None else _predicted_values(predicted, wanted, rows),
        halves=values.halves,
        molecules=values.molecules,
        samples=own_samples,
        train_samples=codes[fitted],
        covariate=None if known is None else known[rows],
        train_covariate=None if known is None else known[fitted],
        coords=coords if rotates else None,
        graph=graph,
        pairs=None if pairs is None else pairs.positions,
    )
    names = [] if samples is None else np.unique(np.asarray(samples[rows]).astype(str)).tolist()
    return Inputs(arrays=arrays, genes=wanted, rows=rows, sample=names[0] if len(names) == 1 else "", pairs=pairs)


class _Read(NamedTuple):
    """Values of some genes (n_obs, n_genes); of the rows that are scored halves and counts; all library sizes."""

    whole: Values
    halves: tuple[Values, Values] | None = None
    molecules: Molecules | None = None
    depth: np.ndarray | None = None


def _read_values(adata: AnnData, layer: str | None, scale: str, genes: np.ndarray, **how: Any) -> _Read:
    if scale == "as_is":
        return _Read(read_matrix(adata, layer)[:, genes])
    rows, fitted, seed = how["rows"], how["fitted"], how["seed"]
    counts = read_counts(adata, layer)
    check_no_empty(counts, adata.obs_names)
    depth = totals(counts)
    everywhere = Molecules(
        counts=sparse.csr_array(counts[:, genes]),
        library_size=depth,
        target_sum=median_total(depth[fitted]),
        scale=scale,
    )
    molecules = everywhere.of(rows)
    first, second = molecules.halves(stream(seed, "coexpression", "thinned"))
    return _Read(everywhere.scaled(), (first.scaled(), second.scaled()), molecules, depth)


def _predicted_positions(
    adata: AnnData, genes: str | list[str] | pd.Index | np.ndarray | None, predicted: Prediction | None
) -> np.ndarray:
    """Return the positions of the genes that are compared: those that are named, among those that are predicted."""
    wanted = _gene_positions(adata, genes)
    if predicted is None:
        return wanted
    if genes is None:
        return np.sort(predicted.columns)
    missing = np.setdiff1d(wanted, predicted.columns)
    if len(missing):
        raise InputError(
            f"{len(missing)} genes without a prediction in {predicted.where}: "
            f"{listed(adata.var_names[missing], most=5)}.",
            allowed="genes with a prediction",
            remedy="pass genes= that are predicted, or leave genes out.",
        )
    return wanted


def _predicted_values(predicted: Prediction, genes: np.ndarray, rows: np.ndarray) -> Values:
    """Return the prediction of some genes of the table (n_rows, n_genes), finite."""
    position = pd.Index(predicted.columns).get_indexer(genes)
    values = predicted.matrix[rows][:, position]
    stored = values.data if isinstance(values, sparse.csr_array) else np.asarray(values)
    bad = int((~np.isfinite(stored)).sum())
    if bad:
        raise InputError(
            f"{bad} NaN or infinite values in {predicted.where}.",
            allowed="a finite value for every observation and gene that is compared",
            remedy="leave out the genes and observations that were not predicted.",
        )
    return values


def _read_coords(
    adata: AnnData, rows: np.ndarray, samples: np.ndarray, *, spatial_key: str, sample_key: str | None
) -> np.ndarray:
    """Return the coordinates of the observations that are scored, each place once in a sample."""
    coords = read_coords(adata, spatial_key=spatial_key)[rows]
    part = adata[rows]
    if sample_key is None:
        check_one_frame(part, coords)
    check_positions(coords, samples, part.obs_names, sample_key=sample_key)
    return coords


def _gene_positions(adata: AnnData, genes: str | list[str] | pd.Index | np.ndarray | None) -> np.ndarray:
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


def _covariate(adata: AnnData, covariate: str | None, depth: np.ndarray | None) -> np.ndarray | None:
    if covariate is None:
        return None
    if covariate == LIBRARY_SIZE:
        if depth is None:
            raise InputError(
                "covariate='library_size' with scale='as_is'.",
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
