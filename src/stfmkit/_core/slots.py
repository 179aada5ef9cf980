"""Every slot name, in one place."""

ROOT = "stfmkit"
"""Our corner of ``uns``."""

SPATIAL = "spatial"
"""Default key of the coordinates in ``obsm``."""

MICRONS = "microns_per_unit"
"""Key in ``uns["stfmkit"]`` of the length of one coordinate unit in µm."""

EMBEDDINGS = "embeddings"
"""Key in ``uns["stfmkit"]`` of the provenance of embeddings, by ``obsm`` key."""


def embedding(model: str) -> str:
    """Key in ``obsm`` of the embedding of a model."""
    return f"X_{model}"


def spatial_graph(name: str | None = None) -> tuple[str, str]:
    """Keys in ``obsp`` of the connectivities and distances of a spatial graph."""
    prefix = "spatial" if name is None else name
    return f"{prefix}_connectivities", f"{prefix}_distances"
