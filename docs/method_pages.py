"""One page of the methods of every task, made from the cards when the docs are built."""

from pathlib import Path

from stfmkit.methods import MethodCard, list_methods, method_card


def write_page(path: Path) -> None:
    """Write a page with a section per task, and a card per method."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = list_methods()
    parts = ["# Methods\n", "Made from the cards that `sk.methods.method_card` returns.\n"]
    for task, names in table.groupby("task").groups.items():
        parts.append(f"## {task}\n")
        parts.extend(_section(method_card(name)) for name in names)
    path.write_text("\n".join(parts), encoding="utf-8")


def _section(card: MethodCard) -> str:
    rows = "\n".join(f"| {label} | {_cell(text)} |" for label, text in card.facts().items())
    rows += f"\n| literature | {{cite:t}}`{card.bib_key}` |" if card.bib_key else ""
    return f"### {card.name}\n\n| | |\n| --- | --- |\n{rows}\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
