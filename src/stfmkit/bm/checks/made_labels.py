"""Labels that were made from the counts that they are to judge: clusters of them."""

from collections.abc import Iterator

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from stfmkit._core.random import int_seed, stream
from stfmkit.bm.checks.expression_space import ExpressionSpace, expression_space
from stfmkit.bm.finding import Finding
from stfmkit.bm.study import Study

_ROWS = 3000
_COMPONENTS = (10, 30)
_ALIKE = 0.5
"""Adjusted Rand index of labels and clusters of the counts. Labels of her2st, DLPFC, STARmap and MERFISH have .11 to
.47; k-means on other components .76 to 1, with a fifth of the labels dealt anew .54 to .67."""
_NOISE_KNOWN, _NEAR = 0.72, 0.05
"""Agreement of labels and clusters where counting noise decides on which side of a border an observation lies, and the
share of such observations from which it says anything. Labels that know nothing of the noise agree in .69 at most (the
mean of the normal distribution function from 0 to 1), unless a gap lies at the border, where few observations are.
Measured: .25 to .67 on labels from elsewhere, .67 to .96 on k-means, .62 to .90 with a fifth of them dealt anew."""
_LEAST = 30


def clusters_of_the_counts(study: Study) -> Iterator[Finding]:
    """Find labels that follow a clustering of the counts, and its borders even where only noise draws them."""
    if study.labels is None:
        return
    known = np.flatnonzero(study.labels.codes >= 0)
    rng = stream(study.protocol.rng, "audit", "labels")
    rows = np.sort(rng.choice(known, min(_ROWS, len(known)), replace=False))
    labels = np.unique(study.labels.codes[rows], return_inverse=True)[1]
    if len(rows) < 2 * _LEAST or labels.max() == 0:
        return
    best, n_near, agreement = 0.0, 0, 0.0
    for n_components in _COMPONENTS:
        with threadpool_limits(1):  # small matrices: threads would wait for each other
            space = expression_space(study.counts[rows], n_components=n_components)
            means = KMeans(labels.max() + 1, n_init=3, random_state=int_seed(rng)).fit(space.values)
        alike = float(adjusted_rand_score(labels, means.labels_))
        if alike > best:
            best, (n_near, agreement) = alike, noise_agreement(space, means, labels)
    if best < _ALIKE:
        return
    sure = n_near >= max(_LEAST, _NEAR * len(rows)) and agreement > _NOISE_KNOWN
    yield Finding(
        severity="warning" if sure else "info",
        check="labels made from the counts" if sure else "labels follow clusters of the counts",
        evidence=f"k-means of the counts finds obs[{study.protocol.label_key!r}] with an adjusted Rand index of "
        f"{best:.2f}"
        + (
            f", and agrees in {agreement:.0%} of the {n_near} observations that counting noise alone puts on one side "
            "of a border; labels that come from elsewhere agree in 69 % at most."
            if sure
            else "; it cannot be told whether they were made from the counts, or are merely clear in them."
        ),
        remedy="use labels that come from elsewhere (a pathologist, an image, a protein stain): these reward whatever "
        "resembles the clustering.",
        columns=("adjusted Rand index", "observations near a border", "share that agrees"),
        rows=((round(best, 3), n_near, round(agreement, 3)),),
    )


def noise_agreement(space: ExpressionSpace, means: KMeans, labels: np.ndarray) -> tuple[int, float]:
    """Return how many observations lie within counting noise of a border of clusters, and the share that agrees.

    Clusters are matched to labels; an observation counts if it has the label of one of its two nearest clusters.
    """
    centers = means.cluster_centers_
    table = np.zeros((len(centers), labels.max() + 1))
    np.add.at(table, (means.labels_, labels), 1)
    cluster, label = linear_sum_assignment(-table)
    label_of = np.full(len(centers), -1)
    label_of[cluster] = label
    distance = means.transform(space.values)
    first, second = np.argsort(distance, axis=1)[:, :2].T
    n, agree = 0, 0
    for a, b in {(min(pair), max(pair)) for pair in zip(first.tolist(), second.tolist(), strict=True)}:
        rows = np.flatnonzero(np.isin(first, (a, b)) & np.isin(second, (a, b)))
        rows = rows[np.isin(labels[rows], label_of[[a, b]])]
        if len(rows):
            score = (distance[rows, b] ** 2 - distance[rows, a] ** 2) / 2  # linear: above 0 on the side of a
            near = np.abs(score) < space.noise(rows, centers[a] - centers[b])
            right = labels[rows] == np.where(score > 0, label_of[a], label_of[b])
            n, agree = n + int(near.sum()), agree + int((near & right).sum())
    return n, agree / max(n, 1)


def named_smoothed(study: Study) -> Iterator[Finding]:
    """Say where the name of the label column tells that labels were smoothed in space."""
    key = study.protocol.label_key
    if key is not None and "smooth" in key.casefold():
        yield Finding(
            severity="warning",
            check="label smoothed in space",
            evidence=f"obs[{key!r}] is smoothed, by its name: it favours whatever is smooth in space.",
            remedy="use the labels before smoothing, and read coordinates and random_smooth beside every model.",
        )
