"""``stfmkit bench``: compare representations on your data."""

from pathlib import Path
from typing import Annotated

import typer

from stfmkit.cli._failures import plain_failures
from stfmkit.cli._judge import KEPT, judge
from stfmkit.cli._settings import make_settings
from stfmkit.cli._show import say

EXAMPLES = """
**Examples**

Spots of several patients, with a region per spot:

```
stfmkit bench spots.h5ad --patient-key patient --sample-key section \\
    --label-key region --models hvg_pca,neighbor_pca,coordinates \\
    --out results
```

An embedding that you computed elsewhere is named by its key in `obsm`:

```
stfmkit bench spots.h5ad --patient-key patient --sample-key section \\
    --label-key region --models hvg_pca,X_mymodel --out results
```

The weights of a network follow its name: a folder, or `random` for the untrained network that trained weights must
beat.

```
stfmkit bench spots.h5ad --patient-key patient --sample-key section \\
    --label-key region --models hvg_pca,geneformer-v1:random,geneformer-v1:weights/Geneformer-V1-10M \\
    --out results
```

One patient: hold out blocks of tissue instead, with a buffer around them.

```
stfmkit bench dlpfc.h5ad --patient-key donor --sample-key section \\
    --label-key layer --models hvg_pca,coordinates --split block \\
    --block 1000 --buffer 200 --microns-per-unit 0.73 --out results
```

The same choices from a file, with one of them changed; `models` may be a mapping there, such as
`nicheformer: {model: nicheformer, weights: FOLDER, species: human, modality: spatial, technology: xenium}`.

```
stfmkit bench --config bench.yaml --seed 1 --out results-seed1
```

**Exit codes**: 0 done · 1 unexpected failure · 2 wrong input · 130 stopped with Ctrl-C; the same command goes on.
"""

_KEYS, _SPLIT, _WORK = "Columns and slots", "Held-out data", "Work"


def bench(
    data: Annotated[
        Path | None, typer.Argument(help="h5ad, zarr, or the folder of a platform.", show_default=False)
    ] = None,
    *,
    out: Annotated[Path | None, typer.Option(help="Folder for results; new, or of the same choices.")] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(help="Names (see `stfmkit models`) or `obsm` keys; repeat, or separate by commas."),
    ] = None,
    tasks: Annotated[list[str] | None, typer.Option(help="Tasks; all that the data allow if left out.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file with the same names; flags win.")] = None,
    patient_key: Annotated[str | None, typer.Option(help="Column of obs.", rich_help_panel=_KEYS)] = None,
    sample_key: Annotated[
        str | None, typer.Option(help="Column of obs: slide or section.", rich_help_panel=_KEYS)
    ] = None,
    label_key: Annotated[
        str | None, typer.Option(help="Column of obs: region, niche or cell type.", rich_help_panel=_KEYS)
    ] = None,
    celltype_key: Annotated[
        str | None, typer.Option(help="Column of obs, or obsm key of cell-type shares.", rich_help_panel=_KEYS)
    ] = None,
    spatial_key: Annotated[
        str | None, typer.Option(help="Key of coordinates in obsm. [default: spatial]", rich_help_panel=_KEYS)
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Layer with raw counts; else X.", rich_help_panel=_KEYS)] = None,
    table_key: Annotated[str | None, typer.Option(help="Table of a SpatialData.", rich_help_panel=_KEYS)] = None,
    microns_per_unit: Annotated[
        float | None, typer.Option(help="Length of one coordinate unit in µm.", rich_help_panel=_KEYS)
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="patient, slide, block or random. [default: patient]", rich_help_panel=_SPLIT)
    ] = None,
    n_splits: Annotated[int | None, typer.Option(help="Folds. [default: 5]", rich_help_panel=_SPLIT)] = None,
    block: Annotated[float | None, typer.Option(help="Side of a block in µm.", rich_help_panel=_SPLIT)] = None,
    buffer: Annotated[
        float | None, typer.Option(help="Width in µm around test blocks that nobody trains on.", rich_help_panel=_SPLIT)
    ] = None,
    n_target_genes: Annotated[
        int | None, typer.Option(help="Genes to predict. [default: 100]", rich_help_panel=_WORK)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything. [default: 0]", rich_help_panel=_WORK)] = None,
    jobs: Annotated[int | None, typer.Option(help="Worker processes. [default: 1]", rich_help_panel=_WORK)] = None,
) -> None:
    """Compare representations of your data on tasks, with patients held out.

    Writes `report.html` and `table.parquet` into the folder given by `--out`. Every finished unit of work is kept
    there: a run that was stopped goes on when the same command is given again, and models may be added.
    """
    given = {key: value for key, value in locals().items() if key != "config" and value is not None}
    with plain_failures(kept=KEPT):
        settings = make_settings(given, config)
        protocol = settings.protocol()
        from stfmkit import io

        say(f"Reading {settings.data} …")
        table = io.read(settings.data)
        judge(
            table,
            models=settings.models,
            tasks=settings.tasks,
            protocol=protocol,
            table_key=settings.table_key,
            out=settings.out,
            title=f"Comparison of representations: {settings.data.name}",
            jobs=settings.jobs,
        )
