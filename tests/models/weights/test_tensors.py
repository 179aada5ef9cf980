"""Checkpoints are read as tensors, and what they declare is held against what they store."""

import os
import pickle
import zipfile

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from safetensors.torch import save_file  # noqa: E402

from stfmkit._core.errors import InputError  # noqa: E402
from stfmkit.models.weights.tensors import check_archive, read_checkpoint, read_state, read_tensor  # noqa: E402

BASE = torch.arange(12.0)
SOUND = {
    "whole": BASE,
    "a view of a part": BASE[3:7],
    "turned": BASE.reshape(3, 4).T,
    "half": BASE.half(),
    "empty": torch.zeros(0, 5),
    "a number": torch.tensor(3),
}


@pytest.mark.parametrize("older", [False, True])
def test_tensors_come_back(older, tmp_path):
    path = tmp_path / "m.bin"
    torch.save(SOUND | {"tied": SOUND["whole"]}, path, _use_new_zipfile_serialization=not older)
    found = read_state(path)
    for name, tensor in SOUND.items():
        torch.testing.assert_close(found[name], tensor)
    torch.save({"state_dict": SOUND, "hyper_parameters": {"n": 3, "names": ["a"]}}, path)
    assert read_checkpoint(path, mapped=True)["hyper_parameters"]["n"] == 3
    torch.save(BASE, path)
    torch.testing.assert_close(read_tensor(path), BASE)


@pytest.mark.parametrize("stride", [(0, 0), (1, 0), (0, 1)])
def test_a_number_that_stands_for_many_is_refused(stride, tmp_path):
    tensor = BASE.as_strided((12, 12), stride)
    torch.save({"w": tensor}, tmp_path / "m.bin")
    torch.save(tensor, tmp_path / "t.bin")
    for read, name in ((read_state, "m.bin"), (read_tensor, "t.bin")):
        with pytest.raises(InputError, match=r"a tensor of 576 bytes, for which 48 are stored[\s\S]*'storage_bytes'"):
            read(tmp_path / name)


def test_more_tensors_than_any_network_has(tmp_path, monkeypatch):
    monkeypatch.setenv("STFMKIT_MOST_TENSORS", "5")
    save_file({f"t{i}": torch.zeros(1) for i in range(6)}, tmp_path / "m.safetensors")
    torch.save({f"t{i}": torch.zeros(1) for i in range(6)}, tmp_path / "m.bin")
    for name in ("m.safetensors", "m.bin"):
        with pytest.raises(InputError, match="with 6 tensors"):
            read_state(tmp_path / name)


@pytest.mark.parametrize("n", [1, 20])
def test_members_are_summed_before_anything_is_unpacked(n, tmp_path):
    path = tmp_path / "m.bin"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as held:
        for i in range(n):
            held.writestr(f"m/data/{i}", bytes(60_000_000 // n))
    with pytest.raises(InputError, match=r"unpacks to 60,000,000[\s\S]*'unpacked_growth'"):
        check_archive(path)


def test_weights_that_do_not_shrink_are_taken(tmp_path):
    path = tmp_path / "m.bin"
    values = torch.from_numpy(np.random.default_rng(0).normal(size=500_000))
    torch.save({"w": values}, path)
    check_archive(path)
    torch.testing.assert_close(read_state(path)["w"], values)


class Hostile:
    """Calls the system where it is loaded."""

    def __reduce__(self):
        return os.system, ("true",)


@pytest.mark.parametrize("older", [False, True])
def test_a_refusal_says_what_the_file_names_and_gives_no_advice_of_torch(older, tmp_path):
    path = tmp_path / "m.bin"
    torch.save({"w": BASE, "more": Hostile()}, path, _use_new_zipfile_serialization=not older)
    with pytest.raises(InputError) as caught:
        read_state(path)
    text = str(caught.value)
    assert "system" in caught.value.found
    for advice in ("weights_only", "\x1b", "PyTorch", "torch.serialization", "Please"):
        assert advice not in text


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x80\x02.", pickle.dumps([1]), b"PK\x03\x04" + bytes(50)])
def test_what_is_no_checkpoint(content, tmp_path):
    for name in ("m.bin", "m.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=name):
            read_state(tmp_path / name)
