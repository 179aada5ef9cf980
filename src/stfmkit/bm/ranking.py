"""Rank contenders by patient-level means, with intervals and paired tests, and say so where nothing can be tested."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from stfmkit._core.random import stream
from stfmkit.bm.contenders import CONTROL
from stfmkit.evaluation.averages import per_sample
from stfmkit.evaluation.metric_keys import KEY

TEST_FROM = 6
"""Patients from which an exact sign-flip test can reach p < .05 (2 / 2**6 = .031)."""
INTERVAL_FROM = 4
"""Patients from which a bootstrap over patients says anything."""
ALPHA = 0.05
COLUMNS = [
    "task", *KEY, "contender", "mean", "low", "high", "n_patients", "difference", "difference_low", "difference_high",
    "wins", "p_value", "p_holm", "verdict",
]  # fmt: skip


def rank_table(table: pd.DataFrame, *, higher_is_better: bool | None, n_boot: int, seed: int) -> pd.DataFrame:
    """Return one row for every contender in the rows of one metric of one task, the best first.

    Parameters
    ----------
    table
        Rows of one task, metric, setting, scope and status; controls among them are left out.
    higher_is_better
        Direction; None counts as True.
    """
    scores = per_sample(table[~table["contender"].str.startswith(CONTROL)])
    if scores.empty:
        return pd.DataFrame(columns=COLUMNS)
    return _rank(scores, higher=higher_is_better is not False, n_boot=n_boot, seed=seed)[COLUMNS]


def compare_contenders(table: pd.DataFrame, a: str, b: str, *, n_boot: int, seed: int) -> dict[str, float] | None:
    """Return the paired difference a - b in the rows of one metric, over the patients that both have; None without."""
    scores = per_sample(table[table["contender"].isin([a, b])])
    wide = scores.pivot_table(index=["patient", "sample"], columns="contender", values="value", observed=True).dropna()
    if not {a, b} <= set(wide.columns) or wide.empty:
        return None
    blocks = [(group[a] - group[b]).to_numpy()[:, None] for _, group in wide.groupby("patient", observed=True)]
    return _paired(blocks, stream(seed, "compare", *scores[["task", *KEY]].iloc[0]), n_boot)


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


def _rank(scores: pd.DataFrame, *, higher: bool, n_boot: int, seed: int) -> pd.DataFrame:
    """Rank the contenders of one task and metric; patients without a score of every contender are left out of all."""
    key = scores[["task", *KEY]].iloc[0].to_dict()
    wide = scores.pivot_table(
        index=["patient", "sample"], columns="contender", values="value", observed=True, dropna=False
    )
    silent = [name for name in wide.columns if wide[name].isna().all()]
    complete = wide.drop(columns=silent).dropna()
    names = list(complete.columns)
    blocks = [group.to_numpy() for _, group in complete.groupby(level="patient", observed=True)]
    n = len(blocks)
    if n == 0 or not names:  # no contender has any score
        return pd.DataFrame(columns=COLUMNS)
    means = np.array([block.mean(axis=0) for block in blocks])
    mean = means.mean(axis=0)
    best = int(np.argmax(mean if higher else -mean))
    out = pd.DataFrame({**key, "contender": names, "mean": mean, "n_patients": n})
    out["difference"] = mean - mean[best]
    out["wins"] = (means > means[:, [best]] if higher else means < means[:, [best]]).sum(axis=0)
    out[["low", "high", "difference_low", "difference_high", "p_value", "p_holm"]] = np.nan
    if n >= INTERVAL_FROM:
        draws = hierarchical_bootstrap(blocks, n_boot=n_boot, rng=stream(seed, "rank", *key.values()))
        out["low"], out["high"] = interval(draws)
        out["difference_low"], out["difference_high"] = interval(draws - draws[:, [best]])
    if n >= TEST_FROM:
        rng = stream(seed, "sign flip", *key.values())
        p = np.array(
            [np.nan if m == best else sign_flip(means[:, m] - means[:, best], rng=rng) for m in range(len(names))]
        )
        out["p_value"], out["p_holm"] = p, holm(p)
    said = [_verdict(n, len(names) - 1, p_holm=p) for p in out["p_holm"]]
    said[best] = _leader(n, [verdict for m, verdict in enumerate(said) if m != best])
    out["verdict"] = said
    out = out.sort_values(["mean", "contender"], ascending=[not higher, True], kind="stable")
    for name in silent:
        out.loc[len(out)] = {**key, "contender": name, "n_patients": 0, "verdict": "no score"}
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


_EXACT_UP_TO = 20
_MONTE_CARLO = 100_000


def hierarchical_bootstrap(patients: Sequence[np.ndarray], *, n_boot: int, rng: np.random.Generator) -> np.ndarray:
    """Draw patients, then their samples, with replacement, and average; every model gets the same draws.

    Parameters
    ----------
    patients
        For every patient the scores (n_samples, n_models); NaN where a model has no score.
    n_boot
        Number of draws.

    Returns
    -------
    Mean over the drawn patients (n_boot, n_models).
    """
    n = len(patients)
    drawn = rng.integers(n, size=(n_boot, n))
    sums = np.zeros((n_boot, patients[0].shape[1]))
    for p, scores in enumerate(patients):
        draw, _ = np.nonzero(drawn == p)
        slides = rng.integers(len(scores), size=(len(draw), len(scores)))
        np.add.at(sums, draw, scores[slides].mean(axis=1))
    return sums / n


def interval(draws: np.ndarray, *, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Return the percentile interval of bootstrap draws (n_boot, …) along the first axis."""
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(draws, [tail, 100 - tail], axis=0)
    return low, high


def sign_flip(differences: np.ndarray, *, rng: np.random.Generator) -> float:
    """Return the two-sided p of paired differences (n,) under random signs; exact up to 20 patients.

    With n patients the smallest possible p is 2 / 2**n.
    """
    n = len(differences)
    observed = abs(differences.sum())
    tolerance = 1e-12 * np.abs(differences).sum()
    if n <= _EXACT_UP_TO:
        bits = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        totals = np.abs((1 - 2 * bits) @ differences)
        return float((totals >= observed - tolerance).mean())
    signs = rng.choice(np.array([-1.0, 1.0]), size=(_MONTE_CARLO, n))
    hits = int((np.abs(signs @ differences) >= observed - tolerance).sum())
    return (hits + 1) / (_MONTE_CARLO + 1)


def holm(p_values: np.ndarray) -> np.ndarray:
    """Return p-values adjusted by Holm 1979 (Scand J Stat 6:65); NaN stays NaN and does not count."""
    adjusted = np.full(len(p_values), np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    steps = p_values[order] * (len(order) - np.arange(len(order)))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
