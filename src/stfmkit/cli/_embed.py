"""What the terminal shows of ``stfmkit embed``."""

from stfmkit.cli._show import say
from stfmkit.service.embed import EmbedResponse

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


def show(response: EmbedResponse) -> None:
    """Say which file was written."""
    say(f"Wrote {response.file}: {response.slot}[{response.key!r}], {response.dimension} dimensions")
