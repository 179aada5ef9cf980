"""Tables on the terminal show text as it is."""

import pytest

from stfmkit.cli._show import show_records


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
