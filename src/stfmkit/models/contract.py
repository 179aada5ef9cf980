"""The contract of embedding models: what a model states before it runs, what it is given, and what it answers.

A model is a class under `EmbeddingModel`. Constructing stores options; `EmbeddingModel.requirements` tells from these
alone what the model reads; `EmbeddingModel.load` opens files. A run then hands it a `Block` of observations, in parts
that the requirements fix: ``fit`` (where the card says so), ``prepare`` and ``encode``, or ``encode_genes``. What a run
has seen belongs to the run (`stfmkit.models.runtime.run.ModelRun`), never to the model.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self, TypeVar

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit._core.arguments import listed
from stfmkit._core.definition import Definition, definition_of
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit._core.files import digest
from stfmkit._core.identity import exact, with_content
from stfmkit._data.rows import ArrayRows, SelectedColumns, SelectedRows
from stfmkit.models.card import Modality, ModelCard
from stfmkit.models.catalogue import MODELS
from stfmkit.models.options import options_of

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")


class Rows(Protocol):
    """A lazy reader of one modality over observations; what it reads may be larger than memory.

    A matrix has the shape (n_obs, n_columns), coordinates (n_obs, 2), image patches (n_obs, size, size, channels),
    text (n_obs,).
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole; observations come first."""
        ...

    def read(self, rows: np.ndarray) -> Any:
        """Return the rows at some positions, in the order asked for: an array, or a CSR array of a matrix."""
        ...


@dataclass(frozen=True, kw_only=True)
class Patch:
    """The square of an image around every observation that a model reads.

    Attributes
    ----------
    size
        Length of a side in pixels.
    microns_per_pixel
        Length of a pixel in µm; the image is resampled to it. None for the pixels of the image, whatever their length.
    fill
        Value from 0 to 255 of what lies outside the image; 255 is the background of a bright-field image.
    """

    size: int
    microns_per_pixel: float | None
    fill: int = 255


@dataclass(frozen=True, kw_only=True)
class Requirements:
    """What a model needs, as its options say, before anything is opened.

    Attributes
    ----------
    needs
        Modalities that it reads. "counts" are raw counts, "expression" any finite values ≥ 0; a model reads one of
        the two, or none.
    obs_keys
        Columns of ``obs`` that it reads, as text.
    var_keys
        Columns of ``var`` with names of the genes.
    whole_samples
        Whether the vector of an observation depends on others of its sample; one part is then one whole sample.
    rows_per_part
        Most observations of a part where it does not.
    draws
        Whether the result depends on the seed.
    takes_empty
        Whether observations without a single count are its own business; otherwise they are refused.
    dimension
        Width of the embedding, None where data or files decide.
    patch
        What it reads of an image; needed with the modality "image".
    follows_order
        What the result depends on the order of, as that of the original does: "observations", "genes", both, or
        nothing.
    """

    needs: tuple[Modality, ...] = ()
    obs_keys: tuple[str, ...] = ()
    var_keys: tuple[str, ...] = ()
    whole_samples: bool = False
    rows_per_part: int = 8192
    draws: bool = False
    takes_empty: bool = False
    dimension: int | None = None
    patch: Patch | None = None
    follows_order: tuple[Literal["observations", "genes"], ...] = ()

    @property
    def matrix(self) -> Literal["counts", "expression"] | None:
        """The matrix of genes that it reads, None for none."""
        return "counts" if "counts" in self.needs else "expression" if "expression" in self.needs else None

    @classmethod
    def of_all(cls, several: "Iterable[Requirements]") -> "Requirements":
        """Return what one block needs that several models read, each through `Block.only`."""
        held = list(several)
        needs = dict.fromkeys(need for one in held for need in one.needs)
        if "counts" in needs:
            needs.pop("expression", None)  # counts are expression
        patches = {one.patch for one in held if one.patch is not None}
        if len(patches) > 1:
            raise InputError(
                f"models that read different patches of the image: {listed(patches)}.",
                allowed="one size and resolution in one block",
                remedy="open a block for each.",
            )
        return cls(
            needs=tuple(needs),
            obs_keys=tuple(dict.fromkeys(key for one in held for key in one.obs_keys)),
            var_keys=tuple(dict.fromkeys(key for one in held for key in one.var_keys)),
            takes_empty=all(one.takes_empty for one in held if one.matrix is not None),
            patch=next(iter(patches), None),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """Observations as a model sees them.

    Attributes
    ----------
    obs_names
        Names of the observations (n_obs,).
    samples
        Integer code of the sample of every observation (n_obs,); in all blocks that one model sees, a code stands for
        the same sample.
    inputs
        Reader of every modality by name, see `Rows`; arrays are taken as they are.
    genes
        Gene names (n_genes,) in the order of the matrix, None without one.
    obs
        Columns of ``obs`` by name, as text (n_obs,).
    var
        Other names of the genes by column of ``var`` (n_genes,).

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import stfmkit as sk
    >>> names = pd.Index(["a", "b", "c"])
    >>> block = sk.models.Block(obs_names=names, samples=np.zeros(3, int), inputs={"coordinates": np.eye(3, 2)})
    >>> block.take(np.array([2, 0])).read("coordinates")
    array([[0., 0.],
           [1., 0.]])
    """

    obs_names: pd.Index
    samples: np.ndarray
    inputs: Mapping[Modality, Any] = field(default_factory=dict)
    genes: pd.Index | None = None
    obs: Mapping[str, np.ndarray] = field(default_factory=dict)
    var: Mapping[str, np.ndarray] = field(default_factory=dict)
    _read: dict[str, Any] = field(default_factory=dict, init=False, repr=False)  # whole modalities, read once

    def __post_init__(self) -> None:
        arrays = (np.ndarray, sparse.sparray, sparse.spmatrix)
        held = {name: ArrayRows(rows) if isinstance(rows, arrays) else rows for name, rows in self.inputs.items()}
        object.__setattr__(self, "inputs", held)

    @property
    def n_obs(self) -> int:
        """Number of observations."""
        return len(self.obs_names)

    def has(self, modality: Modality) -> bool:
        """Return whether there is a modality; counts are expression, too."""
        return modality in self.inputs or (modality == "expression" and "counts" in self.inputs)

    def in_memory(self, modality: Modality) -> bool:
        """Return whether a modality is in memory, so that reading all of it costs nothing."""
        name = self._name(modality)
        return name in self._read or isinstance(self.inputs[name], ArrayRows)

    def read(self, modality: Modality, rows: np.ndarray | None = None) -> Any:
        """Return a modality of some rows, or of all; what was read as a whole stays in memory with the block.

        Raises
        ------
        MissingKeyError
            The block does not have it.
        """
        name = self._name(modality)
        if name not in self._read:
            reader = self.inputs[name]
            if rows is not None:
                return reader.read(rows)
            all_rows = np.arange(self.n_obs)
            self._read[name] = reader.array if isinstance(reader, ArrayRows) else reader.read(all_rows)
        return self._read[name] if rows is None else self._read[name][rows]

    def take(self, rows: np.ndarray) -> Self:
        """Return the block of some rows; what is not in memory stays where it is."""
        taken: dict[Modality, Rows] = {
            name: ArrayRows(self.read(name, rows)) if self.in_memory(name) else SelectedRows(reader, rows)
            for name, reader in self.inputs.items()
        }
        obs = {name: values[rows] for name, values in self.obs.items()}
        return replace(self, obs_names=self.obs_names[rows], samples=self.samples[rows], inputs=taken, obs=obs)

    def without_genes(self, hidden: np.ndarray) -> Self:
        """Return the block without the genes at the positions `hidden`; their counts are gone, not zero."""
        if self.genes is None or len(hidden) == 0:
            return self
        keep = np.setdiff1d(np.arange(len(self.genes)), hidden)
        inputs = dict(self.inputs)
        for name in ("counts", "expression"):
            if name in inputs:
                whole = self.in_memory(name)
                inputs[name] = ArrayRows(self.read(name)[:, keep]) if whole else SelectedColumns(inputs[name], keep)
        names = {name: values[keep] for name, values in self.var.items()}
        return replace(self, inputs=inputs, genes=self.genes[keep], var=names)

    def only(self, requirements: Requirements) -> Self:
        """Return the block with nothing but what a model needs, so that it cannot read anything else unnoticed."""
        names = [self._name(need) for need in requirements.needs]
        matrix = requirements.matrix is not None
        kept = replace(
            self,
            inputs={name: reader for name, reader in self.inputs.items() if name in names},
            genes=self.genes if matrix else None,
            obs={key: self.obs[key] for key in requirements.obs_keys},
            var={key: self.var[key] for key in requirements.var_keys},
        )
        kept._read.update({name: held for name, held in self._read.items() if name in names})
        return kept

    def identity(self) -> str:
        """Return text that tells the block from any other; all modalities are read."""
        inputs = {}
        for name in sorted(self.inputs):
            held = self.read(name)
            inputs[name] = (held.shape, held.indptr, held.indices, held.data) if sparse.issparse(held) else held
        genes = None if self.genes is None else self.genes.to_numpy(dtype=str)
        labels = {key: np.asarray(values, dtype=str) for key, values in {**self.obs, **self.var}.items()}
        return exact([self.obs_names.to_numpy(dtype=str), self.samples, inputs, genes, labels])

    def _name(self, modality: Modality) -> Modality:
        """Return the name under which a modality is held."""
        if modality == "expression" and modality not in self.inputs:
            modality = "counts"
        if modality not in self.inputs:
            raise MissingKeyError(
                f"a block without {modality}.",
                allowed=f"what the block holds: {listed(self.inputs)}",
                remedy=f"name {modality!r} in the needs of the model, so that it is read from the data.",
            )
        return modality


class EmbeddingModel(ABC):
    """A model of observations; subclasses add `prepare` and `encode`, and whatever else they state otherwise.

    The constructor takes options by name, stores each under its name, checks it, and opens nothing.

    Attributes
    ----------
    card
        Facts of the checkpoint, the same whatever the options.
    rng
        Seed that a model was constructed with; None for models that take none. A model that draws takes ``rng``, an
        integer, in its constructor.
    """

    card: ModelCard
    rng: int | None = None
    gives_genes: ClassVar[bool] = False
    """Whether `encode_genes` gives a vector of every gene."""
    has_vocabulary: ClassVar[bool] = False
    """Whether it knows a fixed set of genes, so that data mostly outside of it deserve a warning."""
    options_without_effect: ClassVar[Collection[str]] = ()
    """Options that change no vector."""

    # stated before anything is opened

    def requirements(self) -> Requirements:
        """Return what the model needs, from the card and the options alone."""
        card = self.card
        return Requirements(
            needs=card.needs, whole_samples=card.uses_neighbors, draws=card.needs_rng, dimension=card.dimension
        )

    def options(self) -> dict[str, Any]:
        """Return the options by name, as they were stored by the constructor."""
        return options_of(self)

    def locate(self) -> None:  # noqa: B027  most baselines have no files
        """Find the files that `load` opens and fetch published ones, so that missing ones are told before long work."""

    def load(self) -> None:  # noqa: B027  most baselines open nothing
        """Open files and weights; called once or more often before the first block, and by the model itself."""

    # computed from blocks

    def fit(self, block: Block) -> Self:
        """Learn from training observations and return self; only where the card says ``fits=True``."""
        raise InputError(
            f"the model {self.card.name!r} learns nothing from data ({len(block.obs_names)} observations).",
            allowed="fit(block) of a model whose card says fits=True",
            remedy="leave fit out.",
        )

    def check(self, block: Block) -> None:  # noqa: B027  most models refuse nothing
        """Refuse a whole table that the model cannot embed, before the first of its parts is computed."""

    def genes_read(self, block: Block) -> np.ndarray:
        """Return which genes of a block the model reads (n_genes,), all of them by default."""
        return np.ones(0 if block.genes is None else len(block.genes), dtype=bool)

    @abstractmethod
    def prepare(self, block: Block) -> Any:
        """Turn a block into what `encode` takes: tokens, matrices, graphs."""

    def knows_nothing(self, batch: Any) -> bool:  # noqa: ARG002  the contract names it
        """Return whether nothing is known of any observation of a prepared block; its vectors are then zeros."""
        return False

    @abstractmethod
    def encode(self, batch: Any) -> np.ndarray:
        """Return the embedding (n_obs, d) of a prepared block, rows in the order of the block."""

    def encode_genes(self, block: Block) -> np.ndarray:
        """Return a vector of every gene (n_genes, d), NaN for those that the model does not know."""
        raise InputError(
            f"the model {self.card.name!r} defines no vector of a gene (asked for {block.n_obs} observations).",
            allowed="models with gives_genes=True",
            remedy="take the vectors of observations, output='obs'.",
        )

    # recorded

    def record(self) -> dict[str, Any] | None:
        """Return what was loaded, for the provenance: place, revision and checksums; None where nothing is."""
        return None

    def definition(self) -> Definition:
        """Return the code of the model: its class, the plug-in that brings it, and the libraries under it."""
        card = self.card
        return definition_of(type(self), extra=card.extra, brought_by=MODELS.brought_by(card.name))

    def identity(self) -> str:
        """Return text that tells the vectors of this model from those of any other.

        It follows the card, the options, the seed of a model that draws, the code with the versions of what it stands
        on, and the content of all files: those that `record` lists with their checksums, and those that an option
        names. Where files lie makes no difference.
        """
        loaded = dict(self.record() or {})
        listed_files = "sha256" in loaded
        left_out = {*self.options_without_effect, *(["weights"] if listed_files else [])}
        options = {name: value for name, value in self.options().items() if name not in left_out}
        if listed_files:
            loaded.pop("weights", None)
            files = loaded["sha256"].items()  # in the order of reading; a key may hold the name of a folder
            loaded["sha256"] = [(name.rpartition(":")[2], total) for name, total in files]
        facts = {
            "card": self.card,
            "code": self.definition().identity(),
            "options": with_content(options),
            "rng": self.rng if self.requirements().draws else None,
            "loaded": loaded,
        }
        return digest(exact(facts).encode())

    def learned(self, state: T | None) -> T:
        """Return what the model has learned, or refuse to go on before `fit`."""
        if state is None:
            raise InputError(
                f"the model {self.card.name!r} has not been fitted.",
                allowed="a fitted model",
                remedy="call fit(block) with training observations first.",
            )
        return state
