"""One contender, or the controls, in one fold: the piece of work that is handed to a process."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from threadpoolctl import threadpool_limits

from stfmkit._core.random import int_seed, stream
from stfmkit.bm._sources import Source
from stfmkit.bm._study import Study
from stfmkit.bm._tasks._compute import clusters_unit, expression_unit, labels_unit
from stfmkit.bm._tasks._controls import CONTROLS, expression_control, label_control
from stfmkit.bm._tasks._truth import FoldTruth
from stfmkit.bm._units import Output, UnitStore
from stfmkit.models.contract import Block
from stfmkit.splits.folds import Fold

Outputs = dict[tuple[str, str, int], Output]
"""Outputs by (label, unit, number of the fold)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """Everything that the units of one contender in one fold need.

    Attributes
    ----------
    units
        Names of the tasks that each unit serves.
    source
        The contender; None for the controls that are no embedding.
    identity
        The protocol id.
    """

    study: Study
    fold: Fold
    truth: FoldTruth | None
    units: Mapping[str, list[str]]
    source: Source | None
    block: Block
    store: UnitStore | None
    identity: str

    def run(self) -> Outputs:
        """Compute all units, or read those that are finished; in one thread, so that the bits do not depend on it."""
        outputs: Outputs = {}
        with threadpool_limits(1):
            for unit in self.units:
                labels = CONTROLS[unit] if self.source is None else (self.source.label,)
                for label in labels:
                    outputs[label, unit, self.fold.number] = self._kept(label, unit)
        return outputs

    def _kept(self, label: str, unit: str) -> Output:
        name = "control" if self.source is None else self.source.identity()
        if self.store is None or name is None:
            return self._compute(label, unit)
        made_by = version("stfmkit")  # another version may compute another number
        key = f"{made_by} {self.identity} {label} {name} {unit} {self.units[unit]} {self.fold.number}"
        output = self.store.load(key)
        if output is None:
            output = self._compute(label, unit)
            self.store.save(key, output)
        return output

    def _compute(self, label: str, unit: str) -> Output:
        if unit == "expression":
            if self.truth is None:
                msg = "the expression unit needs its targets"
                raise RuntimeError(msg)
            if self.source is None:
                return expression_control(self.study, self.truth, label, self.units[unit])
            return expression_unit(self.study, self.truth, self._embed, self.units[unit])
        if self.source is None:
            return label_control(self.study, self.fold, label, unit)
        compute = labels_unit if unit == "labels" else clusters_unit
        return compute(self.study, self.fold, self._embed)

    def _embed(self, hidden: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.source is None:
            msg = "the controls have no embedding"
            raise RuntimeError(msg)
        seed = int_seed(stream(self.study.protocol.rng, "model", self.source.label))
        parts = None if self.store is None else self.store.folder / "embeddings"
        return self.source.embed(self.block, self.fold, hidden=hidden, seed=seed, resume=parts)
