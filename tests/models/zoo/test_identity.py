"""The identity of a network follows the content of every file that it reads, wherever the file lies."""

import os
import pickle
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file, save_file
from tests.models.zoo._cases import gene_ids, synthetic_counts
from tests.models.zoo._published import DATA

import stfmkit as sk
from stfmkit._core import definition
from stfmkit.models.catalogue import MODELS
from stfmkit.models.contract import EmbeddingModel
from stfmkit.models.nets.network import Network

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "geneformer-v1": ("geneformer/Geneformer-V1-10M", {}),
    "geneformer-v2": ("geneformer/Geneformer-V2-104M", {}),
    "sccello": ("sccello", {}),
    "cellama": ("cellama", {}),
    "scgpt": ("scgpt", {}),
    "scgpt-spatial": ("scgpt-spatial", {}),
    "nicheformer": ("nicheformer", {"modality": "spatial", "species": "human", "technology": "xenium"}),
    "uce": ("uce", {"species": "human", "chrom_token_offset": 160}),
    "scimilarity": ("scimilarity", {}),
    "scfoundation": ("scfoundation", {}),
    "transcriptformer": ("transcriptformer", {"assay": "unknown", "gene_order": "vocabulary"}),
    "cellplm": ("cellplm", {}),
    "stofm": ("stofm", {"split_num": 12}),
    "stformer": ("stformer", {}),
}
BINARY = {".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".torch", ".h5"}
"""Files that a line at the end would damage."""
OPENED: list[str] = []
NOTING: list[bool] = []


def _note(event: str, args: tuple[Any, ...]) -> None:
    if event == "open" and NOTING:
        OPENED.append(os.fsdecode(args[0]) if isinstance(args[0], (str, bytes, os.PathLike)) else "")


sys.addaudithook(_note)


def made(name: str, root: Path, **more: Any) -> EmbeddingModel:
    """Return a model on a copy of its published folder; loaded."""
    folder, options = CASES[name]
    if not root.exists():
        shutil.copytree(DATA / folder.partition("/")[0], root)
    place = root / folder.partition("/")[2]
    return sk.models.load_model(name, weights=place, **options, **more)


@pytest.mark.parametrize("name", CASES)
def test_every_file_that_is_read_decides(name: str, tmp_path: Path) -> None:
    made(name, tmp_path / "w")  # libraries are imported, which opens files of their own
    OPENED.clear()
    NOTING.append(True)
    model = made(name, tmp_path / "w")
    NOTING.clear()
    read = {Path(path).resolve() for path in OPENED if path}
    record = model.record()
    assert record is not None
    found = {path.resolve() for path in model.files.found}  # type: ignore[attr-defined]
    assert {path for path in read if path.is_relative_to(tmp_path)} <= found
    assert len(record["sha256"]) == len(found)
    before = model.identity()
    assert made(name, tmp_path / "elsewhere").identity() == before  # where files lie makes no difference
    plain = [path for path in found if path.suffix not in BINARY]
    for path in plain:
        content, times = path.read_bytes(), path.stat()
        path.write_bytes(content + b"\n")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert made(name, tmp_path / "w").identity() != before, path.name
        path.write_bytes(content)
    assert made(name, tmp_path / "w").identity() == before


def test_tensors_of_the_same_size_and_time_decide(tmp_path: Path) -> None:
    before = made("geneformer-v1", tmp_path / "w").identity()
    path = tmp_path / "w" / "Geneformer-V1-10M" / "model.safetensors"
    times, size = path.stat(), path.stat().st_size
    tensors = load_file(path)
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, path, metadata={"format": "pt"})
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert path.stat().st_size == size
    assert made("geneformer-v1", tmp_path / "w").identity() != before


def test_all_spellings_of_a_place_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = made("scimilarity", tmp_path / "w").identity()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "w")
    for place in ("~/w", "w", "./w/", "link", tmp_path / "link" / ".." / "w"):
        assert sk.models.load_model("scimilarity", weights=place).identity() == before
    (tmp_path / "link").unlink()
    shutil.copytree(tmp_path / "w", tmp_path / "other")
    (tmp_path / "other" / "gene_order.tsv").write_bytes((tmp_path / "w" / "gene_order.tsv").read_bytes() + b"\n")
    (tmp_path / "link").symlink_to(tmp_path / "other")
    assert sk.models.load_model("scimilarity", weights="link").identity() != before


def test_a_file_that_changes_while_the_model_is_loaded_is_refused(tmp_path: Path) -> None:
    model = made("scimilarity", tmp_path / "w")
    path = tmp_path / "w" / "gene_order.tsv"
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(sk.errors.InputError, match=r"gene_order.tsv was changed while"):
        model.identity()


def test_equal_names_in_equal_folders_are_all_on_record(tmp_path: Path) -> None:
    from stfmkit.models.weights.files import Files

    files = Files()
    for i, place in enumerate(("a/x", "b/x", "b/y")):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "f.json").write_text(str(i))
        files.find(tmp_path / place, "f.json", what="net")
    sums = files.checksums()
    assert list(sums) == ["a:x:f.json", "b:x:f.json", "y:f.json"]
    assert len(set(sums.values())) == 3


@pytest.mark.parametrize("change", ["nothing", "weights", "dictionary", "gene table", "library", "plug-in"])
def test_parts_are_found_again_by_the_same_content_alone(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(DATA / "geneformer", tmp_path / "w")
    genes = tmp_path / "genes.csv"
    pd.DataFrame({"symbol": [f"GENE{i}" for i in range(60)], "ensembl": gene_ids(60)}).to_csv(genes, index=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    rows: list[int] = []
    encode = Network.encode
    monkeypatch.setattr(Network, "encode", lambda self, batch: rows.append(batch.n_obs) or encode(self, batch))

    def embedded(folder: str) -> np.ndarray:
        cells = synthetic_counts([f"GENE{i}" for i in range(60)], n_obs=8)
        options = {"weights": "~/w/Geneformer-V1-10M", "gene_table": "~/genes.csv", "resume": tmp_path / folder}
        sk.tl.embed(cells, "geneformer-v1", key_added="X_t", show_progress=False, **options)
        record = cells.uns["stfmkit"]["embed"]["results"]["X_t"]
        assert record["provenance"]["gene_table_sha256"]
        assert {"numpy", "scipy", "scikit-learn", "numba", "torch"} <= set(record["versions"])
        return np.asarray(cells.obsm["X_t"])

    first = embedded("a")
    assert rows
    rows.clear()
    weights = tmp_path / "w" / "Geneformer-V1-10M" / "model.safetensors"
    if change == "weights":
        save_file({name: t * 1.5 + 0.3 for name, t in load_file(weights).items()}, weights, metadata={"format": "pt"})
    elif change == "dictionary":
        path = next((tmp_path / "w" / "geneformer").rglob("gene_median_dictionary*30M.pkl"))
        held = pickle.loads(path.read_bytes())
        path.write_bytes(pickle.dumps({name: held[name] * (1 + i % 7) for i, name in enumerate(held)}))
    elif change == "gene table":
        genes.write_text(genes.read_text().replace("GENE1,", "GENE99,").replace("GENE2,", "GENE1,"))
    elif change == "library":
        real = definition._version
        monkeypatch.setattr(definition, "_version", lambda name: "0" if name == "numba" else real(name))
    elif change == "plug-in":
        monkeypatch.setattr(MODELS, "brought_by", lambda name: ("plug", "2"))
    again = embedded("a")
    assert bool(rows) is (change != "nothing")
    assert np.array_equal(again, embedded("fresh"))
    assert np.array_equal(again, first) is (change in {"nothing", "library", "plug-in"})
