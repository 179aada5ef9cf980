"""Hold verdicts against a known truth: false decisions, coverage, power, and the winner's curse.

Usage: python benchmarks/simulate_verdicts.py [--replicates 500] [--minutes 10] [--out docs/certainty]
       python benchmarks/simulate_verdicts.py --detectable
       python benchmarks/simulate_verdicts.py --words

Scores are drawn as patient (SD .08) + patient x contender (SD .03) + slide (SD .02), with two or three slides in every
patient, and averaged within patients. In "lognormal" the part of patient x contender is skewed; in "hetero" one
contender has three times this variance, skewed, which breaks the symmetry that flips of signs rest on; in "missing"
about one patient in five lacks a score of some contender and is left out. Beside the procedures of the package stands
that of its first version: exact flips of every contender against the one that was seen to lead, Holm's adjustment, and
percentile intervals of a bootstrap of patients and slides.

Writes ``verdicts.csv`` and ``verdicts.svg``; ``--detectable`` prints the table of `stfmkit.evaluation.detectable`;
``--words`` the figures in the text: what the mean of a leader and its correction are worth, how often a difference as
large as "detectable" is found where its spread is estimated, and how scores vary over seeds.
Time is that of the processor, on one core.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from time import process_time

import numpy as np
import pandas as pd
from scipy.stats import norm

import stfmkit as sk
from stfmkit.evaluation.best_set import best_set, rank_intervals
from stfmkit.evaluation.detectable import detectable_difference
from stfmkit.evaluation.metric_keys import MetricKey, patient_values
from stfmkit.evaluation.sign_flips import ALPHA, TEST_FROM, flipped_pairs
from stfmkit.evaluation.t_intervals import difference_intervals, mean_interval
from stfmkit.evaluation.winners_curse import corrected_mean

PATIENTS, CONTENDERS = (4, 6, 8, 12, 20, 40), (2, 5, 8, 20)
KINDS = ("normal", "lognormal", "hetero", "missing")
EFFECTS = (0.0, 0.04)
MEAN, PATIENT, BOTH, SLIDE = 0.3, 0.08, 0.03, 0.02
EXACT_UP_TO, N_DRAWS, N_BOOT = 10, 499, 200
"""Fewer flips and draws than in the package, so that ten minutes are enough."""


def draw_cohort(rng: np.random.Generator, *, kind: str, n: int, k: int, effect: float) -> list[np.ndarray]:
    """Return the scores (n_slides, k) of every patient that is complete; the first contender is better by `effect`."""
    shared = rng.normal(0, PATIENT, size=n)
    own = rng.normal(0, BOTH, size=(n, k))
    if kind == "lognormal":
        own = _skewed(rng, (n, k)) * BOTH
    if kind == "hetero":
        own[:, -1] = _skewed(rng, n) * BOTH * np.sqrt(3)
    own[:, 0] += effect
    slides = rng.integers(2, 4, size=n)
    parts = np.split(rng.normal(0, SLIDE, size=(slides.sum(), k)), slides.cumsum()[:-1])
    scores = [MEAN + shared[p] + own[p] + part for p, part in enumerate(parts)]
    if kind == "missing":
        there = rng.random((n, k)) > 0.2 / k  # as many incomplete patients whatever the number of contenders
        scores = [s for s, complete in zip(scores, there.all(axis=1), strict=True) if complete]
    return scores


def _skewed(rng: np.random.Generator, size: tuple[int, ...] | int) -> np.ndarray:
    """Return lognormal numbers with mean 0 and variance 1."""
    sigma = 0.8
    values = rng.lognormal(0, sigma, size=size)
    return (values - np.exp(sigma**2 / 2)) / np.sqrt((np.exp(sigma**2) - 1) * np.exp(sigma**2))


def judge(scores: list[np.ndarray], rng: np.random.Generator, *, effect: float) -> dict[str, float]:
    """Return what the package says of one cohort, right or wrong."""
    means = np.array([s.mean(axis=0) for s in scores])
    n, k = means.shape
    truth = np.full(k, MEAN)
    truth[0] += effect
    seen, lead = means.mean(axis=0), int(means.mean(axis=0).argmax())
    tested = n >= TEST_FROM
    p = flipped_pairs(means, rng=rng, exact_up_to=EXACT_UP_TO, n_draws=N_DRAWS) if tested else np.ones((k, k))
    worse = (p < ALPHA) & (seen[:, None] < seen)  # row shown worse than column
    false = worse & (truth[:, None] >= truth)
    low, high = mean_interval(means)
    pair_low, pair_high = mean_interval(means[:, 0] - means[:, -1])
    all_low, all_high = difference_intervals(means)
    gaps = truth[:, None] - truth
    ranks = rank_intervals(seen, p)
    first, last = 1 + (truth[:, None] < truth).sum(axis=1), k - (truth[:, None] > truth).sum(axis=1)
    found = {
        "false_decision": float(false.any()),
        "false_verdict": float(false[:, lead].any()),
        "cover_mean": float(((low <= truth) & (truth <= high)).mean()),
        "cover_pair": float(pair_low <= gaps[0, -1] <= pair_high),
        "cover_all": float(((all_low <= gaps + 1e-12) & (gaps - 1e-12 <= all_high)).all()),
        "cover_ranks": float(((ranks[0] <= first) & (ranks[1] >= last)).all()),
        "best_in_set": float(best_set(seen, p)[0]),
        "curse": float(seen[lead] - truth[lead]),
        "curse_corrected": float(corrected_mean(means) - truth[lead]),
    }
    if effect:
        found["power"] = float(worse[1:, 0].mean())
    return found


def judge_first_version(scores: list[np.ndarray], rng: np.random.Generator, *, effect: float) -> dict[str, float]:
    """Return what the first version said: Holm against the contender that was seen to lead, percentile bootstrap."""
    means = np.array([s.mean(axis=0) for s in scores])
    n, k = means.shape
    truth = np.full(k, MEAN)
    truth[0] += effect
    lead = int(means.mean(axis=0).argmax())
    others = np.array([m for m in range(k) if m != lead])
    worse = np.zeros(k, dtype=bool)
    if n >= TEST_FROM:
        signs = _signs(n, rng)
        sums = np.abs(signs @ (means[:, others] - means[:, [lead]]))
        p = (sums >= np.abs((means[:, others] - means[:, [lead]]).sum(axis=0)) - 1e-12).mean(axis=0)
        order = np.argsort(p, kind="stable")
        adjusted = np.empty(k - 1)
        adjusted[order] = np.maximum.accumulate(p[order] * (k - 1 - np.arange(k - 1)))
        worse[others] = adjusted < ALPHA
    boot = bootstrap(scores, rng)
    low, high = np.percentile(boot, [2.5, 97.5], axis=0)
    gap_low, gap_high = np.percentile(boot - boot[:, [lead]], [2.5, 97.5], axis=0)
    gaps = truth - truth[lead]
    found = {
        "first_false_verdict": float((worse & (truth >= truth[lead])).any()),
        "first_cover_mean": float(((low <= truth) & (truth <= high)).mean()),
        "first_cover_all": float(((gap_low <= gaps + 1e-12) & (gaps - 1e-12 <= gap_high)).all()),
    }
    if effect:
        found["first_power"] = float(worse[1:].mean()) if lead == 0 else 0.0
    return found


def bootstrap(scores: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Draw patients, then as many slides as they have, with replacement, and average (N_BOOT, k), as it did."""
    n = len(scores)
    times = rng.multinomial(n, np.full(n, 1 / n), size=N_BOOT)  # how often every patient is drawn
    slides = np.array([len(s) for s in scores])
    total = np.zeros((N_BOOT, scores[0].shape[1]))
    for size in np.unique(slides):
        mine = slides == size
        weights = rng.multinomial(times[:, mine] * size, np.full(size, 1 / size)) / size
        total += weights.reshape(N_BOOT, -1) @ np.concatenate([s for s, own in zip(scores, mine, strict=True) if own])
    return total / n


def _signs(n: int, rng: np.random.Generator) -> np.ndarray:
    if n <= EXACT_UP_TO:
        return 1.0 - 2.0 * ((np.arange(2 ** (n - 1))[:, None] >> np.arange(n)) & 1)
    return np.vstack([np.ones(n), rng.choice([-1.0, 1.0], size=(N_DRAWS, n))])


def simulate(replicates: int, *, seconds: float = np.inf, seed: int = 0, sizes: tuple = (PATIENTS, CONTENDERS),
             kinds: tuple[str, ...] = KINDS) -> pd.DataFrame:  # fmt: skip
    """Return one row for every kind, number of patients and of contenders: the mean of what `judge` found.

    Replicates are made in rounds over all cases, so that all have the same number when time is up.
    """
    cases = [(kind, n, k) for kind in kinds for n in sizes[0] for k in sizes[1]]
    kept: dict[tuple, list[dict[str, float]]] = defaultdict(list)
    start = process_time()
    for replicate in range(replicates):
        for kind, n, k in cases:
            found = {}
            for effect in EFFECTS:
                rng = np.random.default_rng([seed, replicate, KINDS.index(kind), n, k, round(100 * effect)])
                scores = draw_cohort(rng, kind=kind, n=n, k=k, effect=effect)
                if len(scores) < 3:
                    continue
                both = {**judge(scores, rng, effect=effect), **judge_first_version(scores, rng, effect=effect)}
                end = "" if effect == 0 else "_apart"
                found |= {name if "power" in name else name + end: value for name, value in both.items()}
            kept[kind, n, k].append(found)
        if process_time() - start > seconds:
            break
    rows = [
        {"kind": kind, "patients": n, "contenders": k, "replicates": len(found), **pd.DataFrame(found).mean()}
        for (kind, n, k), found in kept.items()
    ]
    return pd.DataFrame(rows)


COLUMNS = [
    "kind", "patients", "contenders", "replicates", "false_verdict", "false_decision", "false_decision_apart",
    "first_false_verdict", "power", "first_power", "cover_mean", "cover_pair", "cover_all", "cover_ranks",
    "first_cover_mean", "first_cover_all", "curse", "curse_corrected", "curse_apart", "curse_corrected_apart",
]  # fmt: skip


LOOK = {
    "svg.hashsalt": "stfmkit", "svg.fonttype": "none", "font.size": 9, "axes.titlesize": 9.5, "legend.frameon": False,
    "axes.spines.top": False, "axes.spines.right": False, "lines.markersize": 4,
}  # fmt: skip
BLUE, ORANGE, GREY = "#0072B2", "#E69F00", "#767676"


def draw_figure(table: pd.DataFrame, path: Path) -> None:
    """Draw false verdicts, power, coverage and the winner's curse against the number of patients; normal scores."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    table = table[table["kind"] == "normal"]
    eight = table[table["contenders"] == 8]
    now, before = {"color": BLUE, "marker": "o"}, {"color": ORANGE, "marker": "s", "ls": "--"}
    panels = {
        "All equal: share of studies with a false “worse”": {
            "now": ("false_verdict", now),
            "first version": ("first_false_verdict", before),
        },
        "One better by 0.04: share of the others found worse": {
            f"{k} contenders": (k, {"color": BLUE, "marker": "o", "ls": style})
            for k, style in zip(CONTENDERS, ("-", "--", "-.", ":"), strict=True)
        },
        "How often 95 % intervals hold the truth": {
            "mean, now": ("cover_mean", now),
            "mean, first version": ("first_cover_mean", before),
            "all differences, now": ("cover_all", {**now, "marker": "^", "ls": "-."}),
            "differences, first version": ("first_cover_all", {**before, "marker": "v", "ls": ":"}),
        },
        "Winner’s curse: how much the leader’s mean is too high": {
            "corrected": ("curse_corrected", now),
            "as it is": ("curse", before),
        },
    }
    with mpl.rc_context(LOOK):
        figure = Figure(figsize=(9, 6.2), layout="constrained")
        for ax, level, (title, lines) in zip(
            figure.subplots(2, 2).flat, (0.05, 0.8, 0.95, 0), panels.items(), strict=True
        ):
            for label, (what, look) in lines.items():
                part = eight if isinstance(what, str) else table[table["contenders"] == what]
                ax.plot(part["patients"], part[what if isinstance(what, str) else "power"], label=label, **look)
            ax.axhline(level, color=GREY, lw=0.8, ls=":")
            ax.set_title(title, loc="left")
            ax.set_xscale("log")
            ax.set_xticks(PATIENTS, map(str, PATIENTS))
            ax.minorticks_off()
            ax.set_xlabel("patients")
            ax.legend()
        figure.savefig(path, metadata={"Date": None, "Creator": None})


def detectable_rows(replicates: int = 1000, *, seed: int = 0) -> Iterator[tuple[int, int, float, float]]:
    """Yield contenders, patients, and the difference that is seen with probability .5 and .8, in SD of a difference."""
    for k in (2, 3, 5, 8, 12, 20):
        for n in (6, 7, 8, 9, 10, 12, 16, 20, 30, 40):
            noise = np.random.default_rng([seed, n, k]).normal(0, np.sqrt(0.5), size=(replicates, n, k))
            guess = (2.8 + 0.35 * np.log(k)) / np.sqrt(n) * (1 + 0.3 * (6 / n) ** 3)
            sizes = guess * np.linspace(0.4, 1.5, 9)
            seen = norm.ppf(np.clip([_share_seen(noise, size) for size in sizes], 1e-4, 1 - 1e-4))
            lines = []
            for power in (0.5, 0.8):  # a line through the probits nearby
                near = np.abs(seen - norm.ppf(power)) < 1
                slope, start = np.polyfit(sizes[near], seen[near], 1)
                lines.append((norm.ppf(power) - start) / slope)
            yield k, n, *lines


def _share_seen(noise: np.ndarray, size: float) -> float:
    shares = []
    for own in noise:
        scores = own + size * (np.arange(own.shape[1]) == 0)
        p = flipped_pairs(scores, rng=np.random.default_rng(1), exact_up_to=11, n_draws=999)
        seen = scores.mean(axis=0)
        shares.append(((p[0, 1:] < ALPHA) & (seen[0] > seen[1:])).mean())
    return float(np.mean(shares))


def leaders(replicates: int) -> Iterator[dict[str, float]]:
    """Yield how far the mean of a leader among level ones is too high, and where it leads whoever is left out."""
    for n, k in ((4, 8), (6, 2), (6, 8), (12, 8)):
        rng = np.random.default_rng([n, k])
        means, corrected, same = np.empty((3, replicates))
        for i in range(replicates):
            scores = rng.normal(0, BOTH, size=(n, k))
            means[i], corrected[i] = scores.mean(axis=0).max(), corrected_mean(scores)
            others = (scores.sum(axis=0) - scores).argmax(axis=1)
            same[i] = (others == scores.mean(axis=0).argmax()).all()
        stays = same.astype(bool)
        yield {
            "patients": n,
            "contenders": k,
            "the same leads": float(stays.mean()),
            "mean there": float(means[stays].mean()),
            "corrected elsewhere": float(corrected[~stays].mean()),
            "mean over all": float(means.mean()),
            "corrected over all": float(corrected.mean()),
        }


def found_at_detectable(replicates: int) -> Iterator[dict[str, float]]:
    """Yield how often a difference is found that is as large as the detectable one of a typical study without any."""
    for n, k in ((6, 2), (6, 20), (8, 2), (8, 4), (8, 8), (12, 5)):
        rng = np.random.default_rng([n, k])
        sd = [np.diff(rng.normal(0, BOTH, size=(n, 2)), axis=1).std(ddof=1) for _ in range(2000)]
        size = float(detectable_difference(np.median(sd), n_patients=n, n_contenders=k))
        seen = []
        for _ in range(replicates):
            scores = rng.normal(0, BOTH, size=(n, k)) + size * (np.arange(k) == 0)
            p = flipped_pairs(scores, rng=np.random.default_rng(1), exact_up_to=11, n_draws=999)
            ahead = scores[:, 0].mean() > scores[:, 1:].mean(axis=0)
            seen.append(((p[0, 1:] < ALPHA) & ahead).mean())
        yield {"patients": n, "contenders": k, "detectable": size, "found": float(np.mean(seen))}


def over_seeds(n_seeds: int = 10) -> pd.DataFrame:
    """Return the standard deviation over seeds of the score of a patient, and of the mean over patients."""
    rows = []
    for size in (400.0, 600.0):
        cells = sk.datasets.synthetic_cohort(6, size=size, n_genes=120, as_="anndata", rng=0)
        for seed in range(n_seeds):
            protocol = sk.bm.Protocol(
                patient_key="patient", sample_key="sample", label_key="niche", split=sk.pp.PatientKFold(6),
                n_target_genes=40, rng=seed,
            )  # fmt: skip
            found = sk.bm.run(
                cells, ["hvg_pca"], protocol=protocol, tasks=["coexpression", "domains"], show_progress=False
            )
            for task in ("coexpression", "domains"):
                key = MetricKey(**found.meta["tasks"][task]["primary"])
                values = patient_values(found.table, task, key).loc["hvg_pca"]
                rows += [{"obs": cells.n_obs // 6, "task": task, "patient": p, "value": v} for p, v in values.items()]
    table = pd.DataFrame(rows).assign(seed=lambda t: t.groupby(["obs", "task", "patient"]).cumcount())
    single = table.groupby(["obs", "task", "patient"])["value"].std().groupby(["obs", "task"]).agg(["min", "max"])
    mean = table.groupby(["obs", "task", "seed"])["value"].mean().groupby(["obs", "task"]).std()
    return single.add_suffix(" of a patient").assign(**{"of the mean": mean})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=10.0, help="stop after the round in which they are over")
    parser.add_argument("--out", type=Path, default=Path("docs/certainty"))
    parser.add_argument("--detectable", action="store_true")
    parser.add_argument("--words", action="store_true")
    asked = parser.parse_args()
    if asked.words:
        print(pd.DataFrame(leaders(4 * asked.replicates)).round(4).to_string(index=False), flush=True)
        print(pd.DataFrame(found_at_detectable(asked.replicates)).round(3).to_string(index=False), flush=True)
        print(over_seeds().round(3).to_string())
        return
    if asked.detectable:
        for k, n, half, most in detectable_rows(asked.replicates):
            print(f"{k:3d} contenders {n:3d} patients {half:.3f} {most:.3f}", flush=True)
        return
    table = simulate(asked.replicates, seconds=60 * asked.minutes)
    asked.out.mkdir(parents=True, exist_ok=True)
    table[COLUMNS].round(4).to_csv(asked.out / "verdicts.csv", index=False)
    draw_figure(table, asked.out / "verdicts.svg")
    print(table[COLUMNS].round(3).to_string(index=False))


if __name__ == "__main__":
    main()
