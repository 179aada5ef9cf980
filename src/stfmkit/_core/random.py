"""Randomness: local generators, and streams that do not depend on the order of work."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

import numpy as np

from stfmkit._core.errors import InputError, InputTypeError

_SEEDS = 2**63
"""h5ad and zarr store no larger integer, and the seed is recorded."""

RNGLike: TypeAlias = int | np.integer | np.random.Generator | None


def as_generator(rng: RNGLike) -> np.random.Generator:
    """Return a generator; an integer seeds a new one, ``None`` takes entropy from the system."""
    return np.random.default_rng(rng)


def as_seed(rng: RNGLike) -> int:
    """Return the integer that reproduces a result, which is what a record holds under ``"rng"``.

    An integer is returned as it is. A generator is asked for one integer, and None takes one from the system, so that
    passing the recorded integer later gives the same bits.

    Raises
    ------
    InputTypeError
        `rng` is neither an integer, a generator, nor None.
    InputError
        A negative integer, or one that h5ad and zarr cannot store.
    """
    if rng is None or isinstance(rng, np.random.Generator):
        return int_seed(as_generator(rng))
    if isinstance(rng, (bool, np.bool_)) or not isinstance(rng, (int, np.integer)):
        raise InputTypeError(
            f"rng={rng!r}.", allowed="an integer, a numpy.random.Generator, or None", remedy="pass rng=0, for example."
        )
    if not 0 <= int(rng) < _SEEDS:
        raise InputError(f"rng={rng!r}.", allowed="an integer from 0 to 2**63 - 1", remedy="pass rng=0, for example.")
    return int(rng)


def stream(seed: int, *parts: object) -> np.random.Generator:
    """Return the generator of one unit of work, named by `parts`.

    The stream depends on the seed and the names alone, so it is the same whatever the order or the number
    of workers.
    """
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    words = np.frombuffer(digest[:16], dtype="<u4").tolist()
    return np.random.default_rng(np.random.SeedSequence([seed, *words]))


def int_seed(rng: np.random.Generator) -> int:
    """Draw an integer seed for libraries that take nothing else."""
    return int(rng.integers(2**31 - 1))


@contextmanager
def global_state_kept() -> Iterator[None]:
    """Leave the global random state as it was, around libraries that draw from it when imported or called."""
    plain, state = random.getstate(), np.random.get_state()  # noqa: NPY002  kept, not used
    try:
        yield
    finally:
        random.setstate(plain)
        np.random.set_state(state)  # noqa: NPY002
