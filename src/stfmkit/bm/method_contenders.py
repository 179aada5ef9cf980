"""Methods as contenders: run in every fold on test observations, with training observations as their reference."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd

from stfmkit._core.errors import InputError
from stfmkit._core.identity import exact
from stfmkit._core.random import int_seed, stream
from stfmkit._data.embeddings import embedding_record
from stfmkit._data.view import View
from stfmkit.bm.contenders import KINDS, Contender, Kind, Output, can_be_told, definition_of
from stfmkit.bm.study import Study
from stfmkit.methods._declared import declared, rows_of, together
from stfmkit.methods._load_method import load_method
from stfmkit.methods._run_method import check_requirements, run_method
from stfmkit.methods.catalogue import catalogue
from stfmkit.methods.contract import Method, MethodCard, Slots
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

        The embedding of the training observations themselves is computed apart. The reference of a method that gives
        expression has the hidden genes, which it learns from as a probe does; the data never have them.
        """
        del inputs, resume
        start = perf_counter()
        needs = self.method.requirements()
        unseen = hidden[:0] if self.kind == "expression" else hidden
        reference = None if needs.reference is None else self._part(fold.train, unseen, needs.reference)
        test = self._run(self._part(fold.test, hidden, needs.data), reference)
        train = self._run(self._part(fold.train, hidden, needs.data), reference) if self.kind == "embedding" else None
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

    def _part(self, rows: np.ndarray, hidden: np.ndarray, wanted: Slots) -> View:
        """Return rows with what the data, or the reference, are declared to have: labels of the reference only."""
        n_genes = self.view.table.n_vars
        genes = np.setdiff1d(np.arange(n_genes), hidden) if self.reads_expression else np.arange(n_genes)
        return rows_of(declared(self.view, wanted, copied=False), rows, genes=genes)

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
    check_requirements(method, study.view, None if needs.reference is None else study.view)
    read = together([needs.data, *([] if needs.reference is None else [needs.reference])])
    view = declared(study.view, read, copied=False)  # little is sent to other processes
    elsewhere, fitted = computed_elsewhere(study, read)
    return MethodContender(
        label=label,
        kind=kind,  # type: ignore[arg-type]
        role="model",
        origin=f"method:{card.full_name}",
        exposure=_exposure(card, elsewhere, with_reference=needs.reference is not None),
        reads_expression=needs.data.reads_expression,
        reads_elsewhere=elsewhere,
        reads_fitted=fitted,
        transductive=card.transductive,
        method=method,
        view=view,
        seed=int_seed(stream(study.protocol.rng, "method", label)),
    )


def _exposure(card: MethodCard, elsewhere: Sequence[str], *, with_reference: bool) -> str:
    parts = ["run on the test observations of every fold"]
    if card.transductive:
        parts[0] += " together (transductive)"
    if with_reference:
        genes = ", target genes included," if card.output == "expression" else ""
        parts.append(f"with its training observations{genes} as the reference")
    if elsewhere:
        parts.append(f"reading {', '.join(elsewhere)}, computed elsewhere")
    return ", ".join(parts)


def computed_elsewhere(study: Study, read: Slots) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the slots among those read that were computed elsewhere, and those of them that a model was fitted for.

    Counts, coordinates, ids, labels and cell types are data that the protocol names; everything else was computed by
    somebody, who may have seen target genes or test observations.
    """
    protocol = study.protocol
    data = {
        "layers": {protocol.layer},
        "obs": {protocol.patient_key, protocol.sample_key, protocol.label_key, protocol.celltype_key},
        "obsm": {protocol.spatial_key, protocol.celltype_key},
        "obsp": set(),
    }
    found = {slot: [key for key in getattr(read, slot) if key not in known] for slot, known in data.items()}
    fitted = [key for key in found["obsm"] if int(embedding_record(study.adata, key).get("n_obs_fitted", 0))]
    named = tuple(f"{slot}[{key!r}]" for slot, keys in found.items() for key in keys)
    if read.X and protocol.layer is not None:
        named = ("X", *named)  # counts are in the layer of the protocol
    return named, tuple(f"obsm[{key!r}]" for key in fitted)


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
