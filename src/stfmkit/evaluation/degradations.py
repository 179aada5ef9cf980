"""Predictions made worse on purpose: a sound metric gives them lower scores, step by step."""

import numpy as np

from stfmkit._kernels._neighbors import knn_within, mean_operator
from stfmkit.evaluation.controls import shuffled

NOISE = (0.25, 0.5, 0.75, 1.0)
"""Shares of noise that are mixed into a prediction."""
PERMUTED = (0.5, 1.0)
"""Shares of the genes whose predictions are exchanged among each other."""
SMOOTHED = (7, 19)
"""Observations, itself among them, that a prediction is averaged over: rings of one and two on a hexagonal lattice."""


def mixed_with_noise(values: np.ndarray, samples: np.ndarray, *, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return a prediction mixed with its own values at other places, so that every gene keeps its mean.

    The noise is every column permuted within samples. Deviations from the mean of a sample have the weights
    ``1 - share`` and ``share``, and are then stretched, so that every gene keeps its spread, too: with a share of 0.5
    the correlation with the prediction itself is 0.71.

    Parameters
    ----------
    values
        Prediction (n_obs, n_columns).
    samples
        Sample of every observation (n_obs,).
    share
        Weight of the noise, from 0 to 1.
    rng
        Draws the noise; the same seed gives the same noise for every share.
    """
    noise = shuffled(values, samples, rng=rng)
    mean = np.empty_like(values, dtype=np.float64)
    for sample in np.unique(samples):
        rows = samples == sample
        mean[rows] = values[rows].mean(axis=0)
    mixed = (1.0 - share) * (values - mean) + share * (noise - mean)
    return np.asarray(mean + mixed / np.hypot(1.0 - share, share))


def relabelled(labels: np.ndarray, samples: np.ndarray, *, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return labels (n_obs,) of which a share, drawn at random, changed places within its sample."""
    chosen = np.flatnonzero(rng.random(len(labels)) < share)
    out = np.array(labels)
    out[chosen] = shuffled(labels[chosen], samples[chosen], rng=rng)
    return out


def permuted_genes(values: np.ndarray, *, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return a prediction (n_obs, n_genes) in which a share of the genes carry the values of each other."""
    n_genes = values.shape[1]
    chosen = rng.permutation(n_genes)[: max(round(share * n_genes), 2)] if n_genes > 1 else np.arange(n_genes)
    out = np.array(values)
    out[:, chosen] = values[:, np.roll(chosen, 1)]
    return out


def smoothed(values: np.ndarray, coords: np.ndarray, samples: np.ndarray, *, n_neighbors: int) -> np.ndarray:
    """Return every observation's mean over its nearest observations within the sample, itself among them.

    Parameters
    ----------
    values
        Prediction (n_obs, n_columns).
    coords
        Coordinates (n_obs, 2).
    samples
        Sample of every observation (n_obs,).
    n_neighbors
        Observations that are averaged, 2 or more; all of them in a smaller sample.
    """
    return np.asarray(mean_operator(knn_within(coords, samples, k=n_neighbors - 1)) @ values)


def smoothed_labels(labels: np.ndarray, coords: np.ndarray, samples: np.ndarray, *, n_neighbors: int) -> np.ndarray:
    """Return the most frequent label (n_obs,) among the nearest observations; of equals the first by name."""
    names, codes = np.unique(labels, return_inverse=True)
    one_hot = np.eye(len(names))[codes]
    return np.asarray(names[np.argmax(smoothed(one_hot, coords, samples, n_neighbors=n_neighbors), axis=1)])
