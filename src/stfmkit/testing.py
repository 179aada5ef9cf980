"""Checks for authors of models: whether a model keeps the contract that the benchmark relies on."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit._core.errors import InputError, InputTypeError, StfmkitError
from stfmkit.methods._check_method import check_method
from stfmkit.models._base import Block, EmbeddingModel, FittedModel
from stfmkit.models._card import ModelCard
from stfmkit.models._load_model import load_model
from stfmkit.models._registry import check_card, registry
from stfmkit.models._runner import fit_model, run_model

__all__ = ["check_method", "check_model", "example_block"]

_RTOL, _ATOL = 1e-4, 1e-5


def check_model(
    model: str | Callable[[], EmbeddingModel], *, block: Block | None = None, rng: int = 0, **options: Any
) -> None:
    """Check that a model keeps the contract, and raise at the first promise that it breaks.

    The checks: the card is well formed and belongs to the model; the model works with nothing but what its card names;
    a model that fits refuses to embed before; the result is finite, of one row per observation and of the width on the
    card; two fresh models give the same bits; the global random state stays as it is; the block is not changed; the
    order of observations, other samples, and (without ``uses_neighbors``) other observations make no difference; the
    order of genes makes no difference, and a model that was fitted on genes (and tells them as ``genes_used``) refuses
    data that lack one of them.

    Parameters
    ----------
    model
        A registry name, or a function without arguments that returns a fresh, unfitted model.
    block
        Observations to check with: at least two samples, with all that the card names. By default `example_block`,
        whose genes are named ``GENE0`` and so on; pass your own where a model knows real genes only.
    rng
        Seed, for a registry name.
    options
        Options of the model, for a registry name.

    Raises
    ------
    InputError
        The contract is broken; the text says where, and what to repair.
    InputTypeError
        `model` is neither a name nor a function that returns a model.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.testing.check_model("hvg_pca", n_components=5)
    """
    make = _maker(model, rng, options)
    first = make()
    _check_shape_of_model(first)
    card = first.card
    if isinstance(model, str) and card != registry.find(model):
        raise _broken(
            "one card for a model",
            found=f"the object loaded as {model!r} has another card ({card.name!r}) than the registry.",
            remedy="register the card that the class holds.",
        )
    seen = _only_needed(example_block() if block is None else block, card)
    if len(np.unique(seen.samples)) < 2:
        raise InputError("a block of one sample.", allowed="two samples or more", remedy="pass another block=.")
    if card.fits:
        _check_fit(make, seen, card)
    _check_first_run(make, seen, card)
    fresh = _fitted(make(), seen)
    whole = run_model(fresh, seen, show_progress=False)
    _check_orders(fresh, seen, whole)
    _check_parts(fresh, seen, whole)
    if card.reads_expression:
        _check_genes(fresh, seen, whole)


def example_block(*, n_obs: int = 90, n_genes: int = 30, n_samples: int = 3, n_types: int = 4, rng: int = 0) -> Block:
    """Return a small block with counts, coordinates and cell-type shares.

    Parameters
    ----------
    n_obs
        Number of observations.
    n_genes
        Number of genes.
    n_samples
        Number of samples; their frames overlap.
    n_types
        Number of cell types.
    rng
        Seed.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.testing.example_block(n_obs=12).counts.shape
    (12, 30)
    """
    draw = np.random.default_rng(rng)
    counts = draw.poisson(draw.gamma(2.0, 1.0, size=n_genes) * draw.lognormal(0, 0.5, size=(n_obs, 1)))
    counts[:, 0] += 1  # no empty observation
    return Block(
        obs_names=pd.Index([f"cell{i}" for i in range(n_obs)]),
        samples=np.arange(n_obs) % n_samples,
        counts=sparse.csr_array(counts.astype(np.float32)),
        genes=pd.Index([f"GENE{g}" for g in range(n_genes)]),
        coords=draw.uniform(0, 1000, size=(n_obs, 2)),
        composition=draw.dirichlet(np.ones(n_types), size=n_obs),
    )


def _maker(
    model: str | Callable[[], EmbeddingModel], rng: int, options: dict[str, Any]
) -> Callable[[], EmbeddingModel]:
    if isinstance(model, str):
        return lambda: load_model(model, rng=rng, **options)
    if not callable(model):
        raise InputTypeError(
            f"a model of type {type(model).__name__}.",
            allowed="a registry name, or a function that returns a fresh model",
            remedy="pass the class, or lambda: MyModel(option=1).",
        )
    if options:
        raise InputError(
            f"options {', '.join(options)} with a function.",
            allowed="options with a registry name",
            remedy="set them inside the function.",
        )
    return model


def _broken(promise: str, *, found: str, remedy: str) -> InputError:
    return InputError(found, allowed=promise, remedy=remedy)


def _check_shape_of_model(model: object) -> None:
    if not isinstance(model, EmbeddingModel):
        lacking = [name for name in ("card", "prepare", "encode") if not hasattr(model, name)]
        raise _broken(
            "a model with card, prepare(block) and encode(batch)",
            found=f"{type(model).__name__} without {', '.join(lacking)}.",
            remedy="add what is missing.",
        )
    check_card(model.card)
    if hasattr(model, "fit") and not model.card.fits:
        raise _broken(
            "fits=True on the card of a model with fit(block)",
            found=f"{type(model).__name__}.fit, and fits=False on the card.",
            remedy="set fits=True, so that a benchmark fits on training patients only; or rename the method.",
        )
    attribute = model.card.target.partition(":")[2]
    if attribute != type(model).__name__:
        raise _broken(
            f"a target that ends with :{type(model).__name__}",
            found=f"a card with target={model.card.target!r}.",
            remedy="correct target on the card.",
        )


def _only_needed(block: Block, card: ModelCard) -> Block:
    """Leave out what the card does not name, so that a model cannot read it unnoticed."""
    return replace(
        block,
        counts=block.counts if card.reads_expression else None,
        genes=block.genes if card.reads_expression else None,
        coords=block.coords if "coordinates" in card.needs else None,
        composition=block.composition if "composition" in card.needs else None,
    )


def _fitted(model: EmbeddingModel, block: Block) -> EmbeddingModel:
    if model.card.fits:
        fit_model(model, block)
    return model


def _fault(action: Callable[[], object]) -> str:
    """Return what happens instead of an error of stfmkit, or nothing."""
    try:
        action()
    except StfmkitError:
        return ""
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        return f"raises {error!r}"
    return "returns an embedding"


def _check_fit(make: Callable[[], EmbeddingModel], block: Block, card: ModelCard) -> None:
    unfitted = make()
    fault = _fault(lambda: unfitted.encode(unfitted.prepare(block)))
    if fault:
        raise _broken(
            "InputError from a model that has not been fitted",
            found=f"before fit(block), {card.name!r} {fault}.",
            remedy="raise stfmkit's InputError in prepare until the model is fitted.",
        )
    model = make()
    if isinstance(model, FittedModel) and model.fit(block) is not model:
        raise _broken(
            "fit(block) that returns the model",
            found=f"fit(block) of {card.name!r} returns something else.",
            remedy="end it with return self.",
        )


def _global_state() -> tuple[object, ...]:
    numpy_state = np.random.get_state(legacy=False)["state"]  # noqa: NPY002  to see that nobody uses it
    return numpy_state["key"].tobytes(), numpy_state["pos"], random.getstate()


def _check_first_run(make: Callable[[], EmbeddingModel], block: Block, card: ModelCard) -> None:
    """Same bits from two fresh models, no trace in the block or in the global random state."""
    content, state = _content(block), _global_state()
    first, second = (run_model(_fitted(make(), block), block, show_progress=False) for _ in range(2))
    if _global_state() != state:
        raise _broken(
            "local random generators",
            found=f"{card.name!r} draws from a global random state.",
            remedy="take rng in the constructor, and use np.random.default_rng(rng).",
        )
    if _content(block) != content:
        raise _broken(
            "a block that stays as it is",
            found=f"{card.name!r} changes the block that it is given.",
            remedy="work on copies.",
        )
    if not np.array_equal(first, second):
        raise _broken(
            "the same bits from two fresh models",
            found=f"two runs of {card.name!r} differ by up to {_distance(first, second):.3g}.",
            remedy="take every random number from rng, and state needs_rng=True on the card.",
        )


def _content(block: Block) -> tuple[bytes, ...]:
    counts = () if block.counts is None else (block.counts.data, block.counts.indices, block.counts.indptr)
    arrays = (block.samples, *counts, block.coords, block.composition)
    names = "\n".join(map(str, [*block.obs_names, *(() if block.genes is None else block.genes)]))
    return (names.encode(), *(np.ascontiguousarray(a).tobytes() for a in arrays if a is not None))


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(np.float64) - b).max()) if a.shape == b.shape else float("inf")


def _same(found: np.ndarray, wanted: np.ndarray) -> bool:
    if found.shape != wanted.shape:
        return False
    scale = max(float(np.abs(wanted).max()), 1.0)
    return bool(np.allclose(found, wanted, rtol=_RTOL, atol=_ATOL * scale))


def _check_orders(model: EmbeddingModel, block: Block, whole: np.ndarray) -> None:
    order = np.random.default_rng(1).permutation(block.n_obs)
    turned = run_model(model, block.take(order), show_progress=False)
    if not _same(turned, whole[order]):
        raise _broken(
            "rows that follow the observations",
            found=f"{model.card.name!r} gives other vectors when the observations are shuffled "
            f"(by up to {_distance(turned, whole[order]):.3g}).",
            remedy="do not let a vector depend on the position of its row.",
        )


def _check_parts(model: EmbeddingModel, block: Block, whole: np.ndarray) -> None:
    """Other samples make no difference, nor other observations where the card says so; one call equals many."""
    card = model.card
    if card.uses_neighbors:
        rows = np.flatnonzero(block.samples == block.samples[0])
        alone, what = block.take(rows), "other samples are left out"
    else:
        rows = np.arange(block.n_obs // 3, block.n_obs // 2)
        alone, what = block.take(rows), "other observations are left out"
    part = run_model(model, alone, show_progress=False)
    if not _same(part, whole[rows]):
        raise _broken(
            "vectors that depend on the sample alone"
            if card.uses_neighbors
            else "vectors that depend on one row alone",
            found=f"{card.name!r} gives other vectors when {what} (by up to {_distance(part, whole[rows]):.3g}).",
            remedy="take statistics from fit(block), never from the block that is embedded"
            + (", and keep neighbours within a sample." if card.uses_neighbors else "; or state uses_neighbors=True."),
        )
    at_once = np.asarray(model.encode(model.prepare(block)), dtype=np.float32)
    if not _same(at_once, whole):
        raise _broken(
            "the same result from one call as from one call per part",
            found=f"{card.name!r} gives other vectors in one call (by up to {_distance(at_once, whole):.3g}).",
            remedy="use block.samples, and no statistics across samples.",
        )


def _check_genes(model: EmbeddingModel, block: Block, whole: np.ndarray) -> None:
    """Genes are known by name."""
    if block.counts is None or block.genes is None:
        return
    order = np.random.default_rng(2).permutation(len(block.genes))
    turned = replace(block, counts=sparse.csr_array(block.counts[:, order]), genes=block.genes[order])
    if not _same(run_model(model, turned, show_progress=False), whole):
        raise _broken(
            "genes that are found by name",
            found=f"{model.card.name!r} gives other vectors when the genes are in another order.",
            remedy="align block.genes with the genes of the model.",
        )
    used = getattr(model, "genes_used", None)
    if model.card.fits and used is not None:
        fewer = block.without_genes(block.genes.get_indexer(used[:1]))
        fault = _fault(lambda: run_model(model, fewer, show_progress=False))
        if fault:
            raise _broken(
                "MissingKeyError where a gene of the fit is missing",
                found=f"without the gene {used[0]!r} that it was fitted on, {model.card.name!r} {fault}.",
                remedy="raise MissingKeyError; a missing gene is not a zero.",
            )
