"""Bring tables of several gene panels onto one list of genes."""

import warnings
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from stfmkit._core.arguments import check_choice, listed
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError, StfmkitWarning
from stfmkit._data.columns import read_groups
from stfmkit._data.matrices import read_matrix, table_of
from stfmkit._data.names import check_names
from stfmkit._data.view import resolve_table
from stfmkit._data.write_slots import write_params
from stfmkit.pp._training import IN_PANEL, panel_presence

if TYPE_CHECKING:
    from stfmkit._data.view import Container

STEP = "align_panels"
MODES = ("intersection", "union")


def align_panels(
    data: "Container | Mapping[str, AnnData] | Sequence[AnnData]",
    *,
    genes: str | Sequence[str] = "intersection",
    panel_key: str | None = None,
    table_key: str | None = None,
) -> "AnnData | dict[str, AnnData]":
    """Return tables on one list of genes, with a report of what each panel loses.

    New tables are returned; `data` stays as it is. What a panel does not measure is never taken for a zero: such
    genes have False in ``var["in_panel_<panel>"]`` (and ``var["measured"]``), their entries in ``X`` and layers are
    placeholders, and a warning counts them.

    Parameters
    ----------
    data
        Tables by name of their panel; or a list of tables, named "0", "1", …; or one AnnData or SpatialData in which
        `panel_key` tells the panels apart.
    genes
        "intersection": genes that all panels measure, in the order of the first. "union": genes that any panel
        measures, in order of appearance. Or a list of gene names, kept in its order.
    panel_key
        Column of ``obs`` with the gene panel, for one table. Which genes a panel measures is read from the boolean
        columns ``in_panel_<panel>`` of ``var``; without them, a gene counts as measured where the panel has a count
        of it.
    table_key
        Table of a SpatialData.

    Returns
    -------
    A table for each panel by name, or one table for one table, with

    - ``var["in_panel_<panel>"]``, the same in all tables, so that :func:`anndata.concat` with ``merge="same"`` keeps
      them,
    - ``var["measured"]``, for the panel of the table (in all panels, where the table holds several),
    - ``uns["stfmkit"]["align_panels"]`` with ``report``: per panel the genes it had, kept, lost and does not measure,
      and the share of its counts that was lost.

    ``obs``, ``obsm``, ``obsp`` and ``uns`` are kept, ``varm`` and ``varp`` are not.

    Raises
    ------
    InputError
        The panels share no gene, or a panel measures none of the genes asked for.
    MissingKeyError
        A gene of the list is in no panel.

    Warns
    -----
    StfmkitWarning
        Genes of the result are not measured by some panel.

    Examples
    --------
    >>> import numpy as np, pandas as pd, anndata as ad
    >>> import stfmkit as sk
    >>> a = ad.AnnData(np.ones((2, 3), dtype="float32"), var=pd.DataFrame(index=["CD3D", "EPCAM", "VIM"]))
    >>> b = ad.AnnData(np.ones((2, 2), dtype="float32"), var=pd.DataFrame(index=["VIM", "EPCAM"]))
    >>> aligned = sk.pp.align_panels({"v1": a, "v2": b})
    >>> aligned["v2"].var_names.tolist()
    ['EPCAM', 'VIM']
    >>> aligned["v1"].uns["stfmkit"]["align_panels"]["report"]["counts_lost"].round(2).tolist()
    [0.33, 0.0]
    """
    if isinstance(genes, str):
        check_choice(genes, MODES, name="genes")
    if isinstance(data, Mapping | Sequence):
        return _align_many(_tables(data, panel_key), genes)
    if panel_key is None:
        raise InputError(
            "one table without panel_key.",
            allowed="panel_key with one table, or several tables",
            remedy="pass panel_key=..., or a dict of tables by panel.",
        )
    return _align_one(resolve_table(data, table_key=table_key), genes, panel_key)


def _tables(data: "Mapping[str, AnnData] | Sequence[AnnData]", panel_key: str | None) -> dict[str, AnnData]:
    tables = dict(data) if isinstance(data, Mapping) else {str(i): table for i, table in enumerate(data)}
    if panel_key is not None:
        raise InputError(
            f"panel_key={panel_key!r} with several tables.",
            allowed="panel_key with one table only",
            remedy="leave panel_key out; the names of the tables are the panels.",
        )
    if len(tables) < 2:
        raise InputError(
            f"{len(tables)} tables.", allowed="two or more", remedy="pass one AnnData with panel_key=, or more tables."
        )
    for name, table in tables.items():
        if not isinstance(table, AnnData):
            raise InputTypeError(
                f"panel {name!r} of type {type(table).__name__}.", allowed="AnnData", remedy="pass its table."
            )
        check_names(table)
    return {str(name): table for name, table in tables.items()}


def _align_many(tables: dict[str, AnnData], genes: str | Sequence[str]) -> dict[str, AnnData]:
    panels = {name: pd.Index(table.var_names.astype(str)) for name, table in tables.items()}
    target = _target(panels, genes)
    marks = pd.DataFrame({IN_PANEL + name: target.isin(panel) for name, panel in panels.items()}, index=target)
    counts = {name: _gene_totals(table) for name, table in tables.items()}
    report = _report(panels, target, counts)
    _warn_unmeasured(report)
    out = {}
    for name, table in tables.items():
        aligned = _reindexed(table, target)
        aligned.var[marks.columns] = marks
        aligned.var["measured"] = marks[IN_PANEL + name].to_numpy()
        _note(aligned, genes, report)
        out[name] = aligned
    return out


def _align_one(adata: AnnData, genes: str | Sequence[str], panel_key: str) -> AnnData:
    check_names(adata)
    groups = read_groups(adata, panel_key, role="panel_key")
    matrix = sparse.csr_array(read_matrix(adata), copy=True)
    matrix.eliminate_zeros()
    present = panel_presence(adata, groups, matrix, np.arange(adata.n_obs))
    names = adata.var_names.astype(str)
    panels = {str(panel): names[row] for panel, row in zip(groups.categories, present, strict=True)}
    target = _target(panels, genes)
    counts = {}
    for code, panel in enumerate(groups.categories):
        rows = np.flatnonzero(groups.codes == code)
        counts[str(panel)] = pd.Series(np.asarray(matrix[rows].sum(axis=0)).ravel(), index=names)
    report = _report(panels, target, counts)
    _warn_unmeasured(report)
    aligned = _reindexed(adata, target)
    for panel, measured in panels.items():
        aligned.var[IN_PANEL + panel] = target.isin(measured)
    aligned.var["measured"] = aligned.var[[IN_PANEL + p for p in panels]].to_numpy().all(axis=1)
    _note(aligned, genes, report)
    return aligned


def _target(panels: dict[str, pd.Index], genes: str | Sequence[str]) -> pd.Index:
    """Return the genes of the result, in order."""
    lists = list(panels.values())
    if not isinstance(genes, str):
        target = pd.Index([str(gene) for gene in genes])
        known = set().union(*map(set, lists))
        unknown = [gene for gene in target if gene not in known]
        if unknown:
            raise MissingKeyError(
                f"{len(unknown)} genes in no panel: {listed(unknown, most=5)}.",
                allowed="genes of the panels",
                remedy="check their spelling and the gene ids.",
            )
        if not target.is_unique:
            raise InputError("doubled names in genes.", allowed="each gene once", remedy="drop the doubles.")
    elif genes == "union":
        target = lists[0].append(lists[1:]).unique()
    else:
        target = lists[0]
        for other in lists[1:]:
            target = target[target.isin(other)]
    if len(target) == 0:
        raise InputError(
            f"panels {listed(panels)} that share no gene name{_hint(lists)}.",
            allowed="at least one gene in common",
            remedy="bring the names to one species and one kind of id (symbols or Ensembl), or pass genes='union'.",
        )
    for name, panel in panels.items():
        if not target.isin(panel).any():
            raise InputError(
                f"panel {name!r} measures none of the {len(target)} genes.",
                allowed="at least one measured gene in every panel",
                remedy="check its gene ids, or leave the panel out.",
            )
    return target


def _hint(lists: list[pd.Index]) -> str:
    folded = set.intersection(*({gene.casefold() for gene in genes} for genes in lists))
    return f" ({len(folded)} are shared if upper and lower case are the same)" if folded else ""


def _gene_totals(table: AnnData) -> pd.Series:
    return pd.Series(np.asarray(read_matrix(table).sum(axis=0)).ravel(), index=table.var_names.astype(str))


def _report(panels: dict[str, pd.Index], target: pd.Index, counts: dict[str, pd.Series]) -> pd.DataFrame:
    rows = {}
    for name, panel in panels.items():
        kept = panel[panel.isin(target)]
        total = float(counts[name].loc[panel].sum())
        lost = total - float(counts[name].loc[kept].sum())
        rows[name] = {
            "n_genes": len(panel),
            "n_kept": len(kept),
            "n_lost": len(panel) - len(kept),
            "n_unmeasured": len(target) - len(kept),
            "counts_lost": lost / total if total else 0.0,
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _reindexed(table: AnnData, target: pd.Index) -> AnnData:
    """Return the table on the genes of `target`; absent ones are empty columns."""
    source = target.get_indexer(table.var_names.astype(str))
    kept = np.flatnonzero(source >= 0)
    move = sparse.csr_array(
        (np.ones(len(kept), dtype=np.int8), (kept, source[kept])), shape=(table.n_vars, len(target))
    )

    def moved(matrix: sparse.csr_array | np.ndarray) -> sparse.csr_matrix | np.ndarray:
        if sparse.issparse(matrix):
            out = sparse.csr_matrix(matrix @ move.astype(matrix.dtype))
            out.sort_indices()
            return out
        dense = np.zeros((table.n_obs, len(target)), dtype=matrix.dtype)
        dense[:, source[kept]] = matrix[:, kept]
        return dense

    var = table.var.set_axis(table.var_names.astype(str))
    if not target.isin(var.index).all():  # so that gaps can be stored
        boolean = var.select_dtypes(bool).columns
        text = var.select_dtypes(object).columns
        var = var.astype({**dict.fromkeys(boolean, "boolean"), **dict.fromkeys(text, "category")})
    return AnnData(
        None if table_of(table).X is None else moved(read_matrix(table)),
        obs=table.obs.copy(),
        var=var.reindex(target),
        obsm={key: value.copy() for key, value in table.obsm.items()},
        obsp={key: value.copy() for key, value in table.obsp.items()},
        layers={key: moved(read_matrix(table, key)) for key in table.layers},
        uns=deepcopy(dict(table.uns)),
    )


def _warn_unmeasured(report: pd.DataFrame) -> None:
    gaps = report["n_unmeasured"][report["n_unmeasured"] > 0]
    if len(gaps):
        text = ", ".join(f"{panel}: {n}" for panel, n in gaps.items())
        warnings.warn(
            f"genes that a panel does not measure ({text}); their entries are placeholders, see var['measured'].",
            StfmkitWarning,
            stacklevel=4,
        )


def _note(aligned: AnnData, genes: str | Sequence[str], report: pd.DataFrame) -> None:
    mode = genes if isinstance(genes, str) else "list"
    write_params(
        aligned, STEP, {"genes": mode, "panels": list(report.index), "n_genes": aligned.n_vars, "report": report}
    )
