"""Rank contenders by patient-level means, with intervals, one test of all pairs, and words for what it shows."""

import numpy as np
import pandas as pd

from stfmkit._core.random import stream
from stfmkit.evaluation.averages import per_sample
from stfmkit.evaluation.best_set import best_set, rank_intervals
from stfmkit.evaluation.contender_labels import CONTROL
from stfmkit.evaluation.detectable import detectable_difference
from stfmkit.evaluation.metric_keys import KEY
from stfmkit.evaluation.sign_flips import ALPHA, TEST_FROM, flipped_pairs
from stfmkit.evaluation.t_intervals import INTERVAL_FROM, difference_intervals, mean_interval
from stfmkit.evaluation.winners_curse import corrected_mean

BEST = "best"
LEADER = "leader, not shown better than all"
IN_BEST_SET = "in the best set"
WORSE = "worse than the leader"
CANNOT_TEST = "cannot test"
ONLY = "only contender"
NO_SCORE = "no score"
"""What may be said of a contender: the words of the column ``verdict``."""

COLUMNS = [
    "task", *KEY, "contender", "mean", "low", "high", "n_patients", "n_left_out", "difference", "difference_low",
    "difference_high", "wins", "p_value", "rank_low", "rank_high", "in_best_set", "detectable", "mean_corrected",
    "verdict",
]  # fmt: skip


def rank_table(table: pd.DataFrame, *, higher_is_better: bool | None, seed: int) -> pd.DataFrame:
    """Return one row for every contender in the rows of one metric of one task, the best first.

    Parameters
    ----------
    table
        Rows of one task, metric, setting, scope and status; controls among them are left out.
    higher_is_better
        Direction; None counts as True.
    seed
        Of random signs, where there are too many patients to try all.
    """
    wide = _by_sample(table[~table["contender"].str.startswith(CONTROL)])
    silent = [str(name) for name in wide.columns if wide[name].isna().all()]
    means = _complete(wide.drop(columns=silent))
    if means.empty:
        return pd.DataFrame(columns=COLUMNS)
    row = table[["task", *KEY]].iloc[0]
    key = {**row, "status": "scored" if row["status"] == "undefined" else row["status"]}
    known = wide.drop(columns=silent).dropna(how="all").index.get_level_values("patient").nunique()
    sign = -1.0 if higher_is_better is False else 1.0
    out = _judged(list(map(str, means.columns)), means.to_numpy(), sign=sign, rng=_random_signs(table, seed))
    out = out.sort_values(["mean", "contender"], ascending=[sign < 0, True], kind="stable")
    out = out.set_index("contender").reindex([*out["contender"], *silent]).reset_index()
    return out.assign(
        **key,
        n_patients=out["n_patients"].fillna(0).astype(int),
        n_left_out=known - len(means),
        rank_low=out["rank_low"].astype("Int64"),
        rank_high=out["rank_high"].astype("Int64"),
        in_best_set=out["in_best_set"].notna() & (out["rank_low"] == 1),
        verdict=out["verdict"].fillna(NO_SCORE),
    )[COLUMNS]


def compare_contenders(table: pd.DataFrame, a: str, b: str, *, seed: int) -> dict[str, float] | None:
    """Return the paired difference a - b in the rows of one metric, over the patients that both have; None without."""
    means = _complete(_by_sample(table[table["contender"].isin([a, b])]))
    if not {a, b} <= set(means.columns) or means.empty:
        return None
    pair, n = means[[a, b]].to_numpy(), len(means)
    d = pair[:, 0] - pair[:, 1]
    low, high = mean_interval(d) if n >= INTERVAL_FROM else (np.nan, np.nan)
    return {
        "difference": float(d.mean()),
        "difference_low": float(low),
        "difference_high": float(high),
        "wins": int((d > 0).sum()),
        "n_patients": n,
        "p_value": float(flipped_pairs(pair, rng=_random_signs(table, seed))[0, 1]) if n >= TEST_FROM else np.nan,
        "detectable": float(detectable_difference(d.std(ddof=1), n_patients=n, n_contenders=2)) if n > 1 else np.nan,
    }


PAIR_COLUMNS = [
    "contender", "other", "difference", "difference_low", "difference_high", "wins", "n_patients", "p_value",
    "detectable",
]  # fmt: skip


def pair_table(table: pd.DataFrame, *, higher_is_better: bool | None, seed: int) -> pd.DataFrame:
    """Return one row for every ordered pair of contenders in the rows of one metric, all judged together.

    wins counts the patients in which the first of a pair is better.
    """
    frame = patient_means(table)
    names, means = list(map(str, frame.columns)), frame.to_numpy()
    n, k = means.shape
    if n == 0 or k < 2:
        return pd.DataFrame(columns=PAIR_COLUMNS)
    sign = -1.0 if higher_is_better is False else 1.0
    gaps = means[:, :, None] - means[:, None, :]
    nothing = np.full((k, k), np.nan)
    low, high = difference_intervals(means) if n >= INTERVAL_FROM else (nothing, nothing)
    tested = n >= TEST_FROM
    p = flipped_pairs(means, rng=_random_signs(table, seed)) if tested else nothing
    sd = gaps.std(axis=0, ddof=1) if tested else nothing
    parts = [gaps.mean(axis=0), low, high, (sign * gaps > 0).sum(axis=0), np.full((k, k), n), p]
    parts.append(np.asarray(detectable_difference(sd, n_patients=n, n_contenders=k)))
    first, second = np.nonzero(~np.eye(k, dtype=bool))
    columns = [np.array(names)[first], np.array(names)[second], *(part[first, second] for part in parts)]
    return pd.DataFrame(dict(zip(PAIR_COLUMNS, columns, strict=True)))


def patient_means(table: pd.DataFrame) -> pd.DataFrame:
    """Return patients × contenders in the rows of one metric; patients without a score of any contender are left out.

    Controls, and contenders without any score, are no columns of it.
    """
    return _complete(_by_sample(table[~table["contender"].str.startswith(CONTROL)]).dropna(axis=1, how="all"))


def _complete(wide: pd.DataFrame) -> pd.DataFrame:
    """Average the samples that all contenders have a score of."""
    return wide.dropna().groupby(level="patient", observed=True).mean()


def _random_signs(table: pd.DataFrame, seed: int) -> np.random.Generator:
    """Return the generator of one metric of one task, the same for whatever is asked about it."""
    return stream(seed, "sign flips", *table[["task", "metric", "setting", "scope"]].iloc[0])


def _by_sample(table: pd.DataFrame) -> pd.DataFrame:
    """Return (patient, sample) × contenders."""
    scores = per_sample(table)
    return scores.pivot_table(
        index=["patient", "sample"], columns="contender", values="value", observed=True, dropna=False
    )


def _judged(names: list[str], means: np.ndarray, *, sign: float, rng: np.random.Generator) -> pd.DataFrame:
    """Judge scores (n_patients, n_contenders); `sign` turns them so that higher is better."""
    n, k = means.shape
    mean = means.mean(axis=0)
    lead = int(np.argmax(sign * mean))
    out = pd.DataFrame({"contender": names, "mean": mean, "n_patients": n, "difference": mean - mean[lead]})
    out["wins"] = (sign * means > sign * means[:, [lead]]).sum(axis=0)
    floats = ["low", "high", "difference_low", "difference_high", "p_value", "detectable", "mean_corrected"]
    out[floats] = np.nan
    out["rank_low"], out["rank_high"], out["in_best_set"] = 1, k, True
    if n >= INTERVAL_FROM:
        out["low"], out["high"] = mean_interval(means)
        low, high = difference_intervals(means)
        out["difference_low"], out["difference_high"] = low[:, lead], high[:, lead]
        out.loc[lead, "mean_corrected"] = sign * corrected_mean(sign * means)
    p = np.ones((k, k))
    if n >= TEST_FROM:
        p = flipped_pairs(means, rng=rng)
        out["rank_low"], out["rank_high"] = rank_intervals(sign * mean, p)
        out["in_best_set"] = best_set(sign * mean, p)
        out["p_value"] = p[lead]
        sd = (means - means[:, [lead]]).std(axis=0, ddof=1)
        out["detectable"] = detectable_difference(sd, n_patients=n, n_contenders=k)
    out.loc[lead, ["difference_low", "difference_high", "p_value", "detectable"]] = np.nan
    out["verdict"] = verdicts(n, p[lead], lead)
    return out


def verdicts(n_patients: int, p_values: np.ndarray, lead: int) -> list[str]:
    """Say what may be said, by the p of everybody against the leader; below six patients the same of all."""
    k = len(p_values)
    if k == 1:
        return [ONLY]
    if n_patients < TEST_FROM:
        return [f"{CANNOT_TEST}: {n_patients} patient{'s' if n_patients > 1 else ''}"] * k
    said = [WORSE if p < ALPHA else IN_BEST_SET for p in p_values]
    said[lead] = BEST if said.count(WORSE) == k - 1 else LEADER
    return said
