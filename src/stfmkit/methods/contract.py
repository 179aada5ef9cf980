"""The whole contract of a method: what its card states, what it declares, what it is given, and what it returns."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, TypeAlias, get_args

import pandas as pd
from scipy import sparse

from stfmkit._core.card import Card
from stfmkit._data.view import View

Kind: TypeAlias = Literal[
    "labels",
    "proportions",
    "expression",
    "embedding",
    "gene_scores",
    "interaction_scores",
    "segmentation",
    "alignment",
]
Runs: TypeAlias = Literal["native", "package", "environment", "card"]
Need: TypeAlias = Literal[
    "counts", "expression", "embedding", "labels", "composition", "coordinates", "image", "molecules", "proteins"
]

RUNS: tuple[str, ...] = get_args(Runs)
NEEDS: tuple[str, ...] = get_args(Need)
TASKS: dict[str, Kind] = {
    "annotate": "labels",
    "domains": "labels",
    "deconvolve": "proportions",
    "impute": "expression",
    "predict_expression": "expression",
    "embed": "embedding",
    "spatially_variable": "gene_scores",
    "interactions": "interaction_scores",
    "segment": "segmentation",
    "align": "alignment",
}
"""Every task that methods are for, with the kind of output that all of its methods give."""


@dataclass(frozen=True, kw_only=True, repr=False)
class MethodCard(Card):
    """Facts about a method that listing, checks and the benchmark rely on.

    Attributes
    ----------
    task
        What it is for: "annotate", "domains", "deconvolve", …; a name is unique within a task, and ``task/name`` is
        unique everywhere.
    title
        The name that people use.
    needs
        What it reads of the data: "counts", "expression" (any values ≥ 0), "embedding", "labels", "composition",
        "coordinates", "image", "molecules", "proteins".
    reference_needs
        What it reads of the reference; empty for a method that takes none.
    transductive
        Whether the result of one observation depends on the others that it is given with, as in a clustering. Such a
        method has seen the observations that it is judged on, and a benchmark says so.
    draws
        Whether it draws random numbers.
    runs
        "native" (code of this package), "package" (another package in the same environment), "environment" (an
        environment of its own), or "card" (not runnable, and `reason` says why).
    name, target, summary, species, licence, commercial, source, paper, bib_key, extra, reason
        As on the card of a model.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.methods.method_card("domains/kmeans")
    MethodCard: kmeans (domains)
      title          k-means
      summary        Domains of equal spread around centres in an embedding, from the best of several starts.
      gives          labels
      reads          embedding
      reference      no
      transductive   yes, a result depends on all observations that it is given
      random         yes, pass rng=
      licence        BSD-3-Clause (commercial use: yes)
      source         Lloyd's algorithm with k-means++ starts, by scikit-learn
      paper          https://doi.org/10.1109/TIT.1982.1056489
      runs           native
      install        pip install 'stfmkit'
    """

    task: str
    title: str
    needs: tuple[Need, ...]
    reference_needs: tuple[Need, ...] = ()
    transductive: bool
    draws: bool
    runs: Runs = "native"

    @property
    def full_name(self) -> str:
        """``task/name``, which no other method has."""
        return f"{self.task}/{self.name}"

    @property
    def output(self) -> Kind:
        """Kind of its output, which the task decides."""
        return TASKS[self.task]

    @property
    def group(self) -> str:
        """The task."""
        return self.task

    @property
    def reads_expression(self) -> bool:
        """Whether it sees counts, and so must never receive the genes that it is to predict."""
        return "counts" in self.needs or "expression" in self.needs

    def facts(self) -> dict[str, str]:
        """Return what the card says, as label and text."""
        facts = {
            "title": self.title,
            "summary": self.summary,
            "gives": self.output.replace("_", " "),
            "reads": ", ".join(self.needs),
            "reference": ", ".join(self.reference_needs) or "no",
            "transductive": "yes, a result depends on all observations that it is given" if self.transductive else "no",
            "random": "yes, pass rng=" if self.draws else "no",
            "species": ", ".join(self.species),
            "licence": self.licence_text,
            "source": self.source,
            "paper": self.paper,
            "runs": self.runs,
            "install": f"not runnable: {self.reason}" if self.runs == "card" else self.install_text,
        }
        return {label: text for label, text in facts.items() if text}


@dataclass(frozen=True, kw_only=True)
class Slots:
    """What a method reads of one table and of the SpatialData around it: slots by key, elements of any name."""

    X: bool = False
    layers: tuple[str, ...] = ()
    obs: tuple[str, ...] = ()
    obsm: tuple[str, ...] = ()
    obsp: tuple[str, ...] = ()
    var: tuple[str, ...] = ()
    images: bool = False
    points: bool = False
    shapes: bool = False

    @property
    def reads_expression(self) -> bool:
        """Whether a matrix of genes is among them."""
        return self.X or bool(self.layers)

    @property
    def reads_elements(self) -> bool:
        """Whether images, points or shapes are among them."""
        return self.images or self.points or self.shapes


@dataclass(frozen=True, kw_only=True)
class Requirements:
    """What a method reads of the data and of the reference (None where it takes none), as its options decide."""

    data: Slots
    reference: Slots | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Output:
    """What a method returns; rows carry names, so that no result depends on an order.

    Attributes
    ----------
    kind
        What `result` is; "observations" below are the ``obs_names`` of the data, each once, in any order.

        - "labels": categorical Series by observation, none missing.
        - "proportions": DataFrame (n_obs, n_types) of numbers ≥ 0 whose rows sum to 1.
        - "expression": DataFrame (n_obs, n_genes), or a CSR array with `observations` and `genes`; numbers ≥ 0, of
          genes of the data or the reference. A comparison takes them on the scale of its protocol.
        - "embedding": DataFrame (n_obs, d) of finite numbers.
        - "gene_scores": Series, or DataFrame of several scores, by gene; genes without a score are left out.
        - "interaction_scores": DataFrame with the columns "ligand", "receptor" and "score", and "source" and "target"
          (labels) where the method tells them.
        - "segmentation": Series of integers ≥ 0 by molecule, the number of its cell, 0 for none.
        - "alignment": DataFrame of finite coordinates ("x", "y", and "z" where there is one) by observation, in the
          frame of the reference.
    result
        The values.
    probabilities
        With "labels": DataFrame (n_obs, n_labels) in [0, 1], rows summing to 1; None where the method has none.
    observations, genes
        Names of rows and columns of a CSR array.
    facts
        What the method has to say of this run, for the record: numbers, text, or arrays of them, by name.
    """

    kind: Kind
    result: pd.Series | pd.DataFrame | sparse.csr_array
    probabilities: pd.DataFrame | None = None
    observations: pd.Index | None = None
    genes: pd.Index | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


class Method(ABC):
    """A method: a frozen dataclass whose fields are its options, with a card and two verbs.

    Constructing stores options and does nothing else; ``__post_init__`` may refuse values. Keys of slots are options,
    too, under the names that the verbs use: ``embedding_key``, ``label_key``, ``layer``, ``sample_key``,
    ``patient_key``, ``spatial_key``.

    Examples
    --------
    The method, and how it is made known::

        @dataclass(frozen=True, kw_only=True)
        class Nearest(sk.methods.Method):
            card = CARD
            embedding_key: str
            label_key: str
            n_neighbors: int = 5

            def requirements(self): ...

            def run(self, view, reference, *, rng): ...


        sk.methods.register_method(CARD)
        sk.testing.check_method("annotate/nearest")
    """

    card: ClassVar[MethodCard]

    @property
    def options(self) -> dict[str, Any]:
        """The options by name."""
        return {option.name: vars(self)[option.name] for option in fields(self)}  # type: ignore[arg-type]

    @abstractmethod
    def requirements(self) -> Requirements:
        """Return the slots that `run` reads, from the options alone; they are checked before anything is computed."""

    @abstractmethod
    def run(self, view: View, reference: View | None, *, rng: int) -> Output:
        """Return the result for all observations of `view`.

        Parameters
        ----------
        view
            The data; read only.
        reference
            The reference; None where the card states none.
        rng
            The seed that everything random follows from.
        """
