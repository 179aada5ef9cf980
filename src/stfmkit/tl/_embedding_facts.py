"""The record of how an embedding was made."""

from typing import Any

import numpy as np

from stfmkit._data.write import package_versions
from stfmkit.models._base import Block, EmbeddingModel
from stfmkit.models._options import options_of
from stfmkit.models._streamed import StreamedBlock


def embedding_facts(model: EmbeddingModel, block: Block | StreamedBlock, dimension: int) -> dict[str, Any]:
    """Return model, licence, options, weights, gene coverage, versions and peak memory, ready for ``uns``."""
    card = model.card
    facts: dict[str, Any] = {
        "model": card.name,
        "target": card.target,
        "family": card.family,
        "licence": card.licence,
        "commercial": "not known" if card.commercial is None else card.commercial,
        "source": card.source,
        "options": options_of(model),
        "dimension": dimension,
        "n_obs": block.n_obs,
        "versions": package_versions("anndata", "numpy", "scipy"),
        "peak_memory_mb": _peak_memory_mb(),
    }
    loaded = getattr(model, "provenance", None)
    if loaded is not None:
        facts["provenance"] = dict(loaded)
        facts["versions"] |= package_versions("torch")
    coverage = dict(getattr(model, "coverage", {})) or _coverage(model, block)
    return facts | ({"gene_coverage": coverage} if coverage else {})


def _coverage(model: EmbeddingModel, block: Block | StreamedBlock) -> dict[str, Any]:
    if not isinstance(block, Block) or block.counts is None or block.genes is None:
        return {}
    used = getattr(model, "genes_used", block.genes)
    held = block.genes.isin(used)
    per_gene = np.asarray(block.counts.sum(axis=0), dtype=np.float64).ravel()
    return {
        "n_genes": int(held.sum()),
        "genes": float(held.mean()),
        "counts": float(per_gene[held].sum() / per_gene.sum()),
    }


def _peak_memory_mb() -> float:
    """Highest resident memory of this process so far; NaN where the system does not tell."""
    import sys

    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
