"""Size-factor log1p in a layer."""

from typing import TYPE_CHECKING

from scipy import sparse

from stfmkit._core.arguments import check_positive
from stfmkit._data.matrices import check_no_empty, read_counts
from stfmkit._data.names import check_names
from stfmkit._data.view import resolve_table
from stfmkit._data.write import check_free, write_result
from stfmkit._kernels._normalize import median_total, size_factor_log1p, totals

if TYPE_CHECKING:
    from stfmkit._data.view import Container

STEP = "normalize"


def normalize(
    data: "Container",
    *,
    layer: str | None = None,
    target: float | None = None,
    table_key: str | None = None,
    key_added: str = "log1p_size_factor",
    copy: bool = False,
) -> sparse.csr_matrix | None:
    """Write ``log1p(counts / library size * target)`` into a layer; ``X`` stays as it is.

    Equal to :func:`scanpy.pp.normalize_total` followed by :func:`scanpy.pp.log1p`.

    Parameters
    ----------
    data
        AnnData or SpatialData with raw counts (n_obs, n_genes).
    layer
        Layer with raw counts; ``X`` where it is left out.
    target
        Library size that all observations are scaled to; the median of these data where it is left out. Pass the
        recorded target of the training data to treat test data the same.
    table_key
        Table of a SpatialData.
    key_added
        Layer that is written.
    copy
        Return the matrix and write nothing.

    Returns
    -------
    With ``copy=True``, the matrix (n_obs, n_genes), float64. Otherwise None, and writes
    ``layers["log1p_size_factor"]`` and the target in ``uns["stfmkit"]["normalize"]["results"][key_added]``.

    Raises
    ------
    InputError
        The matrix does not hold counts, observations are empty, or `key_added` is taken.

    Examples
    --------
    >>> import numpy as np, anndata as ad
    >>> import stfmkit as sk
    >>> train = ad.AnnData(np.array([[1.0, 3.0], [4.0, 4.0]], dtype="float32"))
    >>> sk.pp.normalize(train)
    >>> train.uns["stfmkit"]["normalize"]["results"]["log1p_size_factor"]["target"]
    6.0
    >>> np.expm1(train.layers["log1p_size_factor"].toarray()).sum(axis=1).round(6).tolist()
    [6.0, 6.0]
    """
    adata = resolve_table(data, table_key=table_key)
    if target is not None:
        check_positive(target, name="target")
    if not copy:
        check_free(adata, "layers", [key_added], step=STEP)
    check_names(adata)
    counts = read_counts(adata, layer)
    check_no_empty(counts, adata.obs_names)
    depth = totals(counts)
    goal = median_total(depth) if target is None else float(target)
    values = sparse.csr_matrix(size_factor_log1p(counts, depth=depth, target=goal))
    if copy:
        return values
    adata.layers[key_added] = values
    write_result(adata, STEP, key_added, {"target": goal, "layer": layer or "X"}, wrote=[key_added])
    return None
