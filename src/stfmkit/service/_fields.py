"""Types of fields that several requests share; every text of a parameter is written once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Field, JsonValue

from stfmkit._core.errors import InputError


def _as_path(value: Any) -> Any:
    """Return text as a path, with ``~`` expanded."""
    if not isinstance(value, (str, Path)):
        return value
    text = str(value)
    try:
        text.encode()
        path = Path(text).expanduser()
    except UnicodeEncodeError:
        path = None
    except RuntimeError:  # the home of an unknown user
        path = None
    if path is None or not text or "\0" in text:
        raise InputError(f"{text!r}.", allowed="a path", remedy="write a path that this machine can have.")
    return path


def _as_names(value: Any) -> Any:
    """Return names, each once; text is split at commas."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value):
        return list(dict.fromkeys(value))
    return value


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


Text: TypeAlias = Annotated[str, Field(min_length=1)]
AnyPath: TypeAlias = Annotated[Path, BeforeValidator(_as_path)]
Names: TypeAlias = Annotated[list[Text], BeforeValidator(_as_names)]
Numbers: TypeAlias = Annotated[list[Annotated[float, Field(gt=0)]], BeforeValidator(_as_list)]
Integers: TypeAlias = Annotated[list[Annotated[int, Field(gt=0)]], BeforeValidator(_as_list)]
Position: TypeAlias = Annotated[list[float], BeforeValidator(_as_list), Field(min_length=2, max_length=2)]
Options: TypeAlias = dict[str, JsonValue]

_PATIENT, _SAMPLE = "Column of obs: patient.", "Column of obs: slide or section."
Data: TypeAlias = Annotated[AnyPath, Field(description="h5ad, zarr, or the folder of a platform.")]
PatientKey: TypeAlias = Annotated[Text, Field(description=_PATIENT)]
SampleKey: TypeAlias = Annotated[Text, Field(description=_SAMPLE)]
PatientKeyOrNone: TypeAlias = Annotated[Text | None, Field(description=_PATIENT)]
SampleKeyOrNone: TypeAlias = Annotated[Text | None, Field(description=_SAMPLE)]
LabelKey: TypeAlias = Annotated[Text | None, Field(description="Column of obs: region, niche or cell type.")]
CelltypeKey: TypeAlias = Annotated[Text | None, Field(description="Column of obs, or obsm key of cell-type shares.")]
SpatialKey: TypeAlias = Annotated[Text, Field(description="Key of coordinates in obsm.")]
Layer: TypeAlias = Annotated[Text | None, Field(description="Layer with raw counts; else X.")]
TableKey: TypeAlias = Annotated[Text | None, Field(description="Table of a SpatialData.")]
MicronsPerUnit: TypeAlias = Annotated[
    Annotated[float, Field(gt=0)] | None,
    Field(description="Length of one coordinate unit in µm; 1 where they are µm."),
]
ImageKey: TypeAlias = Annotated[
    Names | None,
    Field(description="The images that models of images read: names, or resolutions such as hires; else all."),
]
CoordinateSystem: TypeAlias = Annotated[
    Text | None, Field(description="Coordinate system of a SpatialData in which observations meet images.")
]
Rng: TypeAlias = Annotated[int, Field(ge=0, le=2**63 - 1, description="Seed of everything that is random.")]
NJobs: TypeAlias = Annotated[int, Field(ge=1, description="Worker processes.")]


def located_weights(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the values with weights that are a file or folder beside the request, or begin with ``~``, as a path."""
    weights = values.get("weights")
    if not isinstance(weights, str) or not weights or "\0" in weights:
        return dict(values)
    if weights.startswith("~"):
        return {**values, "weights": str(_as_path(weights))}
    beside = folder / weights
    return {**values, "weights": str(beside)} if beside.exists() else dict(values)
