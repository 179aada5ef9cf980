"""What the cards of models and of methods have in common: facts by name, shown as text or as a table."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from html import escape

from stfmkit._core.errors import InputError

COMMERCIAL = {True: "yes", False: "no", None: "not known"}
"""Whether a licence allows commercial use, in words."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Card(ABC):
    """Facts about something that is listed, looked up and run by its name; data only.

    Attributes
    ----------
    name
        Name in the list: lower case with ``-`` or ``_``.
    target
        Import target of the class, ``"module:Class"``; nothing is imported before it is loaded.
    summary
        One sentence for listings.
    species
        Species that it knows; empty where any will do.
    licence
        SPDX name of the licence; where code and weights differ, which is of which.
    commercial
        Whether the licence allows commercial use; None where it is not known.
    source
        Place of the definition, or of the original code.
    paper
        DOI or address of the paper.
    bib_key
        Key in the bibliography of the documentation.
    extra
        The extra of stfmkit to install, if any.
    reason
        Why it cannot be run, where it cannot.
    """

    name: str
    target: str = ""
    summary: str
    species: tuple[str, ...] = ()
    licence: str = "BSD-3-Clause"
    commercial: bool | None = True
    source: str = ""
    paper: str = ""
    bib_key: str = ""
    extra: str | None = None
    reason: str = ""

    @property
    @abstractmethod
    def group(self) -> str:
        """The group that it is listed in, such as the family of a model or the task of a method."""

    @abstractmethod
    def facts(self) -> dict[str, str]:
        """Return what the card says, as label and text."""

    @property
    def licence_text(self) -> str:
        """The licence and whether it allows commercial use, in words."""
        return f"{self.licence} (commercial use: {COMMERCIAL[self.commercial]})"

    @property
    def install_text(self) -> str:
        """The line that installs what it needs."""
        package = self.target.partition(":")[0].partition(".")[0]
        if package not in {"", __name__.partition(".")[0]}:
            return f"comes with the package that has the module {package!r}"
        return "pip install " + ("'stfmkit'" if self.extra is None else f"'stfmkit[{self.extra}]'")

    def __repr__(self) -> str:
        lines = [f"  {label:<14} {text}".rstrip() for label, text in self.facts().items()]
        return "\n".join([f"{type(self).__name__}: {self.name} ({self.group})", *lines])

    def _repr_html_(self) -> str:
        """Return the card as an HTML table, every field escaped."""
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(label)}</th><td style='text-align:left'>{escape(text)}</td></tr>"
            for label, text in self.facts().items()
        )
        title = f"<strong>{escape(self.name)}</strong> ({escape(self.group)})"
        return f"<table><caption style='text-align:left'>{title}</caption><tbody>{rows}</tbody></table>"


def check_facts(card: Card) -> None:
    """Refuse facts of another kind than lists and reports can show."""
    texts = ("summary", "licence", "source", "paper", "bib_key", "reason")
    odd = [name for name in texts if not isinstance(getattr(card, name), str)]
    odd += [] if card.extra is None or isinstance(card.extra, str) else ["extra"]
    odd += [] if card.commercial in (True, False, None) else ["commercial"]
    several = isinstance(card.species, tuple) and all(isinstance(name, str) for name in card.species)
    odd += [] if several else ["species"]
    if odd:
        raise InputError(
            f"a card with {odd[0]}={getattr(card, odd[0])!r}.",
            allowed="text; True, False or None for commercial; a tuple of text for species",
            remedy=f"correct the {odd[0]}.",
        )
