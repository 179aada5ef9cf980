"""Published weights, fetched once, with what to do where they cannot be had."""

import os
from pathlib import Path

from stfmkit._core.errors import InputError, MissingFileError
from stfmkit._core.files import sha256_of
from stfmkit._core.optional import require
from stfmkit.models.card import ModelCard

_OFFLINE = ("STFMKIT_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
_TRUE = {"1", "true", "yes", "on"}


def offline() -> bool:
    """Whether the environment asks for no network, in the words of stfmkit or of the hub."""
    return any(os.environ.get(name, "").lower() in _TRUE for name in _OFFLINE)


def from_hub(card: ModelCard, *, place: str, revision: str | None) -> tuple[Path, str]:
    """Return the folder of a model of the hub and its commit; files that are in the cache are not fetched again.

    The checksums of a card are of its revision: another one that a caller names is not held against them.
    """
    hub = require("huggingface_hub", extra="torch")
    published = card.weights if card.weights is not None and card.weights.place == place else None
    inside = "" if published is None or published.folder is None else f"{published.folder}/"
    wanted = None if published is None else [f"{inside}{file.path}" for file in published.files] or [f"{inside}*"]
    try:
        root = hub.snapshot_download(place, revision=revision, allow_patterns=wanted, local_files_only=offline())
    except (hub.errors.GatedRepoError, hub.errors.RepositoryNotFoundError, hub.errors.RevisionNotFoundError) as error:
        raise _refused(card, place, error) from None
    except (hub.errors.HfHubHTTPError, hub.errors.LocalEntryNotFoundError, OSError) as error:
        cached = f", or the revision that is in the cache: weights='{place}@REVISION'" if offline() else ""
        raise _unreachable(card, place, error, cached=cached) from None
    folder = Path(root) / inside
    if published is not None:
        for file in published.files:
            _check(card, folder / file.path, file.sha256 if revision == published.revision else None)
    return folder, Path(root).name


def from_urls(card: ModelCard) -> tuple[Path, str]:
    """Return the folder into which the files of direct links were fetched, each checked where a checksum is known."""
    import pooch

    place = card.weights
    if place is None:
        raise InputError(f"no links for {card.name!r}.", allowed="a card with weights", remedy="pass weights=.")
    folder = Path(os.environ.get("STFMKIT_CACHE", pooch.os_cache("stfmkit"))) / "models" / card.name
    for file in place.files:
        target = folder / file.path
        if not target.is_file() or (file.sha256 and sha256_of(target) != file.sha256):
            if offline():
                raise _unreachable(card, place.place, OSError("the environment asks for no network"))
            try:
                pooch.retrieve(
                    file.url,
                    known_hash=None if file.sha256 is None else f"sha256:{file.sha256}",
                    fname=target.name,
                    path=target.parent,
                    progressbar=True,
                )
            except OSError as error:
                raise _unreachable(card, place.place, error) from None
            except ValueError:  # what pooch raises where the checksum is another
                raise _replaced(card, file.path, file.sha256) from None
        _check(card, target, file.sha256)
    return folder, place.revision or ""


def _check(card: ModelCard, path: Path, sha256: str | None) -> None:
    if not path.is_file():
        raise MissingFileError(
            f"the published folder of {card.name!r} has no {path.name}.",
            allowed="the files on the card",
            remedy="the place may have changed: pass weights='FOLDER' with the files.",
        )
    if sha256 is not None and (found := sha256_of(path)) != sha256:
        raise InputError(
            f"{path.name} of {card.name!r} has the sha256 {found}.",
            allowed=f"the published {sha256}",
            remedy=f"delete {path.resolve()} and download it again; if it stays, do not use it." + _newer(card),
        )


def _newer(card: ModelCard) -> str:
    """Return how to take a file that its authors have replaced, where no revision was named."""
    place = card.weights
    if place is None or place.kind != "hub" or place.revision is not None:
        return ""
    return f" Where its authors have replaced it, name the version that you trust: weights='{place.place}@COMMIT'."


def _replaced(card: ModelCard, name: str, sha256: str | None) -> InputError:
    return InputError(
        f"{name} of {card.name!r} does not have the published sha256 where its link leads now.",
        allowed=f"the published {sha256}",
        remedy="its authors may have replaced it: get the files that you trust and pass weights='FOLDER'.",
    )


def _refused(card: ModelCard, place: str, error: Exception) -> MissingFileError:
    kind = type(error).__name__
    if "Gated" in kind or (card.weights is not None and card.weights.gated):
        remedy = "accept its terms on its page, then `huggingface-cli login`."
    elif "Revision" in kind:
        remedy = f"name one that it has, weights='{place}@main' for the newest, or pass weights='FOLDER'."
    else:
        remedy = "check the name and revision, or pass weights='FOLDER'."
    return MissingFileError(
        f"{_no_folder(card, place)}the hub refuses {place!r} ({kind}).",
        allowed="a repository and revision that you may read",
        remedy=remedy,
    )


def _unreachable(card: ModelCard, place: str, error: Exception, *, cached: str = "") -> MissingFileError:
    lines = str(error).strip().splitlines() or [""]
    return MissingFileError(
        f"{_no_folder(card, place)}the weights of {card.name!r} cannot be fetched from {place} "
        f"({type(error).__name__}: {lines[0][:160]}).",
        allowed="a network, files in the cache, or a local folder",
        remedy=f"download them where there is a network and pass weights='FOLDER'{cached}, or weights='random' for an "
        "untrained network.",
    )


def _no_folder(card: ModelCard, place: str) -> str:
    """Say that a place which a caller named is no folder either."""
    published = card.weights is not None and card.weights.place == place
    return "" if published else f"no folder {place!r} here, and "
