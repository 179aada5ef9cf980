"""scCello: ranked genes through a BERT that was trained with the ontology of cell types."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Unpack

import numpy as np
import pandas as pd
from torch import Tensor, nn
from torch.nn import functional

from stfmkit.models.contract import Block
from stfmkit.models.genes.table import GeneTable
from stfmkit.models.nets.bert import HEADS, RENAME, Bert, fused, read_config
from stfmkit.models.nets.checkpoint import Assets
from stfmkit.models.nets.network import Common, Network
from stfmkit.models.nets.rank_genes import rank_genes, ranked
from stfmkit.models.nets.tokens import Tokens
from stfmkit.models.weights.tables import read_mapping
from stfmkit.models.weights.tensors import read_state
from stfmkit.models.zoo.sccello.card import SCCELLO

_TABLES = {"tf_class_embeddings": 1, "tf_superclass_embeddings": 1, "expbin_embeddings": 1}


class CellHead(nn.Module):
    """The head that the training puts on the class token."""

    def __init__(self, width: int, *, eps: float) -> None:
        super().__init__()
        self.dense_1, self.dense_2 = nn.Linear(width, width), nn.Linear(width, width)
        self.layer_norm = nn.LayerNorm(width, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, width)."""
        out: Tensor = self.dense_2(functional.relu(self.layer_norm(self.dense_1(x))))
        return out


class ScCelloModule(Bert):
    """BERT with three constant rows in its input, and a head for the class token."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config, _TABLES)
        self.cell_cls = CellHead(config["hidden_size"], eps=config["layer_norm_eps"])

    def first(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the first state of the last layer (b, width)."""
        return self(batch, queries=1)[:, 0]


_FOLDERS = ("data/token_vocabulary", "token_vocabulary")
_HEAD = "cell_cls.predictions"


@dataclass(frozen=True, kw_only=True, eq=False)
class ScCelloAssets(Assets):
    """What a checkpoint of scCello holds.

    Attributes
    ----------
    cls
        The class token.
    medians
        Median count of every token; None for a random twin.
    """

    cls: int
    medians: np.ndarray | None


class ScCello(Network[ScCelloAssets]):
    """scCello (Yuan et al. 2024, NeurIPS): the class token of the last layer.

    Parameters
    ----------
    pass_cell_cls
        Pass the class token through the head of the training, as the original does for new cell types.
    normalize
        Scale the vector to length one.
    common
        Options of every network; see `stfmkit.models.nets.network.Network`.
    """

    card = SCCELLO
    defaults: ClassVar[Mapping[str, Any]] = {
        "hidden_size": 256,
        "num_hidden_layers": 6,
        "num_attention_heads": 4,
        "intermediate_size": 512,
        "max_position_embeddings": 2048,
        "hidden_act": "relu",
        "layer_norm_eps": 1e-12,
        "n_tokens": 3,
    }
    rename = (*RENAME, (r"^cell_cls\.predictions\.", "cell_cls."))
    ignore = (
        *HEADS,
        r"^cell_cls\.predictions\.bias$",
        r"^(learned_centroid|affine_projection|binary_ce_loss_\w+)\.",
        r"^(cell_type_ancestor_mask|ctgraph_sim)$",
    )
    n_special = 3
    gene_rows = "embeddings.word_embeddings.weight"

    def __init__(self, *, pass_cell_cls: bool = False, normalize: bool = False, **common: Unpack[Common]) -> None:
        self.pass_cell_cls, self.normalize = bool(pass_cell_cls), bool(normalize)
        super().__init__(**common)

    def read(self, folder: Path) -> ScCelloAssets:
        """Return the checkpoint, and the dictionaries beside it or in ``data/token_vocabulary``."""
        config = read_config(self.find(folder, "config.json"), what=self.card.name)
        tokens = read_mapping(self.find(folder, "token_dictionary.pkl", beside=_FOLDERS))
        tokens.setdefault("<cls>", len(tokens))  # the published file lacks it, and its loader adds it
        medians = read_mapping(self.find(folder, "gene_median_dictionary.pkl", beside=_FOLDERS))
        genes = rank_genes(tokens, medians, n_tokens=config["n_tokens"], what=self.card.name)
        state = fused(read_state(self.find(folder, "pytorch_model.bin", "model.safetensors")))
        if f"{_HEAD}.bias" in state:  # one tensor under two names
            state.setdefault(f"{_HEAD}.dense_2.bias", state[f"{_HEAD}.bias"])
        return ScCelloAssets(
            config=config,
            genes=genes.vocabulary,
            state=state,
            gene_table=self._symbols(folder),
            cls=genes.special["<cls>"],
            medians=genes.medians,
        )

    def _symbols(self, folder: Path) -> GeneTable | None:
        path = self.files.look(folder, "vocab_id2name.csv", beside=_FOLDERS)
        if path is None:
            return None
        pairs = pd.read_csv(path, dtype=str).dropna()
        return GeneTable.of_mapping(dict(zip(pairs["name"], pairs["id"], strict=True)), source=path.name)

    def random_assets(self, config: Mapping[str, Any]) -> ScCelloAssets:
        """Return a twin without medians."""
        return ScCelloAssets(config=config, cls=2, medians=None)

    def build(self, assets: ScCelloAssets) -> ScCelloModule:
        """Return the module."""
        return ScCelloModule(assets.config)

    def tokenise(self, block: Block) -> Tokens:
        """Return ``<cls>`` and the genes of every observation by descending count over median."""
        counts, ids = self.align(block)
        totals = np.asarray(block.read("expression").sum(axis=1), dtype=np.float64).ravel()
        limit = self.assets.config["max_position_embeddings"] - 1
        indptr, tokens = ranked(counts, ids, self.assets.medians, totals, limit=limit)
        rows = {"empty": np.diff(indptr) == 0}
        return Tokens(indptr, tokens, rows=rows).framed(first=(self.assets.cls, 0.0))

    def forward(self, module: ScCelloModule, batch: dict[str, Tensor]) -> Tensor:
        """Return the class token of the last layer."""
        x = module.first(batch)
        if self.pass_cell_cls:
            x = module.cell_cls(x)
        return functional.normalize(x.float(), dim=1) if self.normalize else x
