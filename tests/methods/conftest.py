"""Cards of a test, and a registry that forgets them."""

from collections.abc import Callable, Iterator

import pytest

from stfmkit.methods import catalogue as _registry
from stfmkit.methods.contract import MethodCard


@pytest.fixture
def card() -> Callable[..., MethodCard]:
    """Return a well-formed card with some facts changed."""

    def make(**facts) -> MethodCard:
        plain = {
            "task": "annotate",
            "name": "mine",
            "target": "package.module:Mine",
            "title": "Mine",
            "summary": "A test.",
            "needs": ("counts",),
            "transductive": False,
            "draws": False,
        }
        return MethodCard(**plain | facts)

    return make


@pytest.fixture
def catalogue(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Return the registry, which is as it was after the test."""
    before = _registry.catalogue.entries()
    yield _registry.catalogue
    for name in _registry.catalogue.entries():
        _registry.catalogue.remove(name)
    for entry in before.values():
        _registry.catalogue.add(entry)
