"""``stfmkit embed``: one model, one file in, one file out."""

from pathlib import Path
from typing import Annotated

import typer

from stfmkit.cli._failures import plain_failures
from stfmkit.cli._output import check_new_file, write_with
from stfmkit.cli._show import say

EXAMPLES = """
**Examples**

```
stfmkit embed spots.h5ad --model hvg_pca --sample-key section --out embedded.h5ad
stfmkit embed cells.zarr --table-key cells --model neighbor_pca --sample-key slide --out embedded.h5ad
```

The result is in `obsm["X_hvg_pca"]`; its provenance in `uns["stfmkit"]["embeddings"]`.
"""


def embed(
    data: Annotated[Path, typer.Argument(help="h5ad, zarr, or the folder of a platform.")],
    *,
    model: Annotated[str, typer.Option(help="Name of a model (see `stfmkit models`).")],
    out: Annotated[Path, typer.Option(help="New h5ad file.")],
    sample_key: Annotated[str | None, typer.Option(help="Column of obs: slide or section.")] = None,
    patient_key: Annotated[str | None, typer.Option(help="Column of obs.")] = None,
    celltype_key: Annotated[str | None, typer.Option(help="Column of obs, or obsm key of cell-type shares.")] = None,
    spatial_key: Annotated[str, typer.Option(help="Key of coordinates in obsm.")] = "spatial",
    layer: Annotated[str | None, typer.Option(help="Layer with raw counts; else X.")] = None,
    table_key: Annotated[str | None, typer.Option(help="Table of a SpatialData.")] = None,
    key_added: Annotated[str | None, typer.Option(help="Key in obsm; else X_<model>.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of models that draw or fit.", min=0)] = 0,
) -> None:
    """Embed a table with one model and write it to a new file.

    This fits on all observations. To judge a model, use `stfmkit bench`: it fits on training patients only.
    """
    with plain_failures():
        check_new_file(out, suffix=".h5ad")
        from stfmkit import io, tl
        from stfmkit._data._resolve import resolve_table

        say(f"Reading {data} …")
        table = resolve_table(io.read(data), table_key=table_key)
        tl.embed(
            table,
            model,
            sample_key=sample_key,
            patient_key=patient_key,
            celltype_key=celltype_key,
            spatial_key=spatial_key,
            layer=layer,
            key_added=key_added,
            rng=seed,
        )
        write_with(out, table.write_h5ad)
        say(f"Wrote {out}")
