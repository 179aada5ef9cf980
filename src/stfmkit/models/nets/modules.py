"""Modules of networks, built and filled: with published tensors, or with random ones."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from stfmkit._core.errors import InputError, StfmkitError
from stfmkit.models.genes.alignment import GeneVocabulary
from stfmkit.models.genes.table import kind_of
from stfmkit.models.keyed_random import named_normals
from stfmkit.models.nets.checkpoint import Assets
from stfmkit.models.nets.state import Rename, draw_state, load_state

_LARGEST = 10_000_000
"""No size of a network is larger, vocabularies included."""
_SCALE = 0.02


def built(build: Callable[[], nn.Module], sizes: Mapping[str, Any], *, what: str) -> nn.Module:
    """Return the module; sizes that make none, or none that fits anywhere, are refused.

    Raises
    ------
    InputError
        The sizes are not those of a network.
    """
    large = [f"{name}={size}" for name, size in sizes.items() if isinstance(size, int) and size > _LARGEST]
    try:
        if not large:
            return build()
        problem = f"{large[0]} is above {_LARGEST:,}"
    except StfmkitError:
        raise
    except Exception as error:
        lines = str(error).strip().splitlines()
        raise _no_network(sizes, lines[0][:160] if lines else type(error).__name__, what=what) from error
    raise _no_network(sizes, problem, what=what)


def _no_network(sizes: Mapping[str, Any], problem: str, *, what: str) -> InputError:
    return InputError(
        f"sizes that make no network of {what!r}: {dict(sizes)} ({problem}).",
        allowed="the sizes of a publication, or smaller ones",
        remedy="correct config=, or pass the config that belongs to the checkpoint.",
    )


def published_module(
    build: Callable[[], nn.Module], assets: Assets, *, what: str, rename: Rename, ignore: Sequence[str]
) -> nn.Module:
    """Return the module with the tensors of a checkpoint, which it takes themselves: weights are in memory once."""
    with torch.device("meta"):
        module = built(build, assets.config, what=what)
    load_state(module, assets.state or {}, what=what, rename=rename, ignore=ignore)
    return module


def random_module(
    build: Callable[[], nn.Module], assets: Assets, *, what: str, seed: int, gene_rows: str | None
) -> nn.Module:
    """Return the module with random weights that follow from the seed and the names of tensors and genes alone.

    Parameters
    ----------
    build
        Returns the module, not yet filled.
    assets
        Sizes and vocabulary.
    what
        Name of the model, for errors.
    seed
        Seed.
    gene_rows
        Parameter whose rows belong to tokens; None for a network without one.
    """
    with torch.random.fork_rng(devices=[]):
        module = built(build, assets.config, what=what)
    draw_state(module, seed=seed, scale=_SCALE)
    if gene_rows is not None and assets.genes is not None:
        table = module.get_parameter(gene_rows)
        rows = named_normals(assets.genes.names, seed=seed, dimension=int(table.shape[1])) * _SCALE
        with torch.no_grad():
            table[torch.from_numpy(assets.genes.tokens())] = torch.from_numpy(rows.astype(np.float32))
    return module


def vocabulary_of(genes: pd.Index, *, n_special: int) -> GeneVocabulary:
    """Return the vocabulary of a random twin: the genes of the data in alphabetical order after special tokens."""
    text = genes.astype(str)
    names = pd.Index(np.unique(text[text != ""]))  # a gene without a name is none
    return GeneVocabulary(names, kind=kind_of(names), ids=n_special + np.arange(len(names)))
