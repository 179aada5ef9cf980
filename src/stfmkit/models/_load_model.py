"""From a name to a model object."""

import os
from importlib import import_module
from typing import Any

import numpy as np

from stfmkit._core.arguments import check_integer
from stfmkit._core.errors import InputError, InputTypeError
from stfmkit._core.random import RNGLike, int_seed
from stfmkit.models.contract import EmbeddingModel
from stfmkit.models.card import ModelCard
from stfmkit.models._extras import missing_packages
from stfmkit.models.options import check_kinds, check_options, parameters
from stfmkit.models.catalogue import registry

_SEEDS = 2**63
"""h5ad and zarr store no larger integer, and the seed is recorded."""


def load_model(
    name: str, *, weights: str | os.PathLike[str] | None = None, rng: RNGLike = None, **options: Any
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
        Seed of models that draw random numbers (``card.needs_rng``) and of ``weights="random"``. Baselines that draw
        require it; networks take 0 where it is None. A generator is asked for one integer.
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
        An option is not known, a random model is asked for without a seed, the model cannot be run (the card says
        why), or the weights are not those of the model.
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
    card = registry.find(name)
    kind = _imported(card)
    if weights is not None:
        options["weights"] = weights
    check_options(kind, options, model=card.name)
    check_kinds(kind, options, model=card.name)
    taken = parameters(kind)
    required = card.needs_rng and "weights" not in taken  # a network takes 0, and records it
    seed = _seed(card, rng, required=required) if "rng" in taken else None
    more: dict[str, Any] = {} if seed is None else {"rng": seed}
    if "card" in taken:
        more["card"] = card
    model: EmbeddingModel = kind(**options, **more)
    return model


def _seed(card: ModelCard, rng: RNGLike, *, required: bool) -> int | None:
    if rng is None:
        if not required:
            return None
        raise InputError(
            f"the model {card.name!r} draws random numbers, and rng is None.",
            allowed="a seed, so that the result can be repeated",
            remedy="pass rng=0 (or any integer).",
        )
    if isinstance(rng, np.random.Generator):
        return int_seed(rng)
    check_integer(rng, name="rng", least=0)  # type: ignore[arg-type]
    if int(rng) >= _SEEDS:
        raise InputError(f"rng={rng!r}.", allowed="an integer below 2**63", remedy="pass a smaller seed.")
    return int(rng)


def _imported(card: ModelCard) -> type:
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
    kind = getattr(import_module(module), attribute, None)
    if not isinstance(kind, type):
        raise InputTypeError(
            f"the card of {card.name!r} points to {card.target!r}, which is not a class.",
            allowed="'package.module:Class'",
            remedy="correct target on the card, or install the version of the plug-in that has the class.",
        )
    return kind
