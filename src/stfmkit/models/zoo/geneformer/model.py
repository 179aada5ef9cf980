"""Geneformer: genes ranked by their count over a median, read by a BERT."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Unpack

import numpy as np
import torch
from torch import Tensor

from stfmkit._core.arguments import check_choice
from stfmkit._core.errors import InputError
from stfmkit.models.contract import Block
from stfmkit.models.genes.table import GeneTable
from stfmkit.models.nets.bert import HEADS, RENAME, Bert, fused, masked_mean, read_config
from stfmkit.models.nets.checkpoint import Assets
from stfmkit.models.nets.network import Common, Network
from stfmkit.models.nets.rank_genes import rank_genes, ranked
from stfmkit.models.nets.tokens import Tokens
from stfmkit.models.weights.tensors import read_state
from stfmkit.models.zoo.geneformer.card import GENEFORMER_V1, GENEFORMER_V2
from stfmkit.models.zoo.geneformer.files import check_no_root, choose_release, read_dictionaries

EmbMode = Literal["cls", "cell"]
_BERT: dict[str, Any] = {"hidden_act": "relu", "layer_norm_eps": 1e-12}


@dataclass(frozen=True, kw_only=True, eq=False)
class GeneformerAssets(Assets):
    """What a checkpoint of Geneformer holds.

    Attributes
    ----------
    special
        Tokens that are no genes, by name.
    medians
        Median count of every token; None for a random twin.
    """

    special: Mapping[str, int]
    medians: np.ndarray | None


class Geneformer(Network[GeneformerAssets]):
    """Geneformer V2 (Chen et al. 2024): the class token, or the mean of the genes, of one layer.

    Where the vocabulary has ``<cls>`` and ``<eos>`` (V2), they frame the genes. A random twin has no medians and ranks
    the genes by their counts.

    Parameters
    ----------
    emb_mode
        "cls" for the class token, "cell" for the mean over the genes; None for "cls" where there is one.
    emb_layer
        Layer as the original counts: 0 for the last one, -1 for the one before.
    dictionaries
        End of the names of the dictionaries, such as "gc95M" for ``token_dictionary_gc95M.pkl``. None for those that
        are there; of several, those of the release that the name of the checkpoint's folder tells (95M, or 104M and
        316M).
    common
        Options of every network; see `stfmkit.models.nets.network.Network`.
    """

    card = GENEFORMER_V2
    defaults = _BERT | {
        "hidden_size": 1152,
        "num_hidden_layers": 18,
        "num_attention_heads": 18,
        "intermediate_size": 4608,
        "max_position_embeddings": 4096,
        "n_tokens": 4,
    }
    gives_genes = True
    rename = RENAME
    ignore = HEADS
    n_special = 4
    gene_rows = "embeddings.word_embeddings.weight"
    releases: ClassVar[tuple[str, ...]] = ("_gc104M", "_gc95M", "")
    """Ends of the names of its dictionaries, the newest first."""
    folders: ClassVar[tuple[str, ...]] = ("geneformer",)
    """Where the repository of the publication keeps its dictionaries."""
    framed: ClassVar[Mapping[str, int]] = {"<cls>": 2, "<eos>": 3}
    """Special tokens of a random twin."""

    def __init__(
        self,
        *,
        emb_mode: EmbMode | None = None,
        emb_layer: int = -1,
        dictionaries: str | None = None,
        **common: Unpack[Common],
    ) -> None:
        if emb_mode is not None:
            check_choice(emb_mode, ("cls", "cell"), name="emb_mode")
        self.emb_mode, self.emb_layer, self.dictionaries = emb_mode, emb_layer, dictionaries
        super().__init__(**common)

    def check_assets(self, assets: GeneformerAssets) -> None:
        """Refuse a class token that the vocabulary does not have, and a layer that the network does not have."""
        if self.emb_mode == "cls" and "<cls>" not in assets.special:
            raise InputError(
                f"emb_mode='cls', and the vocabulary of {self.card.name!r} has no <cls>.",
                allowed="'cell'",
                remedy="leave emb_mode out, or load a checkpoint of version 2.",
            )
        n_layers = assets.config["num_hidden_layers"]
        if not -n_layers <= self.emb_layer <= 0:
            raise InputError(
                f"emb_layer={self.emb_layer!r} of {n_layers} layers.",
                allowed=f"-{n_layers} … 0",
                remedy="pass 0 for the last layer, or -1 for the one before it, the default of the original.",
            )

    @property
    def pooling(self) -> EmbMode:
        """What the option `emb_mode` stands for with this checkpoint."""
        return self.emb_mode or ("cls" if "<cls>" in self.assets.special else "cell")

    def record(self) -> dict[str, Any]:
        """Return what was loaded, and what is pooled."""
        return {**super().record(), "emb_mode": self.pooling}

    def _special(self, name: str) -> int | None:
        return self.assets.special.get(name)

    def read(self, folder: Path) -> GeneformerAssets:
        """Return the checkpoint, and the dictionaries beside it or in the folders of the published repository."""
        inside = folder / self._folder()
        home = inside if inside.is_dir() else folder
        if home == folder and "." in self.card.name and not self.files.named:
            check_no_root(folder, wanted=inside.name, what=self.card.name)
        config = read_config(self.find(home, "config.json"), what=self.card.name)
        tokens, medians, mapping, symbols = read_dictionaries(
            self.files, home, release=self._release(home), beside=self.folders, what=self.card.name
        )
        genes = rank_genes(tokens, medians, n_tokens=config["n_tokens"], what=self.card.name, mapping=mapping)
        source = "gene_name_id_dict of the publication"
        table = None if symbols is None else GeneTable.of_mapping(symbols, source=source)
        state = fused(read_state(self.find(home, "model.safetensors", "pytorch_model.bin")))
        return GeneformerAssets(
            config=config,
            genes=genes.vocabulary,
            state=state,
            gene_table=table,
            special=genes.special,
            medians=genes.medians,
        )

    def _release(self, home: Path) -> str:
        if self.dictionaries is not None:
            return self.dictionaries and f"_{self.dictionaries}"
        names = (home.name, self._folder() if "." in self.card.name else "")
        return choose_release(
            self.files, home, releases=self.releases, beside=self.folders, names=names, what=self.card.name
        )

    def _folder(self) -> str:
        """Return the published folder of the checkpoint that the card names."""
        return str(Path(self.card.weights.files[0].path).parent) if self.card.weights else ""

    def random_assets(self, config: Mapping[str, Any]) -> GeneformerAssets:
        """Return a twin without medians."""
        return GeneformerAssets(config=config, special=self.framed, medians=None)

    def build(self, assets: GeneformerAssets) -> Bert:
        """Return the module."""
        return Bert(assets.config)

    def tokenise(self, block: Block) -> Tokens:
        """Return the genes of every observation by descending count over median, framed where the vocabulary says."""
        counts, ids = self.align(block)
        totals = np.asarray(block.read("expression").sum(axis=1), dtype=np.float64).ravel()
        first, last = (None if token is None else (token, 0.0) for token in map(self._special, ("<cls>", "<eos>")))
        limit = self.assets.config["max_position_embeddings"] - (first is not None) - (last is not None)
        indptr, tokens = ranked(counts, ids, self.assets.medians, totals, limit=limit)
        return Tokens(indptr, tokens, rows={"empty": np.diff(indptr) == 0}).framed(first=first, last=last)

    def forward(self, module: Bert, batch: dict[str, Tensor]) -> Tensor:
        """Return the class token, or the mean over the genes."""
        if self.pooling == "cls":
            return self._layer(module, batch, queries=1)[:, 0]
        return masked_mean(self._layer(module, batch), self._genes_of(batch["keep"]))

    def encode_genes(self, block: Block) -> np.ndarray:
        """Return the mean state of every gene over the observations that have it (n_genes, d), NaN where none has."""
        tokens = self.prepare(block)
        known = np.flatnonzero(~self.empty(tokens))
        module, config = self.module, self.assets.config
        sums = torch.zeros(config["n_tokens"], config["hidden_size"], dtype=torch.float64)
        seen = torch.zeros(config["n_tokens"], dtype=torch.float64)
        for rows in self.batches(tokens.lengths[known]):
            batch = self.collate(tokens.take(known[rows]))
            inner = self._genes_of(batch["keep"])
            states = self.batching.compute(lambda moved: self._layer(module, moved), batch)
            ids = batch["ids"][inner]
            sums.index_add_(0, ids, states.cpu()[inner].double())
            seen += torch.bincount(ids, minlength=len(seen))
        return self.rows_of_genes(block, (sums / torch.where(seen == 0, torch.nan, seen)[:, None]).numpy())

    def _layer(self, module: Any, batch: Mapping[str, Tensor], *, queries: int | None = None) -> Tensor:
        n_layers = self.assets.config["num_hidden_layers"] + self.emb_layer
        states: Tensor = module(batch, layers=n_layers, queries=queries)
        return states

    def _genes_of(self, keep: Tensor) -> Tensor:
        """Return which tokens are genes (b, t)."""
        inner = keep.clone()
        if self._special("<cls>") is not None:
            inner[:, 0] = False
        if self._special("<eos>") is not None:
            inner[torch.arange(len(keep), device=keep.device), keep.sum(dim=1) - 1] = False
        return inner


class GeneformerV1(Geneformer):
    """Geneformer V1 (Theodoris et al. 2023, Nature 618:616): the mean of the genes of one layer.

    Parameters
    ----------
    emb_mode
        "cell", the mean over the genes; the vocabulary has no class token.
    emb_layer
        Layer as the original counts: 0 for the last one, -1 for the one before.
    dictionaries
        End of the names of the dictionaries; None for those that are there.
    common
        Options of every network; see `stfmkit.models.nets.network.Network`.
    """

    card = GENEFORMER_V1
    defaults = _BERT | {
        "hidden_size": 256,
        "num_hidden_layers": 6,
        "num_attention_heads": 4,
        "intermediate_size": 512,
        "max_position_embeddings": 2048,
        "n_tokens": 2,
    }
    n_special = 2
    releases = ("_gc30M", "")
    folders = ("geneformer/gene_dictionaries_30m", "gene_dictionaries_30m", "geneformer")
    framed: ClassVar[Mapping[str, int]] = {}
