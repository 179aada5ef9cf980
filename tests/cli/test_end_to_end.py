"""The command line as a user meets it: processes, files, exit codes."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from anndata import AnnData

import stfmkit as sk

pytestmark = pytest.mark.slow

MODELS = ("library_size", "coordinates", "random", "random_smooth", "hvg_pca", "neighbor_pca")
BENCH = (
    "--patient-key", "patient", "--sample-key", "sample", "--label-key", "niche", "--n-splits", "4",
    "--n-target-genes", "10", "--models", ",".join(MODELS),
)  # fmt: skip


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "stfmkit", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(*arguments: object) -> tuple[int, str, str]:
    process = start(*arguments)
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err


def finished_units(out: Path) -> dict[Path, int]:
    """Return the time of every entry of the store that is there as a whole."""
    entries = [path for path in (out / "finished").glob("*") if not path.name.startswith(".")]
    return {path: path.stat().st_mtime_ns for path in entries}


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns="seconds").reset_index(drop=True)


def in_python(toy: AnnData) -> pd.DataFrame:
    protocol = sk.bm.Protocol(
        patient_key="patient", sample_key="sample", label_key="niche", n_target_genes=10, split=sk.pp.PatientKFold(4)
    )
    return sk.bm.run(toy, contenders=list(MODELS), protocol=protocol, show_progress=False).table


def test_demo(tmp_path: Path) -> None:
    code, out, err = finish("demo", "--quick", "--out", tmp_path / "demo")
    assert code == 0, err
    report = (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    assert "hvg_pca" in report
    assert "hvg_pca" in out
    assert str(tmp_path / "demo" / "report.html") in err
    results = sk.bm.Results.load(tmp_path / "demo")
    assert results.table["patient"].replace("", None).nunique() == 4  # rows of the cohort have no patient
    spots = sk.io.read(tmp_path / "demo" / "spots.h5ad")
    assert {"patient", "sample", "niche"} <= set(spots.obs.columns)

    assert finish("report", tmp_path / "demo", "--out", tmp_path / "again.html")[0] == 0
    assert "hvg_pca" in (tmp_path / "again.html").read_text(encoding="utf-8")


def test_bench_from_the_command_line_and_from_python_gives_the_same_numbers(
    toy: AnnData, spots: Path, tmp_path: Path
) -> None:
    code, _, err = finish("bench", spots, *BENCH, "--out", tmp_path / "o")
    assert code == 0, err
    shell = pd.read_parquet(tmp_path / "o" / "table.parquet")
    pd.testing.assert_frame_equal(numbers(shell), numbers(in_python(toy)), check_exact=True, check_dtype=False)


@pytest.mark.parametrize(("sign", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_keeps_finished_units_and_goes_on(
    toy: AnnData, spots: Path, tmp_path: Path, sign: signal.Signals, expected: int
) -> None:
    out = tmp_path / "o"
    process = start("bench", spots, *BENCH, "--out", out)
    end = time.monotonic() + 300
    while not finished_units(out) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    process.send_signal(sign)
    _, err = process.communicate(timeout=120)
    assert process.returncode == expected, err
    assert "Finished units are kept" in err
    assert "Traceback" not in err
    kept = finished_units(out)
    assert kept
    assert not (out / "results.json").exists()

    code, _, err = finish("bench", spots, *BENCH, "--out", out)
    assert code == 0, err
    after = finished_units(out)
    assert {path: after[path] for path in kept} == kept  # nothing was done twice
    shell = pd.read_parquet(out / "table.parquet")
    pd.testing.assert_frame_equal(numbers(shell), numbers(in_python(toy)), check_exact=True, check_dtype=False)


def test_a_folder_of_something_else_is_not_touched(spots: Path, tmp_path: Path) -> None:
    quick = (*BENCH, "--models", "coordinates", "--tasks", "domains")
    before = spots.read_bytes()
    code, _, err = finish("bench", spots, *quick, "--out", tmp_path)
    assert code == 2
    assert "spots.h5ad" in err
    assert [path.name for path in tmp_path.iterdir()] == ["spots.h5ad"]
    assert spots.read_bytes() == before

    out = tmp_path / "o"
    assert finish("bench", spots, *quick, "--out", out)[0] == 0
    table = (out / "table.parquet").read_bytes()
    code, _, err = finish("bench", spots, *quick, "--seed", "1", "--out", out)
    assert code == 2
    assert "protocol" in err
    assert (out / "table.parquet").read_bytes() == table
    assert finish("bench", spots, *quick, "--models", "coordinates,random", "--out", out)[0] == 0  # models may be added


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (("--patient-key", "patiend"), "patient"),
        (("--models", "hvg_pcaa"), "hvg_pca"),
        (("--tasks", "niche_prob"), "niche_probe"),
        (("--n-splits", "5"), "P4"),
        (("--split", "block"), "buffer 0"),
    ],
)
def test_wrong_input_is_told_before_any_work(spots: Path, tmp_path: Path, change: tuple[str, str], hint: str) -> None:
    code, _, err = finish("bench", spots, *BENCH, *change, "--out", tmp_path / "o")
    assert code == 2, err
    for part in ("Found:", "Allowed:", "Remedy:", hint):
        assert part in err
    assert "Traceback" not in err
    assert finished_units(tmp_path / "o") == {}


def test_bin_and_embed_join_up(tmp_path: Path) -> None:
    cells = sk.datasets.synthetic_cohort(1, n_genes=40, as_="anndata", rng=0)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    spots, embedded = tmp_path / "spots.h5ad", tmp_path / "embedded.h5ad"
    code, _, err = finish(
        "bin", tmp_path / "cells.h5ad", "--shape", "hex_gapless", "--pitch", 100, "--sample-key", "sample",
        "--carry", "niche", "--out", spots,
    )  # fmt: skip
    assert code == 0, err
    assert sk.io.read(spots).X.sum() <= cells.X.sum()
    code, _, err = finish("embed", spots, "--model", "neighbor_pca", "--sample-key", "sample", "--out", embedded)
    assert code == 0, err
    assert len(sk.io.read(embedded).obsm["X_neighbor_pca"]) == sk.io.read(spots).n_obs
