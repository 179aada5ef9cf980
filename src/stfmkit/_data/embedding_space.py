"""Tell whether two embeddings are of one space, from what stfmkit recorded of them."""

from collections.abc import Mapping
from typing import Any

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
