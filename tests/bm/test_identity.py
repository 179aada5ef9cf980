"""Scores that are found in a folder are those of the same content, code and libraries; everything else is computed."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from safetensors.torch import load_file, save_file
from tests.bm.conftest import make_cohort, make_protocol
from tests.models.zoo._cases import gene_ids
from tests.models.zoo._published import DATA

import stfmkit as sk
from stfmkit._core import definition
from stfmkit.bm.resolve_contenders import resolve_contenders
from stfmkit.bm.study import load_study
from stfmkit.bm.task_catalogue import catalogue as tasks
from stfmkit.bm.task_identity import task_identity
from stfmkit.methods.catalogue import catalogue as methods
from stfmkit.models.catalogue import MODELS
from stfmkit.models.nets.network import Network

FOLDER = "Geneformer-V1-10M"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with published files: weights in a folder, and their dictionaries in the folder above."""
    shutil.copytree(DATA / "geneformer", tmp_path / "w")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows in every batch that a network has computed."""
    rows: list[int] = []
    real = Network.encode
    monkeypatch.setattr(Network, "encode", lambda self, batch: rows.append(batch.n_obs) or real(self, batch))
    return rows


def cells(*, symbols: bool = False) -> AnnData:
    """A cohort whose genes the small network knows."""
    made = make_cohort(per_patient=16)
    made.var_names = [f"GENE{i}" for i in range(60)] if symbols else gene_ids(60)
    return made


def compared(out: Path, options: dict[str, Any], *, symbols: bool = False) -> sk.bm.Results:
    """Return the results of one network in one task."""
    return sk.bm.run(
        cells(symbols=symbols),
        {"net": ("geneformer-v1", options)},
        protocol=make_protocol(split=sk.pp.PatientKFold(2), linear_c=(0.1,)),
        tasks=["niche_probe"],
        out=out,
        show_progress=False,
    )


def scores(results: sk.bm.Results) -> pd.DataFrame:
    return results.table[["contender", "metric", "setting", "fold", "sample", "status", "value"]]


def change_weights(home: Path) -> None:
    """Other tensors, in a file of the same size and time."""
    path = home / "w" / FOLDER / "model.safetensors"
    times, tensors = path.stat(), load_file(path)
    save_file({name: tensor * 1.5 + 0.3 for name, tensor in tensors.items()}, path, metadata={"format": "pt"})
    assert path.stat().st_size == times.st_size
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def change_dictionary(home: Path) -> None:
    """Other medians of the genes, in a folder beside that of the weights."""
    import pickle

    path = next((home / "w" / "geneformer").rglob("gene_median_dictionary*30M.pkl"))
    held = pickle.loads(path.read_bytes())
    draw = np.random.default_rng(0)
    path.write_bytes(pickle.dumps({name: value * draw.uniform(0.1, 10) for name, value in held.items()}))


def change_table(home: Path) -> None:
    """Other pairs of symbol and id."""
    write_table(home, reverse=True)


def write_table(home: Path, *, reverse: bool = False) -> None:
    ids = gene_ids(60)[::-1] if reverse else gene_ids(60)
    pd.DataFrame({"symbol": [f"GENE{i}" for i in range(60)], "ensembl": ids}).to_csv(home / "genes.csv")


def change_link(home: Path) -> None:
    """A link that leads to other weights."""
    shutil.copytree(home / "w", home / "v")
    (home / "link").unlink()
    (home / "link").symlink_to(home / "v")
    real = home / "v" / FOLDER / "model.safetensors"
    save_file({name: tensor * 1.5 + 0.3 for name, tensor in load_file(real).items()}, real)


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (change_weights, {"weights": f"~/w/{FOLDER}"}),
        (change_dictionary, {"weights": f"~/w/{FOLDER}"}),
        (change_table, {"weights": f"w/{FOLDER}", "gene_table": "~/genes.csv"}),
        (change_link, {"weights": f"link/{FOLDER}"}),
    ],
    ids=["weights", "dictionary above", "gene table", "link"],
)
def test_changed_files_are_computed_anew(
    home: Path,
    encoded: list[int],
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], None],
    options: dict[str, Any],
) -> None:
    monkeypatch.chdir(home)
    write_table(home)
    (home / "link").symlink_to(home / "w")
    symbols = "gene_table" in options
    first = compared(home / "o1", options, symbols=symbols)
    assert encoded
    encoded.clear()
    again = compared(home / "o1", options, symbols=symbols)
    assert not encoded
    assert scores(again).equals(scores(first))
    assert [f.check for f in again.findings if f.check == "replaced contender"] == []
    change(home)
    later = compared(home / "o1", options, symbols=symbols)
    assert encoded
    fresh = compared(home / "o2", options, symbols=symbols)
    assert scores(later).equals(scores(fresh))
    assert not scores(later).equals(scores(first))
    saved = sk.bm.Results.load(home / "o1")
    told = [f for f in saved.findings if f.check == "replaced contender"]
    assert [f.severity for f in told] == ["info"]
    assert "What changed: " in told[0].evidence
    recorded = saved.meta["contenders"]["net"]["computed_with"]
    assert recorded["loaded"]["sha256"]["model.safetensors"]
    assert recorded["versions"]["torch"]


def test_files_that_change_while_it_runs_stop_the_run(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Network.encode

    def encode(self: Network[Any], batch: Any) -> np.ndarray:
        change_weights(home)
        return real(self, batch)

    monkeypatch.setattr(Network, "encode", encode)
    with pytest.raises(sk.errors.InputError, match="changed since the comparison started"):
        sk.bm.run(
            cells(),
            {"net": ("geneformer-v1", {"weights": home / "w" / FOLDER})},
            protocol=make_protocol(split=sk.pp.PatientKFold(2), linear_c=(0.1,)),
            tasks=["niche_probe", "niche_signatures"],
            show_progress=False,
        )


@pytest.mark.parametrize("library", ["numpy", "scipy", "scikit-learn", "numba", "torch"])
def test_versions_of_libraries_decide(library: str, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    study = load_study(cells(), make_protocol())

    def told() -> tuple[str | None, ...]:
        many = {"net": ("geneformer-v1", {"weights": home / "w" / FOLDER}), "pca": "hvg_pca"}
        return tuple(contender.identity() for contender in resolve_contenders(many, study))

    net, pca = told()
    task = task_identity(tasks.find("niche_probe"))
    assert None not in (net, pca, task)
    real = definition._version
    monkeypatch.setattr(definition, "_version", lambda name: "0.0" if name == library else real(name))
    assert told()[0] != net
    assert (told()[1] == pca) is (library == "torch")
    assert (task_identity(tasks.find("niche_probe")) == task) is (library == "torch")


def test_another_library_replaces_the_scores_of_a_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*names: str) -> None:
        options = {"protocol": make_protocol(split=sk.pp.PatientKFold(2), linear_c=(0.1,)), "show_progress": False}
        sk.bm.run(cells(), list(names), tasks=["niche_probe"], out=tmp_path / "o", **options)

    run("coordinates", "library_size")
    run("hvg_pca")
    assert {"coordinates", "library_size", "hvg_pca"} <= set(sk.bm.Results.load(tmp_path / "o").table["contender"])
    real = definition._version
    monkeypatch.setattr(definition, "_version", lambda name: "0.0" if name == "scipy" else real(name))
    run("library_size")
    found = sk.bm.Results.load(tmp_path / "o")
    assert not {"coordinates", "hvg_pca"} & set(found.table["contender"])
    told = {f.check: f.evidence for f in found.findings if f.check.startswith("replaced")}
    assert "the scores of 'coordinates', 'hvg_pca' in it are gone" in told["replaced task"]
    assert "scipy" in told["replaced contender"]
    assert found.meta["tasks"]["niche_probe"]["computed_with"]["versions"]["scipy"] == "0.0"


@pytest.mark.parametrize("kind", ["model", "method", "task"])
def test_the_version_of_a_plug_in_decides(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = {"model": MODELS, "method": methods, "task": tasks}[kind]
    adata = cells()
    adata.obsm["X_e"] = np.random.default_rng(0).normal(size=(adata.n_obs, 3))
    study = load_study(adata, make_protocol())
    what: object = {"model": "hvg_pca", "method": ("domains/kmeans", {"embedding_key": "X_e", "n_clusters": 2})}.get(
        kind
    )

    def told() -> str | None:
        if kind == "task":
            return task_identity(tasks.find("domains"))
        (contender,) = resolve_contenders({"it": what}, study)
        return contender.identity()

    texts = set()
    for origin in (None, ("a-plug-in", "1"), ("a-plug-in", "2"), ("another", "1")):
        monkeypatch.setattr(catalogue, "brought_by", lambda name, origin=origin: origin)
        texts.add(told())
    assert len(texts - {None}) == 4


def test_another_revision_of_the_hub_decides(home: Path, encoded: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The same files under another commit are another answer of the hub, which the record names."""
    for commit in ("0123", "4567"):
        shutil.copytree(home / "w", home / "hub" / commit / "inside")
        shutil.copytree(home / "w" / FOLDER, home / "hub" / commit, dirs_exist_ok=True)
        shutil.copytree(home / "w" / "geneformer", home / "hub" / commit / "geneformer_")
        for path in (home / "hub" / commit / "geneformer_").rglob("*30M.pkl"):
            shutil.copy(path, home / "hub" / commit)
    commits = iter(["0123"] * 50)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(home / "hub" / next(commits)))
    results = compared(home / "o", {"weights": "someone/geneformer"})
    assert results.meta["contenders"]["net"]["computed_with"]["loaded"]["revision"] == "0123"
    encoded.clear()
    compared(home / "o", {"weights": "someone/geneformer"})
    assert not encoded
    commits = iter(["4567"] * 50)
    results = compared(home / "o", {"weights": "someone/geneformer"})
    assert encoded
    assert results.meta["contenders"]["net"]["computed_with"]["loaded"]["revision"] == "4567"


def test_what_a_task_holds_decides() -> None:
    task = tasks.find("niche_probe")
    other = type(task)()
    assert task_identity(other) == task_identity(task)
    vars(other)["depth"] = 3
    assert task_identity(other) != task_identity(task)
    vars(other)["depth"] = object()
    assert task_identity(other) is None


def test_a_graph_that_a_method_reads_decides() -> None:
    from scipy import sparse

    from stfmkit.bm.method_contenders import MethodContender, from_method

    adata = cells()
    adata.obsm["X_e"] = np.random.default_rng(0).normal(size=(adata.n_obs, 3))
    study = load_study(adata, make_protocol())
    contender = from_method("m", "domains/kmeans", {"embedding_key": "X_e", "n_clusters": 2}, study)
    table = contender.view.table.copy()
    table.obsp["graph"] = sparse.eye_array(table.n_obs, format="csr")
    texts = set()
    for weight in (1.0, 2.0):
        table.obsp["graph"].data[:] = weight
        made = replace(contender, view=replace(contender.view, table=table))
        assert isinstance(made, MethodContender)
        texts.add(made.identity())
    assert len({contender.identity(), *texts}) == 3
