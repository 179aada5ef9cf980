"""From what a caller names or passes to contenders; nothing is guessed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from stfmkit._core.arguments import check_known, listed, nearest
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
from stfmkit._core.matrices import sound_dense
from stfmkit._data.embeddings import check_embedding, embedding_record
from stfmkit._data.matrices import stored_matrix
from stfmkit.bm.contenders import Contender, GivenContender, Kind
from stfmkit.bm.method_contenders import from_method, method_names
from stfmkit.bm.model_contenders import from_object, from_registry, is_model, model_names
from stfmkit.bm.study import Study
from stfmkit.evaluation.contender_labels import BASELINE, CONTROL

_ROUNDING = 1e-3


def resolve_contenders(contenders: object, study: Study) -> list[Contender]:
    """Return the contenders behind names, keys, arrays, tables and objects.

    Raises
    ------
    InputError
        A name stands for several things, names are not distinct, or values cannot be used.
    InputTypeError
        Something is neither a name, values, nor a model.
    MissingKeyError
        A name stands for nothing.
    """
    if isinstance(contenders, Mapping):
        named = [(str(label), spec) for label, spec in contenders.items()]
    elif isinstance(contenders, Sequence) and not isinstance(contenders, str):
        named = [(_label(spec), spec) for spec in contenders]
    else:
        raise InputTypeError(
            f"contenders of type {type(contenders).__name__}.",
            allowed="a list of names, keys and models, or a mapping from labels to these",
            remedy="pass contenders=['hvg_pca', 'coordinates'], for example.",
        )
    labels = [label for label, _ in named]
    odd = [label for label in labels if not label.strip() or not label.isprintable()]
    if odd:
        raise InputError(
            f"contenders labelled {listed(odd)}.",
            allowed="labels of one line, with text in it",
            remedy="they name rows of tables and of the report: give them names.",
        )
    if not named or len(set(labels)) < len(labels) or any(label.startswith((BASELINE, CONTROL)) for label in labels):
        raise InputError(
            f"contenders named {listed(labels)}.",
            allowed=f"one contender or more, with distinct names that do not begin with {CONTROL!r} or {BASELINE!r}",
            remedy="pass a mapping {'label': contender} to tell them apart.",
        )
    return [_contender(label, spec, study) for label, spec in named]


def _label(spec: object) -> str:
    if isinstance(spec, str):
        return spec
    if is_model(spec):
        return spec.card.name
    raise InputTypeError(
        f"a contender of type {type(spec).__name__} in the list.",
        allowed="a name, a key of the table, or an object of a class under sk.models.EmbeddingModel",
        remedy="pass arrays and options through a mapping: contenders={'label': array} or {'label': ('name', {...})}.",
    )


def _contender(label: str, spec: object, study: Study) -> Contender:
    if isinstance(spec, tuple) and len(spec) == 2 and isinstance(spec[1], Mapping):
        return _with_options(label, spec[0], spec[1], study)
    if isinstance(spec, str):
        return _named(label, spec, study)
    if isinstance(spec, tuple) and any(isinstance(part, str) for part in spec[:1]):
        raise InputTypeError(
            f"the contender {label!r}, which is the tuple {spec!r}.",
            allowed="('name', {option: value, ...}), a name and a mapping of its options",
            remedy=f"pass ({spec[0]!r}, {{...}}), or the name alone.",
        )
    if isinstance(spec, Contender):
        return spec
    if is_model(spec):
        return from_object(label, spec, study)
    return _values(label, spec, study, where=f"the values of {label!r}", origin="array")


def _with_options(label: str, name: object, options: Mapping[str, Any], study: Study) -> Contender:
    prefix, colon, rest = str(name).partition(":")
    if colon and prefix == "method":
        return from_method(label, rest, options, study)
    plain = rest if colon and prefix == "model" else str(name)
    known = [*model_names(), *method_names()]
    check_known(plain, known, what="model or method", remedy="pass a registered name (stfmkit models).")
    make = from_registry if plain in model_names() else from_method
    return make(label, plain, options, study)


# names


def _from_obs(label: str, key: str, study: Study) -> Contender:
    return _values(label, study.adata.obs[key], study, where=f"obs[{key!r}]", origin=f"obs:{key}")


def _from_obsm(label: str, key: str, study: Study) -> Contender:
    record = embedding_record(study.adata, key)
    fitted = int(record.get("n_obs_fitted", 0))
    more = {"exposure": f"{record.get('model')} fitted on {fitted} observations, elsewhere"} if fitted else {}
    where, origin = f"obsm[{key!r}]", f"obsm:{key}"
    return _values(label, study.adata.obsm[key], study, where=where, origin=origin, n_obs_fitted=fitted, **more)


def _from_layer(label: str, key: str, study: Study) -> Contender:
    dense = sound_dense(stored_matrix(study.adata, key), name=f"layers[{key!r}]")
    table = pd.DataFrame(dense, columns=study.genes.astype(str), index=study.obs_names)
    return _values(label, table, study, where=f"layers[{key!r}]", origin=f"layer:{key}")


def _from_var(label: str, key: str, study: Study) -> Contender:
    values = study.adata.var[key].to_numpy()
    if values.dtype.kind not in "iufb" or not np.isfinite(values.astype(np.float64)).all():
        raise InputError(
            f"var[{key!r}] of dtype {values.dtype}.",
            allowed="one finite score for every gene",
            remedy="pass a column of numbers.",
        )
    return _given(label, "gene_scores", values.astype(np.float64), origin=f"var:{key}")


def _from_model(label: str, key: str, study: Study) -> Contender:
    return from_registry(label, key, {}, study)


def _from_method(label: str, key: str, study: Study) -> Contender:
    return from_method(label, key, {}, study)


def _places(study: Study) -> dict[str, tuple[list[str], Callable[[str, str, Study], Contender]]]:
    """Return, by prefix, the names that are there and what makes a contender of one."""
    adata = study.adata
    return {
        "model": (model_names(), _from_model),
        "method": (method_names(), _from_method),
        "obsm": (list(adata.obsm), _from_obsm),
        "obs": (list(map(str, adata.obs.columns)), _from_obs),
        "layer": (list(map(str, adata.layers)), _from_layer),
        "var": (list(map(str, adata.var.columns)), _from_var),
    }


def _named(label: str, name: str, study: Study) -> Contender:
    """Return the contender of a name; with a prefix it is looked up in one place, otherwise in all of them."""
    places = _places(study)
    prefix, colon, rest = name.partition(":")
    if colon and prefix in places:
        names, make = places[prefix]
        if prefix == "method":
            return make(label, rest, study)  # the name alone will do where one task has it
        check_known(rest, names, what=f"{prefix} entry", remedy=f"pass one of these after '{prefix}:'.")
        return make(label, rest, study)
    hits = [prefix for prefix, (names, _) in places.items() if name in names]
    if len(hits) > 1:
        raise InputError(
            f"the contender {name!r}, which is the name of {len(hits)} things.",
            allowed=listed(f"{prefix}:{name}" for prefix in hits),
            remedy="pass one of these.",
        )
    if not hits:
        known = [*places["model"][0], *places["obsm"][0], *places["obs"][0], *places["layer"][0], *places["var"][0]]
        raise MissingKeyError(
            f"no contender named {name!r}.",
            allowed=f"registered models ({listed(places['model'][0], most=6)}); keys of obsm "
            f"({listed(places['obsm'][0], most=6)}); columns of obs and var, and layers",
            remedy=f"pass a registered name (stfmkit models) or a key of the table.{nearest(name, known)}",
        )
    return places[hits[0]][1](label, name, study)


# values


def _given(label: str, kind: Kind, values: np.ndarray, *, origin: str, **more: Any) -> GivenContender:
    exposure = more.pop("exposure", "computed elsewhere: it may have read target genes or test observations")
    return GivenContender(label=label, kind=kind, role="given", origin=origin, exposure=exposure, values=values, **more)


def _values(label: str, values: Any, study: Study, *, where: str, origin: str, **more: Any) -> GivenContender:
    """Return values of all observations as a contender; the kind follows from type, dtype and columns."""
    if isinstance(values, pd.DataFrame):
        return _table(label, values, study, where=where, origin=origin, **more)
    if isinstance(values, pd.Series):
        _check_rows(values.index, study, where=where)
    if isinstance(values, (pd.Series, pd.Categorical)) or np.ndim(values) == 1:
        names = _labels(pd.Series(values), study, where=where)
        known = set() if study.labels is None else set(study.labels.categories.astype(str))
        kind: Kind = "labels" if known & set(names.tolist()) else "clusters"
        return _given(label, kind, names, origin=origin, **more)
    return _given(label, "embedding", check_embedding(values, study.obs_names, where=where), origin=origin, **more)


def _table(label: str, table: pd.DataFrame, study: Study, *, where: str, origin: str, **more: Any) -> GivenContender:
    """Return predicted expression, where all columns are genes, or proportions, where all rows are shares."""
    _check_rows(table.index, study, where=where)
    if not table.columns.is_unique:
        raise InputError(
            f"{where} with columns that occur twice: {listed(table.columns[table.columns.duplicated()], most=4)}.",
            allowed="every column once",
            remedy="decide which column is meant; pass an embedding as an array: table.to_numpy().",
        )
    columns = tuple(map(str, table.columns))
    values = check_embedding(table.to_numpy(), study.obs_names, where=where)
    if set(columns) <= set(study.genes.astype(str)):
        _check_genes(columns, study, where=where)
        return _given(label, "expression", values, origin=origin, columns=columns, **more)
    if (values >= 0).all() and (values.sum(axis=1) <= 1 + _ROUNDING).all():
        return _given(label, "proportions", values, origin=origin, columns=columns, **more)
    raise InputError(
        f"{where}, a table whose columns are not genes and whose rows are not shares.",
        allowed="predicted expression (columns out of var_names), or proportions (rows ≥ 0 that sum to at most 1)",
        remedy="pass an embedding as an array: table.to_numpy().",
    )


def _check_rows(index: pd.Index, study: Study, *, where: str) -> None:
    """Refuse values by name whose names are not those of the observations, in their order."""
    if not index.equals(study.obs_names):
        raise InputError(
            f"{where} with other row names than obs_names.",
            allowed="one row for every observation, named and ordered as in obs_names",
            remedy="bring it into order: values.loc[adata.obs_names]; without names, pass values.to_numpy().",
        )


def _check_genes(columns: Sequence[str], study: Study, *, where: str) -> None:
    wanted = study.protocol.target_genes or tuple(map(str, study.genes))
    missing = [gene for gene in wanted if gene not in set(columns)]
    if missing:
        raise InputError(
            f"{where} without {len(missing)} genes that may be asked for: {listed(missing, most=4)}.",
            allowed="every gene of var_names, or every gene of Protocol(target_genes=...)",
            remedy="name the genes to predict: Protocol(target_genes=[...]).",
        )


def _labels(values: pd.Series, study: Study, *, where: str) -> np.ndarray:
    kinds = values.dtype.kind if isinstance(values.dtype, np.dtype) else "O"
    if len(values) != len(study.obs_names) or kinds == "f":
        raise InputError(
            f"{where} of length {len(values)} and dtype {values.dtype}.",
            allowed=f"{len(study.obs_names)} labels (text, categories or integers)",
            remedy="pass one label for every observation; an embedding has two dimensions.",
        )
    return values.astype(object).where(values.notna(), "").astype(str).to_numpy(dtype=str)
