"""A published folder of the smallest network, and cells for it."""

import json
from pathlib import Path

import pytest
import torch
from anndata import AnnData
from safetensors.torch import save_file
from tests.models.zoo._cases import synthetic_counts
from tests.models.zoo._tiny import GENES, TinyModule


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A published folder."""
    made = tmp_path / "published"
    made.mkdir()
    twin = TinyModule(31, 8)
    draw = torch.Generator().manual_seed(0)
    state = {name: torch.randn(t.shape, generator=draw) * 0.3 for name, t in twin.state_dict().items()}
    save_file(state | {"head.weight": torch.zeros(2)}, made / "tiny.safetensors")
    (made / "genes.json").write_text(json.dumps({gene: i + 1 for i, gene in enumerate(GENES)}))
    return made


@pytest.fixture
def cells() -> AnnData:
    """Twelve cells."""
    return synthetic_counts(GENES)
