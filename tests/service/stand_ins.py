"""A stand-in for the long work, for the tests of service and of the command line."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from stfmkit.bm.finding import Finding


class StandInResults:
    """What `run` returns, without the work."""

    protocol_id = "0123456789ab"
    table = pd.DataFrame({"task": ["niche_probe"] * 9, "value": [0.5, float("nan")] + [0.25] * 7})
    findings = (
        Finding(severity="warning", check="one warning", evidence="seen", remedy="repair"),
        Finding(severity="error", check="one error", evidence="seen", remedy="repair"),
        Finding(severity="info", check="one note", evidence="seen", remedy="none"),
    )

    def rank(self) -> pd.DataFrame:
        """Return two models, one without an interval."""
        ranking = pd.DataFrame(
            {
                "task": "niche_probe",
                "metric": "macro_f1",
                "setting": "n=5",
                "contender": ["hvg_pca", "[bold]odd[/bold]"],
                "mean": [0.81239, 0.5],
                "low": [0.7, float("nan")],
                "high": [0.9, float("nan")],
                "n_patients": 4,
                "difference_low": [0.0, -0.4],
                "difference_high": [0.0, -0.1],
                "verdict": ["best", "cannot test: 4 patients"],
                "mark": ["above control:truth", ""],
            }
        )
        ranking.attrs["allowed"] = ["neighbours on both sides"]
        return ranking

    def report(self, path: Path, *, title: str = "") -> None:
        """Leave a page."""
        Path(path).write_text(f"<title>{title}</title>")


def stand_in_for_run(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Put a stand-in in the place of `stfmkit.bm.run`; it records its calls and raises `error` if that is set."""
    import stfmkit.bm

    seen = SimpleNamespace(calls=[], error=None)

    def run(data: Any, contenders: Any, *, out: Path, **options: Any) -> StandInResults:
        seen.calls.append({"data": data, "contenders": contenders, "out": out, **options})
        if seen.error is not None:
            raise seen.error
        out.mkdir(parents=True, exist_ok=True)
        return StandInResults()

    monkeypatch.setattr(stfmkit.bm, "run", run, raising=False)
    monkeypatch.setattr(stfmkit.bm, "Results", SimpleNamespace(load=lambda _: StandInResults()), raising=False)
    return seen
