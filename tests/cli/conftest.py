"""Run the command line inside the test process, with stand-ins for the long work."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from anndata import AnnData
from typer.testing import CliRunner, Result

Run = Callable[..., Result]


@pytest.fixture
def stfmkit(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call the command line with arguments; wide, so that tables are not folded."""
    from stfmkit.cli._app import build

    monkeypatch.setenv("COLUMNS", "200")
    app = build()
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments], prog_name="stfmkit")


class StandInResults:
    """What `run` returns, without the work."""

    protocol_id = "0123456789ab"
    findings = (
        {"severity": "warning", "check": "one warning", "evidence": "seen", "remedy": "repair"},
        {"severity": "error", "check": "one error", "evidence": "seen", "remedy": "repair"},
        {"severity": "info", "check": "one note", "evidence": "seen", "remedy": "none"},
    )

    def rank(self) -> pd.DataFrame:
        """Return two models, one without an interval."""
        return pd.DataFrame(
            {
                "task": "niche_probe",
                "metric": "macro_f1",
                "model": ["hvg_pca", "[bold]odd[/bold]"],
                "mean": [0.81239, 0.5],
                "low": [0.7, float("nan")],
                "high": [0.9, float("nan")],
                "n_patients": 4,
                "difference_low": [0.0, -0.4],
                "difference_high": [0.0, -0.1],
                "verdict": ["best", "cannot test: 4 patients"],
            }
        )

    def report(self, path: Path, *, title: str = "") -> None:
        """Leave a page."""
        Path(path).write_text(f"<title>{title}</title>")


@pytest.fixture
def bm_run(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Put a stand-in in the place of `stfmkit.bm.run`; it records its calls and raises `error` if that is set."""
    import stfmkit.bm

    seen = SimpleNamespace(calls=[], error=None)

    def run(data: Any, *, out: Path, **options: Any) -> StandInResults:
        seen.calls.append({"data": data, "out": out, **options})
        if seen.error is not None:
            raise seen.error
        out.mkdir(parents=True, exist_ok=True)
        return StandInResults()

    monkeypatch.setattr(stfmkit.bm, "run", run, raising=False)
    return seen


@pytest.fixture
def spots(toy: AnnData, tmp_path: Path) -> Path:
    """The small table as a file."""
    path = tmp_path / "spots.h5ad"
    toy.write_h5ad(path)
    return path
