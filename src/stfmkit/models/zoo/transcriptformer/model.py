"""TranscriptFormer: genes with their counts in the order of the table, after a token of the assay."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Unpack, cast

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from torch import Tensor

from stfmkit._core.arguments import check_choice, listed, nearest
from stfmkit._core.errors import InputError, StfmkitWarning
from stfmkit.models.contract import Block, Requirements
from stfmkit.models.genes.alignment import GeneVocabulary
from stfmkit.models.genes.table import kind_of
from stfmkit.models.nets.checkpoint import Assets
from stfmkit.models.nets.network import Common, Network
from stfmkit.models.nets.rank_kernels import first_entries
from stfmkit.models.nets.tokens import Tokens
from stfmkit.models.weights.tables import read_mapping
from stfmkit.models.weights.tensors import read_state
from stfmkit.models.zoo.transcriptformer.card import TRANSCRIPTFORMER
from stfmkit.models.zoo.transcriptformer.files import SPECIAL, TABLE, Paths, as_texts, read_vectors, read_vocabulary
from stfmkit.models.zoo.transcriptformer.net import TranscriptFormerNet

UNKNOWN = "unknown"
MOST_COUNTS = 30


@dataclass(frozen=True, kw_only=True, eq=False)
class TranscriptFormerAssets(Assets):
    """What the files of TranscriptFormer hold.

    Attributes
    ----------
    assays
        Token of every assay by name.
    """

    assays: Mapping[str, int]


class TranscriptFormer(Network[TranscriptFormerAssets]):
    """TranscriptFormer (Pearce et al. 2025).

    Parameters
    ----------
    assay
        Assay of all observations, as the model names it; "unknown" where it is not.
    assay_key
        Column of obs with the assay, instead of `assay`.
    gene_order
        "var" (the original: genes in the order of the table) or "vocabulary".
    remove_duplicate_genes
        Take the first of several genes of one id, instead of an error.
    pretrained_embedding
        File of protein vectors of another species, such as ``all_embeddings/mus_musculus_gene.h5`` of the publication,
        or several. Its genes are then the vocabulary, instead of those of the checkpoint; the rest stays.
    common
        Options of every network; see `Network`.
    """

    card = TRANSCRIPTFORMER
    defaults: ClassVar[Mapping[str, Any]] = {
        "embed_dim": 2048,
        "model_dim": 2048,
        "num_heads": 16,
        "num_layers": 12,
        "seq_len": 2047,
        "softcap": 10,
        "log_counts_eps": 1e-6,
        "activation": "gelu",
        "attn_bias": False,
        "fw_bias": False,
        "gene_dim": 2560,
    }
    gives_genes = True
    ignore = (r"^(mu|gene_id_head)\.",)
    n_special = len(SPECIAL)
    gene_rows = TABLE
    pad_id = SPECIAL.index("[PAD]")

    def __init__(
        self,
        *,
        assay: str | None = None,
        assay_key: str | None = None,
        gene_order: Literal["var", "vocabulary"] = "var",
        remove_duplicate_genes: bool = False,
        pretrained_embedding: Paths | None = None,
        **common: Unpack[Common],
    ) -> None:
        check_choice(gene_order, ("var", "vocabulary"), name="gene_order")
        self.assay, self.assay_key, self.gene_order = assay, assay_key, gene_order
        self.remove_duplicate_genes = remove_duplicate_genes
        self.pretrained_embedding = as_texts(pretrained_embedding)
        self.duplicates = "first" if remove_duplicate_genes else "error"
        super().__init__(**common)

    def check_assets(self, assets: TranscriptFormerAssets) -> None:
        """Refuse an assay that the model does not know, and none at all."""
        known, assay, assay_key = assets.assays, self.assay, self.assay_key
        if (assay is None) == (assay_key is None) or (assay is not None and assay not in known):
            raise InputError(
                f"assay={assay!r} and assay_key={assay_key!r} for {self.card.name!r}, which has a token for the assay.",
                allowed=f"one of the two; assay= one of {listed(known, most=40)}",
                remedy=f"pass assay= or the column of obs.{nearest(assay or '', known)}",
            )

    def requirements(self) -> Requirements:
        """Return what the model needs; its attention follows the order of the genes."""
        return replace(
            super().requirements(),
            obs_keys=() if self.assay_key is None else (self.assay_key,),
            follows_order=("genes",) if self.gene_order == "var" else (),
        )

    def read(self, folder: Path) -> TranscriptFormerAssets:
        """Return the checkpoint, and the vocabularies of genes and assays."""
        config_path, weights = self.find(folder, "config.json"), self.find(folder, "model_weights.pt")
        stated = read_mapping(config_path).get("model", {})
        names = stated.get("data_config", {}).get("esm2_mappings") or ["*_gene.h5"]
        wanted = [self.find(folder, name, beside=("vocabs",)) for name in names]
        assays = read_mapping(self.find(folder, "assay_vocab.json", beside=("vocabs",)))
        state = read_state(weights, mapped=True)
        genes, shape = read_vocabulary(wanted, state, special=stated.get("data_config", {}).get("special_tokens"))
        if self.pretrained_embedding:
            given = [Path(path).expanduser() for path in self.pretrained_embedding]
            places = [path.parent if path.is_file() else folder for path in given]
            beside = ("vocabs", "all_embeddings")
            found = [self.find(place, path.name, beside=beside) for place, path in zip(places, given, strict=True)]
            genes, table = read_vectors(found, state)
            state, shape = {**state, TABLE: table}, (table.shape[0], table.shape[1])
        sizes = {name: value for name, value in stated.get("model_config", {}).items() if name in self.defaults}
        config = {**self.defaults, **sizes, "n_tokens": shape[0], "gene_dim": shape[1], "n_assays": len(assays)}
        return TranscriptFormerAssets(config=config, genes=genes, state=state, assays=assays)

    def random_assets(self, config: Mapping[str, Any]) -> TranscriptFormerAssets:
        """Return a random twin, to which every assay is unknown."""
        if self.pretrained_embedding:
            raise InputError(
                "pretrained_embedding= for random weights, whose vectors of genes follow from their names.",
                allowed="pretrained_embedding= with a checkpoint",
                remedy="leave it out: a random twin knows the genes of any species.",
            )
        return TranscriptFormerAssets(config={**config, "n_assays": 1}, assays={UNKNOWN: 0})

    def build(self, assets: TranscriptFormerAssets) -> TranscriptFormerNet:
        """Return the module."""
        return TranscriptFormerNet(assets.config)

    def names(self, block: Block) -> pd.Index:
        """Return the ids of the genes without version."""
        return super().names(block).astype(str).str.split(".").str[0]

    def vocabulary(self, names: pd.Index) -> GeneVocabulary:
        """Return the genes that the model knows; ids of flies and worms, which are not of Ensembl, as they are."""
        known = super().vocabulary(names)
        if known.kind != kind_of(names) and names.isin(known.names).any():
            return replace(known, kind=kind_of(names))
        return known

    def tokenise(self, block: Block) -> Tokens:
        """Return the genes of every observation with a count, in the order of var, and the counts."""
        counts, tokens = self.align(block, add_up=False)
        if self.gene_order == "var":
            match = self.match(block)
            order = np.argsort(match.columns)
            counts = sparse.csr_array(block.read("expression")[:, match.columns[order]])
            counts.sort_indices()
            tokens = match.ids[order]
        indptr, kept = first_entries(counts.indptr, limit=self.assets.config["seq_len"])
        values = np.minimum(counts.data[kept], MOST_COUNTS).astype(np.float32)
        return Tokens(indptr, tokens[counts.indices[kept]], values, {"assay": self._assays(block)})

    def forward(self, module: TranscriptFormerNet, batch: dict[str, Tensor]) -> Tensor:
        """Return the sum of the states of genes over the length that the model allows."""
        states = self._states(module, batch)
        keep = torch.cat([torch.ones_like(batch["keep"][:, :1]), batch["keep"]], dim=1)[:, : states.shape[1]]
        return (states * keep[:, :, None]).sum(dim=1) / module.seq_len

    def encode_genes(self, block: Block) -> np.ndarray:
        """Return the mean contextual vector of every gene (n_genes, d), NaN for genes that no observation has."""
        tokens, module = self.prepare(block), cast("TranscriptFormerNet", self.module)
        n_tokens, width = self.assets.config["n_tokens"], self.assets.config["embed_dim"]
        sums, seen = np.zeros((n_tokens, width)), np.zeros(n_tokens)
        for rows in self.batches(tokens.lengths):
            batch = self.batching.on_device(self.collate(tokens.take(rows)))
            with torch.inference_mode():
                states = self._states(module, batch)[:, : batch["ids"].shape[1]]
            ids = batch["ids"][batch["keep"]].cpu().numpy()
            np.add.at(sums, ids, states[batch["keep"]].double().cpu().numpy())
            np.add.at(seen, ids, 1)
        return self.rows_of_genes(block, sums / np.where(seen == 0, np.nan, seen)[:, None])

    def _states(self, module: TranscriptFormerNet, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the last states (b, t, d) without that of the assay."""
        unknown = self.assets.assays.get(UNKNOWN, -1)
        return module.states(batch, start=SPECIAL.index("[START]"), unknown=unknown)[-1][:, 1:]

    def _assays(self, block: Block) -> np.ndarray:
        known = self.assets.assays
        if self.assay_key is None:
            return np.full(block.n_obs, known[str(self.assay)], dtype=np.int64)
        labels = pd.Index(block.obs[self.assay_key])
        strange = labels.unique().difference(pd.Index(list(known)))
        if len(strange):
            warnings.warn(
                f"{self.card.name!r} does not know the assays {listed(strange)} and takes them as {UNKNOWN!r}. "
                f"It knows {listed(known, most=40)}.",
                StfmkitWarning,
                stacklevel=2,
            )
        return np.array([known.get(label, known[UNKNOWN]) for label in labels], dtype=np.int64)
