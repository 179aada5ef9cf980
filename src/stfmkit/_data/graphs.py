"""Read spatial weights from ``obsp``, which never connect samples."""

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from stfmkit._core.arguments import listed, nearest
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
from stfmkit._core.matrices import check_sparse, in_memory, sound_rows
from stfmkit._data.matrices import table_of


def read_graph(
    adata: AnnData,
    key: str,
    *,
    samples: pd.Categorical | None,
    sample_key: str | None,
    rows: np.ndarray | None = None,
) -> sparse.csr_array:
    """Return the weights between observations of ``obsp[key]`` as a CSR array without explicit zeros.

    Parameters
    ----------
    adata
        The table.
    key
        The value of ``graph_key``.
    samples
        Sample of every observation of the table (n_obs,); None where all observations are one sample.
    sample_key
        Column of ``obs`` that `samples` came from, for the remedy.
    rows
        Row numbers to keep, of both sides; None for all observations.

    Returns
    -------
    Weights (n_rows, n_rows).

    Raises
    ------
    MissingKeyError
        ``obsp`` has no such key.
    InputError
        Edges connect samples, weights are not finite, or the parts of the matrix do not fit each other.
    InputTypeError
        Weights are not numbers.
    """
    if key not in adata.obsp:
        raise MissingKeyError(
            f"no obsp[{key!r}].",
            allowed=listed(adata.obsp),
            remedy=f"run sk.pp.spatial_graph first, or leave graph_key out.{nearest(str(key), list(adata.obsp))}",
        )
    if table_of(adata) is not adata:
        check_sparse(table_of(adata).obsp[key], name=f"obsp[{key!r}]")
    graph = sound_rows(in_memory(adata.obsp[key]), name=f"obsp[{key!r}]")
    if graph.dtype.kind not in "biuf":
        raise InputTypeError(f"obsp[{key!r}] of dtype {graph.dtype}.", allowed="numbers", remedy="store weights there.")
    if not np.isfinite(graph.data).all():
        raise InputError(
            f"{int((~np.isfinite(graph.data)).sum())} NaN or infinite weights in obsp[{key!r}].",
            allowed="finite weights",
            remedy="build the graph again, such as with sk.pp.spatial_graph.",
        )
    if (graph.data == 0).any():
        graph = graph.copy()
        graph.eliminate_zeros()
    if samples is not None:
        _check_within_samples(graph, samples, key=key, sample_key=sample_key)
    return graph if rows is None else sparse.csr_array(graph[rows][:, rows])


def _check_within_samples(
    graph: sparse.csr_array, samples: pd.Categorical, *, key: str, sample_key: str | None
) -> None:
    edges = graph.tocoo()
    across = int(np.sum(samples.codes[edges.row] != samples.codes[edges.col]))
    if across:
        raise InputError(
            f"obsp[{key!r}] has {across} edges between samples.",
            allowed="edges within a sample",
            remedy=f"build it with sk.pp.spatial_graph(adata, sample_key={sample_key!r}).",
        )
