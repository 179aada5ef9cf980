"""Cards: the facts of a model and of its published weights, as data."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from stfmkit._core.card import Card

Modality: TypeAlias = Literal["counts", "expression", "coordinates", "composition", "image", "text", "proteins"]
Family: TypeAlias = Literal["baseline", "rna", "spatial", "histology", "hybrid"]

MODALITIES: tuple[str, ...] = get_args(Modality)
FAMILIES: tuple[str, ...] = get_args(Family)
Kind: TypeAlias = Literal["hub", "url", "manual"]

KINDS: tuple[str, ...] = get_args(Kind)

AS_CODE = "none of their own, taken as that of the repository"
"""What ``Weights.licence`` says of weights that a repository links to without a word on their licence."""


@dataclass(frozen=True)
class WeightFile:
    """One published file.

    Attributes
    ----------
    path
        Name in the published folder.
    sha256
        Checksum, where its authors or we have one; of a place of the hub, that of its `revision`.
    url
        Direct link, for ``kind="url"``.
    """

    path: str
    sha256: str | None = None
    url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The place of the weights of one model.

    Attributes
    ----------
    kind
        "hub" (Hugging Face), "url" (direct links), or "manual": the place has no stable direct link, so the folder
        is downloaded by hand and given as ``weights=``.
    place
        ``owner/repository`` of the hub, or the landing page.
    revision
        Commit or tag of the hub that is fetched, so that a later change there changes nothing here; None for the
        newest. The commit that was loaded is recorded.
    folder
        Folder of this model inside the place, where it holds several.
    files
        The files that are needed.
    licence
        Licence of the weights, where it is not simply the card's, or that it was not verified.
    gated
        Whether the place asks for an account and an agreement.
    note
        What a user has to know.
    """

    kind: Kind
    place: str
    revision: str | None = None
    folder: str | None = None
    files: tuple[WeightFile, ...] = ()
    licence: str = ""
    gated: bool = False
    note: str = ""


@dataclass(frozen=True, kw_only=True, repr=False)
class ModelCard(Card):
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
        What the model reads by default: "counts", "expression" (any values ≥ 0), "coordinates", "composition", "image",
        "text", "proteins"; empty where it reads nothing. Options may change it: ``model.requirements()``
        says what holds.
    fits
        Whether the model learns from the data it is given (PCA, gene choice); such models are fitted on training
        patients only inside a benchmark.
    uses_neighbors
        Whether the vector of one observation depends on others by default; such models see whole samples.
    needs_rng
        Whether the model draws random numbers by default, so that the result depends on the seed.
    dimension
        Width of the embedding; None where it depends on options or data.
    licence
        SPDX name of the licence; where code and weights differ, which is of which. Weights without a licence of their
        own are taken to be under that of the repository that publishes them.
    commercial
        Whether the licences of code and weights allow commercial use; None where one of them is not known.
    source
        Paper or place of the definition.
    extra
        The extra of stfmkit to install, if any.
    modality
        What the model was trained on, in a word or two.
    species
        Species that it knows.
    gene_ids
        "ensembl" or "symbol": what its vocabulary holds; None where the model takes any gene.
    context_length
        Most tokens (genes) of one observation, where there is a limit.
    weights
        Where its weights are published; None where it has none.
    paper
        DOI or address of the paper.
    bib_key
        Key in the bibliography of the documentation.
    corpus
        What it was trained on, in words.
    corpus_names
        Names and accessions of the collections and data sets that its authors say it was trained on, so that overlap
        with a benchmark can be seen; None where they are not known.
    notes
        What a user has to know of its numbers: ties, noise, exceptions from the original.
    control
        Whether it stands for what every representation has to beat, such as position or depth alone.
    runnable
        Whether stfmkit can run it.
    reason
        Why not, where it cannot.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.models.model_card("library_size")
    ModelCard: library_size (baseline)
      summary        Sequencing depth: log1p of the total counts and of the number of detected genes.
      reads          counts
      fits           no
      neighbours     no
      random         no
      dimension      2
      licence        BSD-3-Clause (commercial use: yes)
      source         control for sequencing depth
      install        pip install 'stfmkit'
    """

    family: Family
    needs: tuple[Modality, ...]
    fits: bool = False
    uses_neighbors: bool = False
    needs_rng: bool = False
    dimension: int | None = None
    modality: str = ""
    gene_ids: Literal["ensembl", "symbol"] | None = None
    context_length: int | None = None
    weights: Weights | None = None
    corpus: str = ""
    corpus_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    control: bool = False
    runnable: bool = True

    @property
    def group(self) -> str:
        """The family."""
        return self.family

    @property
    def reads_expression(self) -> bool:
        """Whether the model sees counts (and so must never receive the genes that it is to predict)."""
        return "counts" in self.needs or "expression" in self.needs

    def facts(self) -> dict[str, str]:
        """Return what the card says, as label and text."""
        facts = {
            "summary": self.summary,
            "reads": ", ".join(self.needs) or "nothing",
            "fits": "yes, on the observations it is given" if self.fits else "no",
            "neighbours": "yes, within a sample" if self.uses_neighbors else "no",
            "random": "yes, by the seed (rng=)" if self.needs_rng else "no",
            "dimension": "set by options or data" if self.dimension is None else str(self.dimension),
            "modality": self.modality,
            "species": ", ".join(self.species),
            "gene ids": self.gene_ids or "",
            "context": "" if self.context_length is None else f"{self.context_length} tokens",
            "licence": self.licence_text,
            "weights": "" if self.weights is None else _place(self.weights),
            "trained on": self.corpus,
            "source": self.source,
            "paper": self.paper,
            "install": self.install_text if self.runnable else f"not runnable: {self.reason}",
        }
        notes = {f"note {i}": note for i, note in enumerate(self.notes, start=1)}
        return {label: text for label, text in facts.items() if text or label in _ALWAYS} | notes


_ALWAYS = ("summary", "reads", "fits", "neighbours", "random", "dimension", "licence", "source", "install")


def _place(weights: Weights) -> str:
    place = f"huggingface.co/{weights.place}" if weights.kind == "hub" else weights.place
    parts = [place if weights.folder is None else f"{place} ({weights.folder})"]
    if weights.revision is not None:
        parts.append(f"revision {weights.revision}")
    if weights.kind == "manual":
        names = ", ".join(file.path for file in weights.files)
        parts.append("to be downloaded by hand" + (f": {names}" if names else ""))
    elif weights.files and all(file.sha256 for file in weights.files):
        parts.append("every file is checked by its sha256")
    if weights.gated:
        parts.append("gated")
    if weights.licence:
        parts.append(f"licence: {weights.licence}")
    return "; ".join([*parts, *([weights.note] if weights.note else [])])
