"""``stfmkit bin``: molecules or cells to spots."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from stfmkit._core.arguments import check_choice
from stfmkit._core.errors import InputError, MissingFileError
from stfmkit.cli._failures import plain_failures
from stfmkit.cli._output import check_new_file, write_all, write_with
from stfmkit.cli._show import say

EXAMPLES = """
**Examples**

Visium-like spots from the molecules of a Xenium run:

```
stfmkit bin transcripts.parquet --shape hex --pitch 100 \\
    --spot-diameter 55 --x-key x_location --y-key y_location \\
    --gene-key feature_name --qv-key qv --out spots.h5ad
```

Squares of 16 µm from a folder or a zarr store, or from a table of pixels:

```
stfmkit bin xenium_run/ --shape square --pitch 16 --out bins.h5ad
stfmkit bin molecules.parquet --shape square --pitch 16 \\
    --microns-per-unit 0.18 --out bins.h5ad
```

Several resolutions from one pass over the molecules; this writes
bins_8um.h5ad, bins_16um.h5ad and bins_55um.h5ad:

```
stfmkit bin transcripts.parquet --shape square \\
    --resolutions 8,16,55 --out bins.h5ad
```

Spots as shapes and a table, in the coordinate systems of the molecules;
the store holds these only, and can be joined to the first one:

```
stfmkit bin sample.zarr --shape hex_gapless --pitch 55 \\
    --microns-per-unit 1 --key-added hexagons --out hexagons.zarr
```
"""

_COLUMNS, _KEEP, _LATTICE = "Columns", "What is kept", "Lattice"


Resolutions = Annotated[
    list[str] | None,
    typer.Option(
        help="Several pitches in µm from one pass (8,16,55 or repeated), for square and hex_gapless; one file "
        "each, whose name ends in the pitch."
    ),
]
CoordinateSystem = Annotated[
    str | None,
    typer.Option(help="Coordinate system of a SpatialData to bin in, best the one in µm.", rich_help_panel=_LATTICE),
]
Origin = Annotated[
    str | None,
    typer.Option(
        help="bbox, centroid, or x,y in µm: where the first spot lies. [default: bbox]", rich_help_panel=_LATTICE
    ),
]
Angle = Annotated[
    float | None, typer.Option(help="Turn of the lattice in degrees. [default: 0]", rich_help_panel=_LATTICE)
]
KeyAdded = Annotated[
    str | None,
    typer.Option(help="Write shapes of this name and their table, for the points of a zarr store (see below)."),
]
MinQv = Annotated[float | None, typer.Option(help="Least quality; 0 takes all. [default: 20]", rich_help_panel=_KEEP)]
DropControls = Annotated[
    bool | None,
    typer.Option(
        "--drop-controls/--keep-controls",
        help="Leave control probes out of the genes. [default: drop]",
        rich_help_panel=_KEEP,
    ),
]
Mask = Annotated[
    str | None,
    typer.Option(
        help="computed (the tissue around the molecules) or none (everything is tissue). [default: computed]",
        rich_help_panel=_KEEP,
    ),
]
MinInside = Annotated[
    float | None,
    typer.Option(help="Least share of a spot inside the tissue. [default: 0.5]", rich_help_panel=_KEEP),
]
HestCompat = Annotated[
    bool | None,
    typer.Option("--hest-compat", help="HEST's squares of 100 µm, with its quirks.", rich_help_panel=_KEEP),
]
ControlKey = Annotated[str | None, typer.Option(help="Column that tells control probes.", rich_help_panel=_COLUMNS)]
SpatialKey = Annotated[
    str | None, typer.Option(help="Key of cell centres in obsm. [default: spatial]", rich_help_panel=_COLUMNS)
]
Carry = Annotated[
    list[str] | None,
    typer.Option(help="Columns to carry over as majority and shares; repeat.", rich_help_panel=_COLUMNS),
]


def bin_(
    data: Annotated[Path, typer.Argument(help="parquet of molecules, h5ad of cells, zarr, or a platform's folder.")],
    *,
    out: Annotated[Path, typer.Option(help="New h5ad file; with --key-added, a new zarr store.")],
    shape: Annotated[str, typer.Option(help="hex, hex_gapless or square.")],
    pitch: Annotated[
        float | None, typer.Option(help="Distance of spot centres, or side of a square, in µm; or --resolutions.")
    ] = None,
    resolutions: Resolutions = None,
    spot_diameter: Annotated[float | None, typer.Option(help="Diameter of a spot in µm, for hex.")] = None,
    x_key: Annotated[str | None, typer.Option(help="Column of x.", rich_help_panel=_COLUMNS)] = None,
    y_key: Annotated[str | None, typer.Option(help="Column of y.", rich_help_panel=_COLUMNS)] = None,
    gene_key: Annotated[str | None, typer.Option(help="Column of the gene.", rich_help_panel=_COLUMNS)] = None,
    qv_key: Annotated[str | None, typer.Option(help="Column of the quality.", rich_help_panel=_COLUMNS)] = None,
    cell_key: Annotated[str | None, typer.Option(help="Column of the cell.", rich_help_panel=_COLUMNS)] = None,
    sample_key: Annotated[str | None, typer.Option(help="Column of the sample.", rich_help_panel=_COLUMNS)] = None,
    carry: Carry = None,
    control_key: ControlKey = None,
    points_key: Annotated[str | None, typer.Option(help="Points of a SpatialData.", rich_help_panel=_COLUMNS)] = None,
    table_key: Annotated[str | None, typer.Option(help="Table of a SpatialData.", rich_help_panel=_COLUMNS)] = None,
    spatial_key: SpatialKey = None,
    layer: Annotated[str | None, typer.Option(help="Layer with counts of cells.", rich_help_panel=_COLUMNS)] = None,
    microns_per_unit: Annotated[
        float | None, typer.Option(help="Length of one coordinate unit in µm; 1 where they are µm.")
    ] = None,
    coordinate_system: CoordinateSystem = None,
    origin: Origin = None,
    angle: Angle = None,
    key_added: KeyAdded = None,
    min_qv: MinQv = None,
    drop_controls: DropControls = None,
    mask: Mask = None,
    min_inside: MinInside = None,
    hest_compat: HestCompat = None,
) -> None:
    """Bin molecules (or cells) into spots, hexagons or squares, and write a new table.

    Totals are conserved, control probes are kept apart, and spots at the border are flagged, never rescaled.
    """
    options = {key: value for key, value in locals().items() if key not in {"data", "out"} and value is not None}
    with plain_failures():
        options = _parsed(options)
        files = _files(out, options.pop("resolutions", []), options)
        for file in files:
            check_new_file(file, suffix=".h5ad" if key_added is None else ".zarr")
        from stfmkit import io, pp

        if not data.exists():
            raise MissingFileError(f"nothing at {str(data)!r}.", allowed="an existing file", remedy="check the path.")
        say(f"Binning {data} …")
        molecules: Any = data if data.suffix == ".parquet" else io.read(data)
        before = _elements(molecules) if key_added is not None else []
        verb = pp.bin_hest if options.pop("hest_compat", False) else pp.bin
        spots = verb(molecules, **options)
        if key_added is not None:
            added = [name for name in _elements(molecules) if name not in before]
            write_with(out, molecules.subset(added).write)
            say(f"Wrote {out}: {', '.join(added)}")
            return
        tables = spots if isinstance(spots, list) else [spots]
        write_all({file: table.write_h5ad for file, table in zip(files, tables, strict=True)})
        for file, table in zip(files, tables, strict=True):
            say(f"Wrote {file}: {table.n_obs} spots, {table.n_vars} genes")


def _parsed(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options as `stfmkit.pp.bin` takes them, with the pitches of several grids beside."""
    if "carry" in options:
        options["carry"] = tuple(_parts(options["carry"]))
    if "resolutions" in options:
        options["resolutions"] = [_number(part, "resolutions") for part in _parts(options["resolutions"])]
    if "," in options.get("origin", ""):
        options["origin"] = tuple(_number(part, "origin") for part in _parts([options["origin"]]))
    if "mask" in options:
        check_choice(options["mask"], ("computed", "none"), name="mask")
        options["mask"] = None if options["mask"] == "none" else options["mask"]
    roles = [role for role in ("x", "y", "gene", "qv", "cell") if f"{role}_key" in options]
    columns = {role: options.pop(f"{role}_key") for role in roles}
    if columns:
        options["columns"] = columns
    return _with_grid(options)


def _with_grid(options: dict[str, Any]) -> dict[str, Any]:
    """Replace the options that describe the grid, or the grids, by it."""
    from stfmkit import pp

    shape, pitch, diameter = (options.pop(name, None) for name in ("shape", "pitch", "spot_diameter"))
    place = {name: options.pop(name) for name in ("origin", "angle") if name in options}
    pitches = options.get("resolutions", [])
    check_choice(shape, ("hex", "hex_gapless", "square"), name="shape")
    if (pitch is None) == (not pitches):
        raise InputError(
            f"pitch={pitch!r} and resolutions={pitches!r}.",
            allowed="one of them",
            remedy="pass --pitch for one table, or --resolutions for a table of each pitch.",
        )
    if (shape == "hex") != (diameter is not None):
        raise InputError(
            f"shape={shape!r} and spot_diameter={diameter!r}.",
            allowed="a spot_diameter with shape hex, and with no other",
            remedy="pass --spot-diameter 55 for Visium, or --shape hex_gapless without it.",
        )
    if options.get("hest_compat"):
        if shape != "square" or pitch != 100 or place:
            raise InputError(
                f"hest_compat with shape={shape!r}, pitch={pitch!r} and {place}.",
                allowed="shape square and pitch 100, without origin and angle",
                remedy="pass these, or leave --hest-compat out.",
            )
        return options
    make = pp.SquareGrid if shape == "square" else partial(pp.HexGrid, diameter=diameter)
    grids = [make(step, **place) for step in pitches or [pitch]]
    options["grid"] = grids if pitches else grids[0]
    return options


def _parts(values: list[str]) -> list[str]:
    return [part.strip() for value in values for part in value.split(",")]


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise InputError(
            f"{name} {text!r}.", allowed="numbers in µm, with commas between them", remedy="check the command."
        ) from error


def _files(out: Path, pitches: list[float], options: dict[str, Any]) -> list[Path]:
    """Return the file of every table: with several resolutions, one whose name ends in the pitch."""
    if not pitches or "key_added" in options:
        return [out]
    return [out.with_name(f"{out.stem}_{pitch:g}um{out.suffix}") for pitch in pitches]


def _elements(data: Any) -> list[str]:
    return [name for _, name, _ in data.gen_elements()] if hasattr(data, "gen_elements") else []
