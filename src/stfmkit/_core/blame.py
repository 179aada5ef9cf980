"""Say in a traceback which plug-in an unexpected error comes from."""

from collections.abc import Iterator
from contextlib import contextmanager

from stfmkit._core.errors import StfmkitError


@contextmanager
def raised_by(what: str) -> Iterator[None]:
    """Add to every error but our own, which name what they speak of, a line that says in what it was raised."""
    try:
        yield
    except StfmkitError:
        raise
    except Exception as error:
        note = f"Raised in {what}."
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)
        raise
