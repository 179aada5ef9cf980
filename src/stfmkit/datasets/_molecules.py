"""The molecules of one section: where each was seen, how surely, and which cell it was given to."""

import numpy as np
import pandas as pd

from stfmkit.datasets._cohort_config import CohortConfig
from stfmkit.datasets._outlines import Outlines
from stfmkit.datasets._section import Section, named
from stfmkit.datasets._tissue import Layout

UNASSIGNED = "UNASSIGNED"
_LOW_QUALITY, _OUTSIDE, _CONTROL = 0.14, 0.09, 0.004
"""Molecules below Q20, outside cells, and of control probes, for each assigned molecule of Q20 or more."""
_NUCLEAR = 0.4
_NUCLEUS_SCALE = 0.55


def draw_molecules(config: CohortConfig, measured: np.ndarray, section: Section, outlines: Outlines) -> pd.DataFrame:
    """Draw the molecules of one section, whose panel holds the genes that are `measured`.

    Those that are assigned to a cell, of Q20 or more, and not of a control probe are the counts of the table, one
    row each. Others come on top.
    """
    rng = config.stream("molecules", section.sample)
    counts = section.expression.counts
    n_per_entry = counts.data.astype(np.intp)
    entry_cell = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    cell, gene = np.repeat(entry_cell, n_per_entry), np.repeat(counts.indices.astype(np.intp), n_per_entry)
    n = len(cell)

    # misread molecules keep their cell, and half of them show the gene of a molecule from elsewhere
    low = rng.integers(n, size=rng.poisson(_LOW_QUALITY * n))
    low_gene = np.where(rng.random(len(low)) < 0.5, gene[low], gene[rng.integers(n, size=len(low))])
    n_control = rng.poisson(_CONTROL * n) if config.n_controls else 0
    control_gene = config.n_genes + rng.integers(max(1, config.n_controls), size=n_control)
    control_cell = rng.integers(counts.shape[0], size=n_control)
    stray_xy, stray = _strays(rng, section.layout, outlines, cell)

    inside = np.concatenate([cell, cell[low], control_cell])
    scale = np.where(rng.random(len(inside)) < _NUCLEAR, _NUCLEUS_SCALE, 0.98)
    xy = np.concatenate([outlines.draw_inside(rng, inside, scale), stray_xy]).astype(np.float32)
    gene = np.concatenate([gene, low_gene, control_gene, gene[stray]])
    qv = np.concatenate(
        [
            _quality(rng, n, share_high=1.0),
            _quality(rng, len(low), share_high=0.0),
            _quality(rng, n_control, share_high=0.35),
            _quality(rng, len(stray), share_high=0.75),
        ]
    )
    owner = np.concatenate([inside, np.full(len(stray), -1)])
    # an assay lists molecules by place, not by how they came about
    order = rng.permutation(len(owner))
    return _frame(config, measured, section, xy=xy[order], gene=gene[order], qv=qv[order], owner=owner[order])


def _strays(
    rng: np.random.Generator, layout: Layout, outlines: Outlines, cell: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Put copies of some molecules a little outside their cells; drop those that land in another cell."""
    source = rng.integers(len(cell), size=rng.poisson(2.2 * _OUTSIDE * len(cell)))
    angle = rng.uniform(0, 2 * np.pi, size=len(source))
    reach = outlines.mean_radius()[cell[source]] * rng.uniform(0.9, 2.0, size=len(source))
    xy = outlines.xy[cell[source]] + reach[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    free = (outlines.owner(xy) < 0) & (xy > 0).all(axis=1) & (xy < layout.size).all(axis=1)
    return xy[free], source[free]


def _quality(rng: np.random.Generator, n: int, *, share_high: float) -> np.ndarray:
    """Draw Phred-like qualities in [0, 40]: most of the high ones near 40, the low ones anywhere below 20."""
    high = 20 + 20 * rng.beta(4, 1, size=n)
    low = 19.9 * rng.beta(1.5, 1, size=n)
    return np.where(rng.random(n) < share_high, high, low).astype(np.float32)


def _frame(
    config: CohortConfig,
    measured: np.ndarray,
    section: Section,
    *,
    xy: np.ndarray,
    gene: np.ndarray,
    qv: np.ndarray,
    owner: np.ndarray,
) -> pd.DataFrame:
    listed = np.append(measured, np.ones(config.n_controls, dtype=bool))
    names = pd.Index(config.gene_names + config.control_names)[listed]
    code, cell_ids = np.cumsum(listed) - 1, section.cell_ids
    niche, cell_type = section.cells.niche[owner], section.cells.cell_type[owner]
    out = owner < 0
    niche[out], cell_type[out] = section.layout.niche(xy[out]), config.n_cell_types
    n = len(owner)
    return pd.DataFrame(
        {
            "x": xy[:, 0],
            "y": xy[:, 1],
            "gene": named(code[gene], names),
            "qv": qv,
            "cell_id": named(np.where(out, len(cell_ids), owner), [*cell_ids, UNASSIGNED]),
            "cell_type": named(cell_type, [*config.type_names, UNASSIGNED]),
            "niche": named(niche, config.niche_names),
            "sample": named(np.zeros(n, dtype=np.int8), [section.sample]),
            "patient": named(np.zeros(n, dtype=np.int8), [section.patient]),
        }
    )
