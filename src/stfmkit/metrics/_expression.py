"""Two matrices of true and predicted expression, and which of their genes cannot be scored.

All scores of predicted expression take two matrices (n_obs, n_genes), and score the rows they are given: pass one slide
at a time, since rows of several slides scored together mistake differences between slides for skill. Genes whose truth
is constant have no score (NaN), to be left out of means and counted. A constant prediction has a correlation of 0.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from stfmkit._core.errors import InputError
from stfmkit.metrics._arrays import constant, table


class Expression(NamedTuple):
    """True and predicted values (n_obs, n_genes) as float64, and which genes (n_genes,) are constant in each."""

    truth: np.ndarray
    predicted: np.ndarray
    flat_truth: np.ndarray
    flat_predicted: np.ndarray


def expression(truth: object, predicted: object, *, names: Sequence[str] = ("truth", "predicted")) -> Expression:
    """Check two matrices of one shape and at least two rows."""
    first, second = table(truth, name=names[0]), table(predicted, name=names[1])
    if first.shape != second.shape:
        raise InputError(
            f"{names[0]} of shape {first.shape}, {names[1]} of shape {second.shape}.",
            allowed="one shape (observations × genes)",
            remedy="bring both to the same observations and genes, in the same order.",
        )
    if len(first) < 2:
        raise InputError(
            "one observation.", allowed="at least two", remedy="score more observations together, such as a slide."
        )
    return Expression(first.astype(np.float64), second.astype(np.float64), constant(first), constant(second))


class DegenerateGenes(NamedTuple):
    """Which genes (n_genes,) cannot be scored in the usual way.

    Attributes
    ----------
    constant_truth
        The truth does not vary: no score exists, and the gene is left out of means.
    constant_prediction
        The truth varies and the prediction does not: correlations are 0.
    """

    constant_truth: np.ndarray
    constant_prediction: np.ndarray

    @property
    def scored(self) -> np.ndarray:
        """Genes that count in a mean (n_genes,)."""
        return ~self.constant_truth


def degenerate_genes(truth: ArrayLike, predicted: ArrayLike) -> DegenerateGenes:
    """Say which genes have no variance in the truth, and which have none in the prediction alone.

    Values that differ by no more than the rounding of their dtype are constant.

    Parameters
    ----------
    truth, predicted
        Values (n_obs, n_genes), of one slide.

    Returns
    -------
    Two masks (n_genes,), never both true.

    Raises
    ------
    InputError, InputTypeError
        As `pearson`.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.degenerate_genes([[1.0, 5, 1], [2, 5, 2]], [[1.0, 1, 3], [2, 2, 3]]).scored
    array([ True, False,  True])
    """
    both = expression(truth, predicted)
    return DegenerateGenes(both.flat_truth, both.flat_predicted & ~both.flat_truth)


def centre_columns(values: np.ndarray) -> np.ndarray:
    return np.asarray(values - values.mean(axis=0))


def unit_columns(values: np.ndarray) -> np.ndarray:
    """Centre columns and bring them to length 1; flat columns become 0."""
    centred = centre_columns(values)
    size = np.abs(centred).max(axis=0)
    scaled = centred / np.where(size > 0, size, 1.0)  # keeps the squares of tiny values above 0
    norm = np.linalg.norm(scaled, axis=0)
    return np.asarray(scaled / np.where(norm > 0, norm, 1.0))


def divide(top: np.ndarray, bottom: np.ndarray, *, undefined: np.ndarray, zero: np.ndarray | None = None) -> np.ndarray:
    """Divide; NaN where `undefined` or the divisor is 0, and 0 where `zero` says so."""
    out = np.full(len(bottom), np.nan)
    np.divide(top, bottom, out=out, where=~undefined & (bottom != 0))
    if zero is not None:
        out[zero & ~undefined] = 0.0
    return out


def correlate_columns(x: np.ndarray, y: np.ndarray, flat_x: np.ndarray, flat_y: np.ndarray) -> np.ndarray:
    """Return Pearson's r by column; NaN where x is flat, else 0 where y is flat."""
    unit = unit_columns(x), unit_columns(y)
    r = np.clip((unit[0] * unit[1]).sum(axis=0), -1, 1)
    r[flat_y] = 0.0
    r[flat_x] = np.nan
    return np.asarray(r)
