"""The network of SCimilarity: dense layers, of which the first multiplies the genes at hand only."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


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
