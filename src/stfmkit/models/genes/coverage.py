"""How much of the data a model sees."""

import warnings
from collections.abc import Mapping

import numpy as np
from scipy import sparse

from stfmkit._core.errors import StfmkitWarning
from stfmkit.models.genes.alignment import GeneMatch

LOW = 0.5
"""Share of the counts below which a warning is due."""


def counts_seen(counts: sparse.csr_array, match: GeneMatch) -> np.ndarray:
    """Return the counts of known genes and of all genes (2,)."""
    per_gene = np.asarray(counts.sum(axis=0), dtype=np.float64).ravel()
    return np.array([per_gene[np.unique(match.columns)].sum(), per_gene.sum()])


def coverage(seen: np.ndarray, match: GeneMatch, *, n_genes: int) -> dict[str, float]:
    """Return the number and share of known genes, and the share of the counts that they hold."""
    known = len(np.unique(match.columns))
    share = float(seen[0] / seen[1]) if seen[1] > 0 else 0.0
    return {"n_genes": float(known), "genes": known / n_genes, "counts": share}


def warn_of_low_coverage(found: Mapping[str, float], *, n_genes: int, what: str) -> None:
    """Warn where most of the counts are not in the vocabulary."""
    if found["counts"] < LOW:
        warnings.warn(
            f"{what!r} sees {found['n_genes']:.0f} of {n_genes} genes and {found['counts']:.0%} of the counts: most of "
            "the data are outside its vocabulary. Check the species and the kind of gene names (gene_key=,"
            " gene_table=).",
            StfmkitWarning,
            stacklevel=2,
        )
