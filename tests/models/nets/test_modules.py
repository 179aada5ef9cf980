"""Modules are filled with what was published, or from a seed and names."""

import pandas as pd
import pytest
import torch
from torch import nn

from stfmkit.errors import InputError
from stfmkit.models.nets.checkpoint import Assets
from stfmkit.models.nets.modules import built, published_module, random_module, vocabulary_of


class Table(nn.Module):
    def __init__(self, rows: int) -> None:
        super().__init__()
        self.genes, self.out = nn.Embedding(rows, 4), nn.Linear(4, 4)


def test_rows_of_genes_follow_from_their_names() -> None:
    def made(*names: str, seed: int = 0) -> tuple[Table, Assets]:
        assets = Assets(config={}, genes=vocabulary_of(pd.Index(names), n_special=2))
        rows = 2 + len(names)
        return random_module(lambda: Table(rows), assets, what="m", seed=seed, gene_rows="genes.weight"), assets  # type: ignore[return-value]

    few, many = made("b", "c")[0], made("a", "b", "c")[0]
    torch.testing.assert_close(few.genes.weight[2:], many.genes.weight[3:])
    torch.testing.assert_close(few.out.weight, many.out.weight)
    assert not torch.equal(few.out.weight, made("b", "c", seed=1)[0].out.weight)


def test_published_tensors_are_taken_themselves() -> None:
    state = {name: torch.randn(tensor.shape) for name, tensor in Table(3).state_dict().items()}
    module = published_module(lambda: Table(3), Assets(config={}, state=state), what="m", rename=(), ignore=())
    assert module.get_parameter("genes.weight").data_ptr() == state["genes.weight"].data_ptr()


def test_a_gene_without_a_name_is_none() -> None:
    assert list(vocabulary_of(pd.Index(["", "b", "a", "a"]), n_special=1).names) == ["a", "b"]


def test_sizes_that_fit_nowhere() -> None:
    with pytest.raises(InputError, match="rows=100000000 is above"):
        built(lambda: Table(3), {"rows": 10**8}, what="m")
    with pytest.raises(InputError, match="no network of 'm'"):
        built(lambda: Table(-1), {"rows": -1}, what="m")
