"""Results of a comparison that never ran, for tests of the report."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from stfmkit.bm._results import Results
from stfmkit.bm.finding import Finding
from stfmkit.bm.score_table import TABLE
from stfmkit.bm.task_catalogue import catalogue
from stfmkit.evaluation.metric_keys import MetricKey

CONTENDERS = {
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
KEYS: dict[str, dict[MetricKey, tuple[bool | None, float | None]]] = {
    "niche_probe": {
        MetricKey("macro_f1", "probe=linear", "sample"): (True, 0.25),
        MetricKey("macro_f1", "probe=knn", "sample"): (True, 0.25),
        MetricKey("balanced_accuracy", "probe=linear", "sample"): (True, 0.25),
        MetricKey("balanced_accuracy", "probe=knn", "sample"): (True, 0.25),
        MetricKey("class_f1", "probe=linear", "niche"): (True, None),
    },
    "domains": {
        MetricKey("ari", "", "sample"): (True, 0.0),
        MetricKey("nmi", "", "sample"): (True, 0.0),
        MetricKey("chaos", "", "sample"): (False, None),
        MetricKey("pas", "", "sample"): (False, None),
    },
    "expression": {
        MetricKey("pearson", "", "gene"): (True, 0.0),
        MetricKey("spearman", "", "gene"): (True, 0.0),
        MetricKey("ccc", "", "gene"): (True, 0.0),
        MetricKey("q2", "", "gene"): (True, 0.0),
        MetricKey("deviance_explained", "", "gene"): (True, 0.0),
        MetricKey("partial_pearson", "", "gene"): (True, 0.0),
        MetricKey("variance_ratio", "", "gene"): (None, None),
        MetricKey("moran_ratio", "", "gene"): (None, None),
        MetricKey("pearson", "", "gene", "ceiling"): (None, None),
    },
    "niche_signatures": {
        MetricKey("adjusted_jaccard", "n=20", "niche"): (True, 0.0),
        MetricKey("jaccard", "n=10", "niche"): (True, None),
        MetricKey("jaccard", "n=20", "niche"): (True, None),
        MetricKey("jaccard", "n=50", "niche"): (True, None),
        MetricKey("rbo", "", "niche"): (True, None),
        MetricKey("specificity", "", "niche"): (True, 0.0),
    },
    "coexpression": {
        MetricKey("ssim_ordered", "window=7", "sample"): (True, None),
        MetricKey("ssim_permuted", "window=7", "sample"): (True, None),
        MetricKey("ssim_global", "", "sample"): (True, None),
        MetricKey("offdiagonal_correlation", "", "sample"): (True, 0.0),
        MetricKey("mantel_p", "", "sample"): (False, None),
        MetricKey("rv_coefficient", "", "sample"): (True, None),
        MetricKey("eigen_spectrum_distance", "", "sample"): (False, 0.0),
        MetricKey("sign_agreement", "", "sample"): (True, 0.5),
    },
}


def _example(
    *,
    n_patients: int = 6,
    n_spots: int = 60,
    tasks: tuple[str, ...] = tuple(KEYS),
    niches: tuple[str, ...] = ("tumour", "stroma", "immune", "fat"),
    contenders: tuple[str, ...] | None = None,
    skills: dict[str, float] | None = None,
    hostile: str | None = None,
    split: str = "PatientKFold",
    observations: bool = True,
    seed: int = 0,
) -> Results:
    """Return plausible results; `hostile` is put into the name of a contender, patient, sample, niche and gene."""
    rng = np.random.default_rng(seed)
    skills = skills or {}
    wanted = CONTENDERS if contenders is None else contenders
    compared = {c: skills.get(c, skill) for c, skill in CONTENDERS.items() if c in wanted}
    controls = {c: skills.get(c, skill) for c, skill in CONTROLS.items()}
    if hostile is not None:
        compared[f"model {hostile}"] = compared.pop("random")
        niches = (*niches[:-1], f"niche {hostile}")
    patients = [f"P{p + 1}" for p in range(n_patients)]
    if hostile is not None:
        patients[-1] = f"patient {hostile}"
    samples = [(p, f"{p}_S{s + 1}") for i, p in enumerate(patients) for s in range(2 if i % 2 == 0 else 1)]
    genes = [f"GENE{g + 1}" for g in range(30)]
    if hostile is not None:
        genes[0] = f"gene {hostile}"
    table = _table(rng, tasks, compared, controls, samples, niches, genes)
    frame = _observations(rng, tasks, compared, samples, niches, n_spots) if observations else _observations_none()
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
        meta=_meta(tasks, compared, split, n_patients, len(samples), len(samples) * n_spots),
        findings=[
            Finding(severity="info", check="coverage", evidence="300 genes.", remedy=""),
            Finding(
                severity="error",
                check="duplicate counts",
                evidence=f"2 pairs of samples share counts: {hostile or 'P1_S1, P2_S1'}.",
                remedy="drop one of each pair.",
            ),
            Finding(severity="warning", check="labels", evidence="fat is rare in P4.", remedy="merge it."),
        ],
        protocol_id="0123456789ab",
    )


def _table(rng, tasks, contenders, controls, samples, niches, genes) -> pd.DataFrame:
    effect = {p: rng.normal(0, 0.04) for p in dict.fromkeys(p for p, _ in samples)}
    rows = []
    for task in tasks:
        for key, (higher, _) in KEYS[task].items():
            names = {"control:thinned": 0.4} if key.status == "ceiling" else {**contenders, **controls}
            sign = -1 if higher is False else 1
            for name, skill in names.items():
                for patient, sample in samples:
                    groups = [("", n) for n in niches] if key.scope == "niche" else [("", "")]
                    groups = [(g, "") for g in genes] if key.scope == "gene" else groups
                    for i, (gene, niche) in enumerate(groups):
                        value = 0.35 + sign * (skill + effect[patient]) + 0.01 * (i % 7) + rng.normal(0, 0.01)
                        undefined = task == "expression" and rng.random() < 0.01
                        where = {"fold": sorted(effect).index(patient) % 5, "patient": patient, "sample": sample}
                        where |= {"gene": gene, "niche": niche, "value": np.nan if undefined else value}
                        rows.append({"task": task, **key._asdict(), "contender": name, **where})
    table = pd.DataFrame(rows).assign(reason="", protocol_id="0123456789ab")
    table["seconds"] = table["contender"].str.len() / 7 * (1 + table["fold"])
    return table[list(TABLE)]


def _observations(rng, tasks, contenders, samples, niches, n_spots) -> pd.DataFrame:
    parts = []
    for patient, sample in samples:
        xy = rng.uniform(0, 3000, (n_spots, 2))
        turn = rng.uniform(0, 3)
        truth = np.array(niches)[np.clip((xy[:, 0] + 500 * np.sin(xy[:, 1] / 500 + turn)) // 800, 0, 3).astype(int)]
        for task in ("niche_probe", "expression"):
            if task not in tasks:
                continue
            for name, skill in contenders.items():
                wrong = rng.random(n_spots) > 0.6 + skill
                guess = np.where(wrong, rng.choice(niches, n_spots), truth)
                probe = task == "niche_probe"
                parts.append(
                    pd.DataFrame(
                        {
                            "task": task,
                            "contender": name,
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
    names = ["task", "contender", "obs_name", "patient", "sample", "fold", "x", "y", "truth", "predicted", "score"]
    return pd.DataFrame({name: pd.Series(dtype=float if name in {"x", "y", "score"} else object) for name in names})


def _meta(tasks, contenders, split, n_patients, n_samples, n_obs) -> dict[str, Any]:
    return {
        "created": "2026-11-20T12:00:00+00:00",
        "versions": {"stfmkit": "0.1.0", "numpy": "2.4.6"},
        "data": {
            "holds_out": "patient" if split.startswith("Patient") else "block",
            "n_obs": n_obs,
            "n_genes": 300,
            "n_patients": n_patients,
            "n_samples": n_samples,
            "fingerprint": "f" * 64,
        },
        "contenders": {
            name: {
                "family": "baseline",
                "role": "control" if name in {"coordinates", "library_size"} else "baseline",
                "reads_expression": name in {"library_size", "hvg_pca", "neighbor_pca"},
                "summary": "A model made for tests.",
                "fits": name.endswith("pca"),
                "uses_neighbors": name.startswith("neighbor"),
                "dimension": None,
                "licence": "BSD-3-Clause",
                "commercial": True,
                "source": "",
                "options": {},
            }
            for name in contenders
        },
        "references": {name: name if name in contenders else None for name in ("coordinates", "library_size")},
        "seconds_total": 75.2,
        "tasks": {
            name: {**catalogue.find(name).describe(), "primary": next(iter(KEYS[name]))._asdict()} for name in tasks
        },
        "metrics": [
            {
                **key._asdict(),
                "title": " ".join([key.metric.replace("_", " "), key.setting.partition("=")[2]]).strip(),
                "higher_is_better": higher,
                "bounds": [0.0, 1.0],
                "chance": chance,
                "source": "a paper",
                "summary": "What it says.",
            }
            for name in tasks
            for key, (higher, chance) in KEYS[name].items()
        ],
        "folds": {"0": {"target_genes": ["GENE1", "GENE2"]}},
    }


@pytest.fixture(scope="session")
def example_results():
    """Maker of results; see `_example`."""
    return _example
