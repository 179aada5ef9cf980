"""Progress bars that stay silent for short work."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def progress(
    items: Iterable[T], *, label: str, total: int | None = None, unit: str = "it", show: bool = True
) -> Iterator[T]:
    """Yield from `items`, with a bar on standard error once two seconds have passed."""
    from tqdm import tqdm

    yield from tqdm(items, desc=label, total=total, unit=unit, disable=not show, delay=2.0, leave=False)
