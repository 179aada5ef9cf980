"""Embed observations with one model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from stfmkit._core import slots
from stfmkit._core.errors import InputError
from stfmkit._core.progress import step
from stfmkit.service._fields import (
    AnyPath,
    CelltypeKey,
    CoordinateSystem,
    Data,
    ImageKey,
    Layer,
    Options,
    PatientKeyOrNone,
    Rng,
    SampleKeyOrNone,
    SpatialKey,
    TableKey,
    Text,
    located_weights,
)
from stfmkit.service._output import check_new_file, write_table, write_with
from stfmkit.service._request import Request
from stfmkit.service._response import Response

_NOT_OPTIONS = ("copy", "show_progress")


class EmbedRequest(Request):
    """A table, a model, and the new file."""

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "data": "spots.h5ad",
        "model": "hvg_pca",
        "sample_key": "section",
        "out": "embedded.h5ad",
        "options": {"n_components": 50},
    }

    command: Literal["embed"] = "embed"
    data: Data
    model: Text = Field(description="Name of a model (see `stfmkit models`).")
    out: AnyPath = Field(description="New h5ad file.")
    sample_key: SampleKeyOrNone = None
    patient_key: PatientKeyOrNone = None
    celltype_key: CelltypeKey = None
    spatial_key: SpatialKey = "spatial"
    layer: Layer = None
    table_key: TableKey = None
    image_key: ImageKey = None
    coordinate_system: CoordinateSystem = None
    key_added: Text | None = Field(None, description="Key in obsm; else X_ and the name of the model.")
    weights: Text | None = Field(
        None, description="Networks: folder, owner/repository, or random; else the published weights."
    )
    device: Text | None = Field(None, description="Networks: cpu, cuda, cuda:1, mps or auto; else cpu.")
    dtype: Text | None = Field(None, description="Networks: float32, or bfloat16 and float16 on CUDA.")
    batch_size: Annotated[int, Field(ge=1)] | None = Field(None, description="Networks: observations in a batch.")
    resume: AnyPath | None = Field(
        None, description="Folder for finished parts; the same request then goes on after a stop."
    )
    options: Options = Field({}, description="Options of the model by name.")
    rng: Rng = 0

    def kept(self) -> str:
        """Return what there is after the work was stopped."""
        return super().kept() if self.resume is None else "Finished parts are kept: the same request goes on."

    @classmethod
    def located(cls, values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
        """Return the values with relative paths taken from a folder; weights, where there is such a file or folder."""
        return located_weights(super().located(values, folder), folder)

    @model_validator(mode="after")
    def _options_are_those_of_the_model(self) -> "EmbedRequest":
        for name in self.options:
            if name in type(self).model_fields or name in _NOT_OPTIONS:
                raise InputError(
                    f"options hold {name}.",
                    allowed="options of the model, and output",
                    remedy="leave it out." if name in _NOT_OPTIONS else f"give {name} as a field of its own.",
                )
        return self


class EmbedResponse(Response):
    """The file that was written, and where in it the embedding is."""

    command: Literal["embed"] = "embed"
    status: Literal["done"] = "done"
    file: Path
    slot: Literal["obsm", "varm"]
    key: str
    n_obs: int
    dimension: int


def run(request: EmbedRequest) -> EmbedResponse:
    """Embed a table with one model and write it to a new file.

    This fits on all observations. To judge a model, use `stfmkit bench`: it fits on training patients only.
    """
    check_new_file(request.out, suffix=".h5ad")
    from stfmkit import io, models, tl
    from stfmkit._data.view import View

    key = slots.embedding(models.model_card(request.model).name) if request.key_added is None else request.key_added
    with step(f"Reading {request.data}"):
        view = View.of(io.read(request.data), table_key=request.table_key)
    check_new_file(request.out, suffix=".h5ad", n_bytes=view.table.__sizeof__())
    chosen = request.model_dump(exclude={"command", "data", "out", "model", "options", "table_key"}, exclude_none=True)
    tl.embed(
        view.table if view.container is None else view.container,
        request.model,
        table_key=view.table_key,
        **chosen,
        **dict[str, Any](request.options),
    )
    write_with(request.out, write_table(view.table))
    slot: Literal["obsm", "varm"] = "varm" if request.options.get("output") == "genes" else "obsm"
    found = getattr(view.table, slot)[key]
    return EmbedResponse(file=request.out, slot=slot, key=key, n_obs=view.table.n_obs, dimension=found.shape[1])
