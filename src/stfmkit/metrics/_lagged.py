"""Correlation of one gene with another in the neighbourhood."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.stats import rankdata

from stfmkit._core.arguments import check_choice
from stfmkit._core.errors import InputError, InputTypeError
from stfmkit._core.matrices import in_memory, sound_rows
from stfmkit._kernels._correlation import orthonormal_design
from stfmkit.metrics._arrays import constant, finite, matrix, number
from stfmkit.metrics._correlation import known_variables
from stfmkit.metrics._metric import metric

_PAIRS = 128  # at a time, so that dense columns never fill the memory


@metric(
    title="Neighbour-lagged correlation",
    label="Lagged r",
    family="coexpression",
    higher_is_better=None,
    bounds=(-1, 1),
    chance=0,
    source="stfmkit documentation",
    summary="Correlation of a gene with the neighbours' mean of another; a description, compare truth and prediction.",
)
def lagged_correlation(
    X: ArrayLike | sparse.sparray,
    graph: sparse.sparray,
    pairs: ArrayLike,
    *,
    method: Literal["pearson", "spearman"] = "pearson",
    groups: ArrayLike | None = None,
    covariate: ArrayLike | None = None,
) -> np.ndarray:
    """Return, for pairs of genes, the correlation of one with the mean of the other over the neighbours.

    The first gene of a pair (a ligand) is read at every observation, the second (its receptor) in the ring around it:
    the weighted mean over the neighbours, without the observation itself. Observations without neighbours are left
    out. In a smooth tissue any two genes with a common pattern correlate so; read it beside shuffled pairs.

    Parameters
    ----------
    X
        Values (n_obs, n_genes), such as size-factor log1p; dense or CSR. A sparse matrix is never dense as a whole.
    graph
        Weights (n_obs, n_obs), sparse, not negative; row i holds the neighbours of observation i, itself not among
        them.
    pairs
        Positions of the first and the second gene (n_pairs, 2), integers.
    method
        Pearson's r, or Spearman's ρ: Pearson's r of mid-ranks.
    groups
        Slide of every observation (n_obs,): both sides are centred within slides. An edge between slides is refused.
    covariate
        One value (n_obs,) or several (n_obs, n_covariates) that both sides are regressed on before.

    Returns
    -------
    One correlation per pair (n_pairs,); NaN where one side does not vary.

    Raises
    ------
    InputError
        If shapes differ, values are not finite, an edge leads to the observation itself or to another slide, or
        fewer than two observations have neighbours.
    InputTypeError
        If pairs are not integers.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> import stfmkit as sk
    >>> line = sparse.csr_array(np.roll(np.eye(6), 1, axis=1))  # the neighbour of i is i + 1
    >>> ligand = np.array([0.0, 1, 0, 2, 0, 3])
    >>> values = np.column_stack([ligand, np.roll(ligand, 1)])
    >>> sk.metrics.lagged_correlation(values, line, [[0, 1], [1, 0]]).round(3)
    array([1.   , 0.625])
    """
    check_choice(method, ["pearson", "spearman"], name="method")
    values = matrix(X, name="X")
    wanted = _pairs(pairs, n_genes=values.shape[1])
    codes, known = known_variables(values.shape[0], groups=groups, covariate=covariate)
    ring = _ring(graph, codes)
    rows = np.flatnonzero(np.diff(ring.indptr) > 0)
    if len(rows) < 2:
        raise InputError(
            f"{len(rows)} observations with neighbours.",
            allowed="at least two",
            remedy="build the graph with more neighbours or a larger radius.",
        )
    present = np.unique(codes[rows], return_inverse=True)[1]
    design = orthonormal_design(present, None if known is None else known[rows])
    ring = ring[rows]
    columns = values if isinstance(values, np.ndarray) else sparse.csc_array(values)
    out = np.empty(len(wanted))
    for start in range(0, len(wanted), _PAIRS):
        part = wanted[start : start + _PAIRS]
        here, there = _dense(columns, part[:, 0])[rows], ring @ _dense(columns, part[:, 1])
        out[start : start + _PAIRS] = _correlate(here, there, design, method=method)
    return out


def _dense(values: np.ndarray | sparse.csc_array, columns: np.ndarray) -> np.ndarray:
    part = values[:, columns]
    return part if isinstance(part, np.ndarray) else part.toarray()


def _correlate(here: np.ndarray, there: np.ndarray, design: sparse.csr_array, *, method: str) -> np.ndarray:
    """Return the correlation of the columns of two matrices after regression on an orthonormal design."""
    sides, spreads = [], []
    for side in (here, there):
        flat = constant(side)
        side = rankdata(side, axis=0) if method == "spearman" else side  # noqa: PLW2901
        left = side - design @ (design.T @ side)
        spread = np.einsum("ij,ij->j", left, left)
        spread[flat | (spread <= 1e-12 * np.einsum("ij,ij->j", side, side))] = np.nan
        sides.append(left)
        spreads.append(spread)
    r = np.einsum("ij,ij->j", *sides) / np.sqrt(spreads[0] * spreads[1])
    return np.asarray(np.clip(r, -1, 1))


def _pairs(pairs: ArrayLike, *, n_genes: int) -> np.ndarray:
    found = np.asarray(pairs)
    if found.dtype.kind not in "iu":
        raise InputTypeError(
            f"pairs of dtype {found.dtype}.",
            allowed="integer positions of genes",
            remedy="translate names, such as `var_names.get_indexer(names)`.",
        )
    if found.ndim != 2 or found.shape[1] != 2 or not len(found):
        raise InputError(
            f"pairs of shape {found.shape}.", allowed="(n_pairs, 2), one or more", remedy="pass one row per pair."
        )
    if found.min() < 0 or found.max() >= n_genes:
        raise InputError(
            f"positions from {found.min()} to {found.max()} of {n_genes} genes.",
            allowed=f"0 … {n_genes - 1}",
            remedy="leave out the pairs with a gene that is not measured.",
        )
    return found.astype(np.int64)


def _ring(graph: sparse.sparray, codes: np.ndarray) -> sparse.csr_array:
    """Return row-stochastic weights, or refuse a graph that is no ring within groups."""
    n = len(codes)
    weights = sound_rows(in_memory(graph), name="graph").astype(np.float64, copy=True)
    weights.eliminate_zeros()
    if weights.shape != (n, n):
        raise InputError(
            f"a graph of shape {weights.shape} for {n} observations.",
            allowed=f"({n}, {n})",
            remedy="build the graph on the observations that are scored.",
        )
    finite(number(weights.data, name="graph"), name="graph")
    rows = np.repeat(np.arange(n), np.diff(weights.indptr))
    faults = {
        "negative weights": (weights.data < 0, "weights of at least 0", "pass connectivities"),
        "edges of observations to themselves": (rows == weights.indices, "neighbours only", "set the diagonal to 0"),
        "edges between groups": (codes[rows] != codes[weights.indices], "edges within a group", "build it by sample"),
    }
    for what, (bad, allowed, remedy) in faults.items():
        if bad.any():
            raise InputError(f"a graph with {int(bad.sum())} {what}.", allowed=allowed, remedy=f"{remedy}.")
    weights.data /= np.repeat(np.asarray(weights.sum(axis=1)).ravel(), np.diff(weights.indptr))
    return weights
