"""Tensors come out of a pickled module, and nothing that it names is run."""

import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from tests.models.zoo._published import Bomb, cut
from torch import nn

from stfmkit.errors import InputError
from stfmkit.models.zoo.stformer.files import read_module


class Outer(nn.Module):
    """A module of a class that the reader never sees."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.style, self.share = 3, "max", 0.5
        self.inner = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.LayerNorm(4, bias=False))
        self.table = nn.Embedding(5, 2)
        self.register_buffer("steps", torch.arange(4))
        self.loose = torch.ones(3)
        self.activation = torch.nn.functional.relu
        self.listed = nn.ModuleList([nn.Linear(1, 1, bias=False)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_tensors_are_those_of_the_module(tmp_path: Path, dtype: torch.dtype) -> None:
    made = Outer().to(dtype)
    torch.save(made, tmp_path / "m.ckpt")
    found, plain = read_module(tmp_path / "m.ckpt")
    wanted = made.state_dict()
    assert set(found) == set(wanted)
    for name, tensor in wanted.items():
        assert found[name].dtype == tensor.dtype
        torch.testing.assert_close(found[name], tensor)
    assert (plain["heads"], plain["style"], plain["share"]) == (3, "max", 0.5)
    assert plain["inner.0.in_features"] == 3


def test_views_and_shared_storages(tmp_path: Path) -> None:
    made = nn.Module()
    whole = torch.arange(12.0)
    made.a, made.b = nn.Parameter(whole[2:8].view(2, 3).t()), nn.Parameter(whole[::2])
    torch.save(made, tmp_path / "m.ckpt")
    found, _ = read_module(tmp_path / "m.ckpt")
    torch.testing.assert_close(found["a"], whole[2:8].view(2, 3).t())
    torch.testing.assert_close(found["b"], whole[::2])


def test_plain_tensors_by_name_are_read_as_well(tmp_path: Path) -> None:
    torch.save(Outer().state_dict(), tmp_path / "m.pt")
    assert set(read_module(tmp_path / "m.pt")[0]) == set(Outer().state_dict())


def test_nothing_is_executed(tmp_path: Path) -> None:
    made = Outer()
    made.bomb = Bomb(tmp_path / "mark")
    torch.save(made, tmp_path / "m.ckpt")
    found, _ = read_module(tmp_path / "m.ckpt")
    assert set(found) == set(Outer().state_dict())
    assert not (tmp_path / "mark").exists()
    torch.load(tmp_path / "m.ckpt", weights_only=False)
    assert (tmp_path / "mark").exists()  # the bomb is one


@pytest.mark.parametrize("target", ["os.system", "builtins.eval", "builtins.getattr", "torch.hub.load", "posix.system"])
def test_no_name_reaches_python(tmp_path: Path, target: str) -> None:
    module, _, name = target.rpartition(".")
    command = f"open({str(tmp_path / 'mark')!r}, 'w')"
    text = f"c{module}\n{name}\n(S{command!r}\ntR.".encode()
    with zipfile.ZipFile(tmp_path / "m.ckpt", "w") as archive:
        archive.writestr("m/data.pkl", text)
    with pytest.raises(InputError, match=r"m\.ckpt holds no tensors"):
        read_module(tmp_path / "m.ckpt")
    assert not (tmp_path / "mark").exists()


def saved(path: Path) -> Path:
    """Save a module."""
    torch.save(Outer(), path / "m.ckpt")
    return path / "m.ckpt"


def test_a_cut_file(tmp_path: Path) -> None:
    path = saved(tmp_path)
    cut(path)
    with pytest.raises(InputError, match=r"m\.ckpt \([\d,]+ bytes\) cannot be read"):
        read_module(path)


def test_no_archive_at_all(tmp_path: Path) -> None:
    (tmp_path / "m.ckpt").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(InputError, match="File is not a zip file"):
        read_module(tmp_path / "m.ckpt")


def rewritten(path: Path, *, drop: str = "", change: bytes | None = None) -> None:
    """Leave out or replace a member of a saved module."""
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in held.items():
            if not (drop and name.endswith(drop)):
                archive.writestr(name, change if change is not None and name.endswith("data/0") else content)


def test_an_array_that_is_missing(tmp_path: Path) -> None:
    path = saved(tmp_path)
    rewritten(path, drop="data/0")
    with pytest.raises(InputError, match="no item named"):
        read_module(path)


def test_an_array_that_is_too_short(tmp_path: Path) -> None:
    path = saved(tmp_path)
    rewritten(path, change=b"1234")
    with pytest.raises(InputError, match="cannot be read"):
        read_module(path)
