"""Every slot name, in one place."""

from typing import Literal, TypeAlias

Slot: TypeAlias = Literal["obs", "var", "obsm", "varm", "obsp", "varp", "layers", "uns"]
"""The slots of an AnnData that verbs write into."""

ROOT = "stfmkit"
"""Our corner of ``uns``."""

SPATIAL = "spatial"
"""Default key of the coordinates in ``obsm``."""

MICRONS = "microns_per_unit"
"""Key in ``uns["stfmkit"]`` of the length of one coordinate unit in µm."""

RESULTS = "results"
"""Key in ``uns["stfmkit"][verb]`` of the provenance of its results, by key."""

WROTE = "wrote"
"""Key in ``uns["stfmkit"][verb]`` of the keys that the verb has written, by slot."""

HELD = "held"
"""Key in ``uns["stfmkit"][verb]`` of the result that a key belongs to and the hash of what was written, by slot."""

EMBED = "embed"
"""The verb whose results are entries of ``obsm``."""

EMBED_GENES = "embed_genes"
"""The verb whose results are entries of ``varm``: `sk.tl.embed` with ``output="genes"``."""


def embedding(model: str) -> str:
    """Key in ``obsm`` of the embedding of a model."""
    return f"X_{model}"


def spatial_graph(name: str | None = None) -> tuple[str, str]:
    """Keys in ``obsp`` of the connectivities and distances of a spatial graph."""
    prefix = "spatial" if name is None else name
    return f"{prefix}_connectivities", f"{prefix}_distances"
