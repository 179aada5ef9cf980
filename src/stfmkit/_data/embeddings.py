"""Read embeddings from ``obsm``, checked, with what stfmkit recorded of them and the space that they lie in."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from stfmkit._core import slots
from stfmkit._core.arguments import listed, nearest
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
from stfmkit._core.identity import exact
from stfmkit._core.matrices import sound_dense
from stfmkit._data.write_slots import read_record

_LARGEST = 1e150
"""Magnitude whose square is still a number."""


def read_embedding(adata: AnnData, key: str, *, role: str = "embedding_key") -> np.ndarray:
    """Return ``obsm[key]`` as a dense array (n_obs, d) of finite numbers, in the precision that it is stored in.

    Parameters
    ----------
    adata
        The table.
    key
        Key in ``obsm``.
    role
        Name of the argument in the error.

    Raises
    ------
    MissingKeyError
        ``obsm`` has no such key.
    InputTypeError, InputError
        As for `check_embedding`.
    """
    if key not in adata.obsm:
        raise MissingKeyError(
            f"{role}={key!r}, but there is no obsm[{key!r}].",
            allowed=listed(adata.obsm),
            remedy="embed first, such as sk.tl.embed(adata, 'hvg_pca')."
            f"{nearest(str(key), [str(k) for k in adata.obsm])}",
        )
    return check_embedding(adata.obsm[key], adata.obs_names, where=f"obsm[{key!r}]")


def check_embedding(values: Any, obs_names: pd.Index, *, where: str) -> np.ndarray:
    """Return the embedding of some observations as a dense array (n_obs, d), or say what is wrong with it.

    Parameters
    ----------
    values
        An array, a table or a sparse matrix.
    obs_names
        Names of the observations, in the order of the rows.
    where
        What it is called in the error, such as "obsm['X_pca']".

    Raises
    ------
    InputTypeError
        It does not hold numbers.
    InputError
        Its shape is not (n_obs, d), or values are NaN or infinite.
    """
    dense = sound_dense(values, name=where)
    if dense.dtype.kind not in "biuf":
        raise InputTypeError(
            f"{where} of dtype {dense.dtype}.",
            allowed="a matrix of numbers (n_obs, d)",
            remedy="store one row of numbers per observation.",
        )
    if dense.ndim != 2 or dense.shape[0] != len(obs_names) or dense.shape[1] == 0:
        raise InputError(
            f"{where} of shape {dense.shape}.",
            allowed=f"numbers of shape ({len(obs_names)}, d)",
            remedy="pass one row for every observation, in the order of obs_names.",
        )
    bad = ~np.isfinite(dense).all(axis=1)
    if bad.any():
        raise InputError(
            f"{int(bad.sum())} observations with NaN or infinite values in {where}: {listed(obs_names[bad], most=3)}.",
            allowed="finite values for every observation",
            remedy="drop these observations, or compute their values again.",
        )
    if dense.size and dense.dtype.kind == "f" and max(float(dense.max()), -float(dense.min())) > _LARGEST:
        raise InputError(
            f"values as large as {max(float(dense.max()), -float(dense.min())):.3g} in {where}.",
            allowed=f"values up to {_LARGEST:g}, whose squares are numbers",
            remedy="find out why the values diverge, or divide them by their scale.",
        )
    return dense


def embedding_record(adata: AnnData, key: str) -> dict[str, Any]:
    """Return what `sk.tl.embed` recorded of ``obsm[key]``; empty for an embedding that was computed elsewhere."""
    return read_record(adata, slots.EMBED, key) or {}


_WITHOUT_EFFECT = {
    "weights",  # its files are compared by their checksums
    "gene_key",
    "gene_table",
    "batch_size",
    "device",
    "on_empty",
    "sample_key",
    "species_key",
}
"""Options that name a place in a table or on a machine, and do not move the space of a model that fits nothing."""


def other_space(first: Mapping[str, Any], second: Mapping[str, Any]) -> str:
    """Return why the vectors of two records cannot be compared, or nothing.

    A model that fits has one space for every fit, so that both must come from one call. Any other model has one space
    for its weights and options.
    """
    if first.get("model") != second.get("model"):
        return f"one is of the model {first.get('model')!r}, the other of {second.get('model')!r}"
    if int(first.get("n_obs_fitted", 0)) or int(second.get("n_obs_fitted", 0)):
        return "" if exact(first) == exact(second) else f"{first.get('model')!r} was fitted twice, on different data"
    if exact(_weights(first)) != exact(_weights(second)):
        return f"they are of different weights of {first.get('model')!r}"
    left, right = (_options(record) for record in (first, second))
    names = sorted(name for name in {*left, *right} if exact(left.get(name)) != exact(right.get(name)))
    if names:
        differences = ", ".join(f"{name}={left.get(name)!r} and {right.get(name)!r}" for name in names)
        return f"they were made with different options ({differences})"
    return ""


def _weights(record: Mapping[str, Any]) -> object:
    """Return the checksums of the weights, or the seed of a model that draws and has none."""
    files = dict(record.get("provenance", {})).get("sha256")
    return record.get("rng") if files is None else files


def _options(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in dict(record.get("options", {})).items() if name not in _WITHOUT_EFFECT}
