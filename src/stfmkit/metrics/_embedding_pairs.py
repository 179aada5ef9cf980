"""Similarity of two embeddings of the same observations, and change of one under rigid motions."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from stfmkit._core.arguments import check_integer
from stfmkit._core.errors import InputError
from stfmkit._core.random import RNGLike, as_generator
from stfmkit.metrics._arrays import constant, table
from stfmkit.metrics._metric import metric
from stfmkit.metrics._neighbors import Neighbors, nearest

_FEWEST = 4  # the debiased estimate divides by n - 3


@metric(
    title="Neighbour overlap",
    family="embedding",
    higher_is_better=None,
    bounds=(0, 1),
    chance=None,
    source="stfmkit documentation",
    summary="Share of nearest neighbours that two embeddings have in common; it measures similarity, not quality.",
)
def knn_overlap(
    first: ArrayLike,
    second: ArrayLike,
    *,
    n_neighbors: int = 15,
    neighbors: Neighbors | None = None,
    second_neighbors: Neighbors | None = None,
) -> float:
    """Return the share of nearest neighbours that two embeddings have in common.

    Parameters
    ----------
    first, second
        Embeddings (n_obs, d) of the same observations, of any two dimensions.
    n_neighbors
        Number of neighbours.
    neighbors, second_neighbors
        Results of `embedding_neighbors` of the first and of the second, at `n_neighbors` or more; exact where left out.

    Returns
    -------
    A number in [0, 1]; random neighbours share n_neighbors / (n_obs - 1).

    Raises
    ------
    InputError
        If the numbers of observations differ, or are not above `n_neighbors`.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> points = np.random.default_rng(0).normal(size=(50, 3))
    >>> sk.metrics.knn_overlap(points, 2 * points, n_neighbors=5)
    1.0
    """
    a = table(first, name="first")
    b = table(second, name="second", n=len(a))
    found = nearest(a, n_neighbors, neighbors), nearest(b, n_neighbors, second_neighbors)
    near = [np.sort(part.indices, axis=1) for part in found]
    both = np.sort(np.concatenate(near, axis=1), axis=1)
    return float((both[:, 1:] == both[:, :-1]).sum() / near[0].size)


@metric(
    title="Linear CKA",
    family="embedding",
    higher_is_better=None,
    bounds=(None, 1),
    chance=None,
    source="Kornblith et al. 2019, ICML; debiased: Song et al. 2012, JMLR 13:1393",
    summary="Centred kernel alignment of two embeddings; it measures similarity, not quality.",
)
def cka(first: ArrayLike, second: ArrayLike, *, debiased: bool = False) -> float:
    """Return the linear centred kernel alignment of two embeddings.

    1 where one is a rotation and scaling of the other. The plain estimate is biased upwards where the number of
    observations is not large against the dimensions: noise against noise then scores well above 0; the debiased one
    (unbiased Hilbert–Schmidt independence criterion) is 0 there on average. Computed in the space of the features, so
    that the cost is linear in the observations.

    Parameters
    ----------
    first, second
        Embeddings (n_obs, d) of the same observations, of any two dimensions.
    debiased
        Use the unbiased estimates; at least four observations.

    Returns
    -------
    A number in [0, 1], or of at most 1 where debiased. NaN where one embedding is constant, or its debiased norm is
    not above 0.

    Raises
    ------
    InputError
        If the numbers of observations differ, or there are fewer than two (four where debiased).

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> points = np.random.default_rng(0).normal(size=(50, 3))
    >>> round(sk.metrics.cka(points, 3 * points[:, ::-1]), 6)
    1.0
    """
    a = table(first, name="first").astype(np.float64)
    b = table(second, name="second", n=len(a)).astype(np.float64)
    least = _FEWEST if debiased else 2
    if len(a) < least:
        raise InputError(f"{len(a)} observations.", allowed=f"at least {least}", remedy="pass more observations.")
    if constant(a).all() or constant(b).all():
        return float("nan")
    a, b = _scaled(a), _scaled(b)
    norms = _dependence(a, a, debiased=debiased), _dependence(b, b, debiased=debiased)
    if min(norms) <= 0:
        return float("nan")
    return float(_dependence(a, b, debiased=debiased) / np.sqrt(norms[0] * norms[1]))


@metric(
    title="Change by rigid motion",
    family="embedding",
    higher_is_better=False,
    bounds=(0, None),
    chance=None,
    source="stfmkit documentation",
    summary="How much an embedding changes when the coordinates are moved, turned or mirrored; 0 is invariant.",
)
def rigid_motion_change(
    embed: Callable[[np.ndarray], ArrayLike], coords: ArrayLike, *, n_motions: int = 3, rng: RNGLike = 0
) -> pd.Series:
    """Return how much an embedding changes when the coordinates are moved, turned or mirrored.

    Where a section lies on the slide is an accident, so a spatial model should not see it. The change is the
    Frobenius norm of the difference over that of the centred original: 0 is invariant, and about 1.4 an unrelated
    embedding of the same size. Fix the seed of a model that draws random numbers.

    Parameters
    ----------
    embed
        Function that takes coordinates (n_obs, 2) and returns the embedding (n_obs, d).
    coords
        Coordinates (n_obs, 2).
    n_motions
        Number of random motions of each kind.
    rng
        Seed or generator of the motions.

    Returns
    -------
    Mean change by kind of motion: "translation" (by up to ten times the extent), "rotation" (about the centre by any
    angle) and "reflection" (across any line through the centre).

    Raises
    ------
    InputError
        If coordinates have no extent, or the embedding is constant or changes its shape.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> xy = np.random.default_rng(0).uniform(size=(30, 2))
    >>> from_the_centre = lambda at: np.linalg.norm(at - at.mean(axis=0), axis=1)[:, None]
    >>> sk.metrics.rigid_motion_change(from_the_centre, xy).round(6).to_dict()
    {'translation': 0.0, 'rotation': 0.0, 'reflection': 0.0}
    """
    check_integer(n_motions, name="n_motions", least=1)
    xy = table(coords, name="coords").astype(np.float64)
    if xy.shape[1] != 2 or constant(xy).all():
        raise InputError(
            f"coords of shape {xy.shape}, {int((~constant(xy)).sum())} axes with an extent.",
            allowed="two axes, at different places",
            remedy="pass x and y of one sample.",
        )
    generator = as_generator(rng)
    before = table(embed(xy.copy()), name="the embedding", n=len(xy)).astype(np.float64)
    scale = np.linalg.norm(before - before.mean(axis=0))
    if constant(before).all():
        raise InputError("a constant embedding.", allowed="one that varies", remedy="pass more observations.")
    centre, extent = xy.mean(axis=0), np.ptp(xy, axis=0).max()

    def change(moved: np.ndarray) -> float:
        after = table(embed(moved), name="the embedding", n=len(xy)).astype(np.float64)
        if after.shape != before.shape:
            raise InputError(
                f"embeddings of shape {before.shape} and {after.shape}.", allowed="one shape", remedy="fix the options."
            )
        return float(np.linalg.norm(after - before) / scale)

    changes: dict[str, list[float]] = {"translation": [], "rotation": [], "reflection": []}
    for _ in range(n_motions):
        changes["translation"].append(change(xy + generator.uniform(-10, 10, size=2) * extent))
        for kind, mirror in (("rotation", 1.0), ("reflection", -1.0)):
            angle = generator.uniform(0, 2 * np.pi)
            turn = np.array([[np.cos(angle), np.sin(angle)], [-mirror * np.sin(angle), mirror * np.cos(angle)]])
            changes[kind].append(change((xy - centre) @ turn.T + centre))
    return pd.Series({kind: float(np.mean(found)) for kind, found in changes.items()}, name="change")


def _scaled(features: np.ndarray) -> np.ndarray:
    """Centre, and bring to unit size, so that fourth powers neither overflow nor vanish."""
    centred = features - features.mean(axis=0)
    return np.asarray(centred / np.sqrt((centred**2).sum(axis=1).mean()))


def _dependence(a: np.ndarray, b: np.ndarray, *, debiased: bool) -> float:
    """Return the squared norm of the cross product of centred features, or n (n - 3) times its unbiased estimate."""
    n = len(a)
    cross = float(((a.T @ b) ** 2).sum())
    if not debiased:
        return cross
    rows_a, rows_b = (a**2).sum(axis=1), (b**2).sum(axis=1)
    pairs = rows_a.sum() * rows_b.sum() / ((n - 1) * (n - 2))
    return float(cross - n / (n - 2) * (rows_a @ rows_b) + pairs)
