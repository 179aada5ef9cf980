"""Places, sizes and files that are not right, on the smallest network that there is."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from anndata import AnnData
from safetensors.torch import load_file, save_file
from tests.models.zoo._tiny import Tiny, embedded

from stfmkit.errors import InputError, MissingFileError, StfmkitError
from stfmkit.models.nets.checkpoint import Assets
from stfmkit.models.weights.tables import read_mapping
from stfmkit.models.weights.tensors import read_state


def planted(change: Callable[[Path], None], match: str) -> Any:
    return pytest.param(change, match, id=match[:30])


def rewrite(**change: Any) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        state = {**load_file(folder / "tiny.safetensors"), **change}
        save_file({k: v for k, v in state.items() if v is not None}, folder / "tiny.safetensors")

    return apply


def written(content: bytes) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        (folder / "genes.json").write_bytes(content)

    return apply


def truncate(folder: Path) -> None:
    path = folder / "tiny.safetensors"
    path.write_bytes(path.read_bytes()[:200])


class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))


def test_a_pickle_is_never_executed(tmp_path: Path) -> None:
    mark = tmp_path / "exploded"
    mapping, checkpoint = tmp_path / "genes.pkl", tmp_path / "model.pt"
    mapping.write_bytes(pickle.dumps({"a": Bomb(mark)}))
    torch.save({"a": Bomb(mark)}, checkpoint)
    with pytest.raises(InputError, match=r"genes\.pkl .* is not loaded: it names"):
        read_mapping(mapping)
    with pytest.raises(InputError, match="holds more than tensors and plain values, and is not loaded"):
        read_state(checkpoint)
    assert not mark.exists()


@pytest.mark.parametrize("value", [{"a": 1, "b": 2.5}, {"x": np.int16(3)}, {1: ["a", ("b", None)]}])
def test_a_pickle_of_plain_values_is_read(tmp_path: Path, value: dict[Any, Any]) -> None:
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(value))
    assert read_mapping(tmp_path / "plain.pkl") == value


@pytest.mark.parametrize(
    ("change", "match"),
    [
        planted(truncate, "cannot be read"),
        planted(rewrite(**{"encoder.layers.0.norm1.weight": None}), "1 missing"),
        planted(rewrite(more=torch.zeros(2)), "1 not known"),
        planted(rewrite(**{"encoder.layers.0.norm1.weight": torch.ones(9)}), r"\(9,\) instead of \(8,\)"),
        planted(rewrite(**{"encoder.layers.0.norm1.weight": torch.full((8,), torch.nan)}), "NaN or infinite weights"),
        planted(written(b"version https://git-lfs.github.com/spec/v1"), "git-lfs"),
        planted(written(b"[1]"), "holds a list"),
    ],
)
def test_a_checkpoint_that_is_not_right(folder: Path, change: Callable[[Path], None], match: str) -> None:
    change(folder)
    with pytest.raises(InputError, match=match):
        Tiny(weights=folder).load()


def test_a_folder_without_the_files(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"no genes.json for 'tiny'"):
        Tiny(weights=tmp_path).load()


def test_weights_that_are_downloaded_by_hand() -> None:
    with pytest.raises(MissingFileError, match="download them from the shelf"):
        Tiny().load()


def test_no_such_folder() -> None:
    with pytest.raises(MissingFileError, match="no such file or folder"):
        Tiny(weights="./nowhere").load()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"device": "cuda:99"}, "finds no such device"),
        ({"device": "abacus"}, "device='abacus'"),
        ({"dtype": "float16"}, "dtype='float16' on cpu"),
        ({"dtype": "float8"}, "dtype"),
        ({"batch_size": 0}, "batch_size"),
        ({"on_empty": "skip"}, "on_empty"),
        ({"config": {"depth": 3}}, "config with 'depth'"),
        ({"config": "small"}, "config of type str"),
        ({"gene_table": "no.csv"}, "no gene table at 'no.csv'"),
        ({"weights": ""}, "weights='', which names no place"),
        ({"weights": 3}, "weights of type int"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], match: str) -> None:
    with pytest.raises(StfmkitError, match=match):
        Tiny(**{"weights": "random", **options}).load()


@pytest.mark.parametrize("width", [10**9, -8, 7, "8", None])
def test_sizes_that_make_no_network(cells: AnnData, width: object) -> None:
    with pytest.raises(InputError, match=r"sizes that make no network of 'tiny'|a width of 7 for 2"):
        embedded(cells, weights="random", config={"width": width})


@pytest.mark.parametrize("held", [b'{"ENSG00000000001": "x"}', b'{"ENSG00000000001": null}', b"[" * 100_000])
def test_files_of_another_format(folder: Path, held: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "genes.json").write_bytes(held)

    def read(self: Tiny, folder: Path) -> Assets:
        return Assets(
            config={name: int(token) for name, token in read_mapping(self.find(folder, "genes.json")).items()}
        )

    monkeypatch.setattr(Tiny, "read", read)
    with pytest.raises(
        InputError, match=r"genes.json (of 'tiny' cannot be understood|\(100,000 bytes\) is not loaded)"
    ):
        Tiny(weights=folder).load()


def test_a_link_into_a_cache_is_a_file_among_its_siblings(folder: Path, cells: AnnData, tmp_path: Path) -> None:
    blob = tmp_path / "blobs" / "0a1b2c"
    blob.parent.mkdir()
    (folder / "tiny.safetensors").rename(blob)
    (folder / "tiny.safetensors").symlink_to(blob)
    model = Tiny(weights=folder / "tiny.safetensors")
    assert set(model.record()["sha256"]) == {"tiny.safetensors", "genes.json"}


def test_sizes_for_published_weights(folder: Path) -> None:
    with pytest.raises(InputError, match="for published weights"):
        Tiny(weights=folder, config={"width": 4}).load()
