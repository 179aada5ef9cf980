"""Embedding models as contenders: the one file of the benchmark that knows how a model is made, fitted and run."""

import copy
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd

from stfmkit._core.files import sha256_of
from stfmkit._core.identity import exact
from stfmkit._core.random import int_seed, stream
from stfmkit.bm.contenders import Contender, Output, Role
from stfmkit.bm.study import Study
from stfmkit.models._base import Block, EmbeddingModel
from stfmkit.models._block import build_block
from stfmkit.models._card import ModelCard
from stfmkit.models._load_model import load_model
from stfmkit.models._model_card import model_card
from stfmkit.models._registry import registry
from stfmkit.models._runner import fit_model, run_model
from stfmkit.splits.folds import Fold


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelContender(Contender):
    """A registered model, or the caller's model object, which is copied and never fitted.

    Attributes
    ----------
    card
        Card of the model.
    seed
        Seed of a registered model.
    options
        Options of a registered model.
    model
        The model object; None for a registered model.
    columns
        Hash of what the model reads of the table beside counts, coordinates, patients, samples and labels.
    obs_keys, var_keys
        Columns of obs and of var that the options name.
    """

    card: ModelCard
    seed: int
    options: Mapping[str, Any] = field(default_factory=dict)
    model: EmbeddingModel | None = None
    columns: str = ""
    obs_keys: tuple[str, ...] = ()
    var_keys: tuple[str, ...] = ()

    def output(self, inputs: Any, fold: Fold, *, hidden: np.ndarray, resume: Path | None = None) -> Output:
        """Return the embedding in one fold.

        The model starts anew and is fitted on training observations only. Training and test are encoded apart, so that
        neighbours never reach across the split. The genes at `hidden` are removed.
        """
        start = perf_counter()
        block: Block = inputs
        seen = block.without_genes(hidden) if self.card.reads_expression else replace(block, counts=None, genes=None)
        model = self._fresh()
        folder = resume if hasattr(model, "provenance") else None
        train, test = seen.take(fold.train), seen.take(fold.test)
        if self.card.fits:
            fit_model(model, train)
        values = [
            run_model(model, part, show_progress=False, resume=folder) if part.n_obs else None for part in (train, test)
        ]
        width = next(v.shape[1] for v in values if v is not None)
        first, second = (np.zeros((0, width), dtype=np.float32) if v is None else v for v in values)
        return Output(kind="embedding", train=first, test=second, seconds=perf_counter() - start)

    def identity(self) -> str | None:
        """Return name, options, content of local weights and seed; None for model objects, whose state is not known."""
        if self.model is not None or not _can_be_told(self.options):
            return None
        seed = self.seed if self.card.needs_rng else None
        weights = files_content(self.options.get("weights"))
        made_by = version("stfmkit")
        return f"model {self.card.name} {made_by} {exact(self.options)} {weights} seed {seed} {self.columns}"

    def describe(self) -> dict[str, Any]:
        """Return facts for the report, ready for JSON."""
        facts = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self.card).items()}
        return {**facts, **super().describe(), "options": {k: repr(v) for k, v in self.options.items()}}

    def _fresh(self) -> EmbeddingModel:
        if self.model is not None:
            return copy.deepcopy(self.model)
        return load_model(self.card.name, rng=self.seed, **self.options)


def model_names() -> list[str]:
    """Return the names of all registered models."""
    return list(registry.cards())


def control_names() -> list[str]:
    """Return the names of the registered models that a representation has to beat before it is worth anything."""
    return [name for name in model_names() if _role(model_card(name)) == "control"]


def is_model(thing: object) -> bool:
    """Tell whether an object is a model."""
    return isinstance(thing, EmbeddingModel)


def registered(label: str, name: str, options: Mapping[str, Any], study: Study) -> ModelContender:
    """Return a registered model as a contender, its options checked."""
    seed = int_seed(stream(study.protocol.rng, "model", label))
    return _contender(
        label, load_model(name, rng=seed, **options), study, options=dict(options), origin=f"model:{name}"
    )


def from_object(label: str, model: Any, study: Study) -> ModelContender:
    """Return a model object as a contender."""
    return _contender(label, model, study, options={}, origin="object", own=model)


def _contender(
    label: str,
    model: EmbeddingModel,
    study: Study,
    *,
    options: Mapping[str, Any],
    origin: str,
    own: EmbeddingModel | None = None,
) -> ModelContender:
    card = model.card if own is not None else model_card(origin.removeprefix("model:"))
    obs_keys, var_keys = getattr(model, "obs_keys", ()), getattr(model, "var_keys", ())
    return ModelContender(
        label=label,
        kind="embedding",
        role=_role(card),
        origin=origin,
        exposure=_exposure(card),
        reads_expression=card.reads_expression,
        by_row=not card.fits and not card.uses_neighbors,
        card=card,
        seed=int_seed(stream(study.protocol.rng, "model", label)),
        options=options,
        model=own,
        columns=_columns_content(study, card, obs_keys, var_keys),
        obs_keys=tuple(obs_keys),
        var_keys=tuple(var_keys),
    )


def _role(card: ModelCard) -> Role:
    if card.family != "baseline":
        return "model"
    return "control" if card.source.startswith("control for") else "baseline"


def _exposure(card: ModelCard) -> str:
    if card.fits:
        return "fitted in every fold, on training observations only"
    return f"trained on {card.corpus}" if card.corpus else "fitted on nothing"


def _columns_content(study: Study, card: ModelCard, obs_keys: Sequence[str], var_keys: Sequence[str]) -> str:
    """Return a hash of the columns that a model reads and that the fingerprint of the study does not hold."""
    adata, key = study.adata, study.protocol.celltype_key
    parts = {f"obs {name}": adata.obs[name].astype(str).to_numpy(str) for name in obs_keys if name in adata.obs}
    parts |= {f"var {name}": adata.var[name].astype(str).to_numpy(str) for name in var_keys if name in adata.var}
    if "composition" in card.needs and key is not None:
        if key in adata.obs:
            parts["composition"] = adata.obs[key].astype(str).to_numpy(str)
        elif key in adata.obsm:
            table = adata.obsm[key]
            parts["composition"] = table if isinstance(table, pd.DataFrame) else np.asarray(table)
    return exact(parts)


def shared_inputs(study: Study, contenders: Sequence[Contender]) -> Block:
    """Return all that any of the models reads, checked and read once."""
    models = [c for c in contenders if isinstance(c, ModelContender)]
    needs = tuple(sorted({need for c in models for need in c.card.needs} | {"coordinates"}))
    readers = [c.label for c in models if "composition" in c.card.needs] or [c.label for c in models]
    union = ModelCard(name=", ".join(readers), target="", family="baseline", summary="", needs=needs)  # type: ignore[arg-type]
    protocol = study.protocol
    return build_block(
        study.adata,
        union,
        obs_keys=sorted({key for c in models for key in c.obs_keys}),
        var_keys=sorted({key for c in models for key in c.var_keys}),
        layer=protocol.layer,
        sample_key=protocol.sample_key,
        spatial_key=protocol.spatial_key,
        celltype_key=protocol.celltype_key,
    )


def files_content(weights: object) -> str:
    """Return the hashes of the files of local weights; nothing for weights that are not on disk."""
    if not isinstance(weights, (str, os.PathLike)):
        return ""
    place = Path(weights)
    files = [place] if place.is_file() else sorted(path for path in place.glob("*") if path.is_file())
    return str([(path.name, sha256_of(path)) for path in files])


def _can_be_told(value: object) -> bool:
    """Tell whether `exact` tells a value from all others: it is plain, or a table or array of numbers or text."""
    if isinstance(value, Mapping):
        return all(_can_be_told(part) for part in value.values())
    if isinstance(value, (list, tuple)):
        return all(_can_be_told(part) for part in value)
    plain = (str, bytes, int, float, np.generic, os.PathLike, pd.DataFrame, pd.Index)
    return value is None or isinstance(value, plain) or (isinstance(value, np.ndarray) and value.dtype != object)
