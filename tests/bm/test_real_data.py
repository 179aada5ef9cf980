"""Real tissue: what holds there and may fail in made-up data."""

import json
import subprocess
import sys

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import stfmkit as sk

pytestmark = [pytest.mark.real_data, pytest.mark.slow]


def test_her2st_expression_beats_place_and_depth_in_held_out_patients(real_data):
    data = ad.read_h5ad(real_data / "her2st_patients_A-F.h5ad")
    frequent = np.argsort(-np.asarray((data.X > 0).sum(axis=0)).ravel())[:1500]
    data = data[:, np.sort(frequent)]
    data = data[np.asarray(data.X.sum(axis=1)).ravel() > 0].copy()
    protocol = sk.bm.Protocol(
        patient_key="patient",
        sample_key="section",
        label_key="label",
        split=sk.pp.PatientKFold(6),
        spatial_key="spatial_um",
        n_target_genes=60,
        linear_c=(1e-3, 1e-2, 1e-1),
    )
    results = sk.bm.run(
        data,
        ["hvg_pca", "coordinates", "library_size"],
        protocol=protocol,
        tasks=["niche_probe", "expression"],
        n_jobs=2,
        show_progress=False,
    )
    for reference in ("coordinates", "library_size"):
        found = results.compare("hvg_pca", reference, task="expression").iloc[0]
        assert found["wins"] == 6
        assert found["p_value"] == 2 / 64
        assert found["difference"] > 0.05
    labelled = set(results.table.query("task == 'niche_probe'")["sample"])
    assert labelled == {"A1", "B1", "C1", "D1", "E1", "F1"}  # the other sections have no labels
    assert set(results.table.query("task == 'expression'")["sample"]) == set(data.obs["section"])
    assert results.meta["data"]["n_labelled"] == int(data.obs["has_label"].sum())


def test_dlpfc_coordinates_fall_from_random_to_blocked_folds(real_data):
    data = ad.read_h5ad(real_data / "dlpfc_visium_151673_151675.h5ad")
    score = {}
    for name, split in {
        "random": sk.pp.RandomKFold(5),
        "blocked": sk.pp.SpatialBlockKFold(block=1650, buffer=300),
    }.items():
        protocol = sk.bm.Protocol(
            patient_key="donor", sample_key="section", label_key="layer", split=split, microns_per_unit=0.73
        )
        results = sk.bm.run(
            data,
            ["coordinates"],
            protocol=protocol,
            tasks=["niche_probe"],
            allow=["patient on both sides", "neighbours on both sides"],
            n_jobs=2,
            show_progress=False,
        )
        score[name] = results.rank(metric="macro_f1", setting="probe=knn")["mean"].iloc[0]
        assert set(results.rank()["verdict"]) == {"only contender"}  # of one patient: nothing is tested
    assert score["random"] > 0.8
    assert score["blocked"] < 0.65


def test_dlpfc_from_the_command_line_gives_the_same_numbers(real_data, tmp_path):
    path = real_data / "dlpfc_visium_151673_151675.h5ad"
    command = [
        *(sys.executable, "-m", "stfmkit", "bench", str(path), "--patient-key", "donor", "--sample-key", "section"),
        *("--label-key", "layer", "--models", "coordinates,library_size", "--tasks", "domains", "--split", "block"),
        *("--block", "1650", "--buffer", "300", "--microns-per-unit", "0.73", "--out", str(tmp_path / "r")),
    ]
    subprocess.run(command, check=True, capture_output=True)
    protocol = sk.bm.Protocol(
        patient_key="donor",
        sample_key="section",
        label_key="layer",
        split=sk.pp.SpatialBlockKFold(block=1650, buffer=300),
        microns_per_unit=0.73,
    )
    results = sk.bm.run(
        ad.read_h5ad(path),
        ["coordinates", "library_size"],
        protocol=protocol,
        tasks=["domains"],
        show_progress=False,
    )
    loaded = sk.bm.Results.load(tmp_path / "r")
    assert loaded.protocol_id == results.protocol_id
    pd.testing.assert_frame_equal(loaded.table.drop(columns="seconds"), results.table.drop(columns="seconds"))
    assert json.loads((tmp_path / "r" / "results.json").read_text())["findings"] == [
        finding.as_dict() for finding in results.findings
    ]
