"""Whether an embedding from elsewhere shows the genes that are to be predicted: as columns, or turned together."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from scipy import sparse
from scipy.stats import rankdata

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError
from stfmkit.bm.checks.expression_space import expression_space
from stfmkit.bm.checks.held_out import explained
from stfmkit.bm.contenders import Contender
from stfmkit.bm.finding import Finding
from stfmkit.bm.study import Study
from stfmkit.bm.targets import choose_targets

_ALIKE = 0.99
"""Correlation, or correlation of ranks, from which a column is a gene."""
_SEEN, _MOST_GENES, _MOST_ROWS = 20, 2000, 1000
"""Observations with a count from which a gene can be told from others; genes and observations that are looked at."""
_TURNED, _LEFT = 0.995, 0.2
"""R² of target genes from which an embedding holds them all, and the share of what components of the other genes leave
open that it may leave. 100 components of all genes of small panels hold .98 to .993, target genes turned 1.000."""
_ENOUGH = 0.8
_MOST_COMPONENTS = 100


def targets_in_columns(study: Study, contender: Contender, rows: np.ndarray, values: np.ndarray) -> Iterator[Finding]:
    """Find target genes in the embedding (n, d) of some rows: one by one as columns, else all turned together."""
    counts = study.counts[rows]
    pairs = columns_of_genes(counts, study.depth[rows], values)
    least = len(study.protocol.target_genes or ()) or min(study.protocol.n_target_genes, len(study.genes) // 2)
    wide = values.shape[1] >= _ENOUGH * least  # fewer columns cannot hold all of them
    targets = _targets(study, every_fold=bool(pairs)) if pairs or wide else set()
    shown = [(column, gene, r) for column, gene, r in pairs if gene in targets]
    if shown:
        names = [(str(study.genes[gene]), column, round(r, 4)) for column, gene, r in shown]
        yield Finding(
            severity="error",
            check="target genes in the embedding",
            evidence=f"columns of {contender.label!r} are target genes, which models must not see: "
            f"{listed([f'column {column} is {gene}' for gene, column, _ in names], most=4)} (correlation above "
            f"{_ALIKE}, of values or of ranks).",
            remedy="compute the embedding without the target genes (Protocol(target_genes=[...]) fixes them), or pass "
            "the model itself.",
            columns=("target gene", "column", "correlation"),
            rows=tuple(names[:50]),
        )
    elif wide and targets:
        found, base = turned_targets(study, rows, values, np.array(sorted(targets)))
        if found is not None and base is not None and found >= _TURNED and 1 - found <= _LEFT * (1 - base):
            yield Finding(
                severity="warning",
                check="target genes in the embedding",
                evidence=f"{found:.3f} of the variance of {len(targets)} target genes can be read off "
                f"{contender.label!r} linearly ({base:.3f} off components of the other genes): it holds the genes that "
                "are to be predicted.",
                remedy="compute the embedding without the target genes, or pass the model itself.",
                columns=("read off linearly", "R² here", "R² of components of the other genes"),
                rows=((f"{len(targets)} target genes", round(found, 3), round(base, 3)),),
            )


def columns_of_genes(
    counts: sparse.csr_array, depth: np.ndarray, values: np.ndarray, *, least: float = _ALIKE
) -> list[tuple[int, int, float]]:
    """Return columns of an embedding (n, d) that are a gene, on any scale: column, gene, correlation."""
    some = np.arange(0, len(values), max(1, len(values) // _MOST_ROWS))  # a correlation of .99 needs no more
    counts, depth, values = counts[some], depth[some], values[some]
    detected = np.bincount(counts.indices, minlength=counts.shape[1])
    genes = np.argsort(-detected, kind="stable")[:_MOST_GENES]
    genes = genes[detected[genes] >= _SEEN]
    varied = np.flatnonzero(values.std(axis=0) > 0)
    if not len(genes) or not len(varied):
        return []
    raw = counts[:, genes].toarray().astype(np.float64)
    share = raw / depth[:, None]
    ranked = partial(rankdata, axis=0)
    both = [(values, np.log1p(share * np.median(depth))), (values, raw), (ranked(values), ranked(raw))]
    both.append((both[-1][0], ranked(share)))
    best = np.max([np.abs(_standard(x[:, varied]).T @ _standard(y)) for x, y in both], axis=0)
    first = best.argmax(axis=1)
    close = best[np.arange(len(varied)), first]
    return [(int(varied[k]), int(genes[first[k]]), float(min(close[k], 1.0))) for k in np.flatnonzero(close > least)]


def turned_targets(
    study: Study, rows: np.ndarray, values: np.ndarray, targets: np.ndarray
) -> tuple[float | None, float | None]:
    """Return R² of target genes of held-out patients from an embedding, and from components of the other genes."""
    others = np.setdiff1d(np.arange(len(study.genes)), targets)
    most = min(values.shape[1], _MOST_COMPONENTS)
    components = expression_space(study.counts[rows][:, others], n_components=most).values
    asked = partial(explained, groups=study.patient_codes[rows], seed=0)
    best: tuple[float | None, float | None] = (None, None)
    for wanted in _scales(study.counts[rows][:, targets].toarray(), study.depth[rows][:, None]):
        spread = wanted.std(axis=0)
        scaled = wanted[:, spread > 0] / spread[spread > 0]
        found = asked(values, scaled) if scaled.shape[1] else None
        if found is not None and (best[0] is None or found > best[0]):
            best = found, asked(components, scaled)
    return best


def _scales(raw: np.ndarray, depth: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return counts on the scales that embeddings are usually made of."""
    share = raw / depth
    return np.log1p(share * np.median(depth)), np.log1p(share * 1e4), np.log1p(raw), raw.astype(np.float64)


def _targets(study: Study, *, every_fold: bool) -> set[int]:
    """Return the positions of the target genes, of all folds or of the first."""
    chosen: set[int] = set()
    for fold in study.folds if every_fold else study.folds[:1]:
        try:
            chosen |= set(choose_targets(study, fold).tolist())
        except InputError:
            return set()  # the tasks on target genes say so themselves; others need none
    return chosen


def _standard(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean(axis=0)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=0), 1e-12))
