"""What all networks share: options, loading, genes, batches, and the record of what was loaded."""

import os
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypedDict

import numpy as np
import pandas as pd
from scipy import sparse
from torch import Tensor, nn

from stfmkit._core.arguments import check_choice, check_integer, listed
from stfmkit._core.errors import InputError, InputTypeError
from stfmkit.models.card import ModelCard
from stfmkit.models.contract import Block, EmbeddingModel, Requirements
from stfmkit.models.genes.alignment import Duplicates, GeneMatch, GeneMatcher, GeneVocabulary, align_counts
from stfmkit.models.genes.table import GeneTableLike
from stfmkit.models.nets.batching import Batching
from stfmkit.models.nets.checkpoint import AnyAssets, Assets, Checkpoint
from stfmkit.models.nets.modules import published_module, random_module, vocabulary_of
from stfmkit.models.nets.state import Rename
from stfmkit.models.nets.tokens import Tokens, collate
from stfmkit.models.runtime.device import DTYPES, as_device
from stfmkit.models.weights.files import Files
from stfmkit.models.weights.places import RANDOM, as_place, resolve_weights

OnEmpty = Literal["error", "zero"]


class Common(TypedDict, total=False):
    """The options that every network takes; see `Network`."""

    card: ModelCard | None
    weights: str | os.PathLike[str] | None
    config: Mapping[str, Any] | None
    batch_size: int | None
    device: str | None
    dtype: str | None
    rng: int
    on_empty: OnEmpty
    gene_key: str | None
    gene_table: GeneTableLike | None


class Network(EmbeddingModel, Generic[AnyAssets]):
    """A neural network with published weights, or with random ones.

    Parameters
    ----------
    card
        Card of a published checkpoint, where it is not that of the class.
    weights
        None to fetch the published ones, a local folder or file in the published layout, ``owner/repository`` of the
        hub, or "random".
    config
        Sizes of a random twin, updating those of the publication.
    batch_size
        Observations in a batch; None for as many as hold about 2,000 tokens on the CPU, 16,000 elsewhere.
    device
        "cpu" (also None), "cuda", "cuda:1", "mps", or "auto".
    dtype
        "float32" (also None); "bfloat16" or "float16" on CUDA, as the record then says.
    rng
        Seed of random weights and of models that draw.
    on_empty
        What to do with observations without a known gene: "error", or "zero" for a vector of zeros.
    gene_key
        Column of var with the names of the genes; None for ``var_names``.
    gene_table
        Pairs of symbol and Ensembl id: a frame or file with the columns ``symbol`` and ``ensembl``, needed where the
        data have the other kind of names.
    """

    rng: int
    has_vocabulary = True
    options_without_effect = ("on_empty",)

    defaults: ClassVar[Mapping[str, Any]] = {}
    """Published sizes, which ``config=`` updates in a random twin."""
    rename: ClassVar[Rename] = ()
    """From published names of tensors to those of our module."""
    ignore: ClassVar[Sequence[str]] = ()
    """Published tensors that an embedding does not need."""
    duplicates: Duplicates = "sum"
    """What several genes of one token mean."""
    n_special: ClassVar[int] = 0
    """Tokens of a random twin before its first gene."""
    gene_rows: ClassVar[str | None] = None
    """Parameter whose rows belong to tokens; in a random twin they follow from the names of the genes."""
    pad_id: ClassVar[int] = 0
    pad_value: ClassVar[float] = 0.0
    rows_per_part: ClassVar[int] = 2048
    """Observations that a run gives at once, unless the model needs whole samples."""

    def __init__(
        self,
        *,
        card: ModelCard | None = None,
        weights: str | os.PathLike[str] | None = None,
        config: Mapping[str, Any] | None = None,
        batch_size: int | None = None,
        device: str | None = None,
        dtype: str | None = None,
        rng: int = 0,
        on_empty: OnEmpty = "error",
        gene_key: str | None = None,
        gene_table: GeneTableLike | None = None,
    ) -> None:
        if card is not None:
            self.card = card
        check_choice(on_empty, ("error", "zero"), name="on_empty")
        check_choice(dtype or "float32", DTYPES, name="dtype")
        if batch_size is not None:
            check_integer(batch_size, name="batch_size", least=1)
        self.weights, self.rng = as_place(weights), int(rng)
        self.batch_size, self.on_empty = batch_size, on_empty
        self.dtype = dtype or "float32"
        self._device = as_device(device, dtype=self.dtype)
        self.device = str(self._device)
        self.config = _checked_sizes(config, self.defaults, random=self.weights == RANDOM)
        self.gene_key, self.gene_table = gene_key, gene_table
        self._assets: AnyAssets | None = None
        self._checkpoint: Checkpoint | None = None
        self._module: nn.Module | None = None
        self._matcher: GeneMatcher | None = None
        self.batching = Batching(self._device, self.dtype, batch_size)

    # what a family defines

    @abstractmethod
    def read(self, folder: Path) -> AnyAssets:
        """Return what a published folder holds; find files with ``self.find``."""

    def random_assets(self, config: Mapping[str, Any]) -> AnyAssets:
        """Return what a random twin stands on; the vocabulary follows from the data."""
        return Assets(config=config)  # type: ignore[return-value]  # families with more of them say so

    @abstractmethod
    def build(self, assets: AnyAssets) -> nn.Module:
        """Return the module, not yet filled."""

    @abstractmethod
    def tokenise(self, block: Block) -> Tokens:
        """Return the tokens of a block; ``self.align(block)`` gives the counts of the known genes."""

    @abstractmethod
    def forward(self, module: Any, batch: dict[str, Tensor]) -> Tensor:
        """Return the embedding (b, d) of a padded batch."""

    def check_assets(self, assets: AnyAssets) -> None:
        """Refuse options that the loaded files cannot serve."""

    def start_training(self, module: nn.Module) -> None:
        """Make a random module what it is before the training, where that is more than random numbers."""

    # stated before anything is opened

    def requirements(self) -> Requirements:
        """Return what the model needs."""
        return replace(
            super().requirements(),
            var_keys=() if self.gene_key is None else (self.gene_key,),
            rows_per_part=self.rows_per_part,
            draws=self.card.needs_rng or self.weights == RANDOM,
            takes_empty=True,
            dimension=self.card.dimension if self.weights is None else None,
        )

    # loading

    def locate(self) -> None:
        """Find the weights, and fetch published ones; nothing is opened."""
        if self.weights != RANDOM:
            resolve_weights(self.card, self.weights)

    def load(self) -> None:
        """Open the weights and fill the module; a random twin is filled when it has seen the genes of the data."""
        if self._assets is not None:
            return
        self._matcher = GeneMatcher(
            what=self.card.name, gene_key=self.gene_key, duplicates=self.duplicates, gene_table=self.gene_table
        )
        if self.weights == RANDOM:
            assets = self.random_assets({**self.defaults, **self.config})
            self.check_assets(assets)
        else:
            self._checkpoint = Checkpoint(self.card, self.weights)
            assets = self._checkpoint.read(self.read)
            self.check_assets(assets)
            self._module = self._filled(assets)
        self._assets = replace(assets, state=None)

    @property
    def assets(self) -> AnyAssets:
        """What was loaded; opened on first use."""
        if self._assets is None:
            self.load()
        return self._assets  # type: ignore[return-value]  # loaded

    @property
    def module(self) -> nn.Module:
        """The filled module, on its device; built on first use."""
        assets = self.assets
        if self._module is None:
            self._module = self._filled(assets)
        return self._module

    @property
    def matcher(self) -> GeneMatcher:
        """What looks genes up; made with the loading, since it may read a table of names."""
        if self._matcher is None:
            self.load()
        return self._matcher  # type: ignore[return-value]  # loaded

    @property
    def files(self) -> Files:
        """What finds and remembers the files of the checkpoint."""
        if self._checkpoint is None:
            self._checkpoint = Checkpoint(self.card, self.weights)
        return self._checkpoint.files

    def find(self, folder: Path, *names: str, beside: Sequence[str] = ()) -> Path:
        """Return the first of some files in a folder, in `beside` folders of it or of the two folders above."""
        return self.files.find(folder, *names, beside=beside, what=self.card.name)

    def record(self) -> dict[str, Any]:
        """Return what was loaded: place, revision and checksums of the files, or that the weights are random."""
        self.load()
        loaded = {"weights": RANDOM, "untrained": True} if self._checkpoint is None else self._checkpoint.record()
        table = {"gene_table_sha256": self.matcher.sha256} if self.matcher.sha256 else {}
        return {**loaded, "device": self.device, "dtype": self.dtype, **table}

    def _filled(self, assets: AnyAssets) -> nn.Module:
        def build() -> nn.Module:
            return self.build(assets)

        if assets.state is not None:
            module = published_module(build, assets, what=self.card.name, rename=self.rename, ignore=self.ignore)
        else:
            module = random_module(build, assets, what=self.card.name, seed=self.rng, gene_rows=self.gene_rows)
            self.start_training(module)
        return module.eval().requires_grad_(requires_grad=False).to(self._device)

    # genes

    def names(self, block: Block) -> pd.Index:
        """Return the names of the genes of a block (n_genes,), those of ``gene_key`` where it is given."""
        return self.matcher.names(block)

    def vocabulary(self, names: pd.Index) -> GeneVocabulary:
        """Return the vocabulary that the names of a table are looked up in; that of a random twin grows with them."""
        genes = self.assets.genes
        if self.weights == RANDOM and self.gene_rows is not None:
            new = vocabulary_of(names, n_special=self.n_special)
            if genes is None or not new.names.isin(genes.names).all():
                config = {**self.assets.config, "n_tokens": self.n_special + len(new.names)}
                self._assets = replace(self.assets, genes=new, config=config)
                self._module = None
                return new
        if genes is None:
            raise InputError(
                f"the model {self.card.name!r} has no vocabulary.",
                allowed="a network with genes",
                remedy="report this to the author of the model.",
            )
        return genes

    def match(self, block: Block) -> GeneMatch:
        """Return which genes of a block the model knows; the parts of one table share the answer."""
        kept = self.matcher.remembered(block, self.assets.genes)
        if kept is not None:
            return kept
        names = self.names(block)
        vocabulary = self.vocabulary(names)  # first, since a random twin learns new genes from it
        match = self.matcher.match(names, vocabulary, published=self.assets.gene_table)
        return self.matcher.remember(match, block, self.assets.genes)

    def align(self, block: Block, *, add_up: bool | None = None) -> tuple[sparse.csr_array, np.ndarray]:
        """Return the counts (n_obs, m) of the known genes by ascending token, and the tokens (m,)."""
        add_up = self.duplicates == "sum" if add_up is None else add_up
        return align_counts(block.read("expression"), self.match(block), add_up=add_up)

    def genes_read(self, block: Block) -> np.ndarray:
        """Return which genes of a block are in the vocabulary (n_genes,)."""
        read = np.zeros(len(pd.Index(block.genes)), dtype=bool)
        read[self.match(block).columns] = True
        return read

    def rows_of_genes(self, block: Block, table: np.ndarray) -> np.ndarray:
        """Return the rows of a table of tokens (n_tokens, d) that belong to the genes of a block, NaN for unknown ones.

        Parameters
        ----------
        block
            The genes.
        table
            A vector of every token, NaN where there is none.
        """
        match = self.match(block)
        rows = np.full((len(pd.Index(block.genes)), table.shape[1]), np.nan, dtype=np.float32)
        rows[match.columns] = table[match.ids]
        return rows

    # the contract of a run

    def check(self, block: Block) -> None:
        """Refuse all observations without a known gene of a whole table at once, where it is in memory."""
        if self.on_empty == "error" and block.in_memory("expression"):
            try:
                read = self.genes_read(block)
            except InputError:  # the model says itself, with its first part, what is wrong with the names
                return
            self._refuse_empty(block.read("expression") @ read.astype(np.float64) == 0, block)

    def prepare(self, block: Block) -> Tokens:
        """Return the tokens of a block."""
        tokens = self.tokenise(block)
        if self.on_empty == "error":
            self._refuse_empty(self.empty(tokens), block)
        return tokens

    def empty(self, tokens: Tokens) -> np.ndarray:
        """Return which observations have no known gene (n_obs,); ``rows["empty"]`` where special tokens hide it."""
        return np.asarray(tokens.rows["empty"]) if "empty" in tokens.rows else tokens.lengths == 0

    def knows_nothing(self, batch: Tokens) -> bool:
        """Return whether no observation has a known gene."""
        return bool(self.empty(batch).all())

    def encode(self, batch: Tokens) -> np.ndarray:
        """Return the embedding (n_obs, d); the result does not depend on how observations share batches."""
        out: np.ndarray | None = None
        known = np.flatnonzero(~self.empty(batch))
        for rows in self.batches(batch.lengths[known]):
            picked = known[rows]
            values = self.run(self.collate(batch.take(picked)))
            out = np.zeros((batch.n_obs, values.shape[1]), dtype=np.float32) if out is None else out
            out[picked] = values
        if out is None:
            raise InputError(
                "no observation with a known gene.",
                allowed="at least one",
                remedy="drop the empty observations, or check the gene names.",
            )
        return out

    def batches(self, lengths: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the rows that share a batch, given the number of tokens of every observation."""
        return self.batching.batches(lengths)

    def collate(self, tokens: Tokens) -> dict[str, Tensor]:
        """Return a padded batch."""
        return collate(tokens, pad_id=self.pad_id, pad_value=self.pad_value)

    def run(self, batch: Mapping[str, Tensor]) -> np.ndarray:
        """Return the embedding (b, d) of a batch."""
        module = self.module
        return self.batching.array(lambda moved: self.forward(module, moved), batch)

    def _refuse_empty(self, empty: np.ndarray, block: Block) -> None:
        if empty.any():
            raise InputError(
                f"{int(empty.sum())} of {block.n_obs} observations have no count of a gene that {self.card.name!r} "
                f"knows: {listed(block.obs_names[empty], most=3)}.",
                allowed="at least one known gene in every observation",
                remedy="drop these observations, or pass on_empty='zero'.",
            )


def _checked_sizes(config: object, defaults: Mapping[str, Any], *, random: bool) -> dict[str, Any]:
    """Return ``config=`` as a dictionary; only a random twin takes one."""
    if config is not None and not isinstance(config, Mapping):
        raise InputTypeError(
            f"config of type {type(config).__name__}.",
            allowed="sizes by name, such as {'nlayers': 2}",
            remedy="pass a dictionary.",
        )
    sizes = dict(config or {})
    if sizes and not random:
        raise InputError(
            f"config={sizes!r} for published weights.",
            allowed="config= with weights='random'",
            remedy="leave it out: the sizes are those of the checkpoint.",
        )
    unknown = [name for name in sizes if name not in defaults]
    if unknown:
        raise InputError(
            f"config with {listed(unknown)}.", allowed=listed(defaults, most=30), remedy="correct the name."
        )
    return sizes
