"""List the models, or show the card of one."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from stfmkit.service._fields import Text
from stfmkit.service._request import Request
from stfmkit.service._response import Record, Response, records


class ModelsRequest(Request):
    """Which models to list, or the one to show."""

    EXAMPLE: ClassVar[dict[str, Any]] = {"family": "baseline", "runnable": True}

    command: Literal["models"] = "models"
    name: Text | None = Field(None, description="A model, for its whole card.")
    family: Text | None = Field(None, description="Only baseline, rna, spatial, histology or hybrid.")
    runnable: bool | None = Field(None, description="Only models that can (or cannot) be run here.")


class ModelsResponse(Response):
    """The models as records, or the card of one as label and text."""

    command: Literal["models"] = "models"
    status: Literal["done"] = "done"
    models: list[Record] = Field(default_factory=list)
    card: dict[str, str] = Field(default_factory=dict)


def run(request: ModelsRequest) -> ModelsResponse:
    """List the models, or show the card of one: what it reads, its licence, its source."""
    import stfmkit.models as registry

    if request.name is not None:
        return ModelsResponse(card=registry.model_card(request.name).facts())
    listing = registry.list_models(family=request.family, runnable=request.runnable)  # type: ignore[arg-type]  # checked there
    return ModelsResponse(models=records(listing))
