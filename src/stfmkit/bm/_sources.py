"""Where an embedding comes from: a registered model, an array computed elsewhere, or a model object."""

import copy
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from stfmkit._core.arguments import check_known, listed
from stfmkit._core.errors import InputError, InputTypeError
from stfmkit._core.identity import exact
from stfmkit._core.store import Store
from stfmkit.bm._rows import CONTROL
from stfmkit.bm._study import Study
from stfmkit.models._load_model import load_model, make_model
from stfmkit.models._model_card import model_card
from stfmkit.models.card import ModelCard
from stfmkit.models.catalogue import MODELS
from stfmkit.models.contract import Block, EmbeddingModel, Requirements
from stfmkit.models.open_block import open_block
from stfmkit.models.runtime.run import ModelRun
from stfmkit.splits.folds import Fold


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """One contender.

    Attributes
    ----------
    label
        Its name in the table.
    name
        Registry name, if it is a registered model.
    options
        Options of the registered model.
    array
        Embedding computed elsewhere (n_obs, d).
    key
        Key in ``obsm`` that the array was read from.
    model
        A model object.
    requirements
        What the model needs, as its options say.
    """

    label: str
    name: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    array: np.ndarray | None = None
    key: str | None = None
    model: EmbeddingModel | None = None
    requirements: Requirements = field(default_factory=Requirements)

    def checked(self) -> "Source":
        """Return the source with the columns that it reads, or say now what is wrong with its options or weights."""
        held = self.model if self.name is None else make_model(self.name, rng=0, **self.options)
        return self if held is None else replace(self, requirements=held.requirements())

    def identity(self) -> str | None:
        """Return what identifies the embedding, or None for objects whose state cannot be told."""
        if self.array is not None:
            return f"array {hashlib.sha256(np.ascontiguousarray(self.array).tobytes()).hexdigest()}"
        if self.name is not None:
            return f"registry {self.name} {exact(self.options)} {weights_on_disk(self.options.get('weights'))}"
        return None

    def describe(self) -> dict[str, Any]:
        """Return facts for the report, ready for JSON."""
        if self.array is not None:
            return {"family": "embedding", "summary": "computed elsewhere", "dimension": int(self.array.shape[1])}
        facts = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self.card).items()}  # type: ignore[arg-type]
        return {**facts, "options": {k: repr(v) for k, v in self.options.items()}}

    @property
    def card(self) -> ModelCard | None:
        """The card of the model; None for an array."""
        if self.name is not None:
            return model_card(self.name)
        return None if self.model is None else self.model.card

    @property
    def reads_expression(self) -> bool:
        """Whether hiding target genes changes the embedding."""
        return self.card is not None and self.card.reads_expression

    def load(self, seed: int) -> EmbeddingModel:
        """Return a fresh model; the caller's object is copied, never fitted."""
        if self.name is not None:
            return load_model(self.name, rng=seed, **self.options)
        return copy.deepcopy(self.model)  # type: ignore[return-value]

    def embed(
        self, block: Block, fold: Fold, *, hidden: np.ndarray, seed: int, resume: Path | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the embeddings of training and test observations of a fold.

        A registered model starts anew in every fold and is fitted on training observations only. Training and test
        are encoded apart, so that neighbours never reach across the split. The genes at `hidden` are removed.
        Networks keep what they have embedded in `resume`: the same rows and genes are not embedded again.
        """
        if self.array is not None:
            return self.array[fold.train], self.array[fold.test]
        model = self.load(seed)
        seen = block.without_genes(hidden)
        needs = model.requirements()
        store = Store(resume) if resume is not None and model.record() is not None and not model.card.fits else None
        run = ModelRun(model, store=store)
        if not model.card.fits and not needs.whole_samples and store is not None:
            whole = run.embed(seen)
            return whole[fold.train], whole[fold.test]
        train, test = seen.take(fold.train), seen.take(fold.test)
        if model.card.fits:
            run.fit(train)
        return run.embed(train), run.embed(test)


def shared_block(study: Study, sources: list[Source]) -> Block:
    """Return all that any of the sources reads, checked and read once."""
    several = [source.requirements for source in sources if source.card is not None]
    union = Requirements.of_all([*several, Requirements(needs=("coordinates",))])
    readers = [s.label for s in sources if "composition" in s.requirements.needs] or [s.label for s in sources]
    protocol = study.protocol
    return open_block(
        study.adata,
        union,
        model=", ".join(readers),
        layer=protocol.layer,
        sample_key=protocol.sample_key,
        spatial_key=protocol.spatial_key,
        celltype_key=protocol.celltype_key,
        stay_on_disk=False,
    )


def weights_on_disk(weights: object) -> str:
    """Return what tells whether the files of local weights have changed; nothing for others."""
    if not isinstance(weights, (str, os.PathLike)):
        return ""
    place = Path(weights)
    files = [place] if place.is_file() else sorted(path for path in place.glob("*") if path.is_file())
    return str([(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files])


def find_sources(models: object, study: Study) -> list[Source]:
    """Return the contenders behind names, ``obsm`` keys, arrays and objects, or say what cannot be used."""
    if isinstance(models, Mapping):
        named = [(str(label), spec) for label, spec in models.items()]
    elif isinstance(models, Sequence) and not isinstance(models, str):
        named = [(_label(spec), spec) for spec in models]
    else:
        raise InputTypeError(
            f"models of type {type(models).__name__}.",
            allowed="a list of names, obsm keys and models, or a mapping from labels to these",
            remedy="pass models=['hvg_pca', 'coordinates'], for example.",
        )
    labels = [label for label, _ in named]
    if not named or len(set(labels)) < len(labels) or any(label.startswith(CONTROL) for label in labels):
        raise InputError(
            f"models named {listed(labels)}.",
            allowed=f"one model or more, with distinct names that do not begin with {CONTROL!r}",
            remedy="pass a mapping {'label': model} to tell them apart.",
        )
    return [_source(label, spec, study) for label, spec in named]


def _label(spec: object) -> str:
    if isinstance(spec, str):
        return spec
    if isinstance(spec, EmbeddingModel):
        return spec.card.name
    raise InputTypeError(
        f"a model of type {type(spec).__name__} in the list.",
        allowed="a registry name, an obsm key, or an object of a class under sk.models.EmbeddingModel",
        remedy="pass arrays and options through a mapping: models={'label': array} or {'label': ('name', {...})}.",
    )


def _source(label: str, spec: object, study: Study) -> Source:
    if isinstance(spec, tuple) and len(spec) == 2 and isinstance(spec[1], Mapping):
        return Source(label=label, name=_known(spec[0]), options=dict(spec[1]))
    if isinstance(spec, str):
        if spec in study.adata.obsm:
            array = _check_array(study.adata.obsm[spec], study, where=f"obsm[{spec!r}]")
            return Source(label=label, array=array, key=spec)
        return Source(label=label, name=_known(spec, also=list(study.adata.obsm)))
    if isinstance(spec, EmbeddingModel):
        return Source(label=label, model=spec)
    return Source(label=label, array=_check_array(spec, study, where=f"the array {label!r}"))


def _known(name: str, also: Sequence[str] = ()) -> str:
    check_known(
        name,
        [*MODELS.entries(), *also],
        what="model or obsm key",
        remedy="pass a registry name (stfmkit models) or an obsm key.",
    )
    return name


def _check_array(values: object, study: Study, *, where: str) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 2 or array.shape[0] != len(study.depth) or array.shape[1] == 0 or array.dtype.kind not in "iuf":
        raise InputError(
            f"{where} of shape {array.shape} and dtype {array.dtype}.",
            allowed=f"numbers of shape ({len(study.depth)}, d)",
            remedy="pass one row for every observation, in the order of obs_names.",
        )
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array).all(axis=1)).sum())
        raise InputError(
            f"{bad} rows with NaN or infinite values in {where}.",
            allowed="finite values",
            remedy="repair the embedding.",
        )
    return array
