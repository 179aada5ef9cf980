"""The report: one offline HTML file that a reviewer can open."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from stfmkit.bm.check_scores import raised_in
from stfmkit.bm.finding import by_severity
from stfmkit.bm.report.appendix import (
    calibration_grid,
    cards_grid,
    evidence_grid,
    frame_grid,
    metrics_legend,
    overview_grid,
    pairs_grid,
    seconds_grid,
)
from stfmkit.bm.report.figures import Picture, dot_plot, drawn, map_grid, mean_rank_plot
from stfmkit.bm.report.formatting import Grid, number, seconds
from stfmkit.bm.report.narrative import compare_references, over_tasks_verdict, reference_answer, task_verdict
from stfmkit.bm.report.task_tables import (
    gene_grid,
    limits_text,
    mean_rank_grid,
    metrics_grids,
    niche_grids,
    patient_grid,
    ranking_grid,
    reference_grid,
)
from stfmkit.bm.report.view_models import TaskView, patient_held_out, references, split_name, task_views
from stfmkit.bm.task import Section
from stfmkit.bm.task_catalogue import catalogue
from stfmkit.evaluation.sign_flips import TEST_FROM


@dataclass(frozen=True, kw_only=True)
class TaskSection:
    """Everything the report says about one task."""

    anchor: str
    facts: TaskView
    verdict: Sequence[Markup]
    answers: Mapping[str, tuple[str, Markup]]
    limits: str
    ranking: Grid
    references: Grid | None
    patients: Grid
    dots: Picture
    metrics: Sequence[Grid]
    text: Sequence[str]
    tables: Sequence[Grid]
    figures: Sequence[Picture]
    niches: Sequence[Grid]
    genes: Grid | None
    maps: Picture | None
    map_caption: str


@dataclass(frozen=True, kw_only=True)
class OverTasks:
    """What the report says about all tasks together."""

    verdict: Sequence[Markup]
    picture: Picture
    ranking: Grid


def render_report(results: Any, *, title: str = "Comparison of representations") -> str:
    """Return the report on `results` as one HTML page that loads nothing from anywhere.

    Parameters
    ----------
    results
        :class:`stfmkit.bm.Results`.
    title
        Head line.

    Returns
    -------
    The text of the page. Names that came from data are escaped; the page works without scripts, and its content
    security policy lets nothing but its own script run.
    """
    ranks = results.rank()
    sections = [_section(results, facts, i) for i, facts in enumerate(task_views(results, ranks), start=1)]
    tasks = [section.facts for section in sections]
    meta = results.meta
    env = Environment(
        loader=PackageLoader("stfmkit.bm.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = env.get_template("report.js").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return env.get_template("report.html.j2").render(
        title=title,
        script=Markup(script),  # noqa: S704  our own file, without values from data
        script_hash=digest,
        results=results,
        subtitle=_subtitle(results),
        facts=_facts(results),
        held_out=patient_held_out(meta),
        split=split_name(results.protocol) or "not stated",
        references=list(references(meta)),
        sections=sections,
        over_tasks=_over_tasks(results, tasks),
        overview=overview_grid(results.table, tasks),
        controls=calibration_grid(results.calibration(), tasks),
        times=seconds_grid(results.table, tasks),
        cards=cards_grid(meta.get("contenders", {})),
        legend=metrics_legend(tasks),
        protocol=pairs_grid(results.protocol, caption="Choices"),
        data=pairs_grid(meta.get("data", {}), caption="Data", first="Fact"),
        folds=pairs_grid(meta.get("folds", {}), caption="What every fold asks", first="Fold"),
        versions=pairs_grid(meta.get("versions", {}), caption="Versions", first="Software"),
        findings=by_severity(results.findings),
        allowed=list(meta.get("allowed", ())),
        evidence=evidence_grid,
        code=_code(results, tasks),
        cite=_cite(results),
    )


def _section(results: Any, facts: TaskView, place: int) -> TaskSection:
    table = results.table
    own = _own_section(results, facts.name)
    comparisons = compare_references(results, facts)
    return TaskSection(
        anchor=f"task-{place}",
        facts=facts,
        verdict=task_verdict(facts),
        answers={r: reference_answer(comparisons, facts, results.meta, reference=r) for r in references(results.meta)},
        limits=limits_text(table, facts),
        ranking=ranking_grid(table, facts),
        references=reference_grid(comparisons, facts) if comparisons else None,
        patients=patient_grid(table, facts),
        dots=dot_plot(results, facts),
        metrics=metrics_grids(table, facts),
        text=own.text,
        tables=[frame_grid(frame, caption=caption) for caption, frame in own.tables.items()],
        figures=[drawn(draw, alt) for alt, draw in own.figures.items()],
        niches=niche_grids(table, facts),
        genes=gene_grid(table, facts),
        maps=map_grid(results.observations, facts),
        map_caption=_map_caption(results.observations, facts),
    )


def _over_tasks(results: Any, tasks: Sequence[TaskView]) -> OverTasks | None:
    """Return mean ranks over all tasks; None where too few patients, tasks or contenders allow a test."""
    ranks = results.rank_over_tasks()
    if not len(ranks) or ranks["n_patients"].iloc[0] < TEST_FROM:
        return None
    compared = ranks["tasks"].iloc[0].split(", ")
    suspect = {name for task in tasks if task.name in compared for name in task.suspect}
    return OverTasks(
        verdict=over_tasks_verdict(ranks, tasks),
        picture=mean_rank_plot(ranks, suspect),
        ranking=mean_rank_grid(ranks, suspect),
    )


def _own_section(results: Any, task: str) -> Section:
    """Return what the task adds; nothing where its package is not installed here."""
    known = catalogue.entries()
    if task not in known:
        return Section()
    with raised_in(known[task]):
        return known[task].section(results)


def _map_caption(observations: Any, facts: TaskView) -> str:
    mine = observations.loc[observations["task"] == facts.name]
    if (mine["truth"].astype(str) != "").any():
        said = "The first row shows the truth; below, grey-blue is right and orange is wrong."
    else:
        said = "The colour is the score of the observation: the correlation of prediction and truth over its genes."
    return f"Held-out observations in their tissue. {said} Every map is drawn to its own scale, y points down."


def _version(results: Any) -> str:
    return str(results.meta.get("versions", {}).get("stfmkit") or version("stfmkit"))


def _subtitle(results: Any) -> str:
    created = str(results.meta.get("created") or "date not recorded")
    try:
        created = datetime.fromisoformat(created).strftime("%d %B %Y, %H:%M %Z").strip(" ,")
    except ValueError:  # shown as it was written
        created = created[:40]
    return f"stfmkit {_version(results)} · {created} · protocol {results.protocol_id or 'without id'}"


def _facts(results: Any) -> list[tuple[str, str]]:
    """Return the numbers on top of the page."""
    data = results.meta.get("data", {})
    counted = [
        ("Patients", "n_patients"),
        ("Samples", "n_samples"),
        ("Observations", "n_obs"),
        ("Labelled", "n_labelled"),
        ("Genes", "n_genes"),
    ]
    shown = [(text, f"{int(data[key]):,}") for text, key in counted if isinstance(data.get(key), int)]
    shown += [("Contenders", str(len(results.contenders))), ("Tasks", str(results.table["task"].nunique()))]
    if "median_counts" in data:
        shown.append(("Median counts", number(data["median_counts"])))
    if "seconds_total" in results.meta:
        shown.append(("Time", seconds(results.meta["seconds_total"])))
    return shown


def _code(results: Any, tasks: Sequence[TaskView]) -> str:
    """Return the lines that run the comparison again, as far as a protocol can tell."""
    choices = {k: v for k, v in results.protocol.items() if k != "split"}
    split = results.protocol.get("split", {})
    lines = ["import stfmkit as sk", "", "protocol = sk.bm.Protocol("]
    lines += [f"    {key}={value!r}," for key, value in choices.items() if str(key).isidentifier()]
    if isinstance(split, Mapping) and str(split.get("name", "")).isidentifier():
        options = ", ".join(f"{k}={v!r}" for k, v in split.items() if k != "name")
        lines.append(f"    split=sk.pp.{split['name']}({options}),")
    contenders = list(dict.fromkeys(name for t in tasks for name in t.contenders))
    lines += [
        ")",
        f"results = sk.bm.run(data, {contenders!r}, tasks={[t.name for t in tasks]!r}, protocol=protocol)",
        f"results.protocol_id  # {results.protocol_id!r} in this report",
    ]
    return "\n".join(lines)


def _cite(results: Any) -> str:
    data = results.meta.get("data", {})
    facts = {
        "software": f"stfmkit {_version(results)}",
        "protocol_id": results.protocol_id,
        "data_fingerprint": data.get("fingerprint", ""),
        "patients": data.get("n_patients", ""),
        "created": results.meta.get("created", ""),
    }
    return json.dumps(facts, indent=2, ensure_ascii=False, default=str)
