"""The record of how an embedding was made."""

from typing import Any

from stfmkit._data.write import package_versions
from stfmkit.models.options import as_stored
from stfmkit.models.runtime.run import ModelRun


def embedding_facts(run: ModelRun, *, n_obs: int, dimension: int) -> dict[str, Any]:
    """Return model, licence, options, seed, weights, gene coverage, versions and peak memory, ready for ``uns``."""
    model, card = run.model, run.model.card
    facts: dict[str, Any] = {
        "model": card.name,
        "target": card.target,
        "family": card.family,
        "licence": card.licence,
        "commercial": card.commercial,
        "source": card.source,
        "options": as_stored(model.options()),
        "rng": model.rng,
        "dimension": dimension,
        "n_obs": n_obs,
        "n_obs_fitted": run.n_fitted,
        "seconds": run.seconds,
        "versions": package_versions("anndata", "numpy", "scipy"),
        "peak_memory_mb": _peak_memory_mb(),
    }
    loaded = model.record()
    if loaded is not None:
        facts["provenance"] = loaded
        facts["versions"] |= package_versions("torch")
    return facts | ({"gene_coverage": run.coverage} if run.coverage else {})


def _peak_memory_mb() -> float:
    """Highest resident memory of this process so far; NaN where the system does not tell."""
    import sys

    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
