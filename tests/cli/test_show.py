"""Tables on the terminal show text as it is."""

import pandas as pd
import pytest

from stfmkit.cli._show import show_frame


def test_cells_of_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.DataFrame(
        {"[red]name": ["[link=x]a", "b"], "value": [0.12345, float("nan")], "many": [("x", "y"), None]}, dtype=object
    )
    show_frame(frame, title="A title")
    shown = capsys.readouterr().out
    for text in ("A title", "[red]name", "[link=x]a", "0.123", "–", "x, y"):
        assert text in shown
    assert "nan" not in shown
    assert "None" not in shown
