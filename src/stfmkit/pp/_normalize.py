"""Normalised expression in a layer."""

from typing import TYPE_CHECKING

from scipy import sparse

from stfmkit._core.arguments import check_choice, check_key, check_positive
from stfmkit._core.errors import InputError
from stfmkit._data.matrices import check_no_empty, read_counts
from stfmkit._data.names import check_names
from stfmkit._data.view import resolve_table
from stfmkit._data.write_slots import check_free, write_record
from stfmkit._kernels._gene_stats import log1p
from stfmkit._kernels._normalize import median_total, size_factor_log1p, totals

if TYPE_CHECKING:
    from stfmkit._data.view import Container

STEP = "normalize"
SCALES = ("size_factor_log1p", "log1p")


def normalize(
    data: "Container",
    *,
    layer: str | None = None,
    scale: str = "size_factor_log1p",
    target_sum: float | None = None,
    table_key: str | None = None,
    key_added: str | None = None,
    copy: bool = False,
) -> sparse.csr_matrix | None:
    """Write normalised expression into a layer; ``X`` stays as it is.

    The scale "size_factor_log1p" is ``log1p(counts / library size * target_sum)``, equal to
    :func:`scanpy.pp.normalize_total` followed by :func:`scanpy.pp.log1p`.

    Parameters
    ----------
    data
        AnnData or SpatialData with raw counts (n_obs, n_genes).
    layer
        Layer with raw counts, None for ``X``.
    scale
        Scale of the expression: "size_factor_log1p", or "log1p" of the raw counts.
    target_sum
        Library size that all observations are scaled to, None for the median of these data. Pass the recorded one of
        the training data to treat test data the same. With "size_factor_log1p" only.
    table_key
        Table of a SpatialData.
    key_added
        Layer that is written; by default the name of the scale.
    copy
        Return the result and write nothing.

    Returns
    -------
    With ``copy=True``, the matrix (n_obs, n_genes), float64. Otherwise None, and writes
    ``layers["size_factor_log1p"]`` and the target in ``uns["stfmkit"]["normalize"]["results"]["size_factor_log1p"]``.

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
    >>> train.uns["stfmkit"]["normalize"]["results"]["size_factor_log1p"]["target_sum"]
    6.0
    >>> np.expm1(train.layers["size_factor_log1p"].toarray()).sum(axis=1).round(6).tolist()
    [6.0, 6.0]
    """
    adata = resolve_table(data, table_key=table_key)
    check_choice(scale, SCALES, name="scale")
    if target_sum is not None:
        check_positive(target_sum, name="target_sum")
        if scale == "log1p":
            raise InputError(
                f"target_sum={target_sum:g} with scale='log1p'.",
                allowed="target_sum with scale='size_factor_log1p'",
                remedy="leave target_sum out.",
            )
    key = scale if key_added is None else check_key(key_added)
    if not copy:
        check_free(adata, "layers", [key], step=STEP, result=key)
    check_names(adata)
    counts = read_counts(adata, layer)
    check_no_empty(counts, adata.obs_names)
    goal = None
    if scale == "log1p":
        values = sparse.csr_matrix(log1p(counts))
    else:
        depth = totals(counts)
        goal = median_total(depth) if target_sum is None else float(target_sum)
        values = sparse.csr_matrix(size_factor_log1p(counts, depth=depth, target=goal))
    if copy:
        return values
    adata.layers[key] = values
    write_record(adata, STEP, key, {"scale": scale, "target_sum": goal, "layer": layer}, wrote={"layers": [key]})
    return None
