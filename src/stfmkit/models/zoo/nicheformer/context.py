"""The codes of Nicheformer's context: what a user has to choose."""

from collections.abc import Mapping

from stfmkit._core.arguments import listed, nearest
from stfmkit._core.errors import InputError

MODALITIES = {"dissociated": 3, "spatial": 4}
SPECIES = {"human": 5, "mouse": 6}
TECHNOLOGIES = {
    "merfish": 7,
    "cosmx": 8,
    "xenium": 9,
    "10x 5' v2": 10,
    "10x 3' v3": 11,
    "10x 3' v2": 12,
    "10x 5' v1": 13,
    "10x 3' v1": 14,
    "10x 3' transcription profiling": 15,
    "10x 5' transcription profiling": 16,
    "CITE-seq": 17,
    "Smart-seq v4": 18,
}
SPATIAL = ("merfish", "cosmx", "xenium")
_SPELLINGS = {"Homo sapiens": "human", "Mus musculus": "mouse"}


def chosen(value: str | None, known: Mapping[str, int], *, name: str) -> str:
    """Return the name of a choice that the user has to make; case does not matter."""
    names = {key.casefold(): key for key in known}
    names |= {key.casefold(): meant for key, meant in _SPELLINGS.items() if meant in known}
    if isinstance(value, str) and value.casefold() in names:
        return names[value.casefold()]
    raise InputError(
        f"{name}={value!r} for 'nicheformer', which has a token for it and no default.",
        allowed=listed(known, most=20),
        remedy=f"pass {name}=.{nearest(value, known) if isinstance(value, str) else ''}",
    )
