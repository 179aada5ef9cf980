"""Gene-gene correlation without the noise of counting."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from stfmkit._core.arguments import check_choice, check_integer, check_positive
from stfmkit._core.errors import InputError
from stfmkit._core.random import RNGLike, as_generator
from stfmkit._kernels._correlation import gram, orthonormal_design
from stfmkit._kernels._normalize import median_total, on_scale, totals
from stfmkit._kernels._thinning import thin
from stfmkit.metrics._arrays import matrix, vector
from stfmkit.metrics._correlation import known_variables

SCALES = ("size_factor_log1p", "log1p")
N_DRAWS = 10
"""Times that the counts are halved."""
CLEAR = 3.0
"""Standard errors by which the variance of a gene must exceed the noise of counting."""


def latent_correlation(
    X: ArrayLike | sparse.sparray,
    *,
    scale: Literal["size_factor_log1p", "log1p"] = "size_factor_log1p",
    library_size: ArrayLike | None = None,
    target_sum: float | None = None,
    groups: ArrayLike | None = None,
    covariate: ArrayLike | None = None,
    n_draws: int = N_DRAWS,
    min_z: float = CLEAR,
    rng: RNGLike = 0,
) -> np.ndarray:
    """Return the correlation of all pairs of genes as it would be without the noise of counting.

    The noise of counting makes measured genes vary on their own, so that their correlations are nearer to 0 than those
    of what was counted: a prediction free of noise disagrees with measured correlations, and one with the right noise
    agrees. Two halves of the counts, by a coin for every molecule, have independent noise and the same signal. Their
    covariance ``cov(A_g, B_h)``, symmetrised and averaged over several halvings, is the covariance of the signal, and
    the latent correlation is ``cov(A_g, B_h) / √(cov(A_g, B_g) cov(A_h, B_h))``: Spearman's correction for attenuation
    (1904, Am J Psychol 15:72) with halves of counts (Neufeld et al. 2022, Biostatistics kxac047).

    Parameters
    ----------
    X
        Raw counts (n_obs, n_genes); dense or sparse. A sparse matrix is never dense as a whole.
    scale
        Scale on which genes correlate: logarithm of counts per library size, or of counts.
    library_size
        Library size of every observation (n_obs,), over all genes measured; the sum of `X` by default. Half of it
        belongs to each half.
    target_sum
        Library size that all observations are scaled to; the median by default.
    groups
        Slide of every observation (n_obs,): values are centred within slides.
    covariate
        One value (n_obs,) or several (n_obs, n_covariates) that values are regressed on before.
    n_draws
        Number of halvings.
    min_z
        Standard errors of a correlation of 0 by which two halves of a gene must correlate: ``1 / √n``, where n is the
        number of observations less that of the means and slopes taken out (1 without groups and covariates). Other
        genes show no variation beyond the noise of counting.
    rng
        Seed or generator of the halvings.

    Returns
    -------
    Symmetric matrix (n_genes, n_genes) with ones on the diagonal. Estimates beyond -1 or 1, which noise can give, are
    set to these ends. Row and column of a gene without clear variation of its own are NaN, as in `correlation`: it has
    no latent correlation.

    Raises
    ------
    InputError
        If counts are negative, not whole or not finite, a library size is 0, lengths differ, or fewer than two
        observations are given.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> rng = np.random.default_rng(0)
    >>> signal = rng.normal(size=(4000, 1)) * [0.5, 0.5, -0.5]  # two genes rise together, one falls
    >>> counts = rng.poisson(np.exp(signal + 0.5))
    >>> sure = dict(scale="log1p")
    >>> bool(np.corrcoef(np.log1p(counts).T)[0, 1] < 0.5), sk.metrics.latent_correlation(counts, **sure)[0].round(1)
    (True, array([ 1.,  1., -1.]))
    """
    check_choice(scale, SCALES, name="scale")
    check_integer(n_draws, name="n_draws", least=1)
    molecules = _whole_numbers(matrix(X, name="X"))
    n = molecules.shape[0]
    if n < 2:
        raise InputError("one observation.", allowed="at least two", remedy="correlate over more observations.")
    depth = totals(molecules) if library_size is None else vector(library_size, name="library_size", n=n)
    if scale == "size_factor_log1p" and not (depth > 0).all():
        raise InputError(
            f"{int((depth <= 0).sum())} observations without any count.",
            allowed="library sizes above 0",
            remedy="leave these observations out, or pass library_size= over all genes.",
        )
    target = median_total(depth) if target_sum is None else float(target_sum)
    check_positive(target, name="target_sum")
    design = orthonormal_design(*known_variables(n, groups=groups, covariate=covariate))
    shared, spread = np.zeros((molecules.shape[1],) * 2), np.zeros(molecules.shape[1])
    generator = as_generator(rng)
    for _ in range(int(n_draws)):
        halves = thin(molecules, rng=generator)
        first, second = (on_scale(half, scale=scale, depth=depth / 2, target=target) for half in halves)
        # A'B + B'A = ((A + B)'(A + B) - (A - B)'(A - B)) / 2, each a symmetric product of residuals
        both, apart = (_residual_gram(part, design) for part in (first + second, first - second))
        shared += (both - apart) / 4
        spread += (both.diagonal() + apart.diagonal()) / 4
    return _scaled_to_one(shared, spread, least=min_z / np.sqrt(max(n - design.shape[1], 1)))


def _whole_numbers(values: np.ndarray | sparse.csr_array) -> sparse.csr_array:
    counts = sparse.csr_array(values, copy=True)
    counts.sum_duplicates()
    counts.eliminate_zeros()  # every coin is tossed for a molecule, however the matrix is stored
    if (counts.data < 0).any() or (counts.data != np.floor(counts.data)).any():
        raise InputError(
            "counts that are negative or not whole.",
            allowed="raw counts, which can be halved molecule by molecule",
            remedy="pass counts, not values on another scale.",
        )
    return counts


def _residual_gram(values: sparse.csr_array, design: sparse.csr_array) -> np.ndarray:
    """Return the cross-products of the columns after regression on an orthonormal design (n_columns, n_columns)."""
    explained = np.asarray((design.T @ values).todense())
    cross = gram(sparse.csr_array(values))
    cross -= explained.T @ explained
    return cross


def _scaled_to_one(shared: np.ndarray, spread: np.ndarray, *, least: float) -> np.ndarray:
    """Return correlations from covariances of halves; genes whose halves correlate by no more than `least` are NaN."""
    own = shared.diagonal().copy()
    clear = (spread > 0) & (own > least * spread)
    scale = np.full(len(own), np.nan)
    scale[clear] = 1 / np.sqrt(own[clear])
    found = np.clip(0.5 * (shared + shared.T) * np.outer(scale, scale), -1, 1)
    np.fill_diagonal(found, np.where(clear, 1.0, np.nan))
    return found
