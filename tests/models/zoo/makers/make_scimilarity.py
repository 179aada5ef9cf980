"""Make the fixtures of SCimilarity: ``python make_scimilarity.py ORIGINAL XENIUM OUT``.

ORIGINAL is a checkout of Genentech/scimilarity, XENIUM the Xenium table of the real data sets, OUT the folder to write.
"""

import json
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import torch

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from _cases import synthetic_counts
from _original import randomise, shell, stub

original, xenium, out = map(Path, sys.argv[1:4])
HIDDEN, LATENT = [24, 16], 12


def watch(module: torch.nn.Module) -> list[np.ndarray]:
    """Return a list that gets every output of a module."""
    seen: list[np.ndarray] = []
    module.register_forward_hook(lambda _m, _i, o: seen.append(o.numpy()))
    return seen


def main() -> None:
    """Run the original end to end."""
    stub("zarr")
    root = original / "src" / "scimilarity"
    shell("scimilarity", root)
    from scimilarity.cell_embedding import CellEmbedding
    from scimilarity.nn_models import Encoder
    from scimilarity.utils import align_dataset, lognorm_counts

    sys.modules["zarr"].Array = type("Array", (), {})
    out.mkdir(parents=True, exist_ok=True)
    cells = ad.read_h5ad(xenium)[::420][:40].copy()
    made_up = [f"GENE{i}" for i in range(1, 61)]
    genes = sorted([*made_up, *cells.var_names[::2], "NOTONTHEPANEL1", "NOTONTHEPANEL2"])
    (out / "gene_order.tsv").write_text("\n".join(genes) + "\n")
    model = Encoder(n_genes=len(genes), latent_dim=LATENT, hidden_dim=HIDDEN)
    randomise(model, seed=21, scale=0.2)
    draw = torch.Generator().manual_seed(22)
    for name, value in model.named_buffers():
        if value.is_floating_point():
            drawn = torch.randn(value.shape, generator=draw) * 0.5
            value.copy_(drawn.abs() + 0.5 if "var" in name else drawn)
    model.save_state(str(out / "encoder.ckpt"))
    sizes = {name: list(value.shape) for name, value in model.state_dict().items()}
    (out / "layer_sizes.json").write_text(json.dumps(sizes))
    pd.Series(["a", "b"], name="0").to_csv(out / "label_ints.csv")

    embed = CellEmbedding(str(out))
    states = [watch(layer) for layer in embed.model.network]
    made = synthetic_counts([*made_up[:50], "UNKNOWN1", "UNKNOWN2"], n_obs=12, seed=1)
    for case, data in {"synthetic": made, "real": cells}.items():
        data.layers["counts"] = data.X.astype(np.float32)
        ready = lognorm_counts(align_dataset(data.copy(), embed.gene_order, gene_overlap_threshold=10))
        for held in states:
            held.clear()
        vectors = embed.get_embeddings(ready.X.tocsr())
        np.savez_compressed(
            out / f"{case}.npz",
            aligned=ready.X[:6].toarray(),
            state_1=states[0][0],
            state_2=states[1][0],
            embedding=vectors,
        )


main()
