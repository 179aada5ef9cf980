"""The result of a comparison: one long table, and everything needed to read it."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pandas as pd

from stfmkit._core.arguments import check_integer, check_known, listed
from stfmkit._core.errors import InputError
from stfmkit._core.files import write_atomic
from stfmkit.bm._checks import check_output, check_report
from stfmkit.bm._files import read_json, read_parquet, write_parquet
from stfmkit.bm._rank import compare_models, rank_table
from stfmkit.bm._rows import OBSERVATIONS, SCHEMA

_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Results:
    """What `stfmkit.bm.run` returns.

    Attributes
    ----------
    table
        One row for every score, with the columns task, metric, model, fold, patient, sample, gene, niche, value,
        seconds, protocol_id. ``fold`` is -1 where predictions of several folds were scored together; ``gene`` and
        ``niche`` are empty where they do not apply, ``patient`` and ``sample`` where all patients were scored together
        (metrics that begin with ``cohort_``); controls have names that begin with ``control:``. A metric that ends in
        ``_ceiling`` says how good a score can be on these data, and stands beside ``control:thinned``; one that ends
        in ``_of_ceiling`` is the score as a share of it.
    observations
        One row for every task, model and tested observation: where it lies, truth, prediction and score.
    protocol
        Every choice, as JSON.
    meta
        Facts about data, models, tasks, metrics and versions, as JSON.
    findings
        What the audit and the run found: severity, check, evidence, remedy.
    """

    table: pd.DataFrame
    observations: pd.DataFrame
    protocol: dict[str, Any]
    meta: dict[str, Any]
    findings: list[dict[str, str]] = field(default_factory=list)
    protocol_id: str = ""

    def __repr__(self) -> str:
        data = self.meta.get("data", {})
        models = [m for m in self.table["model"].unique() if not m.startswith("control:")]
        return (
            f"Results of protocol {self.protocol_id}: {len(models)} models, {self.table['task'].nunique()} tasks, "
            f"{data.get('n_patients', '?')} patients, {len(self.table)} scores, {len(self.findings)} findings"
        )

    def rank(
        self, task: str | None = None, metric: str | None = None, *, n_boot: int = 10_000, rng: int = 0
    ) -> pd.DataFrame:
        """Rank the models by their mean over patients.

        Parameters
        ----------
        task, metric
            One task or metric only; by default the primary metric of every task.
        n_boot
            Draws of the bootstrap over patients, then samples.
        rng
            Seed of the draws.

        Returns
        -------
        One row for every task, metric and model: mean, 95 % interval (from four patients), paired difference to the
        best model with interval, exact sign-flip p and its Holm adjustment (from six patients), and a verdict in
        words: "best" (all others are worse) or "best mean", "indistinguishable from best", "worse than best", or for
        all models "cannot test" with too few patients for any difference to reach p < .05 after Holm, however large
        (six patients allow one comparison, eight allow six). Patients that lack a score of any model are left out for
        all models.
        """
        check_integer(n_boot, name="n_boot", least=100)
        chosen = self._choose(task, metric)
        better = {m: facts["higher_is_better"] for m, facts in self.meta["metrics"].items()}
        if metric is not None and better.get(metric) is None:
            raise InputError(
                f"the metric {metric!r}, which is neither better high nor low.",
                allowed=listed(m for m, direction in better.items() if direction is not None),
                remedy="read it in the table; it describes, and ranks nothing.",
            )
        ranks = rank_table(chosen, higher_is_better=better, n_boot=n_boot, seed=rng)
        order = list(self.meta["tasks"])
        return ranks.sort_values("task", key=lambda c: c.map(order.index), kind="stable", ignore_index=True)

    def compare(
        self,
        model: str,
        other: str,
        *,
        task: str | None = None,
        metric: str | None = None,
        n_boot: int = 10_000,
        rng: int = 0,
    ) -> pd.DataFrame:
        """Compare two models, paired by patient.

        Returns
        -------
        One row for every task and metric: mean difference ``model - other``, its interval, the number of patients
        in which it is above 0, and the exact sign-flip p (from six patients).
        """
        check_integer(n_boot, name="n_boot", least=100)
        known = list(self.table["model"].unique())
        for name in (model, other):
            check_known(name, known, what="model in these results", remedy="pass one of these.")
        return compare_models(self._choose(task, metric), model, other, n_boot=n_boot, seed=rng)

    def _choose(self, task: str | None, metric: str | None) -> pd.DataFrame:
        table = self.table
        if task is not None:
            check_known(task, list(table["task"].unique()), what="task in these results", remedy="pass one of these.")
            table = table[table["task"] == task]
        if metric is not None:
            check_known(
                metric, list(table["metric"].unique()), what="metric in these results", remedy="pass one of these."
            )
            chosen = table[table["metric"] == metric]
            if (chosen["patient"] == "").all():
                raise InputError(
                    f"the metric {metric!r}, which is one score of all patients together.",
                    allowed="metrics with a score for every patient",
                    remedy="read it in the table; there is nothing to draw again, and nothing to test.",
                )
            return chosen
        primary = {name: facts["primary"] for name, facts in self.meta["tasks"].items()}
        return table[table["metric"] == table["task"].map(primary)]

    def save(self, path: str | Path) -> None:
        """Write the results into a folder: ``table.parquet``, ``observations.parquet`` and ``results.json``.

        Raises
        ------
        InputError
            The folder holds other files, or results of another protocol or of other data.
        """
        folder = Path(path)
        check_output(folder, self.protocol_id)
        folder.mkdir(parents=True, exist_ok=True)
        write_parquet(self.table, folder / "table.parquet")
        write_parquet(self.observations, folder / "observations.parquet")
        facts = {
            "format": _FORMAT,
            "protocol_id": self.protocol_id,
            "protocol": self.protocol,
            "meta": self.meta,
            "findings": self.findings,
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
        folder = Path(path)
        facts = read_json(folder / "results.json")
        if facts.get("format") != _FORMAT:
            raise InputError(
                f"{folder / 'results.json'} of format {facts.get('format')!r}.",
                allowed=f"format {_FORMAT}",
                remedy="read it with the version of stfmkit that wrote it.",
            )
        return cls(
            table=read_parquet(folder / "table.parquet", columns=SCHEMA),
            observations=read_parquet(folder / "observations.parquet", columns=OBSERVATIONS),
            protocol=facts["protocol"],
            meta=facts["meta"],
            findings=facts["findings"],
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
        from stfmkit.bm._reporting._render import render_report

        check_report(Path(path))
        write_atomic(Path(path), render_report(self, title=title).encode())
