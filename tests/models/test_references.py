"""Cards, bibliography and pages of the docs name the same papers."""

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from stfmkit.models.card import ModelCard
from stfmkit.models.catalogue import built_in

DOCS = Path(__file__).parents[2] / "docs"
ENTRIES = {
    key: dict(re.findall(r"^  (\w+) = \{(.*)\},$", body, flags=re.MULTILINE))
    for key, body in re.findall(
        r"^@\w+\{([^,\s]+),\n(.*?)^\}$",
        (DOCS / "references.bib").read_text(encoding="utf-8"),
        flags=re.MULTILINE | re.DOTALL,
    )
}
"""The bibliography: fields by key."""

OF_PAPERS = [card for card in built_in() if card.family != "baseline"]
of_papers = pytest.mark.parametrize("card", OF_PAPERS, ids=lambda card: card.name)


def test_there_is_something_to_check() -> None:
    assert len(ENTRIES) > 25
    assert len(OF_PAPERS) > 25


@pytest.mark.parametrize("key", ENTRIES)
def test_an_entry_is_whole(key: str) -> None:
    entry = ENTRIES[key]
    assert {"author", "title", "year"} <= set(entry)
    assert {"journal", "booktitle"} & set(entry)
    assert {"doi", "eprint", "url"} & set(entry)
    assert key[-4:] == entry["year"] or re.search(rf"[a-z]{entry['year']}[a-z]", key)


@of_papers
def test_the_paper_of_a_card_is_in_the_bibliography(card: ModelCard) -> None:
    entry = ENTRIES[card.bib_key]
    address = next(entry[field] for field in ("doi", "eprint", "url") if field in entry)
    assert card.paper.startswith("https://")
    assert card.paper.endswith(address)


def test_no_paper_of_a_model_is_left_over() -> None:
    of_models = {key for key in ENTRIES if not key[-4:].isdigit()}
    assert of_models == {card.bib_key for card in OF_PAPERS}


def test_the_pages_of_the_docs_cite_it(tmp_path: Path) -> None:
    spec = spec_from_file_location("model_pages", DOCS / "model_pages.py")
    assert spec is not None
    assert spec.loader is not None
    pages = module_from_spec(spec)
    spec.loader.exec_module(pages)
    pages.write_pages(tmp_path)
    for card in OF_PAPERS:
        text = (tmp_path / f"{card.name.partition('.')[0]}.md").read_text(encoding="utf-8")
        assert f"| reference | {{cite:t}}`{card.bib_key}` |" in text
    assert "cite" not in (tmp_path / "library_size.md").read_text(encoding="utf-8")
