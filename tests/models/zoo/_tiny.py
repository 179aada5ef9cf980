"""The smallest network that there is, and its cells."""

from pathlib import Path
from typing import Any, ClassVar, Unpack

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from tests.models.zoo._cases import gene_ids
from torch import Tensor, nn

import stfmkit as sk
from stfmkit.models.contract import Block
from stfmkit.models.genes.alignment import GeneVocabulary
from stfmkit.models.nets.checkpoint import Assets
from stfmkit.models.nets.encoder import Encoder
from stfmkit.models.nets.network import Common, Network
from stfmkit.models.nets.rank_kernels import rank_tokens
from stfmkit.models.nets.tokens import Tokens
from stfmkit.models.weights.tables import read_mapping
from stfmkit.models.weights.tensors import read_state

CARD = sk.models.ModelCard(
    name="tiny",
    target="tests.models.zoo._tiny:Tiny",
    family="rna",
    summary="The smallest network.",
    needs=("counts",),
    gene_ids="ensembl",
    weights=sk.models.Weights(kind="manual", place="the shelf", files=(sk.models.WeightFile("tiny.safetensors"),)),
)


class TinyModule(nn.Module):
    def __init__(self, n_tokens: int, width: int) -> None:
        super().__init__()
        self.embeddings = nn.Embedding(n_tokens, width)
        self.encoder = Encoder(2, width, 2, 2 * width)

    def forward(self, ids: Tensor, keep: Tensor) -> Tensor:
        return self.encoder(self.embeddings(ids), keep=keep)


class Tiny(Network[Assets]):
    """Mean of the states of the genes, in the order of their counts."""

    card = CARD
    defaults: ClassVar[dict[str, int]] = {"width": 8, "n_tokens": 2}
    n_special = 1
    gene_rows = "embeddings.weight"
    ignore = (r"^head\.",)
    rows_per_part = 5

    def __init__(self, *, limit: int = 16, **common: Unpack[Common]) -> None:
        self.limit = limit
        super().__init__(**common)

    def read(self, folder: Path) -> Assets:
        genes = read_mapping(self.find(folder, "genes.json"))
        vocabulary = GeneVocabulary(pd.Index(list(genes)), kind="ensembl", ids=np.array(list(genes.values())))
        state = read_state(self.find(folder, "tiny.safetensors"))
        config = {"width": state["embeddings.weight"].shape[1], "n_tokens": len(state["embeddings.weight"])}
        return Assets(config=config, genes=vocabulary, state=state)

    def build(self, assets: Assets) -> nn.Module:
        return TinyModule(assets.config["n_tokens"], assets.config["width"])

    def tokenise(self, block: Block) -> Tokens:
        counts, ids = self.align(block)
        indptr, columns = rank_tokens(counts.indptr, counts.indices, counts.data, limit=self.limit)
        return Tokens(indptr, ids[columns])

    def forward(self, module: Any, batch: dict[str, Tensor]) -> Tensor:
        states = module(batch["ids"], batch["keep"])
        keep = batch["keep"][..., None]
        return (states * keep).sum(1) / keep.sum(1)


GENES = gene_ids(30)


def block_of(adata: AnnData) -> Block:
    return Block(
        obs_names=adata.obs_names,
        samples=np.arange(adata.n_obs) % 2,
        inputs={"counts": sparse.csr_array(adata.X)},
        genes=adata.var_names,
    )


def embedded(adata: AnnData, **options: Any) -> np.ndarray:
    model = Tiny(**options)
    sk.tl.embed(adata, model, key_added="X_tiny")
    return adata.obsm.pop("X_tiny")
