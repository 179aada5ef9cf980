"""From what a caller says of weights to a folder on this machine, and safe readers of what lies in it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stfmkit._core.errors import InputError, MissingFileError
from stfmkit._core.optional import require
from stfmkit.models.card import ModelCard
from stfmkit.models.weights.download import from_hub, from_urls

if TYPE_CHECKING:
    from torch import Tensor

RANDOM = "random"
"""What ``weights=`` says for an untrained network."""


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


def read_state(path: Path, *, mapped: bool = False) -> dict[str, "Tensor"]:
    """Return the tensors of a checkpoint by name; nothing in the file is executed.

    Safetensors by their own reader, all others by ``torch.load(weights_only=True)``. A dictionary around the tensors
    is unwrapped by the caller (`read_checkpoint`). With ``mapped=True`` tensors stay in the file until they are used,
    where its format allows it.

    Raises
    ------
    InputError
        The file is truncated, or holds more than tensors.
    """
    loaded = read_checkpoint(path, mapped=mapped)
    tensors = {str(k): v for k, v in loaded.items() if _is_tensor(v)}
    if not tensors:
        raise InputError(
            f"{path.name} holds no tensors: {', '.join(map(str, list(loaded)[:5])) or 'nothing'}.",
            allowed="tensors by name",
            remedy="pass the checkpoint of the model.",
        )
    return tensors


def read_checkpoint(path: Path, *, mapped: bool = False) -> Mapping[str, Any]:
    """Return what a checkpoint file holds, a mapping; nothing in the file is executed."""
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    loaded = _load(path, mapped=mapped)
    if not isinstance(loaded, Mapping):
        raise InputError(
            f"{path.name} holds a {type(loaded).__name__}.",
            allowed="tensors by name",
            remedy="pass the checkpoint of the model.",
        )
    return loaded


def read_tensor(path: Path, *, mapped: bool = False) -> "Tensor":
    """Return the one tensor that a file holds; nothing in the file is executed."""
    loaded = _load(path, mapped=mapped)
    if not _is_tensor(loaded):
        raise InputError(
            f"{path.name} holds a {type(loaded).__name__}.", allowed="one tensor", remedy="pass the published file."
        )
    tensor: Tensor = loaded
    return tensor


def _load(path: Path, *, mapped: bool) -> Any:
    import pickle
    import zipfile

    torch = require("torch", extra="torch")
    try:
        mapped = mapped and zipfile.is_zipfile(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path.name} holds more than tensors and plain values, and is not loaded: {_first_line(error)}",
            allowed="a checkpoint of tensors; nothing in it is ever executed",
            remedy="get the file from its published place, or save it again as safetensors where you trust it.",
        ) from None
    except (EOFError, OSError, RuntimeError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise _broken(path, error) from None
    return loaded


def _read_safetensors(path: Path) -> dict[str, "Tensor"]:
    safetensors = require("safetensors", extra="torch")
    from safetensors.torch import load_file

    try:
        return dict(load_file(path, device="cpu"))
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise _broken(path, error) from None


def _broken(path: Path, error: BaseException) -> InputError:
    return InputError(
        f"{path.name} ({path.stat().st_size:,} bytes) cannot be read: {_first_line(error)}",
        allowed="a whole checkpoint",
        remedy="the file may be truncated or a pointer of git-lfs: download it again.",
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]


def _is_tensor(value: object) -> bool:
    torch = require("torch", extra="torch")
    return bool(isinstance(value, torch.Tensor))
