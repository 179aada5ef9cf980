"""What the makers of fixtures share: importing an original without its dependencies, and weights far from trivial."""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import numpy as np
import torch


def _cases() -> ModuleType:
    """Load the made-up counts that the tests draw as well."""
    spec = importlib.util.spec_from_file_location("_cases", Path(__file__).parents[1] / "_cases.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


synthetic_counts = _cases().synthetic_counts


class _Stub(ModuleType):
    """A module that holds anything that is asked of it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__ = []

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return MagicMock(name=f"{self.__name__}.{name}")


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, names: Iterable[str]) -> None:
        self.names = frozenset(names)

    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] in self.names:
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec):
        return _Stub(spec.name)

    def exec_module(self, module) -> None:
        """A stub runs nothing."""


def stub(*names: str) -> None:
    """Let the packages `names` import as empty shells."""
    sys.meta_path.insert(0, _Finder(names))


def shell(name: str, folder: Path, **content) -> ModuleType:
    """Register a package without running its ``__init__``."""
    module = ModuleType(name)
    module.__path__ = [str(folder)]
    vars(module).update(content)
    sys.modules[name] = module
    return module


def randomise(module: torch.nn.Module, *, seed: int, scale: float = 0.6) -> None:
    """Draw every weight anew, norms and tables that start at zero or one as well."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in module.named_parameters():
            noise = torch.randn(value.shape, generator=draw) * scale
            value.copy_(noise + 1 if "norm" in name and name.endswith("weight") else noise)


def ragged(ids: np.ndarray, values: np.ndarray, keep: np.ndarray) -> dict[str, np.ndarray]:
    """Return padded tokens without their padding, every row in the order of the ids."""
    rows = [np.argsort(i[k], kind="stable") for i, k in zip(ids, keep, strict=True)]
    return {
        "indptr": np.concatenate([[0], np.cumsum(keep.sum(axis=1))]),
        "ids": np.concatenate([i[k][o] for i, k, o in zip(ids, keep, rows, strict=True)]),
        "values": np.concatenate([v[k][o] for v, k, o in zip(values, keep, rows, strict=True)]),
    }


class Vocab:
    """The part of torchtext's vocabulary that the originals call."""

    def __init__(self, names=()) -> None:
        self.names = list(names.names if isinstance(names, Vocab) else names)
        self.places = {name: place for place, name in enumerate(self.names)}
        self.default: int | None = None

    @property
    def vocab(self) -> "Vocab":
        """The inner vocabulary."""
        return self

    def __contains__(self, name: str) -> bool:
        return name in self.places

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, name: str) -> int:
        return self.places.get(name, self.default)

    def __call__(self, names: list[str]) -> list[int]:
        return [self[name] for name in names]

    def insert_token(self, name: str, index: int) -> None:
        """Put a token at a place."""
        self.names.insert(index, name)
        moved = enumerate(self.names[index:], start=index)
        self.places |= {name: place for place, name in moved}

    def append_token(self, name: str) -> None:
        """Put a token at the end."""
        self.insert_token(name, len(self))

    def set_default_index(self, index: int) -> None:
        """Set the id of unknown tokens."""
        self.default = index


def torchtext() -> None:
    """Let ``torchtext.vocab`` be the class above."""
    inner = ModuleType("torchtext.vocab")
    inner.Vocab = Vocab
    inner.vocab = lambda names, min_freq=1: Vocab(names)
    shell("torchtext", Path(), vocab=inner)
    sys.modules["torchtext.vocab"] = inner
