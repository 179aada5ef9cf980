"""Models that cannot be run say why."""

import pytest

from stfmkit.models.card import ModelCard
from stfmkit.models.catalogue import check_card
from stfmkit.models.zoo.not_runnable.card import CARDS

NAMED = {"genecompass", "scbert", "tabula", "cellfm", "genemamba", "c2s-scale"}
NAMED |= {"heist", "st-align", "schyena", "bio-dta", "teddy", "scinterpreter"}


def test_every_model_that_was_asked_for_has_a_card() -> None:
    assert {card.name for card in CARDS} == NAMED
    assert len(CARDS) == len(NAMED)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_the_reason_is_on_the_card(card: ModelCard) -> None:
    check_card(card)
    assert not card.runnable
    assert card.reason
    assert f"not runnable: {card.reason}" in repr(card)
    assert card.source
