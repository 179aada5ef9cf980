"""The files that Nicheformer is published as: a checkpoint of Lightning or of the hub, gene order and means."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from anndata.io import read_elem
from torch import Tensor

from stfmkit._core.errors import InputError
from stfmkit._data.declared_sizes import check_h5
from stfmkit.models.weights.tables import read_mapping
from stfmkit.models.weights.tensors import read_checkpoint

FOLDERS = ("model_means", "data/model_means")
_SIZES = ("nheads", "context_length", "n_tokens", "dim_model", "dim_feedforward", "nlayers")
_REQUIRED = "nheads"


def read_network(path: Path, config_path: Path | None) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the sizes and the tensors of a Lightning checkpoint, or of a checkpoint with ``config.json`` beside it."""
    held = read_checkpoint(path, mapped=True)  # states of an optimiser may lie beside the weights
    if "state_dict" in held:
        state, stated = held["state_dict"], held.get("hyper_parameters", {})
    else:
        state, stated = held, {} if config_path is None else read_mapping(config_path)
    state = {str(name): value for name, value in state.items() if isinstance(value, Tensor)}
    sizes = {name: stated[name] for name in _SIZES if name in stated}
    if _REQUIRED not in sizes:
        raise InputError(
            f"{path.name} without its settings ({', '.join(map(str, list(held)[:4]))}).",
            allowed="a checkpoint of Lightning with hyper_parameters, or a checkpoint with config.json beside it",
            remedy="pass the published file of Nicheformer, not the tensors alone.",
        )
    return sizes | _measured(state), state


def _measured(state: Mapping[str, Tensor]) -> dict[str, int]:
    """Return the sizes that the tensors themselves tell."""
    sizes: dict[str, int] = {}
    for name, tensor in state.items():
        plain = name.removeprefix("nicheformer.")
        if plain == "embeddings.weight":
            sizes |= {"n_tokens": tensor.shape[0] - 5, "dim_model": tensor.shape[1]}
        elif plain == "positional_embedding.weight":
            sizes["context_length"] = tensor.shape[0]
    return sizes


def read_gene_order(path: Path) -> pd.Index:
    """Return the names of var of an h5ad file; nothing else of it is read."""
    try:
        check_h5(path)
        with h5py.File(path) as file:
            return pd.Index(read_elem(file["var"]).index.astype(str))
    except (OSError, KeyError) as error:
        raise InputError(
            f"{path.name} ({path.stat().st_size:,} bytes) is not an h5ad file: {error}",
            allowed="model.h5ad, whose var is the gene order",
            remedy="download the file again.",
        ) from None


def read_means(path: Path, *, n_genes: int) -> np.ndarray:
    """Return the mean of every gene (n_genes,) as published, NaN where a technology does not measure it."""
    try:
        means = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"{path.name} is not an array: {error}", allowed="the published means", remedy="download the file again."
        ) from None
    if means.shape != (n_genes,):
        raise InputError(
            f"{path.name} of shape {means.shape}, and model.h5ad has {n_genes} genes.",
            allowed=f"({n_genes},), one mean per gene",
            remedy="take the means and model.h5ad from the same release.",
        )
    return np.asarray(means, dtype=np.float64)


def rounded_means(means: np.ndarray) -> np.ndarray:
    """Return means as the notebooks prepare them: whole numbers, halves upwards, missing ones and zeros as 1."""
    known = np.nan_to_num(means)
    whole = np.where(known % 1 >= 0.5, np.ceil(known), np.floor(known))
    return np.where(whole == 0, 1.0, whole)
