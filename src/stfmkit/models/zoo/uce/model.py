"""UCE: sentences of genes by chromosome, their protein vectors, and the state of the first token."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Unpack

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn.functional import normalize

from stfmkit._core.arguments import check_choice, check_integer
from stfmkit.models.contract import Block, Requirements
from stfmkit.models.nets.checkpoint import Assets
from stfmkit.models.nets.encoder import Encoder
from stfmkit.models.nets.network import Common, Network
from stfmkit.models.nets.tokens import Tokens
from stfmkit.models.weights.tensors import read_state, read_tensor
from stfmkit.models.zoo.uce.card import UCE as CARD
from stfmkit.models.zoo.uce.files import SPECIES, TABLES, Genome, check_table, find_species, read_genome, sizes_of
from stfmkit.models.zoo.uce.sentences import by_sample, check_lengths, exact_sentences, keyed_sentences


class _Waves(nn.Module):
    """Sines and cosines of the positions, added to the input."""

    pe: Tensor

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        angles = torch.arange(length)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
        waves = torch.stack([angles.sin(), angles.cos()], dim=2)
        self.register_buffer("pe", waves.reshape(length, 1, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, t, width)."""
        return x + self.pe[: x.shape[1], 0]


class UCENet(nn.Module):
    """Protein vectors to states, a post-norm encoder, and a head on the first state."""

    def __init__(self, config: Mapping[str, Any], table: Tensor | None) -> None:
        super().__init__()
        width, out, hidden = config["d_model"], config["output_dim"], config["hidden"]
        self.encoder = nn.Sequential(nn.Linear(config["token_dim"], width), nn.GELU(), nn.LayerNorm(width))
        self.pos_encoder = _Waves(config["pad_length"], width)
        self.transformer_encoder = Encoder(config["nlayers"], width, config["nhead"], config["d_hid"])
        self.decoder = nn.Sequential(_block(width, hidden), _block(hidden, out), _block(out, out), nn.Linear(out, out))
        self.width, self._table = width, table
        if table is None:  # a random twin draws its own
            self.pe_embedding = nn.Embedding(config["n_tokens"], config["token_dim"])
        self._place = torch.full((config["n_tokens"],), -1, device="cpu")
        self._projected = torch.empty(0, width, device="cpu")

    def project(self, ids: Tensor) -> Tensor:
        """Return the input of tokens (b, t, d); every row of the table is read and projected once."""
        new = torch.unique(ids).cpu()
        new = new[self._place[new] < 0]
        if len(new):
            table = self.pe_embedding.weight if self._table is None else self._table
            rows = table[new.to(table.device)].to(ids.device, torch.float32)
            self._place[new] = len(self._projected) + torch.arange(len(new))
            self._projected = torch.cat([self._projected.to(ids.device), self.encoder(normalize(rows, dim=1))])
        return self._projected[self._place[ids.cpu()].to(ids.device)]

    def forward(self, ids: Tensor, *, keep: Tensor | None, bias: Tensor | None, layers: int | None = None) -> Tensor:
        """Return the first state (b, d) after a number of layers."""
        x = self.pos_encoder(self.project(ids) * math.sqrt(self.width))
        out: Tensor = self.transformer_encoder(x, keep=keep, bias=bias, layers=layers, queries=1)
        return out[:, 0]


def _block(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, out), nn.LayerNorm(out), nn.GELU(), nn.Dropout())


TABLE = "pe_embedding.weight"
N_MARKS, N_CHROMOSOMES = 4, 24
_BATCH = 25
"""Observations of a batch of the original, which its mask lets see each other."""


@dataclass(frozen=True, kw_only=True, eq=False)
class UCEAssets(Assets):
    """What the files of UCE hold.

    Attributes
    ----------
    genome
        Where the genes lie; None for a random twin, whose genes have places that follow from their names.
    table
        Vectors of all tokens, of which only used rows leave the disk; None for a random twin, which draws its own.
    offset
        Token of the first chromosome.
    """

    genome: Genome | None = None
    table: Tensor | None = None
    offset: int = N_MARKS


class UCE(Network[UCEAssets]):
    """Universal Cell Embedding (Rosen et al. 2023).

    Parameters
    ----------
    species
        Species of the data: "human", "mouse", "frog", "zebrafish", "mouse_lemur", "pig", "macaca_fascicularis" or
        "macaca_mulatta"; or a further one by the files of the notebook of the publication, beside the checkpoint or
        in its folders model_files and data_proc: a row (species, path of the protein vectors) in
        ``new_species_protein_embeddings.csv``, and ``<species>_to_chrom_pos.csv``, ``<species>_offsets.pkl`` and
        ``<species>_pe_tokens.torch``.
    exact
        Whether to draw and mask as the original does: one random stream in the order of the table, batches in that
        order (25 by default), and padding that gains 1 in every score. Vectors of a sample then depend on each other;
        every sample starts the stream anew.
    n_genes
        Genes to draw for an observation, with replacement.
    chrom_token_offset
        Token of the first chromosome; None for 143,574, and for a further species for what its files say.
    common
        Options of every network; see `Network`.
    """

    card = CARD
    defaults: ClassVar[Mapping[str, Any]] = {
        "token_dim": 5120,
        "d_model": 1280,
        "nhead": 20,
        "d_hid": 5120,
        "nlayers": 4,
        "output_dim": 1280,
        "hidden": 1024,
        "pad_length": 1536,
    }
    ignore = (r"^(binary_decoder|gene_embedding_layer)\.", r"^pe_embedding\.")
    duplicates = "keep"
    n_special = N_MARKS + N_CHROMOSOMES
    gene_rows = TABLE

    def __init__(
        self,
        *,
        species: str | None = None,
        exact: bool = False,
        n_genes: int = 1024,
        chrom_token_offset: int | None = None,
        **common: Unpack[Common],
    ) -> None:
        if species is None:
            check_choice(species, SPECIES, name="species")
        check_integer(n_genes, name="n_genes", least=1)
        self.species, self.exact, self.n_genes = str(species), exact, int(n_genes)
        self.chrom_token_offset = chrom_token_offset
        super().__init__(**common)

    def requirements(self) -> Requirements:
        """Return what the model needs: with `exact` whole samples, whose vectors follow the order of the table."""
        stated = super().requirements()
        return replace(stated, whole_samples=True, follows_order=("observations", "genes")) if self.exact else stated

    def record(self) -> dict[str, Any]:
        """Return what was loaded, and the token of the first chromosome."""
        return {**super().record(), "chrom_token_offset": self.assets.offset}

    def read(self, folder: Path) -> UCEAssets:
        """Return the checkpoint, of whose token table only used rows leave the disk, and the genes of the species."""
        names = ("33l*.torch", "*33*.torch") if self.card.name.endswith("33layer") else ("4layer_model.torch",)
        state = read_state(self.find(folder, *names, beside=TABLES), mapped=True)
        sizes = sizes_of(state, what=self.card.name)
        held = find_species(self.files, folder, self.species, what=self.card.name)
        vocabulary, genome = read_genome(held, species=self.species, rows_of_file=held.own and not self.exact)
        table = state[TABLE] if held.tokens is None else read_tensor(held.tokens, mapped=True)
        offset = check_table(table, genome, offset=self.chrom_token_offset, width=sizes["token_dim"], own=held.own)
        config = {**self.defaults, **sizes, "n_tokens": len(table)}
        return UCEAssets(config=config, genes=vocabulary, state=state, genome=genome, table=table, offset=offset)

    def random_assets(self, config: Mapping[str, Any]) -> UCEAssets:
        """Return a twin with vectors of its own."""
        return UCEAssets(config=config)

    def build(self, assets: UCEAssets) -> UCENet:
        """Return the module."""
        return UCENet(assets.config, assets.table)

    def tokenise(self, block: Block) -> Tokens:
        """Return a sentence for every observation."""
        counts, tokens = self.align(block, add_up=False)
        genome, offset = self.assets.genome or self._made_up(), self.assets.offset
        if self.exact:
            match = self.match(block)
            order = np.argsort(match.columns)
            counts = sparse.csr_array(block.read("expression")[:, match.columns[order]])
            sentences = partial(exact_sentences, seed=self.rng, n_genes=self.n_genes, offset=offset)
            out = by_sample(lambda rows: sentences(counts[rows], match.ids[order], genome), block.samples)
        else:
            names = block.obs_names
            out = keyed_sentences(counts, tokens, genome, names, seed=self.rng, n_genes=self.n_genes, offset=offset)
        check_lengths(out, most=self.assets.config["pad_length"])
        return out

    def encode(self, batch: Tokens) -> np.ndarray:
        """Return the embedding (n_obs, d); with ``exact=True`` in consecutive batches."""
        if not self.exact:
            return super().encode(batch)
        out = np.zeros((batch.n_obs, self.assets.config["output_dim"]), dtype=np.float32)
        known, size = np.flatnonzero(~self.empty(batch)), self.batch_size or _BATCH
        sample = batch.rows["sample"][known]
        for code in np.unique(sample):
            cells = known[sample == code]
            for rows in np.split(cells, range(size, len(cells), size)):
                out[rows] = self.run(self.collate(batch.take(rows)))
        return out

    def forward(self, module: UCENet, batch: dict[str, Tensor]) -> Tensor:
        """Return the normalised output of the first token; the original adds its float mask to the scores."""
        keep, raised = batch["keep"], (~batch["keep"])[:, None, None, :].float()
        seen = {"keep": None, "bias": raised} if self.exact else {"keep": keep, "bias": None}
        return normalize(module.decoder(module(batch["ids"], **seen)), dim=1)

    def _made_up(self) -> Genome:
        """Return the genome of a random twin: places that follow from the names of the genes."""
        names = self.assets.genes.names if self.assets.genes is not None else pd.Index([])
        drawn = pd.util.hash_array(names.to_numpy(dtype=object), categorize=False)
        return Genome(self.n_special, (drawn % N_CHROMOSOMES).astype(np.int64), (drawn >> np.uint64(16)).astype(float))
