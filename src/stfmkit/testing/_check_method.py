"""Whether a method keeps the contract that the verbs and the benchmark rely on."""

import random
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from stfmkit._core.errors import InputError, InputTypeError
from stfmkit._core.identity import exact
from stfmkit._data.matrices import as_matrix
from stfmkit._data.view import View
from stfmkit.methods._declared import declared
from stfmkit.methods._load_method import load_method, method_class, option_fields
from stfmkit.methods._run_method import run_method
from stfmkit.methods.catalogue import catalogue, check_card, find
from stfmkit.methods.contract import Method, MethodCard, Output, Requirements

if TYPE_CHECKING:
    from stfmkit._data.view import Container

_RTOL, _ATOL = 1e-4, 1e-6
_FAILURES = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
_BY_OBSERVATION = {"labels", "proportions", "expression", "embedding", "alignment"}
_EXAMPLE_KEYS = {
    "embedding_key": "X_example",
    "label_key": "label",
    "celltype_key": "label",
    "sample_key": "sample",
    "patient_key": "patient",
    "spatial_key": "spatial",
}


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """A method under test: how a fresh object is made, and tables with what it declares to read, and nothing else."""

    make: Callable[[], Method]
    view: View
    other: View | None
    rng: int

    @property
    def data(self) -> AnnData:
        return self.view.table

    @property
    def reference(self) -> AnnData | None:
        return None if self.other is None else self.other.table

    @property
    def card(self) -> MethodCard:
        return self.make().card

    def run(self, data: AnnData | None = None, reference: AnnData | None = None, *, rng: int | None = None) -> Output:
        view = self.view if data is None else replace(self.view, table=data)
        other = self.other if self.other is None or reference is None else replace(self.other, table=reference)
        return run_method(self.make(), view, other, rng=self.rng if rng is None else rng)


def check_method(
    method: str | type[Method],
    *,
    data: "Container | None" = None,
    reference: "Container | None" = None,
    rng: int = 0,
    **options: Any,
) -> None:
    """Check that a method keeps the contract, and raise at the first promise that it breaks.

    The checks: the card is well formed and belongs to the class; the class is a frozen dataclass whose constructor
    stores options and nothing else; what it declares to read agrees with the card, and the method works with that
    alone; the output is of the kind of its task, with a row for every observation; two runs with one seed give the
    same bits, and so do two seeds where the card says that nothing is drawn; the global random state and the tables
    stay as they are; the order of observations, reference cells and genes makes no difference (up to the names of
    labels, for a method without a reference); for a method that is not transductive, other observations make none; and
    a method that gives expression and reads that of a reference gives all genes that the reference has and the data
    lack, as in a comparison, where the data lack the target genes.

    Parameters
    ----------
    method
        A name of `stfmkit.methods.list_methods`, or a class.
    data, reference
        Tables to check with, where the method reads something that a small table of three groups does not have:
        counts (of 30 genes; the data of 20, where the reference teaches the others), ``obsm["X_example"]``,
        ``obsm["spatial"]``, and the columns "label", "sample" and "patient" of ``obs``.
        Their keys are passed to the method where it takes them and `options` do not say otherwise.
    rng
        Seed.
    options
        Options of the method by name.

    Raises
    ------
    InputError
        The contract is broken; the text says where, and what to repair.
    InputTypeError
        `method` is neither a name nor a class of a method, or the output is of a wrong type.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.testing.check_method("annotate/knn", n_neighbors=5)
    >>> sk.testing.check_method("domains/kmeans", n_clusters=3)
    """
    kind = _checked_class(method)
    example, example_reference = _example_tables()
    keys = {name: key for name, key in _EXAMPLE_KEYS.items() if name in option_fields(kind)}
    all_options = (keys if data is None else {}) | options
    check_card(kind.card)
    make = _maker(method, kind, all_options)
    _check_constructor(make(), all_options)
    _check_declared(make())
    requirements = make().requirements()
    if _learns_genes(requirements, kind.card):
        example = example[:, :20].copy()
    trial = _Trial(
        make=make,
        view=declared(View.of(example if data is None else data), requirements.data),
        other=None
        if requirements.reference is None
        else declared(View.of(example_reference if reference is None else reference), requirements.reference),
        rng=rng,
    )
    whole = _check_first_run(trial)
    if _learns_genes(requirements, kind.card):
        _check_unseen_genes(trial, whole)
    _check_orders(trial, whole)
    if not trial.card.transductive and trial.card.output in _BY_OBSERVATION:
        _check_part(trial, whole)
    if trial.card.reads_expression:
        _check_genes(trial, whole)


def _learns_genes(requirements: Requirements, card: MethodCard) -> bool:
    """Tell whether a method gives expression that it learns from that of a reference."""
    return (
        card.output == "expression" and requirements.reference is not None and requirements.reference.reads_expression
    )


def _example_tables() -> tuple[AnnData, AnnData]:
    """Return data and reference: three groups in counts, embedding and space, in three samples."""
    draw = np.random.default_rng(0)
    return _example_table(draw, 90, prefix="cell"), _example_table(draw, 60, prefix="ref")


def _example_table(draw: np.random.Generator, n: int, *, prefix: str) -> AnnData:
    group, sample = draw.permutation(np.arange(n) % 3), np.arange(n) % 3
    rate = np.where(np.arange(30)[None, :] // 10 == group[:, None], 6.0, 1.0)
    centre = 8.0 * np.eye(3, 5)
    obs = pd.DataFrame(
        {
            "label": pd.Categorical([f"type {g}" for g in group]),
            "sample": pd.Categorical([f"S{s}" for s in sample]),
            "patient": pd.Categorical([f"P{s}" for s in sample]),
        },
        index=[f"{prefix}{i}" for i in range(n)],
    )
    table = AnnData(
        sparse.csr_matrix(draw.poisson(rate).astype(np.float32)),
        obs=obs,
        var=pd.DataFrame(index=[f"GENE{g}" for g in range(30)]),
    )
    table.obsm["X_example"] = (centre[group] + draw.normal(size=(n, 5))).astype(np.float32)
    table.obsm["spatial"] = 300.0 * group[:, None] + draw.uniform(0, 250, size=(n, 2))
    return table


def _broken(promise: str, *, found: str, remedy: str) -> InputError:
    return InputError(found, allowed=promise, remedy=remedy)


def _checked_class(method: str | type[Method]) -> type[Method]:
    """Return the class, checked to be one that a card can point to."""
    if isinstance(method, str):
        kind = method_class(find(method))
    elif isinstance(method, type):
        kind = method
    else:
        raise InputTypeError(
            f"a method of type {type(method).__name__}.",
            allowed="a name of sk.methods.list_methods(), or a class",
            remedy="pass the class itself, and its options by name.",
        )
    if not issubclass(kind, Method):
        raise InputTypeError(
            f"the class {kind.__name__}, which is not derived from sk.methods.Method.",
            allowed="a class with card, requirements() and run(view, reference, rng=)",
            remedy="derive it from sk.methods.Method.",
        )
    missing = sorted(kind.__abstractmethods__) + ([] if "card" in _attributes(kind) else ["card"])
    if missing:
        raise _broken(
            "a class with card, requirements() and run(view, reference, rng=)",
            found=f"{kind.__name__} without {' and '.join(missing)}.",
            remedy="add what is missing.",
        )
    if not is_dataclass(kind) or not kind.__dataclass_params__.frozen:
        raise _broken(
            "a frozen dataclass, whose fields are the options",
            found=f"{kind.__name__} is {'a dataclass that can be changed' if is_dataclass(kind) else 'no dataclass'}.",
            remedy="decorate it with @dataclass(frozen=True, kw_only=True).",
        )
    _check_card_of(kind, find(method) if isinstance(method, str) else None)
    return kind


def _attributes(kind: type) -> set[str]:
    return {name for base in kind.__mro__ for name in vars(base)}


def _check_card_of(kind: type[Method], registered: MethodCard | None) -> None:
    check_card(kind.card)
    registry_card = registered or catalogue.entries().get(kind.card.full_name)
    if (
        registry_card is not None
        and registry_card != kind.card
        and (registered is not None or registry_card.target == kind.card.target)
    ):
        raise _broken(
            "one card for a method",
            found=f"{kind.__name__} has another card ({kind.card.full_name!r}) than the registry.",
            remedy="register the card that the class holds.",
        )
    if kind.card.target.partition(":")[2] != kind.__name__:
        raise _broken(
            f"a target that ends with :{kind.__name__}",
            found=f"a card with target={kind.card.target!r}.",
            remedy="correct target on the card.",
        )


def _maker(method: str | type[Method], kind: type[Method], options: dict[str, Any]) -> Callable[[], Method]:
    return (lambda: load_method(method, **options)) if isinstance(method, str) else (lambda: kind(**options))


def _check_constructor(method: Method, options: dict[str, Any]) -> None:
    attributes = vars(method)
    changed_options = [
        name for name, value in options.items() if name not in attributes or exact(attributes[name]) != exact(value)
    ]
    extra_attributes = sorted(set(attributes) - set(option_fields(type(method))))
    if changed_options or extra_attributes:
        faults = ", ".join(
            [*(f"changes {name}" for name in changed_options), *(f"stores {name}" for name in extra_attributes)]
        )
        raise _broken(
            "a constructor that stores its options, and nothing else",
            found=f"the constructor of {method.card.full_name!r} {faults}.",
            remedy="compute in run(view, reference, rng=).",
        )


def _check_declared(method: Method) -> None:
    card, requirements = method.card, method.requirements()
    if (requirements.reference is not None) != bool(card.reference_needs):
        raise _broken(
            "reference_needs on the card of a method that reads a reference, and on no other",
            found=f"{card.full_name!r} declares reference={requirements.reference!r}, its card "
            f"reference_needs={card.reference_needs!r}.",
            remedy="correct the card, or requirements().",
        )
    if requirements.data.reads_expression != card.reads_expression:
        raise _broken(
            "'counts' or 'expression' in needs of a method that reads X or a layer, and of no other",
            found=f"{card.full_name!r} declares {requirements.data!r}, its card needs={card.needs!r}.",
            remedy="correct the card, so that a benchmark hides the genes that are to be predicted.",
        )


def _check_first_run(trial: _Trial) -> Output:
    """The same bits from two runs, no trace in tables or in the global random state, nothing read beyond the slots."""
    content, state = _content(trial), _global_state()
    try:
        first = trial.run()
    except (InputError, InputTypeError):
        raise
    except _FAILURES as error:
        raise _broken(
            "a method that works with the slots that requirements() names",
            found=f"{trial.card.full_name!r} raises {error!r} on a table of these slots alone.",
            remedy="name all slots that run reads.",
        ) from error
    if _global_state() != state:
        raise _broken(
            "local random generators",
            found=f"{trial.card.full_name!r} draws from a global random state, or seeds it.",
            remedy="use np.random.default_rng(rng).",
        )
    if _content(trial) != content:
        raise _broken(
            "tables that stay as they are",
            found=f"{trial.card.full_name!r} changes the data or the reference that it is given.",
            remedy="work on copies.",
        )
    if _bits(trial.run()) != _bits(first):
        raise _broken(
            "the same bits from two runs with one seed",
            found=f"two runs of {trial.card.full_name!r} differ.",
            remedy="take every random number from rng.",
        )
    if not trial.card.draws and _bits(trial.run(rng=trial.rng + 1)) != _bits(first):
        raise _broken(
            "draws=True on the card of a method that draws",
            found=f"{trial.card.full_name!r} gives another result with another seed.",
            remedy="set draws=True.",
        )
    return first


def _content(trial: _Trial) -> str:
    tables = (trial.data,) if trial.reference is None else (trial.data, trial.reference)
    return exact([_content_of(table) for table in tables])


def _content_of(table: AnnData) -> dict[str, Any]:
    slots = {"X": {"": table.X}, "layers": table.layers, "obsm": table.obsm, "obsp": table.obsp}
    arrays = {
        f"{slot}[{key}]": values if isinstance(values, pd.DataFrame) else _dense(values)
        for slot, entries in slots.items()
        for key, values in entries.items()
        if values is not None
    }
    return {"obs": table.obs, "var": table.var, "uns": repr(dict(table.uns)), **arrays}


def _dense(values: Any) -> np.ndarray:
    matrix = as_matrix(values, where="a slot")
    return matrix.toarray() if isinstance(matrix, sparse.csr_array) else np.asarray(matrix)


def _global_state() -> tuple[object, ...]:
    numpy_state = np.random.get_state(legacy=False)["state"]  # noqa: NPY002  to see that nobody uses it
    return numpy_state["key"].tobytes(), numpy_state["pos"], random.getstate()


def _frame(output: Output) -> pd.DataFrame:
    """Return a result as a table whose rows and columns have names."""
    result = output.result
    if isinstance(result, pd.Series):
        return result.to_frame("result")
    if not isinstance(result, pd.DataFrame):
        return pd.DataFrame(result.toarray(), index=output.observations, columns=output.genes)
    if output.kind == "interaction_scores":
        keys = [name for name in ("ligand", "receptor", "source", "target") if name in result]
        return result.set_index(keys)[["score"]]
    return result


def _bits(output: Output) -> str:
    return exact([_frame(output), output.probabilities])


def _check_orders(trial: _Trial, whole: Output) -> None:
    output = trial.run(trial.data[_shuffled(trial.data.n_obs)].copy())
    if not _same(output, whole, trial):
        raise _broken(
            "a result that follows the observations",
            found=f"{trial.card.full_name!r} gives another result when the observations are shuffled.",
            remedy="do not let it depend on the position of a row.",
        )
    if trial.reference is None:
        return
    output = trial.run(reference=trial.reference[_shuffled(trial.reference.n_obs)].copy())
    if not _same(output, whole, trial):
        raise _broken(
            "a result that does not depend on the order of the reference",
            found=f"{trial.card.full_name!r} gives another result when the reference is shuffled.",
            remedy="break ties by content, not by position.",
        )


def _check_unseen_genes(trial: _Trial, whole: Output) -> None:
    reference = trial.data if trial.reference is None else trial.reference
    unseen = reference.var_names.difference(trial.data.var_names)
    missing = unseen.difference(_frame(whole).columns)
    if len(missing):
        raise _broken(
            "expression of all genes of the reference that the data lack",
            found=f"{trial.card.full_name!r} gives none of {len(missing)} of {len(unseen)} such genes.",
            remedy="predict the genes of the reference, not those of the data.",
        )


def _check_part(trial: _Trial, whole: Output) -> None:
    rows = np.arange(trial.data.n_obs // 3, trial.data.n_obs // 2)
    if not _same(trial.run(trial.data[rows].copy()), whole, trial, names=trial.data.obs_names[rows]):
        raise _broken(
            "a result that depends on one observation and the reference alone, or transductive=True",
            found=f"{trial.card.full_name!r} gives another result when other observations are left out.",
            remedy="set transductive=True on the card, so that a benchmark says so.",
        )


def _check_genes(trial: _Trial, whole: Output) -> None:
    output = trial.run(trial.data[:, _shuffled(trial.data.n_vars)].copy())
    if not _same(output, whole, trial):
        raise _broken(
            "genes that are found by name",
            found=f"{trial.card.full_name!r} gives another result when the genes are in another order.",
            remedy="align the genes of data and reference by name.",
        )


def _shuffled(n: int) -> np.ndarray:
    return np.random.default_rng(1).permutation(n)


def _same(output: Output, whole: Output, trial: _Trial, *, names: pd.Index | None = None) -> bool:
    """Tell whether two outputs agree, by name (those of `names`); labels without a reference may be renamed."""
    first, second = _frame(output), _frame(whole)
    shares = output.probabilities, whole.probabilities
    if names is not None:
        second = second.loc[names]
        shares = shares[0], None if shares[1] is None else shares[1].loc[names]
    if whole.kind != "labels":
        return _close(first, second)
    labels = pd.DataFrame({"found": first["result"].astype(str), "wanted": second["result"].astype(str)})
    if trial.reference is not None:
        return bool((labels["found"] == labels["wanted"]).all()) and _close(*shares)
    pairs = labels.drop_duplicates()
    return not (pairs["found"].duplicated().any() or pairs["wanted"].duplicated().any())


def _close(first: pd.DataFrame | None, second: pd.DataFrame | None) -> bool:
    if first is None or second is None:
        return first is second
    if not (first.index.sort_values().equals(second.index.sort_values()) and set(first) == set(second)):
        return False
    values = first.loc[second.index, list(second.columns)].to_numpy(dtype=np.float64)
    targets = second.to_numpy(dtype=np.float64)
    return bool(np.allclose(values, targets, rtol=_RTOL, atol=_ATOL * max(float(np.abs(targets).max()), 1.0)))
