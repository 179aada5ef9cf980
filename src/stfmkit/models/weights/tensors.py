"""Readers of checkpoints: tensors by name, and nothing in a file is ever executed."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stfmkit._core.errors import InputError
from stfmkit._core.optional import require

if TYPE_CHECKING:
    from torch import Tensor


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
        ) from error
    except Exception as error:
        raise _broken(path, error) from error
    return loaded


def _read_safetensors(path: Path) -> dict[str, "Tensor"]:
    require("safetensors", extra="torch")
    from safetensors.torch import load_file

    try:
        return dict(load_file(path, device="cpu"))
    except Exception as error:
        raise _broken(path, error) from error


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
