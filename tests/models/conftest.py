"""Blocks and a registry that leaves no trace."""

from collections.abc import Callable, Iterator

import pytest

from stfmkit.models.contract import Block
from stfmkit.models.card import ModelCard
from stfmkit.models.catalogue import registry
from stfmkit.testing import example_block


@pytest.fixture
def block() -> Block:
    """Three samples with overlapping frames."""
    return example_block()


@pytest.fixture
def known() -> Iterator[dict[str, ModelCard]]:
    """The cards of the registry; what a test adds is taken away again."""
    before = dict(registry._cards)
    yield registry._cards
    registry._cards.clear()
    registry._cards.update(before)


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
