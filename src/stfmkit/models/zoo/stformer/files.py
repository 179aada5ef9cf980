"""The published files of stFormer: a whole module that was pickled, read without running what the pickle names."""

import io
import math
import pickle
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Self

import pandas as pd
import torch
from torch import Tensor

from stfmkit._core.errors import InputError
from stfmkit._core.limits import check_limit, short
from stfmkit.models.nets.autobin import GENE_LIST
from stfmkit.models.weights.plain_values import check_program
from stfmkit.models.weights.tensors import check_archive

_STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "BoolStorage": torch.bool,
}
_DEEPEST, _LONGEST = 64, 200
_SPARE = 1_000_000


class _Shell:
    """Stands for any class or function of the pickle; it keeps the state that it is given and does nothing."""

    def __new__(cls, *_args: object, **_kwargs: object) -> Self:
        return object.__new__(cls)

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        self.held: Mapping[str, Any] = {}

    def __setstate__(self, state: object) -> None:
        self.held = state if isinstance(state, Mapping) else {}

    def __call__(self, *_args: object, **_kwargs: object) -> "_Shell":
        return _Shell()

    def append(self, _item: object) -> None:
        """Take an item of a list, and forget it."""

    def extend(self, _items: object) -> None:
        """Take the items of a list, and forget them."""

    def __setitem__(self, _key: object, _value: object) -> None:
        """Take an item of a dictionary, and forget it."""


def _nothing(*_given: object) -> set[object]:
    """Stand for a set, which no tensor lies in."""
    return set()


def _parameter(data: Tensor, *_rest: object) -> Tensor:
    return data


_NAMED: dict[tuple[str, str], Any] = {
    ("builtins", "set"): _nothing,
    ("torch._utils", "_rebuild_parameter"): _parameter,
}


class _TensorUnpickler(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, root: PurePosixPath, *, path: Path) -> None:
        content = archive.read(str(root / "data.pkl"))
        check_program(io.BytesIO(content), n_bytes=len(content), what=path.name)
        super().__init__(io.BytesIO(content))
        self._archive, self._root, self._path = archive, root, path
        self._storages: dict[str, Tensor] = {}
        self._spent, self._size = 0, path.stat().st_size

    def find_class(self, module: str, name: str) -> Any:
        """Return what rebuilds tensors, and an empty shell for everything else."""
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        own = {("torch._utils", "_rebuild_tensor_v2"): self._tensor, ("collections", "OrderedDict"): self._ordered}
        return own.get((module, name)) or _NAMED.get((module, name)) or type("Shell", (_Shell,), {})

    def _spend(self, n_bytes: int) -> None:
        self._spent += n_bytes
        if self._spent > _SPARE:
            found = f"{self._path.name} of {self._size:,} bytes that makes {self._spent:,} bytes or more of them"
            check_limit("pickle_growth", self._spent, what=found, times=self._size)

    def _tensor(
        self, storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_rest: object
    ) -> Tensor:
        n_bytes, stored = math.prod(size) * storage.element_size(), storage.numel() * storage.element_size()
        found = f"{self._path.name} with a tensor of {n_bytes:,} bytes, for which {stored:,} are stored"
        check_limit("storage_bytes", n_bytes, what=found, times=max(stored, 1))
        self._spend(n_bytes)
        return storage.as_strided(size, stride, offset).clone()

    def _ordered(self, pairs: object = ()) -> OrderedDict[Any, Any]:
        held = list(pairs) if isinstance(pairs, (list, tuple)) else []
        self._spend(64 * len(held))
        return OrderedDict(held)

    def persistent_load(self, pid: Any) -> Tensor:
        """Return a stored array as a flat tensor."""
        kind, dtype, key, _place, n = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            msg = f"a stored object of the kind {kind!r}"
            raise pickle.UnpicklingError(msg)
        if key not in self._storages:
            content = bytearray(self._archive.read(str(self._root / "data" / str(key))))
            self._storages[key] = torch.frombuffer(content, dtype=dtype, count=int(n))
        return self._storages[key]


def read_module(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors of a saved module (or of saved tensors) by name, and its plain attributes.

    Classes and functions that the file names are never imported or called; in their place are empty shells, whose
    ``_parameters``, ``_buffers`` and ``_modules`` are read.

    Parameters
    ----------
    path
        What ``torch.save(module, path)`` wrote.

    Raises
    ------
    InputError
        The file is broken, or holds no tensor.
    """
    try:
        check_archive(path)
        with zipfile.ZipFile(path) as archive:
            root = next(PurePosixPath(name).parent for name in archive.namelist() if name.endswith("data.pkl"))
            loaded = _TensorUnpickler(archive, root, path=path).load()
    except InputError:
        raise
    except (
        zipfile.BadZipFile,
        pickle.UnpicklingError,
        StopIteration,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        IndexError,
        AttributeError,
        RuntimeError,
        UnicodeDecodeError,
        OSError,
        MemoryError,
        OverflowError,
    ) as error:
        raise InputError(
            f"{path.name} ({path.stat().st_size:,} bytes) cannot be read: {str(error)[:100] or 'it ends too soon'}",
            allowed="a module or tensors saved by torch.save, of torch 1.6 or later",
            remedy="the file may be truncated or a pointer of git-lfs: download it again.",
        ) from None
    tensors: dict[str, Tensor] = {}
    plain: dict[str, Any] = {}
    for name, value in _walk(loaded, "", depth=0, seen=Counter(), what=path.name):
        (tensors if isinstance(value, Tensor) else plain)[name] = value
    if not tensors:
        raise InputError(
            f"{path.name} holds no tensors.", allowed="a saved module", remedy="pass the published checkpoint."
        )
    return tensors, plain


def _walk(node: object, prefix: str, *, depth: int, seen: Counter[str], what: str) -> Iterator[tuple[str, Any]]:
    """Yield the tensors and plain values of a module and its parts, by name; a part that two names share has both."""
    if depth > _DEEPEST:
        return
    seen["parts"] += 1
    check_limit("modules", seen["parts"], what=f"{what} with {seen['parts']:,} parts or more, shared or in a circle")
    held = node.held if isinstance(node, _Shell) else node
    if not isinstance(held, Mapping):
        return
    own: dict[str, Any] = {}
    inner: Mapping[str, Any] = {}
    if isinstance(node, _Shell):
        for slot in ("_parameters", "_buffers"):
            own |= _mapping(held.get(slot))
        inner = _mapping(held.get("_modules"))
        own |= {name: value for name, value in held.items() if isinstance(value, (int, float, str))}
    else:
        own = {name: value for name, value in held.items() if isinstance(value, Tensor)}
    for name, value in own.items():
        if value is not None:  # the bias of a layer without one
            seen["values"] += 1
            check_limit("tensors", seen["values"], what=f"{what} with {seen['values']:,} values or more")
            yield prefix + _name(name), value
    for name, value in inner.items():
        yield from _walk(value, f"{prefix}{_name(name)}.", depth=depth + 1, seen=seen, what=what)


def _mapping(held: object) -> Mapping[str, Any]:
    return held if isinstance(held, Mapping) else {}


def _name(name: object) -> str:
    if not isinstance(name, str) or len(name) > _LONGEST:
        raise InputError(
            f"a part of a module with the name {short(name)}.",
            allowed=f"names of at most {_LONGEST} letters",
            remedy="pass the published checkpoint.",
        )
    return name


_HEADS, _ALPHA = 12, 1.0


def read_sizes(state: Mapping[str, Tensor], plain: Mapping[str, Any], *, n_genes: int, what: str) -> dict[str, Any]:
    """Return the sizes of a saved module, from its attributes and the shapes of its tensors."""
    layers = {name.split(".layers.")[1].split(".")[0] for name in state if ".layers." in name}
    tables = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    attributes = {name.removeprefix("module."): value for name, value in plain.items()}
    first = tables.get("transformer_decoder.layers.0.linear1.weight")
    rows, bins = tables.get("scfoundation_pos_emb2.weight"), tables.get("scfoundation_token_emb2.emb.weight")
    if first is None or rows is None or bins is None or first.ndim != 2 or rows.ndim != 2 or bins.ndim != 2:
        raise InputError(
            f"{what} with the tensors {', '.join(sorted(tables)[:4])} … is not a checkpoint of stFormer.",
            allowed="the saved module, with transformer_decoder and the tables of scFoundation",
            remedy="pass model_4.1M.ckpt.",
        )
    style = attributes.get("cell_emb_style", "max-pool")
    if attributes.get("pre_norm") or style != "max-pool":
        raise InputError(
            f"{what} with pre_norm={short(attributes.get('pre_norm'))} and cell_emb_style={short(style)}.",
            allowed="layers that are normalised after, and the largest state, as published",
            remedy="pass the published checkpoint.",
        )
    if len(rows) != n_genes + 3:
        raise InputError(
            f"{what} for {len(rows) - 3} genes, and {n_genes} genes in {GENE_LIST}.",
            allowed="the list of genes that belongs to the checkpoint",
            remedy="pass the folder of the publication.",
        )
    return {
        "width": rows.shape[1],
        "heads": int(attributes.get("nhead", _HEADS)),
        "hidden": len(first),
        "n_layers": len(layers),
        "n_bins": len(bins),
        "alpha": float(attributes.get("scfoundation_token_emb2.bin_alpha", _ALPHA)),
        "n_tokens": n_genes,
    }


def read_ligands(path: Path) -> pd.Index:
    """Return the genes that at least two databases of the published table call a ligand."""
    try:
        table = pd.read_csv(path, index_col=0).astype(float)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, ValueError):
        raise InputError(
            f"{path.name} is not a table of ligands.",
            allowed="genes in the first column, and one column of 0 and 1 for every database",
            remedy="pass the published ligand_database.csv.",
        ) from None
    found = pd.Index(table.index[table.sum(axis=1) > 1].astype(str))
    if not len(found):
        raise InputError(
            f"{path.name} of {table.shape[0]:,} rows and {table.shape[1]:,} columns without a ligand.",
            allowed="a column of 0 and 1 for every database, and genes that two of them call a ligand",
            remedy="pass the published ligand_database.csv, not a page or a pointer that was downloaded in its place.",
        )
    return found
