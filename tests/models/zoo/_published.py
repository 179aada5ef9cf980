"""Published folders, copied and damaged."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

DATA = Path(__file__).parent / "data"


def copy_of(name: str, target: Path) -> Path:
    """Copy the published folder of a model to a new one."""
    return Path(shutil.copytree(DATA / name, target / name))


def change_state(path: Path, change: Callable[[dict[str, Any]], None], *, inside: str | None = None) -> None:
    """Change the tensors of a checkpoint, those under the key `inside` where they are wrapped."""
    held = torch.load(path, weights_only=True)
    change(held if inside is None else held[inside])
    torch.save(held, path)


def cut(path: Path) -> None:
    """Leave only the first half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


class Bomb:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))
