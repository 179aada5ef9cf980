"""The published files of stFormer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from stfmkit._core.errors import InputError
from stfmkit.models.nets.autobin import GENE_LIST

_HEADS, _ALPHA = 12, 1.0


def read_sizes(state: Mapping[str, Tensor], plain: Mapping[str, Any], *, n_genes: int, what: str) -> dict[str, Any]:
    """Return the sizes of a saved module, from its attributes and the shapes of its tensors."""
    layers = {name.split(".layers.")[1].split(".")[0] for name in state if ".layers." in name}
    tables = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    attributes = {name.removeprefix("module."): value for name, value in plain.items()}
    first = tables.get("transformer_decoder.layers.0.linear1.weight")
    rows, bins = tables.get("scfoundation_pos_emb2.weight"), tables.get("scfoundation_token_emb2.emb.weight")
    if first is None or rows is None or bins is None or first.ndim != 2 or rows.ndim != 2 or bins.ndim != 2:
        raise InputError(
            f"{what} with the tensors {', '.join(sorted(tables)[:4])} … is not a checkpoint of stFormer.",
            allowed="the saved module, with transformer_decoder and the tables of scFoundation",
            remedy="pass model_4.1M.ckpt.",
        )
    style = attributes.get("cell_emb_style", "max-pool")
    if attributes.get("pre_norm") or style != "max-pool":
        raise InputError(
            f"{what} with pre_norm={attributes.get('pre_norm')} and cell_emb_style={style!r}.",
            allowed="layers that are normalised after, and the largest state, as published",
            remedy="pass the published checkpoint.",
        )
    if len(rows) != n_genes + 3:
        raise InputError(
            f"{what} for {len(rows) - 3} genes, and {n_genes} genes in {GENE_LIST}.",
            allowed="the list of genes that belongs to the checkpoint",
            remedy="pass the folder of the publication.",
        )
    return {
        "width": rows.shape[1],
        "heads": int(attributes.get("nhead", _HEADS)),
        "hidden": len(first),
        "n_layers": len(layers),
        "n_bins": len(bins),
        "alpha": float(attributes.get("scfoundation_token_emb2.bin_alpha", _ALPHA)),
        "n_tokens": n_genes,
    }


def read_ligands(path: Path) -> pd.Index:
    """Return the genes that at least two databases of the published table call a ligand."""
    try:
        table = pd.read_csv(path, index_col=0).astype(float)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, ValueError):
        raise InputError(
            f"{path.name} is not a table of ligands.",
            allowed="genes in the first column, and one column of 0 and 1 for every database",
            remedy="pass the published ligand_database.csv.",
        ) from None
    return pd.Index(table.index[table.sum(axis=1) > 1].astype(str))
