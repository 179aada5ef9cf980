"""The result of a comparison: one long table, and everything needed to read it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pandas as pd

from stfmkit._core.arguments import check_choice, check_integer, check_known, listed
from stfmkit._core.errors import InputError
from stfmkit._core.files import write_atomic
from stfmkit.bm.contenders import CONTROL
from stfmkit.bm.finding import Finding
from stfmkit.bm.folder import as_path, check_output, check_report, locked, read_json, read_parquet, write_parquet
from stfmkit.bm.merge_results import merge_results
from stfmkit.bm.ranking import COLUMNS, compare_contenders, rank_table
from stfmkit.bm.score_table import OBSERVATIONS, TABLE, primary_of
from stfmkit.evaluation.metric_keys import KEY, MetricKey, facts_of, find_key, keys_of, rows_of

_FORMAT = 2
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
        for how good a score can be on these data, which stands beside a control; "of ceiling" for the score as a share
        of it. ``fold`` is -1 where predictions of several folds were scored together; ``patient``, ``sample``, ``gene``
        and ``niche`` are empty where they do not apply; controls have names that begin with ``control:``.
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
        n_boot: int = 10_000,
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
        n_boot
            Draws of the bootstrap over patients, then samples.
        rng
            Seed of the draws.

        Returns
        -------
        One row for every task and contender: mean, 95 % interval (from four patients), paired difference to the best
        contender with interval, exact sign-flip p and its Holm adjustment (from six patients), and a verdict in words:
        "best" (all others are worse) or "best mean", "indistinguishable from best", "worse than best", or for all
        contenders "cannot test" with too few patients for any difference to reach p < .05 after Holm, however large
        (six patients allow one comparison, eight allow six). Patients that lack a score of any contender are left out
        for all contenders.
        """
        check_integer(n_boot, name="n_boot", least=100)
        check_choice(status, _RANKED, name="status")
        parts = []
        for name, key in self._chosen(task, MetricKey(metric or "", setting, scope, status)):
            higher = facts_of(self.meta["metrics"], key).get("higher_is_better")
            if metric is not None and higher is None:
                raise InputError(
                    f"the metric {metric!r}, which is neither better high nor low.",
                    allowed=listed(dict.fromkeys(f["metric"] for f in self.meta["metrics"] if f["higher_is_better"])),
                    remedy="read it in the table; it describes, and ranks nothing.",
                )
            parts.append(rank_table(rows_of(self.table, name, key), higher_is_better=higher, n_boot=n_boot, seed=rng))
        filled = [part for part in parts if len(part)]
        return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=COLUMNS)

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
        n_boot: int = 10_000,
        rng: int = 0,
    ) -> pd.DataFrame:
        """Compare two contenders, paired by patient.

        Parameters
        ----------
        contender, other
            Labels.
        task, metric, setting, scope, status, n_boot, rng
            As in `rank`.

        Returns
        -------
        One row for every task: mean difference ``contender - other``, its interval, the number of patients in which it
        is above 0, and the exact sign-flip p (from six patients).
        """
        check_integer(n_boot, name="n_boot", least=100)
        check_choice(status, _RANKED, name="status")
        known = list(self.table["contender"].unique())
        for name in (contender, other):
            check_known(name, known, what="contender in these results", remedy="pass one of these.")
        records = []
        for name, key in self._chosen(task, MetricKey(metric or "", setting, scope, status)):
            rows = rows_of(self.table, name, key)
            found = compare_contenders(rows, contender, other, n_boot=n_boot, seed=rng)
            if found is not None:
                records.append({"task": name, **key._asdict(), **found})
        columns = ["difference", "difference_low", "difference_high", "wins", "n_patients", "p_value"]
        return pd.DataFrame(records, columns=["task", *KEY, *columns])

    def _chosen(self, task: str | None, like: MetricKey) -> Iterator[tuple[str, MetricKey]]:
        """Yield task and metric for every task that is meant and has the metric."""
        present = list(self.table["task"].unique())
        if task is not None:
            check_known(task, present, what="task in these results", remedy="pass one of these.")
        names = [name for name in (*self.meta["tasks"], *present) if name in present and task in (None, name)]
        if like.metric:
            everywhere = {key.metric for key in keys_of(self.table[self.table["task"].isin(names)])}
            check_known(like.metric, everywhere, what="metric in these results", remedy="pass one of these.")
        for name in dict.fromkeys(names):
            keys = keys_of(self.table[self.table["task"] == name])
            primary = primary_of(self.meta, name) or keys[0]
            wanted = like if like.metric else primary._replace(status=like.status)
            if not any(key.metric == wanted.metric and key.status == wanted.status for key in keys):
                continue
            key = find_key(self.table, name, wanted, primary)
            if key.scope == "cohort":
                raise InputError(
                    f"the metric {key.metric!r} of the cohort, which is one score of all patients together.",
                    allowed="metrics with a score for every patient",
                    remedy="read it in the table; there is nothing to draw again, and nothing to test.",
                )
            yield name, key

    def save(self, path: str | Path) -> None:
        """Write the results into a folder: ``table.parquet``, ``observations.parquet`` and ``results.json``.

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
            there = (folder / "results.json").is_file()
            whole = vars(self) if not there else merge_results(vars(type(self).load(folder)), vars(self))
            write_parquet(whole["table"], folder / "table.parquet")
            write_parquet(whole["observations"], folder / "observations.parquet")
            facts = {
                "format": _FORMAT,
                "protocol_id": self.protocol_id,
                "protocol": self.protocol,
                "meta": whole["meta"],
                "findings": [finding.as_dict() for finding in whole["findings"]],
            }
            write_atomic(folder / "results.json", json.dumps(facts, indent=2, ensure_ascii=False).encode())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read results that `save` wrote.

        Raises
        ------
        InputError
            The folder is not one, or a file in it is damaged.
        """
        folder = as_path(path, name="path")
        facts = read_json(folder / "results.json")
        if facts.get("format") != _FORMAT:
            raise InputError(
                f"{folder / 'results.json'} of format {facts.get('format')!r}.",
                allowed=f"format {_FORMAT}",
                remedy="read it with the version of stfmkit that wrote it.",
            )
        return cls(
            table=read_parquet(folder / "table.parquet", columns=TABLE),
            observations=read_parquet(folder / "observations.parquet", columns=OBSERVATIONS),
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
