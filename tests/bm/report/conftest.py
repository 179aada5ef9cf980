"""Results of a comparison that never ran, for tests of the report."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from stfmkit.bm._results import Results

MODELS = {
    "neighbor_pca": 0.22,
    "hvg_pca": 0.17,
    "celltype_composition": 0.12,
    "coordinates": 0.03,
    "library_size": 0.01,
    "random_smooth": 0.0,
    "random": -0.02,
}
CONTROLS = {
    "control:truth": 0.6,
    "control:thinned": 0.45,
    "control:mean": -0.2,
    "control:shuffled": -0.15,
    "control:coordinates": -0.05,
}
METRICS: dict[str, dict[str, tuple[bool | None, float | None]]] = {
    "niche_probe": {
        "macro_f1_linear": (True, 0.25),
        "macro_f1_knn": (True, 0.25),
        "balanced_accuracy_linear": (True, 0.25),
        "balanced_accuracy_knn": (True, 0.25),
        "class_f1_linear": (True, None),
    },
    "domains": {"ari": (True, 0.0), "nmi": (True, 0.0), "chaos": (False, None), "pas": (False, None)},
    "expression": {
        "pearson": (True, 0.0),
        "spearman": (True, 0.0),
        "ccc": (True, 0.0),
        "q2": (True, 0.0),
        "deviance_explained": (True, 0.0),
        "partial_pearson": (True, 0.0),
        "variance_ratio": (None, None),
        "moran_ratio": (None, None),
        "pearson_ceiling": (None, None),
    },
    "niche_signatures": {
        "adjusted_jaccard_20": (True, 0.0),
        "jaccard_10": (True, None),
        "jaccard_20": (True, None),
        "jaccard_50": (True, None),
        "rbo": (True, None),
        "specificity": (True, 0.0),
    },
    "coexpression": {
        "ssim_ordered": (True, None),
        "ssim_permuted": (True, None),
        "ssim_global": (True, None),
        "offdiagonal_pearson": (True, 0.0),
        "mantel_p": (False, None),
        "rv": (True, None),
        "eigen_distance": (False, 0.0),
        "sign_agreement": (True, 0.5),
    },
}
BY_NICHE = {"class_f1_linear", *METRICS["niche_signatures"]}


def _example(
    *,
    n_patients: int = 6,
    n_spots: int = 60,
    tasks: tuple[str, ...] = tuple(METRICS),
    niches: tuple[str, ...] = ("tumour", "stroma", "immune", "fat"),
    models: tuple[str, ...] | None = None,
    skills: dict[str, float] | None = None,
    hostile: str | None = None,
    split: str = "PatientKFold",
    observations: bool = True,
    seed: int = 0,
) -> Results:
    """Return plausible results; `hostile` is put into the name of a model, patient, sample, niche and gene."""
    rng = np.random.default_rng(seed)
    skills = skills or {}
    models = {m: skills.get(m, skill) for m, skill in MODELS.items() if m in (MODELS if models is None else models)}
    controls = {c: skills.get(c, skill) for c, skill in CONTROLS.items()}
    if hostile is not None:
        models[f"model {hostile}"] = models.pop("random")
        niches = (*niches[:-1], f"niche {hostile}")
    patients = [f"P{p + 1}" for p in range(n_patients)]
    if hostile is not None:
        patients[-1] = f"patient {hostile}"
    samples = [(p, f"{p}_S{s + 1}") for i, p in enumerate(patients) for s in range(2 if i % 2 == 0 else 1)]
    genes = [f"GENE{g + 1}" for g in range(30)]
    if hostile is not None:
        genes[0] = f"gene {hostile}"
    table = _table(rng, tasks, models, controls, samples, niches, genes)
    frame = _observations(rng, tasks, models, samples, niches, n_spots) if observations else _observations_none()
    return Results(
        table=table,
        observations=frame,
        protocol={
            "patient_key": "patient",
            "sample_key": "sample",
            "label_key": "niche",
            "target_genes": None,
            "n_target_genes": 30,
            "rng": 0,
            "linear_c": [0.01, 1.0],
            "microns_per_unit": None,
            "split": {"name": split, "n_splits": 5},
        },
        meta=_meta(tasks, models, n_patients, len(samples), len(samples) * n_spots),
        findings=[
            {"severity": "info", "check": "coverage", "evidence": "300 genes.", "remedy": ""},
            {
                "severity": "error",
                "check": "duplicate counts",
                "evidence": f"2 pairs of samples share counts: {hostile or 'P1_S1, P2_S1'}.",
                "remedy": "drop one of each pair.",
            },
            {"severity": "warning", "check": "labels", "evidence": "fat is rare in P4.", "remedy": "merge it."},
        ],
        protocol_id="0123456789ab",
    )


def _table(rng, tasks, models, controls, samples, niches, genes) -> pd.DataFrame:
    effect = {p: rng.normal(0, 0.04) for p in dict.fromkeys(p for p, _ in samples)}
    rows = []
    for task in tasks:
        for metric, (higher, _) in METRICS[task].items():
            names = {"control:thinned": 0.4} if metric == "pearson_ceiling" else {**models, **controls}
            sign = -1 if higher is False else 1
            for model, skill in names.items():
                for patient, sample in samples:
                    groups = [("", n) for n in niches] if metric in BY_NICHE else [("", "")]
                    groups = [(g, "") for g in genes] if task == "expression" else groups
                    for i, (gene, niche) in enumerate(groups):
                        value = 0.35 + sign * (skill + effect[patient]) + 0.01 * (i % 7) + rng.normal(0, 0.01)
                        undefined = task == "expression" and rng.random() < 0.01
                        fold = sorted(effect).index(patient) % 5
                        rows.append(
                            (task, metric, model, fold, patient, sample, gene, niche, np.nan if undefined else value)
                        )
    columns = ["task", "metric", "model", "fold", "patient", "sample", "gene", "niche", "value"]
    table = pd.DataFrame(rows, columns=columns)
    table["seconds"] = table["model"].str.len() / 7 * (1 + table["fold"])
    return table.assign(protocol_id="0123456789ab")


def _observations(rng, tasks, models, samples, niches, n_spots) -> pd.DataFrame:
    parts = []
    for patient, sample in samples:
        xy = rng.uniform(0, 3000, (n_spots, 2))
        turn = rng.uniform(0, 3)
        truth = np.array(niches)[np.clip((xy[:, 0] + 500 * np.sin(xy[:, 1] / 500 + turn)) // 800, 0, 3).astype(int)]
        for task in ("niche_probe", "expression"):
            if task not in tasks:
                continue
            for model, skill in models.items():
                wrong = rng.random(n_spots) > 0.6 + skill
                guess = np.where(wrong, rng.choice(niches, n_spots), truth)
                probe = task == "niche_probe"
                parts.append(
                    pd.DataFrame(
                        {
                            "task": task,
                            "model": model,
                            "obs_name": [f"{sample}_{i}" for i in range(n_spots)],
                            "patient": patient,
                            "sample": sample,
                            "fold": 0,
                            "x": xy[:, 0],
                            "y": xy[:, 1],
                            "truth": truth if probe else "",
                            "predicted": guess if probe else "",
                            "score": (guess == truth).astype(float)
                            if probe
                            else np.clip(
                                0.4 + skill + 0.2 * np.sin(xy[:, 0] / 600) + rng.normal(0, 0.1, n_spots), -1, 1
                            ),
                        }
                    )
                )
    return pd.concat(parts, ignore_index=True) if parts else _observations_none()


def _observations_none() -> pd.DataFrame:
    names = ["task", "model", "obs_name", "patient", "sample", "fold", "x", "y", "truth", "predicted", "score"]
    return pd.DataFrame({name: pd.Series(dtype=float if name in {"x", "y", "score"} else object) for name in names})


def _meta(tasks, models, n_patients, n_samples, n_obs) -> dict[str, Any]:
    needs = {
        "coordinates": ["coordinates"],
        "library_size": ["counts"],
        "celltype_composition": ["composition"],
        "hvg_pca": ["counts"],
        "neighbor_pca": ["counts", "coordinates"],
    }
    return {
        "created": "2026-11-20T12:00:00+00:00",
        "versions": {"stfmkit": "0.1.0", "numpy": "2.4.6"},
        "data": {
            "n_obs": n_obs,
            "n_genes": 300,
            "n_patients": n_patients,
            "n_samples": n_samples,
            "fingerprint": "f" * 64,
        },
        "models": {
            m: {
                "family": "baseline",
                "summary": "A model made for tests.",
                "needs": needs.get(m, ["nothing"]),
                "fits": m.endswith("pca"),
                "uses_neighbors": m.startswith("neighbor"),
                "dimension": None,
                "licence": "BSD-3-Clause",
                "commercial": True,
                "source": "",
                "options": {},
            }
            for m in models
        },
        "seconds_total": 75.2,
        "tasks": {
            t: {"summary": f"What {t} asks.", "primary": next(iter(METRICS[t])), "higher_is_better": True}
            for t in tasks
        },
        "metrics": {
            m: {
                "title": m.replace("_", " "),
                "higher_is_better": higher,
                "bounds": [0.0, 1.0],
                "chance": chance,
                "source": "a paper",
            }
            for t in tasks
            for m, (higher, chance) in METRICS[t].items()
        },
    }


@pytest.fixture(scope="session")
def example_results():
    """Maker of results; see `_example`."""
    return _example
