"""What all cards share: facts as text and as a table."""

from dataclasses import dataclass

import pytest

from stfmkit._core.card import Card


@dataclass(frozen=True, kw_only=True, repr=False)
class Plain(Card):
    group = "things"

    def facts(self):
        return {"summary": self.summary, "licence": self.licence_text, "install": self.install_text}


def test_text():
    assert repr(Plain(name="one", summary="A thing.", extra="more")).splitlines() == [
        "Plain: one (things)",
        "  summary        A thing.",
        "  licence        BSD-3-Clause (commercial use: yes)",
        "  install        pip install 'stfmkit[more]'",
    ]


@pytest.mark.parametrize(("commercial", "word"), [(True, "yes"), (False, "no"), (None, "not known")])
def test_licence(commercial, word):
    assert Plain(name="one", summary="", commercial=commercial).licence_text.endswith(f"(commercial use: {word})")


def test_every_field_of_the_table_is_escaped():
    table = Plain(name="<i>", summary="<script>")._repr_html_()
    assert "<script>" not in table
    assert "&lt;i&gt;" in table
    assert "&lt;script&gt;" in table


def test_it_cannot_be_changed():
    with pytest.raises(AttributeError):
        Plain(name="one", summary="").name = "two"
