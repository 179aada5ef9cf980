"""Readers of checkpoints: tensors by name, and nothing in a file is ever executed."""

import io
import pickle
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stfmkit._core.errors import InputError
from stfmkit._core.limits import check_limit
from stfmkit._core.optional import require
from stfmkit.models.weights.plain_values import check_program

if TYPE_CHECKING:
    from torch import Tensor

_SPARE = 1_000_000
_PICKLES = 5
_GROWING = frozenset({"_codecs encode", "builtins bytearray", "__builtin__ bytearray"})
"""Names that torch calls, and that make bytes without end."""


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
    if isinstance(loaded, Mapping):
        inner = [held for held in loaded.values() if isinstance(held, Mapping)]
        check_tensors([value for held in (loaded, *inner) for value in held.values()], path)
    else:
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
    check_tensors([tensor], path)
    return tensor


def check_archive(path: Path) -> None:
    """Refuse a zip file whose members are together far larger than the file; nothing is unpacked.

    Raises
    ------
    InputError
        They are above the limits "unpacked_bytes" or "unpacked_growth".
    """
    with zipfile.ZipFile(path) as archive:
        total = sum(member.file_size for member in archive.infolist())
    n_bytes = path.stat().st_size
    found = f"{path.name} of {n_bytes:,} bytes that unpacks to {total:,}"
    check_limit("unpacked_bytes", total, what=found)
    if total > _SPARE:
        check_limit("unpacked_growth", total, what=found, times=n_bytes)


def check_tensors(values: Sequence[Any], path: Path) -> None:
    """Refuse tensors that declare more numbers than the file stores for them, such as one number a billion times.

    Raises
    ------
    InputError
        They are above the limits "tensors", "storage_bytes" or "pickle_growth", or not plain tensors of numbers.
    """
    torch = require("torch", extra="torch")
    tensors = [value for value in values if _is_tensor(value)]
    check_limit("tensors", len(tensors), what=f"{path.name} with {len(tensors):,} tensors")
    total = 0
    for tensor in tensors:
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
            raise InputError(
                f"{path.name} with a tensor of the kind {tensor.layout}, {tensor.device.type}.",
                allowed="plain tensors of numbers",
                remedy="get the file again from its published place.",
            )
        n_bytes, stored = tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes()
        found = f"{path.name} with a tensor of {n_bytes:,} bytes, for which {stored:,} are stored"
        check_limit("storage_bytes", n_bytes, what=found, times=max(stored, 1))
        total += n_bytes
    size = path.stat().st_size
    if total > _SPARE:
        found = f"{path.name} of {size:,} bytes with tensors of {total:,} bytes"
        check_limit("pickle_growth", total, what=found, times=size)


def _load(path: Path, *, mapped: bool) -> Any:
    torch = require("torch", extra="torch")
    try:
        packed = zipfile.is_zipfile(path)
        mapped = mapped and packed
        _check_programs(path, packed=packed)
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except InputError:
        raise
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path.name} holds more than tensors and plain values, and is not loaded: {_first_line(error)}",
            allowed="a checkpoint of tensors; nothing in it is ever executed",
            remedy="get the file from its published place, or save it again as safetensors where you trust it.",
        ) from error
    except Exception as error:
        raise _broken(path, error) from error
    return loaded


def _check_programs(path: Path, *, packed: bool) -> None:
    """Refuse pickles of a checkpoint that would exhaust memory; of the older format there are five in a row."""
    if packed:
        check_archive(path)
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if member.filename.endswith("data.pkl"):
                    content = io.BytesIO(archive.read(member))
                    check_program(content, n_bytes=member.file_size, what=path.name, forbidden=_GROWING)
        return
    with path.open("rb") as file:
        try:
            for _ in range(_PICKLES):
                check_program(file, n_bytes=path.stat().st_size, what=path.name, forbidden=_GROWING)
        except InputError:
            raise
        except (ValueError, LookupError):  # no such row of pickles: the reader refuses it
            return


def _read_safetensors(path: Path) -> dict[str, "Tensor"]:
    require("safetensors", extra="torch")
    from safetensors.torch import load_file

    with path.open("rb") as file:
        n_header = int.from_bytes(file.read(8), "little")
        check_limit("header_bytes", n_header, what=f"{path.name} that describes its tensors in {n_header:,} bytes")
        n_tensors = file.read(n_header).count(b'"dtype"')
    check_limit("tensors", n_tensors, what=f"{path.name} with {n_tensors:,} tensors")
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
    """Return the first sentence of an error, without colours and without advice for other programs."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    lines = [line.strip().removeprefix("WeightsUnpickler error: ") for line in text.splitlines()]
    telling = [line for line in lines if "GLOBAL" in line or "Unsupported" in line]
    line = (telling or lines or [""])[0].removeprefix("Trying to load ")
    return re.split(r" was not an allowed| whose module|\. In PyTorch", line)[0][:200] or type(error).__name__


def _is_tensor(value: object) -> bool:
    torch = require("torch", extra="torch")
    return bool(isinstance(value, torch.Tensor))
