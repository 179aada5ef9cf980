"""Requests of a comparison: choices are checked, never guessed, and are those of Python."""

from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import stfmkit as sk
from stfmkit.service import RequestError, run
from stfmkit.service.bench import BenchRequest, contenders_of

GIVEN = {"data": "d.h5ad", "patient_key": "p", "sample_key": "s", "contenders": "a,b", "out": "o"}


def request(**choices: Any) -> BenchRequest:
    return BenchRequest.of({**GIVEN, **choices})


def test_defaults() -> None:
    made = request()
    assert made.contenders == ["a", "b"]
    assert (made.split, made.rng, made.n_jobs, made.spatial_key) == ("patient", 0, 1, "spatial")
    assert made.protocol() == sk.bm.Protocol(patient_key="p", sample_key="s")


def test_every_choice_of_a_protocol_is_a_field() -> None:
    assert {field.name for field in fields(sk.bm.Protocol)} <= set(BenchRequest.model_fields)


@pytest.mark.parametrize("key", ["data", "patient_key", "sample_key", "contenders", "out"])
def test_what_is_required_is_named(key: str) -> None:
    with pytest.raises(RequestError) as caught:
        BenchRequest.of({k: v for k, v in GIVEN.items() if k != key})
    assert caught.value.found == f"no {key}."


@pytest.mark.parametrize("contenders", [[], " , ", {}])
def test_no_contenders_are_no_list_of_contenders(contenders: object) -> None:
    with pytest.raises(RequestError, match="contenders"):
        request(contenders=contenders)


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({}, {"name": "PatientKFold", "n_splits": 5}),
        ({"n_splits": 3}, {"name": "PatientKFold", "n_splits": 3}),
        ({"split": "slide", "n_splits": 3}, {"name": "SlideKFold", "n_splits": 3}),
        ({"split": "random"}, {"name": "RandomKFold", "n_splits": 5}),
        (
            {"split": "block", "block": 500, "buffer": 0},
            {"name": "SpatialBlockKFold", "block": 500.0, "buffer": 0.0, "n_splits": 5},
        ),
    ],
)
def test_splits(choices: dict[str, object], expected: dict[str, object]) -> None:
    assert request(**choices).splitter().describe() == expected


@pytest.mark.parametrize(
    ("choices", "hint"),
    [
        ({"split": "blok"}, "Did you mean 'block'"),
        ({"split": "block"}, "without block or buffer"),
        ({"split": "block", "block": 100.0}, "buffer 0"),
        ({"split": "patient", "buffer": 100.0}, "set split to block"),
    ],
)
def test_splits_that_are_not_determined(choices: dict[str, object], hint: str) -> None:
    with pytest.raises(RequestError, match=hint):
        request(**choices)


def test_the_protocol_is_that_of_python() -> None:
    choices: dict[str, Any] = {
        "label_key": "l",
        "n_target_genes": 7,
        "rng": 4,
        "microns_per_unit": 2,
        "celltype_key": "c",
        "image_key": ["he"],
        "coordinate_system": "tissue",
        "layer": "x",
        "ridge_alpha": [1.0, 10.0],
        "target_genes": ["G1", "G2"],
    }
    expected = sk.bm.Protocol(patient_key="p", sample_key="s", split=sk.pp.PatientKFold(5), **choices)
    assert request(**choices).protocol() == expected


def test_weights_follow_a_colon() -> None:
    assert contenders_of(["hvg_pca", "coordinates"]) == ["hvg_pca", "coordinates"]
    assert contenders_of(["hvg_pca", "scgpt:random", "scgpt:C:\\w"]) == {
        "hvg_pca": "hvg_pca",
        "scgpt:random": ("scgpt", {"weights": "random"}),
        "scgpt:C:\\w": ("scgpt", {"weights": "C:\\w"}),
    }
    assert contenders_of(["model:hvg_pca", "obsm:X_pca", "layer:a:b"]) == ["model:hvg_pca", "obsm:X_pca", "layer:a:b"]
    assert contenders_of(["model:scgpt:random", "obs:cluster"]) == {
        "model:scgpt:random": ("scgpt", {"weights": "random"}),
        "obs:cluster": "obs:cluster",
    }


def test_contenders_with_labels() -> None:
    given = {"a": "hvg_pca", "b": {"model": "scgpt", "weights": "random"}}
    assert contenders_of(request(contenders=given).contenders) == {
        "a": "hvg_pca",
        "b": ("scgpt", {"weights": "random"}),
    }
    with pytest.raises(RequestError, match="'c' is of type list"):
        request(contenders={"c": ["scgpt"]})


def test_weights_beside_the_file_are_found(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    specs = {name: {"model": "scgpt", "weights": name} for name in ("weights", "owner/repository", "random", "~/w")}
    found = BenchRequest.located({**GIVEN, "contenders": specs}, tmp_path)["contenders"]
    assert {label: spec["weights"] for label, spec in found.items()} == {
        "weights": str(tmp_path / "weights"),
        "owner/repository": "owner/repository",
        "random": "random",
        "~/w": str(Path("~/w").expanduser()),
    }


def test_the_work_is_that_of_python(bm_run: SimpleNamespace, spots: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    response = run(request(data=spots, out=out, patient_key="patient", sample_key="sample", tasks=["domains"]))
    (call,) = bm_run.calls
    assert call["data"].shape == (240, 40)
    assert (call["contenders"], call["tasks"], call["n_jobs"], call["out"]) == (["a", "b"], ["domains"], 1, out)
    assert call["protocol"] == sk.bm.Protocol(patient_key="patient", sample_key="sample")
    assert response.report == out / "report.html"
    assert response.protocol_id == "0123456789ab"
    assert response.n_scores == 9
    assert response.head[:2] == [{"task": "niche_probe", "value": 0.5}, {"task": "niche_probe", "value": None}]
    assert len(response.head) == 5
    assert [row["contender"] for row in response.ranking] == ["hvg_pca", "[bold]odd[/bold]"]
    assert [finding["check"] for finding in response.findings] == ["one warning", "one error", "one note"]
