"""Whether library size, coordinates or the patient can be predicted from an embedding."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from stfmkit._core.arguments import check_integer
from stfmkit._core.errors import InputError
from stfmkit._core.random import RNGLike, as_generator, int_seed
from stfmkit.metrics._arrays import constant, labels, table, vector
from stfmkit.metrics._grouped_ridge import grouped_ridge
from stfmkit.metrics._labels import balanced_accuracy
from stfmkit.metrics._metric import metric
from stfmkit.metrics._neighbors import Neighbors, nearest

_FOLDS = 5
_ALPHAS = 10.0 ** np.arange(-2, 7)


@metric(
    title="Library size R²",
    family="embedding",
    higher_is_better=False,
    bounds=(None, 1),
    chance=0,
    source="stfmkit documentation",
    summary="R² of the log library size, predicted from an embedding with whole groups held out.",
)
def library_size_r2(embedding: ArrayLike, library_size: ArrayLike, groups: ArrayLike) -> float:
    """Return R² of the log library size of held-out groups, predicted from an embedding.

    The ridge regression of `grouped_ridge`: groups are held out whole in up to five folds, and whole groups again to
    choose the penalty. R² of the held-out predictions, pooled over groups.

    Parameters
    ----------
    embedding
        Embedding (n_obs, d).
    library_size
        Total counts (n_obs,), above 0.
    groups
        Patient of every observation (n_obs,), at least two.

    Returns
    -------
    A number of at most 1; high where depth dominates the embedding, around 0 or below where it does not. NaN where all
    observations have one library size.

    Raises
    ------
    InputError
        If there is one group, a library size is not above 0, or lengths differ.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> depth = np.random.default_rng(0).lognormal(5, 1, size=60)
    >>> sk.metrics.library_size_r2(np.log(depth)[:, None], depth, np.repeat(["P1", "P2", "P3"], 20)) > 0.99
    True
    """
    features = table(embedding, name="embedding").astype(np.float64)
    depth = vector(library_size, name="library_size", n=len(features))
    who = labels(groups, name="groups", n=len(features))
    if depth.min() <= 0:
        raise InputError(
            f"a library size of {depth.min():g}.", allowed="above 0", remedy="drop empty observations before."
        )
    if len(np.unique(who)) < 2:
        raise InputError("one group.", allowed="at least two", remedy="pass patients, or blocks of one patient.")
    target = np.log(depth)
    if constant(target[:, None])[0]:
        return float("nan")
    guess = grouped_ridge(features, target[:, None], who, n_folds=_FOLDS)[:, 0]
    return float(1 - ((target - guess) ** 2).sum() / ((target - target.mean()) ** 2).sum())


@metric(
    title="Coordinate R²",
    family="embedding",
    higher_is_better=None,
    bounds=(None, 1),
    chance=0,
    source="stfmkit documentation",
    summary="R² of coordinates, predicted from an embedding within slides; compare with an expression baseline.",
)
def coordinate_r2(embedding: ArrayLike, coords: ArrayLike, groups: ArrayLike, *, rng: RNGLike = 0) -> float:
    """Return R² of the coordinates in the slide, predicted from an embedding.

    Within every sample, ridge regression of the coordinates in five random folds; R² averaged over axes, then samples.
    A high value is no flaw by itself: tissue has structure, so that expression predicts coordinates. What counts is the
    difference to an expression baseline such as ``hvg_pca``.

    Parameters
    ----------
    embedding
        Embedding (n_obs, d).
    coords
        Coordinates (n_obs, n_axes).
    groups
        Sample of every observation (n_obs,), because every sample has its own coordinate system; ten observations or
        more in each.
    rng
        Seed or generator of the folds.

    Returns
    -------
    A number of at most 1; high where coordinates can be predicted.

    Raises
    ------
    InputError
        If a sample has fewer than ten observations or no extent along any axis, or lengths differ.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> xy = np.random.default_rng(0).uniform(size=(50, 2))
    >>> sk.metrics.coordinate_r2(xy, xy, ["S1"] * 50) > 0.99
    True
    """
    features = table(embedding, name="embedding").astype(np.float64)
    xy = table(coords, name="coords", n=len(features)).astype(np.float64)
    sample = labels(groups, name="groups", n=len(features))
    generator = as_generator(rng)
    scores = []
    for name in np.unique(sample):
        rows = np.flatnonzero(sample == name)
        extended = ~constant(xy[rows])
        if len(rows) < 2 * _FOLDS or not extended.any():
            raise InputError(
                f"{len(rows)} observations in sample {str(name)!r}, {int(extended.sum())} axes with an extent.",
                allowed=f"at least {2 * _FOLDS} observations at different places",
                remedy="leave this sample out.",
            )
        folds = KFold(_FOLDS, shuffle=True, random_state=int_seed(generator))
        place = xy[rows][:, extended]
        guess = cross_val_predict(_ridge(), features[rows], place, cv=folds).reshape(place.shape)
        error = ((place - guess) ** 2).sum(axis=0)
        scores.append(float((1 - error / ((place - place.mean(axis=0)) ** 2).sum(axis=0)).mean()))
    return float(np.mean(scores))


@metric(
    title="Patient probe",
    family="embedding",
    higher_is_better=False,
    bounds=(0, 1),
    chance=None,
    source="stfmkit documentation",
    summary="Balanced accuracy of the patient, predicted from nearest neighbours; chance is one over their number.",
)
def group_probe_accuracy(
    embedding: ArrayLike, groups: ArrayLike, *, n_neighbors: int = 10, neighbors: Neighbors | None = None
) -> float:
    """Return the balanced accuracy of the patient, predicted from the nearest neighbours in an embedding.

    Each observation gets the majority of its nearest others in the standardised embedding (leave one out; of equal
    votes the first group in sorted order wins), scored by balanced accuracy. One over the number of groups is chance,
    and the best: patients are mixed.

    Parameters
    ----------
    embedding
        Embedding (n_obs, d).
    groups
        Patient, slide, panel or platform of every observation (n_obs,); at least two.
    n_neighbors
        Number of neighbours.
    neighbors
        Result of `embedding_neighbors` of the standardised embedding, at `n_neighbors` or more.

    Returns
    -------
    A number in [0, 1]; lower is better.

    Raises
    ------
    InputError
        If there is one group, there are not more than `n_neighbors` observations, or lengths differ.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> far_apart = np.repeat([[0.0], [100.0]], 20, axis=0) + np.random.default_rng(0).normal(size=(40, 1))
    >>> sk.metrics.group_probe_accuracy(far_apart, np.repeat(["P1", "P2"], 20))
    1.0
    """
    check_integer(n_neighbors, name="n_neighbors", least=1)
    features = table(embedding, name="embedding").astype(np.float64)
    codes, names = pd.factorize(labels(groups, name="groups", n=len(features)), sort=True)
    if len(names) < 2 or len(features) <= n_neighbors:
        raise InputError(
            f"{len(names)} groups, {len(features)} observations and n_neighbors={n_neighbors}.",
            allowed="at least two groups, and more observations than neighbours",
            remedy="pass several patients together, and a smaller n_neighbors for small data.",
        )
    found = nearest(standardized(features) if neighbors is None else features, n_neighbors, neighbors).indices
    place = np.arange(len(codes))[:, None] * len(names) + codes[found]
    votes = np.bincount(place.ravel(), minlength=len(codes) * len(names)).reshape(len(codes), len(names))
    return balanced_accuracy(codes, votes.argmax(axis=1))


def standardized(features: np.ndarray) -> np.ndarray:
    """Bring every column to a mean of 0 and, unless it is constant, a standard deviation of 1."""
    return np.asarray(StandardScaler().fit_transform(features))


def _ridge() -> object:
    return make_pipeline(StandardScaler(), RidgeCV(_ALPHAS))
