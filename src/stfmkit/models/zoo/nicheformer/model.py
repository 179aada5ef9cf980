"""Nicheformer: genes ranked by their value over the mean of the technology, after three tokens of context."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Unpack

import numpy as np
import torch
from torch import Tensor, nn

from stfmkit._core.arguments import check_choice, listed, nearest
from stfmkit._core.errors import InputError
from stfmkit.models.contract import Block
from stfmkit.models.genes.alignment import GeneVocabulary
from stfmkit.models.nets.checkpoint import Assets
from stfmkit.models.nets.encoder import Encoder
from stfmkit.models.nets.network import Common, Network
from stfmkit.models.nets.tokens import Tokens, collate
from stfmkit.models.zoo.nicheformer.card import NICHEFORMER
from stfmkit.models.zoo.nicheformer.files import (
    FOLDERS,
    read_gene_order,
    read_means,
    read_network,
    rounded_means,
)
from stfmkit.models.zoo.nicheformer.kernels import rank_shares

PAD = 1
"""Token of padding."""


class NicheformerNet(nn.Module):
    """Embeddings of tokens and positions, and a post-norm encoder."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width = config["dim_model"]
        self.embeddings = nn.Embedding(config["n_tokens"] + 5, width)
        self.positional_embedding = nn.Embedding(config["context_length"], width)
        self.encoder = Encoder(config["nlayers"], width, config["nheads"], config["dim_feedforward"], eps=1e-12)

    def states(self, ids: Tensor, *, layers: int) -> Tensor:
        """Return the states (b, context_length, d) after a number of layers; padding is never attended to."""
        x = self.embeddings(ids) + self.positional_embedding.weight
        out: Tensor = self.encoder(x, keep=ids != PAD, layers=layers)
        return out


MODALITIES = {"dissociated": 3, "spatial": 4}
SPECIES = {"human": 5, "mouse": 6}
TECHNOLOGIES = {
    "merfish": 7,
    "cosmx": 8,
    "xenium": 9,
    "10x 5' v2": 10,
    "10x 3' v3": 11,
    "10x 3' v2": 12,
    "10x 5' v1": 13,
    "10x 3' v1": 14,
    "10x 3' transcription profiling": 15,
    "10x 5' transcription profiling": 16,
    "CITE-seq": 17,
    "Smart-seq v4": 18,
}
SPATIAL = ("merfish", "cosmx", "xenium")
_SPELLINGS = {"Homo sapiens": "human", "Mus musculus": "mouse"}


def chosen(value: str | None, known: Mapping[str, int], *, name: str) -> str:
    """Return the name of a choice that the user has to make; case does not matter."""
    names = {key.casefold(): key for key in known}
    names |= {key.casefold(): meant for key, meant in _SPELLINGS.items() if meant in known}
    if isinstance(value, str) and value.casefold() in names:
        return names[value.casefold()]
    raise InputError(
        f"{name}={value!r} for 'nicheformer', which has a token for it and no default.",
        allowed=listed(known, most=20),
        remedy=f"pass {name}=.{nearest(value, known) if isinstance(value, str) else ''}",
    )


N_AUXILIARY, N_CONTEXT = 30, 3
MeansMode = Literal["notebook", "dataset", "none"]


@dataclass(frozen=True, kw_only=True, eq=False)
class NicheformerAssets(Assets):
    """What the files of Nicheformer hold.

    Attributes
    ----------
    means
        Mean of every gene (n_genes,) for the technology, NaN where it is not measured; None for no means.
    """

    means: np.ndarray | None = None


class Nicheformer(Network[NicheformerAssets]):
    """Nicheformer (Tejada-Lapuerta et al. 2025).

    Parameters
    ----------
    modality
        "dissociated" or "spatial".
    species
        "human" or "mouse".
    technology
        "merfish", "cosmx", "xenium", or an assay of dissociated cells ("10x 3' v3", …).
    means_mode
        What values are divided by: "notebook" (means rounded to whole numbers, missing ones 1), "dataset" (means as
        they are; genes without one follow after all others, as in the loader of the repository), "none".
    layer_index
        Layer whose states are averaged, counted from 0; -1 is the last.
    with_context
        Whether the three tokens of context enter the mean.
    common
        Options of every network; see `Network`.
    """

    card = NICHEFORMER
    defaults: ClassVar[Mapping[str, Any]] = {
        "dim_model": 512,
        "nheads": 16,
        "dim_feedforward": 1024,
        "nlayers": 12,
        "context_length": 1500,
    }
    rename = ((r"^nicheformer\.", ""),)
    ignore = (r"(^|\.)(encoder_layer|classifier_head|pooler_head|cls_head)\.", r"(^|\.)pos$")
    n_special = N_AUXILIARY
    gene_rows = "embeddings.weight"
    pad_id = PAD

    def __init__(
        self,
        *,
        modality: str | None = None,
        species: str | None = None,
        technology: str | None = None,
        means_mode: MeansMode = "notebook",
        layer_index: int = -1,
        with_context: bool = False,
        **common: Unpack[Common],
    ) -> None:
        self.modality = chosen(modality, MODALITIES, name="modality")
        self.species = chosen(species, SPECIES, name="species")
        self.technology = chosen(technology, TECHNOLOGIES, name="technology")
        check_choice(means_mode, ("notebook", "dataset", "none"), name="means_mode")
        self.means_mode, self.layer_index, self.with_context = means_mode, layer_index, with_context
        super().__init__(**common)

    def check_assets(self, assets: NicheformerAssets) -> None:
        """Refuse a layer that the network does not have."""
        n_layers = assets.config["nlayers"]
        if not -n_layers <= self.layer_index < n_layers:
            raise InputError(
                f"layer_index={self.layer_index!r} of {n_layers} layers.",
                allowed=f"-{n_layers} … {n_layers - 1}",
                remedy="pass -1 for the last layer.",
            )

    @property
    def _sizes(self) -> Mapping[str, Any]:
        return self.assets.config

    def read(self, folder: Path) -> NicheformerAssets:
        """Return the checkpoint (Lightning or hub), the gene order and the means of the technology."""
        path = self.find(folder, "*.ckpt", "model.safetensors", "pytorch_model.bin", beside=("data",))
        stated = None if path.suffix == ".ckpt" else self.find(folder, "config.json")
        config, state = read_network(path, stated)
        genes = read_gene_order(self.find(folder, "model.h5ad", beside=FOLDERS))
        if len(genes) + N_AUXILIARY != config.get("n_tokens"):
            raise InputError(
                f"model.h5ad with {len(genes)} genes, and a checkpoint of {config.get('n_tokens')} tokens.",
                allowed=f"{N_AUXILIARY} tokens more than genes",
                remedy="take model.h5ad and the checkpoint from the same release.",
            )
        means = None
        if self.means_mode != "none":
            group = self.technology if self.technology in SPATIAL else "dissociated"
            means = read_means(self.find(folder, f"{group}_mean_script.npy", beside=FOLDERS), n_genes=len(genes))
        ids = N_AUXILIARY + np.arange(len(genes))
        vocabulary = GeneVocabulary(genes, kind="ensembl", ids=ids)
        return NicheformerAssets(config={**self.defaults, **config}, genes=vocabulary, state=state, means=means)

    def random_assets(self, config: Mapping[str, Any]) -> NicheformerAssets:
        """Return a twin without means."""
        return NicheformerAssets(config=config)

    def build(self, assets: NicheformerAssets) -> NicheformerNet:
        """Return the module."""
        return NicheformerNet(assets.config)

    def tokenise(self, block: Block) -> Tokens:
        """Return the genes of every observation by descending value, at most as many as the context holds."""
        counts, ids = self.align(block)
        limit = self._sizes["context_length"] - N_CONTEXT
        means, tail = self.assets.means, np.zeros(0, dtype=np.int64)
        if means is None:
            means = np.ones(int(ids.max()) + 1 - N_AUXILIARY)
        elif self.means_mode == "dataset":
            tail = N_AUXILIARY + np.flatnonzero(np.isnan(means))
            means = np.where(means == 0, 1.0, means)
        else:
            means = rounded_means(means)
        csr, columns = (counts.indptr, counts.indices, counts.data), (ids, means[ids - N_AUXILIARY])
        indptr, tokens = rank_shares(csr, columns, tail, limit=limit)
        return Tokens(indptr, tokens, rows={"empty": np.diff(counts.indptr) == 0})

    def batches(self, lengths: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the rows that share a batch; every observation has as many positions as the context."""
        return super().batches(np.full_like(lengths, self._sizes["context_length"]))

    def collate(self, tokens: Tokens) -> dict[str, Tensor]:
        """Return ``ids`` (b, context_length): species, technology, modality, genes, padding."""
        genes = collate(tokens, pad_id=PAD, length=self._sizes["context_length"] - N_CONTEXT)["ids"]
        codes = SPECIES[self.species], TECHNOLOGIES[self.technology], MODALITIES[self.modality]
        return {"ids": torch.cat([torch.tensor(codes).expand(len(genes), N_CONTEXT), genes], dim=1)}

    def forward(self, module: NicheformerNet, batch: dict[str, Tensor]) -> Tensor:
        """Return the mean of the states over all positions, padding as well."""
        states = module.states(batch["ids"], layers=self.layer_index % self._sizes["nlayers"] + 1)
        return states[:, 0 if self.with_context else N_CONTEXT :].mean(dim=1)
