"""Write results into slots with their provenance, never over what stfmkit did not write.

A verb records under its own name only: ``uns["stfmkit"][verb]`` holds ``"results"``, one record for every key that the
verb has written, ``"wrote"``, the keys that it owns in every slot, and ``"held"``, the result that each of them belongs
to and hashes of what was written: what was edited since is not overwritten. What a caller passes as ``key_added`` is a
key inside ``"results"`` and can never reach the record of another verb.
"""

import logging
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
from anndata import AnnData

from stfmkit._core import slots
from stfmkit._core.arguments import check_key, listed
from stfmkit._core.errors import InputError
from stfmkit._data.slot_content import content_of, is_unchanged

_log = logging.getLogger("stfmkit")


def check_free(adata: AnnData, slot: slots.Slot, keys: Iterable[str], *, step: str, result: str | None = None) -> None:
    """Refuse to overwrite entries of a slot that the verb `step` of stfmkit did not write, or that changed since.

    Parameters
    ----------
    adata
        The table.
    slot
        "obs", "var", "obsm", "varm", "obsp", "varp", "layers" or "uns".
    keys
        What would be written there.
    step
        Name of the verb, such as "niches".
    result
        Name of the result that would be written, such as ``key_added``; None where the verb has one result only.

    Raises
    ------
    InputError
        An entry exists that this verb did not write, that is no longer what it wrote, or that belongs to another
        result; or ``uns["stfmkit"]`` would be replaced.
    """
    names = list(keys)
    if slot == "uns" and slots.ROOT in names:
        raise InputError(
            f"the key {slots.ROOT!r} in uns, where stfmkit keeps its records.",
            allowed=f"any key but {slots.ROOT!r}",
            remedy="pass another key_added.",
        )
    ours = _owned(adata, step, slot)
    taken = [key for key in names if key in getattr(adata, slot) and key not in ours]
    if taken:
        raise InputError(
            f"{slot} already has {listed(taken)}, not written by {step}.",
            allowed="free keys, or those that the same step wrote before",
            remedy="rename or delete the old entries, or pass key_added= where there is one.",
        )
    held = _mapping(_mapping(_verb_entry(adata, step).get(slots.HELD)).get(slot))
    for key in [key for key in names if key in getattr(adata, slot)]:
        _check_unchanged(adata, slot, key, _mapping(held.get(key)), step=step, result=result)


def _check_unchanged(
    adata: AnnData, slot: slots.Slot, key: str, held: Mapping[str, Any], *, step: str, result: str | None
) -> None:
    """Refuse an entry of the verb that belongs to another result, or that is no longer what was written."""
    owner = str(held.get("result", ""))
    if result is not None and owner not in ("", result):
        raise InputError(
            f"{slot}[{key!r}], which belongs to the result {owner!r} of {step}.",
            allowed="keys that no other result uses",
            remedy="pass another key_added.",
        )
    if not is_unchanged(adata, slot, key, held.get("content", "")):
        raise InputError(
            f"{slot}[{key!r}], which {step} wrote and which is no longer what it wrote: it was edited since.",
            allowed="entries that are as they were written, or free keys",
            remedy=f"pass another key_added; or keep it under another name and del adata.{slot}[{key!r}].",
        )


def write_record(
    adata: AnnData, verb: str, key: str, record: Mapping[str, Any], *, wrote: Mapping[slots.Slot, Iterable[str]]
) -> None:
    """Write the provenance of one result into ``uns["stfmkit"][verb]["results"][key]``.

    Values that were not given stay None. Records of other results of the verb, and of other verbs, are kept.

    Parameters
    ----------
    adata
        The table.
    verb
        Name of the verb that calls, never what a caller passed.
    key
        Name of the result, such as ``key_added``.
    record
        What reproduces the result: keys that were read, options, seed, versions.
    wrote
        The keys that the verb has written, by slot; only these it may overwrite later.
    """
    check_key(key)
    before = _verb_entry(adata, verb)
    owned = {slot: set(map(str, keys)) for slot, keys in _mapping(before.get(slots.WROTE)).items()}
    held = {slot: dict(_mapping(keys)) for slot, keys in _mapping(before.get(slots.HELD)).items()}
    for slot, keys in wrote.items():
        names = list(map(str, keys))
        owned.setdefault(slot, set()).update(names)
        for name in names:
            held.setdefault(slot, {})[name] = {"result": key, "content": content_of(adata, slot, name)}
    _write_entry(
        adata,
        verb,
        {
            slots.WROTE: {slot: sorted(keys) for slot, keys in owned.items() if keys},
            slots.HELD: {slot: keys for slot, keys in held.items() if keys},
            slots.RESULTS: {**_mapping(before.get(slots.RESULTS)), key: dict(record)},
        },
    )


def read_record(adata: AnnData, verb: str, key: str) -> dict[str, Any] | None:
    """Return the provenance that `write_record` wrote, or None where there is none."""
    record = _mapping(_verb_entry(adata, verb).get(slots.RESULTS)).get(key)
    return None if record is None else dict(_mapping(record))


def check_free_embedding(adata: AnnData, key: str, *, output: str = "obs") -> None:
    """Refuse to overwrite an entry of ``obsm`` (``varm`` for genes) that `sk.tl.embed` did not write."""
    slot, verb = _EMBEDDING[output]
    check_free(adata, slot, [key], step=verb, result=key)


def write_embedding(
    adata: AnnData, key: str, values: np.ndarray, provenance: Mapping[str, Any], *, output: str = "obs"
) -> None:
    """Write ``obsm[key]`` (n_obs, d) as float32 and its provenance into ``uns["stfmkit"]["embed"]["results"][key]``.

    With ``output="genes"`` it is ``varm[key]`` (n_vars, d) and ``uns["stfmkit"]["embed_genes"]["results"][key]``.
    """
    slot, verb = _EMBEDDING[output]
    getattr(adata, slot)[key] = np.ascontiguousarray(values, dtype=np.float32)
    write_record(adata, verb, key, provenance, wrote={slot: [key]})


def records(adata: AnnData) -> Mapping[str, Any]:
    """Return ``uns["stfmkit"]``, empty where there is none.

    Raises
    ------
    InputError
        Somebody else has put something there that is no dictionary.
    """
    return _mapping(adata.uns.get(slots.ROOT))


def write_params(adata: AnnData, name: str, params: dict[str, Any]) -> None:
    """Write the parameters of a step that has one result into ``uns["stfmkit"][name]``, beside what is there."""
    _write_entry(adata, name, params)


def package_versions(*names: str) -> dict[str, str]:
    """Return the versions of stfmkit and of the packages named, for provenance."""
    return {name: version(name) for name in ("stfmkit", *names)}


_EMBEDDING: dict[str, tuple[slots.Slot, str]] = {
    "obs": ("obsm", slots.EMBED),
    "genes": ("varm", slots.EMBED_GENES),
}


def _verb_entry(adata: AnnData, verb: str) -> Mapping[str, Any]:
    return _mapping(records(adata).get(verb))


def _mapping(value: Any) -> Mapping[str, Any]:
    """Return a mapping as it is, and an empty one for nothing; whatever else is there was not written by stfmkit."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InputError(
            f"uns[{slots.ROOT!r}], of which {value!r} is a part.",
            allowed="the records that stfmkit keeps there",
            remedy=f"keep it under another key, and del adata.uns[{slots.ROOT!r}].",
        )
    return value


def _owned(adata: AnnData, verb: str, slot: str) -> set[str]:
    """Return the keys of a slot that a verb has written."""
    return set(map(str, _mapping(_verb_entry(adata, verb).get(slots.WROTE)).get(slot, ())))


def _write_entry(adata: AnnData, verb: str, entry: dict[str, Any]) -> None:
    root = dict(records(adata))
    root[verb] = entry
    adata.uns[slots.ROOT] = root
    _log.info("added uns[%r][%r]", slots.ROOT, verb)
