"""SToFM: cells by their ranked genes, then among the cells of their tile and the clusters of their sample."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Unpack

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stfmkit._core.arguments import check_fraction, check_integer, check_positive
from stfmkit._core.errors import InputError
from stfmkit.models.contract import Block, Requirements
from stfmkit.models.nets.bert import HEADS, RENAME, fused, read_config
from stfmkit.models.nets.checkpoint import Assets
from stfmkit.models.nets.encoder import ACTIVATIONS
from stfmkit.models.nets.network import Common, Network
from stfmkit.models.nets.rank_genes import rank_genes, ranked
from stfmkit.models.nets.state import renamed
from stfmkit.models.nets.tokens import Tokens
from stfmkit.models.weights.tables import read_mapping
from stfmkit.models.weights.tensors import read_state
from stfmkit.models.zoo.stofm.card import STOFM
from stfmkit.models.zoo.stofm.graph import Tile, tiles_of
from stfmkit.models.zoo.stofm.net import SToFMModule

CLS = "<cls>"
LIMIT = 2048
DICTIONARIES = ("geneformer_001/geneformer", "preprocessing")  # where the published repository keeps them
_PAIR: dict[str, Any] = {
    "num_hidden_layers": 12,
    "embedding_dim": 768,
    "ffn_embedding_dim": 768,
    "num_attention_heads": 32,
    "gaussian_hidden_dim": 128,
    "activation_fn": "gelu",
}
"""What the code of the original takes where its config.json says nothing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SToFMAssets(Assets):
    """What the files of SToFM hold.

    Attributes
    ----------
    medians
        Median count of every token; None for a random twin.
    cls
        The class token.
    mice
        Whether genes of mice have names.
    """

    medians: np.ndarray | None = None
    cls: int = 2
    mice: bool = True


class SToFM(Network[SToFMAssets]):
    """SToFM (Zhao et al. 2025, arXiv 2507.11588): the state of every cell among those of its tile.

    Parameters
    ----------
    split_num
        About how many observations a tile has.
    leiden_res
        Resolution of the clusters of a sample, which enter every tile as hyper-nodes.
    leiden_alpha
        Weight of position against expression in these clusters, 0 … 1.
    hyper_key
        Column of obs with clusters to use instead, for instance those of another run.
    exact
        Keep the order of the rows in clusters and tiles, as the original does; otherwise observations are put in order
        of position first.
    common
        Options of every network; see `stfmkit.models.nets.network.Network`.
    """

    card = STOFM
    defaults: ClassVar[Mapping[str, Any]] = _PAIR | {
        "embedding_dim": 256,
        "input_dim": 256,
        "cell_hidden_size": 256,
        "cell_num_hidden_layers": 6,
        "cell_num_attention_heads": 4,
        "cell_intermediate_size": 512,
        "cell_max_position_embeddings": LIMIT,
        "cell_hidden_act": "relu",
        "cell_layer_norm_eps": 1e-12,
        "n_tokens": 3,
    }
    duplicates = "keep"
    n_special = 3
    gene_rows = "cell.embeddings.word_embeddings.weight"

    def __init__(
        self,
        *,
        split_num: int = 1000,
        leiden_res: float = 1.0,
        leiden_alpha: float = 0.2,
        hyper_key: str | None = None,
        exact: bool = False,
        **common: Unpack[Common],
    ) -> None:
        check_integer(split_num, name="split_num", least=1)
        check_positive(leiden_res, name="leiden_res")
        check_fraction(leiden_alpha, name="leiden_alpha")
        self.split_num, self.leiden_res, self.leiden_alpha = split_num, leiden_res, leiden_alpha
        self.hyper_key, self.exact = hyper_key, exact
        super().__init__(**common)

    def requirements(self) -> Requirements:
        """Return what the model needs; with `exact` clusters and tiles follow the order of the rows."""
        return replace(
            super().requirements(),
            obs_keys=() if self.hyper_key is None else (self.hyper_key,),
            follows_order=("observations",) if self.exact else (),
        )

    def read(self, folder: Path) -> SToFMAssets:
        """Return the two networks, the projection between them, and the dictionaries of the repository."""
        home = folder / "ckpt" if (folder / "ckpt").is_dir() else folder
        cells = home / "cell_encoder" / "cell_bert"
        bert = read_config(self.find(cells, "config.json"), what=self.card.name)
        n_tokens = bert.pop("n_tokens")
        tokens = read_mapping(self.find(home, "token_dictionary.pkl", beside=DICTIONARIES))
        tokens.setdefault(CLS, len(tokens))  # the original adds it when it runs
        medians = read_mapping(self.find(home, "gene_median_dictionary.pkl", beside=DICTIONARIES))
        mice = self.files.look(home, "mouseid2humanid.pkl", beside=DICTIONARIES)
        names = {name: name for name in tokens if name != CLS} | ({} if mice is None else read_mapping(mice))
        genes = rank_genes(tokens, medians, n_tokens=n_tokens, what=self.card.name, mapping=names)
        network = fused(read_state(self.find(cells, "model.safetensors", "pytorch_model.bin")))
        parts = {
            "cell": renamed(network, RENAME, ignore=HEADS),
            "projection": read_state(self.find(home / "cell_encoder", "cell_proj.bin")),
            "tissue": read_state(self.find(home, "se2transformer.pth")),
        }
        state = {f"{part}.{name}": tensor for part, held in parts.items() for name, tensor in held.items()}
        pair = _pair_sizes(read_mapping(self.find(home, "config.json")))
        config = pair | {f"cell_{name}": size for name, size in bert.items()} | {"n_tokens": n_tokens}
        return SToFMAssets(
            config=config,
            genes=genes.vocabulary,
            state=state,
            medians=genes.medians,
            cls=genes.special[CLS],
            mice=mice is not None,
        )

    def random_assets(self, config: Mapping[str, Any]) -> SToFMAssets:
        """Return a twin without medians."""
        return SToFMAssets(config=config)

    def build(self, assets: SToFMAssets) -> SToFMModule:
        """Return the module."""
        return SToFMModule(assets.config)

    def tokenise(self, block: Block) -> Tokens:
        """Return ``<cls>`` and the genes of every observation by descending count over median, with its position."""
        _check_mice(self.names(block), there=self.assets.mice)
        counts, ids = self.align(block)
        depth = np.asarray(block.read("expression").sum(axis=1), dtype=np.float64).ravel()
        limit = min(LIMIT, self.assets.config["cell_max_position_embeddings"]) - 1
        indptr, tokens = ranked(counts, ids, self.assets.medians, depth, limit=limit)
        coords = np.asarray(block.read("coordinates"), dtype=np.float64)
        rows = {"empty": np.diff(indptr) == 0, "coords": coords, "sample": block.samples}
        if self.hyper_key is not None:
            rows["cluster"] = pd.factorize(block.obs[self.hyper_key], sort=True)[0]
        return Tokens(indptr, tokens, rows=rows).framed(first=(self.assets.cls, 0.0))

    def encode(self, batch: Tokens) -> np.ndarray:
        """Return the embedding (n_obs, d) of whole samples; observations without a known gene are no nodes."""
        out = np.zeros((batch.n_obs, self.assets.config["embedding_dim"]), dtype=np.float32)
        known = np.flatnonzero(~self.empty(batch))
        if not self.exact:
            xy = batch.rows["coords"][known]
            known = known[np.lexsort((xy[:, 1], xy[:, 0]))]
        for sample in np.unique(batch.rows["sample"]):
            nodes = known[batch.rows["sample"][known] == sample]
            for tile in self.tiles(batch.take(nodes)) if len(nodes) else ():
                inside = tile.rows >= 0
                out[nodes[tile.rows[inside]]] = self.encode_tile(tile)[inside]
        return out

    def tiles(self, cells: Tokens) -> Iterator[Tile]:
        """Yield the tiles of a sample, one after the other."""
        return tiles_of(
            cells.rows["coords"],
            super().encode(cells),
            cells.rows.get("cluster"),
            split_num=self.split_num,
            leiden_alpha=self.leiden_alpha,
            leiden_res=self.leiden_res,
        )

    def encode_tile(self, tile: Tile) -> np.ndarray:
        """Return the states of all nodes of a tile (n_nodes, d), which may be a graph of your own."""
        held = {"features": tile.features, "types": tile.types.astype(np.int64), "distances": tile.distances}
        return self.run({name: torch.from_numpy(array) for name, array in held.items()})

    def forward(self, module: SToFMModule, batch: dict[str, Tensor]) -> Tensor:
        """Return the vectors of cells (b, d), or the states of the nodes of a tile."""
        return module.tissue.states(**batch)[-1] if "distances" in batch else module.vectors(batch)


def _pair_sizes(stated: Mapping[str, Any]) -> dict[str, Any]:
    sizes = {name: stated.get(name, size) for name, size in _PAIR.items()}
    known = sizes["activation_fn"] in ACTIVATIONS and not stated.get("pre_layernorm", False)
    if "input_dim" not in stated or not known or sizes["embedding_dim"] % sizes["num_attention_heads"]:
        shown = {name: stated.get(name) for name in ("input_dim", "pre_layernorm")} | sizes
        raise InputError(
            f"config.json of 'stofm' with {shown}.",
            allowed=f"input_dim, norms after a sub-layer, {' or '.join(ACTIVATIONS)}, a width that the heads divide",
            remedy="pass the published config.json of the SE(2) transformer.",
        )
    return sizes | {"input_dim": int(stated["input_dim"])}


def _check_mice(genes: pd.Index, *, there: bool) -> None:
    if not there and genes.astype(str).str.upper().str.startswith("ENSMUSG").mean() > 0.5:
        raise InputError(
            "genes of mice, and no mouseid2humanid.pkl beside the checkpoint.",
            allowed="human Ensembl ids, or the table of the publication",
            remedy="copy preprocessing/mouseid2humanid.pkl of the repository beside the checkpoint.",
        )
