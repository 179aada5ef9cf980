"""What all networks share: weights, genes, batches, device, and the record of what was run."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, TypedDict

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from torch import Tensor, nn

from stfmkit._core.arguments import check_choice, check_integer, listed
from stfmkit._core.errors import InputError
from stfmkit._core.files import sha256_of
from stfmkit.models.contract import Block
from stfmkit.models.card import ModelCard
from stfmkit.models._contract import expression
from stfmkit.models.genes.coverage import counts_seen, coverage, warn_of_low_coverage
from stfmkit.models.genes.table import GeneTable, GeneTableLike, kind_of
from stfmkit.models.genes.alignment import Duplicates, GeneMatch, GeneVocabulary, align_counts, match_genes
from stfmkit.models.weights.places import RANDOM, resolve_weights
from stfmkit.models.baselines.random import named_normals
from stfmkit.models.runtime.device import DTYPES, MOST_TOKENS, as_device, computing
from stfmkit.models.weights.files import Files
from stfmkit.models.weights.arguments import as_place, as_sizes, built, readable
from stfmkit.models.nets.state import Rename, draw_state, load_state
from stfmkit.models.nets.tokens import Tokens, batches, collate

OnEmpty = Literal["error", "zero"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Assets:
    """What a published folder holds, or what stands for it in a random twin.

    Attributes
    ----------
    config
        Sizes of the network.
    genes
        The vocabulary; None in a random twin until it has seen the genes of the data.
    state
        Tensors by published name; None for a random twin.
    gene_table
        Symbols and Ensembl ids, where the publication has them.
    more
        Whatever else the model needs (medians, means, special tokens).
    """

    config: Mapping[str, Any]
    genes: GeneVocabulary | None = None
    state: Mapping[str, Tensor] | None = None
    gene_table: GeneTableLike | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


class Common(TypedDict, total=False):
    """The options that every network takes; see `Network`."""

    card: ModelCard | None
    weights: str | os.PathLike[str] | None
    config: Mapping[str, Any] | None
    batch_size: int | None
    device: str | None
    dtype: str | None
    rng: int | None
    on_empty: OnEmpty
    gene_key: str | None
    gene_table: GeneTableLike | None


class Network(ABC):
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
        Seed of random weights and of models that draw; None for 0.
    on_empty
        What to do with observations without a known gene: "error", or "zero" for a vector of zeros.
    gene_key
        Column of var with the names of the genes; None for ``var_names``.
    gene_table
        Pairs of symbol and Ensembl id: a frame or file with the columns ``symbol`` and ``ensembl``, needed where the
        data have the other kind of names.
    """

    card: ModelCard
    coverage: dict[str, float]
    """Share of the genes and of the counts that the model saw since `begin`."""
    defaults: ClassVar[Mapping[str, Any]] = {}
    """Published sizes, which ``config=`` updates in a random twin."""
    rename: ClassVar[Rename] = ()
    """From published names of tensors to those of our module."""
    ignore: ClassVar[Sequence[str]] = ()
    """Published tensors that an embedding does not need."""
    duplicates: ClassVar[Duplicates] = "sum"
    """What several genes of one token mean."""
    n_special: ClassVar[int] = 0
    """Tokens of a random twin before its first gene."""
    gene_rows: ClassVar[str | None] = None
    """Parameter whose rows belong to tokens; in a random twin they follow from the names of the genes."""
    pad_id: ClassVar[int] = 0
    pad_value: ClassVar[float] = 0.0
    block_size: ClassVar[int] = 2048
    """Observations that the runner gives at once, unless the card says that the model uses neighbours."""

    def __init__(
        self,
        *,
        card: ModelCard | None = None,
        weights: str | os.PathLike[str] | None = None,
        config: Mapping[str, Any] | None = None,
        batch_size: int | None = None,
        device: str | None = None,
        dtype: str | None = None,
        rng: int | None = None,
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
        self.weights = as_place(weights)
        self.batch_size, self.on_empty, self.rng = batch_size, on_empty, 0 if rng is None else int(rng)
        self.dtype = dtype or "float32"
        self._device = as_device(device, dtype=self.dtype)
        self.device = str(self._device)
        self.config = as_sizes(config)
        self.gene_key, self.gene_table = gene_key, gene_table
        self.begin()
        self._files = Files()
        self._pairs = None if gene_table is None else GeneTable.of(gene_table)
        self._pairs_sha256 = sha256_of(Path(gene_table)) if isinstance(gene_table, (str, os.PathLike)) else ""
        self._revision = ""
        self._module: nn.Module | None = None
        self._genes_used: pd.Index = pd.Index([], dtype=object)
        self._matched: tuple[tuple[object, ...], GeneMatch] | None = None
        self.assets = self._random() if self.weights == RANDOM else self._published()

    # what a model defines

    @abstractmethod
    def read(self, folder: Path) -> Assets:
        """Return what a published folder holds; find files with ``self.find``."""

    @abstractmethod
    def build(self, assets: Assets) -> nn.Module:
        """Return the module, not yet filled."""

    @abstractmethod
    def tokenise(self, block: Block) -> Tokens:
        """Return the tokens of a block; ``self.align(block)`` gives the counts of the known genes."""

    @abstractmethod
    def forward(self, module: Any, batch: dict[str, Tensor]) -> Tensor:
        """Return the embedding (b, d) of a padded batch."""

    def invent(self, config: Mapping[str, Any]) -> Assets:
        """Return what a random twin stands on; the vocabulary follows from the data."""
        return Assets(config=config)

    @property
    def obs_keys(self) -> tuple[str, ...]:
        """Columns of obs that the model reads, as its options name them."""
        return ()

    @property
    def var_keys(self) -> tuple[str, ...]:
        """Columns of var that the model reads."""
        return () if self.gene_key is None else (self.gene_key,)

    @property
    def reads_counts(self) -> bool:
        """Whether the matrix has to hold raw counts; otherwise any finite values ≥ 0 will do."""
        return True

    # the contract of the runner

    @property
    def dimension(self) -> int | None:
        """Width of the embedding, where it is known before; None leaves it to the network."""
        return None

    @property
    def genes_used(self) -> pd.Index:
        """The genes of the last block that are in the vocabulary."""
        return self._genes_used

    @property
    def provenance(self) -> dict[str, Any]:
        """What was loaded: place, revision and checksums of the files, or that the weights are random."""
        more = {"device": self.device, "dtype": self.dtype}
        if self._pairs_sha256:
            more["gene_table_sha256"] = self._pairs_sha256
        if self.weights == RANDOM:
            return {"weights": RANDOM, "untrained": True, **more}
        return {
            "weights": self.weights or (self.card.weights.place if self.card.weights else ""),
            "untrained": False,
            "revision": self._revision,
            "sha256": self._files.checksums(),
            **more,
        }

    def begin(self) -> None:
        """Start the count of what the model has seen anew."""
        self._seen = np.zeros(2)
        self.coverage = {}

    def check_block(self, block: Block) -> None:
        """Refuse all observations without a known gene of a whole table at once, before the work."""
        if self.on_empty == "error":
            self._learn(block)
            counts, genes = expression(block, card=self.card)
            held = np.zeros(len(genes))
            try:
                held[self._match_once(block).columns] = 1.0
            except InputError:  # the model says itself what is wrong with the names
                return
            self._refuse_empty(counts @ held == 0, block)

    def note_block(self, block: Block) -> None:
        """Record what the model sees of observations whose vectors are there already."""
        self.known(block)

    def prepare(self, block: Block) -> Tokens:
        """Return the tokens of a block."""
        if self.weights == RANDOM and self.gene_rows is not None:
            self._adopt(self.names(block))
        tokens = self.tokenise(block)
        self._check_empty(tokens, block)
        return tokens

    def knows_nothing(self, batch: Tokens) -> bool:
        """Return whether no observation has a known gene; the runner then needs no `encode`."""
        return bool(self._empty(batch).all())

    def encode(self, batch: Tokens) -> np.ndarray:
        """Return the embedding (n_obs, d); the result does not depend on how observations share batches."""
        module = self.module
        out: np.ndarray | None = None
        known = np.flatnonzero(~self._empty(batch))
        for rows in self.batches(batch.lengths[known]):
            picked = known[rows]
            values = self._run(module, self.collate(batch.take(picked)))
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
        return batches(lengths, batch_size=self.batch_size, most_tokens=MOST_TOKENS[self._device.type])

    def collate(self, tokens: Tokens) -> dict[str, Tensor]:
        """Return a padded batch."""
        return collate(tokens, pad_id=self.pad_id, pad_value=self.pad_value)

    @property
    def module(self) -> nn.Module:
        """The filled module, on its device; built on first use."""
        if self._module is None:
            self._module = self._filled(self.assets)
        return self._module

    def find(self, folder: Path, *names: str, beside: Sequence[str] = ()) -> Path:
        """Return the first of some files in a folder, in `beside` folders of it or of the two folders above."""
        return self._files.find(folder, *names, beside=beside, what=self.card.name)

    def align(self, block: Block, *, add_up: bool | None = None) -> tuple[sparse.csr_array, np.ndarray]:
        """Return the counts (n_obs, m) of the known genes by ascending token, and the tokens (m,); records coverage."""
        match = self.known(block)
        counts = expression(block, card=self.card)[0]
        return align_counts(counts, match, add_up=self.duplicates == "sum" if add_up is None else add_up)

    def known(self, block: Block) -> GeneMatch:
        """Return which genes of a block the model knows, and record how much of the data that is."""
        counts, genes = expression(block, card=self.card)
        self._learn(block)
        match = self._match_once(block)
        self._genes_used = genes[np.unique(match.columns)]
        before = self._seen[0]
        self._seen += counts_seen(counts, match)
        self.coverage = coverage(self._seen, match, n_genes=len(genes))
        if before == 0 and self._seen[0] > 0:  # parts of which nothing is known say nothing of the others
            warn_of_low_coverage(self.coverage, n_genes=len(genes), what=self.card.name)
        return match

    def _learn(self, block: Block) -> None:
        """Give a model without a vocabulary the genes of the data."""
        if self.assets.genes is None:
            self._adopt(self.names(block))

    def _match_once(self, block: Block) -> GeneMatch:
        """Return the match of the block before where the genes are the same objects, as in the parts of one table."""
        key = (block.genes, block.var.get(self.gene_key or ""), self.assets.genes)
        if self._matched is None or any(a is not b for a, b in zip(key, self._matched[0], strict=True)):
            self._matched = (key, self.match(block))
        return self._matched[1]

    def names(self, block: Block) -> pd.Index:
        """Return the names of the genes of a block (n_genes,), those of ``gene_key`` where it is given."""
        return expression(block, card=self.card)[1] if self.gene_key is None else pd.Index(block.var[self.gene_key])

    def match(self, block: Block) -> GeneMatch:
        """Return which genes of a block the model knows."""
        table = self.assets.gene_table if self._pairs is None else self._pairs
        vocabulary: GeneVocabulary = self.assets.genes  # type: ignore[assignment]  # adopted before in a random twin
        return match_genes(
            self.names(block), vocabulary, what=self.card.name, duplicates=self.duplicates, gene_table=table
        )

    # weights

    def _published(self) -> Assets:
        if self.config:
            raise InputError(
                f"config={self.config!r} for published weights.",
                allowed="config= with weights='random'",
                remedy="leave it out: the sizes are those of the checkpoint.",
            )
        folder, self._revision = resolve_weights(self.card, self.weights)
        assets = readable(self.read, self._files.enter(folder), files=self._files, what=self.card.name)
        self._module = self._filled(assets)
        return replace(assets, state=None)

    def _random(self) -> Assets:
        unknown = [name for name in self.config if name not in self.defaults]
        if unknown:
            raise InputError(
                f"config with {listed(unknown)}.",
                allowed=listed(self.defaults, most=30),
                remedy="correct the name.",
            )
        return self.invent({**self.defaults, **self.config})

    def _adopt(self, genes: pd.Index) -> None:
        """Make the vocabulary of a random twin from the genes of the data, where it does not know them yet."""
        held = genes.astype(str)
        names = pd.Index(np.unique(held[held != ""]))  # a gene without a name is none
        if self.assets.genes is not None and names.isin(self.assets.genes.names).all():
            return
        ids = self.n_special + np.arange(len(names))
        vocabulary = GeneVocabulary(names, kind=kind_of(names), ids=ids)
        config = {**self.assets.config, "n_tokens": self.n_special + len(names)}
        self._module = self._filled(replace(self.assets, genes=vocabulary, config=config))
        self.assets = replace(self.assets, genes=vocabulary, config=config)

    def _filled(self, assets: Assets) -> nn.Module:
        if assets.state is not None:
            with torch.device("meta"):
                module = built(lambda: self.build(assets), assets.config, what=self.card.name)
            load_state(module, assets.state, what=self.card.name, rename=self.rename, ignore=self.ignore)
        else:
            with torch.random.fork_rng(devices=[]):
                module = built(lambda: self.build(assets), assets.config, what=self.card.name)
            draw_state(module, seed=self.rng)
            if self.gene_rows is not None and assets.genes is not None:
                rows = named_normals(assets.genes.names, seed=self.rng, dimension=self._row_width(module)) * 0.02
                with torch.no_grad():
                    where = torch.from_numpy(assets.genes.tokens())
                    module.get_parameter(self.gene_rows)[where] = torch.from_numpy(rows.astype(np.float32))
        return module.eval().requires_grad_(requires_grad=False).to(self._device)

    def _row_width(self, module: nn.Module) -> int:
        return int(module.get_parameter(str(self.gene_rows)).shape[1])

    # batches

    def _run(self, module: nn.Module, batch: dict[str, Tensor]) -> np.ndarray:
        with torch.inference_mode(), computing(self._device, self.dtype):
            moved = {name: tensor.to(self._device) for name, tensor in batch.items()}
            return self.forward(module, moved).float().cpu().numpy()

    def _empty(self, tokens: Tokens) -> np.ndarray:
        """Return which observations have no known gene (n_obs,); ``rows["empty"]`` where special tokens hide it."""
        return np.asarray(tokens.rows["empty"]) if "empty" in tokens.rows else tokens.lengths == 0

    def _check_empty(self, tokens: Tokens, block: Block) -> None:
        if self.on_empty == "error":
            self._refuse_empty(self._empty(tokens), block)

    def _refuse_empty(self, empty: np.ndarray, block: Block) -> None:
        if empty.any():
            raise InputError(
                f"{int(empty.sum())} of {block.n_obs} observations have no count of a gene that {self.card.name!r} "
                f"knows: {listed(block.obs_names[empty], most=3)}.",
                allowed="at least one known gene in every observation",
                remedy="drop these observations, or pass on_empty='zero'.",
            )
