"""Agreement of predicted with true expression as maps: hot spots, local structure, shared neighbourhoods.

The rules are those of `stfmkit.metrics._expression`: one slide at a time, NaN for genes whose truth is constant, and
no credit for a prediction that is constant.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.stats import rankdata

from stfmkit._core.arguments import check_fraction, check_integer
from stfmkit._core.errors import InputError
from stfmkit.metrics._arrays import number, read_weights, vector
from stfmkit.metrics._autocorrelation import morans_i
from stfmkit.metrics._expression import divide, expression, unit_columns
from stfmkit.metrics._metric import metric

_K1, _K2 = 0.01, 0.03
_HUGE = 1e70  # beyond it the index is 0 anyway, and squares overflow
_GENES = 256  # at a time, so that the local moments never fill the memory


@metric(
    title="AUROC of top spots",
    family="expression",
    higher_is_better=True,
    bounds=(0, 1),
    chance=0.5,
    source="Hanley and McNeil 1982, Radiology 143:29",
    summary="Chance that an observation of the top tenth of the truth is predicted higher than another.",
)
def auroc_top(truth: ArrayLike, predicted: ArrayLike, *, share: float = 0.1) -> np.ndarray:
    """Return how well the prediction ranks the observations with the highest true expression, per gene.

    Positive are the observations above the ``1 - share`` quantile of the truth (of a gene that fewer observations
    express: those that do); where nothing is above it, those that reach it. Ties of the prediction count one half.

    Parameters
    ----------
    truth, predicted
        Values (n_obs, n_genes), of one slide.
    share
        Share of observations that are on top, in (0, 1).

    Returns
    -------
    AUROC in [0, 1] per gene (n_genes,); 0.5 where the prediction is constant, NaN where the truth is.

    Raises
    ------
    InputError
        As `pearson`, or if `share` is not between 0 and 1.
    InputTypeError
        As `pearson`.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.auroc_top([[0.0], [1], [0], [9]], [[2.0], [1], [3], [4]], share=0.25)
    array([1.])
    """
    check_fraction(share, name="share")
    if share in {0, 1}:
        raise InputError(f"share={share!r}.", allowed="a number between 0 and 1", remedy="pass 0.1, for example.")
    both = expression(truth, predicted)
    cut = np.quantile(both.truth, 1 - share, axis=0)
    top = both.truth > cut
    top = np.where(top.any(axis=0), top, both.truth >= cut)
    n, inside = len(top), top.sum(axis=0)
    ranks = (rankdata(both.predicted, axis=0) * top).sum(axis=0)
    pairs = (inside * (n - inside)).astype(np.float64)
    out = divide(ranks - inside * (inside + 1) / 2, pairs, undefined=both.flat_truth)
    out[both.flat_predicted & ~both.flat_truth] = 0.5
    return out


@metric(
    title="Bivariate Moran's I",
    family="expression",
    higher_is_better=True,
    bounds=(None, None),
    chance=0,
    source="Wartenberg 1985, Geogr Anal 17:263",
    summary="Correlation of the truth with the prediction around it; a perfect map has the Moran's I of the truth.",
)
def bivariate_morans_i(truth: ArrayLike, predicted: ArrayLike, *, graph: sparse.sparray) -> np.ndarray:
    """Return the bivariate Moran's I of every gene: how well the prediction around a place matches the truth there.

    ``(n / Σw) · Σ_ij w_ij x_i y_j / √(Σ x_i² Σ y_j²)`` with centred truth x and prediction y (Wartenberg 1985, Geogr
    Anal 17:263). It forgives a map that is right but shifted by a neighbour, and a smooth prediction can exceed the
    Moran's I of the truth itself, which is the value of a perfect prediction.

    Parameters
    ----------
    truth, predicted
        Values (n_obs, n_genes), of one slide.
    graph
        Spatial weights (n_obs, n_obs), as for `morans_i`; row i holds the neighbours of observation i.

    Returns
    -------
    One value per gene (n_genes,); 0 where the prediction is constant, NaN where the truth is.

    Raises
    ------
    InputError, InputTypeError
        As `pearson` and `morans_i`.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> import stfmkit as sk
    >>> ring = sparse.csr_array(np.roll(np.eye(8), 1, axis=1) + np.roll(np.eye(8), -1, axis=1))
    >>> halves = np.array([[1.0], [1], [1], [1], [0], [0], [0], [0]])
    >>> sk.metrics.bivariate_morans_i(halves, 1 - halves, graph=ring)
    array([-0.5])
    """
    both = expression(truth, predicted)
    weights = read_weights(graph, n=len(both.truth))
    cross = (unit_columns(both.truth) * (weights @ unit_columns(both.predicted))).sum(axis=0)
    scale = np.full(len(cross), weights.sum() / len(both.truth))
    return divide(cross, scale, undefined=both.flat_truth, zero=both.flat_predicted)


@metric(
    title="Moran ratio",
    family="expression",
    higher_is_better=None,
    bounds=(None, None),
    chance=None,
    over_genes="median",
    source="stfmkit documentation",
    summary="Moran's I of the prediction over that of the truth; 1 is right, above 1 is too smooth.",
)
def moran_ratio(truth: ArrayLike, predicted: ArrayLike, *, graph: sparse.sparray) -> np.ndarray:
    """Return Moran's I of the prediction over that of the truth, per gene.

    Above 1 the predicted map is smoother than the real one.

    Parameters
    ----------
    truth, predicted
        Values (n_obs, n_genes), of one slide.
    graph
        Spatial weights (n_obs, n_obs), as for `morans_i`.

    Returns
    -------
    One value per gene (n_genes,); NaN where the prediction or the truth is constant, or where the truth has no positive
    autocorrelation to be compared with.

    Raises
    ------
    InputError, InputTypeError
        As `pearson` and `morans_i`.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> import stfmkit as sk
    >>> ring = sparse.csr_array(np.roll(np.eye(8), 1, axis=1) + np.roll(np.eye(8), -1, axis=1))
    >>> halves = np.array([[1.0], [1], [1], [1], [0], [0], [0], [0]])
    >>> sk.metrics.moran_ratio(halves, 0.1 * halves, graph=ring)
    array([1.])
    """
    both = expression(truth, predicted)
    bottom = morans_i(both.truth, graph)
    top = morans_i(both.predicted, graph)
    top[both.flat_predicted] = np.nan
    return divide(top, bottom, undefined=both.flat_truth | ~(bottom > 0))


@metric(
    title="Map SSIM",
    family="expression",
    higher_is_better=True,
    bounds=(-1, 1),
    chance=None,
    source="Wang et al. 2004, IEEE Trans Image Process 13:600, on neighbourhoods of a graph",
    summary="Structural similarity of gene maps, with the neighbourhood of every observation as a window.",
)
def map_ssim(
    truth: ArrayLike,
    predicted: ArrayLike,
    *,
    graph: sparse.sparray,
    rings: int = 1,
    data_range: ArrayLike | None = None,
) -> np.ndarray:
    """Return the structural similarity of true and predicted gene maps, with neighbourhoods as windows.

    The index of Wang et al. 2004 (IEEE Trans Image Process 13:600), ``(2 μx μy + C1)(2 σxy + C2) / ((μx² + μy² + C1)
    (σx² + σy² + C2))``, in the window of every observation: itself and its neighbours up to `rings` steps away, with
    uniform weights and sample covariances, ``C1 = (0.01 L)²``, ``C2 = (0.03 L)²`` and L the `data_range`; then the mean
    over windows. Nothing is rasterised, so it holds for any lattice and for cells, and unlike the index of two whole
    vectors it changes when observations are moved. On a square lattice with eight neighbours it is the usual index
    with a window of 3.

    Parameters
    ----------
    truth, predicted
        Values (n_obs, n_genes), of one slide and in one unit.
    graph
        Spatial graph (n_obs, n_obs), sparse; row i holds the neighbours of observation i. Weights are not used.
        Observations without neighbours are in no mean.
    rings
        Steps from the centre of a window to its edge: on a hexagonal lattice 1 is 7 observations, 2 is 19.
    data_range
        L, one number or one per gene (n_genes,), above 0; the range of the truth of each gene by default.

    Returns
    -------
    One value in [-1, 1] per gene (n_genes,); 0 where the prediction is constant (in empty areas the index would give it
    credit), NaN where the truth is.

    Raises
    ------
    InputError
        As `pearson` and `morans_i`, or if no observation has a neighbour, or `data_range` is not above 0.
    InputTypeError
        As `pearson`.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> import stfmkit as sk
    >>> ring = sparse.csr_array(np.roll(np.eye(8), 1, axis=1) + np.roll(np.eye(8), -1, axis=1))
    >>> wave = np.sin(np.arange(8.0))[:, None]
    >>> sk.metrics.map_ssim(wave, wave, graph=ring)
    array([1.])
    >>> bool(sk.metrics.map_ssim(wave, wave[::-1], graph=ring)[0] < 0.5)
    True
    """
    check_integer(rings, name="rings", least=1)
    both = expression(truth, predicted)
    window = _windows(read_weights(graph, n=len(both.truth)), rings)
    span = _span(data_range, both.truth)
    out = np.empty(both.truth.shape[1])
    for start in range(0, len(out), _GENES):
        part = slice(start, start + _GENES)
        with np.errstate(over="ignore"):
            x, y = both.truth[:, part] / span[part], both.predicted[:, part] / span[part]
        out[part] = _local_ssim(np.clip(x, -_HUGE, _HUGE), np.clip(y, -_HUGE, _HUGE), window)
    out[both.flat_predicted] = 0.0
    out[both.flat_truth] = np.nan
    return out


def _windows(weights: sparse.csr_array, rings: int) -> sparse.csr_array:
    """Return 1 where column j is in the window of row i; only rows with a neighbour."""
    edge = sparse.csr_array(weights != 0).astype(np.float64)
    edge.setdiag(0)
    edge.eliminate_zeros()
    reach = me = sparse.eye_array(edge.shape[0], format="csr")
    for _ in range(rings):
        reach = sparse.csr_array(((reach @ edge + me) != 0).astype(np.float64))
    kept = np.flatnonzero(np.diff(edge.indptr))
    if not len(kept):
        raise InputError(
            "a graph in which every observation is its own only neighbour.",
            allowed="edges between observations",
            remedy="build the graph with sk.pp.spatial_graph.",
        )
    return sparse.csr_array(reach[kept])


def _span(data_range: ArrayLike | None, truth: np.ndarray) -> np.ndarray:
    n = truth.shape[1]
    if data_range is None:
        span = np.ptp(truth, axis=0)
        return np.where(span > 0, span, 1.0)
    given = number(data_range, name="data_range")
    span = vector(np.broadcast_to(given, (n,)) if given.ndim == 0 else given, name="data_range", n=n)
    if (span <= 0).any():
        raise InputError(
            f"data_range as low as {span.min():g}.", allowed="numbers above 0", remedy="leave out constant genes."
        )
    return span


def _local_ssim(x: np.ndarray, y: np.ndarray, window: sparse.csr_array) -> np.ndarray:
    """Return the mean index over windows, per column, of values in units of the data range."""
    size = np.asarray(window.sum(axis=1))[:, None]
    middle = x.mean(axis=0), y.mean(axis=0)
    x, y = x - middle[0], y - middle[1]  # squares of centred values lose nothing to rounding
    mean_x, mean_y = window @ x / size, window @ y / size
    sample = size / (size - 1)
    var_x = np.maximum(window @ x**2 / size - mean_x**2, 0) * sample
    var_y = np.maximum(window @ y**2 / size - mean_y**2, 0) * sample
    covariance = (window @ (x * y) / size - mean_x * mean_y) * sample
    most = np.sqrt(var_x) * np.sqrt(var_y)
    covariance = np.clip(covariance, -most, most)  # rounding of huge values may leave one without any variance
    mean_x, mean_y = mean_x + middle[0], mean_y + middle[1]
    c1, c2 = _K1**2, _K2**2
    light = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return np.asarray((light * structure).mean(axis=0))
