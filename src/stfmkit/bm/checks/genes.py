"""Genes that should not be there, or stand there twice."""

from collections.abc import Iterator

import numpy as np

from stfmkit._core.arguments import listed
from stfmkit._core.random import stream
from stfmkit.bm.checks.duplicates import row_hashes
from stfmkit.bm.finding import Finding
from stfmkit.bm.study import Study
from stfmkit.pp._controls import control_names

_SEEN = 20
"""Observations with a count from which two equal genes are no accident."""
_ALIKE = 0.99
"""Correlation of size-normalised log counts; measured at most .97 between real genes, 1.00 between a gene and its copy
and .99 where 1 % of the counts of the copy differ."""
_MOST_GENES, _MOST_ROWS, _SKETCH = 6000, 2000, 256


def controls_left(study: Study) -> Iterator[Finding]:
    """Find control probes among the genes."""
    left = study.genes[control_names(study.genes.astype(str))]
    if len(left):
        yield Finding(
            severity="warning",
            check="control probes among the genes",
            evidence=f"{len(left)} control features: {listed(left, most=4)}.",
            remedy="drop them: sk.pp.bin does, or adata[:, ~control].",
        )


def silent_genes(study: Study) -> Iterator[Finding]:
    """Find genes without any count."""
    silent = np.bincount(study.counts.indices, minlength=len(study.genes)) == 0
    if silent.any():
        yield Finding(
            severity="warning",
            check="genes without any count",
            evidence=f"{int(silent.sum())} of {len(silent)} genes: {listed(study.genes[silent], most=4)}.",
            remedy="they are never a target and carry nothing; drop them with sc.pp.filter_genes(adata, min_counts=1).",
        )


def twins(study: Study) -> Iterator[Finding]:
    """Find genes that stand under two names, so that a target can be read off its twin."""
    pairs = sorted({*_equal(study), *_alike(study)}, key=lambda pair: (-pair[2], pair[:2]))
    if not pairs:
        return
    names = study.genes.astype(str)
    targets = set(study.protocol.target_genes or ())
    seen = [(names[a], names[b], round(r, 4)) for a, b, r in pairs]
    leaks = [row for row in seen if (row[0] in targets) != (row[1] in targets)]
    shown = [f"{first} = {second}" for first, second, _ in (leaks or seen)]
    yield Finding(
        severity="error" if leaks else "warning",
        check="gene under two names",
        evidence=f"{len(leaks or seen)} pairs of genes with the same counts, or correlated above {_ALIKE}: "
        f"{listed(shown, most=4)}"
        + ("; one of them is a target and the other is shown to the models." if leaks else "."),
        remedy="keep one of each pair; a target must not be visible under another name.",
        columns=("gene", "twin", "correlation"),
        rows=tuple(seen[:50]),
    )


def _equal(study: Study) -> list[tuple[int, int, float]]:
    """Return pairs of genes with exactly the same counts."""
    by_gene = study.counts.T.tocsr()
    seen = np.flatnonzero(np.diff(by_gene.indptr) >= _SEEN)
    hashes = row_hashes(by_gene)[seen]
    order = np.argsort(hashes, kind="stable")
    same = np.flatnonzero(hashes[order][1:] == hashes[order][:-1])
    pairs = np.sort(np.column_stack([seen[order[same]], seen[order[same + 1]]]), axis=1)
    return [(int(first), int(second), 1.0) for first, second in pairs]


def _alike(study: Study) -> list[tuple[int, int, float]]:
    """Return pairs of genes that are correlated above the threshold, found through a sketch of all genes."""
    rng = stream(study.protocol.rng, "audit", "twins")
    n = len(study.depth)
    rows = np.sort(rng.choice(n, min(n, _MOST_ROWS), replace=False))
    part = study.counts[rows].astype(np.float32)
    detected = np.bincount(part.indices, minlength=part.shape[1])
    genes = np.flatnonzero(detected >= max(_SEEN, 0.02 * len(rows)))
    genes = np.sort(genes[np.argsort(-detected[genes], kind="stable")[:_MOST_GENES]])
    if len(genes) < 2:
        return []
    depth = study.depth[rows].astype(np.float32)
    values = np.log1p(part[:, genes].toarray() / (depth / depth.mean())[:, None])
    values -= values.mean(axis=0)
    values /= np.maximum(np.linalg.norm(values, axis=0), 1e-12)
    sketch = rng.standard_normal((min(_SKETCH, len(rows)), len(rows)), dtype=np.float32) @ values
    sketch /= np.linalg.norm(sketch, axis=0)
    found = []
    for start in range(0, len(genes), 1000):
        close = np.argwhere(sketch[:, start : start + 1000].T @ sketch > 0.9)
        close[:, 0] += start
        for first, second in close:
            if first < second:
                r = float(values[:, first] @ values[:, second])
                if r > _ALIKE:
                    found.append((int(genes[first]), int(genes[second]), round(min(r, 1.0), 4)))
    return found
