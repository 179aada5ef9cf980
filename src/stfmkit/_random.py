"""Randomness: local generators, and streams that do not depend on the order of work."""

import hashlib
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
