"""What the terminal shows of ``stfmkit bin``."""

from stfmkit.cli._show import say
from stfmkit.service.bin import BinResponse

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


def show(response: BinResponse) -> None:
    """Say which files were written."""
    for file in response.files:
        what = ", ".join(file.elements) if file.elements else f"{file.n_obs} spots, {file.n_vars} genes"
        say(f"Wrote {file.path}: {what}")
