"""What is known of a model before it is loaded; data only."""

from dataclasses import dataclass
from html import escape
from typing import Literal, TypeAlias, get_args

Input: TypeAlias = Literal["counts", "coordinates", "composition", "nothing"]
Family: TypeAlias = Literal["baseline", "rna", "spatial", "histology", "hybrid"]

INPUTS: tuple[str, ...] = get_args(Input)
FAMILIES: tuple[str, ...] = get_args(Family)


@dataclass(frozen=True, kw_only=True, repr=False)
class ModelCard:
    """Facts about a model that listing, checks and the benchmark rely on.

    Attributes
    ----------
    name
        Registry name: ``name`` or ``name.tag``, lower case with ``-`` or ``_``.
    target
        Import target of the class, ``"module:Class"``; nothing is imported before the model is loaded.
    family
        "baseline", "rna", "spatial", "histology" or "hybrid".
    summary
        One sentence for listings.
    needs
        What the model reads: "counts", "coordinates", "composition"; or "nothing".
    fits
        Whether the model learns from the data it is given (PCA, gene choice); such models are fitted on training
        patients only inside a benchmark.
    uses_neighbors
        Whether the vector of one observation depends on others; such models see whole samples.
    needs_rng
        Whether the model draws random numbers, so that the caller has to pass a seed.
    dimension
        Width of the embedding; None where it depends on options or data.
    licence
        SPDX name of the licence of code or weights.
    commercial
        Whether the licence allows commercial use.
    source
        Paper or place of the definition.
    extra
        The extra of stfmkit to install, if any.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.models.model_card("library_size")
    ModelCard: library_size (baseline)
      summary        Depth alone: log1p of the total counts and of the number of detected genes.
      reads          counts
      fits           no
      neighbours     no
      random         no
      dimension      2
      licence        BSD-3-Clause (commercial use: yes)
      source         control for sequencing depth
      install        pip install 'stfmkit'
    """

    name: str
    target: str
    family: Family
    summary: str
    needs: tuple[Input, ...]
    fits: bool = False
    uses_neighbors: bool = False
    needs_rng: bool = False
    dimension: int | None = None
    licence: str = "BSD-3-Clause"
    commercial: bool = True
    source: str = ""
    extra: str | None = None

    @property
    def reads_expression(self) -> bool:
        """Whether the model sees counts (and so must never receive the genes that it is to predict)."""
        return "counts" in self.needs

    def _facts(self) -> dict[str, str]:
        package = "stfmkit" if self.extra is None else f"stfmkit[{self.extra}]"
        return {
            "summary": self.summary,
            "reads": ", ".join(self.needs) or "nothing",
            "fits": "yes, on the observations it is given" if self.fits else "no",
            "neighbours": "yes, within a sample" if self.uses_neighbors else "no",
            "random": "yes, pass rng=" if self.needs_rng else "no",
            "dimension": "set by options or data" if self.dimension is None else str(self.dimension),
            "licence": f"{self.licence} (commercial use: {'yes' if self.commercial else 'no'})",
            "source": self.source,
            "install": f"pip install '{package}'",
        }

    def __repr__(self) -> str:
        lines = [f"  {label:<14} {text}".rstrip() for label, text in self._facts().items()]
        return "\n".join([f"ModelCard: {self.name} ({self.family})", *lines])

    def _repr_html_(self) -> str:
        """Return the card as an HTML table, every field escaped."""
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(label)}</th><td style='text-align:left'>{escape(text)}</td></tr>"
            for label, text in self._facts().items()
        )
        title = f"<strong>{escape(self.name)}</strong> ({escape(self.family)})"
        return f"<table><caption style='text-align:left'>{title}</caption><tbody>{rows}</tbody></table>"
