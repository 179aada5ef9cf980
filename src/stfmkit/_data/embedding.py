"""Read an embedding out of a table, and tell whether two tables hold embeddings of one space."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from anndata import AnnData

from stfmkit._core import slots
from stfmkit._core.arguments import listed, nearest
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit._core.identity import exact

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


def read_embedding(adata: AnnData, key: str) -> np.ndarray:
    """Return ``obsm[key]`` (n_obs, d) as float64, all finite.

    Raises
    ------
    MissingKeyError
        ``obsm`` has no such key.
    InputError
        It is not a table of numbers, or values are not finite.
    """
    if key not in adata.obsm:
        raise MissingKeyError(
            f"no obsm[{key!r}].",
            allowed=f"one of {listed(adata.obsm)}",
            remedy=f"make it with sk.tl.embed, or pass the key of another.{nearest(str(key), list(adata.obsm))}",
        )
    stored = adata.obsm[key]
    values = np.asarray(stored.toarray() if hasattr(stored, "toarray") else stored)
    if values.ndim != 2 or values.shape[1] == 0 or values.dtype.kind not in "fiu":
        raise InputError(
            f"obsm[{key!r}] of shape {values.shape} and dtype {values.dtype}.",
            allowed="numbers of shape (n_obs, d)",
            remedy="store one vector for every observation.",
        )
    values = values.astype(np.float64)
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        raise InputError(
            f"{int(bad.sum())} observations with NaN or infinite values in obsm[{key!r}]: "
            f"{listed(adata.obs_names[bad], most=3)}.",
            allowed="finite values",
            remedy="drop these observations, or embed them again.",
        )
    return values


def embedding_record(adata: AnnData, key: str) -> Mapping[str, Any] | None:
    """Return what stfmkit recorded of ``obsm[key]``, None where it did not make it."""
    record = adata.uns.get(slots.ROOT, {}).get(slots.EMBEDDINGS, {}).get(key)
    return None if record is None else dict(record)


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
    differing = sorted(name for name in {*left, *right} if exact(left.get(name)) != exact(right.get(name)))
    if differing:
        said = ", ".join(f"{name}={left.get(name)!r} and {right.get(name)!r}" for name in differing)
        return f"they were made with different options ({said})"
    return ""


def _weights(record: Mapping[str, Any]) -> object:
    """Return the checksums of the weights, or the seed of a model that draws and has none."""
    files = dict(record.get("provenance", {})).get("sha256")
    return record.get("rng") if files is None else files


def _options(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in dict(record.get("options", {})).items() if name not in _WITHOUT_EFFECT}
