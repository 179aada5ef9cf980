"""Tables on the terminal show text as it is."""

import json
import unicodedata
from types import SimpleNamespace

import pytest

from stfmkit.cli._show import say, show_records, show_verdict, tell


def test_cells_of_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"[red]name": "[link=x]a", "value": 0.12345, "many": ("x", "y"), "hidden": "no"},
        {"[red]name": "b", "value": None, "many": None, "hidden": "no"},
    ]
    show_records(rows, columns=["[red]name", "value", "many"], title="A [title]")
    shown = capsys.readouterr().out
    for text in ("A [title]", "[red]name", "[link=x]a", "0.123", "–", "x, y"):
        assert text in shown
    for text in ("nan", "None", "hidden"):
        assert text not in shown


def test_a_table_without_rows(capsys: pytest.CaptureFixture[str]) -> None:
    show_records([], columns=["name"])
    assert "name" in capsys.readouterr().out
    show_records([])


@pytest.mark.parametrize("verdicts", [("best", "worse than the leader"), ("cannot test: 4 patients",) * 2])
def test_a_verdict_that_all_share_is_said_once(
    verdicts: tuple[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    row = {"task": "t", "metric": "m", "setting": "", "mean": 0.5, "low": None, "high": None}
    row |= {"difference_low": -0.3, "difference_high": -0.1, "mark": ""}
    ranking = [{**row, "contender": name, "verdict": said} for name, said in zip("ab", verdicts, strict=True)]
    show_verdict(SimpleNamespace(findings=[], ranking=ranking, protocol_id="id", allowed=[]))
    shown = capsys.readouterr().out
    assert "-0.300 to -0.100" in shown
    assert [shown.count(said) for said in dict.fromkeys(verdicts)] == [1] * len(set(verdicts))


@pytest.mark.parametrize("bad", ["\x1b]0;owned\x07", "\x9b31m", "\u202eevil", "a\rb", "\x08"])
def test_names_of_the_data_command_no_terminal(bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"task": bad, "metric": bad, "setting": bad, "mean": 0.5, "low": None, "high": None, "contender": bad}
    row |= {"difference_low": -0.3, "difference_high": -0.1, "verdict": f"best {bad}", "mark": bad}
    finding = {"severity": "error", "check": bad, "evidence": bad, "remedy": bad, "allowed": True, "contenders": [bad]}
    show_verdict(SimpleNamespace(findings=[finding], ranking=[row, row], protocol_id=bad, allowed=[bad]))
    show_records([{bad: bad, "many": [bad]}], title=bad)
    say(f"Warning: {bad}")
    tell(json.dumps({"name": bad}, ensure_ascii=False))
    shown = capsys.readouterr()
    assert not {c for c in shown.out + shown.err if unicodedata.category(c) in {"Cc", "Cf"}} - {"\n"}
    assert json.loads(shown.out.splitlines()[-1]) == {"name": bad}


def test_marks_and_allowed_errors_stand_beside_the_ranks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    row = {"task": "t", "metric": "m", "setting": "", "mean": 0.5, "low": None, "high": None}
    ranking = [
        {**row, "contender": "thief", "verdict": "best", "mark": "above control:truth"},
        {**row, "contender": "honest", "verdict": "worse than the leader", "mark": ""},
        {**row, "contender": "poor", "verdict": "worse than the leader", "mark": "not above control:mean"},
    ]
    intervals = [(None, None), (-0.4, 0.1), (-0.5, -0.1)]
    ranking = [
        {**one, "difference_low": low, "difference_high": high}
        for one, (low, high) in zip(ranking, intervals, strict=True)
    ]
    error = {"severity": "error", "check": "shared patients", "remedy": "", "allowed": True}
    ranking.append({**ranking[0], "contender": "reader", "mark": ""})
    error |= {"evidence": "somebody has seen them.", "contenders": ["reader"]}
    show_verdict(SimpleNamespace(findings=[error], ranking=ranking, protocol_id="id", allowed=["shared patients"]))
    shown = capsys.readouterr().out
    assert "reader ⚠" in shown
    assert "⚠ In spite of errors of the audit, which were allowed: shared patients." in shown
    assert "thief ⚠" in shown
    assert "honest ⚠" not in shown
    assert (
        "⚠ thief: above control:truth. Read the findings before the rank.\n⚠ poor: not above control:mean.\n" in shown
    )
    assert "Worse is what the test shows, also where the interval, which is wider, holds 0." in shown
