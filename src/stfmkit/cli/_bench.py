"""What the terminal shows of ``stfmkit bench``."""

from stfmkit.cli._show import say, show_verdict
from stfmkit.service.bench import BenchResponse

EXAMPLES = """
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


def show(response: BenchResponse) -> None:
    """Print ranking and findings, and where the report is."""
    show_verdict(response)
    say(f"\nReport: {response.report}\nTable:  {response.table}")
