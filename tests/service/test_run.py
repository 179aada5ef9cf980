"""Every request has an answer: what was done, what was wrong, or what is kept after a stop."""

import json
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData, read_h5ad

import stfmkit as sk
from stfmkit._core.errors import InputError, MissingFileError, StfmkitWarning
from stfmkit.service import Cancelled, Event, Failure, Response, Stopped, commands, run, schemas
from stfmkit.service.models import ModelsRequest

Work = Callable[[], object]


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[Work], Response]:
    """Run a request whose work is a function."""

    def answer(work: Work, **options: Any) -> Response:
        def list_models(**_options: object) -> pd.DataFrame:
            work()
            return pd.DataFrame({"name": ["a"]})

        monkeypatch.setattr(sk.models, "list_models", list_models, raising=False)
        return run(ModelsRequest(), **options)

    return answer


def failing(error: BaseException) -> Work:
    def work() -> None:
        raise error

    return work


def check_schema(response: Response, name: str) -> None:
    jsonschema.validate(json.loads(response.model_dump_json()), schemas()[name]["response"])


# what is wrong


@pytest.mark.parametrize(
    ("error", "kind", "found"),
    [
        (InputError("a", allowed="b", remedy="c"), "InputError", "a"),
        (MissingFileError("a", allowed="b", remedy="c"), "MissingFileError", "a"),
        (FileNotFoundError(2, "No such file", "x"), "FileNotFoundError", "No such file: 'x'."),
        (PermissionError(13, "Permission denied", "/x"), "PermissionError", "Permission denied: '/x'."),
        (OSError(28, "No space left on device"), "OSError", "No space left on device"),
        (ImportError("It needs torch. Install it with: pip install 'stfmkit[torch]'"), "ImportError", "needs torch"),
    ],
)
def test_what_can_be_repaired_is_a_failure(answer, error: Exception, kind: str, found: str) -> None:
    response = answer(failing(error))
    assert isinstance(response, Failure)
    assert (response.status, response.command, response.kind) == ("failed", "models", kind)
    assert found in response.found
    assert response.allowed
    assert response.remedy
    check_schema(response, "models")


@pytest.mark.parametrize(
    "error", [ValueError("bug"), KeyError("bug"), PermissionError("bug"), MemoryError(), ImportError("bug")]
)
def test_faults_of_the_program_are_raised(answer, error: Exception) -> None:
    with pytest.raises(type(error)):
        answer(failing(error))


def test_a_request_that_cannot_be_made_is_a_failure_of_its_command() -> None:
    response = run({"command": "bin", "dato": "x", "pitch": -1})
    assert isinstance(response, Failure)
    assert (response.command, response.kind) == ("bin", "RequestError")
    assert {problem.field for problem in response.problems} == {"data", "out", "shape", "dato", "pitch"}
    check_schema(response, "bin")
    assert run({"embed": {}}).command == "embed"
    assert run({"no": {}}).command == ""


# progress, and a stop


def test_events_reach_the_caller_and_bars_do_not_appear(answer, capsys: pytest.CaptureFixture[str]) -> None:
    from stfmkit._core.progress import progress, step

    def work() -> None:
        with step("a step"):
            list(progress(range(2), label="count"))

    events: list[Event] = []
    assert answer(work, progress=events.append).status == "done"
    assert [(event.label, event.done) for event in events] == [
        ("a step", 0),
        ("count", 0),
        ("count", 1),
        ("count", 2),
        ("a step", 1),
    ]
    assert capsys.readouterr() == ("", "")


def test_a_callback_that_fails_is_a_warning(answer) -> None:
    from stfmkit._core.progress import step

    def work() -> None:
        with step("a step"):
            pass

    def callback(event: Event) -> None:
        raise ConnectionError

    with warnings.catch_warnings(record=True):
        response = answer(work, progress=callback)
    assert response.status == "done"
    assert len(response.warnings) == 1
    assert "ConnectionError" in response.warnings[0]


class StopAt:
    """Cancels at the first event of a unit that reaches a number."""

    def __init__(self, unit: str, done: int) -> None:
        self.unit, self.done, self.seen = unit, done, []

    def __call__(self, event: Event) -> None:
        self.seen.append(event)
        if event.unit == self.unit and event.done >= self.done:
            raise Cancelled


def molecules(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.uniform(0, 400, 9000), "y": rng.uniform(0, 400, 9000), "gene": "G1"})
    frame.to_parquet(folder / "m.parquet", row_group_size=1000)
    return folder / "m.parquet"


@pytest.mark.parametrize(("unit", "done"), [("step", 0), ("part", 0), ("part", 1), ("part", 3), ("step", 1)])
def test_binning_that_is_cancelled_leaves_nothing(tmp_path: Path, unit: str, done: int) -> None:
    request = {
        "command": "bin", "data": str(molecules(tmp_path)), "out": str(tmp_path / "b.h5ad"), "shape": "square",
        "pitch": 50, "microns_per_unit": 1,
    }  # fmt: skip
    before = threading.active_count()
    response = run(request, progress=StopAt(unit, done))
    assert isinstance(response, Stopped)
    assert response.kept == "Nothing was written."
    assert [path.name for path in tmp_path.iterdir()] == ["m.parquet"]
    assert threading.active_count() == before
    check_schema(response, "bin")
    done_after = run(request, progress=lambda event: None)
    assert done_after.status == "done"
    check_schema(done_after, "bin")
    assert read_h5ad(tmp_path / "b.h5ad").X.sum() == 9000
    assert (done_after.files[0].n_vars, done_after.files[0].path) == (1, tmp_path / "b.h5ad")


def test_a_comparison_that_is_cancelled_keeps_finished_units(spots: Path, tmp_path: Path) -> None:
    request = {
        "command": "bench", "data": str(spots), "out": str(tmp_path / "o"), "patient_key": "patient",
        "sample_key": "sample", "label_key": "niche", "contenders": ["library_size", "coordinates"], "n_splits": 4,
        "tasks": ["domains"],
    }  # fmt: skip
    stop = StopAt("unit", 3)
    response = run(request, progress=stop)
    assert isinstance(response, Stopped)
    assert "Finished units are kept" in response.kept
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "o").rglob("*") if path.is_file()}
    assert kept
    assert not (tmp_path / "o" / "results.json").exists()
    events: list[Event] = []
    response = run(request, progress=events.append)
    assert response.status == "done", response
    check_schema(response, "bench")
    assert {path: path.stat().st_mtime_ns for path in kept} == kept  # nothing was done twice
    counted = [event for event in events if event.unit == "unit"]
    assert counted[-1].done == counted[-1].total == stop.seen[-1].total
    assert {row["contender"] for row in response.ranking} == {"library_size", "coordinates"}
    assert response.n_scores == len(pd.read_parquet(response.table))
    assert response.report.read_text(encoding="utf-8").startswith("<!")

    again = run({"report": {"results": str(tmp_path / "o"), "out": str(tmp_path / "r.html")}})
    assert (again.status, again.ranking, again.protocol_id) == ("done", response.ranking, response.protocol_id)
    check_schema(again, "report")


# every command


def test_embed(spots: Path, tmp_path: Path) -> None:
    request = {"data": str(spots), "model": "hvg_pca", "out": str(tmp_path / "e.h5ad"), "options": {"n_components": 3}}
    response = run({"embed": request})
    assert response.status == "done", response
    check_schema(response, "embed")
    found = read_h5ad(response.file)
    assert found.obsm[response.key].shape == (response.n_obs, response.dimension) == (240, 3)
    expected = sk.tl.embed(read_h5ad(spots), "hvg_pca", n_components=3, rng=0, copy=True)
    np.testing.assert_array_equal(found.obsm[response.key], expected)


@pytest.mark.parametrize("model", ["hvg_pcaa", "hvg_pca.no_tag"])
def test_embed_refuses_before_reading(spots: Path, tmp_path: Path, model: str) -> None:
    response = run({"embed": {"data": str(spots), "model": model, "out": str(tmp_path / "e.h5ad")}})
    assert isinstance(response, Failure)
    assert "hvg_pca" in response.remedy
    assert not (tmp_path / "e.h5ad").exists()


def test_models() -> None:
    response = run({"models": None})
    check_schema(response, "models")
    assert [model["name"] for model in response.models] == list(sk.models.list_models()["name"])
    card = run({"models": {"name": "hvg_pca"}})
    check_schema(card, "models")
    assert card.card == sk.models.model_card("hvg_pca").facts()


@pytest.mark.parametrize("quick", [True, False])
def test_demo(bm_run, toy: AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: bool) -> None:
    monkeypatch.setattr(sk.datasets, "synthetic_cohort", lambda *_args, **_options: "cohort", raising=False)
    monkeypatch.setattr(sk.pp, "xisium", lambda *_args, **_options: toy, raising=False)
    response = run({"demo": {"out": str(tmp_path / "d"), "quick": quick}})
    check_schema(response, "demo")
    assert read_h5ad(response.spots).shape == toy.shape
    assert len(bm_run.calls[0]["contenders"]) == (3 if quick else 8)


def test_every_command_has_a_request_a_response_and_a_document() -> None:
    for name, command in commands().items():
        assert command.request.model_fields["command"].default == name
        assert command.response.model_fields["command"].default == name
        assert command.request.__name__ == f"{name.capitalize()}Request"
        assert command.run.__doc__
        assert json.dumps(schemas()[name])


# warnings


def test_our_warnings_are_in_the_response_every_time(answer) -> None:
    def work() -> None:
        warnings.warn("few cells", StfmkitWarning, stacklevel=1)

    filters, show = list(warnings.filters), warnings.showwarning
    with warnings.catch_warnings(record=True):
        assert answer(work).warnings == ["few cells"]
        assert answer(work).warnings == ["few cells"]
        assert answer(lambda: None).warnings == []
    assert (warnings.filters, warnings.showwarning) == (filters, show)


def test_requests_in_threads_keep_their_warnings_apart(answer) -> None:
    barrier = threading.Barrier(3)

    def work() -> None:
        name = threading.current_thread().name
        for _ in range(20):
            warnings.warn(name, StfmkitWarning, stacklevel=1)
        barrier.wait()

    filters, show = list(warnings.filters), warnings.showwarning
    answer(lambda: None)  # the stand-in is put in place once
    with warnings.catch_warnings(record=True), ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda _: (answer(work), threading.current_thread().name), range(3)))
    for response, name in done:
        assert response.warnings == [name] * 20
    assert (warnings.filters, warnings.showwarning) == (filters, show)
