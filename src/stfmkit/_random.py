"""Randomness: local generators, and streams that do not depend on the order of work."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

import numpy as np

RNGLike: TypeAlias = int | np.integer | np.random.Generator | None


def as_generator(rng: RNGLike) -> np.random.Generator:
    """Return a generator; an integer seeds a new one, ``None`` takes entropy from the system."""
    return np.random.default_rng(rng)


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
