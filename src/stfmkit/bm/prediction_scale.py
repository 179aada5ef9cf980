"""Whether predicted expression can be on the scale of the protocol: compared with the counts of training rows."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from stfmkit._kernels._normalize import median_total, size_factor_log1p
from stfmkit.bm.finding import Finding
from stfmkit.bm.study import Study

_APART = 2.0
"""Ratio of the means of prediction and truth, either way, from which the scale is doubted."""
_NEARER = 0.8
"""Error on another scale, as a share of that on the scale of the protocol, from which the other is the likely one."""
_BELOW = 0.05
"""Sum of negative values, as a share of the sum of the truth, that no rounding of a regression explains."""
_MOST_ROWS = 5000
_MOST_GENES = 500


def scale_findings(study: Study, label: str, values: np.ndarray, genes: Sequence[str]) -> Iterator[Finding]:
    """Yield why predicted expression is hardly on the scale of the protocol; training observations only are read.

    Looked at are the means of prediction and truth, which scale of the truth the prediction is nearest to (its error
    relative to the variance of the genes, on each), whole numbers, and negative values.

    Parameters
    ----------
    study
        Counts, folds and the scale of the protocol.
    label
        Name of the contender.
    values
        Predictions (n_obs, n_genes).
    genes
        Names of the genes (n_genes,).
    """
    rows = _thinned(np.unique(np.concatenate([fold.train for fold in study.folds])), _MOST_ROWS)
    columns = _thinned(np.arange(len(genes)), _MOST_GENES)
    found = np.asarray(values[rows][:, columns], dtype=np.float64)
    truth = _truths(study, rows, study.genes.get_indexer([genes[column] for column in columns]))
    wanted = study.protocol.scale
    reasons = list(_reasons(found, truth, wanted))
    if reasons:
        yield Finding(
            severity="warning",
            check="predicted expression on another scale",
            evidence=f"{label!r}, taken for {wanted!r}: {'; '.join(reasons)} (training observations).",
            remedy=f"bring it to the scale {wanted!r} (sk.pp.normalize), or pass Protocol(scale=...), before scores of "
            "error or of coexpression are read.",
        )


def _reasons(found: np.ndarray, truth: Mapping[str, np.ndarray], wanted: str) -> Iterator[str]:
    right = truth[wanted]
    ratio = float(found.mean() / right.mean()) if right.mean() > 0 else 1.0
    if not 1 / _APART <= ratio <= _APART:
        yield f"its mean is {ratio:.3g} times that of the truth"
    errors = {scale: _error(found, values) for scale, values in truth.items()}
    nearest = min(errors, key=lambda scale: errors[scale])
    if errors[nearest] < _NEARER * errors[wanted]:
        shares = f"error {errors[nearest]:.3g} of the variance, and {errors[wanted]:.3g} on its own scale"
        yield f"it is nearer to {nearest!r} ({shares})"
    if found.any() and (found == np.round(found)).all():
        yield "all values are whole numbers"
    below, total = float(-found[found < 0].sum()), float(right.sum())
    if below > _BELOW * total:
        yield f"{int((found < 0).sum())} values are negative, the least {found.min():.3g}"


def _truths(study: Study, rows: np.ndarray, columns: np.ndarray) -> dict[str, np.ndarray]:
    """Return the truth (n_rows, n_genes) on every scale that a prediction may be on."""
    counts, depth = study.counts[rows][:, columns], study.depth[rows]
    raw = counts.toarray().astype(np.float64)
    scaled = size_factor_log1p(counts, depth=depth, target=median_total(depth)).toarray()
    return {"size_factor_log1p": scaled, "log1p": np.log1p(raw), "counts": raw}


def _error(found: np.ndarray, truth: np.ndarray) -> float:
    """Return the squared error as a share of the variance of the genes."""
    spread = float(((truth - truth.mean(axis=0)) ** 2).sum())
    return float(((found - truth) ** 2).sum()) / spread if spread > 0 else np.inf


def _thinned(numbers: np.ndarray, most: int) -> np.ndarray:
    """Return at most so many of some numbers, evenly spaced."""
    return numbers if len(numbers) <= most else numbers[np.linspace(0, len(numbers) - 1, most).astype(np.int64)]
