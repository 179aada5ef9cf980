"""How to read the metrics of the long table."""

from typing import Any

from stfmkit.metrics._registry import spec

# name in the table: name in sk.metrics, title where it says more
_NAMES = {
    "rbo": ("rank_biased_overlap", "Rank-biased overlap"),
    "offdiagonal_pearson": ("offdiagonal_correlation", "Off-diagonal Pearson r"),
    "rv": ("rv_coefficient", "RV coefficient"),
    "eigen_distance": ("eigen_spectrum_distance", "Eigen-spectrum distance"),
    "pearson_ceiling": ("pearson_ceiling", "Ceiling of Pearson r"),
}
_PROBES = {"linear": "linear probe", "knn": "kNN probe"}
_DESCRIPTIONS = {
    "mantel_p": ("Mantel p", "Share of gene permutations with an off-diagonal correlation as large."),
    "share_undefined": ("Genes without variance", "Share of genes that are constant in truth or prediction, left out."),
}


def metric_facts(names: list[str]) -> dict[str, dict[str, Any]]:
    """Return title, direction, bounds, chance level, source and summary of every metric named, ready for JSON."""
    return {name: _facts(name) for name in names}


def _facts(name: str) -> dict[str, Any]:
    if name in _DESCRIPTIONS:
        title, summary = _DESCRIPTIONS[name]
        return {
            "title": title,
            "higher_is_better": None,
            "bounds": [0.0, 1.0],
            "chance": None,
            "source": "stfmkit documentation",
            "summary": summary,
        }
    base, _, last = name.rpartition("_")
    known, title = _NAMES.get(name, (name, ""))
    if last in _PROBES:
        known, title = base, f"{spec(base).title}, {_PROBES[last]}"
    elif last.isdigit():
        known = {"specificity": "signature_specificity"}.get(base, base)
        title = f"{spec(known).title} @{last}"
    facts = spec(known)
    return {
        "title": title or facts.title,
        "higher_is_better": facts.higher_is_better,
        "bounds": list(facts.bounds),
        "chance": facts.chance,
        "source": facts.source,
        "summary": facts.summary,
    }
