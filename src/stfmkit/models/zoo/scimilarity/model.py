"""SCimilarity: log-normalised genes through a dense network to a vector of length one."""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Unpack

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from stfmkit._core.arguments import check_integer
from stfmkit._core.errors import InputError
from stfmkit.models.contract import Block
from stfmkit.models.genes.alignment import GeneVocabulary
from stfmkit.models.nets.checkpoint import Assets
from stfmkit.models.nets.network import Common, Network
from stfmkit.models.nets.tokens import Tokens, batches
from stfmkit.models.nets.value_kernels import logged_tokens
from stfmkit.models.weights.places import RANDOM
from stfmkit.models.weights.tables import read_lines, read_mapping
from stfmkit.models.weights.tensors import read_checkpoint
from stfmkit.models.zoo.scimilarity.card import SCIMILARITY


class Genes(nn.Module):
    """The first linear layer, one row per gene, so that only the genes at hand are multiplied."""

    def __init__(self, n_genes: int, width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(n_genes, width))
        self.bias = nn.Parameter(torch.empty(width))

    def forward(self, x: Tensor, genes: Tensor) -> Tensor:
        """Return (b, width) of the values (b, m) of the genes (m,)."""
        rows = self.table if len(genes) == len(self.table) else self.table[genes]
        return torch.addmm(self.bias, x, rows)


class Slope(nn.Module):
    """PReLU with one slope, which a random twin leaves where training starts."""

    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.full((1,), 0.25))

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape."""
        return functional.prelu(x, self.weight)


class SCimilarityModule(nn.Module):
    """Hidden layers with batch norm, a linear layer, and a vector of length one."""

    def __init__(self, n_genes: int, hidden: list[int], latent: int) -> None:
        super().__init__()
        first: nn.Module = Genes(n_genes, hidden[0])
        linear = [first, *(nn.Linear(a, b) for a, b in pairwise(hidden))]
        blocks = [
            nn.Sequential(nn.Identity(), layer, nn.BatchNorm1d(width), Slope())
            for layer, width in zip(linear, hidden, strict=True)
        ]
        self.network = nn.ModuleList([*blocks, nn.Linear(hidden[-1], latent)])

    def states(self, x: Tensor, genes: Tensor) -> list[Tensor]:
        """Return what every layer gives, the last one not yet normalised."""
        first = self.network[0]
        states = [first[2:](first[1](x, genes))]  # type: ignore[index]
        for layer in self.network[1:]:
            states.append(layer(states[-1]))
        return states


TARGET = 1e4
BATCH_SIZE = 512
_INPUT = "network.0.1.weight"
_TABLE = "network.0.1.table"


class SCimilarity(Network[Assets]):
    """SCimilarity (Heimberg et al. 2025, Nature 638:1085): the encoder of cells.

    Parameters
    ----------
    min_genes
        Fewest genes of the model that the data must have; the original asks for 5,000. Without effect on a random
        twin, whose genes are those of the data.
    common
        Options of every network; see `stfmkit.models.nets.network.Network`.
    """

    card = SCIMILARITY
    defaults: ClassVar[Mapping[str, Any]] = {"hidden": [1024, 1024], "latent": 128, "n_tokens": 1}
    gene_rows = _TABLE

    def __init__(self, *, min_genes: int = 5000, **common: Unpack[Common]) -> None:
        check_integer(min_genes, name="min_genes", least=1)
        self.min_genes = min_genes
        super().__init__(**common)

    def read(self, folder: Path) -> Assets:
        """Return what ``gene_order.tsv``, ``layer_sizes.json`` and ``encoder.ckpt`` hold."""
        genes = read_lines(self.find(folder, "gene_order.tsv"))
        hidden, latent, n_genes = _sizes(read_mapping(self.find(folder, "layer_sizes.json")))
        if n_genes != len(genes) or len(set(genes)) != len(genes):
            raise InputError(
                f"gene_order.tsv: {len(set(genes))} genes on {len(genes)} lines, and layer_sizes.json of {n_genes}.",
                allowed="the same number, every gene once",
                remedy="take both files from the same release.",
            )
        held = read_checkpoint(self.find(folder, "encoder.ckpt"))
        state = dict(held.get("state_dict", held))
        if _INPUT in state:
            state[_TABLE] = state.pop(_INPUT).T.contiguous()
        config = {"hidden": hidden, "latent": latent, "n_tokens": n_genes}
        return Assets(config=config, genes=GeneVocabulary(pd.Index(genes), kind="symbol"), state=state)

    def build(self, assets: Assets) -> SCimilarityModule:
        """Return the module."""
        c = assets.config
        return SCimilarityModule(c["n_tokens"], list(c["hidden"]), c["latent"])

    def tokenise(self, block: Block) -> Tokens:
        """Return the genes of every observation with their log-normalised counts."""
        match = self.match(block)
        n_known = len(np.unique(match.ids))
        if self.weights != RANDOM and n_known < self.min_genes:
            raise InputError(
                f"{n_known} genes of {self.card.name!r} in the data, and min_genes={self.min_genes}.",
                allowed=f"at least {self.min_genes} of the {self.assets.config['n_tokens']} genes of the model",
                remedy="check that the names are human symbols; for a targeted panel pass a lower min_genes=.",
            )
        return logged_tokens(block.read("expression"), match, target=TARGET)

    def batches(self, lengths: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the rows that share a batch, 512 of them where the caller says nothing."""
        return batches(lengths, batch_size=self.batch_size or BATCH_SIZE, most_tokens=0)

    def collate(self, tokens: Tokens) -> dict[str, Tensor]:
        """Return ``genes`` (m,), those of any observation, and ``x`` (b, m), their values."""
        present = np.zeros(int(tokens.ids.max(initial=0)) + 1, dtype=bool)
        present[tokens.ids] = True
        genes, columns = np.flatnonzero(present), (np.cumsum(present) - 1)[tokens.ids]
        x = torch.zeros((tokens.n_obs, len(genes)))
        rows = np.repeat(np.arange(tokens.n_obs), tokens.lengths)
        x[torch.from_numpy(rows), torch.from_numpy(columns)] = torch.as_tensor(tokens.values)
        return {"genes": torch.from_numpy(genes), "x": x}

    def forward(self, module: SCimilarityModule, batch: dict[str, Tensor]) -> Tensor:
        """Return the embedding (b, d), of length one."""
        return functional.normalize(module.states(batch["x"], batch["genes"])[-1].float(), dim=1)


def _sizes(stated: Mapping[str, Any]) -> tuple[list[int], int, int]:
    """Return the widths of the hidden layers, of the result, and the number of genes."""
    found = {re.fullmatch(r"network\.(\d+)(\.1)?\.weight", name): shape for name, shape in stated.items()}
    shapes = {int(match[1]): shape for match, shape in found.items() if match and len(shape) == 2}
    layers = [shapes[place] for place in sorted(shapes)]
    if len(layers) < 2 or any(inner[0] != outer[1] for inner, outer in pairwise(layers)):
        raise InputError(
            f"layer_sizes.json with the weights {shapes}.",
            allowed="the shapes of at least two linear layers that fit together",
            remedy="pass the published file.",
        )
    return [int(shape[0]) for shape in layers[:-1]], int(layers[-1][0]), int(layers[0][1])
