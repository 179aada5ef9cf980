"""Options of models on the command line: ``NAME=VALUE``, and weights after a colon."""

from collections.abc import Mapping, Sequence
from typing import Any

from stfmkit._core.errors import InputError, InputTypeError


def read_options(given: Sequence[str]) -> dict[str, Any]:
    """Return the options of ``NAME=VALUE``, values read as YAML; numbers, text, lists and mappings of them."""
    import yaml

    options: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (equals and name.isidentifier()) or name in options:
            raise InputError(
                f"--option {text!r}.",
                allowed="NAME=VALUE, every name once",
                remedy="pass for example --option species=human.",
            )
        try:
            options[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise InputError(
                f"--option {text!r}, whose value is not YAML.",
                allowed="a number, text, a list or a mapping",
                remedy="quote it, for example --option 'name=\"a: b\"'.",
            ) from None
    return options


def with_weights(names: Sequence[str]) -> list[str] | dict[str, Any]:
    """Return models for a comparison: ``name``, or ``name:weights`` (a folder, or random), labelled as written."""
    if not any(":" in name for name in names):
        return list(names)
    models: dict[str, Any] = {}
    for text in names:
        name, colon, weights = text.partition(":")
        models[text] = (name, {"weights": weights}) if colon else name
    if len(models) < len(names):
        raise InputError(f"models {', '.join(names)}.", allowed="every model once", remedy="leave the second out.")
    return models


def read_models(given: Mapping[Any, Any]) -> dict[str, Any]:
    """Return models for a comparison from YAML: a name for each label, or a mapping with ``model`` and options."""
    models: dict[str, Any] = {}
    for label, spec in given.items():
        if isinstance(spec, str):
            models[str(label)] = spec
        elif isinstance(spec, Mapping) and isinstance(spec.get("model"), str):
            models[str(label)] = (spec["model"], {str(k): v for k, v in spec.items() if k != "model"})
        else:
            raise InputTypeError(
                f"the model {label!r} of type {type(spec).__name__}.",
                allowed="a name, or a mapping with `model:` and options",
                remedy="write for example `untrained: {model: geneformer-v1, weights: random}`.",
            )
    return models
