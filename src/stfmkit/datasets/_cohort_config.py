"""What a synthetic cohort is asked to be: checked numbers, names, and the door to its random streams."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from stfmkit._core.arguments import check_choice, check_fraction, check_integer, check_positive, listed
from stfmkit._core.errors import InputError, InputTypeError
from stfmkit._core.random import stream

FORMS = ("spatialdata", "anndata")
_FEWEST_CELLS = 60
_LARGEST_SPREAD = 3.0


@dataclass(frozen=True)
class CohortConfig:
    """The arguments of one cohort.

    Every random draw comes from :meth:`stream`, named by what is drawn and for whom. So a section is the same
    whatever else is made: with more patients, without images, as AnnData or as SpatialData.
    """

    n_patients: int
    n_sections: int
    n_genes: int
    size: float
    cell_density: float
    n_niches: int
    n_cell_types: int
    counts_per_cell: float
    patient_effect: float
    depth_sigma: float
    dropout: float
    n_panels: int
    n_controls: int
    seed: int

    def check(self) -> None:
        """Refuse what cannot be simulated."""
        for name, least in (
            ("n_patients", 1),
            ("n_sections", 1),
            ("n_genes", 20),
            ("n_niches", 2),
            ("n_cell_types", 2),
            ("n_panels", 1),
            ("n_controls", 0),
            ("seed", 0),
        ):
            check_integer(getattr(self, name), name="rng" if name == "seed" else name, least=least)
        for name in ("size", "cell_density", "counts_per_cell"):
            check_positive(getattr(self, name), name=name)
        for name in ("patient_effect", "depth_sigma"):
            _check_spread(getattr(self, name), name=name)
        check_fraction(self.dropout, name="dropout")
        if self.dropout == 1:
            raise InputError("dropout=1.", allowed="a number in [0, 1)", remedy="keep some of the counts.")
        if self.n_panels > self.n_patients:
            raise InputError(
                f"n_panels={self.n_panels} for {self.n_patients} patients.",
                allowed="at most one panel for each patient",
                remedy="lower n_panels, or raise n_patients.",
            )
        expected = self.size**2 * self.cell_density / 1e6
        if expected < _FEWEST_CELLS:
            raise InputError(
                f"a section of size={self.size} µm that holds about {expected:.0f} cells.",
                allowed=f"room for at least {_FEWEST_CELLS} cells",
                remedy="raise size or cell_density.",
            )

    def stream(self, *parts: object) -> np.random.Generator:
        """Return the generator of one unit of work."""
        return stream(self.seed, "synthetic_cohort", *parts)

    @cached_property
    def niche_names(self) -> list[str]:
        """Names of the niches."""
        return _numbered("niche", self.n_niches)

    @cached_property
    def type_names(self) -> list[str]:
        """Names of the cell types."""
        return _numbered("type", self.n_cell_types)

    @cached_property
    def gene_names(self) -> list[str]:
        """Names of the genes of the table, whether or not each panel holds them."""
        return [f"GENE{i:04d}" for i in range(1, self.n_genes + 1)]

    @cached_property
    def control_names(self) -> list[str]:
        """Names of the negative control probes, with the exact prefix that Xenium gives them."""
        return [f"NegControlProbe_{i:05d}" for i in range(1, self.n_controls + 1)]

    @cached_property
    def panel_names(self) -> list[str]:
        """Names of the panels."""
        return [str(p) for p in range(1, self.n_panels + 1)]

    @cached_property
    def patients(self) -> list[str]:
        """Names of the patients."""
        return [f"P{p:02d}" for p in range(1, self.n_patients + 1)]

    @cached_property
    def samples(self) -> list[tuple[str, str]]:
        """Patient and name of each section."""
        return [(p, f"{p}_S{s}") for p in self.patients for s in range(1, self.n_sections + 1)]

    def panel_of(self, patient: str) -> int:
        """Return the number of the panel that a patient was measured with; the panels take turns."""
        return self.patients.index(patient) % self.n_panels


def check_form(as_: str, **flags: object) -> None:
    """Refuse an unknown kind of result, and flags that are not true or false."""
    check_choice(as_, FORMS, name="as_")
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise InputTypeError(
                f"{name}={value!r}.", allowed=listed([True, False]), remedy=f"switch {name} on or off."
            )


def _check_spread(value: float, *, name: str) -> None:
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise InputTypeError(f"{name}={value!r}.", allowed="a number", remedy=f"pass a number for {name}.")
    if not 0 <= value <= _LARGEST_SPREAD:
        raise InputError(
            f"{name}={value!r}.",
            allowed=f"a standard deviation in [0, {_LARGEST_SPREAD:g}], on the scale of natural logarithms",
            remedy=f"pass {name}=0 for none, 0.3 for a moderate one.",
        )


def _numbered(stem: str, n: int) -> list[str]:
    width = len(str(n))
    return [f"{stem}_{i:0{width}d}" for i in range(1, n + 1)]
