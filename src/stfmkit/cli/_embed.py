"""``stfmkit embed``: one model, one file in, one file out."""

from pathlib import Path
from typing import Annotated, Any

import typer

from stfmkit._core.errors import InputError
from stfmkit.cli._failures import plain_failures
from stfmkit.cli._options import read_options
from stfmkit.cli._output import check_new_file, write_with
from stfmkit.cli._show import say

EXAMPLES = """
**Examples**

```
stfmkit embed spots.h5ad --model hvg_pca --sample-key section --out embedded.h5ad
stfmkit embed cells.zarr --table-key cells --model neighbor_pca --sample-key slide --out embedded.h5ad
stfmkit embed cells.h5ad --model geneformer-v2 --weights ~/weights/Geneformer-V2-104M --out embedded.h5ad
stfmkit embed cells.h5ad --model nicheformer --option species=human \
    --option modality=spatial --option technology=xenium --out embedded.h5ad
```

An option is `NAME=VALUE`; the value is read as YAML. `stfmkit models NAME` shows what a model reads.

The result is in `obsm["X_hvg_pca"]`; its provenance in `uns["stfmkit"]["embed"]["results"]`.
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
    weights: Annotated[
        str | None, typer.Option(help="Networks: folder, owner/repository, or random; else the published weights.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="Networks: cpu, cuda, cuda:1, mps or auto. [default: cpu]")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Networks: observations in a batch.", min=1)] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Folder for finished parts; the same command then goes on after a stop.")
    ] = None,
    option: Annotated[list[str] | None, typer.Option(help="NAME=VALUE, an option of the model; repeat.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of models that draw or fit.", min=0)] = 0,
) -> None:
    """Embed a table with one model and write it to a new file.

    This fits on all observations. To judge a model, use `stfmkit bench`: it fits on training patients only.
    """
    with plain_failures():
        check_new_file(out, suffix=".h5ad")
        options = read_options(option or [])
        _check_options(options)
        from stfmkit import io, tl
        from stfmkit._data.view import resolve_table

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
            weights=weights,
            device=device,
            resume=resume,
            rng=seed,
            **options if batch_size is None else {"batch_size": batch_size, **options},
        )
        write_with(out, table.write_h5ad)
        say(f"Wrote {out}")


def _check_options(options: dict[str, Any]) -> None:
    """Refuse what has a flag of its own, and what makes no sense where the result is a file."""
    taken = {"copy": "", "data": "DATA", "model": "--model", "rng": "--seed", "show_progress": ""}
    flags = ("batch_size", "celltype_key", "device", "key_added", "layer", "patient_key", "resume", "sample_key",
             "spatial_key", "table_key", "weights")  # fmt: skip
    taken |= {name: f"--{name.replace('_', '-')}" for name in flags}
    for name in options:
        if name in taken:
            raise InputError(
                f"--option {name}=.",
                allowed="options of the model, dtype, output and train",
                remedy=f"pass {taken[name]}." if taken[name] else "leave it out.",
            )
