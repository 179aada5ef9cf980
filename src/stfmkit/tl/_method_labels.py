"""Write the labels that a method gives, with their probabilities and a record of the method."""

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError
from stfmkit._data.write_slots import check_free, package_versions, write_record
from stfmkit.methods.contract import Method, Output

if TYPE_CHECKING:
    from stfmkit._core.slots import Slot


def probability_key(key: str) -> str:
    """Return the key of the probabilities beside labels."""
    return f"{key}_probability"


def check_label_slots(adata: AnnData, key: str, *, step: str) -> None:
    """Refuse to overwrite a column or table that `step` did not write."""
    check_free(adata, "obs", [key, probability_key(key)], step=step, result=key)
    check_free(adata, "obsm", [probability_key(key)], step=step, result=key)


def check_storable(labels: pd.Index, *, role: str) -> None:
    """Refuse labels that h5ad and zarr cannot store as names of columns."""
    with_slash = [label for label in labels if "/" in label]
    if with_slash:
        raise InputError(
            f"names with '/' in {role}: {listed(with_slash, most=3)}.",
            allowed="names without '/', because they name columns that h5ad and zarr store",
            remedy="rename them, such as by .astype(str).str.replace('/', '-'), or pass copy=True.",
        )


def write_labels(adata: AnnData, key: str, output: Output, record: dict[str, Any], *, step: str) -> None:
    """Write labels into ``obs``, their probabilities beside them into ``obs`` and ``obsm``, and the record."""
    adata.obs[key] = output.result.cat.rename_categories(str)
    beside = probability_key(key)
    wrote: dict[Slot, list[str]] = {"obs": [key]}
    for slot in (adata.obs, adata.obsm):  # of an earlier result under the same key
        if beside in slot:
            del slot[beside]
    if output.probabilities is not None:
        adata.obs[beside] = output.probabilities.max(axis=1).astype(np.float32)
        adata.obsm[beside] = output.probabilities.astype(np.float32)
        wrote = {"obs": [key, beside], "obsm": [beside]}
    write_record(adata, step, key, record, wrote=wrote)


def method_record(method: Method, output: Output, *, seed: int, started: float) -> dict[str, Any]:
    """Return what was run and what it said, ready for ``uns``."""
    card = method.card
    return {
        "method": card.full_name,
        "licence": card.licence,
        "commercial": card.commercial,
        "source": card.source,
        "transductive": card.transductive,
        "options": {name: _storable(value) for name, value in method.options.items()},
        "output": dict(output.facts),
        "rng": seed,
        "seconds": time.perf_counter() - started,
        "versions": package_versions("anndata", "numpy", "scikit-learn"),
    }


def _storable(value: object) -> object:
    return value if value is None or isinstance(value, (str, bool, int, float)) else repr(value)
