"""Progress bars that stay silent for short work."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


def progress(
    items: Iterable[T], *, label: str, total: int | None = None, unit: str = "it", show: bool = True
) -> Iterator[T]:
    """Yield from `items`, with a bar on standard error once two seconds have passed."""
    from tqdm import tqdm

    yield from tqdm(items, desc=label, total=total, unit=unit, disable=not show, delay=2.0, leave=False)


@contextmanager
def counter(*, label: str, total: int, unit: str, show: bool = True) -> Iterator[Callable[[int], object]]:
    """Give a function that advances a bar by some units; the bar shows units in a second."""
    from tqdm import tqdm

    with tqdm(desc=label, total=total, unit=unit, disable=not show, delay=2.0, leave=False) as bar:
        yield bar.update
