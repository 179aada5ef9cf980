"""The card shows its facts and escapes them."""

from dataclasses import FrozenInstanceError

import pytest

from stfmkit.models._card import FAMILIES, INPUTS
from stfmkit.models._cards import BUILT_IN


def test_a_card_is_data_that_does_not_change(card):
    made = card()
    with pytest.raises(FrozenInstanceError):
        made.name = "other"
    assert made == card()
    assert hash(made) == hash(card())
    assert made != card(fits=True)


@pytest.mark.parametrize("needs", [("counts",), ("coordinates",), ("counts", "composition"), ("nothing",)])
def test_reads_expression_follows_from_needs(card, needs):
    assert card(needs=needs).reads_expression == ("counts" in needs)


def test_repr_says_every_fact(card):
    text = repr(card(licence="CC-BY-NC-4.0", commercial=False, needs_rng=True, dimension=512, extra="torch"))
    for part in ("mine", "rna", "CC-BY-NC-4.0", "commercial use: no", "pass rng=", "512", "stfmkit[torch]", "counts"):
        assert part in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_html_escapes_every_field(card):
    bad = "<script>alert('x')</script>&\""
    html = card(name=bad, family=bad, summary=bad, needs=(bad,), licence=bad, source=bad, extra=bad)._repr_html_()
    assert "<script>" not in html
    assert html.count("&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&amp;&quot;") == 7
    assert html.startswith("<table>")
    assert html.endswith("</table>")


def test_built_in_cards_use_known_words():
    assert len({made.name for made in BUILT_IN}) == len(BUILT_IN)
    for made in BUILT_IN:
        assert made.family in FAMILIES
        assert set(made.needs) <= set(INPUTS)
        assert made.summary.endswith(".")
        assert made.source
        if made.family == "baseline":
            assert made.uses_neighbors <= ("coordinates" in made.needs)
