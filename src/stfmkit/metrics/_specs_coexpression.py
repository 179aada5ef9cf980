"""Metrics of co-expression by eigenvectors, modules and neighbours, declared once."""

from stfmkit.metrics._spec import Bounds, MetricSpec, declare

_UNIT: Bounds = (0.0, 1.0)
_SIGNED: Bounds = (-1.0, 1.0)
_PAIR = ("truth", "predicted")
_OUR = "stfmkit documentation"

COEXPRESSION: tuple[MetricSpec, ...] = (
    *declare(
        "coexpression",
        "_coexpression",
        frobenius_error=(
            "Relative Frobenius error",
            _PAIR,
            False,
            (0.0, None),
            1.0,
            "textbook",
            "Size of the error of all correlations over the size of the true ones; no co-expression at all scores 1.",
        ),
    ),
    *declare(
        "coexpression",
        "_spectrum",
        participation_ratio=(
            "Participation ratio over truth",
            _PAIR,
            None,
            (0.0, None),
            None,
            "Litwin-Kumar et al. 2017, Neuron 93:1153",
            "Number of directions a prediction varies in over that of the truth; 1 is best.",
        ),
        subspace_affinity=(
            "Subspace affinity",
            _PAIR,
            True,
            _UNIT,
            None,
            "Krzanowski 1979, J Am Stat Assoc 74:703",
            "Mean squared cosine of the angles between leading eigenvectors; chance is their share of the genes.",
        ),
    ),
    *declare(
        "coexpression",
        "_modules",
        module_preservation=(
            "Module preservation",
            _PAIR,
            True,
            (-0.5, 1.0),
            0.0,
            _OUR,
            "Adjusted Rand index of the clusters of genes in truth and prediction, at a fixed number of clusters.",
        ),
    ),
    *declare(
        "coexpression",
        "_lagged",
        lagged_correlation=(
            "Neighbour-lagged correlation",
            ("X", "graph", "pairs"),
            None,
            _SIGNED,
            0.0,
            _OUR,
            "Correlation of a gene with the neighbours' mean of another; a description, compare truth and prediction.",
        ),
    ),
)
