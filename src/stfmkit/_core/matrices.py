"""Bring a matrix that lies on disk or in dask arrays into memory."""

from typing import Any


def in_memory(matrix: Any) -> Any:
    """Return a matrix of a backed AnnData, or a dask array of dense or sparse chunks, as numpy or scipy hold it.

    What ranks, neighbours or permutations are computed from is needed as a whole: it is read once, sparse as it is
    stored, and costs the memory of its values. Anything else is returned as it came.
    """
    if hasattr(matrix, "to_memory"):  # a sparse data set of a file
        matrix = matrix.to_memory()
    if hasattr(matrix, "compute"):  # dask
        matrix = matrix.compute()
    return matrix
