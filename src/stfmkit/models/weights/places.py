"""From what a caller says of weights to a folder on this machine."""

import os
from pathlib import Path

from stfmkit._core.errors import InputError, InputTypeError, MissingFileError
from stfmkit.models.card import ModelCard
from stfmkit.models.weights.download import from_hub, from_urls

RANDOM = "random"
"""What ``weights=`` says for an untrained network."""


def as_place(weights: object) -> str | None:
    """Return what ``weights=`` says as text.

    Raises
    ------
    InputTypeError
        It is neither text nor a path.
    InputError
        It is empty.
    """
    allowed = f"a path, 'owner/repository' of the hub, {RANDOM!r}, or None"
    if weights is None:
        return None
    if not isinstance(weights, (str, os.PathLike)):
        raise InputTypeError(
            f"weights of type {type(weights).__name__}.",
            allowed=allowed,
            remedy="pass the folder with the published files.",
        )
    text = os.fspath(weights)
    if not text:
        raise InputError(
            "weights='', which names no place.", allowed=allowed, remedy="leave weights out for the published ones."
        )
    return str(text)


def resolve_weights(card: ModelCard, weights: str | os.PathLike[str] | None) -> tuple[Path, str]:
    """Return the folder or file with the weights of a model, and the revision, if there is one.

    Parameters
    ----------
    card
        Card of the model.
    weights
        None for the published place in the revision of the card, a local folder or file, or ``owner/repository`` of
        the hub, ``@revision`` or the newest.

    Raises
    ------
    MissingFileError
        There is no such folder, or the published place cannot be reached; the text says what to do.
    InputError
        The model has no published weights, or a file does not have the published checksum.
    """
    if weights is None:
        return _published(card)
    path = Path(weights).expanduser()
    if path.exists():
        real = path.resolve()
        if path.is_file() and real.name != path.name:  # a link into a cache, whose files have no names
            real = path.parent.resolve() / path.name
        return real, ""
    text = os.fspath(weights)
    if isinstance(weights, str) and _looks_like_hub(text):
        place, _, revision = text.partition("@")
        return from_hub(card, place=place, revision=revision or None)
    raise MissingFileError(
        f"weights={text!r}, and there is no such file or folder.",
        allowed=f"a folder in the published layout, 'owner/repository' of the hub, {RANDOM!r}, or None",
        remedy="correct the path." + ("" if card.weights is None else f" The published place is {card.weights.place}."),
    )


def _looks_like_hub(text: str) -> bool:
    owner, slash, name = text.partition("@")[0].partition("/")
    return bool(slash and owner and name) and "/" not in name and not owner.startswith((".", "~", "/"))


def _published(card: ModelCard) -> tuple[Path, str]:
    place = card.weights
    if place is None:
        raise InputError(
            f"the model {card.name!r} has no published weights.",
            allowed=f"a local folder, or {RANDOM!r}",
            remedy="pass weights=.",
        )
    if place.kind == "hub":
        return from_hub(card, place=place.place, revision=place.revision)
    if place.kind == "url" and all(file.url for file in place.files):
        return from_urls(card)
    wanted = ", ".join(file.path for file in place.files)
    raise MissingFileError(
        f"the weights of {card.name!r} have no stable direct link.",
        allowed=f"a local folder with {wanted}",
        remedy=f"download them from {place.place} and pass weights='FOLDER', or weights={RANDOM!r} for an untrained "
        "one." + (f" {place.note}" if place.note else ""),
    )
