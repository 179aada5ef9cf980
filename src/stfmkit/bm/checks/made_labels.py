"""Labels that were made from the counts that they are to judge: clusters of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse
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
.46; k-means on other components of the same genes mostly .76 to 1, with a fifth of the labels dealt anew .49 to .68."""
_SAME = 0.8
"""Adjusted Rand index from which labels and clusters have the same borders. Where no gap lies at them, nothing but a
clustering would draw them there."""
_WIDTH = 0.2
"""Of the way from a border to a center. There are 1.0 to 1.2 times as many observations there as one or two widths
further on in DLPFC and STARmap that k-means cut into pieces; .16 to .78 times between clear cell types, and where
patients differ (her2st: .38 to .44)."""
_NOISE_KNOWN, _NO_GAP = 0.75, 0.8
"""Agreement of labels and clusters where counting noise decides on which side of a border an observation lies; and how
many such observations there are, over those one or two noises further, so that no gap lies at the border. Without a
gap, labels that know nothing of the noise agree in .69 at most (the mean of the normal distribution function from 0 to
1). Measured: labels of tissue .44 to .63; clear cell types .70 to .80, with a gap (.20 to .61); k-means .66 to .98
without."""
_LEAST = 30


def clusters_of_the_counts(study: Study) -> Iterator[Finding]:
    """Find labels that follow a clustering of the counts, and its borders even where only noise draws them."""
    if study.labels is None:
        return
    rng = stream(study.protocol.rng, "audit", "labels")
    border = closest_clusters(study.counts, np.asarray(study.labels.codes), rng=rng)
    if border is None or border.alike < _ALIKE:
        return
    sure = border.made
    yield Finding(
        severity="warning" if sure else "info",
        check="labels made from the counts" if sure else "labels follow clusters of the counts",
        evidence=f"k-means of the counts finds obs[{study.protocol.label_key!r}] with an adjusted Rand index of "
        f"{border.alike:.2f}"
        + (
            f", and agrees in {border.agreement:.0%} of the {border.n} observations that only counting noise puts "
            "on one side of a border; labels that come from elsewhere agree in 69 % at most."
            if border.knows_noise
            else ", and no gap in the counts lies at its borders, where labels from elsewhere would not follow them."
            if sure
            else "; it cannot be told whether they were made from the counts, or are merely clear in them."
        ),
        remedy="use labels that come from elsewhere (a pathologist, an image, a protein stain): these reward whatever "
        "resembles the clustering.",
        columns=(
            "adjusted Rand index",
            "observations near a border",
            "share that agrees",
            "over those further off",
            "the same, wide",
        ),
        rows=(
            (
                round(border.alike, 3),
                border.n,
                round(border.agreement, 3),
                round(border.filled, 2),
                round(border.filled_wide, 2),
            ),
        ),
    )


@dataclass(frozen=True)
class Border:
    """What lies at the borders of clusters that are held against labels.

    Attributes
    ----------
    alike
        Adjusted Rand index of the clusters and the labels.
    n
        Observations within counting noise of a border.
    agreement
        The share of them whose label is that of their side.
    filled
        Their number over half of that at one to three times the noise; 1 where observations are even, less at a gap.
    n_wide, filled_wide
        The same within a fifth of the way from a border to the center of its cluster, whatever the noise.
    """

    alike: float
    n: int
    agreement: float
    filled: float
    n_wide: int
    filled_wide: float

    @property
    def made(self) -> bool:
        """Tell whether the labels were made from the counts."""
        return self.alike >= _ALIKE and (self.knows_noise or (self.alike >= _SAME and self.cuts_through))

    @property
    def knows_noise(self) -> bool:
        """Tell whether labels follow what only the noise of these counts decides."""
        return self.n >= _LEAST and self.filled >= _NO_GAP and self.agreement > _NOISE_KNOWN

    @property
    def cuts_through(self) -> bool:
        """Tell whether the borders of the clusters lie where observations are as many as elsewhere."""
        return self.n_wide >= _LEAST and self.filled_wide >= _NO_GAP


def closest_clusters(counts: sparse.csr_array, codes: np.ndarray, *, rng: np.random.Generator) -> Border | None:
    """Return the borders of those clusters of the counts that are most like the labels; None where they are too few.

    Labels are codes (n_obs,), -1 where there is none.
    """
    known = np.flatnonzero(codes >= 0)
    rows = np.sort(rng.choice(known, min(_ROWS, len(known)), replace=False))
    labels = np.unique(codes[rows], return_inverse=True)[1]
    if len(rows) < 2 * _LEAST or labels.max() == 0:
        return None
    found = []
    for n_components in _COMPONENTS:
        with threadpool_limits(1):  # small matrices: threads would wait for each other
            space = expression_space(counts[rows], n_components=n_components)
            means = KMeans(labels.max() + 1, n_init=3, random_state=int_seed(rng)).fit(space.values)
        found.append(at_the_border(space, means, labels))
    return max(found, key=lambda border: border.alike)


def at_the_border(space: ExpressionSpace, means: KMeans, labels: np.ndarray) -> Border:
    """Return what lies at the borders of clusters that are matched to labels.

    An observation counts if it has the label of one of its two nearest clusters.
    """
    centers = means.cluster_centers_
    table = np.zeros((len(centers), labels.max() + 1))
    np.add.at(table, (means.labels_, labels), 1)
    cluster, label = linear_sum_assignment(-table)
    label_of = np.full(len(centers), -1)
    label_of[cluster] = label
    distance = means.transform(space.values)
    first, second = np.argsort(distance, axis=1)[:, :2].T
    n, agree, beyond, n_wide, beyond_wide = 0, 0, 0, 0, 0
    for a, b in {(min(pair), max(pair)) for pair in zip(first.tolist(), second.tolist(), strict=True)}:
        rows = np.flatnonzero(np.isin(first, (a, b)) & np.isin(second, (a, b)))
        rows = rows[np.isin(labels[rows], label_of[[a, b]])]
        if len(rows):
            score = (distance[rows, b] ** 2 - distance[rows, a] ** 2) / 2  # linear: above 0 on the side of a
            far = np.abs(score) / np.maximum(space.noise(rows, centers[a] - centers[b]), 1e-12)
            right = labels[rows] == np.where(score > 0, label_of[a], label_of[b])
            n, agree = n + int((far < 1).sum()), agree + int((right & (far < 1)).sum())
            beyond += int(((far >= 1) & (far < 3)).sum())
            way = 2 * np.abs(score) / np.sum((centers[a] - centers[b]) ** 2)  # 0 at the border, 1 at a center
            n_wide += int((way < _WIDTH).sum())
            beyond_wide += int(((way >= _WIDTH) & (way < 3 * _WIDTH)).sum())
    return Border(
        alike=float(adjusted_rand_score(labels, means.labels_)),
        n=n,
        agreement=agree / max(n, 1),
        filled=n / max(beyond / 2, 1),
        n_wide=n_wide,
        filled_wide=n_wide / max(beyond_wide / 2, 1),
    )


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
