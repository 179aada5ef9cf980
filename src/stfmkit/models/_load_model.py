"""From a name to a model object."""

import os
from importlib import import_module
from typing import Any

from stfmkit._core.errors import InputError, InputTypeError
from stfmkit._core.optional import missing_packages
from stfmkit._core.random import RNGLike, as_seed
from stfmkit.models.card import ModelCard
from stfmkit.models.catalogue import MODELS
from stfmkit.models.contract import EmbeddingModel
from stfmkit.models.options import check_kinds, check_options, parameters


def load_model(
    name: str, *, weights: str | os.PathLike[str] | None = None, rng: RNGLike = 0, **options: Any
) -> EmbeddingModel:
    """Return a fresh, unfitted model; a network with its weights.

    Parameters
    ----------
    name
        Registry name, ``name`` or ``name.tag``; see `list_models`.
    weights
        For networks: None to fetch the published weights, a local folder or file in the published layout,
        ``owner/repository`` of the hub, or "random" for the untrained network.
    rng
        Integer, generator, or None for a new seed, of models that draw random numbers and of ``weights="random"``;
        others leave it alone.
    options
        Options of the model, by name.

    Returns
    -------
    An object of a class under `EmbeddingModel`.

    Raises
    ------
    MissingKeyError
        No model has this name; the nearest names are suggested.
    InputError
        An option is not known, the model cannot be run (the card says why), or the weights are not those of the model.
    MissingFileError
        The weights are not there; the text says where they are published.
    InputTypeError
        A number or a switch that is none.
    ImportError
        Packages that the model needs are not installed.

    Examples
    --------
    >>> import stfmkit as sk
    >>> model = sk.models.load_model("hvg_pca", n_components=20)
    >>> model.card.name, model.n_components
    ('hvg_pca', 20)
    """
    model = make_model(name, weights=weights, rng=rng, **options)
    model.load()
    return model


def make_model(
    name: str, *, weights: str | os.PathLike[str] | None = None, rng: RNGLike = 0, **options: Any
) -> EmbeddingModel:
    """Return a model whose options are stored and checked, and whose files are not opened yet.

    Arguments and errors are those of `load_model`, apart from what only files can tell.
    """
    card = MODELS.find(name)
    kind = model_class(card)
    if weights is not None:
        options["weights"] = weights
    check_options(kind, options, model=card.name)
    check_kinds(kind, options, model=card.name)
    taken = parameters(kind)
    more: dict[str, Any] = {"rng": as_seed(rng)} if "rng" in taken else {}
    if "card" in taken:
        more["card"] = card
    model: EmbeddingModel = kind(**options, **more)
    return model


def model_class(card: ModelCard) -> type[EmbeddingModel]:
    """Return the class that a card points to, or say what has to be installed or corrected first."""
    if not card.runnable:
        raise InputError(
            f"the model {card.name!r} cannot be run: {card.reason}",
            allowed="a model of sk.models.list_models(runnable=True)",
            remedy="choose another model, or register a plug-in for it.",
        )
    missing = missing_packages(card.extra)
    if missing:
        msg = (
            f"The model {card.name!r} needs {', '.join(missing)}, which is not installed. "
            f"Install it with: pip install 'stfmkit[{card.extra}]'"
        )
        raise ImportError(msg)
    module, _, attribute = card.target.partition(":")
    kind = vars(import_module(module)).get(attribute)
    if not (isinstance(kind, type) and issubclass(kind, EmbeddingModel)):
        raise InputTypeError(
            f"the card of {card.name!r} points to {card.target!r}, which is not a class under EmbeddingModel.",
            allowed="'package.module:Class', the class under sk.models.EmbeddingModel",
            remedy="correct target on the card, or install the version of the plug-in that has the class.",
        )
    return kind
