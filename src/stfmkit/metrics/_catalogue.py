"""All metrics by name: those of this package, of plug-ins, and those that the user registers."""

from collections.abc import Callable, Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pandas as pd

from stfmkit._core.arguments import check_known
from stfmkit._core.catalogue import Catalogue
from stfmkit.metrics._metric import MetricSpec, spec_of, specs_in

FAMILIES = {
    "labels": "Class labels",
    "clustering": "Clusters and domains",
    "expression": "Predicted expression",
    "spatial": "Spatial autocorrelation",
    "signatures": "Signatures of niches",
    "coexpression": "Co-expression",
    "embedding": "Embeddings",
    "noise": "Noise and ceilings",
}
"""Families of the metrics of this package, in the order of the listing, and their titles."""

_PACKAGE = __name__.rpartition(".")[0]


def _built_in() -> Iterator[Callable[..., Any]]:
    """Yield the metrics of this package by family; a file that holds a decorated function is found by itself."""
    package = import_module(_PACKAGE)
    modules = [import_module(f"{_PACKAGE}.{module.name}") for module in iter_modules(package.__path__)]
    found = [spec for module in modules for spec in specs_in(module)]
    order = list(FAMILIES)
    yield from (s.function for s in sorted(found, key=lambda s: order.index(s.family)))


def _name_of(function: Callable[..., Any]) -> str:
    return spec_of(function).name


def _check(function: object) -> None:
    spec_of(function)


_CATALOGUE: Catalogue[Callable[..., Any]] = Catalogue(
    what="metric", group="stfmkit.metrics", built_in=_built_in, name_of=_name_of, check=_check
)


def spec(name: str) -> MetricSpec:
    """Return the description of a metric.

    Parameters
    ----------
    name
        Name of the metric, which is that of its function.

    Returns
    -------
    The description; its `function` is the metric itself.

    Raises
    ------
    MissingKeyError
        If there is no such metric; the nearest names are suggested.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.spec("ari").higher_is_better, sk.metrics.spec("ari").bounds
    (True, (-0.5, 1.0))
    """
    return spec_of(_CATALOGUE.find(name))


def list_metrics(family: str | None = None) -> pd.DataFrame:
    """Return a table of all metrics, one row each; those of plug-ins and those registered are among them.

    Parameters
    ----------
    family
        Only the metrics of this family, such as labels, clustering, expression, spatial, signatures, coexpression,
        embedding or noise.

    Returns
    -------
    The fields of `MetricSpec` without the function, indexed by name.

    Raises
    ------
    MissingKeyError
        If there is no such family.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.list_metrics("labels")["title"].to_dict()
    {'class_f1': 'F1 per class', 'macro_f1': 'Macro F1', 'balanced_accuracy': 'Balanced accuracy'}
    """
    specs = [spec_of(function) for function in _CATALOGUE.entries().values()]
    if family is not None:
        check_known(family, {s.family for s in specs}, what="family of metrics", remedy="pass one of these.")
    return pd.DataFrame([s.facts() for s in specs if family in (None, s.family)]).set_index("name")


def register_metric(function: Callable[..., Any], *, overwrite: bool = False) -> None:
    """Add a metric for this session, so that it can be used by its name.

    A package brings a metric to all users by an entry point of the group ``stfmkit.metrics`` that names the function.

    Parameters
    ----------
    function
        A function with the decorator `metric`.
    overwrite
        Replace a metric of the same name.

    Raises
    ------
    InputError
        The function has no description, or its name is taken.
    InputTypeError
        What is passed is no function.

    Examples
    --------
    >>> import stfmkit as sk
    >>> @sk.metrics.metric(
    ...     title="Largest error",
    ...     family="expression",
    ...     higher_is_better=False,
    ...     bounds=(0, None),
    ...     chance=None,
    ...     source="textbook",
    ...     summary="Largest absolute error of a gene.",
    ... )
    ... def largest_error(truth, predicted):
    ...     return abs(truth - predicted).max(axis=0)
    >>> sk.metrics.register_metric(largest_error)
    >>> sk.metrics.spec("largest_error").needs
    ('truth', 'predicted')
    >>> sk.metrics.unregister_metric("largest_error")
    """
    _CATALOGUE.add(function, overwrite=overwrite)


def unregister_metric(name: str) -> None:
    """Take a metric out for this session.

    Parameters
    ----------
    name
        Name of the metric.

    Raises
    ------
    MissingKeyError
        If there is no such metric.

    Examples
    --------
    >>> import stfmkit as sk
    >>> @sk.metrics.metric(
    ...     title="Size of the truth",
    ...     family="labels",
    ...     higher_is_better=None,
    ...     bounds=(0, None),
    ...     chance=None,
    ...     source="textbook",
    ...     summary="Number of true labels.",
    ... )
    ... def size_of_truth(truth):
    ...     return len(truth)
    >>> sk.metrics.register_metric(size_of_truth)
    >>> sk.metrics.unregister_metric("size_of_truth")
    >>> "size_of_truth" in sk.metrics.list_metrics().index
    False
    """
    _CATALOGUE.remove(name)
