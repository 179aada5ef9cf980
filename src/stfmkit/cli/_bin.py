"""``stfmkit bin``: molecules or cells to spots."""

from pathlib import Path
from typing import Annotated

import typer

from stfmkit._errors import MissingFileError
from stfmkit.cli._failures import plain_failures
from stfmkit.cli._output import check_new_file, write_with
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
"""

_COLUMNS, _KEEP = "Columns", "What is kept"


def bin_(
    data: Annotated[Path, typer.Argument(help="parquet of molecules, h5ad of cells, zarr, or a platform's folder.")],
    *,
    out: Annotated[Path, typer.Option(help="New h5ad file.")],
    shape: Annotated[str, typer.Option(help="hex, hex_gapless or square.")],
    pitch: Annotated[float, typer.Option(help="Distance of spot centres, or side of a square, in µm.")],
    spot_diameter: Annotated[float | None, typer.Option(help="Diameter of a spot in µm, for hex.")] = None,
    x_key: Annotated[str | None, typer.Option(help="Column of x.", rich_help_panel=_COLUMNS)] = None,
    y_key: Annotated[str | None, typer.Option(help="Column of y.", rich_help_panel=_COLUMNS)] = None,
    gene_key: Annotated[str | None, typer.Option(help="Column of the gene.", rich_help_panel=_COLUMNS)] = None,
    qv_key: Annotated[str | None, typer.Option(help="Column of the quality.", rich_help_panel=_COLUMNS)] = None,
    cell_key: Annotated[str | None, typer.Option(help="Column of the cell.", rich_help_panel=_COLUMNS)] = None,
    sample_key: Annotated[str | None, typer.Option(help="Column of the sample.", rich_help_panel=_COLUMNS)] = None,
    carry: Annotated[
        list[str] | None,
        typer.Option(help="Columns to carry over as majority and shares; repeat.", rich_help_panel=_COLUMNS),
    ] = None,
    control_key: Annotated[
        str | None, typer.Option(help="Column that tells control probes.", rich_help_panel=_COLUMNS)
    ] = None,
    points_key: Annotated[str | None, typer.Option(help="Points of a SpatialData.", rich_help_panel=_COLUMNS)] = None,
    table_key: Annotated[str | None, typer.Option(help="Table of a SpatialData.", rich_help_panel=_COLUMNS)] = None,
    spatial_key: Annotated[
        str | None, typer.Option(help="Key of cell centres in obsm. [default: spatial]", rich_help_panel=_COLUMNS)
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Layer with counts of cells.", rich_help_panel=_COLUMNS)] = None,
    microns_per_unit: Annotated[
        float | None, typer.Option(help="Length of one coordinate unit in µm; 1 where they are µm.")
    ] = None,
    angle: Annotated[float | None, typer.Option(help="Turn of the lattice in degrees. [default: 0]")] = None,
    min_qv: Annotated[float | None, typer.Option(help="Least quality. [default: 20]", rich_help_panel=_KEEP)] = None,
    min_inside: Annotated[
        float | None, typer.Option(help="Least share of a spot inside the tissue.", rich_help_panel=_KEEP)
    ] = None,
) -> None:
    """Bin molecules (or cells) into spots, hexagons or squares, and write a new table.

    Totals are conserved, control probes are kept apart, and spots at the border are flagged, never rescaled.
    """
    options = {key: value for key, value in locals().items() if key not in {"data", "out"} and value is not None}
    with plain_failures():
        check_new_file(out, suffix=".h5ad")
        from stfmkit import io, pp

        if not data.exists():
            raise MissingFileError(f"nothing at {str(data)!r}.", allowed="an existing file", remedy="check the path.")
        say(f"Binning {data} …")
        molecules = data if data.suffix == ".parquet" else io.read(data)
        if carry:
            options["carry"] = tuple(name for part in carry for name in part.split(","))
        spots = pp.bin(molecules, **options)
        write_with(out, spots.write_h5ad)
        say(f"Wrote {out}: {spots.n_obs} spots, {spots.n_vars} genes")
