"""The result of a comparison: one long table, and everything needed to read it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pandas as pd

from stfmkit._core.arguments import check_choice, check_known, listed
from stfmkit._core.errors import InputError
from stfmkit._core.files import write_atomic
from stfmkit._core.manifest import is_written
from stfmkit.bm.calibration import calibrate
from stfmkit.bm.chosen_metrics import chosen_metrics
from stfmkit.bm.finding import Finding
from stfmkit.bm.folder import (
    OBSERVATIONS_FILE,
    TABLE_FILE,
    as_path,
    check_output,
    check_report,
    locked,
    read_results,
    write_results,
)
from stfmkit.bm.marks import marks_of, with_marks
from stfmkit.bm.merge_results import merge_results
from stfmkit.bm.over_tasks import mean_rank_table
from stfmkit.bm.ranking import COLUMNS, PAIR_COLUMNS, compare_contenders, pair_table, patient_means, rank_table
from stfmkit.bm.score_table import OBSERVATIONS, TABLE
from stfmkit.evaluation.contender_labels import CONTROL
from stfmkit.evaluation.metric_keys import KEY, MetricKey, facts_of, rows_of

_RANKED = ("scored", "of ceiling")


@dataclass(frozen=True, kw_only=True)
class Results:
    """What `stfmkit.bm.run` returns.

    Attributes
    ----------
    table
        One row for every score, with the columns task, metric, setting, scope, contender, fold, patient, sample, gene,
        niche, value, status, reason, seconds, protocol_id. ``metric`` is a name of `sk.metrics`, ``setting`` says how
        it was applied ("probe=linear", "n=10"), ``scope`` is the finest unit that the row speaks of ("cohort" for all
        patients together). ``status`` is "scored" or "undefined" (no value, for the reason that is given); "ceiling"
        for an upper bound of the score on these data, which stands beside a control; "of ceiling" for the scores of a
        sample as a share of theirs, with an empty gene and niche. ``fold`` is -1 where predictions of several folds
        were scored together; ``patient``, ``sample``, ``gene`` and ``niche`` are empty where they do not apply;
        controls have names that begin with ``control:``.
    observations
        One row for every task, contender and tested observation: where it lies, truth, prediction and score.
    protocol
        Every choice, as JSON.
    meta
        Facts about data, contenders, tasks, metrics and versions, as JSON.
    findings
        What the audit and the run have to tell, the severe ones first.
    """

    table: pd.DataFrame
    observations: pd.DataFrame
    protocol: dict[str, Any]
    meta: dict[str, Any]
    findings: list[Finding] = field(default_factory=list)
    protocol_id: str = ""

    def __repr__(self) -> str:
        data = self.meta.get("data", {})
        return (
            f"Results of protocol {self.protocol_id}: {len(self.contenders)} contenders, "
            f"{self.table['task'].nunique()} tasks, {data.get('n_patients', '?')} patients, {len(self.table)} scores, "
            f"{len(self.findings)} findings"
        )

    @property
    def contenders(self) -> list[str]:
        """Labels of the contenders, without controls."""
        return [name for name in self.table["contender"].unique() if not name.startswith(CONTROL)]

    def rank(
        self,
        task: str | None = None,
        metric: str | None = None,
        *,
        setting: str = "",
        scope: str = "",
        status: str = "scored",
        rng: int = 0,
    ) -> pd.DataFrame:
        """Rank the contenders by their mean over patients.

        Parameters
        ----------
        task
            One task only; by default all.
        metric
            A metric; by default the primary metric of every task.
        setting, scope
            Of the metric; by default those of the primary metric, where the metric has them.
        status
            "scored", or "of ceiling" for scores as shares of their ceilings.
        rng
            Seed of random signs, which are drawn where there are more than 20 patients.

        Returns
        -------
        One row for every task and contender, the best first. Patients that lack a score of any contender are left out
        for all of them (n_left_out); contenders without any score stand last. ``attrs["allowed"]`` names the errors of
        the audit in spite of which the comparison was run.

        mean, low, high
            Mean over patients with its 95 % t interval (from three patients).
        difference, difference_low, difference_high
            Mean minus that of the leader, paired by patient, with intervals that hold for all pairs at once (paired t,
            Bonferroni; from three patients). wins: the patients in which the contender is better than the leader.
        p_value
            Of the pair with the leader, adjusted for all pairs: exact flips of the signs of whole patients
            (:mod:`stfmkit.evaluation.sign_flips`), from six patients; the smallest is 2 / 2**n_patients. It
            decides, also where the interval of the difference, which is often wider, holds 0.
        rank_low, rank_high
            Between these ranks the contender lies, all contenders together with 95 % confidence.
        in_best_set
            Whether it may be the best: nobody was shown to be better.
        detectable
            The difference to the leader that the test would find in about 3 of 4 such studies (.72 to .77, as the
            spread is itself estimated from these patients): what is smaller and "not shown" may well be there.
        mean_corrected
            Of the leader: its mean without what it owes to having been chosen for the highest mean
            (:mod:`stfmkit.evaluation.winners_curse`). It is right on average over many comparisons, not in each:
            where it equals the mean, the mean may still be too high.
        verdict
            "best" (all others are worse) or "leader, not shown better than all"; "in the best set" or "worse than the
            leader"; "only contender"; "no score"; or for all, below six patients, "cannot test: n patients".
        mark
            What is conspicuous about the mean (:mod:`stfmkit.bm.marks`): not above a negative control or a baseline of
            the task, above the positive control, or above its ceiling; empty where nothing is.
        """
        parts = []
        for name, key, higher in self._directed(task, MetricKey(metric or "", setting, scope, status)):
            ranks = rank_table(rows_of(self.table, name, key), higher_is_better=higher, seed=rng)
            about = self.meta["tasks"].get(name, {})
            marks = marks_of(self.table, name, key, about=about, higher_is_better=higher)
            parts.append(with_marks(ranks, marks))
        filled = [part for part in parts if len(part)]
        ranking = pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=[*COLUMNS, "mark"])
        ranking.attrs["allowed"] = list(self.meta.get("allowed", ()))
        return ranking

    def calibration(self) -> pd.DataFrame:
        """Say for every metric whether it tells good predictions from bad ones on these data.

        Returns
        -------
        One row for every task and metric with a direction, those that tell best first: the mean of the positive control
        and of the best negative one, how far they are apart (``range``) and how that varies over patients (``noise``),
        the patients that a paired test needs to tell them apart with power 0.8, whether a score falls when noise is
        mixed into the predictions of a baseline and when its genes change places, what smoothing does to it, and the
        verdict (``informative``) with the reason.
        """
        return calibrate(self.table, self.meta["tasks"], self.meta["metrics"])

    def pairs(
        self,
        task: str | None = None,
        metric: str | None = None,
        *,
        setting: str = "",
        scope: str = "",
        status: str = "scored",
        rng: int = 0,
    ) -> pd.DataFrame:
        """Compare every contender with every other, all pairs judged together.

        Parameters
        ----------
        task, metric, setting, scope, status, rng
            As in `rank`.

        Returns
        -------
        One row for every task and ordered pair: the difference ``contender - other``, intervals that hold for all pairs
        at once, wins, n_patients, p_value (adjusted for all pairs) and detectable, as in `rank`, for any pair that the
        scores make interesting.
        """
        parts = [pd.DataFrame(columns=["task", *KEY, *PAIR_COLUMNS])]
        for name, key, higher in self._directed(task, MetricKey(metric or "", setting, scope, status)):
            found = pair_table(rows_of(self.table, name, key), higher_is_better=higher, seed=rng)
            if len(found):
                parts.append(found.assign(task=name, **key._asdict())[parts[0].columns])
        return pd.concat(parts[1:], ignore_index=True) if len(parts) > 1 else parts[0]

    def _directed(self, task: str | None, like: MetricKey) -> Iterator[tuple[str, MetricKey, bool | None]]:
        """Yield task, metric and whether higher is better; a metric that was asked for must have a direction."""
        check_choice(like.status, _RANKED, name="status")
        for name, key in chosen_metrics(self.table, self.meta, task, like):
            higher: bool | None = facts_of(self.meta["metrics"], key).get("higher_is_better")
            if like.metric and higher is None:
                raise InputError(
                    f"the metric {like.metric!r}, which is neither better high nor low.",
                    allowed=listed(dict.fromkeys(f["metric"] for f in self.meta["metrics"] if f["higher_is_better"])),
                    remedy="read it in the table; it describes, and ranks nothing.",
                )
            yield name, key, higher

    def compare(
        self,
        contender: str,
        other: str,
        *,
        task: str | None = None,
        metric: str | None = None,
        setting: str = "",
        scope: str = "",
        status: str = "scored",
        rng: int = 0,
    ) -> pd.DataFrame:
        """Compare two contenders that were named beforehand, paired by patient.

        Where a pair is chosen for what its scores look like, read `rank`, whose p-values and intervals allow for it.

        Parameters
        ----------
        contender, other
            Labels.
        task, metric, setting, scope, status, rng
            As in `rank`.

        Returns
        -------
        One row for every task: mean difference ``contender - other``, its paired 95 % t interval (from three
        patients), the number of patients in which it is above 0, and from six patients the exact sign-flip p and the
        difference that the test would find with probability .8. Nothing is adjusted for other pairs or tasks.
        """
        check_choice(status, _RANKED, name="status")
        known = list(self.table["contender"].unique())
        for name in (contender, other):
            check_known(name, known, what="contender in these results", remedy="pass one of these.")
        records = []
        for name, key in chosen_metrics(self.table, self.meta, task, MetricKey(metric or "", setting, scope, status)):
            rows = rows_of(self.table, name, key)
            found = compare_contenders(rows, contender, other, seed=rng)
            if found is not None:
                records.append({"task": name, **key._asdict(), **found})
        columns = ["difference", "difference_low", "difference_high", "wins", "n_patients", "p_value", "detectable"]
        return pd.DataFrame(records, columns=["task", *KEY, *columns])

    def rank_over_tasks(self, *, rng: int = 0) -> pd.DataFrame:
        """Rank the contenders over all tasks, by the mean of their ranks on the primary metrics.

        Within every patient and task the contenders are ranked, and the ranks averaged over tasks: tasks of one patient
        are no independent witnesses. Contenders that do not take part in all of the tasks that are compared are left
        out, and so are patients without all scores. Tasks weigh alike, also those that ask nearly the same. A leak in
        one task raises a contender here, too: read its marks in `rank`.

        Parameters
        ----------
        rng
            Seed of the random orders of the test that anybody differs, and of random signs beyond 20 patients.

        Returns
        -------
        One row for every contender, the best first; none with less than two tasks or contenders.
        ``attrs["left_out"]`` names the contenders that are not compared, each with the tasks that it lacks.

        mean_rank
            1 is the best.
        p_value, rank_low, rank_high, in_best_set, verdict
            As in `rank`, of mean ranks; from six patients.
        critical_difference
            Mean ranks that lie further apart were told apart, others were not. It is the limit of the last step of a
            step-down test on these scores, below that of a test in one step (Demšar 2006, which must be exceeded by any
            pair): no yardstick for other contenders.
        friedman_p
            Of the hypothesis that nobody differs from anybody (:mod:`stfmkit.evaluation.mean_ranks`).
        tasks, n_tasks, n_patients
            What was compared.
        """
        scores = {}
        for name, key in chosen_metrics(self.table, self.meta, None, MetricKey("")):
            lower = facts_of(self.meta["metrics"], key).get("higher_is_better") is False
            means = patient_means(rows_of(self.table, name, key))
            if len(means):
                scores[name] = -means if lower else means
        return mean_rank_table(scores, seed=rng)

    def save(self, path: str | Path) -> None:
        """Write the results into a folder: ``table.parquet``, ``observations.parquet`` and ``results.json``.

        All of them are replaced at once: a process that is killed while it writes, or a full disk, leaves the results
        that were there or the new ones. ``SHA256SUMS`` has their checksums, by which `load` tells damage.

        Results of other contenders and tasks that are there stay there, also when several runs save at once: the same
        protocol on the same data gives one folder. Where a label stands for another contender than before, its
        earlier scores go, and a finding says so.

        Raises
        ------
        InputError
            The folder holds other files, or results of another protocol or of other data.
        """
        folder = as_path(path, name="path")
        check_output(folder, self.protocol_id)
        with locked(folder):
            check_output(folder, self.protocol_id)
            there = is_written(folder)
            whole = vars(self) if not there else merge_results(vars(type(self).load(folder)), vars(self))
            facts = {
                "protocol_id": self.protocol_id,
                "protocol": self.protocol,
                "meta": whole["meta"],
                "findings": [finding.as_dict() for finding in whole["findings"]],
            }
            write_results(folder, facts, {TABLE_FILE: whole["table"], OBSERVATIONS_FILE: whole["observations"]})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read results that `save` wrote.

        Raises
        ------
        InputError
            The folder holds no results, or a file in it is not as it was written.
        """
        folder = as_path(path, name="path")
        facts, tables = read_results(folder, {TABLE_FILE: TABLE, OBSERVATIONS_FILE: OBSERVATIONS})
        return cls(
            table=tables[TABLE_FILE],
            observations=tables[OBSERVATIONS_FILE],
            protocol=facts["protocol"],
            meta=facts["meta"],
            findings=[Finding.from_dict(part) for part in facts["findings"]],
            protocol_id=facts["protocol_id"],
        )

    def report(self, path: str | Path, *, title: str = "Comparison of representations") -> None:
        """Write one offline HTML file with tables, per-patient points, tissue maps, protocol and warnings.

        Parameters
        ----------
        path
            The file; a report that is there is replaced.
        title
            Its heading.

        Raises
        ------
        InputError
            The file is there and is not a report of stfmkit.
        """
        from stfmkit.bm.report.render import render_report

        page = as_path(path, name="path")
        check_report(page)
        write_atomic(page, render_report(self, title=title).encode())
