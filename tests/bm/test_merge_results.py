"""A folder keeps what other runs of the same protocol have put there, whoever writes at the same time."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tests.bm.conftest import make_cohort, make_protocol

import stfmkit as sk
from stfmkit._core.errors import InputError
from stfmkit.bm._results import Results
from stfmkit.bm.finding import Finding
from stfmkit.bm.score_table import OBSERVATIONS, TABLE

FINDING = Finding(severity="info", check="c", evidence="beaten: a.", remedy="r")


def made(scores: dict[tuple[str, str], float], identities: dict[str, str | None], **more) -> Results:
    """Results of one score for every task and contender."""
    rows = [{"task": t, "contender": c, "metric": "m", "status": "scored", "value": v} for (t, c), v in scores.items()]
    text = {name: "" for name, kind in TABLE.items() if kind == "str"}
    table = pd.DataFrame([{**text, "fold": 0, "seconds": 0.0, **row} for row in rows])[list(TABLE)].astype(TABLE)
    seen = table[["task", "contender"]].reindex(columns=list(OBSERVATIONS))
    text = {name: "" for name, kind in OBSERVATIONS.items() if kind == "str" and name not in ("task", "contender")}
    observations = seen.assign(**text, fold=0, x=0.0, y=0.0, score=1.0).astype(OBSERVATIONS)
    meta = {
        "contenders": {label: {"identity": known} for label, known in identities.items()},
        "tasks": {task: {} for task, _ in scores},
        "metrics": [{"metric": "m", "setting": "", "scope": "", "status": "scored"}],
        "folds": {"0": {task: 1 for task, _ in scores}},
        "references": {"coordinates": next((c for _, c in scores if c == "xy"), None)},
        "seconds_total": 1.0,
    }
    return Results(
        table=table, observations=observations, protocol={}, meta=meta, protocol_id="p", findings=[FINDING], **more
    )


def scores(results):
    return {(t, c): v for t, c, v in results.table[["task", "contender", "value"]].itertuples(index=False)}


def test_contenders_and_tasks_are_added(tmp_path):
    made({("t", "a"): 1, ("t", "xy"): 2, ("t", "control:n"): 0}, {"a": "1", "xy": "2"}).save(tmp_path / "r")
    made({("u", "b"): 3, ("t", "b"): 4, ("t", "control:n"): 0}, {"b": "3"}).save(tmp_path / "r")
    found = Results.load(tmp_path / "r")
    assert scores(found) == {("t", "a"): 1, ("t", "xy"): 2, ("t", "control:n"): 0, ("t", "b"): 4, ("u", "b"): 3}
    assert len(found.observations) == 5
    assert list(found.meta["contenders"]) == ["a", "xy", "b"]
    assert list(found.meta["tasks"]) == ["t", "u"]
    assert found.meta["folds"] == {"0": {"t": 1, "u": 1}}
    assert found.meta["references"] == {"coordinates": "xy"}
    assert found.findings == [FINDING]


def test_the_same_again_replaces(tmp_path):
    for value in (1, 2):
        made({("t", "a"): value}, {"a": "1"}).save(tmp_path / "r")
    found = Results.load(tmp_path / "r")
    assert scores(found) == {("t", "a"): 2}
    assert found.meta["seconds_total"] == 1.0


@pytest.mark.parametrize("identity", ["other", None])
def test_another_contender_of_this_label_takes_its_place_and_that_is_said(tmp_path, identity):
    made({("t", "a"): 1, ("u", "a"): 2, ("u", "b"): 3}, {"a": "1", "b": "2"}).save(tmp_path / "r")
    later = made({("t", "a"): 5}, {"a": identity})
    replace(later, findings=[]).save(tmp_path / "r")
    found = Results.load(tmp_path / "r")
    assert scores(found) == {("t", "a"): 5, ("u", "b"): 3}
    assert [finding.check for finding in found.findings] == ["replaced contender"]  # what was said of the old one goes
    assert "'u'" in found.findings[0].evidence


def test_writers_wait_for_each_other(tmp_path):
    runs = [made({("t", f"c{i}"): i}, {f"c{i}": str(i)}) for i in range(12)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda results: results.save(tmp_path / "r"), runs))
    assert scores(Results.load(tmp_path / "r")) == {("t", f"c{i}"): i for i in range(12)}


@pytest.mark.parametrize("name", ["results.json", "table.parquet", "observations.parquet"])
def test_damage_is_told_before_the_work_and_the_remedy_works(tmp_path, name):
    first = made({("t", "a"): 1}, {"a": "1"})
    first.save(tmp_path / "r")
    (tmp_path / "r" / "finished").mkdir()
    (tmp_path / "r" / name).write_bytes(b"{")
    with pytest.raises(
        InputError, match=r"delete 'results.json', 'table.parquet', 'observations.parquet', 'SHA256SUMS'"
    ):
        first.save(tmp_path / "r")
    for each in ("results.json", "table.parquet", "observations.parquet", "SHA256SUMS"):
        (tmp_path / "r" / each).unlink()
    first.save(tmp_path / "r")
    assert scores(Results.load(tmp_path / "r")) == {("t", "a"): 1}


def test_runs_add_up_to_one_run(tmp_path):
    cohort, options = make_cohort(per_patient=30), {"protocol": make_protocol(), "show_progress": False}
    whole = sk.bm.run(cohort, ["coordinates", "library_size"], tasks=["domains"], **options)
    for name in ("library_size", "coordinates"):
        sk.bm.run(cohort, [name], tasks=["domains"], out=tmp_path / "r", **options)
    found = Results.load(tmp_path / "r")
    plain = [name for name in TABLE if name != "seconds"]
    order = ["task", "contender", "fold", "patient", "metric", "setting", "status"]
    pd.testing.assert_frame_equal(
        found.table[plain].sort_values(order, ignore_index=True),
        whole.table[plain].sort_values(order, ignore_index=True),
    )
    np.testing.assert_array_equal(found.table["contender"], whole.table["contender"])
    assert set(found.contenders) == {"coordinates", "library_size"}
    found.report(tmp_path / "report.html")
