"""Say in a traceback which plug-in an unexpected error comes from."""

from types import TracebackType
from typing import Self

from stfmkit._core.errors import StfmkitError


class raised_by:  # noqa: N801  reads as a verb: with raised_by("the model 'mine'")
    """Add to an error but our own, which names what it speaks of, a line that says in what it was raised.

    Parameters
    ----------
    what
        What runs in the block, such as "the model 'mine'".
    """

    def __init__(self, what: str) -> None:
        self.note = f"Raised in {what}."

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        plain = isinstance(error, Exception) and not isinstance(error, StfmkitError)
        if error is not None and plain and self.note not in getattr(error, "__notes__", ()):
            error.add_note(self.note)
