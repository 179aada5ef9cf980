"""Mark the genes that are worth predicting."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from stfmkit._core.arguments import check_choice, check_fraction, check_key, listed
from stfmkit._core.errors import MissingKeyError
from stfmkit._data.view import resolve_table
from stfmkit._data.write_slots import check_free, write_record
from stfmkit.pp._gene_limits import FLAGS
from stfmkit.pp._select_genes import control_genes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stfmkit._data.view import Container

STEP = "filter_genes"


def filter_genes(
    data: "Container",
    *,
    table_key: str | None = None,
    flags: "Sequence[str]" = FLAGS,
    min_reliability: float = 0.0,
    max_slide_r2: float = 1.0,
    control_key: str | None = None,
    key_added: str = "passes_filter",
    copy: bool = False,
) -> pd.Series | None:
    """Mark genes that carry no flag and are reliable enough; nothing is removed.

    Reads what :func:`stfmkit.pp.gene_sparsity` wrote, so the limits of the flags, and the observations that they come
    from, are chosen there.

    Parameters
    ----------
    data
        AnnData or SpatialData with gene statistics in ``var``.
    table_key
        Table of a SpatialData.
    flags
        Flags that exclude a gene, out of "too_sparse", "too_flat" and "depth_driven".
    min_reliability
        Least split-half reliability.
    max_slide_r2
        Largest share of variance between samples; a gene whose share is not defined passes.
    control_key
        Column of ``var`` that is true for control features; ``is_control`` is used where it is there. Features whose
        names are those of control features are excluded too.
    key_added
        Column of ``var`` that is written.
    copy
        Return the result and write nothing.

    Returns
    -------
    With ``copy=True``, the mask (n_genes,). Otherwise None, and writes ``var["passes_filter"]`` and parameters in
    ``uns["stfmkit"]["filter_genes"]["results"]``. ``X``, ``obs`` and the genes stay as they are.

    Raises
    ------
    MissingKeyError
        The statistics are not there.

    Examples
    --------
    >>> import numpy as np, pandas as pd, anndata as ad
    >>> import stfmkit as sk
    >>> x, y = np.meshgrid(np.arange(10.0), np.arange(10.0))
    >>> counts = np.column_stack([np.where(x.ravel() < 5, 20, 1), np.full(100, 9), (x + y).ravel() == 0])
    >>> obs = pd.DataFrame({"who": "P1", "section": "S1"}, index=[f"spot{i}" for i in range(100)])
    >>> adata = ad.AnnData(counts.astype("float32"), obs=obs)
    >>> adata.obsm["spatial"] = np.column_stack([x.ravel(), y.ravel()])
    >>> sk.pp.gene_sparsity(adata, patient_key="who", sample_key="section")
    >>> sk.pp.filter_genes(adata, flags=["too_sparse"])
    >>> adata.var["passes_filter"].tolist()
    [True, True, False]
    """
    adata = resolve_table(data, table_key=table_key)
    check_key(key_added)
    for flag in flags:
        check_choice(flag, FLAGS, name="flags")
    check_fraction(min_reliability, name="min_reliability")
    check_fraction(max_slide_r2, name="max_slide_r2")
    needed = [*flags, "reliability", "slide_r2"]
    missing = [name for name in needed if name not in adata.var.columns]
    if missing:
        raise MissingKeyError(
            f"var without {listed(missing)}.",
            allowed="the columns that sk.pp.gene_sparsity writes",
            remedy="run sk.pp.gene_sparsity(adata, patient_key=..., sample_key=...) first.",
        )
    mask = ~control_genes(adata, control_key)
    for flag in flags:
        mask &= ~adata.var[flag].to_numpy(dtype=bool)
    reliability = np.nan_to_num(adata.var["reliability"].to_numpy(dtype=float), nan=0.0)
    slide = adata.var["slide_r2"].to_numpy(dtype=float)
    mask &= (reliability >= min_reliability) & (np.isnan(slide) | (slide <= max_slide_r2))
    if copy:
        return pd.Series(mask, index=adata.var_names, name=key_added)
    check_free(adata, "var", [key_added], step=STEP, result=key_added)
    adata.var[key_added] = mask
    params = {
        "flags": list(flags),
        "min_reliability": float(min_reliability),
        "max_slide_r2": float(max_slide_r2),
        "n_passing": int(mask.sum()),
    }
    write_record(adata, STEP, key_added, params, wrote={"var": [key_added]})
    return None
