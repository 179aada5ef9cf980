"""Tables of one task: ranking, patients, metrics, niches, genes."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from stfmkit.bm.marks import SIGN
from stfmkit.bm.ranking import BEST, IN_BEST_SET, LEADER, NO_SCORE, WORSE
from stfmkit.bm.report.cautions import cautions
from stfmkit.bm.report.formatting import DASH, Cell, Column, Grid, number, numeric, p_value, plural, shade, word
from stfmkit.bm.report.narrative import Comparison, winners_curse
from stfmkit.bm.report.view_models import DAGGER, MetricView, TaskView
from stfmkit.evaluation.contender_labels import CONTROL
from stfmkit.evaluation.metric_keys import MetricKey, patient_values, rows_of
from stfmkit.evaluation.sign_flips import ALPHA, TEST_FROM

_GENES = 10
_VERDICTS = {BEST: "good", LEADER: "fair", IN_BEST_SET: "fair", WORSE: "poor"}


def head(name: str, *, marked: bool = False) -> Cell:
    """Return the cell that heads a row; controls are greyed, and a sign stands beside contenders with a mark."""
    return word(f"{name} {SIGN}" if marked else name, kind="control" if name.startswith(CONTROL) else "model")


def means_by_contender(table: pd.DataFrame, task: str, key: MetricKey) -> pd.Series:
    """Return the mean over patients, or of the cohort, of every contender."""
    return patient_values(table, task, key).mean(axis=1)


def ranking_grid(table: pd.DataFrame, task: TaskView) -> Grid:
    """Return the ranking of a task, controls in grey below."""
    columns = [
        Column(text="Contender"),
        Column(text="Mean", numeric=True, note="mean over patients"),
        Column(text="95 % interval", numeric=True, note="of the mean; Student's t over patients, from three patients"),
        Column(text="Difference to the leader", numeric=True, note="paired by patient"),
        Column(text="Its interval", numeric=True, note="95 % for all pairs together: paired t, Bonferroni"),
        Column(text="p", numeric=True, note="exact flips of whole patients, adjusted for all pairs; from six patients"),
        Column(text="Rank", numeric=True, note="between these ranks, with 95 % confidence for all contenders together"),
        Column(text="Detectable from", numeric=True, note="difference that the test finds in about 3 of 4 studies"),
        Column(text="Verdict"),
    ]
    rows = [
        _rank_row(row, tested=_tested(task), marked=row["contender"] in task.marked)
        for row in task.ranks.to_dict("records")
    ]
    values = patient_values(table, task.name, task.primary.key)
    ranked = {str(m) for m in task.ranks["contender"]}
    for name in (n for n in task.rows if n not in ranked):
        scores = values.loc[name].dropna() if name in values.index else pd.Series(dtype=float)
        said = "control" if name.startswith(CONTROL) else NO_SCORE
        gap = Cell(text=DASH, kind="num")
        rows.append([head(name), numeric(scores.mean()), *[gap] * 6, word(said, kind="control")])
    caption = f"Ranking by {task.primary.title} ({task.primary.direction})"
    return Grid(caption=caption, columns=columns, rows=rows, notes=_ranking_notes(task))


def _tested(task: TaskView) -> bool:
    return bool(len(task.ranks) and task.ranks["n_patients"].max() >= TEST_FROM)


def _ranking_notes(task: TaskView) -> list[str]:
    """Say how many patients count, and what the mean of the leader is worth."""
    if not len(task.ranks):
        return []
    lead = task.ranks.iloc[0]
    notes = [f"{plural(int(lead['n_patients']), 'patient')} with a score of every contender."]
    if lead["n_left_out"]:
        notes[0] = f"{notes[0][:-1]}; {int(lead['n_left_out'])} left out."
    notes += winners_curse(task)
    ranks = task.ranks
    if _tested(task):
        notes += _disagreements(ranks["p_value"], ranks["difference_low"], ranks["difference_high"])
    return notes + cautions(task)


def _disagreements(p: Iterable[float], low: Iterable[float], high: Iterable[float]) -> list[str]:
    """Explain rows in which the interval of a difference does not say what the test says."""
    rows = np.column_stack([np.asarray(list(part), dtype=float) for part in (p, low, high)])
    rows = rows[np.isfinite(rows).all(axis=1)]
    if not ((rows[:, 0] < ALPHA) != ((rows[:, 1] > 0) | (rows[:, 2] < 0))).any():
        return []
    return [
        (
            "A difference can be shown (p below .05) although its interval holds 0, or the other way round. The test "
            "asks whether there is a difference: it tries every flip of whole patients, and sets pairs aside once they "
            "are decided. The interval asks how large it is: it allows for all pairs at once, takes differences to be "
            "normal, and is wide with few patients. The verdict is that of the test."
        )
    ]


def _rank_row(row: Mapping[Any, Any], *, tested: bool, marked: bool) -> list[Cell]:
    verdict, ranked = str(row["verdict"]), tested and row["n_patients"] > 0
    ranks = _rank_cell(row["rank_low"], row["rank_high"]) if ranked else Cell(text=DASH, kind="num")
    return [
        head(str(row["contender"]), marked=marked),
        numeric(row["mean"]),
        _interval(row["low"], row["high"]),
        numeric(row["difference"], sign=True),
        _interval(row["difference_low"], row["difference_high"], sign=True),
        Cell(text=p_value(row["p_value"]), value=_sortable(row["p_value"]), kind="num"),
        ranks,
        numeric(row["detectable"]),
        _verdict_cell(verdict, marked=marked),
    ]


def _verdict_cell(verdict: str, *, marked: bool) -> Cell:
    """Return a verdict in its colour; praise of a contender with a mark has none."""
    kind = _VERDICTS.get(verdict, "open")
    return word(verdict, kind=f"verdict {'open' if marked and kind in ('good', 'fair') else kind}")


def _rank_cell(low: int, high: int) -> Cell:
    return Cell(text=f"{low}" if low == high else f"{low} to {high}", value=float(low), kind="num")


def _interval(low: float, high: float, *, sign: bool = False) -> Cell:
    if not (np.isfinite(low) and np.isfinite(high)) or low == high == 0:
        return Cell(text=DASH, kind="num")
    return Cell(text=f"{number(low, sign=sign)} to {number(high, sign=sign)}", value=float(low), kind="num")


def _sortable(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def patient_grid(table: pd.DataFrame, task: TaskView) -> Grid:
    """Return the primary metric, contenders × patients."""
    values = patient_values(table, task.name, task.primary.key)
    return _heat(
        values, task.rows, caption=f"{task.primary.title} by patient", first="Contender", facts=task.primary, most=40
    )


def metrics_grids(table: pd.DataFrame, task: TaskView) -> list[Grid]:
    """Return the mean of every metric, the best contender of each in bold.

    One table, with what is neither good nor bad in a second one, or one for every size of signatures: those of the
    primary metric first, those of the cohort last. What says something of the data only is a note.
    """
    shown = [m for m in task.metrics if not _by_class(task, m) and not m.about_data]
    groups: dict[str, list[MetricView]] = {}
    for of_cohort in (False, True):
        part = [m for m in shown if m.of_cohort == of_cohort]
        sizes = sorted({m.size for m in part if m.size}, key=lambda n: (n != task.primary.size, int(n)))
        whose = "all patients together" if of_cohort else "mean over patients"
        for i, size in enumerate(sizes):  # those without a size stand beside the first one
            mine = [m for m in part if m.size == size or (not m.size and i == 0)]
            groups[f"Signatures of {size} genes, {whose}"] = sorted(mine, key=lambda m: not m.size)
        if part and not sizes:
            groups[f"All metrics with a direction, {whose}"] = [m for m in part if m.higher is not None]
            groups[f"Descriptions, {whose}"] = [m for m in part if m.higher is None]
    return [_metrics_grid(table, task, _paired(group), caption=name) for name, group in groups.items() if group]


def _paired(metrics: Sequence[MetricView]) -> list[MetricView]:
    """Return metrics in their order, each followed by its share of the ceiling."""
    place = {m.key: i for i, m in enumerate(metrics)}
    own = {m.key: place.get(m.key._replace(status="scored"), len(place)) for m in metrics}
    return sorted(metrics, key=lambda m: (own[m.key], m.key.status != "scored"))


def _metrics_grid(table: pd.DataFrame, task: TaskView, shown: Sequence[MetricView], *, caption: str) -> Grid:
    means = {m.key: means_by_contender(table, task.name, m.key) for m in shown}
    best = {m.key: _best(means[m.key].reindex(list(task.contenders)), higher=m.higher) for m in shown}
    columns = [
        Column(text="Contender"),
        *(Column(text=_short(m), numeric=True, note=f"{m.direction}. {m.source}") for m in shown),
    ]
    rows = [
        [
            head(name),
            *(numeric(means[m.key].get(name, np.nan), kind="strong" if name == best[m.key] else "") for m in shown),
        ]
        for name in task.rows
    ]
    notes = ["No arrow: neither good nor bad by its size; see the list of metrics."]
    if any(m.higher is not None for m in shown):
        notes = ["↑ higher is better, ↓ lower is better; bold: best value of a column, not a test."]
    chances = [f"{_short(m, arrow=False)} {m.chance}" for m in shown if m.chance]
    if chances:
        notes.append(f"Chance level: {', '.join(chances)}.")
    if any(m.informative is False for m in shown):
        notes.append(f"{DAGGER} tells nothing about contenders on these data; see the section on controls.")
    notes += _limits(table, task, shown)
    return Grid(caption=caption, columns=columns, rows=rows, notes=notes)


def _short(metric: MetricView, *, arrow: bool = True) -> str:
    """Return the title without what the caption says already: size and cohort."""
    text = metric.labelled if arrow else metric.title
    return text.replace(f" @{metric.size}", "").replace(", cohort", "")


def _limits(table: pd.DataFrame, task: TaskView, shown: Sequence[MetricView]) -> list[str]:
    """Return the ceilings of the metrics shown, and what is known of the truth, as sentences."""
    limits = {m: task.metric(m.key._replace(status="ceiling")) for m in shown if m.key.status == "scored"}
    ceilings = [f"{_short(m, arrow=False)} {number(_mean(table, task, limit))}" for m, limit in limits.items() if limit]
    said = [f"{_sentence(task.ceiling_note)}, mean over the data: {', '.join(ceilings)}."] if ceilings else []
    if ceilings and any(m.key.status == "of ceiling" for m in shown):
        said.append(f"Of ceiling: sum of the scores of a sample by the sum of their ceilings. {task.ceiling_remark}")
        said += _counting(table, task)
    here = {(m.of_cohort, m.size) for m in shown}
    known = [m for m in task.metrics if m.about_data and m.key.status != "ceiling" and (m.of_cohort, m.size) in here]
    said += [f"{_short(m, arrow=False)}, mean over the data: {_mean(table, task, m):.1f}." for m in known]
    sizes = sorted({m.size for m in known if m.size}, key=int)
    if sizes:
        said.append(
            f"@{sizes[0]} is the most that a signature may hold. A true signature holds the genes that pass its test, "
            "often fewer, and is compared with as many predicted genes."
        )
    return said


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _counting(table: pd.DataFrame, task: TaskView) -> list[str]:
    """Return how many genes count in shares of ceilings, and how many have no signal in training."""
    rows = rows_of(table, task.name, task.primary.key._replace(status="ceiling"))
    silent = rows["reason"].str.startswith("no signal in training")
    by_fold = rows[rows["gene"] != ""].assign(silent=silent).groupby(["fold", "gene"])["silent"].all()
    if by_fold.empty:
        return []
    folds = by_fold.groupby("fold").agg(["size", "sum"])
    counting, lost = folds["size"] - folds["sum"], folds["sum"]
    said = f"{_between(counting)} genes of a fold count, {_between(lost)} have no signal in training and do not."
    return [said]


def _between(numbers: pd.Series) -> str:
    low, high = int(numbers.min()), int(numbers.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _mean(table: pd.DataFrame, task: TaskView, metric: MetricView) -> float:
    return float(means_by_contender(table, task.name, metric.key).mean())


def _best(means: pd.Series, *, higher: bool | None) -> str | None:
    if higher is None or means.dropna().empty:
        return None
    return str(means.idxmax() if higher else means.idxmin())


def _by_class(task: TaskView, metric: MetricView) -> bool:
    """Tell whether a metric is a score of single niches where the task scores samples: it is shown by niche."""
    return metric.key.scope == "niche" != task.primary.key.scope


def niche_grids(table: pd.DataFrame, task: TaskView) -> list[Grid]:
    """Return contenders × niches for the metrics that have rows by niche, the primary one first.

    Of signatures one size is shown, and one score of the cohort.
    """
    own = {"", task.primary.size}
    cohort = task.primary.key._replace(scope="cohort")
    wanted = [m for m in task.metrics if m.key == cohort or (m.size in own and not m.of_cohort)]
    setting = task.primary.key.setting  # the linear probe first, where it is the primary one
    order = sorted(wanted, key=lambda m: (m is not task.primary, m.of_cohort, m.key.setting != setting))
    grids = []
    for m in (m for m in order if not m.about_data):
        rows = rows_of(table, task.name, m.key)
        rows = rows.loc[rows["niche"].astype(str) != ""]
        if len(rows):
            caption = f"{m.title} by niche ({m.direction})"
            by_niche = _mean_by(rows, "niche")
            grids.append(_heat(by_niche, task.rows, caption=caption, first="Contender", facts=m, most=40))
    return grids


def _mean_by(rows: pd.DataFrame, key: str) -> pd.DataFrame:
    """Return contenders × `key`: the mean over samples, then patients."""
    rows = rows.dropna(subset="value").astype({"contender": str, key: str})
    for keys in (["contender", key, "patient", "sample"], ["contender", key, "patient"], ["contender", key]):
        rows = rows.groupby(keys, observed=True)["value"].mean().reset_index()
    return rows.pivot_table(index="contender", columns=key, values="value")


def _heat(
    values: pd.DataFrame, names: Sequence[str], *, caption: str, first: str, facts: MetricView, most: int
) -> Grid:
    """Return a table whose cells are shaded, darker is better; controls are not."""
    finite = values.loc[[n for n in values.index if not n.startswith(CONTROL)]].to_numpy(dtype=float)
    low, high = (np.nanmin(finite), np.nanmax(finite)) if np.isfinite(finite).any() else (0.0, 1.0)
    flip = -1.0 if facts.higher is False else 1.0
    low, high = sorted((flip * low, flip * high))
    shown = list(values.columns)[:most]
    rows = [
        [
            head(name),
            *(
                numeric(v, shade="" if name.startswith(CONTROL) else shade(flip * v, low=low, high=high))
                for v in values.reindex([name])[shown].to_numpy(dtype=float)[0]
            ),
        ]
        for name in names
    ]
    rest = len(values.columns) - len(shown)
    notes = [f"{rest} more columns are left out here; they are in the table of the results."] if rest else []
    columns = [Column(text=first), *(Column(text=str(c), numeric=True) for c in shown)]
    return Grid(caption=caption, columns=columns, rows=rows, notes=notes)


def gene_grid(table: pd.DataFrame, task: TaskView) -> Grid | None:
    """Return the best and worst predicted genes of the best contender, beside all others and the upper bound."""
    mine = rows_of(table, task.name, task.primary.key)
    mine = mine.loc[mine["gene"].astype(str) != ""]
    values = _mean_by(mine, "gene").T
    leaders = [m for m in task.contenders if m in values.columns]
    if not leaders:
        return None
    order = values[leaders[0]].dropna().sort_values(ascending=task.primary.higher is False)
    few = len(order) <= 2 * _GENES
    chosen = list(order.index) if few else [*order.index[:_GENES], *order.index[-_GENES:]]
    ceiling = _ceiling(table, task)
    finite = values[leaders].to_numpy(dtype=float)
    low, high = (np.nanmin(finite), np.nanmax(finite)) if np.isfinite(finite).any() else (0.0, 1.0)
    rows = [
        [
            word(gene, kind="model"),
            *(numeric(values.loc[gene, m], shade=shade(values.loc[gene, m], low=low, high=high)) for m in leaders),
            *([numeric(ceiling.get(gene, np.nan))] if len(ceiling) else []),
        ]
        for gene in chosen
    ]
    lost = int(mine["value"].isna().sum())
    notes = [f"{len(order):,} genes were scored; shown are the {_GENES} best and worst of {leaders[0]}."]
    if few:
        notes = [f"All {plural(len(order), 'scored gene')}."]
    if lost:
        notes.append(f"{lost:,} of {plural(len(mine), 'score')} are undefined (a constant truth) and left out.")
    columns = [
        Column(text="Gene"),
        *(Column(text=m, numeric=True) for m in leaders),
        *(
            [Column(text="Upper bound", numeric=True, note="no larger correlation is to be expected, for the noise")]
            if len(ceiling)
            else []
        ),
    ]
    return Grid(caption=f"{task.primary.title} by gene", columns=columns, rows=rows, notes=notes)


def _ceiling(table: pd.DataFrame, task: TaskView) -> pd.Series:
    rows = rows_of(table, task.name, task.primary.key._replace(status="ceiling")).assign(contender="")
    return _mean_by(rows, "gene").T.get("", pd.Series(dtype=float)) if len(rows) else pd.Series(dtype=float)


def limits_text(table: pd.DataFrame, task: TaskView) -> str:
    """Return between what the primary metric can lie: controls, and the ceiling."""
    means = means_by_contender(table, task.name, task.primary.key)
    parts = []
    if np.isfinite(means.get(task.positive, np.nan)):
        note = f" ({task.positive_note})" if task.positive_note else ""
        parts.append(f"positive control {task.positive.removeprefix(CONTROL)} {number(means[task.positive])}{note}")
    floors = means.reindex(list(task.negatives)).dropna()
    if len(floors):
        worst = str(floors.idxmin() if task.primary.higher is False else floors.idxmax())
        parts.append(f"best negative control {worst.removeprefix(CONTROL)} {number(floors[worst])}")
    limit = task.metric(task.primary.key._replace(status="ceiling"))
    if limit is not None:
        parts.append(f"{task.ceiling_note} {number(_mean(table, task, limit))}".strip())
    return ", ".join(parts) or "not known"


def mean_rank_grid(ranks: pd.DataFrame, suspect: Collection[str] = ()) -> Grid:
    """Return the ranking over all tasks, for what `Results.rank_over_tasks` returned, with a sign at suspects."""
    columns = [
        Column(text="Contender"),
        Column(text="Mean rank", numeric=True, note="over tasks and patients; 1 is the best"),
        Column(text="p", numeric=True, note="of the pair with the leader, adjusted for all pairs"),
        Column(text="Rank", numeric=True, note="between these ranks, with 95 % confidence for all contenders together"),
        Column(text="Verdict"),
    ]
    rows = [
        [
            head(str(row["contender"]), marked=row["contender"] in suspect),
            Cell(text=f"{row['mean_rank']:.2f}", value=float(row["mean_rank"]), kind="num"),
            Cell(text=p_value(row["p_value"]), value=_sortable(row["p_value"]), kind="num"),
            _rank_cell(row["rank_low"], row["rank_high"]),
            _verdict_cell(str(row["verdict"]), marked=row["contender"] in suspect),
        ]
        for row in ranks.to_dict("records")
    ]
    return Grid(caption="Ranking over all tasks", columns=columns, rows=rows)


def reference_grid(comparisons: Sequence[Comparison], task: TaskView) -> Grid:
    """Return every contender against the references, such as `coordinates` and `library_size`, paired by patient."""
    said = {
        "higher": "better mean, cannot test",
        "lower": "worse mean, cannot test",
        "level": "same mean, cannot test",
        "beats": "beats it",
        "worse": "worse than it",
        "not shown": "no difference shown",
    }
    kinds = {"beats": "verdict good", "worse": "verdict poor"}
    columns = [
        Column(text="Contender"),
        Column(text="Against"),
        Column(text="Difference", numeric=True, note="mean over patients; positive is in favour of the contender"),
        Column(text="95 % interval", numeric=True, note="for all pairs together: paired t, Bonferroni"),
        Column(text="Patients with the better score", numeric=True),
        Column(text="p", numeric=True, note="exact flips of whole patients, adjusted for all pairs; from six patients"),
        Column(text="Detectable from", numeric=True, note="difference that the test finds in about 3 of 4 studies"),
        Column(text="Verdict"),
    ]
    rows = [
        [
            head(c.contender, marked=c.contender in task.marked),
            word(c.reference),
            numeric(c.difference, sign=True),
            _interval(c.low, c.high, sign=True),
            Cell(text=f"{c.wins} of {c.n_patients}", value=float(c.wins), kind="num"),
            Cell(text=p_value(c.p), value=_sortable(c.p), kind="num"),
            numeric(c.detectable),
            word(said[c.verdict], kind=kinds.get("" if c.contender in task.suspect else c.verdict, "verdict open")),
        ]
        for c in comparisons
    ]
    notes = _disagreements([c.p for c in comparisons], [c.low for c in comparisons], [c.high for c in comparisons])
    caption = f"Against position and depth alone: {task.primary.title}"
    return Grid(caption=caption, columns=columns, rows=rows, notes=notes)
