"""Compile a function, and keep what was compiled where that is possible."""

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

from stfmkit._core.errors import StfmkitWarning

F = TypeVar("F", bound=Callable[..., Any])


def compiled(**options: Any) -> Callable[[F], F]:
    """Return `numba.njit` with its cache on disk, and without where no folder can be written.

    A package that is installed read-only, for a user without a home, is slow to start then, and works.

    Parameters
    ----------
    options
        Of `numba.njit`.
    """

    def decorate(function: F) -> F:
        try:
            kernel: F = njit(cache=True, **options)(function)
        except RuntimeError:  # no place for the cache
            warnings.warn(
                "compiled functions cannot be kept, and are compiled again in every process, which takes a minute; "
                "set NUMBA_CACHE_DIR to a folder that can be written.",
                StfmkitWarning,
                stacklevel=1,  # one place, so that it is said once
            )
            kernel = njit(**options)(function)
        return kernel

    return decorate
