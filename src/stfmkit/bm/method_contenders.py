"""Methods as contenders: run in every fold on test observations, with training observations as their reference."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from stfmkit._core.errors import InputError
from stfmkit._core.identity import exact
from stfmkit._core.random import int_seed, stream
from stfmkit._data.view import View
from stfmkit.bm.contenders import KINDS, Contender, Kind, Output, can_be_told, definition_of
from stfmkit.bm.study import Study
from stfmkit.methods._load_method import load_method
from stfmkit.methods._run_method import check_requirements, run_method
from stfmkit.methods.catalogue import catalogue
from stfmkit.methods.contract import Method, Slots
from stfmkit.splits.folds import Fold


@dataclass(frozen=True, kw_only=True, eq=False)
class MethodContender(Contender):
    """A method with its options.

    Attributes
    ----------
    method
        The method.
    view
        What it reads of the table, and nothing else.
    seed
        Seed of all folds.
    """

    method: Method
    view: View
    seed: int

    def output(self, inputs: Any, fold: Fold, *, hidden: np.ndarray, resume: Path | None = None) -> Output:
        """Return the output for test observations; a method that needs a reference is given training observations.

        What is asked of the training observations themselves (embeddings, expression) is computed apart.
        """
        del inputs, resume
        start = perf_counter()
        needs = self.method.requirements()
        reference = None if needs.reference is None else self._part(fold.train, hidden)
        test = self._run(self._part(fold.test, hidden), reference)
        train = self._run(self._part(fold.train, hidden), reference) if self.kind == "embedding" else None
        columns = tuple(map(str, test.columns)) if isinstance(test, pd.DataFrame) else ()
        values = _array(test, self.kind)
        before = values[:0] if train is None else _array(train, self.kind)
        return Output(kind=self.kind, train=before, test=values, columns=columns, seconds=perf_counter() - start)

    def identity(self) -> str | None:
        """Return method, options, seed and content of the slots; None for what cannot be told."""
        table, made_by = self.view.table, definition_of(type(self.method))
        if made_by is None or self.view.container is not None or not can_be_told(self.method.options):
            return None
        content = {
            "X": table.X,
            "layers": dict(table.layers),
            "obs": table.obs.astype(str),
            "obsm": {key: np.asarray(value) for key, value in table.obsm.items()},
            "var": table.var.astype(str),
        }
        seed = self.seed if self.method.card.draws else None
        return f"method {self.origin} {made_by} {exact(self.method.options)} seed {seed} {exact(_plain(content))}"

    def describe(self) -> dict[str, Any]:
        """Return facts for the report, ready for JSON."""
        card = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self.method.card).items()}
        options = {name: repr(value) for name, value in self.method.options.items()}
        return {**card, **super().describe(), "family": f"method for {self.method.card.task}", "options": options}

    def _part(self, rows: np.ndarray, hidden: np.ndarray) -> View:
        table = self.view.table
        genes = np.setdiff1d(np.arange(table.n_vars), hidden) if self.reads_expression else np.arange(table.n_vars)
        return View(table=table[rows][:, genes].copy(), container=self.view.container, table_key=self.view.table_key)

    def _run(self, view: View, reference: View | None) -> pd.Series | pd.DataFrame:
        output = run_method(self.method, view, reference, rng=self.seed)
        if isinstance(output.result, (pd.Series, pd.DataFrame)):
            return output.result
        dense = pd.DataFrame(output.result.toarray(), index=output.observations, columns=output.genes)
        return dense.reindex(view.table.obs_names)


def method_names() -> list[str]:
    """Return the names of all registered methods, with their task."""
    return list(catalogue.entries())


def from_method(label: str, name: str, options: Mapping[str, Any], study: Study) -> MethodContender:
    """Return a method as a contender, its options checked and what it reads there.

    Raises
    ------
    InputError
        The method gives what cannot be compared, or reads the labels that it is to predict.
    """
    method = load_method(name, **options)
    card, needs = method.card, method.requirements()
    kind = "clusters" if card.task == "domains" else card.output
    if kind not in KINDS:
        raise InputError(
            f"the method {card.full_name!r}, which gives {kind}.", allowed=f"{KINDS}", remedy="leave it out."
        )
    if study.protocol.label_key is not None and study.protocol.label_key in needs.data.obs:
        raise InputError(
            f"the method {card.full_name!r} reads obs[{study.protocol.label_key!r}] of the observations that it is to "
            "predict.",
            allowed="a method that reads other columns",
            remedy="pass other keys as its options.",
        )
    view = _only(study.view, [needs.data, *([] if needs.reference is None else [needs.reference])])
    check_requirements(method, view, None if needs.reference is None else view)
    return MethodContender(
        label=label,
        kind=kind,  # type: ignore[arg-type]
        role="model",
        origin=f"method:{card.full_name}",
        exposure="run on the test observations of every fold"
        + ("" if needs.reference is None else ", with its training observations as the reference"),
        reads_expression=needs.data.reads_expression,
        method=method,
        view=view,
        seed=int_seed(stream(study.protocol.rng, "method", label)),
    )


def _only(view: View, several: Sequence[Slots]) -> View:
    """Return a view of the slots that are read, so that little is sent to other processes; all where elements are."""
    if any(slots.reads_elements for slots in several) or any(slots.obsp for slots in several):
        return view
    table = view.table
    keys = {name: {k for s in several for k in getattr(s, name)} for name in ("layers", "obs", "obsm", "var")}
    return View(
        table=AnnData(
            table.X if any(slots.X for slots in several) else None,
            obs=table.obs[[key for key in table.obs if key in keys["obs"]]],
            var=table.var[[key for key in table.var if key in keys["var"]]],
            layers={key: table.layers[key] for key in table.layers if key in keys["layers"]},
            obsm={key: table.obsm[key] for key in table.obsm if key in keys["obsm"]},
        )
    )


def _array(result: pd.Series | pd.DataFrame, kind: Kind) -> np.ndarray:
    if kind in {"labels", "clusters"}:
        return result.astype(str).to_numpy(dtype=str)
    return result.to_numpy(dtype=np.float64)


def _plain(value: Any) -> Any:
    """Return matrices as the arrays that they are made of."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if hasattr(value, "indptr"):
        return (value.shape, value.indptr, value.indices, value.data)
    return value
