"""Make the fixtures of CellPLM: ``python make_cellplm.py ORIGINAL DLPFC OUT``.

ORIGINAL is a checkout of OmicsML/CellPLM, DLPFC the DLPFC table of the real data sets, OUT the folder to write.
"""

import json
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import torch

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from _cases import gene_ids, synthetic_counts
from _original import randomise, shell, stub

original, dlpfc, out = map(Path, sys.argv[1:4])
CONFIG = {
    "name": "made_up",
    "enc_mod": "flowformer",
    "enc_hid": 32,
    "enc_layers": 2,
    "lamda": 5.0,
    "post_latent_dim": 8,
}
CONFIG |= {"dec_mod": "nbmlp", "dec_hid": 8, "dec_layers": 2, "model_dropout": 0.2, "mask_node_rate": 0.75}
CONFIG |= {"mask_feature_rate": 0.25, "drop_node_rate": 0.3, "norm": "groupnorm", "architecture": "OmicsFormer"}
CONFIG |= {"w_li": 5.0, "w_en": 5.0, "num_clusters": 4, "cat_pe": False, "max_batch_size": 4000, "dar": False}
CONFIG |= {"input_covariate": False, "ecs": False, "dsbn": False, "dae": True, "mask_beta": True, "batch_num": 3}
CONFIG |= {"dataset_num": 2, "epochs": 200, "lr": 0.0002}
PREFIXES = {"20231027_85M": "vae", "20230926_85M": "gmvae"}
SEED = 4


def watch(module: torch.nn.Module) -> list[np.ndarray]:
    """Return a list that gets every output of a module."""
    seen: list[np.ndarray] = []
    module.register_forward_hook(lambda _m, _i, o: seen.append(o.numpy()))
    return seen


def main() -> None:
    """Run the original end to end."""
    stub("mygene", "hdf5plugin")
    shell("CellPLM", original / "CellPLM")
    from CellPLM.model import OmicsFormer
    from CellPLM.pipeline.cell_embedding import CellEmbeddingPipeline

    out.mkdir(parents=True, exist_ok=True)
    made_up = gene_ids(80)
    cells = ad.read_h5ad(dlpfc)[::181][:40].copy()
    cells.obs["batch"] = cells.obs["section"].astype(str)
    genes = sorted([*made_up, *cells.var_names[:200:4]])
    made = synthetic_counts([*made_up[:70], *gene_ids(3, prefix="ENSMUSG")], n_obs=24, seed=1)
    made.obs["batch"] = ["b", "a", "b"] * 8
    cases = {"synthetic": made, "real": cells}
    for number, (prefix, latent) in enumerate(PREFIXES.items()):
        config = CONFIG | {"latent_mod": latent, "out_dim": len(genes), "gene_list": genes}
        (out / f"{prefix}.config.json").write_text(json.dumps(config))
        torch.manual_seed(0)
        model = OmicsFormer(**config)
        randomise(model, seed=31 + number, scale=0.15)
        # positions and the decoder are not used, and the original drops what has another shape: two rows will do
        unused = ("pe_enc.pe_enc", "dec_mean")
        state = {k: v[:2].clone() if any(u in k for u in unused) else v for k, v in model.state_dict().items()}
        torch.save({"model_state_dict": state, "epoch": 199}, out / f"{prefix}.best.ckpt")
        pipeline = CellEmbeddingPipeline(prefix, pretrain_directory=str(out))
        inner = pipeline.model
        states = {"embedder": watch(inner.embedder), "encoder": watch(inner.encoder.layers[0])}
        for case, data in cases.items():
            content = {}
            for chunk in (0, 5):
                for held in states.values():
                    held.clear()
                torch.manual_seed(SEED)
                found = pipeline.predict(data.copy(), {"batch_size": chunk}, ensembl_auto_conversion=False)
                content[f"embedding_{chunk}"] = found.numpy()
                if chunk == 0:
                    content |= {f"{name}_0": held[0] for name, held in states.items()}
            np.savez_compressed(out / f"{latent}_{case}.npz", **content)


main()
