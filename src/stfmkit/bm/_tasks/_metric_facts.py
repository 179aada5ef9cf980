"""How to read the metrics of the long table."""

from typing import Any

from stfmkit.bm._ceilings import CEILING, OF_CEILING, is_ceiling
from stfmkit.bm._tasks._cohort_signatures import COHORT
from stfmkit.metrics._catalogue import spec

# name in the table: name in sk.metrics, title where it says more
_NAMES = {
    "offdiagonal_pearson": ("offdiagonal_correlation", "Off-diagonal Pearson r"),
    "rv": ("rv_coefficient", "RV coefficient"),
    "eigen_distance": ("eigen_spectrum_distance", "Eigen-spectrum distance"),
    "fold_change_correlation": ("signature_fold_change_correlation", "Fold changes, Spearman ρ"),
}
_SIZED = {"specificity": "signature_specificity", "ranking_auroc": "signature_ranking_auroc"}
_PROBES = {"linear": "linear probe", "knn": "kNN probe"}
_UNIT = (0.0, 1.0)
_DESCRIPTIONS = {
    "mantel_p": ("Mantel p", _UNIT, "Share of gene permutations with an off-diagonal correlation as large."),
    "share_undefined": (
        "Genes without variance",
        _UNIT,
        "Share of genes that are constant in truth or prediction, left out.",
    ),
    "n_true": ("Genes in the true signature", (0.0, None), "How many genes mark the niche in the measured counts."),
}


def metric_facts(names: list[str]) -> dict[str, dict[str, Any]]:
    """Return title, direction, bounds, chance level, source and summary of every metric named, ready for JSON."""
    return {name: _facts(name) for name in names}


def _facts(name: str) -> dict[str, Any]:
    if name.startswith(COHORT):
        facts = _facts(name.removeprefix(COHORT))
        summary = f"{facts['summary']} Of all patients together, on the genes that every fold predicts."
        return facts | {"title": f"{facts['title']}, cohort", "summary": summary}
    if name.endswith(OF_CEILING):
        facts = _facts(name.removesuffix(OF_CEILING))
        return facts | {
            "title": f"{facts['title']}, of ceiling",
            "bounds": [None, None],
            "chance": 0.0,
            "source": "stfmkit documentation",
            "summary": "The score as a share of what two halves of the counts allow; 0 is chance, 1 the ceiling.",
        }
    if is_ceiling(name) and name != "pearson_ceiling":  # which has a definition of its own
        facts = _facts(name.removesuffix(CEILING))
        return facts | {
            "title": f"Ceiling of {facts['title']}",
            "higher_is_better": None,
            "chance": None,
            "source": "stfmkit documentation; thinning: Neufeld et al. 2022, Biostatistics kxac047",
            "summary": "What one half of the counts scores as a prediction of the other; on the low side.",
        }
    base, _, last = name.rpartition("_")
    sized = last.isdigit()
    if name in _DESCRIPTIONS or (sized and base in _DESCRIPTIONS):
        return _described(*_DESCRIPTIONS[base if sized else name], size=last if sized else "")
    known, title = _NAMES.get(name, (name, ""))
    if last in _PROBES:
        known, title = base, f"{spec(base).title}, {_PROBES[last]}"
    elif sized:
        known = _SIZED.get(base, base)
        title = f"{spec(known).title} @{last}"
    about = spec(known)
    return {
        "title": title or about.title,
        "higher_is_better": about.higher_is_better,
        "bounds": list(about.bounds),
        "chance": about.chance,
        "source": about.source,
        "summary": about.summary,
    }


def _described(title: str, bounds: tuple[float, float | None], summary: str, *, size: str) -> dict[str, Any]:
    return {
        "title": f"{title} @{size}" if size else title,
        "higher_is_better": None,
        "bounds": list(bounds),
        "chance": None,
        "source": "stfmkit documentation",
        "summary": summary,
    }
