"""Rows of a matrix that is not in memory: backed tables and dask arrays."""

from collections.abc import Callable

import numpy as np
from anndata import AnnData
from scipy import sparse

from stfmkit._data._read import read_counts


def row_reader(adata: AnnData, layer: str | None) -> Callable[[np.ndarray], sparse.csr_array] | None:
    """Return a function that reads the checked counts of some rows, or None for a matrix in memory.

    Rows that follow each other are read as one slice; others one by one, in the order of the file.
    """
    matrix = adata.X if layer is None else adata.layers.get(layer)
    if matrix is None or isinstance(matrix, np.ndarray) or sparse.issparse(matrix):
        return None

    def read(rows: np.ndarray) -> sparse.csr_array:
        order = np.argsort(rows, kind="stable")
        wanted = rows[order]
        one_slice = len(wanted) > 0 and wanted[-1] - wanted[0] + 1 == len(wanted)
        part = matrix[wanted[0] : wanted[-1] + 1] if one_slice else matrix[wanted]
        part = part.compute() if hasattr(part, "compute") else part
        held = read_counts(AnnData(part))
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return held if (back == np.arange(len(back))).all() else sparse.csr_array(held[back])

    return read
