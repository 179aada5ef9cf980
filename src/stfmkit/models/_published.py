"""Where the weights of a model are published; data only."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Kind: TypeAlias = Literal["hub", "url", "manual"]

KINDS: tuple[str, ...] = get_args(Kind)

AS_CODE = "none of their own, taken as that of the repository"
"""What ``Weights.licence`` says of weights that a repository links to without a word on their licence."""


@dataclass(frozen=True)
class WeightFile:
    """One published file.

    Attributes
    ----------
    path
        Name in the published folder.
    sha256
        Checksum, where its authors or we have one; of a place of the hub, that of its `revision`.
    url
        Direct link, for ``kind="url"``.
    """

    path: str
    sha256: str | None = None
    url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The place of the weights of one model.

    Attributes
    ----------
    kind
        "hub" (Hugging Face), "url" (direct links), or "manual": the place has no stable direct link, so the folder
        is downloaded by hand and given as ``weights=``.
    place
        ``owner/repository`` of the hub, or the landing page.
    revision
        Commit or tag of the hub that is fetched, so that a later change there changes nothing here; None for the
        newest. The commit that was loaded is recorded.
    folder
        Folder of this model inside the place, where it holds several.
    files
        The files that are needed.
    licence
        Licence of the weights, where it is not simply the card's, or that it was not verified.
    gated
        Whether the place asks for an account and an agreement.
    note
        What a user has to know.
    """

    kind: Kind
    place: str
    revision: str | None = None
    folder: str | None = None
    files: tuple[WeightFile, ...] = ()
    licence: str = ""
    gated: bool = False
    note: str = ""
