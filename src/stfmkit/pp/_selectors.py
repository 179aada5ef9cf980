"""Gene selectors as array functions: counts in, positions of genes out, best first."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.stats import rankdata

from stfmkit._core.arguments import check_choice, check_integer
from stfmkit._core.errors import InputError
from stfmkit._core.matrices import sound_rows
from stfmkit._core.random import RNGLike, as_generator
from stfmkit._kernels._autocorrelation import row_stochastic
from stfmkit._kernels._combine_p import over_patients_log_p
from stfmkit._kernels._gene_stats import log1p, over_patients, statistics_by_sample, summarize
from stfmkit._kernels._neighbors import neighbor_graph
from stfmkit._kernels._normalize import median_total, normalized_dispersion, size_factor_log1p, totals
from stfmkit._kernels._sparkx import sparkx_log_p
from stfmkit.pp._controls import control_names
from stfmkit.pp._gene_limits import FLAGGED_BY, GeneLimits, flags

_HEST_SHARE = 0.1
_HEST_CONTROLS = ("BLANK", "Control")


@dataclass(frozen=True, kw_only=True, eq=False)
class Training:
    """What a selector may see: training observations as arrays.

    Attributes
    ----------
    counts
        Raw counts (n_obs, n_genes).
    samples, patients
        Integer codes (n_obs,); a sample belongs to one patient.
    coords
        Coordinates (n_obs, 2), each sample in its own frame.
    genes
        Gene names (n_genes,), or None.
    present
        Whether a panel measures a gene (n_panels, n_genes), or None where all do.
    panels
        Integer code of the panel (n_obs,), a row of `present`.
    given_graph
        Spatial weights (n_obs, n_obs), or None for the six nearest neighbours.
    """

    counts: sparse.csr_array
    samples: np.ndarray
    patients: np.ndarray
    coords: np.ndarray | None = None
    genes: np.ndarray | None = None
    present: np.ndarray | None = None
    panels: np.ndarray | None = None
    given_graph: sparse.csr_array | None = None

    @cached_property
    def first_rows(self) -> np.ndarray:
        """One row of every sample (n_samples,), samples in ascending order."""
        return np.unique(self.samples, return_index=True)[1]

    @cached_property
    def graph(self) -> sparse.csr_array:
        """Row-stochastic weights within samples (n_obs, n_obs)."""
        if self.given_graph is not None:
            return row_stochastic(self.given_graph)
        if self.coords is None:
            raise InputError(
                "neither coordinates nor a graph.", allowed="one of the two", remedy="pass coords= or graph=."
            )
        return neighbor_graph(self.coords, self.samples)

    @cached_property
    def measured(self) -> np.ndarray | None:
        """Whether a sample measures a gene (n_samples, n_genes), or None where all do."""
        if self.present is None:
            return None
        panels = self.samples if self.panels is None else self.panels
        _, codes = np.unique(panels, return_inverse=True)
        return self.present[codes[self.first_rows]]

    def summary(self, *wanted: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return statistics over patients (n_genes,), by name."""
        found = statistics_by_sample(
            self.counts, samples=self.samples, graph=self.graph, wanted=wanted, rng=rng, measured=self.measured
        )
        return summarize(found, self.patients[self.first_rows], measured=self.measured)

    @cached_property
    def controls(self) -> np.ndarray:
        """Whether the name of a gene is that of a control feature (n_genes,)."""
        if self.genes is None:
            return np.zeros(self.counts.shape[1], dtype=bool)
        return control_names(map(str, self.genes))


@dataclass(frozen=True, kw_only=True)
class Options:
    """Numbers that selectors read.

    Attributes
    ----------
    limits
        When a gene is flagged (``reliable_svg``).
    min_reliability
        Least split-half reliability (``reliable_svg``).
    min_panel_share
        Least share of panels that measure a gene (``panel_safe``).
    """

    limits: GeneLimits = field(default_factory=GeneLimits)
    min_reliability: float = 0.3
    min_panel_share: float = 1.0


def rank_genes(
    selector: str,
    *,
    counts: sparse.csr_array,
    samples: np.ndarray,
    patients: np.ndarray,
    n_genes: int,
    coords: np.ndarray | None = None,
    rng: RNGLike = 0,
    genes: np.ndarray | None = None,
    present: np.ndarray | None = None,
    panels: np.ndarray | None = None,
    graph: sparse.csr_array | None = None,
    exclude: np.ndarray | None = None,
    options: Options | None = None,
) -> np.ndarray:
    """Return the positions of the selected genes (≤ n_genes,), best first, ties by position.

    Fewer than `n_genes` come back where fewer qualify. What it is given is what it is fitted on, so pass training
    observations only.

    Parameters
    ----------
    selector
        A name in :data:`SELECTORS`.
    counts
        Raw counts (n_obs, n_genes).
    samples, patients
        Integer codes (n_obs,).
    n_genes
        How many genes to return at most.
    coords
        Coordinates (n_obs, 2); needed by the spatial selectors unless `graph` is given.
    rng
        Used by the thinning of ``reliable_svg`` alone.
    genes
        Gene names (n_genes,); control features are left out by name.
    present
        Whether a panel measures a gene (n_panels, n_genes).
    panels
        Row of `present` of every observation (n_obs,), as codes; samples where it is left out.
    graph
        Spatial weights within samples (n_obs, n_obs), instead of the six nearest neighbours.
    exclude
        Genes that must not be selected (n_genes,) of bool.
    options
        Numbers that the selectors read.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> x = np.arange(40.0)
    >>> counts = sparse.csr_array(np.column_stack([np.tile([1, 3], 20), np.where(x < 20, 9, 1), np.full(40, 2)]))
    >>> place = np.column_stack([x, np.zeros(40)])
    >>> one = np.zeros(40, dtype=int)
    >>> rank_genes("svg", counts=counts, coords=place, samples=one, patients=one, n_genes=1)
    array([1])
    """
    check_choice(selector, SELECTORS, name="selector")
    check_integer(n_genes, name="n_genes", least=1)
    counts = sound_rows(counts, name="counts") if sparse.issparse(counts) else sparse.csr_array(counts)
    if (counts.data == 0).any():
        counts = counts.copy()
        counts.eliminate_zeros()
    training = Training(
        counts=counts,
        samples=np.asarray(samples),
        patients=np.asarray(patients),
        coords=coords,
        genes=genes,
        present=present,
        panels=panels,
        given_graph=None if graph is None else sound_rows(graph, name="graph"),
    )
    score = SELECTORS[selector](training, n_genes, Options() if options is None else options, as_generator(rng))
    score = np.where(training.controls, -np.inf, score)
    if exclude is not None:
        score = np.where(exclude, -np.inf, score)
    order = np.lexsort((np.arange(len(score)), -score))
    return order[: int((score > -np.inf).sum())][:n_genes]


def _hvg(training: Training, n_genes: int, options: Options, rng: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    """Rank normalised dispersion within each sample; mean rank within patient, median over patients."""
    counts = training.counts
    target = median_total(totals(counts))
    logged = size_factor_log1p(counts, depth=totals(counts), target=target)
    order = np.unique(training.samples)
    ranks = np.empty((len(order), counts.shape[1]))
    for at, sample in enumerate(order):
        score = normalized_dispersion(sparse.csr_array(logged[np.flatnonzero(training.samples == sample)]))
        ranks[at] = rankdata(-score, method="average")
    if training.measured is not None:
        ranks[~training.measured] = np.nan
    score = -over_patients(ranks, training.patients[training.first_rows])
    seen = np.bincount(counts.indices, weights=counts.data, minlength=counts.shape[1]) > 0
    return np.where(seen & ~np.isnan(score), score, -np.inf)


def _hest(training: Training, n_genes: int, options: Options, rng: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    """HEST-Benchmark: detected in ceil(10 %) of every slide, then seurat dispersion of pooled log1p raw counts."""
    counts = training.counts
    keep = np.ones(counts.shape[1], dtype=bool)
    for sample in np.unique(training.samples):
        rows = np.flatnonzero(training.samples == sample)
        detected = np.bincount(counts[rows].indices, minlength=counts.shape[1])
        keep &= detected >= np.ceil(_HEST_SHARE * len(rows))
    if training.genes is not None:
        keep &= np.array([not any(word in str(gene) for word in _HEST_CONTROLS) for gene in training.genes])
    score = np.full(counts.shape[1], -np.inf)
    if keep.any():
        logged = log1p(sparse.csr_array(counts[:, np.flatnonzero(keep)]))
        score[keep] = normalized_dispersion(logged)
    return score


def _moran(training: Training, rng: np.random.Generator, name: str = "morans_i") -> np.ndarray:
    summary = training.summary("detect_frac", name, rng=rng)
    seen = summary["detect_frac"] > 0
    return np.where(seen & ~np.isnan(summary[name]), summary[name], -np.inf)


def _svg(training: Training, n_genes: int, options: Options, rng: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    """Moran's I of size-factor log1p."""
    return _moran(training, rng)


def _svg_within_depth(
    training: Training,
    n_genes: int,  # noqa: ARG001
    options: Options,  # noqa: ARG001
    rng: np.random.Generator,
) -> np.ndarray:
    """Moran's I of what is left of size-factor log1p after a linear fit on log library size, sample by sample."""
    return _moran(training, rng, "morans_i_within_depth")


def _reliable_svg(training: Training, n_genes: int, options: Options, rng: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    """Moran's I of genes that are not flagged and whose split halves agree."""
    summary = training.summary(*FLAGGED_BY, "reliability", rng=rng)
    flagged = np.logical_or.reduce(list(flags(summary, options.limits).values()))
    keep = ~flagged & (summary["reliability"] >= options.min_reliability) & (summary["morans_i"] > 0)
    return np.where(keep, summary["morans_i"], -np.inf)


def _panel_safe(training: Training, n_genes: int, options: Options, rng: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    """Moran's I of genes that enough panels measure."""
    score = _moran(training, rng)
    if training.present is None:
        return score
    return np.where(training.present.mean(axis=0) >= options.min_panel_share, score, -np.inf)


def _sparkx(training: Training, n_genes: int, options: Options, rng: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    """Smallness of the p-value of SPARK-X, sample by sample; Cauchy rule over samples and then patients."""
    if training.coords is None:
        raise InputError(
            "selector='sparkx' without coordinates.",
            allowed="coordinates, as its kernels are functions of them",
            remedy="pass coords= and leave graph= out.",
        )
    order = np.unique(training.samples)
    log_p = np.empty((len(order), training.counts.shape[1]))
    for at, sample in enumerate(order):
        rows = np.flatnonzero(training.samples == sample)
        log_p[at] = sparkx_log_p(sparse.csr_array(training.counts[rows]), training.coords[rows])
    score = -over_patients_log_p(log_p, training.patients[training.first_rows], measured=training.measured)
    seen = np.bincount(training.counts.indices, minlength=training.counts.shape[1]) > 0
    return np.where(seen & ~np.isnan(score), score, -np.inf)


SELECTORS = {
    "hvg": _hvg,
    "svg": _svg,
    "hest": _hest,
    "svg_within_depth": _svg_within_depth,
    "reliable_svg": _reliable_svg,
    "panel_safe": _panel_safe,
    "sparkx": _sparkx,
}
"""Selectors by name."""

NON_SPATIAL = frozenset({"hvg", "hest"})
"""Selectors that need no coordinates."""
