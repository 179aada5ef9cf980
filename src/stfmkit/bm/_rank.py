"""Rank models by patient-level means, with intervals and paired tests, and say so where nothing can be tested."""

import numpy as np
import pandas as pd

from stfmkit._core.random import stream
from stfmkit.bm._rows import CONTROL, per_sample
from stfmkit.bm._stats import hierarchical_bootstrap, holm, interval, sign_flip

TEST_FROM = 6
"""Patients from which an exact sign-flip test can reach p < .05 (2 / 2**6 = .031)."""
INTERVAL_FROM = 4
"""Patients from which a bootstrap over patients says anything."""
ALPHA = 0.05
COLUMNS = [
    "task", "metric", "model", "mean", "low", "high", "n_patients", "difference", "difference_low", "difference_high",
    "wins", "p_value", "p_holm", "verdict",
]  # fmt: skip


def rank_table(table: pd.DataFrame, *, higher_is_better: dict[str, bool], n_boot: int, seed: int) -> pd.DataFrame:
    """Return one row for every task, metric and model, the best first within task and metric."""
    scores = per_sample(table[~table["model"].str.startswith(CONTROL)])
    parts = [
        _rank_one(part, higher=higher_is_better.get(str(metric), True), n_boot=n_boot, seed=seed)
        for (_, metric), part in scores.groupby(["task", "metric"], sort=False, observed=True)
    ]
    return pd.concat(parts, ignore_index=True)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)


def compare_models(table: pd.DataFrame, a: str, b: str, *, n_boot: int, seed: int) -> pd.DataFrame:
    """Return, for every task and metric, the paired difference a - b over the patients that both have."""
    scores = per_sample(table[table["model"].isin([a, b])])
    records = []
    for (task, metric), part in scores.groupby(["task", "metric"], sort=False, observed=True):
        wide = part.pivot_table(index=["patient", "sample"], columns="model", values="value", observed=True).dropna()
        if not {a, b} <= set(wide.columns) or wide.empty:
            continue
        blocks = [(group[a] - group[b]).to_numpy()[:, None] for _, group in wide.groupby("patient", observed=True)]
        records.append(
            {"task": task, "metric": metric, **_paired(blocks, stream(seed, "compare", task, metric), n_boot)}
        )
    columns = ["task", "metric", "difference", "difference_low", "difference_high", "wins", "n_patients", "p_value"]
    return pd.DataFrame(records, columns=columns)


def _paired(blocks: list[np.ndarray], rng: np.random.Generator, n_boot: int) -> dict[str, float]:
    means = np.array([block.mean() for block in blocks])
    n = len(means)
    low, high = np.nan, np.nan
    if n >= INTERVAL_FROM:
        low, high = (float(v[0]) for v in interval(hierarchical_bootstrap(blocks, n_boot=n_boot, rng=rng)))
    return {
        "difference": float(means.mean()),
        "difference_low": low,
        "difference_high": high,
        "wins": int((means > 0).sum()),
        "n_patients": n,
        "p_value": sign_flip(means, rng=rng) if n >= TEST_FROM else np.nan,
    }


def _rank_one(scores: pd.DataFrame, *, higher: bool, n_boot: int, seed: int) -> pd.DataFrame:
    """Rank the models of one task and metric; patients without a score of every model are left out of all."""
    task, metric = scores["task"].iloc[0], scores["metric"].iloc[0]
    wide = scores.pivot_table(index=["patient", "sample"], columns="model", values="value", observed=True, dropna=False)
    silent = [m for m in wide.columns if wide[m].isna().all()]
    complete = wide.drop(columns=silent).dropna()
    models = list(complete.columns)
    blocks = [group.to_numpy() for _, group in complete.groupby(level="patient", observed=True)]
    n = len(blocks)
    if n == 0:
        return pd.DataFrame(columns=COLUMNS)
    means = np.array([block.mean(axis=0) for block in blocks])
    mean = means.mean(axis=0)
    best = int(np.argmax(mean if higher else -mean))
    out = pd.DataFrame({"task": task, "metric": metric, "model": models, "mean": mean, "n_patients": n})
    out["difference"] = mean - mean[best]
    out["wins"] = (means > means[:, [best]] if higher else means < means[:, [best]]).sum(axis=0)
    out[["low", "high", "difference_low", "difference_high", "p_value", "p_holm"]] = np.nan
    if n >= INTERVAL_FROM:
        draws = hierarchical_bootstrap(blocks, n_boot=n_boot, rng=stream(seed, "rank", task, metric))
        out["low"], out["high"] = interval(draws)
        out["difference_low"], out["difference_high"] = interval(draws - draws[:, [best]])
    if n >= TEST_FROM:
        rng = stream(seed, "sign flip", task, metric)
        p = np.array(
            [np.nan if m == best else sign_flip(means[:, m] - means[:, best], rng=rng) for m in range(len(models))]
        )
        out["p_value"], out["p_holm"] = p, holm(p)
    said = [_verdict(n, len(models) - 1, p_holm=p) for p in out["p_holm"]]
    said[best] = _leader(n, [verdict for m, verdict in enumerate(said) if m != best])
    out["verdict"] = said
    out = out.sort_values(["mean", "model"], ascending=[not higher, True], kind="stable")
    for model in silent:
        out.loc[len(out)] = {"task": task, "metric": metric, "model": model, "n_patients": 0, "verdict": "no score"}
    return out


def _verdict(n_patients: int, n_tests: int, *, p_holm: float) -> str:
    patients = f"{n_patients} patient{'s' if n_patients > 1 else ''}"
    if n_patients < TEST_FROM:
        return f"cannot test: {patients}"
    if n_tests * 2 / 2**n_patients >= ALPHA:  # not even the largest difference could reach it
        return f"cannot test: {patients}, {n_tests} tests"
    return "worse than best" if p_holm < ALPHA else "indistinguishable from best"


def _leader(n_patients: int, others: list[str]) -> str:
    """Return what may be said of the best mean: "best" only where all others are worse."""
    if not others:
        return "best mean" if n_patients >= TEST_FROM else _verdict(n_patients, 0, p_holm=1.0)
    if others[0].startswith("cannot test"):  # of all or of none
        return others[0]
    return "best" if set(others) == {"worse than best"} else "best mean"
