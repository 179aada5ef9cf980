"""CellPLM: the cells of a batch attend to each other; the mean of a variational latent."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Unpack

import numpy as np
import pandas as pd
import torch
from scipy.special import ndtr
from torch import Tensor

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError
from stfmkit.models.contract import Block, Requirements
from stfmkit.models.genes.alignment import GeneVocabulary
from stfmkit.models.keyed_random import named_normals
from stfmkit.models.nets.checkpoint import Assets
from stfmkit.models.nets.network import Common, Network
from stfmkit.models.nets.tokens import Tokens
from stfmkit.models.nets.value_kernels import logged_tokens
from stfmkit.models.weights.tables import read_mapping
from stfmkit.models.weights.tensors import read_checkpoint
from stfmkit.models.zoo.cellplm.card import CELLPLM
from stfmkit.models.zoo.cellplm.net import CellPLMModule

_SIZES = ("enc_hid", "enc_layers", "enc_head", "post_latent_dim", "latent_mod", "num_clusters", "norm")
_ARCHITECTURE = {
    "enc_mod": ("flowformer",),
    "latent_mod": ("vae", "gmvae"),
    "norm": ("groupnorm", "layernorm"),
    "cat_pe": (False,),
    "input_covariate": (False,),
    "dsbn": (False,),
}


class CellPLM(Network[Assets]):
    """CellPLM (Wen et al. 2024, ICLR): the latent mean of every cell among the cells of its batch.

    Parameters
    ----------
    batch_key
        Column of obs with the batches whose cells attend to each other; None for all cells of a sample. Samples never
        attend to each other.
    common
        Options of every network; see `stfmkit.models.nets.network.Network`. Here `batch_size` changes the result: it
        cuts every batch into consecutive chunks, in the order of the rows; None for whole batches.
    """

    card = CELLPLM
    defaults: ClassVar[Mapping[str, Any]] = {
        "enc_hid": 1024,
        "enc_layers": 4,
        "enc_head": 8,
        "post_latent_dim": 512,
        "latent_mod": "vae",
        "num_clusters": 16,
        "norm": "groupnorm",
        "n_tokens": 1,
    }
    ignore = (
        r"^embedder\.(norm0|pe_enc)\.",
        r"^(decoder|head|objective|mask_model)\.",
        r"^latent\.layers\.1\.(hid_2sigma|inference\.(inference_qzyx\.2\.var|y_mu|y_var))\.",
    )
    gives_genes = True
    gene_rows = "embedder.feat_enc.emb"

    def __init__(self, *, batch_key: str | None = None, **common: Unpack[Common]) -> None:
        self.batch_key = batch_key
        super().__init__(**common)

    def requirements(self) -> Requirements:
        """Return what the model needs; `batch_size` cuts the cells of a batch in the order of the rows."""
        return replace(
            super().requirements(),
            obs_keys=() if self.batch_key is None else (self.batch_key,),
            follows_order=() if self.batch_size is None else ("observations",),
        )

    @property
    def draws(self) -> bool:
        """Whether the latent draws the cluster of every cell."""
        return bool(self.assets.config["latent_mod"] == "gmvae")

    def read(self, folder: Path) -> Assets:
        """Return what ``<prefix>.config.json`` and ``<prefix>.best.ckpt`` hold."""
        wanted = self.card.weights.files[0].path if self.card.weights else "*.best.ckpt"
        path = self.find(folder, wanted, "*.best.ckpt")
        stated = read_mapping(self.find(folder, path.name.replace(".best.ckpt", ".config.json")))
        genes = stated.get("gene_list", [])
        config = {name: stated[name] for name in _SIZES if name in stated}
        config = {**self.defaults, "latent_mod": "vae", **config, "n_tokens": len(genes)}
        wrong = [
            f"{name}={stated[name]!r}"
            for name, known in _ARCHITECTURE.items()
            if stated.get(name, known[0]) not in known
        ]
        if wrong or not genes:
            raise InputError(
                f"{path.stem}: a config with {listed(wrong) if wrong else 'no gene_list'}.",
                allowed="a published config: flowformer encoder, VAE or GMVAE latent, gene_list",
                remedy="pass a checkpoint of the publication with its config.",
            )
        held = read_checkpoint(path)
        state = held.get("model_state_dict", held)
        return Assets(config=config, genes=GeneVocabulary(pd.Index(genes), kind="ensembl"), state=state)

    def build(self, assets: Assets) -> CellPLMModule:
        """Return the module."""
        return CellPLMModule(assets.config)

    def tokenise(self, block: Block) -> Tokens:
        """Return the genes of every cell with log1p of their counts, its batch, and the numbers for its cluster."""
        tokens = logged_tokens(block.read("expression"), self.match(block))
        group = block.samples
        if self.batch_key is not None:
            batch = pd.factorize(block.obs[self.batch_key], sort=True)[0]
            group = np.unique(np.column_stack([group, batch]), axis=0, return_inverse=True)[1].ravel()
        rows = {"group": group}
        if self.draws:
            n_clusters = int(self.assets.config["num_clusters"])
            rows["uniform"] = ndtr(named_normals(block.obs_names, seed=self.rng, dimension=n_clusters))
        return replace(tokens, rows=rows)

    def encode(self, batch: Tokens) -> np.ndarray:
        """Return the embedding (n_obs, d); cells see those of their batch, or of their chunk of it."""
        known = np.flatnonzero(~self.empty(batch))
        out = np.zeros((batch.n_obs, int(self.assets.config["post_latent_dim"])), dtype=np.float32)
        for group in np.unique(batch.rows["group"][known]):
            cells = known[batch.rows["group"][known] == group]
            size = len(cells) if self.batch_size is None else self.batch_size
            for start in range(0, len(cells), size):
                chunk = cells[start : start + size]
                out[chunk] = self.run(self.collate(batch.take(chunk)))
        return out

    def collate(self, tokens: Tokens) -> dict[str, Tensor]:
        """Return the cells of one chunk without padding."""
        batch = {
            "ids": torch.as_tensor(tokens.ids, dtype=torch.int64),
            "values": torch.as_tensor(tokens.values),
            "offsets": torch.as_tensor(tokens.indptr[:-1]),
        }
        if "uniform" in tokens.rows:
            batch["uniform"] = torch.as_tensor(tokens.rows["uniform"], dtype=torch.float32)
        return batch

    def forward(self, module: CellPLMModule, batch: dict[str, Tensor]) -> Tensor:
        """Return the latent means (n_cells, d)."""
        return module(batch)

    def encode_genes(self, block: Block) -> np.ndarray:
        """Return the input vector of every gene (n_genes, d), NaN for genes that the model does not know."""
        self.match(block)  # first, since a random twin learns its genes from it
        return self.rows_of_genes(block, self.module.get_parameter(str(self.gene_rows)).float().cpu().numpy())
