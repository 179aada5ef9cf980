"""From programs to counts: what each cell of a section expresses, and what the assay sees of it."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from stfmkit.datasets._cohort_config import CohortConfig
from stfmkit.datasets._programs import N_GRADIENTS, Programs
from stfmkit.datasets._tissue import Cells, draw_fields

_MODULE_LENGTH, _MODULE_SMOOTH_SHARE = 70.0, 0.7
_SIGNAL_REACH = 35.0
_REGIONAL_DEPTH, _PATIENT_DEPTH = 0.6, 0.5


@dataclass(frozen=True)
class Expression:
    """What the cells of one section express."""

    activity: np.ndarray
    """Program activities, shape (n_cells, n_programs), float32."""
    depth: np.ndarray
    """Expected counts of the whole gene set, before dropout, shape (n_cells,), float32."""
    noise_free: np.ndarray
    """Expected counts, shape (n_cells, n_genes), float32."""
    counts: sparse.csr_matrix
    """Observed counts, shape (n_cells, n_genes), float32."""

    def take(self, keep: np.ndarray) -> "Expression":
        """Return some of the cells."""
        return Expression(self.activity[keep], self.depth[keep], self.noise_free[keep], self.counts[keep])


def draw_expression(config: CohortConfig, programs: Programs, cells: Cells, *, patient: str, sample: str) -> Expression:
    """Draw activities, expected counts and counts of the cells of one section."""
    activity = _activity(config, programs, cells, sample)
    log_rate = programs.base + programs.type_effect[cells.cell_type] + programs.niche_effect[cells.niche]
    # einsum, not a matrix product: the sum must not depend on the number of BLAS threads
    log_rate += np.einsum("np,pg->ng", activity, programs.weights)
    for name, share in ((patient, 1.0), (sample, 0.35)):
        effect = config.stream("genes of", name).normal(0, config.patient_effect, size=config.n_genes)
        log_rate += share * effect
    rate = np.exp(log_rate)
    depth = _depth(config, programs, cells, patient=patient, sample=sample)
    rate *= (depth / rate.sum(axis=1))[:, None]

    rng = config.stream("counts", sample)
    seen = rng.poisson(rate)
    seen *= rng.random(rate.shape, dtype=np.float32) >= config.dropout
    seen *= programs.panels[config.panel_of(patient)]
    return Expression(
        activity=activity.astype(np.float32),
        depth=depth.astype(np.float32),
        noise_free=(rate * (1 - config.dropout)).astype(np.float32),
        counts=sparse.csr_matrix(seen.astype(np.float32)),
    )


def _activity(config: CohortConfig, programs: Programs, cells: Cells, sample: str) -> np.ndarray:
    """Return modules (part smooth, part of each cell alone), gradients across the section, and border signals."""
    rng = config.stream("activity", sample)
    smooth = draw_fields(rng, programs.n_modules, length=_MODULE_LENGTH)(cells.xy)
    own = rng.normal(size=smooth.shape)
    modules = np.sqrt(_MODULE_SMOOTH_SHARE) * smooth + np.sqrt(1 - _MODULE_SMOOTH_SHARE) * own
    modules *= programs.module_types[cells.cell_type]
    gradients = draw_fields(rng, N_GRADIENTS, length=config.size / 2)(cells.xy)
    return np.concatenate([modules, gradients, _signals(programs, cells)], axis=1)


def _signals(programs: Programs, cells: Cells) -> np.ndarray:
    """Return, for each pair, how strongly a cell sends and receives: both rise towards the common border."""
    closeness = np.zeros((len(cells), len(programs.niche_effect)))
    for niche in range(closeness.shape[1]):
        there = cells.niche == niche
        if there.any():
            distance, _ = cKDTree(cells.xy[there]).query(cells.xy)
            closeness[:, niche] = np.exp(-distance / _SIGNAL_REACH)
    sender, receiver = programs.pairs["sender_niche"].to_numpy(), programs.pairs["receiver_niche"].to_numpy()
    here = cells.niche[:, None]
    return np.concatenate(
        [np.where(here == sender, closeness[:, receiver], 0), np.where(here == receiver, closeness[:, sender], 0)],
        axis=1,
    )


def _depth(config: CohortConfig, programs: Programs, cells: Cells, *, patient: str, sample: str) -> np.ndarray:
    """Return the expected library sizes: cell by cell, region by region, patient by patient."""
    rng = config.stream("depth", sample)
    regional = draw_fields(rng, 1, length=config.size / 5)(cells.xy)[:, 0]
    deviate = rng.normal(size=len(cells)) + _REGIONAL_DEPTH * regional
    deviate += config.stream("depth", patient).normal(0, _PATIENT_DEPTH)
    # a lognormal variable has mean 1 when half of its variance is taken off
    log_depth = config.depth_sigma * deviate - config.depth_sigma**2 * (1 + _REGIONAL_DEPTH**2 + _PATIENT_DEPTH**2) / 2
    return config.counts_per_cell * programs.type_size[cells.cell_type] * np.exp(log_depth)
