"""How stable ranks are over the folds of one run, or over runs with other seeds."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError
from stfmkit.bm._results import Results
from stfmkit.bm.chosen_metrics import chosen_metrics
from stfmkit.evaluation.averages import per_patient
from stfmkit.evaluation.contender_labels import CONTROL
from stfmkit.evaluation.metric_keys import KEY, MetricKey, facts_of, rows_of
from stfmkit.evaluation.rank_stability import rank_stability as stability_of

COLUMNS = ["task", *KEY, "contender", "over", "n_repeats", "leads", "mean_rank", "sd_rank", "concordance"]


def rank_stability(
    results: "Results | Sequence[Results]", task: str | None = None, *, metric: str | None = None
) -> pd.DataFrame:
    """Tell how often each contender leads, and how alike the orders are, when a comparison is repeated.

    A test over patients speaks of new patients. This speaks of the same patients: whether the order hangs on the folds,
    or on the seed of a run (the start of a fit, the targets that are drawn). Folds share training patients, and runs
    share all patients, so that nothing here is a test.

    Parameters
    ----------
    results
        Results of one run, whose folds are compared; or several results of the same data with other seeds, which are
        compared as wholes.
    task
        One task only; by default all.
    metric
        A metric; by default the primary metric of every task.

    Returns
    -------
    One row for every task and contender: over ("folds" or "runs"), n_repeats, leads (the share of repeats in which the
    contender is first), mean_rank, sd_rank, and of the task the concordance of the orders (Kendall's W: 1 where all
    repeats agree). Contenders without a score in every repeat are left out, and so are tasks with less than two repeats
    or contenders.

    Raises
    ------
    InputError
        No results, or results of other tasks or contenders.

    Examples
    --------
    >>> import stfmkit as sk
    >>> cells = sk.datasets.synthetic_cohort(n_patients=3, size=300, as_="anndata")
    >>> protocol = sk.bm.Protocol(
    ...     patient_key="patient", sample_key="sample", label_key="niche", split=sk.pp.PatientKFold(3)
    ... )
    >>> found = sk.bm.run(cells, ["hvg_pca", "coordinates"], protocol=protocol, tasks=["domains"])
    >>> sk.bm.rank_stability(found)["over"].tolist()
    ['folds', 'folds']
    """
    repeats = [results] if isinstance(results, Results) else list(results)
    _check(repeats)
    first, by_fold = repeats[0], len(repeats) == 1
    parts = []
    for name, key in chosen_metrics(first.table, first.meta, task, MetricKey(metric or "")):
        lower = facts_of(first.meta["metrics"], key).get("higher_is_better") is False
        tables = [_means(part, name, key) for part in (_folds(first.table) if by_fold else [r.table for r in repeats])]
        scores = pd.DataFrame([t for t in tables if len(t)]).dropna(axis=1)
        if min(scores.shape) < 2:
            continue
        found = stability_of(-scores.to_numpy() if lower else scores.to_numpy())
        about: dict[str, Any] = {"task": name, **key._asdict(), "contender": list(scores.columns)}
        about |= {"over": "folds" if by_fold else "runs", "n_repeats": len(scores), **found._asdict()}
        parts.append(pd.DataFrame(about).sort_values("mean_rank", kind="stable"))
    return pd.concat(parts, ignore_index=True)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)


def _check(repeats: Sequence[Results]) -> None:
    if not repeats:
        raise InputError("no results.", allowed="one or more", remedy="pass what sk.bm.run returned.")
    for name, what in (("tasks", lambda r: r.table["task"].unique()), ("contenders", lambda r: r.contenders)):
        seen = [sorted(map(str, what(r))) for r in repeats]
        other = next((s for s in seen if s != seen[0]), None)
        if other is not None:
            raise InputError(
                f"results with the {name} {listed(seen[0])}, and with {listed(other)}.",
                allowed=f"results with the same {name}",
                remedy="repeat one comparison with other seeds: Protocol(rng=1), Protocol(rng=2), for example.",
            )


def _folds(table: pd.DataFrame) -> list[pd.DataFrame]:
    return [part for fold, part in table.groupby("fold", sort=True) if fold >= 0]


def _means(table: pd.DataFrame, task: str, key: MetricKey) -> pd.Series:
    """Return the mean over patients of every contender."""
    rows = rows_of(table, task, key)
    values = per_patient(rows[~rows["contender"].str.startswith(CONTROL)])
    return values.groupby("contender", observed=True)["value"].mean()
