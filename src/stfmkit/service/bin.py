"""Bin molecules or cells into spots."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stfmkit._core.errors import InputError, MissingFileError
from stfmkit._core.progress import step
from stfmkit.service._fields import (
    AnyPath,
    Layer,
    MicronsPerUnit,
    Names,
    Numbers,
    Position,
    SampleKeyOrNone,
    SpatialKey,
    TableKey,
    Text,
)
from stfmkit.service._output import check_new_file, write_all, write_table, write_with
from stfmkit.service._request import Request
from stfmkit.service._response import Response

if TYPE_CHECKING:
    from stfmkit.pp._grids import HexGrid, SquareGrid

_HEST_PITCH = 100
_ROLES = ("x", "y", "gene", "qv", "cell")
_PASSED_ON = {
    "sample_key",
    "points_key",
    "table_key",
    "coordinate_system",
    "spatial_key",
    "layer",
    "microns_per_unit",
    "min_qv",
    "drop_controls",
    "control_key",
    "min_inside",
    "carry",
    "key_added",
}
_Length = Annotated[float, Field(gt=0)]
_Column = Text | None


class BinRequest(Request):
    """Molecules or cells, the lattice, and the new file."""

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "data": "transcripts.parquet",
        "out": "spots.h5ad",
        "shape": "hex",
        "pitch": 100,
        "spot_diameter": 55,
    }

    command: Literal["bin"] = "bin"
    data: AnyPath = Field(description="parquet of molecules, h5ad of cells, zarr, or a platform's folder.")
    out: AnyPath = Field(description="New h5ad file; with key_added, a new zarr store.")
    shape: Literal["hex", "hex_gapless", "square"] = Field(description="hex, hex_gapless or square.")
    pitch: _Length | None = Field(
        None, description="Distance of spot centres, or side of a square, in µm; or resolutions."
    )
    resolutions: Numbers = Field(
        [],
        description="Several pitches in µm from one pass, for square and hex_gapless; one file each, whose name ends "
        "in the pitch.",
    )
    spot_diameter: _Length | None = Field(None, description="Diameter of a spot in µm, for hex.")
    x_key: _Column = Field(None, description="Column of x.")
    y_key: _Column = Field(None, description="Column of y.")
    gene_key: _Column = Field(None, description="Column of the gene.")
    qv_key: _Column = Field(None, description="Column of the quality.")
    cell_key: _Column = Field(None, description="Column of the cell.")
    sample_key: SampleKeyOrNone = None
    carry: Names = Field([], description="Columns to carry over as majority and shares.")
    control_key: _Column = Field(None, description="Column that tells control probes.")
    points_key: _Column = Field(None, description="Points of a SpatialData.")
    table_key: TableKey = None
    spatial_key: SpatialKey = "spatial"
    layer: Layer = None
    microns_per_unit: MicronsPerUnit = None
    coordinate_system: _Column = Field(
        None, description="Coordinate system of a SpatialData to bin in, best the one in µm."
    )
    origin: Literal["bbox", "centroid"] | Position = Field(
        "bbox", description="bbox, centroid, or x and y in µm: where the first spot lies."
    )
    angle: float = Field(0.0, description="Turn of the lattice in degrees.")
    key_added: _Column = Field(
        None, description="Write shapes of this name and their table, for the points of a zarr store."
    )
    min_qv: Annotated[float, Field(ge=0)] | None = Field(20, description="Least quality; 0 takes all.")
    drop_controls: bool = Field(default=True, description="Leave control probes out of the genes.")
    mask: Literal["computed", "none"] = Field(
        "computed", description="computed (the tissue around the molecules) or none (everything is tissue)."
    )
    min_inside: Annotated[float, Field(ge=0, le=1)] = Field(0.5, description="Least share of a spot inside the tissue.")
    hest_compat: bool = Field(default=False, description="HEST's squares of 100 µm, with its quirks.")

    @model_validator(mode="after")
    def _a_grid_is_described_once(self) -> "BinRequest":
        if (self.pitch is None) == (not self.resolutions):
            raise InputError(
                f"pitch is {self.pitch} and resolutions are {self.resolutions}.",
                allowed="one of them, in µm",
                remedy="give pitch for one file, or resolutions for several.",
            )
        if (self.shape == "hex") != (self.spot_diameter is not None):
            raise InputError(
                f"shape is {self.shape} and spot_diameter is {self.spot_diameter}.",
                allowed="a spot_diameter with shape hex, and with no other",
                remedy="give spot_diameter 55 for Visium, or take shape hex_gapless without it.",
            )
        squares = self.shape == "square" and self.pitch == _HEST_PITCH
        if self.hest_compat and not (squares and self.origin == "bbox" and self.angle == 0):
            raise InputError(
                f"hest_compat with shape {self.shape}, pitch {self.pitch}, origin {self.origin}, angle {self.angle}.",
                allowed=f"shape square and pitch {_HEST_PITCH}, without origin and angle",
                remedy="give these, or leave hest_compat out.",
            )
        return self

    def grids(self) -> "list[HexGrid | SquareGrid]":
        """Return the grid of every pitch."""
        from stfmkit import pp

        pitches = self.resolutions if self.pitch is None else [self.pitch]
        origin = self.origin if isinstance(self.origin, str) else (self.origin[0], self.origin[1])
        if self.shape == "square":
            return [pp.SquareGrid(pitch, origin=origin, angle=self.angle) for pitch in pitches]
        return [pp.HexGrid(pitch, self.spot_diameter, origin=origin, angle=self.angle) for pitch in pitches]

    def files(self) -> list[Path]:
        """Return the file of every table: with several resolutions, one whose name ends in the pitch."""
        if not self.resolutions or self.key_added is not None:
            return [self.out]
        return [self.out.with_name(f"{self.out.stem}_{pitch:g}um{self.out.suffix}") for pitch in self.resolutions]


class BinnedFile(BaseModel):
    """One file that was written.

    Attributes
    ----------
    path
        Where it is.
    n_obs, n_vars
        Spots and genes of a table; null for a store of shapes and tables.
    elements
        Names of the shapes and tables of a store.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path
    n_obs: int | None = None
    n_vars: int | None = None
    elements: list[str] = []


class BinResponse(Response):
    """The files that were written."""

    command: Literal["bin"] = "bin"
    status: Literal["done"] = "done"
    files: list[BinnedFile]


def run(request: BinRequest) -> BinResponse:
    """Bin molecules (or cells) into spots, hexagons or squares, and write a new table.

    Totals are conserved, control probes are kept apart, and spots at the border are flagged, never rescaled.
    """
    files = request.files()
    for file in files:
        check_new_file(file, suffix=".h5ad" if request.key_added is None else ".zarr")
    from stfmkit import io, pp

    if not request.data.exists():
        raise MissingFileError(
            f"nothing at {str(request.data)!r}.", allowed="an existing file or folder", remedy="check the path."
        )
    molecules: Any = request.data
    if request.data.suffix != ".parquet":
        with step(f"Reading {request.data}"):
            molecules = io.read(request.data)
    before = _elements(molecules)
    grids: Any = request.grids()
    with step(f"Binning {request.data}"):
        if request.hest_compat:
            spots = pp.bin_hest(molecules, **_options(request))
        else:
            spots = pp.bin(molecules, grids if request.resolutions else grids[0], **_options(request))
    if request.key_added is not None:
        added = [name for name in _elements(molecules) if name not in before]
        write_with(request.out, molecules.subset(added).write)
        return BinResponse(files=[BinnedFile(path=request.out, elements=added)])
    tables = spots if isinstance(spots, list) else [spots]
    write_all({file: write_table(table) for file, table in zip(files, tables, strict=True)})
    return BinResponse(
        files=[
            BinnedFile(path=file, n_obs=table.n_obs, n_vars=table.n_vars)
            for file, table in zip(files, tables, strict=True)
        ]
    )


def _options(request: BinRequest) -> dict[str, Any]:
    """Return the choices beside the grid as `stfmkit.pp.bin` takes them; defaults are left to it."""
    options = request.model_dump(include=_PASSED_ON, exclude_defaults=True)
    columns = {role: key for role in _ROLES if (key := getattr(request, f"{role}_key")) is not None}
    if columns:
        options["columns"] = columns
    if request.mask == "none":
        options["mask"] = None
    return options


def _elements(data: Any) -> list[str]:
    """Return the names of the elements of a SpatialData."""
    return [name for _, name, _ in data.gen_elements()] if hasattr(data, "gen_elements") else []
