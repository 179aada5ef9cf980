"""Blocks, a catalogue that leaves no trace, and a published folder of the smallest network."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from anndata import AnnData

from stfmkit.models.card import ModelCard
from stfmkit.models.catalogue import MODELS
from stfmkit.models.contract import Block
from stfmkit.testing import example_block


@pytest.fixture
def block() -> Block:
    """Three samples with overlapping frames."""
    return example_block()


@pytest.fixture
def known() -> Iterator[dict[str, ModelCard]]:
    """The cards of the catalogue; what a test adds is taken away again."""
    before = MODELS.entries()
    yield MODELS._loaded()
    MODELS._loaded().clear()
    MODELS._loaded().update(before)


@pytest.fixture
def card() -> Callable[..., ModelCard]:
    """Make a card, with some fields changed."""

    def make(**fields) -> ModelCard:
        base = {
            "name": "mine",
            "target": "stfmkit.models.baselines.library_size:LibrarySize",
            "family": "rna",
            "summary": "A test.",
            "needs": ("counts",),
        }
        return ModelCard(**(base | fields))

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A published folder of the smallest network."""
    import torch
    from safetensors.torch import save_file
    from tests.models.zoo._tiny import GENES, TinyModule

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
    """Twelve cells for the smallest network."""
    from tests.models.zoo._cases import synthetic_counts
    from tests.models.zoo._tiny import GENES

    return synthetic_counts(GENES)
