"""The embedding stage: an output is computed once for each distinct (contender, fold, hidden genes)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from stfmkit._core.identity import exact
from stfmkit._core.processes import in_processes
from stfmkit._core.progress import progress
from stfmkit._core.store import Store
from stfmkit.bm.contenders import Contender, Output
from stfmkit.splits.folds import Fold

NO_GENES = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """Where tasks get the outputs of contenders.

    A contender whose outputs do not depend on the fold gives all rows at once, and several folds share them. What has
    an identity is kept in the store, and read from there when a run is started again.

    Attributes
    ----------
    inputs
        What contenders read.
    n_obs
        Number of observations.
    data
        Text that tells the data from others.
    store
        Folder for finished outputs; None keeps them in memory.
    identities
        Identity of every contender by its label, asked once; None where it cannot be told.
    shared
        Outputs of all rows that several folds read, by what they are outputs of.
    recent
        Outputs that were made in this process for one contender, so that tasks share them.
    """

    inputs: Any
    n_obs: int
    data: str
    store: Store | None = None
    identities: Mapping[str, str | None] = field(default_factory=dict)
    shared: Mapping[str, Output] = field(default_factory=dict)
    recent: dict[tuple[str, int], Output] = field(default_factory=dict)

    def output(self, contender: Contender, fold: Fold, hidden: np.ndarray) -> Output:
        """Return the output of a contender in a fold, with the genes at `hidden` not shown to it."""
        hidden = NO_GENES if contender.reads_expression is False else hidden
        name = _name(contender, hidden)
        if (name, fold.number) not in self.recent:
            self.recent[name, fold.number] = self._of_fold(contender, fold, hidden, name)
        return self.recent[name, fold.number]

    def with_shared(
        self, wanted: Sequence[tuple[Contender, np.ndarray]], *, n_jobs: int, show_progress: bool
    ) -> "Stage":
        """Return a stage that holds what more than one fold reads; `wanted` has one entry for every fold and need."""
        asked = [(c, NO_GENES if c.reads_expression is False else hidden) for c, hidden in wanted if c.by_row]
        times = Counter(_name(*pair) for pair in asked)
        once = {_name(*pair): pair for pair in asked if times[_name(*pair)] > 1}
        work = in_processes((partial(self._whole, *pair) for pair in once.values()), n_jobs=n_jobs, ordered=True)
        bar = progress(work, label="computing outputs", total=len(once), unit="output", show=show_progress)
        return replace(self, shared=dict(zip(once, bar, strict=True)))

    def for_contender(self, contender: Contender | None) -> "Stage":
        """Return a stage that holds nothing of other contenders, to be sent to another process; None reads nothing."""
        if contender is None:
            return replace(self, inputs=None, shared={}, recent={})
        own = {name: output for name, output in self.shared.items() if name.startswith(f"{contender.label}\n")}
        return replace(self, shared=own, recent={})

    def _of_fold(self, contender: Contender, fold: Fold, hidden: np.ndarray, name: str) -> Output:
        if not contender.by_row:
            return self._kept(contender, fold, hidden)
        whole = self.shared[name] if name in self.shared else self._kept(contender, self._everything(), hidden)
        share = len(fold.test) / self.n_obs if name in self.shared else 1.0  # its time is dealt to the folds
        return replace(whole, train=whole.test[fold.train], test=whole.test[fold.test], seconds=whole.seconds * share)

    def _everything(self) -> Fold:
        return Fold(-1, NO_GENES, np.arange(self.n_obs), NO_GENES)

    def _whole(self, contender: Contender, hidden: np.ndarray) -> Output:
        with threadpool_limits(1):  # the bits do not depend on the number of threads
            return self._kept(contender, self._everything(), hidden)

    def _kept(self, contender: Contender, fold: Fold, hidden: np.ndarray) -> Output:
        known = self.identities.get(contender.label)
        if self.store is None or known is None or contender.role == "given":
            return contender.output(self.inputs, fold, hidden=hidden)
        identity = f"output {self.data} {known} {exact(fold.train)} {exact(fold.test)} {exact(hidden)}"
        held = self.store.get(identity)
        if held is not None:
            return Output(
                kind=contender.kind,
                train=np.asarray(held["train"]),
                test=np.asarray(held["test"]),
                columns=tuple(np.asarray(held["columns"]).tolist()),
                seconds=float(np.asarray(held["seconds"])[0]),
            )
        output = contender.output(self.inputs, fold, hidden=hidden, resume=self.store.folder)
        columns, seconds = np.array(output.columns, dtype=str), np.array([output.seconds])
        self.store.put(identity, {"train": output.train, "test": output.test, "columns": columns, "seconds": seconds})
        return output


def _name(contender: Contender, hidden: np.ndarray) -> str:
    return f"{contender.label}\n{exact(hidden)}"
