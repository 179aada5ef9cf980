"""Run the command line inside the test process, with stand-ins for the long work."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from anndata import AnnData
from tests.service.stand_ins import stand_in_for_run
from typer.testing import CliRunner, Result

Run = Callable[..., Result]


@pytest.fixture
def stfmkit(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call the command line with arguments; wide, so that tables are not folded."""
    from stfmkit.cli._app import build

    monkeypatch.setenv("COLUMNS", "200")
    app = build()
    return lambda *arguments, **options: CliRunner().invoke(
        app, [str(a) for a in arguments], prog_name="stfmkit", **options
    )


@pytest.fixture
def bm_run(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Put a stand-in in the place of `stfmkit.bm.run`."""
    return stand_in_for_run(monkeypatch)


@pytest.fixture
def spots(toy: AnnData, tmp_path: Path) -> Path:
    """The small table as a file."""
    path = tmp_path / "spots.h5ad"
    toy.write_h5ad(path)
    return path
