"""Tables of one task: ranking, patients, metrics, niches, genes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from stfmkit.bm._ceilings import CEILING, OF_CEILING, is_ceiling
from stfmkit.bm._reporting._cells import DASH, Cell, Column, Grid, number, numeric, p_value, plural, shade, word
from stfmkit.bm._reporting._facts import MetricFacts, TaskFacts
from stfmkit.bm._reporting._words import Comparison
from stfmkit.bm._rows import CONTROL
from stfmkit.bm._tasks._cohort_signatures import COHORT
from stfmkit.pl._tables import patient_values

_GENES = 10
_VERDICTS = {"best": "good", "best mean": "fair", "indistinguishable from best": "fair", "worse than best": "poor"}


def head(name: str) -> Cell:
    """Return the cell that heads a row; controls are greyed."""
    return word(name, kind="control" if name.startswith(CONTROL) else "model")


def means_by_model(table: pd.DataFrame, task: str, metric: str) -> pd.Series:
    """Return the mean over patients of every model."""
    return patient_values(table, task=task, metric=metric).mean(axis=1)


def ranking_grid(table: pd.DataFrame, task: TaskFacts) -> Grid:
    """Return the ranking of a task, controls in grey below."""
    columns = [
        Column(text="Model"),
        Column(text="Mean", numeric=True, note="mean over patients"),
        Column(text="95 % interval", numeric=True, note="bootstrap over patients, then samples; from four patients"),
        Column(text="Patients", numeric=True, note="patients with a score of every model"),
        Column(text="Difference to best", numeric=True, note="paired by patient"),
        Column(text="Interval of difference", numeric=True, note="95 %, paired by patient"),
        Column(text="p", numeric=True, note="exact sign-flip test over patients; from six patients"),
        Column(text="p (Holm)", numeric=True, note="adjusted for the number of models"),
        Column(text="Verdict"),
    ]
    rows = [_rank_row(row) for row in task.ranks.to_dict("records")]
    values = patient_values(table, task=task.name, metric=task.primary.name)
    ranked = {str(m) for m in task.ranks["model"]}
    for name in (n for n in task.rows if n not in ranked):
        scores = values.loc[name].dropna() if name in values.index else pd.Series(dtype=float)
        said = "control" if name.startswith(CONTROL) else "no score"
        gap = Cell(text=DASH, kind="num")
        rows.append(
            [
                head(name),
                numeric(scores.mean()),
                gap,
                numeric(len(scores)),
                gap,
                gap,
                gap,
                gap,
                word(said, kind="control"),
            ]
        )
    return Grid(caption=f"Ranking by {task.primary.title} ({task.primary.direction})", columns=columns, rows=rows)


def _rank_row(row: Mapping[Any, Any]) -> list[Cell]:
    verdict = str(row["verdict"])
    return [
        head(str(row["model"])),
        numeric(row["mean"], kind="strong"),
        _interval(row["low"], row["high"]),
        numeric(int(row["n_patients"])),
        numeric(row["difference"], sign=True),
        _interval(row["difference_low"], row["difference_high"], sign=True),
        Cell(text=p_value(row["p_value"]), value=_sortable(row["p_value"]), kind="num"),
        Cell(text=p_value(row["p_holm"]), value=_sortable(row["p_holm"]), kind="num"),
        word(verdict, kind=f"verdict {_VERDICTS.get(verdict, 'open')}"),
    ]


def _interval(low: float, high: float, *, sign: bool = False) -> Cell:
    if not (np.isfinite(low) and np.isfinite(high)) or low == high == 0:
        return Cell(text=DASH, kind="num")
    return Cell(text=f"{number(low, sign=sign)} to {number(high, sign=sign)}", value=float(low), kind="num")


def _sortable(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def patient_grid(table: pd.DataFrame, task: TaskFacts) -> Grid:
    """Return the primary metric, models × patients."""
    values = patient_values(table, task=task.name, metric=task.primary.name)
    return _heat(
        values, task.rows, caption=f"{task.primary.title} by patient", first="Model", facts=task.primary, most=40
    )


def metrics_grids(table: pd.DataFrame, task: TaskFacts) -> list[Grid]:
    """Return the mean of every metric, the best model of each in bold.

    One table, with what is neither good nor bad in a second one, or one for every size of signatures: those of the
    primary metric first, those of the cohort last. What says something of the data only is a note.
    """
    shown = [m for m in task.metrics if not _by_class(task, m) and not m.about_data]
    groups: dict[str, list[MetricFacts]] = {}
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


def _paired(metrics: Sequence[MetricFacts]) -> list[MetricFacts]:
    """Return metrics in their order, each followed by its share of the ceiling."""
    place = {m.name: i for i, m in enumerate(metrics)}
    return sorted(metrics, key=lambda m: (place.get(m.name.removesuffix(OF_CEILING), len(place)), m.name))


def _metrics_grid(table: pd.DataFrame, task: TaskFacts, shown: Sequence[MetricFacts], *, caption: str) -> Grid:
    means = {m.name: means_by_model(table, task.name, m.name) for m in shown}
    best = {m.name: _best(means[m.name].reindex(list(task.models)), higher=m.higher) for m in shown}
    columns = [
        Column(text="Model"),
        *(Column(text=_short(m), numeric=True, note=f"{m.direction}. {m.source}") for m in shown),
    ]
    rows = [
        [
            head(name),
            *(numeric(means[m.name].get(name, np.nan), kind="strong" if name == best[m.name] else "") for m in shown),
        ]
        for name in task.rows
    ]
    notes = ["No arrow: neither good nor bad by its size; see the list of metrics."]
    if any(m.higher is not None for m in shown):
        notes = ["↑ higher is better, ↓ lower is better; bold: best mean, not a test."]
    chances = [f"{_short(m, arrow=False)} {m.chance}" for m in shown if m.chance]
    if chances:
        notes.append(f"Chance level: {', '.join(chances)}.")
    notes += _limits(table, task, shown)
    return Grid(caption=caption, columns=columns, rows=rows, notes=notes)


def _short(metric: MetricFacts, *, arrow: bool = True) -> str:
    """Return the title without what the caption says already: size and cohort."""
    text = metric.labelled if arrow else metric.title
    return text.replace(f" @{metric.size}", "").replace(", cohort", "")


def _limits(table: pd.DataFrame, task: TaskFacts, shown: Sequence[MetricFacts]) -> list[str]:
    """Return the ceilings of the metrics shown, and how large true signatures are, as sentences."""
    names = {m.name for m in shown}
    means = {m.name: float(means_by_model(table, task.name, m.name).mean()) for m in task.metrics if m.about_data}
    ceilings = [
        f"{_short(m, arrow=False)} {number(means[m.name + CEILING])}" for m in shown if m.name + CEILING in means
    ]
    said = [f"Ceiling, mean over the data: {', '.join(ceilings)}."] if ceilings else []
    if ceilings and any(n.endswith(OF_CEILING) for n in names):
        said.append(
            "Of ceiling: the share of the ceiling of the same sample, gene or niche, where that is well above chance. "
            "control:thinned holds half of the molecules that it is judged by, and so passes it"
            f"{'' if task.primary.name == 'pearson' else '; a prediction that smooths noise away can pass it, too'}."
        )
    here = {(m.of_cohort, m.size) for m in shown}
    counted = [m for m in task.metrics if m.about_data and not is_ceiling(m.name) and (m.of_cohort, m.size) in here]
    return said + [f"True signatures hold {means[m.name]:.1f} genes on average, of {m.size} at most." for m in counted]


def _best(means: pd.Series, *, higher: bool | None) -> str | None:
    if higher is None or means.dropna().empty:
        return None
    return str(means.idxmax() if higher else means.idxmin())


def _by_class(task: TaskFacts, metric: MetricFacts) -> bool:
    """Tell whether a metric is a score of single classes, shown by class and not as one mean."""
    return metric is not task.primary and metric.name.startswith("class_")


def niche_grids(table: pd.DataFrame, task: TaskFacts) -> list[Grid]:
    """Return models × niches for the metrics that have rows by niche, the primary one first.

    Of signatures one size is shown, and one score of the cohort.
    """
    part = table.loc[(table["task"] == task.name) & (table["niche"].astype(str) != "")]
    present = set(part["metric"].astype(str))
    like = task.primary.name.rpartition("_")[2]  # the linear probe first, where it is the primary one
    own = {"", task.primary.size}
    wanted = [m for m in task.metrics if m.name == COHORT + task.primary.name or (m.size in own and not m.of_cohort)]
    wanted = [m for m in wanted if not m.about_data]
    order = sorted(wanted, key=lambda m: (m is not task.primary, m.of_cohort, m.name.rpartition("_")[2] != like))
    return [
        _heat(
            _mean_by(part.loc[part["metric"] == m.name], "niche"),
            task.rows,
            caption=f"{m.title} by niche ({m.direction})",
            first="Model",
            facts=m,
            most=40,
        )
        for m in order
        if m.name in present
    ]


def _mean_by(rows: pd.DataFrame, key: str) -> pd.DataFrame:
    """Return models × `key`: the mean over samples, then patients."""
    rows = rows.dropna(subset="value").astype({"model": str, key: str})
    for keys in (["model", key, "patient", "sample"], ["model", key, "patient"], ["model", key]):
        rows = rows.groupby(keys, observed=True)["value"].mean().reset_index()
    return rows.pivot_table(index="model", columns=key, values="value")


def _heat(
    values: pd.DataFrame, names: Sequence[str], *, caption: str, first: str, facts: MetricFacts, most: int
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


def gene_grid(table: pd.DataFrame, task: TaskFacts) -> Grid | None:
    """Return the best and worst predicted genes of the best model, beside all others and the ceiling."""
    part = table.loc[(table["task"] == task.name) & (table["gene"].astype(str) != "")]
    mine = part.loc[part["metric"] == task.primary.name]
    values = _mean_by(mine, "gene").T
    leaders = [m for m in task.models if m in values.columns]
    if not leaders:
        return None
    order = values[leaders[0]].dropna().sort_values(ascending=task.primary.higher is False)
    few = len(order) <= 2 * _GENES
    chosen = list(order.index) if few else [*order.index[:_GENES], *order.index[-_GENES:]]
    ceiling = _ceiling(part, task.primary)
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
            [Column(text="Ceiling", numeric=True, note="largest correlation that the noise allows")]
            if len(ceiling)
            else []
        ),
    ]
    return Grid(caption=f"{task.primary.title} by gene", columns=columns, rows=rows, notes=notes)


def _ceiling(part: pd.DataFrame, primary: MetricFacts) -> pd.Series:
    rows = part.loc[part["metric"] == primary.name + CEILING].assign(model="")
    return _mean_by(rows, "gene").T.get("", pd.Series(dtype=float)) if len(rows) else pd.Series(dtype=float)


def limits_text(table: pd.DataFrame, task: TaskFacts) -> str:
    """Return between what the primary metric can lie: controls, and the noise ceiling."""
    means = means_by_model(table, task.name, task.primary.name)
    parts = []
    if np.isfinite(means.get(task.positive, np.nan)):
        parts.append(f"positive control {task.positive.removeprefix(CONTROL)} {number(means[task.positive])}")
    floors = means.reindex(list(task.negatives)).dropna()
    if len(floors):
        worst = str(floors.idxmin() if task.primary.higher is False else floors.idxmax())
        parts.append(f"best negative control {worst.removeprefix(CONTROL)} {number(floors[worst])}")
    ceiling = float(means_by_model(table, task.name, task.primary.name + CEILING).mean())
    if np.isfinite(ceiling):
        ours = task.primary.name == "pearson"  # whose ceiling belongs to all molecules, not to half of them
        parts.append(f"{'mean noise ceiling' if ours else 'two halves of the counts agree with'} {number(ceiling)}")
    return ", ".join(parts) or "not known"


def reference_grid(comparisons: Sequence[Comparison], task: TaskFacts) -> Grid:
    """Return every model against `coordinates` and `library_size`, paired by patient."""
    said = {
        "ahead": "ahead, cannot test",
        "behind": "behind, cannot test",
        "level": "level, cannot test",
        "beats": "beats it",
        "worse": "worse than it",
        "not told apart": "cannot be told apart",
    }
    columns = [
        Column(text="Model"),
        Column(text="Against"),
        Column(text="Difference", numeric=True, note="mean over patients; positive is in favour of the model"),
        Column(text="95 % interval", numeric=True, note="bootstrap over patients; from four patients"),
        Column(text="Patients ahead", numeric=True),
        Column(text="p", numeric=True, note="exact sign-flip test, each comparison alone; from six patients"),
        Column(text="Verdict"),
    ]
    rows = [
        [
            head(c.model),
            word(c.reference),
            numeric(c.difference, sign=True),
            _interval(c.low, c.high, sign=True),
            Cell(text=f"{c.wins} of {c.n_patients}", value=float(c.wins), kind="num"),
            Cell(text=p_value(c.p), value=_sortable(c.p), kind="num"),
            word(
                said[c.verdict], kind={"beats": "verdict good", "worse": "verdict poor"}.get(c.verdict, "verdict open")
            ),
        ]
        for c in comparisons
    ]
    return Grid(caption=f"Against position and depth alone: {task.primary.title}", columns=columns, rows=rows)
