"""What `audit` and `bench` are told alike: data, the choices of a protocol, and contenders."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, JsonValue, model_validator

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError
from stfmkit.service._fields import (
    CelltypeKey,
    CoordinateSystem,
    Data,
    ImageKey,
    Integers,
    LabelKey,
    Layer,
    MicronsPerUnit,
    Names,
    Numbers,
    PatientKey,
    Rng,
    SampleKey,
    SpatialKey,
    TableKey,
    Text,
    located_weights,
)
from stfmkit.service._request import Request

if TYPE_CHECKING:
    from stfmkit.bm._protocol import Protocol
    from stfmkit.splits.splitters import Splitter


_KINDS = ("model", "method")
"""Fields that name what a label stands for; all others are its options."""


def _as_contenders(value: Any) -> Any:
    """Refuse a mapping whose entries are neither names nor mappings with ``model`` or ``method``."""
    if not isinstance(value, Mapping):
        return value
    for label, spec in value.items():
        named = [kind for kind in _KINDS if kind in spec] if isinstance(spec, Mapping) else []
        if not isinstance(spec, str) and not (len(named) == 1 and isinstance(spec[named[0]], str)):
            held = f" with {listed(spec, most=5)}" if isinstance(spec, Mapping) else ""
            raise InputError(
                f"a mapping in which {label!r} is of type {type(spec).__name__}{held}.",
                allowed="a name, or a mapping with either `model:` or `method:`, and options, for every label",
                remedy="write for example `untrained: {model: geneformer-v1, weights: random}` or "
                "`votes: {method: annotate/knn, embedding_key: X_pca, label_key: region}`.",
            )
    return {str(label): spec if isinstance(spec, str) else dict(spec) for label, spec in value.items()}


Contenders: TypeAlias = Annotated[
    Annotated[Names, Field(min_length=1)] | Annotated[dict[Text, Text | dict[str, JsonValue]], Field(min_length=1)],
    BeforeValidator(_as_contenders),
]
_MODEL, _PLACES = "model:", ("obsm", "obs", "layer", "var")
_Count = Annotated[int, Field(ge=1)]


class ComparisonRequest(Request):
    """Data and the choices of a protocol."""

    data: Data
    patient_key: PatientKey
    sample_key: SampleKey
    label_key: LabelKey = None
    second_label_key: Text | None = Field(None, description="Column of obs: the same regions, annotated by others.")
    label_noise: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="Share of wrong labels that is assumed, for the ceiling of tasks on labels."
    )
    celltype_key: CelltypeKey = None
    spatial_key: SpatialKey = "spatial"
    layer: Layer = None
    table_key: TableKey = None
    microns_per_unit: MicronsPerUnit = None
    image_key: ImageKey = None
    coordinate_system: CoordinateSystem = None
    split: Literal["patient", "slide", "block", "random"] = Field(
        "patient", description="patient, slide, block or random."
    )
    n_splits: Annotated[int, Field(ge=2)] = Field(5, description="Folds.")
    block: Annotated[float, Field(gt=0)] | None = Field(None, description="Side of a block in µm.")
    buffer: Annotated[float, Field(ge=0)] | None = Field(
        None, description="Width in µm around test blocks that nobody trains on."
    )
    target_genes: Names | None = Field(None, description="Genes to predict; else they are chosen in every fold.")
    n_target_genes: Annotated[int, Field(ge=2)] = Field(100, description="Genes to choose and predict.")
    selector: Text = Field("reliable_svg", description="How these genes are chosen.")
    scale: Text = Field("size_factor_log1p", description="Scale of expression: size_factor_log1p or log1p.")
    linear_c: Numbers | None = Field(None, description="Inverse penalties of the linear probe.")
    n_neighbors: Integers | None = Field(None, description="Neighbours of the kNN probe.")
    ridge_alpha: Numbers | None = Field(None, description="Penalties of the expression probe.")
    n_inner: Annotated[int, Field(ge=2)] = Field(4, description="Inner folds of the tuning.")
    max_components: _Count = Field(256, description="Wider embeddings are reduced to this by PCA before the ridge.")
    min_obs: Annotated[int, Field(ge=3)] = Field(20, description="Fewer test observations: no correlations.")
    accessions: Names | None = Field(
        None,
        description="Accessions or names of the data (GSE…, E-MTAB-…), to be sought in what models were trained on.",
    )
    rng: Rng = 0

    @classmethod
    def located(cls, values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
        """Return the values with relative paths taken from a folder, those of weights as well."""
        found = super().located(values, folder)
        if isinstance(contenders := found.get("contenders"), Mapping):
            found["contenders"] = {
                label: located_weights(spec, folder) if isinstance(spec, Mapping) else spec
                for label, spec in contenders.items()
            }
        return found

    @model_validator(mode="after")
    def _blocks_have_a_side_and_a_buffer(self) -> "ComparisonRequest":
        given = [name for name in ("block", "buffer") if getattr(self, name) is not None]
        if self.split == "block" and len(given) < 2:
            raise InputError(
                "split is block, without block or buffer.",
                allowed="both, in µm",
                remedy="give for example block 1000 and buffer 200; buffer 0 trains right up to the test blocks.",
            )
        if self.split != "block" and given:
            raise InputError(
                f"split is {self.split}, with {' and '.join(given)}.",
                allowed="block and buffer with split block only",
                remedy="leave them out, or set split to block.",
            )
        return self

    def splitter(self) -> "Splitter":
        """Return the split that was asked for."""
        from stfmkit import pp

        if self.block is not None and self.buffer is not None:
            return pp.SpatialBlockKFold(block=self.block, buffer=self.buffer, n_splits=self.n_splits)
        if self.split == "slide":
            return pp.SlideKFold(self.n_splits)
        return pp.PatientKFold(self.n_splits) if self.split == "patient" else pp.RandomKFold(self.n_splits)

    def protocol(self) -> "Protocol":
        """Return the protocol of the comparison."""
        from dataclasses import fields

        from stfmkit import bm

        names = {field.name for field in fields(bm.Protocol)} - {"split"}
        chosen = {name: value for name, value in self.model_dump(include=names).items() if value is not None}
        return bm.Protocol(**chosen, split=self.splitter())


def contenders_of(given: list[str] | dict[str, Any]) -> list[str] | dict[str, Any]:
    """Return contenders as `stfmkit.bm.run` takes them: weights may follow a name after a colon."""
    if isinstance(given, dict):
        return {label: spec if isinstance(spec, str) else _with_options(spec) for label, spec in given.items()}
    found = {text: _with_weights(text) for text in given}
    return given if list(found.values()) == given else found


def _with_options(spec: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the name, with its prefix for a method, and the options of a mapping."""
    name = spec["model"] if "model" in spec else f"method:{str(spec['method']).removeprefix('method:')}"
    return name, {key: value for key, value in spec.items() if key not in _KINDS}


def _with_weights(text: str) -> str | tuple[str, dict[str, str]]:
    """Return ``name:weights`` as name and options; a prefix that says where a name is looked up is no name."""
    if text.partition(":")[0] in _PLACES:
        return text
    name, colon, weights = text.removeprefix(_MODEL).partition(":")
    return (name, {"weights": weights}) if colon else text
