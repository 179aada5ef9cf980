"""Join the results of two runs of one protocol, so that contenders and tasks can be added to a folder."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from stfmkit._core.arguments import listed
from stfmkit.bm.assemble import sort_scores
from stfmkit.bm.finding import Finding, by_severity
from stfmkit.evaluation.contender_labels import BASELINE, CONTROL

Saved = Mapping[str, Any]
"""table, observations, meta and findings of results."""


def merge_results(old: Saved, new: Saved) -> dict[str, Any]:
    """Return the results of two runs on the same data by the same protocol.

    What the new run scored replaces the same of the old one; all other contenders and tasks stay. A label that stands
    for another contender now, or for one that cannot be told from others (a model object), takes all of its earlier
    scores with it, and so does a task that is another now: of a plug-in or on libraries of another version. A finding
    says so where scores are gone that the new run does not give.

    Parameters
    ----------
    old, new
        table, observations, meta and findings of each.
    """
    fresh = _pairs(new["table"])
    gone, other = _replaced(old, new, "contenders"), _replaced(old, new, "tasks")
    stale = {pair for pair in _pairs(old["table"]) if pair in fresh or pair[1] in gone or pair[0] in other}
    kept = _without(old["table"], stale)
    if kept.empty:
        findings, meta = list(new["findings"]), dict(new["meta"])
    else:
        findings, meta = _findings(old, new, gone), _meta(old["meta"], new["meta"], gone)
    lost = {label: sorted({t for t, c in stale - fresh if c == label}) for label in gone}
    before, after = old["meta"].get("contenders", {}), new["meta"].get("contenders", {})
    for label, tasks in lost.items():
        findings += _said(label, tasks, before[label], after[label])
    findings += [_said_of(task, left) for task in other if (left := _left_out(task, stale - fresh, gone))]
    tables = {
        name: pd.concat([_without(old[name], stale), new[name]], ignore_index=True)
        for name in ("table", "observations")
    }
    return {
        "table": sort_scores(tables["table"], list(meta["tasks"])),
        "observations": tables["observations"],
        "meta": meta,
        "findings": by_severity(list(dict.fromkeys(findings))),
    }


def _pairs(table: pd.DataFrame) -> set[tuple[str, str]]:
    """Return every task with every contender that was scored in it."""
    return set(table[["task", "contender"]].drop_duplicates().itertuples(index=False, name=None))


def _without(table: pd.DataFrame, pairs: set[tuple[str, str]]) -> pd.DataFrame:
    held = pd.MultiIndex.from_frame(table[["task", "contender"]])
    return table[~held.isin(list(pairs))] if pairs else table


def _replaced(old: Saved, new: Saved, what: str) -> list[str]:
    """Return the contenders (or tasks) of both that are not the same for certain."""
    before, after = old["meta"].get(what, {}), new["meta"].get(what, {})
    both = [name for name in after if name in before]
    known = {name: (before[name].get("identity", ""), after[name].get("identity", "")) for name in both}
    return [name for name, (first, second) in known.items() if first is None or first != second]


def _left_out(task: str, lost: set[tuple[str, str]], gone: list[str]) -> list[str]:
    """Return the contenders whose scores in a task are gone, and of which nothing else says so."""
    return sorted(
        label for t, label in lost if t == task and label not in gone and not label.startswith((CONTROL, BASELINE))
    )


def _findings(old: Saved, new: Saved, gone: list[str]) -> list[Finding]:
    """Return the findings of both; those of the old run that speak of a contender that is replaced are left out."""
    names = {*gone, *map(repr, gone)}
    held = [f for f in old["findings"] if not any(_speaks_of(f.evidence, name) for name in names)]
    return [*new["findings"], *held]


def _speaks_of(text: str, name: str) -> bool:
    words = text.replace(",", " ").replace(".", " ").replace(":", " ").split()
    return name in words or (name.startswith(("'", '"')) and name in text)


def _meta(old: Mapping[str, Any], new: Mapping[str, Any], gone: list[str]) -> dict[str, Any]:
    before = {label: facts for label, facts in old["contenders"].items() if label not in gone}
    contenders = {**before, **new["contenders"]}
    first, second = old.get("references", {}), new.get("references", {})
    references = {name: second.get(name) or first.get(name) for name in {**first, **second}}
    folds = {n: {**old["folds"].get(n, {}), **new["folds"].get(n, {})} for n in {**old["folds"], **new["folds"]}}
    metrics = {_key(facts): facts for facts in [*old["metrics"], *new["metrics"]]}
    return {
        **new,
        "contenders": contenders,
        "references": {name: label if label in contenders else None for name, label in references.items()},
        "tasks": {**old["tasks"], **new["tasks"]},
        "metrics": list(metrics.values()),
        "folds": folds,
        "seconds_total": float(old.get("seconds_total", 0.0)) + float(new.get("seconds_total", 0.0)),
    }


def _key(facts: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(facts[name]) for name in ("metric", "setting", "scope", "status"))


def _said(label: str, tasks: list[str], before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Finding]:
    """Say that scores are gone, or computed anew because something else is known to stand for the label."""
    changes = _changes(before.get("computed_with", {}), after.get("computed_with", {}))
    told = f" What changed: {', '.join(changes[:8])}." if changes else ""
    if tasks:
        evidence = (
            f"{label!r} stood for another contender in an earlier run into this folder, or for one that cannot be told "
            f"from others; its scores in {listed(tasks, most=6)} are gone.{told}"
        )
        remedy = "give contenders different labels, and run the tasks again."
        return [Finding(severity="warning", check="replaced contender", evidence=evidence, remedy=remedy)]
    if None in (before.get("identity"), after.get("identity")):
        return []
    evidence = f"{label!r} stood for another contender in an earlier run into this folder; it was computed anew.{told}"
    return [Finding(severity="info", check="replaced contender", evidence=evidence, remedy="nothing has to be done.")]


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return what two records of the same contender say differently: versions, files, and all else that was loaded."""
    (old, old_loaded), (new, new_loaded) = ((r.get("versions", {}), r.get("loaded", {})) for r in (before, after))
    versions = [f"{n} {old.get(n, '-')} → {new.get(n, '-')}" for n in {**old, **new} if old.get(n) != new.get(n)]
    files, now = old_loaded.get("sha256", {}), new_loaded.get("sha256", {})
    changed = [f"the file {n}" for n in {**files, **now} if files.get(n) != now.get(n)]
    others = [n for n in {**old_loaded, **new_loaded} if n not in ("sha256", "weights")]
    return [*versions, *changed, *(n for n in others if old_loaded.get(n) != new_loaded.get(n))]


def _said_of(task: str, labels: list[str]) -> Finding:
    return Finding(
        severity="warning",
        check="replaced task",
        evidence=f"the task {task!r} was another in an earlier run into this folder, by its plug-in or the versions of "
        f"libraries, or cannot be told from others; the scores of {listed(labels, most=6)} in it are gone.",
        remedy="run these contenders again.",
    )
