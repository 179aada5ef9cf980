"""Embedding models as contenders: the one file of the benchmark that knows how a model is made, fitted and run."""

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from stfmkit._core.blame import raised_by
from stfmkit._core.errors import InputError
from stfmkit._core.identity import exact
from stfmkit._core.random import int_seed, stream
from stfmkit._core.store import Store
from stfmkit._data.patches import PatchRows
from stfmkit.bm.contenders import Contender, Output, Role, can_be_told
from stfmkit.bm.study import Study
from stfmkit.models._load_model import make_model
from stfmkit.models.card import ModelCard
from stfmkit.models.catalogue import MODELS
from stfmkit.models.contract import Block, EmbeddingModel
from stfmkit.models.open_block import open_block
from stfmkit.models.runtime.run import ModelRun
from stfmkit.models.weights.places import RANDOM
from stfmkit.splits.folds import Fold

if TYPE_CHECKING:
    from stfmkit.models.card import Modality

_SHARED = ("counts", "expression", "coordinates")
"""Modalities that the study has read already."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelContender(Contender):
    """A registered model, or the caller's model object; a copy is loaded and fitted, never the model itself.

    Attributes
    ----------
    model
        The model as it was made; nothing is opened.
    registered
        Whether it was made from a registered name and options, which tell it from others.
    extras
        What it reads beside counts and coordinates, in a block of its own: patches of an image have the size and the
        resolution that this model asks for, and are cut when they are read.
    told
        What a loaded copy of the model says of its code and files, once it was asked.
    """

    model: EmbeddingModel
    registered: bool
    extras: Block
    told: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def output(self, inputs: Any, fold: Fold, *, hidden: np.ndarray, resume: Path | None = None) -> Output:
        """Return the embedding in one fold.

        The model starts anew and is fitted on training observations only. Training and test are encoded apart, so that
        neighbours never reach across the split. The genes at `hidden` are removed.
        """
        shared: Block = inputs
        block = replace(
            shared,
            inputs={**shared.inputs, **self.extras.inputs},
            obs=self.extras.obs,
            var=self.extras.var,
        )
        seen = block.only(self.model.requirements()).without_genes(hidden)
        model = copy.deepcopy(self.model)
        model.load()
        self._check_the_same(model)
        keep = resume is not None and not model.card.fits and model.record() is not None
        run = ModelRun(model, store=Store(resume) if keep and resume is not None else None)
        train, test = seen.take(fold.train), seen.take(fold.test)
        if model.card.fits:
            run.fit(train)
        values = [run.embed(part) if part.n_obs else None for part in (train, test)]
        width = max(0 if part is None else part.shape[1] for part in values)
        first, second = (np.zeros((0, width), dtype=np.float32) if part is None else part for part in values)
        return Output(kind="embedding", train=first, test=second, seconds=run.seconds)

    def locate(self) -> None:
        """Find the weights, in this process and once for all folds; nothing is opened."""
        self.model.locate()

    def computed_with(self) -> dict[str, Any]:
        """Return versions, and place, revision and checksums of all files, as a loaded copy of the model says."""
        return {key: value for key, value in self._told().items() if key != "identity"}

    def identity(self) -> str | None:
        """Return what the model says of itself, with columns and patches; None for what cannot be told.

        That is the state of a model object, an option that is an object, and a class that no package brings. All
        patches are read, a few at a time.
        """
        model = self.model
        options = {name: held for name, held in model.options().items() if name not in model.options_without_effect}
        if not (self.registered and model.definition().known and can_be_told(options)):
            return None
        others: dict[Modality, Any] = {name: rows for name, rows in self.extras.inputs.items() if name != "image"}
        facts = {
            "model": self._told()["identity"],
            "columns": replace(self.extras, inputs=others).identity(),
            "patches": None if self.patches is None else self.patches.identity(),
        }
        return exact(facts)

    def _told(self) -> dict[str, Any]:
        """Return what a loaded copy says of code and files; it is loaded once, and goes with the contender."""
        if not self.told:
            model = copy.deepcopy(self.model)
            with raised_by(f"the model {model.card.name!r} ({model.card.target})"):
                model.load()
                loaded = model.record() or {}
            self.told.update(versions=model.definition().versions, loaded=loaded, identity=model.identity())
        return self.told

    def _check_the_same(self, model: EmbeddingModel) -> None:
        """Refuse files that have changed since the comparison started: scores of two models would be mixed."""
        if self.told and (model.record() or {}) != self.told["loaded"]:
            raise InputError(
                f"the files of the model {model.card.name!r} have changed since the comparison started.",
                allowed="files that stay as they are",
                remedy="run the comparison again when the files are complete.",
            )

    def describe(self) -> dict[str, Any]:
        """Return facts for the report, ready for JSON."""
        facts = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self.model.card).items()}
        facts["needs"] = list(self.model.requirements().needs)
        if self.patches is not None:
            facts["patches"] = self.patches.facts()
        options = {name: repr(value) for name, value in self.model.options().items()}
        return {**facts, **super().describe(), "options": options}

    @property
    def patches(self) -> PatchRows | None:
        """Patches of the image, None for a model that reads none."""
        patches = self.extras.inputs.get("image")
        return patches if isinstance(patches, PatchRows) else None


def model_names() -> list[str]:
    """Return the names of all registered models."""
    return list(MODELS.entries())


def control_names() -> list[str]:
    """Return the names of the registered models that a representation has to beat before it is worth anything."""
    return [card.name for card in MODELS.entries().values() if card.control]


def patches_of(contender: Contender) -> PatchRows | None:
    """Return the patches that a contender reads; None for one that reads no image."""
    return contender.patches if isinstance(contender, ModelContender) else None


def reads_composition(contender: Contender) -> bool:
    """Tell whether a contender reads cell types."""
    return isinstance(contender, ModelContender) and "composition" in contender.model.requirements().needs


def trained_card(contender: Contender) -> ModelCard | None:
    """Return the card of a model with trained weights; None for baselines, untrained networks and given values."""
    if not isinstance(contender, ModelContender) or contender.model.card.weights is None:
        return None
    return None if contender.model.options().get("weights") == RANDOM else contender.model.card


def is_model(thing: object) -> TypeGuard[EmbeddingModel]:
    """Tell whether an object is a model."""
    return isinstance(thing, EmbeddingModel)


def from_registry(label: str, name: str, options: Mapping[str, Any], study: Study) -> ModelContender:
    """Return a registered model as a contender, its options checked; the seed depends on the label."""
    seed = int_seed(stream(study.protocol.rng, "model", label))
    model = make_model(name, rng=seed, **options)
    return _contender(label, model, study, origin=f"model:{model.card.name}", registered=True)


def from_object(label: str, model: EmbeddingModel, study: Study) -> ModelContender:
    """Return a model object as a contender."""
    return _contender(label, model, study, origin="object", registered=False)


def _contender(label: str, model: EmbeddingModel, study: Study, *, origin: str, registered: bool) -> ModelContender:
    card, needs, protocol = model.card, model.requirements(), study.protocol
    extras = open_block(
        study.view,
        replace(needs, needs=tuple(need for need in needs.needs if need not in _SHARED)),
        model=label,
        layer=protocol.layer,
        sample_key=protocol.sample_key,
        spatial_key=protocol.spatial_key,
        celltype_key=protocol.celltype_key,
        image_key=protocol.image_key,
        coordinate_system=protocol.coordinate_system,
        microns_per_unit=protocol.microns_per_unit if study.view.container is None else None,  # of obsm, not of systems
    )
    return ModelContender(
        label=label,
        kind="embedding",
        role=_role(card),
        origin=origin,
        exposure=_exposure(card),
        reads_expression=needs.matrix is not None,
        by_row=not card.fits and not needs.whole_samples and not needs.follows_order,
        model=model,
        registered=registered,
        extras=extras,
    )


def shared_inputs(study: Study) -> Block:
    """Return what most models read, as the study has read and checked it."""
    return Block(
        obs_names=study.obs_names,
        samples=study.sample_codes,
        inputs={"counts": study.counts, "coordinates": study.coords},
        genes=study.genes,
    )


def _role(card: ModelCard) -> Role:
    if card.control:
        return "control"
    return "baseline" if card.family == "baseline" else "model"


def _exposure(card: ModelCard) -> str:
    if card.fits:
        return "fitted in every fold, on training observations only"
    return f"trained on {card.corpus}" if card.corpus else "fitted on nothing"
