"""CELLama: sentences with the highest genes, embedded by a language model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Unpack

import numpy as np
import pandas as pd
from torch import Tensor
from torch.nn import functional

from stfmkit._core.arguments import check_integer, listed
from stfmkit._core.errors import InputError
from stfmkit._core.limits import short
from stfmkit._kernels._neighbors import knn_within
from stfmkit.models.contract import Block, Requirements
from stfmkit.models.genes.alignment import GeneVocabulary
from stfmkit.models.genes.table import GeneTable, kind_of
from stfmkit.models.nets.bert import HEADS, RENAME, Bert, fused, masked_mean, read_config
from stfmkit.models.nets.checkpoint import Assets
from stfmkit.models.nets.network import Common, Network
from stfmkit.models.nets.tokens import Tokens
from stfmkit.models.weights.tables import read_json, read_mapping
from stfmkit.models.weights.tensors import read_state
from stfmkit.models.zoo.cellama.card import CELLAMA
from stfmkit.models.zoo.cellama.sentences import Sentences, check_columns, top_genes, write_sentences
from stfmkit.models.zoo.cellama.words import SPECIAL, Words, hashed_words, read_words


@dataclass(frozen=True, kw_only=True, eq=False)
class CELLamaAssets(Assets):
    """What a folder of sentence-transformers holds.

    Attributes
    ----------
    words
        The word pieces.
    normalised
        Whether vectors have the length one.
    """

    words: Words
    normalised: bool


class CELLama(Network[CELLamaAssets]):
    """CELLama (Choi et al. 2024): a sentence such as "Top genes are A, B, and C.", embedded by a BERT.

    Any folder of sentence-transformers with a BERT and its word pieces will do. Values may be counts or log-normalised;
    only their order within an observation is read. A random twin takes every word as one token.

    Parameters
    ----------
    top_k
        Genes in the sentence.
    obs_features
        Columns of obs that the sentence tells after the genes.
    cellname
        Column of obs with cell types: the sentence then also lists those of the nearest neighbours.
    n_neighs
        Number of neighbours, all within a sample.
    nearest_cells_name
        What the sentence calls the list of neighbours.
    drop_zeros
        List expressed genes only; the original fills the sentence with genes without counts.
    common
        Options of every network; see `stfmkit.models.nets.network.Network`.
    """

    card = CELLAMA
    defaults: ClassVar[Mapping[str, Any]] = {
        "hidden_size": 384,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "intermediate_size": 1536,
        "max_position_embeddings": 512,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "n_tokens": 30522,
        "max_seq_length": 256,
    }
    rename = RENAME
    ignore = HEADS
    duplicates = "keep"

    def __init__(
        self,
        *,
        top_k: int = 30,
        obs_features: Sequence[str] = (),
        cellname: str | None = None,
        n_neighs: int = 5,
        nearest_cells_name: str = "nearest_cells",
        drop_zeros: bool = False,
        **common: Unpack[Common],
    ) -> None:
        check_integer(top_k, name="top_k", least=1)
        check_integer(n_neighs, name="n_neighs", least=1)
        check_columns(obs_features, cellname)
        self.obs_features = (obs_features,) if isinstance(obs_features, str) else tuple(obs_features)
        self.top_k, self.n_neighs, self.drop_zeros = top_k, n_neighs, bool(drop_zeros)
        self.cellname, self.nearest_cells_name = cellname, nearest_cells_name
        super().__init__(**common)

    def requirements(self) -> Requirements:
        """Return what the model needs: with `cellname` also the neighbours of an observation."""
        stated = replace(super().requirements(), obs_keys=self.obs_features)
        if self.cellname is None:
            return stated
        keys = (*self.obs_features, self.cellname)
        return replace(stated, obs_keys=keys, needs=("expression", "coordinates"), whole_samples=True)

    def read(self, folder: Path) -> CELLamaAssets:
        """Return a folder of sentence-transformers."""
        steps = read_json(self.find(folder, "modules.json"))
        if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
            raise _no_steps(f"modules.json with {short(steps)}.")
        kinds = [str(step.get("type", "")).rpartition(".")[2] for step in steps]
        if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
            raise _no_steps(f"modules.json with {listed(kinds, most=4)[:200]}.")
        _check_pooling(read_mapping(self.find(_inside(folder, steps[1].get("path")), "config.json")))
        home = _inside(folder, steps[0].get("path"))
        config = read_config(self.find(home, "config.json"), what=self.card.name)
        stated = self._stated(home, "sentence_bert_config.json")
        limit = _longest(stated.get("max_seq_length"), most=config["max_position_embeddings"])
        words = read_words(
            self.find(home, "tokenizer.json", "vocab.txt"),
            lower=bool(stated.get("do_lower_case")),
            fold=bool(self._stated(home, "tokenizer_config.json").get("do_lower_case", True)),
            n_tokens=config["n_tokens"],
        )
        state = fused(read_state(self.find(home, "model.safetensors", "pytorch_model.bin")))
        return CELLamaAssets(
            config=config | {"max_seq_length": limit}, state=state, words=words, normalised="Normalize" in kinds
        )

    def _stated(self, folder: Path, name: str) -> dict[str, Any]:
        path = self.files.look(folder, name)
        return {} if path is None else read_mapping(path)

    def random_assets(self, config: Mapping[str, Any]) -> CELLamaAssets:
        """Return a twin whose words are tokens."""
        if config["n_tokens"] <= len(SPECIAL) or not 2 < config["max_seq_length"] <= config["max_position_embeddings"]:
            raise InputError(
                f"config with n_tokens={config['n_tokens']} and max_seq_length={config['max_seq_length']} of "
                f"{config['max_position_embeddings']} positions.",
                allowed=f"more than {len(SPECIAL)} tokens, and 3 … max_position_embeddings",
                remedy="correct config=.",
            )
        return CELLamaAssets(config=config, words=hashed_words(config["n_tokens"]), normalised=True)

    def build(self, assets: CELLamaAssets) -> Bert:
        """Return the module."""
        return Bert(assets.config)

    def sentences(self, block: Block) -> list[str]:
        """Return the sentence of every observation."""
        return self._sentences(block)[0].texts()

    def tokenise(self, block: Block) -> Tokens:
        """Return the word pieces of the sentence of every observation."""
        written, empty = self._sentences(block)
        tokens = written.tokens(self.assets.words, limit=self.assets.config["max_seq_length"])
        return replace(tokens, rows={"empty": empty})

    def forward(self, module: Bert, batch: dict[str, Tensor]) -> Tensor:
        """Return the mean state of the word pieces, of length one where the folder says so."""
        mean = masked_mean(module(batch).float(), batch["keep"])
        return functional.normalize(mean, dim=1) if self.assets.normalised else mean

    def _sentences(self, block: Block) -> tuple[Sentences, np.ndarray]:
        """Return the sentences, and which observations express no gene (n_obs,)."""
        values, ids = self.align(block)
        symbols = self.vocabulary(self.names(block)).names[ids]
        indptr, columns = top_genes(values, top_k=self.top_k, drop_zeros=self.drop_zeros)
        features = {name: block.obs[name] for name in self.obs_features}
        if self.cellname is not None:
            features[self.nearest_cells_name] = self._niche(block, block.obs[self.cellname])
        return write_sentences(indptr, columns, list(symbols), features), np.diff(values.indptr) == 0

    def vocabulary(self, names: pd.Index) -> GeneVocabulary:
        """Return the symbols of a table in alphabetical order, which is that of equal values."""
        if kind_of(names) == "ensembl" and self.gene_table is not None:
            names = GeneTable.of(self.gene_table).symbols
        return GeneVocabulary(pd.Index(np.unique(names.astype(str)), dtype=object), kind="symbol")

    def _niche(self, block: Block, types: np.ndarray) -> np.ndarray:
        """Return the cell types of the nearest neighbours (n_obs,), nearest first."""
        found = knn_within(block.read("coordinates"), block.samples, k=self.n_neighs)
        return np.array([",".join(types[row[row >= 0]]) for row in found], dtype=object)


def _check_pooling(stated: Mapping[str, Any]) -> None:
    modes = [str(name) for name, value in stated.items() if str(name).startswith("pooling_mode") and value is True]
    if "pooling_mode" in stated:
        modes = [f"pooling_mode_{stated['pooling_mode']}_tokens"]
    if modes != ["pooling_mode_mean_tokens"]:
        raise InputError(
            f"a language model whose pooling is {listed(modes)}.",
            allowed="the mean over the tokens",
            remedy="pass a sentence-transformers folder such as all-MiniLM-L6-v2.",
        )


def _no_steps(found: str) -> InputError:
    return InputError(
        found,
        allowed="Transformer, Pooling, and Normalize where there is one",
        remedy="pass a sentence-transformers folder such as all-MiniLM-L6-v2.",
    )


def _inside(folder: Path, path: object) -> Path:
    """Return a folder that modules.json names, if it is one of this folder."""
    if isinstance(path, str) and "\0" not in path and len(path) <= _LONGEST:
        place = folder / path
        if place.resolve().is_relative_to(folder.resolve()):
            return place
    raise InputError(
        f"modules.json with the path {short(path)}.",
        allowed="a folder inside that of the model",
        remedy="get the files again from their published place.",
    )


def _longest(stated: object, *, most: int) -> int:
    """Return the number of tokens of a sentence: what is stated, or as many as there are positions."""
    if stated is None:
        return most
    if type(stated) is not int or not _SHORTEST <= stated <= most:
        raise InputError(
            f"sentence_bert_config.json with max_seq_length={short(stated)}.",
            allowed=f"a whole number of {_SHORTEST} … {most}, the positions of the checkpoint",
            remedy="get the files again from their published place.",
        )
    return stated


_LONGEST, _SHORTEST = 200, 3
"""Letters of a path, and tokens of a sentence: one word between its first and last token."""
