"""One page per family of models, made from the cards when the docs are built."""

from pathlib import Path

from stfmkit.models import ModelCard, list_models, model_card

FAMILIES = {
    "baseline": "Baselines",
    "rna": "RNA foundation models",
    "spatial": "Spatial models",
    "histology": "Histology models",
    "hybrid": "Hybrids",
}


def write_pages(folder: Path) -> None:
    """Write ``models/index.md`` and a page per model without tag; tags are sections of its page."""
    folder.mkdir(parents=True, exist_ok=True)
    cards = [model_card(name) for name in list_models()["name"]]
    names = sorted({card.name.partition(".")[0] for card in cards})
    for name in names:
        held = [card for card in cards if card.name.partition(".")[0] == name]
        held.sort(key=lambda card: card.name != name)
        text = f"# {name}\n\n" + "\n".join(_section(card, first=card is held[0]) for card in held)
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    (folder / "index.md").write_text(_index(cards, names), encoding="utf-8")


def _section(card: ModelCard, *, first: bool) -> str:
    facts = {label: text for label, text in card.facts().items() if text and not label.startswith("note ")}
    rows = "\n".join(f"| {label} | {_cell(text)} |" for label, text in facts.items())
    rows += f"\n| reference | {{cite:t}}`{card.bib_key}` |" if card.bib_key else ""
    notes = "\n".join(f"- {note}" for note in card.notes) if first else ""
    head = "" if first else f"## {card.name}\n\n"
    return f"{head}| | |\n| --- | --- |\n{rows}\n\n{notes}\n"


def _index(cards: list[ModelCard], names: list[str]) -> str:
    parts = ["# Cards\n", "Made from the cards that `sk.models.model_card` returns.\n"]
    for family, title in FAMILIES.items():
        for runnable in (True, False):
            held = [c for c in cards if c.family == family and c.runnable is runnable and "." not in c.name]
            if held:
                parts.append(f"## {title}{'' if runnable else ', not runnable yet'}\n")
                rows = [f"| [{c.name}]({c.name}.md) | {_cell(c.summary if runnable else c.reason)} |" for c in held]
                parts.append("| model | |\n| --- | --- |\n" + "\n".join(rows) + "\n")
    toctree = "\n".join(names)
    parts.append(f"```{{toctree}}\n:hidden:\n\n{toctree}\n```\n")
    return "\n".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
