"""Readers of one modality by rows: in memory, on disk, or of some rows or columns of another reader."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from scipy import sparse

from stfmkit._core.matrices import check_sparse, in_memory
from stfmkit._data.matrices import as_counts, as_expression, as_matrix, check_no_empty

if TYPE_CHECKING:
    import pandas as pd


class RowReader(Protocol):
    """Anything with a shape whose first number counts the observations, and `read`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole; observations come first."""
        ...

    def read(self, rows: np.ndarray) -> Any:
        """Return some rows, in the order asked for, as an array or a CSR array."""
        ...


@dataclass(frozen=True, eq=False)
class ArrayRows:
    """An array or a CSR array that lies in memory.

    Attributes
    ----------
    array
        The array (n_obs, …).
    """

    array: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return tuple(self.array.shape)

    def read(self, rows: np.ndarray) -> Any:
        """Return some rows."""
        return self.array[rows]


@dataclass(frozen=True, eq=False)
class SelectedRows:
    """Some rows of another reader, which stay where they are until they are read.

    Attributes
    ----------
    source
        The other reader.
    rows
        Its rows that are kept (n_kept,).
    """

    source: RowReader
    rows: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what is kept."""
        return (len(self.rows), *self.source.shape[1:])

    def read(self, rows: np.ndarray) -> Any:
        """Return some of the kept rows."""
        return self.source.read(self.rows[rows])


@dataclass(frozen=True, eq=False)
class SelectedColumns:
    """Some columns of a matrix that another reader reads.

    Attributes
    ----------
    source
        The other reader, of matrices.
    columns
        Columns that are kept (n_kept,).
    """

    source: RowReader
    columns: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what is kept."""
        return (self.source.shape[0], len(self.columns))

    def read(self, rows: np.ndarray) -> Any:
        """Return some rows of the kept columns."""
        return self.source.read(rows)[:, self.columns]


@dataclass(frozen=True, eq=False)
class StoredMatrix:
    """A matrix of a backed table, or of dask arrays, checked where it is read.

    Attributes
    ----------
    matrix
        The matrix (n_obs, n_genes) as the table holds it.
    where
        Where it lies, for errors: "X" or "layers['counts']".
    kind
        "counts" refuses what is not raw counts; "expression" takes any finite values ≥ 0.
    obs_names
        Names of the observations (n_obs,); those without a single count are then refused. None where they are the
        business of the model.
    """

    matrix: Any
    where: str
    kind: Literal["counts", "expression"]
    obs_names: "pd.Index | None" = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the matrix."""
        return tuple(self.matrix.shape)

    def read(self, rows: np.ndarray) -> sparse.csr_array:
        """Return some rows. Rows that follow each other are read as one slice, others in the order of the file."""
        order = np.argsort(rows, kind="stable")
        wanted = rows[order]
        one_slice = len(wanted) > 0 and wanted[-1] - wanted[0] + 1 == len(wanted)
        chosen = slice(wanted[0], wanted[-1] + 1) if one_slice else wanted
        if getattr(self.matrix, "format", "") == "csc":  # anndata reads it as a whole, and takes rows unchecked
            part = check_sparse(in_memory(self.matrix), name=self.where)[chosen]
        else:
            part = in_memory(self.matrix[chosen])
        matrix = as_matrix(part, where=self.where)
        values = (as_counts if self.kind == "counts" else as_expression)(matrix, where=self.where)
        if self.obs_names is not None:
            check_no_empty(values, self.obs_names[wanted])
        if np.array_equal(order, np.arange(len(order))):
            return values
        return sparse.csr_array(values[np.argsort(order, kind="stable")])


def is_stored(matrix: Any) -> bool:
    """Return whether a matrix lies on disk or in dask arrays rather than in memory."""
    return matrix is not None and not isinstance(matrix, np.ndarray) and not sparse.issparse(matrix)
