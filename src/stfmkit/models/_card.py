"""What is known of a model before it is loaded; data only."""

from dataclasses import dataclass
from typing import Literal

Input = Literal["counts", "coordinates", "composition", "nothing"]


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """Facts about a model that listing, checks and the benchmark rely on.

    Attributes
    ----------
    name
        Registry name, lower case with ``-`` or ``_``.
    target
        Import target of the class, ``"module:Class"``; nothing is imported before the model is loaded.
    family
        "baseline", "rna", "spatial", "histology" or "hybrid".
    summary
        One sentence for listings.
    needs
        What the model reads: "counts", "coordinates", "composition".
    fits
        Whether the model learns from the data it is given (PCA, gene choice); such models are fitted on training
        patients only inside a benchmark.
    uses_neighbors
        Whether the vector of one observation depends on others; such models see whole samples.
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
    """

    name: str
    target: str
    family: Literal["baseline", "rna", "spatial", "histology", "hybrid"]
    summary: str
    needs: tuple[Input, ...]
    fits: bool = False
    uses_neighbors: bool = False
    dimension: int | None = None
    licence: str = "BSD-3-Clause"
    commercial: bool = True
    source: str = ""
    extra: str | None = None

    @property
    def reads_expression(self) -> bool:
        """Whether the model sees counts (and so must never receive the genes that it is to predict)."""
        return "counts" in self.needs
