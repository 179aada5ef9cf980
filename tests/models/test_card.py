"""The card shows its facts and escapes them."""

from dataclasses import FrozenInstanceError, replace

import pytest

from stfmkit.models.card import FAMILIES, MODALITIES, WeightFile, Weights
from stfmkit.models.catalogue import built_in

BUILT_IN = list(built_in())


def test_a_card_is_data_that_does_not_change(card):
    made = card()
    with pytest.raises(FrozenInstanceError):
        made.name = "other"
    assert made == card()
    assert hash(made) == hash(card())
    assert made != card(fits=True)


@pytest.mark.parametrize("needs", [("counts",), ("coordinates",), ("counts", "composition"), ()])
def test_reads_expression_follows_from_needs(card, needs):
    assert card(needs=needs).reads_expression == ("counts" in needs)


def test_repr_says_every_fact(card):
    text = repr(card(licence="CC-BY-NC-4.0", commercial=False, needs_rng=True, dimension=512, extra="torch"))
    for part in (
        "mine",
        "rna",
        "CC-BY-NC-4.0",
        "commercial use: no",
        "by the seed (rng=)",
        "512",
        "stfmkit[torch]",
        "counts",
    ):
        assert part in text
    assert all(line == line.rstrip() for line in text.splitlines())


@pytest.mark.parametrize(("commercial", "said"), [(True, "yes"), (False, "no"), (None, "not known")])
def test_commercial_use(card, commercial, said):
    assert f"(commercial use: {said})" in repr(card(commercial=commercial))


def test_the_place_of_the_weights(card):
    files = (WeightFile("a.json", "0" * 64), WeightFile("b.bin", "1" * 64))
    hub = Weights(kind="hub", place="owner/net", revision="abc", files=files, licence="MIT")
    assert card(weights=hub).facts()["weights"] == (
        "huggingface.co/owner/net; revision abc; every file is checked by its sha256; licence: MIT"
    )
    partly = replace(hub, files=(*files, WeightFile("c.bin")))
    assert "sha256" not in card(weights=partly).facts()["weights"]
    shelf = Weights(kind="manual", place="the shelf", files=files)
    assert card(weights=shelf).facts()["weights"] == "the shelf; to be downloaded by hand: a.json, b.bin"


@pytest.mark.parametrize("made", BUILT_IN, ids=lambda made: made.name)
def test_commercial_use_follows_from_the_licences(made):
    """What forbids it says no, what could not be read says that it is not known, and nothing else does."""
    said = f"{made.licence} {made.weights.licence if made.weights else ''}"
    if "not stated" in said or "NC" in said or "non-commercial" in said:
        assert made.commercial is False
    elif "not verified" in said:
        assert made.commercial is None
    else:
        assert made.commercial is True


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
        assert set(made.needs) <= set(MODALITIES)
        assert made.summary.endswith(".")
        assert made.source
        if made.family == "baseline":
            assert made.uses_neighbors <= ("coordinates" in made.needs)
