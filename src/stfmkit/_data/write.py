"""Write results into slots, with their provenance."""

import logging
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

import numpy as np
from anndata import AnnData

from stfmkit._core import slots
from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError

_log = logging.getLogger("stfmkit")


def check_free_embedding(adata: AnnData, key: str, *, output: str = "obs") -> None:
    """Refuse to overwrite an entry of ``obsm`` (``varm`` for genes) that stfmkit did not write."""
    slot = _SLOT[output]
    ours = adata.uns.get(slots.ROOT, {}).get(_record(output), {})
    if key in getattr(adata, slot) and key not in ours:
        raise InputError(
            f"{slot}[{key!r}] exists and was not written by stfmkit.",
            allowed="a free key, or one that stfmkit wrote before",
            remedy="pass key_added= with another name, or delete the old entry.",
        )


_SLOT = {"obs": "obsm", "genes": "varm"}


def _record(output: str) -> str:
    return slots.EMBEDDINGS if output == "obs" else f"gene_{slots.EMBEDDINGS}"


def check_free(adata: AnnData, slot: str, keys: Iterable[str], *, step: str) -> None:
    """Refuse to overwrite entries of a slot ("var", "layers", "obsp") that `step` of stfmkit did not write.

    What a step wrote is listed in ``uns["stfmkit"][step]["wrote"]``.
    """
    ours = set(map(str, adata.uns.get(slots.ROOT, {}).get(step, {}).get("wrote", ())))
    taken = [key for key in keys if key in getattr(adata, slot) and key not in ours]
    if taken:
        raise InputError(
            f"{slot} already has {listed(taken)}, not written by {step}.",
            allowed="free keys, or those that the same step wrote before",
            remedy="rename or delete the old entries, or pass key_added= where there is one.",
        )


def write_embedding(
    adata: AnnData, key: str, values: np.ndarray, provenance: dict[str, Any], *, output: str = "obs"
) -> None:
    """Write ``obsm[key]`` (n_obs, d) as float32 and its provenance into ``uns["stfmkit"]["embeddings"][key]``.

    With ``output="genes"`` it is ``varm[key]`` (n_vars, d) and ``uns["stfmkit"]["gene_embeddings"][key]``.
    """
    getattr(adata, _SLOT[output])[key] = np.ascontiguousarray(values, dtype=np.float32)
    record = _record(output)
    root = dict(adata.uns.get(slots.ROOT, {}))
    root[record] = {**root.get(record, {}), key: provenance}
    adata.uns[slots.ROOT] = root
    _log.info("added %s[%r] and uns['stfmkit'][%r][%r]", _SLOT[output], key, record, key)


def write_params(adata: AnnData, name: str, params: dict[str, Any]) -> None:
    """Write the parameters of a step into ``uns["stfmkit"][name]``, beside what is there."""
    root = dict(adata.uns.get(slots.ROOT, {}))
    root[name] = params
    adata.uns[slots.ROOT] = root
    _log.info("added uns['stfmkit'][%r]", name)


def write_result(adata: AnnData, step: str, key: str, params: dict[str, Any], *, wrote: Iterable[str]) -> None:
    """Write the parameters of one of several results of a step into ``uns["stfmkit"][step]["results"][key]``.

    Beside it, ``"wrote"`` lists the slots that the step owns, for :func:`check_free`.
    """
    before = adata.uns.get(slots.ROOT, {}).get(step, {})
    owned = sorted({*map(str, before.get("wrote", ())), *wrote})
    write_params(adata, step, {"wrote": owned, "results": {**before.get("results", {}), key: params}})


def package_versions(*names: str) -> dict[str, str]:
    """Return the versions of stfmkit and of the packages named, for provenance."""
    return {name: version(name) for name in ("stfmkit", *names)}
