"""The description of a metric, which stands on its function and nowhere else."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from math import isfinite
from types import ModuleType
from typing import Any, Literal, TypeAlias, TypeVar

from stfmkit._core.arguments import check_choice
from stfmkit._core.errors import InputError, InputTypeError

Bounds: TypeAlias = tuple[float | None, float | None]
Aggregation: TypeAlias = Literal["mean", "median"]
F = TypeVar("F", bound=Callable[..., Any])

AGGREGATIONS = ("mean", "median")
_FAMILY = re.compile(r"[a-z][a-z_]*")


@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """How to read a metric: what it measures, which direction is better, and what its values can be.

    Attributes
    ----------
    name
        Name of the function.
    title
        How the metric is written in a table or figure.
    label
        A short title for columns and axes.
    family
        Group of the metric: labels, clustering, expression, spatial, signatures, coexpression, embedding or noise;
        a plug-in may bring a family of its own.
    target
        Import target of the function, ``"module:function"``.
    needs
        Arguments of the function that have no default.
    higher_is_better
        Direction, or None for a description that is neither good nor bad by its size; `summary` says how to read it.
    bounds
        Smallest and largest value; None where there is none.
    chance
        The value of an uninformative prediction, or None where it depends on the data.
    over_genes
        How the values of genes become one value of a sample: "mean", or "median" for a score without a bound, of
        which a few genes would decide the mean.
    over
        How other values of one sample, such as those of classes or niches, become one: "mean" or "median".
    ceiling
        Name of the metric that computes the ceiling; empty where the ceiling, if there is one, comes from what two
        halves of the counts, or two annotations, agree on.
    source
        Where the definition comes from.
    summary
        One sentence that says what is measured.
    function
        The function itself.
    """

    name: str
    title: str
    label: str
    family: str
    target: str
    needs: tuple[str, ...]
    higher_is_better: bool | None
    bounds: Bounds
    chance: float | None
    over_genes: Aggregation
    over: Aggregation
    ceiling: str
    source: str
    summary: str
    function: Callable[..., Any] = field(repr=False)

    def facts(self) -> dict[str, Any]:
        """Return all fields but the function, ready for JSON and tables."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "function"}


_SPECS: dict[Callable[..., Any], MetricSpec] = {}  # of every decorated function, in the order of definition


def metric(
    *,
    title: str,
    family: str,
    higher_is_better: bool | None,
    bounds: tuple[float | None, float | None],
    chance: float | None,
    source: str,
    summary: str,
    over_genes: Aggregation = "mean",
    over: Aggregation = "mean",
    label: str = "",
    ceiling: str = "",
) -> Callable[[F], F]:
    """Describe a metric; used as a decorator of its function.

    The function is returned as it is, with its signature, its documentation and its place for pickling; the name of
    the metric and the arguments it needs are read from it. Listings, pages of the docs and words of reports come from
    this description. Pass the function to `register_metric`, or name it in an entry point of the group
    ``stfmkit.metrics``, to use the metric by its name.

    Parameters
    ----------
    title
        How the metric is written in a table or figure.
    family
        Group of the metric, such as "expression" or "labels"; one word in lower case.
    higher_is_better
        True, False, or None for a description that is neither good nor bad by its size.
    bounds
        Smallest and largest value; None where there is none.
    chance
        The value of an uninformative prediction, or None where it depends on the data.
    source
        Where the definition comes from: paper, equation, or "textbook".
    summary
        One sentence that says what is measured.
    over_genes
        How values of genes become one value of a sample: "mean" or "median".
    over
        How other values of a sample, such as those of classes or niches, become one: "mean" or "median".
    label
        A short title for columns and axes; the title where it is left out.
    ceiling
        Name of the metric that computes the ceiling; left out where the ceiling, if there is one, comes from what two
        halves of the counts, or two annotations, agree on.

    Returns
    -------
    The decorator.

    Raises
    ------
    InputError
        A fact is empty or contradicts another: bounds in the wrong order, a chance level outside the bounds or as
        good as the best value, a function without a name or without arguments, or a function described twice.
    InputTypeError
        A fact has another type, or what is decorated is no function.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> @sk.metrics.metric(
    ...     title="Share of zeros kept",
    ...     family="expression",
    ...     higher_is_better=True,
    ...     bounds=(0, 1),
    ...     chance=None,
    ...     source="textbook",
    ...     summary="Share of the zeros of the truth that are zeros of the prediction.",
    ... )
    ... def zeros_kept(truth, predicted):
    ...     return float((np.asarray(predicted)[np.asarray(truth) == 0] == 0).mean())
    >>> zeros_kept([0, 0, 3], [0, 1, 2])
    0.5
    """
    texts = {"title": title, "family": family, "source": source, "summary": summary}
    for name, value in texts.items():
        _check_text(value, name=name)
    if not _FAMILY.fullmatch(family):
        raise InputError(
            f"family={family!r}.", allowed="a word in lower case", remedy='pass "expression", for example.'
        )
    if not summary.endswith("."):
        raise InputError(f"summary={summary!r}.", allowed="a sentence", remedy="end the summary with a full stop.")
    if higher_is_better is not None and not isinstance(higher_is_better, bool):
        raise InputTypeError(
            f"higher_is_better={higher_is_better!r}.", allowed="True, False or None", remedy="pass one of these."
        )
    limits = _checked_bounds(bounds)
    level = _checked_chance(chance, limits, higher_is_better=higher_is_better)
    check_choice(over_genes, AGGREGATIONS, name="over_genes")
    check_choice(over, AGGREGATIONS, name="over")
    for name, value in {"label": label, "ceiling": ceiling}.items():
        if not isinstance(value, str):
            raise InputTypeError(f"{name}={value!r}.", allowed="text", remedy=f"leave {name} out.")

    def decorate(function: F) -> F:
        needs = _needs(function)
        _SPECS[function] = MetricSpec(
            name=function.__name__,
            title=title,
            label=label or title,
            family=family,
            target=f"{function.__module__}:{function.__qualname__}",
            needs=needs,
            higher_is_better=higher_is_better,
            bounds=limits,
            chance=level,
            over_genes=over_genes,
            over=over,
            ceiling=ceiling,
            source=source,
            summary=summary,
            function=function,
        )
        return function

    return decorate


def spec_of(function: object) -> MetricSpec:
    """Return the description of a decorated function.

    Raises
    ------
    InputTypeError
        What is passed is no function.
    InputError
        The function has no description.
    """
    if not inspect.isfunction(function):
        raise InputTypeError(
            f"a metric of type {type(function).__name__}.",
            allowed="a function with the decorator sk.metrics.metric",
            remedy="write the metric as a function, and describe it with @sk.metrics.metric(...).",
        )
    if function not in _SPECS:
        raise InputError(
            f"the function {function.__name__!r} has no description.",
            allowed="a function with the decorator sk.metrics.metric",
            remedy="describe it with @sk.metrics.metric(title=..., family=..., ...).",
        )
    return _SPECS[function]


def specs_in(module: ModuleType) -> list[MetricSpec]:
    """Return the metrics that a module defines, in the order of definition."""
    own = vars(module)
    return [
        spec
        for function, spec in _SPECS.items()
        if function.__module__ == module.__name__ and own.get(spec.name) is function
    ]


def _check_text(value: object, *, name: str) -> None:
    if not isinstance(value, str):
        raise InputTypeError(f"{name}={value!r}.", allowed="text", remedy=f"pass text as {name}.")
    if not value.strip():
        raise InputError(f"{name}={value!r}.", allowed="text that says something", remedy=f"write the {name}.")


def _checked_bounds(bounds: object) -> Bounds:
    pair = tuple(bounds) if isinstance(bounds, (tuple, list)) else ()
    if len(pair) != 2 or not all(side is None or _is_number(side) for side in pair):
        raise InputTypeError(
            f"bounds={bounds!r}.", allowed="two finite numbers or None", remedy="pass (0, 1) or (0, None), for example."
        )
    low, high = (None if side is None else float(side) for side in pair)
    if low is not None and high is not None and low >= high:
        raise InputError(f"bounds={bounds!r}.", allowed="the smaller value first", remedy="pass (low, high).")
    return low, high


def _checked_chance(chance: object, bounds: Bounds, *, higher_is_better: bool | None) -> float | None:
    if chance is None:
        return None
    if not _is_number(chance):
        raise InputTypeError(f"chance={chance!r}.", allowed="a finite number or None", remedy="pass one of these.")
    level, (low, high) = float(chance), bounds  # type: ignore[arg-type]
    if (low is not None and level < low) or (high is not None and level > high):
        raise InputError(
            f"chance={chance!r} outside the bounds {bounds}.",
            allowed="a chance level within the bounds",
            remedy="correct one of them.",
        )
    best = {True: high, False: low, None: None}[higher_is_better]
    if best is not None and level == best:
        raise InputError(
            f"chance={chance!r}, which is the best value with higher_is_better={higher_is_better}.",
            allowed="a chance level that is not the best value",
            remedy="correct the chance level, the bounds or the direction.",
        )
    return level


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)


def _needs(function: object) -> tuple[str, ...]:
    """Return the arguments without a default, or refuse what cannot be a metric."""
    if not inspect.isfunction(function):
        raise InputTypeError(
            f"a metric of type {type(function).__name__}.",
            allowed="a function",
            remedy="write the metric as a function of arrays, and decorate that.",
        )
    if not function.__name__.isidentifier():
        raise InputError(
            f"a function named {function.__name__!r}.", allowed="a function with a name", remedy="define it with def."
        )
    if function in _SPECS:
        raise InputError(
            f"the function {function.__name__!r} is described twice.",
            allowed="one description",
            remedy="remove one of the decorators.",
        )
    parameters = inspect.signature(function).parameters.values()
    needs = tuple(
        p.name for p in parameters if p.default is p.empty and p.kind not in {p.VAR_POSITIONAL, p.VAR_KEYWORD}
    )
    if not needs:
        raise InputError(
            f"the function {function.__name__!r} needs no argument.",
            allowed="a function of one argument or more",
            remedy="let it take the truth and the prediction.",
        )
    return needs
