"""From a name to a model object."""

from importlib import import_module
from typing import Any

import numpy as np

from stfmkit._errors import InputError, InputTypeError
from stfmkit._random import RNGLike, int_seed
from stfmkit._validate import check_integer
from stfmkit.models._base import EmbeddingModel
from stfmkit.models._card import ModelCard
from stfmkit.models._extras import missing_packages
from stfmkit.models._options import check_options
from stfmkit.models._registry import registry


def load_model(name: str, *, rng: RNGLike = None, **options: Any) -> EmbeddingModel:
    """Return a fresh, unfitted model.

    Parameters
    ----------
    name
        Registry name, ``name`` or ``name.tag``; see `list_models`.
    rng
        Seed. Required by models that draw random numbers (``card.needs_rng``), without effect on others. A generator
        is asked for one integer.
    options
        Options of the model, by name.

    Returns
    -------
    An object with ``card``, ``prepare``, ``encode``, and ``fit`` where ``card.fits``.

    Raises
    ------
    MissingKeyError
        No model has this name; the nearest names are suggested.
    InputError
        An option is not known, or a random model is asked for without a seed.
    ImportError
        Packages that the model needs are not installed.

    Examples
    --------
    >>> import stfmkit as sk
    >>> model = sk.models.load_model("hvg_pca", n_components=20)
    >>> model.card.name, model.n_components
    ('hvg_pca', 20)
    """
    card = registry.find(name)
    kind = _imported(card)
    check_options(kind, options, model=card.name)
    seed = seed_for(card, rng)
    model: EmbeddingModel = kind(**options) if seed is None else kind(rng=seed, **options)
    return model


def seed_for(card: ModelCard, rng: RNGLike) -> int | None:
    """Return the integer seed of a model that draws random numbers, None for others."""
    if not card.needs_rng:
        return None
    if rng is None:
        raise InputError(
            f"the model {card.name!r} draws random numbers, and rng is None.",
            allowed="a seed, so that the result can be repeated",
            remedy="pass rng=0 (or any integer).",
        )
    if isinstance(rng, np.random.Generator):
        return int_seed(rng)
    check_integer(rng, name="rng", least=0)  # type: ignore[arg-type]
    return int(rng)


def _imported(card: ModelCard) -> type:
    missing = missing_packages(card.extra)
    if missing:
        msg = (
            f"The model {card.name!r} needs {', '.join(missing)}, which is not installed. "
            f"Install it with: pip install 'stfmkit[{card.extra}]'"
        )
        raise ImportError(msg)
    module, _, attribute = card.target.partition(":")
    kind = getattr(import_module(module), attribute, None)
    if not isinstance(kind, type):
        raise InputTypeError(
            f"the card of {card.name!r} points to {card.target!r}, which is not a class.",
            allowed="'package.module:Class'",
            remedy="correct target on the card, or install the version of the plug-in that has the class.",
        )
    return kind
