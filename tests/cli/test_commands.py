"""Every command, with stand-ins for the long work."""

import inspect
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

import stfmkit as sk
from stfmkit._core.errors import InputError
from stfmkit.pp._bin import bin as bin_molecules
from stfmkit.service.bin import BinRequest

KEYS = ("--patient-key", "patient", "--sample-key", "sample", "--label-key", "niche")


def test_defaults_of_bin_are_those_of_the_function() -> None:
    parameters = inspect.signature(bin_molecules).parameters
    for name, field in BinRequest.model_fields.items():
        if name in parameters and not field.is_required() and name not in {"mask", "carry"}:
            assert field.default == parameters[name].default, name


def test_bench_runs_what_was_asked_for(stfmkit, bm_run: SimpleNamespace, spots: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    result = stfmkit(
        "bench", spots, *KEYS, "--models", "hvg_pca,coordinates", "--models", "X_mine", "--tasks", "niche_probe",
        "--n-splits", 4, "--seed", 3, "--jobs", 2, "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    (call,) = bm_run.calls
    assert call["contenders"] == ["hvg_pca", "coordinates", "X_mine"]
    assert call["tasks"] == ["niche_probe"]
    assert call["n_jobs"] == 2
    assert call["out"] == out
    assert call["table_key"] is None
    assert call["data"].shape == (240, 40)
    assert call["protocol"] == sk.bm.Protocol(
        patient_key="patient", sample_key="sample", label_key="niche", split=sk.pp.PatientKFold(4), rng=3
    )
    assert "spots.h5ad" in (out / "report.html").read_text()


def test_bench_shows_ranking_and_findings(stfmkit, bm_run: SimpleNamespace, spots: Path, tmp_path: Path) -> None:
    result = stfmkit("bench", spots, *KEYS, "--models", "hvg_pca", "--out", tmp_path / "o")
    assert "0.812" in result.stdout
    assert "niche_probe · macro_f1 n=5" in result.stdout
    assert "0.700 to 0.900" in result.stdout
    assert "cannot test: 4 patients" in result.stdout
    assert "0123456789ab" in result.stdout
    assert "[bold]odd[/bold]" in result.stdout  # names are shown, never obeyed
    assert result.stderr.index("one error") < result.stderr.index("one warning")
    assert "one note" not in result.output
    assert str(tmp_path / "o" / "report.html") in result.stderr


def test_bench_from_a_file_of_choices(stfmkit, bm_run: SimpleNamespace, spots: Path, tmp_path: Path) -> None:
    config = tmp_path / "bench.yaml"
    config.write_text(
        "data: spots.h5ad\nout: results\npatient_key: patient\nsample-key: sample\ncontenders: [a, b]\nrng: 5\n"
    )
    result = stfmkit("bench", "--config", config, "--seed", 6)
    assert result.exit_code == 0, result.output
    assert bm_run.calls[0]["protocol"].rng == 6
    assert bm_run.calls[0]["contenders"] == ["a", "b"]
    assert bm_run.calls[0]["out"] == tmp_path / "results"


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (InputError("found it", allowed="b", remedy="c"), 2, "found it"),
        (KeyboardInterrupt(), 130, "Nothing was finished yet"),
        (ZeroDivisionError("a bug"), 1, ""),
    ],
)
def test_exit_codes_of_bench(
    stfmkit, bm_run: SimpleNamespace, spots: Path, tmp_path: Path, error: BaseException, code: int, text: str
) -> None:
    bm_run.error = error
    result = stfmkit("bench", spots, *KEYS, "--models", "a", "--out", tmp_path / "o")
    assert result.exit_code == code
    assert text in result.stderr
    assert not (tmp_path / "o").exists()


def test_a_missing_or_broken_file_starts_nothing(stfmkit, bm_run: SimpleNamespace, spots: Path, tmp_path: Path) -> None:
    missing = stfmkit("bench", tmp_path / "spot.h5ad", *KEYS, "--models", "a", "--out", tmp_path / "o")
    assert missing.exit_code == 2
    assert "Did you mean 'spots.h5ad'" in missing.stderr
    spots.write_bytes(spots.read_bytes()[:1000])
    broken = stfmkit("bench", spots, *KEYS, "--models", "a", "--out", tmp_path / "o")
    assert broken.exit_code == 2
    assert "truncated" in broken.stderr
    assert bm_run.calls == []
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("quick", [True, False])
def test_demo(
    stfmkit, bm_run: SimpleNamespace, toy: AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: bool
) -> None:
    made: dict[str, Any] = {}

    def synthetic_cohort(n_patients: int, **options: Any) -> str:
        made.update(options, n_patients=n_patients)
        return "cohort"

    def xisium(data: str, **options: Any) -> AnnData:
        made.update(binned=data, **options)
        return toy

    monkeypatch.setattr(sk.datasets, "synthetic_cohort", synthetic_cohort, raising=False)
    monkeypatch.setattr(sk.pp, "xisium", xisium, raising=False)
    out = tmp_path / "demo"
    result = stfmkit("demo", "--out", out, "--seed", 7, *(["--quick"] if quick else []))
    assert result.exit_code == 0, result.output
    assert made["rng"] == 7
    assert made["binned"] == "cohort"
    assert set(made["carry"]) == {"niche", "cell_type", "patient"}
    (call,) = bm_run.calls
    assert {"hvg_pca", "coordinates", "library_size"} <= set(call["contenders"])
    assert len(call["contenders"]) == (3 if quick else 8)
    assert call["protocol"].split.n_splits <= made["n_patients"]
    assert call["protocol"].n_target_genes <= made["n_genes"] // 2
    assert str(out / "report.html") in result.stderr
    assert anndata.read_h5ad(out / "spots.h5ad").shape == toy.shape


def test_models(stfmkit, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = stfmkit("models")
    assert listed.exit_code == 0
    for name in sk.models.list_models()["name"]:
        assert f" {name} " in listed.stdout
    card = sk.models.model_card("hvg_pca")
    shown = stfmkit("models", "hvg_pca")
    assert shown.exit_code == 0
    assert card.licence in shown.stdout
    assert card.summary.split()[0] in shown.stdout
    unknown = stfmkit("models", "hvg_pcs")
    assert unknown.exit_code == 2
    assert "hvg_pca" in unknown.stderr


def test_embed(stfmkit, spots: Path, tmp_path: Path) -> None:
    out = tmp_path / "embedded.h5ad"
    result = stfmkit("embed", spots, "--model", "library_size", "--sample-key", "sample", "--out", out)
    assert result.exit_code == 0, result.output
    back = anndata.read_h5ad(out)
    expected = sk.tl.embed(anndata.read_h5ad(spots), "library_size", sample_key="sample", rng=0, copy=True)
    np.testing.assert_array_equal(back.obsm["X_library_size"], expected)
    again = stfmkit("embed", spots, "--model", "library_size", "--sample-key", "sample", "--out", out)
    assert again.exit_code == 2
    assert "exists" in again.stderr


@pytest.mark.parametrize(
    ("option", "text"),
    [("weights=random", "give weights as a field"), ("rng=3", "give rng as a field"), ("copy=true", "leave it out")],
)
def test_embed_options_that_have_a_flag_are_refused(
    stfmkit, spots: Path, tmp_path: Path, option: str, text: str
) -> None:
    result = stfmkit("embed", spots, "--model", "random", "--option", option, "--out", tmp_path / "e.h5ad")
    assert result.exit_code == 2
    assert text in result.stderr
    assert not (tmp_path / "e.h5ad").exists()


def test_embed_with_an_unknown_model_writes_nothing(stfmkit, spots: Path, tmp_path: Path) -> None:
    result = stfmkit("embed", spots, "--model", "hvg_pcaa", "--sample-key", "sample", "--out", tmp_path / "e.h5ad")
    assert result.exit_code == 2
    assert "Did you mean 'hvg_pca'" in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["spots.h5ad"]


def test_bin_passes_on_what_was_given_and_the_defaults(
    stfmkit, toy: AnnData, spots: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[object, dict[str, Any]]] = []

    def stand_in(data: object, grid: object, **options: Any) -> AnnData:
        calls.append((data, {"grid": grid, **options}))
        return toy

    monkeypatch.setattr(sk.pp, "bin", stand_in, raising=False)
    parquet = tmp_path / "m.parquet"
    parquet.touch()
    out = tmp_path / "b.h5ad"
    result = stfmkit(
        "bin", parquet, "--shape", "hex", "--pitch", 100, "--spot-diameter", 55, "--carry", "a,b", "--carry", "c",
        "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert calls[0][0] == parquet
    assert calls[0][1] == {"grid": sk.pp.HexGrid(100, 55), "carry": ["a", "b", "c"]}
    assert anndata.read_h5ad(out).shape == toy.shape
    assert stfmkit("bin", spots, "--shape", "square", "--pitch", 16, "--out", tmp_path / "c.h5ad").exit_code == 0
    assert calls[1][0].shape == toy.shape  # a table is read first
    assert calls[1][1] == {"grid": sk.pp.SquareGrid(16)}
    assert stfmkit("bin", parquet, "--shape", "hex", "--pitch", 100, "--out", out).exit_code == 2
    absent = stfmkit("bin", tmp_path / "no.parquet", "--shape", "hex", "--pitch", 1, "--out", tmp_path / "d.h5ad")
    assert absent.exit_code == 2


def test_report_of_a_folder_that_is_none(stfmkit, tmp_path: Path) -> None:
    result = stfmkit("report", tmp_path)
    assert result.exit_code == 2
    assert "SHA256SUMS" in result.stderr
    taken = tmp_path / "r.html"
    taken.write_text("mine")
    assert stfmkit("report", tmp_path, "--out", taken).exit_code == 2
    assert taken.read_text() == "mine"


def test_bin_takes_a_unit(stfmkit, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.uniform(0, 3000, 4000), "y": rng.uniform(0, 3000, 4000), "gene": "G1"})
    table.to_parquet(tmp_path / "m.parquet")
    shape = ("--shape", "square", "--pitch", 50)
    refused = stfmkit("bin", tmp_path / "m.parquet", *shape, "--out", tmp_path / "a.h5ad")
    assert refused.exit_code == 2
    assert "microns_per_unit" in refused.output
    done = stfmkit("bin", tmp_path / "m.parquet", *shape, "--microns-per-unit", 0.2, "--out", tmp_path / "a.h5ad")
    assert done.exit_code == 0, done.output
    assert anndata.read_h5ad(tmp_path / "a.h5ad").X.sum() == 4000


SQUARES = pd.DataFrame({"x": np.arange(4000) % 197 * 1.5, "y": np.arange(4000) % 211 * 1.25, "gene": "G1"})


def test_bin_writes_a_file_for_every_resolution(stfmkit, tmp_path: Path) -> None:
    SQUARES.to_parquet(tmp_path / "m.parquet")
    ask = ("bin", tmp_path / "m.parquet", "--shape", "square", "--microns-per-unit", 1, "--mask", "none")
    ladder = ("--resolutions", "20,62.5", "--resolutions", 40, "--out", tmp_path / "b.h5ad")
    done = stfmkit(*ask, *ladder)
    assert done.exit_code == 0, done.output
    for pitch in (20, 62.5, 40):
        found = anndata.read_h5ad(tmp_path / f"b_{pitch:g}um.h5ad")
        expected = sk.pp.bin(SQUARES, sk.pp.SquareGrid(pitch), microns_per_unit=1.0, mask=None)
        assert (found.X != expected.X).nnz == 0
        assert f"b_{pitch:g}um.h5ad: {expected.n_obs} spots" in done.output
    assert not (tmp_path / "b.h5ad").exists()
    again = stfmkit(*ask, *ladder)
    assert again.exit_code == 2
    assert "exists" in again.output


@pytest.mark.parametrize(
    ("flags", "match"),
    [
        (("--resolutions", "8,x"), "--resolutions[1] is 'x' (text)"),
        (("--resolutions", "8", "--pitch", 8), "pitch is 8.0 and resolutions are [8.0]"),
        ((), "pitch is None and resolutions are []"),
        (("--pitch", 8, "--spot-diameter", 5), "shape is square and spot_diameter is 5.0"),
        (("--pitch", 8, "--mask", "polygon"), "--mask is 'polygon' (text)"),
        (("--pitch", 8, "--origin", "1,y"), "--origin is [1, 'y'] (a list)"),
        (("--pitch", 8, "--key-added", "bins"), "ends in .zarr"),
    ],
)
def test_bin_refuses_what_does_not_fit(stfmkit, flags: tuple, match: str, tmp_path: Path) -> None:
    SQUARES.to_parquet(tmp_path / "m.parquet")
    options = ("--shape", "square", "--microns-per-unit", 1, "--out", tmp_path / "b.h5ad")
    result = stfmkit("bin", tmp_path / "m.parquet", *options, *flags)
    assert result.exit_code == 2
    assert match in result.output
    assert [p.name for p in tmp_path.iterdir()] == ["m.parquet"]


def test_bin_passes_on_the_lattice(stfmkit, tmp_path: Path, toy: AnnData, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []
    stand_in = lambda data, grid, **options: (calls.append({"grid": grid, **options}), toy)[1]  # noqa: E731
    monkeypatch.setattr(sk.pp, "bin", stand_in, raising=False)
    (tmp_path / "m.parquet").touch()
    result = stfmkit(
        "bin", tmp_path / "m.parquet", "--shape", "square", "--pitch", 100, "--origin", "-3,4.5", "--angle", 5,
        "--keep-controls", "--mask", "none", "--x-key", "px", "--coordinate-system", "um", "--out", tmp_path / "b.h5ad",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert calls[0] == {
        "grid": sk.pp.SquareGrid(100, origin=(-3.0, 4.5), angle=5.0), "drop_controls": False, "mask": None,
        "columns": {"x": "px"}, "coordinate_system": "um",
    }  # fmt: skip


def test_bin_as_hest(stfmkit, tmp_path: Path) -> None:
    SQUARES.to_parquet(tmp_path / "m.parquet")
    ask = ("bin", tmp_path / "m.parquet", "--shape", "square", "--microns-per-unit", 1, "--hest-compat")
    done = stfmkit(*ask, "--pitch", 100, "--out", tmp_path / "a.h5ad")
    assert done.exit_code == 0, done.output
    assert anndata.read_h5ad(tmp_path / "a.h5ad").X.sum() == len(SQUARES)
    refused = stfmkit(*ask, "--pitch", 50, "--out", tmp_path / "b.h5ad")
    assert refused.exit_code == 2
    assert "shape square and pitch 100" in refused.output


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of ome-zarr, when it is imported
@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning", "ignore::UserWarning")
def test_bin_writes_elements_of_a_store(stfmkit, tmp_path: Path) -> None:
    import spatialdata as sd
    from spatialdata.models import PointsModel

    sd.SpatialData(points={"m": PointsModel.parse(SQUARES)}).write(tmp_path / "in.zarr")
    ask = ("--shape", "square", "--microns-per-unit", 1, "--key-added", "bins", "--mask", "none")
    out = tmp_path / "out.zarr"
    result = stfmkit("bin", tmp_path / "in.zarr", *ask, "--resolutions", "20,40", "--out", out)
    assert result.exit_code == 0, result.output
    found = sd.read_zarr(out)
    assert sorted(found.shapes) == ["bins_20um", "bins_40um"]
    assert sorted(found.tables) == ["bins_20um_table", "bins_40um_table"]
    assert found.tables["bins_20um_table"].X.sum() == found.tables["bins_40um_table"].X.sum() == len(SQUARES)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.zarr", "out.zarr"]
    assert not sd.read_zarr(tmp_path / "in.zarr").shapes


# any request from a file, and JSON


def test_run_takes_any_request(stfmkit, bm_run: SimpleNamespace, spots: Path, tmp_path: Path) -> None:
    file = tmp_path / "request.yaml"
    file.write_text("bench:\n  data: spots.h5ad\n  out: results\n  patient_key: patient\n  sample_key: sample\n"
                    "  contenders: {mine: X_mine}\n")  # fmt: skip
    result = stfmkit("run", file)
    assert result.exit_code == 0, result.output
    assert bm_run.calls[0]["contenders"] == {"mine": "X_mine"}
    assert bm_run.calls[0]["out"] == tmp_path / "results"
    assert "0.812" in result.stdout
    assert str(tmp_path / "results" / "report.html") in result.stderr


def test_run_reads_json_and_standard_input_and_prints_json(stfmkit, tmp_path: Path) -> None:
    request = json.dumps({"command": "models", "family": "baseline"})
    (tmp_path / "request.json").write_text(request)
    for result in (stfmkit("run", tmp_path / "request.json", "--json"), stfmkit("run", "-", "--json", input=request)):
        assert result.exit_code == 0, result.output
        response = json.loads(result.stdout)
        assert (response["command"], response["status"]) == ("models", "done")
        assert [model["name"] for model in response["models"]] == list(sk.models.list_models(family="baseline")["name"])


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("command: bnch\n", "Did you mean 'bench'"),
        ("data: x\nout: y\n", "names no command"),
        ("command: report\nresult: x\n", "Did you mean 'results'"),
        ("- a\n", "holds a list"),
    ],
)
def test_run_refuses_what_is_no_request(stfmkit, tmp_path: Path, text: str, hint: str) -> None:
    (tmp_path / "r.yaml").write_text(text)
    result = stfmkit("run", tmp_path / "r.yaml")
    assert result.exit_code == 2
    assert hint in result.stderr
    told = stfmkit("run", tmp_path / "r.yaml", "--json")
    assert told.exit_code == 2
    assert json.loads(told.stdout)["status"] == "failed"
    assert told.stderr == ""


def test_json_of_every_command_that_is_quick(stfmkit, bm_run: SimpleNamespace, spots: Path, tmp_path: Path) -> None:
    bench = stfmkit("bench", spots, *KEYS, "--models", "a", "--out", tmp_path / "o", "--json")
    response = json.loads(bench.stdout)
    assert response["protocol_id"] == "0123456789ab"
    assert response["ranking"][1]["low"] is None  # not a number
    assert len(response["findings"]) == 3
    assert "Reading" in bench.stderr
    embed = stfmkit("embed", spots, "--model", "coordinates", "--sample-key", "sample", "--out", tmp_path / "e.h5ad",
                    "--json")  # fmt: skip
    response = json.loads(embed.stdout)
    assert response["key"] == "X_coordinates"
    assert (response["n_obs"], response["dimension"]) == (240, 2)
    failed = stfmkit("embed", spots, "--model", "coordinates", "--out", tmp_path / "e.h5ad", "--json")
    assert failed.exit_code == 2
    assert "exists" in json.loads(failed.stdout)["found"]


def test_schema(stfmkit) -> None:
    every = json.loads(stfmkit("schema").stdout)
    assert set(every) == {"audit", "bench", "bin", "demo", "embed", "models", "report"}
    assert json.loads(stfmkit("schema", "bench").stdout) == every["bench"]
    unknown = stfmkit("schema", "bnch")
    assert unknown.exit_code == 2
    assert "Did you mean 'bench'" in unknown.stderr


def test_audit_prints_findings_and_leaves_with_what_bench_would_do(stfmkit, spots: Path) -> None:
    good = stfmkit("audit", spots, *KEYS, "--n-splits", 4)
    assert good.exit_code == 0, good.output
    assert "cannot test" in good.stdout
    bad = stfmkit("audit", spots, *KEYS, "--split", "random")
    assert bad.exit_code == 3
    assert bad.stdout.index("Error · patient on both sides") < bad.stdout.index("Info · cannot test")
    assert "Remedy: use PatientKFold" in bad.stdout
    as_json = stfmkit("audit", spots, *KEYS, "--split", "random", "--json")
    assert as_json.exit_code == 3
    assert json.loads(as_json.stdout)["n_errors"] == 2
    assert stfmkit("audit", spots, "--patient-key", "nobody", "--sample-key", "sample").exit_code == 2


def test_audit_prints_the_table_of_a_finding(stfmkit, toy: AnnData, tmp_path: Path) -> None:
    toy.obs["patient"] = toy.obs["patient"].astype(str).replace({"P2": "p-1"})
    toy.write_h5ad(tmp_path / "t.h5ad")
    result = stfmkit("audit", tmp_path / "t.h5ad", *KEYS, "--n-splits", 3)
    assert result.exit_code == 3
    assert "also written as" in result.stdout
