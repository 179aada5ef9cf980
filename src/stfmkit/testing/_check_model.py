"""Whether a model keeps the contract that the benchmark relies on."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError, InputTypeError, StfmkitError
from stfmkit.models._load_model import load_model
from stfmkit.models.catalogue import MODELS, check_card
from stfmkit.models.contract import Block, EmbeddingModel
from stfmkit.models.options import parameters
from stfmkit.models.runtime.run import ModelRun
from stfmkit.testing._example_block import example_block

if TYPE_CHECKING:
    from stfmkit.models.card import Modality

_RTOL, _ATOL = 1e-4, 1e-5


def check_model(
    model: str | Callable[[], EmbeddingModel], *, block: Block | None = None, rng: int = 0, **options: Any
) -> None:
    """Check that a model keeps the contract, and raise at the first promise that it breaks.

    The checks: the model is a class under `stfmkit.models.EmbeddingModel`; its card is well formed, is the registered
    one, and agrees with ``requirements()`` under the default options; options are stored under their names; the model
    works with nothing but what its requirements name; a model that fits refuses to embed before; the result is finite,
    of one row per observation and of the width that is stated; two fresh models give the same bits; the global random
    state stays as it is; the block is not changed; the order of observations, other samples, and (without
    ``whole_samples``) other observations make no difference; the order of genes makes no difference, and a model that
    was fitted on genes refuses data that lack one of them. What the requirements say that follows the order of
    observations or genes is not asked about that order.

    Parameters
    ----------
    model
        A registry name, or a function without arguments that returns a fresh, unfitted model.
    block
        Observations to check with: at least two samples, with all that the model reads. By default `example_block`,
        whose genes are named ``GENE0`` and so on, with random patches for a model of images; pass your own where a
        model knows real genes only.
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
    _check_statements(first)
    if isinstance(model, str):
        _check_registered(first, model, default=not set(options) - {"weights", "config"})
    given = _example_for(first) if block is None else block
    if len(np.unique(given.samples)) < 2:
        raise InputError("a block of one sample.", allowed="two samples or more", remedy="pass another block=.")
    seen = _only_needed(first, given)
    if first.card.fits:
        _check_fit(make, seen)
    _check_first_run(make, seen)
    fresh = _fitted(make(), seen)
    whole = ModelRun(fresh).embed(seen)
    _check_orders(fresh, seen, whole)
    _check_parts(fresh, seen, whole)
    if first.requirements().matrix is not None:
        _check_genes(fresh, seen, whole)


def _example_for(model: EmbeddingModel) -> Block:
    """Return the example block, with patches of an image and columns of text where the model reads them."""
    block, needs = example_block(), model.requirements()
    inputs: dict[Modality, Any] = dict(block.inputs)
    if "image" in needs.needs and needs.patch is not None:
        draw = np.random.default_rng(0)
        size = needs.patch.size
        inputs["image"] = draw.integers(0, 256, size=(block.n_obs, size, size, 3), dtype=np.uint8)
    lacking = [need for need in needs.needs if need not in inputs and need != "expression"]
    if lacking:
        raise InputError(
            f"the model {model.card.name!r} reads {listed(lacking)}, which the example block does not have"
            f"{' (its requirements state no patch)' if 'image' in lacking else ''}.",
            allowed=f"a model of {listed(inputs)} and of images with a patch, or a block of your own",
            remedy="pass block=, a sk.models.Block with all that the model reads.",
        )
    obs = {key: np.array(["a", "b", "c"])[np.arange(block.n_obs) % 3] for key in needs.obs_keys}
    genes = np.empty(0, dtype=str) if block.genes is None else block.genes.to_numpy(dtype=str)
    return replace(block, inputs=inputs, obs=obs, var=dict.fromkeys(needs.var_keys, genes))


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


def _overrides(model: EmbeddingModel, method: str) -> bool:
    """Return whether the class of a model, or one between it and the contract, has a method of its own."""
    classes = type(model).__mro__
    return any(method in vars(kind) for kind in classes[: classes.index(EmbeddingModel)])


def _check_statements(model: object) -> None:
    """Check class, card, options, seed and capabilities, which are stated without data."""
    if not isinstance(model, EmbeddingModel):
        raise _broken(
            "a class under sk.models.EmbeddingModel, with card, prepare(block) and encode(batch)",
            found=f"{type(model).__name__}, which is no EmbeddingModel.",
            remedy="derive the class from sk.models.EmbeddingModel.",
        )
    card, name = model.card, type(model).__name__
    check_card(card)
    if _overrides(model, "fit") != card.fits:
        there = "fit, and fits=False" if not card.fits else "no fit(block), and fits=True"
        raise _broken(
            "fits=True on the card of a model with fit(block), and of no other",
            found=f"{name} has {there} on the card.",
            remedy="make them agree, so that a benchmark fits on training patients only.",
        )
    if _overrides(model, "encode_genes") != model.gives_genes:
        raise _broken(
            "gives_genes=True for a model with encode_genes(block), and for no other",
            found=f"{name} with gives_genes={model.gives_genes}.",
            remedy="set gives_genes on the class.",
        )
    if card.target.partition(":")[2] != name:
        raise _broken(
            f"a target that ends with :{name}",
            found=f"a card with target={card.target!r}.",
            remedy="correct target on the card.",
        )
    model.options()  # refuses options that are not stored
    if "rng" in parameters(type(model)) and model.rng is None:
        raise _broken(
            "a seed that is stored",
            found=f"{name} takes rng, and its rng is None.",
            remedy="add self.rng = rng to the constructor.",
        )


def _check_registered(model: EmbeddingModel, name: str, *, default: bool) -> None:
    """Check that the card is the registered one, and that requirements under default options are those on it."""
    card = MODELS.find(name)
    if model.card != card:
        raise _broken(
            "one card for a model, whatever its options",
            found=f"the object loaded as {name!r} has another card ({model.card.name!r}) than the registry.",
            remedy="register the card that the class holds; what depends on options belongs to requirements().",
        )
    stated = model.requirements()
    if default and (stated.needs, stated.whole_samples) != (card.needs, card.uses_neighbors):
        raise _broken(
            "a card that says what the model reads by default",
            found=f"{name!r} needs {stated.needs} with whole_samples={stated.whole_samples}, and its card says "
            f"{card.needs} with uses_neighbors={card.uses_neighbors}.",
            remedy="correct the card, or the requirements.",
        )


def _only_needed(model: EmbeddingModel, block: Block) -> Block:
    """Leave out what the model does not need, so that it cannot read it unnoticed."""
    requirements = model.requirements()
    if "expression" in requirements.needs and "expression" not in block.inputs:
        block = replace(block, inputs={**block.inputs, "expression": block.inputs["counts"]})
    return block.only(requirements)


def _fitted(model: EmbeddingModel, block: Block) -> EmbeddingModel:
    if model.card.fits:
        ModelRun(model).fit(block)
    return model


def _fault(action: Callable[[], object]) -> str:
    """Return what happens instead of an error of stfmkit, or nothing."""
    try:
        action()
    except StfmkitError:
        return ""
    except Exception as error:  # noqa: BLE001  the code of a model under test may raise anything
        return f"raises {error!r}"
    return "returns an embedding"


def _check_fit(make: Callable[[], EmbeddingModel], block: Block) -> None:
    unfitted = make()
    fault = _fault(lambda: unfitted.encode(unfitted.prepare(block)))
    if fault:
        raise _broken(
            "InputError from a model that has not been fitted",
            found=f"before fit(block), {unfitted.card.name!r} {fault}.",
            remedy="raise stfmkit's InputError in prepare until the model is fitted.",
        )
    model = make()
    if model.fit(block) is not model:
        raise _broken(
            "fit(block) that returns the model",
            found=f"fit(block) of {model.card.name!r} returns something else.",
            remedy="end it with return self.",
        )


def _global_state() -> tuple[object, ...]:
    numpy_state = np.random.get_state(legacy=False)["state"]  # noqa: NPY002  to see that nobody uses it
    return numpy_state["key"].tobytes(), numpy_state["pos"], random.getstate()


def _check_first_run(make: Callable[[], EmbeddingModel], block: Block) -> None:
    """Same bits from two fresh models, no trace in the block or in the global random state."""
    content, state = block.identity(), _global_state()
    models = make(), make()
    first, second = (ModelRun(_fitted(model, block)).embed(block) for model in models)
    name = models[0].card.name
    if _global_state() != state:
        raise _broken(
            "local random generators",
            found=f"{name!r} draws from a global random state.",
            remedy="take rng in the constructor, and use np.random.default_rng(rng).",
        )
    if block.identity() != content:
        raise _broken(
            "a block that stays as it is",
            found=f"{name!r} changes the block that it is given.",
            remedy="work on copies.",
        )
    if not np.array_equal(first, second):
        raise _broken(
            "the same bits from two fresh models",
            found=f"two runs of {name!r} differ by up to {_distance(first, second):.3g}.",
            remedy="take every random number from rng, and state needs_rng=True on the card.",
        )
    if models[0].identity() != models[1].identity():
        raise _broken(
            "one identity for the same options, seed and files",
            found=f"two fresh models {name!r} have different identities.",
            remedy="store options as they are given, without addresses of objects.",
        )


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(np.float64) - b).max()) if a.shape == b.shape else float("inf")


def _same(found: np.ndarray, wanted: np.ndarray) -> bool:
    if found.shape != wanted.shape:
        return False
    scale = max(float(np.abs(wanted).max()), 1.0)
    return bool(np.allclose(found, wanted, rtol=_RTOL, atol=_ATOL * scale))


def _check_orders(model: EmbeddingModel, block: Block, whole: np.ndarray) -> None:
    if "observations" in model.requirements().follows_order:
        return
    order = np.random.default_rng(1).permutation(block.n_obs)
    shuffled = ModelRun(model).embed(block.take(order))
    if not _same(shuffled, whole[order]):
        raise _broken(
            "rows that follow the observations",
            found=f"{model.card.name!r} gives other vectors when the observations are shuffled "
            f"(by up to {_distance(shuffled, whole[order]):.3g}).",
            remedy="do not let a vector depend on the position of its row; or state it in follows_order.",
        )


def _check_parts(model: EmbeddingModel, block: Block, whole: np.ndarray) -> None:
    """Other samples make no difference, nor other observations where the model says so; one call equals many."""
    name, neighbors = model.card.name, model.requirements().whole_samples
    if neighbors:
        rows, what = np.flatnonzero(block.samples == block.samples[0]), "other samples are left out"
    else:
        rows, what = np.arange(block.n_obs // 3, block.n_obs // 2), "other observations are left out"
    part = ModelRun(model).embed(block.take(rows))
    if not _same(part, whole[rows]):
        raise _broken(
            "vectors that depend on the sample alone" if neighbors else "vectors that depend on one row alone",
            found=f"{name!r} gives other vectors when {what} (by up to {_distance(part, whole[rows]):.3g}).",
            remedy="take statistics from fit(block), never from the block that is embedded"
            + (", and keep neighbours within a sample." if neighbors else "; or state whole_samples=True."),
        )
    at_once = np.asarray(model.encode(model.prepare(block)), dtype=np.float32)
    if not _same(at_once, whole):
        raise _broken(
            "the same result from one call as from one call per part",
            found=f"{name!r} gives other vectors in one call (by up to {_distance(at_once, whole):.3g}).",
            remedy="use block.samples, and no statistics across samples.",
        )


def _check_genes(model: EmbeddingModel, block: Block, whole: np.ndarray) -> None:
    """Genes are known by name; one of the fit that is missing is no zero."""
    genes, matrix = block.genes, model.requirements().matrix
    if genes is None or matrix is None:
        return
    if "genes" not in model.requirements().follows_order:
        order = np.random.default_rng(2).permutation(len(genes))
        shuffled = replace(
            block,
            inputs={**block.inputs, matrix: sparse.csr_array(block.read(matrix)[:, order])},
            genes=genes[order],
            var={name: values[order] for name, values in block.var.items()},
        )
        if not _same(ModelRun(model).embed(shuffled), whole):
            raise _broken(
                "genes that are found by name",
                found=f"{model.card.name!r} gives other vectors when the genes are in another order.",
                remedy="align block.genes with the genes of the model; or state it in follows_order.",
            )
    read = model.genes_read(block)
    if read.shape != (len(genes),) or read.dtype != bool:
        raise _broken(
            f"genes_read(block) of shape ({len(genes)},) and dtype bool",
            found=f"genes_read(block) of {model.card.name!r} has shape {read.shape} and dtype {read.dtype}.",
            remedy="return True for every gene of the block that the model reads.",
        )
    if model.card.fits:
        lost = np.flatnonzero(read)[:1]
        fault = _fault(lambda: ModelRun(model).embed(block.without_genes(lost)))
        if fault:
            raise _broken(
                "MissingKeyError where a gene of the fit is missing",
                found=f"without the gene {genes[lost[0]]!r} that it was fitted on, {model.card.name!r} {fault}.",
                remedy="raise MissingKeyError; a missing gene is not a zero.",
            )
