"""What the terminal says of every command of the service: examples in its help, and how its response is shown."""

from collections.abc import Callable, Mapping
from typing import Any

from stfmkit.cli._show import say, show_records, show_verdict, tell
from stfmkit.service.audit import AuditResponse
from stfmkit.service.bench import BenchResponse
from stfmkit.service.bin import BinResponse
from stfmkit.service.demo import DemoResponse
from stfmkit.service.embed import EmbedResponse
from stfmkit.service.models import ModelsResponse
from stfmkit.service.report import ReportResponse

_AUDIT = """
**Examples**

Data and split, before anything is computed:

```
stfmkit audit spots.h5ad --patient-key patient --sample-key section --label-key region
```

Contenders as well: an embedding that was computed elsewhere may have seen what it is to predict.

```
stfmkit audit spots.h5ad --patient-key patient --sample-key section --label-key region \\
    --contenders hvg_pca,X_mymodel --accessions GSE176078
```

The same from a file:

```
stfmkit audit --config audit.yaml --json
```

**Exit codes**: 0 nothing that `bench` refuses · 1 unexpected failure · 2 wrong input · 3 errors found.
"""

_BENCH = """
**Examples**

Spots of several patients, with a region per spot:

```
stfmkit bench spots.h5ad --patient-key patient --sample-key section \\
    --label-key region --contenders hvg_pca,neighbor_pca,coordinates \\
    --out results
```

An embedding that you computed elsewhere is named by its key in `obsm`, labels by their column of `obs`:

```
stfmkit bench spots.h5ad --patient-key patient --sample-key section \\
    --label-key region --contenders hvg_pca,X_mymodel --out results
```

The weights of a network follow its name: a folder, or `random` for the untrained network that trained weights must
beat.

```
stfmkit bench spots.h5ad --patient-key patient --sample-key section \\
    --label-key region --contenders hvg_pca,geneformer-v1:random,geneformer-v1:weights/Geneformer-V1-10M \\
    --out results
```

One patient: hold out blocks of tissue instead, with a buffer around them.

```
stfmkit bench dlpfc.h5ad --patient-key donor --sample-key section \\
    --label-key layer --contenders hvg_pca,coordinates --split block \\
    --block 1000 --buffer 200 --microns-per-unit 0.73 --out results
```

The same choices from a file, with one of them changed; `contenders` may be a mapping there, such as
`nicheformer: {model: nicheformer, weights: FOLDER, species: human, modality: spatial, technology: xenium}`.

```
stfmkit bench --config bench.yaml --rng 1 --out results-seed1
```

**Exit codes**: 0 done · 1 unexpected failure · 2 wrong input · 130 stopped with Ctrl-C; the same command goes on.
"""

_BIN = """
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

_DEMO = """
**Examples**

```
stfmkit demo --out stfmkit-demo
stfmkit demo --out stfmkit-quick --quick
```

Then the same on a file, as you would with your own data:

```
stfmkit bench stfmkit-demo/spots.h5ad --patient-key patient \\
    --sample-key sample --label-key niche \\
    --contenders hvg_pca,coordinates --out my-results
```
"""

_EMBED = """
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

_MODELS = """
**Examples**

```
stfmkit models
stfmkit models hvg_pca
stfmkit models --family rna
stfmkit models --not-runnable
```
"""

_REPORT = """
**Examples**

```
stfmkit report results
stfmkit report results --out for-the-reviewer.html
```
"""

_MOST_ROWS = 10
"""Rows of the evidence of a finding that the terminal shows; JSON has all."""

EXAMPLES: Mapping[str, str] = {
    "audit": _AUDIT,
    "bench": _BENCH,
    "bin": _BIN,
    "demo": _DEMO,
    "embed": _EMBED,
    "models": _MODELS,
    "report": _REPORT,
}
"""Examples of every command, for its help."""


def _show_audit(response: AuditResponse) -> None:
    """Print every finding with its remedy and the table of its evidence."""
    for finding in response.findings:
        tell(f"{str(finding['severity']).capitalize()} · {finding['check']}\n  {finding['evidence']}")
        tell(f"  Remedy: {finding['remedy']}\n")
        columns: Any = finding["columns"]
        rows: Any = finding["rows"]
        if rows:
            show_records([dict(zip(columns, row, strict=True)) for row in rows[:_MOST_ROWS]], columns=columns)
    if not response.findings:
        tell("Nothing was found.")


def _show_bench(response: BenchResponse) -> None:
    """Print ranking and findings, and where the report is."""
    show_verdict(response)
    say(f"\nReport: {response.report}\nTable:  {response.table}")


def _show_bin(response: BinResponse) -> None:
    """Say which files were written."""
    for file in response.files:
        what = ", ".join(file.elements) if file.elements else f"{file.n_obs} spots, {file.n_vars} genes"
        say(f"Wrote {file.path}: {what}")


def _show_demo(response: DemoResponse) -> None:
    """Print ranking and findings, and where report and spots are."""
    show_verdict(response)
    say(f"\nReport: {response.report}\nTable:  {response.table}")
    say(f"Spots:  {response.spots}, to try `stfmkit bench` on")


def _show_embed(response: EmbedResponse) -> None:
    """Say which file was written."""
    say(f"Wrote {response.file}: {response.slot}[{response.key!r}], {response.dimension} dimensions")


def _show_models(response: ModelsResponse) -> None:
    """Print the table of models, or the card of one."""
    if response.card:
        show_records([{"field": label, "value": text} for label, text in response.card.items()])
        return
    last = "summary" if any(not model["reason"] for model in response.models) else "reason"
    show_records(response.models, columns=("name", "family", "needs", last))


def _show_report(response: ReportResponse) -> None:
    """Print ranking and findings, and where the report is."""
    show_verdict(response)
    say(f"\nReport: {response.report}")


SHOWN: Mapping[str, Callable[[Any], None]] = {
    "audit": _show_audit,
    "bench": _show_bench,
    "bin": _show_bin,
    "demo": _show_demo,
    "embed": _show_embed,
    "models": _show_models,
    "report": _show_report,
}
"""What prints the response of every command."""
