"""A number as a soft mixture of bins, as scFoundation and its descendants read it."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError
from stfmkit.models.genes.alignment import GeneVocabulary

GENE_LIST = "OS_scRNA_gene_index.19264.tsv"


class AutoBin(nn.Module):
    """Weights over bins by a small network with a skip, and the weighted sum of their vectors.

    Parameters
    ----------
    width
        Width of a vector.
    n_bins
        Number of bins.
    alpha
        Weight of the skip.
    """

    def __init__(self, width: int, *, n_bins: int, alpha: float) -> None:
        super().__init__()
        self.mlp, self.mlp2 = nn.Linear(1, n_bins), nn.Linear(n_bins, n_bins)
        self.emb = nn.Embedding(n_bins, width)
        self.alpha = alpha

    def forward(self, values: Tensor) -> Tensor:
        """Return (…, width)."""
        x = functional.leaky_relu(self.mlp(values.unsqueeze(-1)), 0.1)
        weights = torch.softmax(self.alpha * x + self.mlp2(x), dim=-1)
        return weights @ self.emb.weight


def read_gene_list(path: Path) -> GeneVocabulary:
    """Return the genes of the published list, in its order.

    Raises
    ------
    InputError
        The file does not have the columns ``gene_name`` and ``index``, or the index does not count from zero.
    """
    try:
        table = pd.read_csv(path, sep="\t", keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError):
        table = pd.DataFrame()
    if not {"gene_name", "index"} <= set(table.columns) or list(table["index"]) != list(range(len(table))):
        raise InputError(
            f"{path.name} with the columns {listed(table.columns)} and {len(table)} rows.",
            allowed="gene_name and index (0, 1, …), separated by tabs",
            remedy="pass the published list of genes.",
        )
    return GeneVocabulary(pd.Index(table["gene_name"].astype(str)), kind="symbol")


def without_prefix(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names start with a prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
