"""Contenders over all tasks: mean ranks over patients, with one test of all pairs."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from stfmkit._core.random import stream
from stfmkit.bm.ranking import verdicts
from stfmkit.evaluation.best_set import best_set, rank_intervals
from stfmkit.evaluation.mean_ranks import friedman_p, patient_ranks
from stfmkit.evaluation.sign_flips import TEST_FROM, critical_difference, flipped_pairs

COLUMNS = [
    "contender", "mean_rank", "n_tasks", "n_patients", "p_value", "rank_low", "rank_high", "in_best_set",
    "critical_difference", "friedman_p", "tasks", "verdict",
]  # fmt: skip


def mean_rank_table(tasks: Mapping[str, pd.DataFrame], *, seed: int) -> pd.DataFrame:
    """Return one row for every contender that takes part in all tasks that are compared, the best first.

    Where contenders take part in different tasks, those with the most tasks are looked for, then the tasks that all of
    them have, then the contenders that have all these tasks.

    Parameters
    ----------
    tasks
        For every task the scores (patients × contenders); higher is better. Only patients with a score of every
        contender in every task count.
    seed
        Of the random orders, and of random signs where there are too many patients to try all.

    Returns
    -------
    The columns of `COLUMNS`; no row with less than two tasks, two contenders or one patient. ``attrs["left_out"]``:
    the tasks that each contender lacks which is not compared.
    """
    chosen, names = _comparable(tasks)
    found = _ranked(tasks, chosen, names, seed=seed)
    found.attrs["left_out"] = _left_out(tasks, names)
    return found


def _left_out(tasks: Mapping[str, pd.DataFrame], names: Sequence[str]) -> dict[str, list[str]]:
    known = dict.fromkeys(str(name) for scores in tasks.values() for name in scores.columns)
    return {
        name: [task for task, scores in tasks.items() if name not in scores.columns]
        for name in known
        if name not in names
    }


def _ranked(tasks: Mapping[str, pd.DataFrame], chosen: Sequence[str], names: list[str], *, seed: int) -> pd.DataFrame:
    parts = [tasks[task].reindex(columns=names).dropna() for task in chosen]
    patients = sorted(set.intersection(*(set(part.index) for part in parts))) if parts else []
    if len(chosen) < 2 or len(names) < 2 or not patients:
        return pd.DataFrame(columns=COLUMNS)
    ranks = patient_ranks(np.stack([part.loc[patients].to_numpy() for part in parts], axis=1))
    n, k = ranks.shape
    mean = ranks.mean(axis=0)
    lead = int(np.argmin(mean))
    out = pd.DataFrame({"contender": names, "mean_rank": mean, "n_tasks": len(chosen), "n_patients": n})
    p, critical, any_p = np.ones((k, k)), np.nan, np.nan
    if n >= TEST_FROM:
        p = flipped_pairs(ranks, rng=stream(seed, "over tasks", "flips"))
        critical = critical_difference(ranks, p, rng=stream(seed, "over tasks", "flips"))
        any_p = friedman_p(ranks, rng=stream(seed, "over tasks", "orders"))
        out["p_value"] = np.where(np.arange(k) == lead, np.nan, p[lead])
    low, high = rank_intervals(-mean, p)
    out = out.assign(rank_low=low, rank_high=high, in_best_set=best_set(-mean, p), critical_difference=critical)
    out = out.assign(friedman_p=any_p, tasks=", ".join(chosen), verdict=verdicts(n, p[lead], lead))
    out = out.reindex(columns=COLUMNS).astype({"p_value": float})
    return out.sort_values(["mean_rank", "contender"], kind="stable", ignore_index=True)


def _comparable(tasks: Mapping[str, pd.DataFrame]) -> tuple[list[str], list[str]]:
    """Return tasks and contenders such that every contender takes part in every task."""
    takes_part: dict[str, list[str]] = {}
    for task, scores in tasks.items():
        for name in scores.columns:
            takes_part.setdefault(str(name), []).append(task)
    most = max(map(len, takes_part.values()), default=0)
    core = [name for name, own in takes_part.items() if len(own) == most]
    chosen = [task for task in tasks if all(task in takes_part[name] for name in core)]
    return chosen, [name for name, own in takes_part.items() if set(chosen) <= set(own)]
