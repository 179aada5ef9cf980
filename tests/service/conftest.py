"""Data and stand-ins for requests."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from anndata import AnnData
from tests.service.stand_ins import stand_in_for_run


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
