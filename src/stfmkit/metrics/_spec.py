"""What there is to know about a metric before it is used."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeAlias

Bounds: TypeAlias = tuple[float | None, float | None]


@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """A metric: where it lives, what it needs, and how to read it.

    Attributes
    ----------
    name
        Name of the metric, and of its function in ``sk.metrics``.
    title
        How to write it in a table or figure.
    family
        labels, clustering, expression, spatial, signatures, coexpression, embedding or noise.
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
    source
        Where the definition comes from.
    summary
        One sentence that says what is measured.
    """

    name: str
    title: str
    family: str
    target: str
    needs: tuple[str, ...]
    higher_is_better: bool | None
    bounds: tuple[float | None, float | None]
    chance: float | None
    source: str
    summary: str

    @property
    def function(self) -> Callable[..., Any]:
        """The function itself, imported on first use."""
        module, name = self.target.split(":")
        found: Callable[..., Any] = getattr(import_module(module), name)
        return found


def declare(family: str, module: str, **metrics: tuple[object, ...]) -> list[MetricSpec]:
    """Return the specifications of one family in one module, each a tuple of the fields named here."""
    fields = ("title", "needs", "higher_is_better", "bounds", "chance", "source", "summary")
    return [
        MetricSpec(
            name=name,
            family=family,
            target=f"stfmkit.metrics.{module}:{name}",
            **dict(zip(fields, values, strict=True)),  # type: ignore[arg-type]
        )
        for name, values in metrics.items()
    ]
