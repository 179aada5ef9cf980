"""Make the fixtures of scGPT-spatial: ``python make_scgpt_spatial.py ORIGINAL XENIUM OUT``.

ORIGINAL is a checkout of bowang-lab/scGPT-spatial, XENIUM the Xenium table of the real data sets, OUT the folder to
write.
"""

import json
import logging
import os
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import torch
from _original import ragged, randomise, shell, stub, synthetic_counts, torchtext

original, xenium, out = map(Path, sys.argv[1:4])
ARGS = {"embsize": 16, "nheads": 2, "d_hid": 24, "nlayers": 2, "n_layers_cls": 3, "dropout": 0.2, "pad_token": "<pad>"}
ARGS |= {"pad_value": -2, "mask_value": -1, "n_bins": 51, "max_seq_len": 600, "input_emb_style": "continuous"}


def load_original():
    """Import the embedding task of the original; attention of flash-attn 1 is that of PyTorch."""
    stub("scib", "IPython", "flash_attn")
    torchtext()
    vars(np)["float"] = float  # a name that NumPy has dropped
    root = original / "scgpt_spatial"
    shell("scgpt_spatial", root, logger=logging.getLogger("scGPT-spatial"))
    shell("scgpt_spatial.tasks", root / "tasks")
    from scgpt_spatial.tasks import cell_emb

    cell_emb.TransformerModel.use_fast_transformer = False  # never set by the original, so Wqkv would not be loaded
    return cell_emb


def main() -> None:
    """Run the original end to end."""
    cell_emb = load_original()
    torch.backends.mha.set_fastpath_enabled(False)
    os.sched_getaffinity = lambda _pid: ()  # no worker processes: one random stream, in the order of the cells
    out.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(5)
    made_up = [f"GENE{i}" for i in range(1, 121)]
    cells = ad.read_h5ad(xenium)[::420][:40].copy()
    names = [*made_up, *cells.var_names[::2]]
    vocab = {n: i for i, n in enumerate([*(names[j] for j in draw.permutation(len(names))), "<pad>", "<cls>", "<eoc>"])}
    (out / "vocab.json").write_text(json.dumps(vocab))
    (out / "args.json").write_text(json.dumps(ARGS))
    means = pd.Series(np.round(draw.lognormal(0, 0.7, size=len(vocab)), 6), name="mean")
    absent = [vocab[n] for n in ("GENE3", "GENE77", "ACTA2") if n in vocab]
    means.drop(index=absent).to_frame().to_csv(out / "all_dict_mean_std.csv")
    tokens = cell_emb.GeneVocab.from_file(out / "vocab.json")
    model = cell_emb.TransformerModel(
        ntoken=len(vocab), d_model=16, nhead=2, d_hid=24, nlayers=2, nlayers_cls=3, n_cls=1, vocab=tokens, dropout=0.2,
        pad_token="<pad>", pad_value=-2, do_mvc=True, use_MVC_impute=True, use_moe_dec=True,
    )  # fmt: skip
    randomise(model, seed=12)
    torch.save({k.replace("in_proj_", "Wqkv."): v for k, v in model.state_dict().items()}, out / "best_model.pt")

    batches = []
    collate = cell_emb.DataCollator.__call__

    def watched(self, examples):
        batches.append(collate(self, examples))
        return batches[-1]

    cell_emb.DataCollator.__call__ = watched
    made = synthetic_counts([*made_up, "UNKNOWN1"], n_obs=12, seed=2)
    known = [g for g in vocab if g in set(cells.var_names)]
    for case, data in {"synthetic": made, "real": cells[:, known].copy()}.items():
        data.X = data.X.toarray()
        batches.clear()
        np.random.seed(0)  # noqa: NPY002 - the original draws from the global stream
        torch.manual_seed(0)
        result = cell_emb.embed_data(data, out, gene_col="index", device="cpu", use_fast_transformer=False)
        ids, values = batches[0]["gene"].numpy(), batches[0]["expr"].numpy()
        flat = ragged(ids, values, ids != vocab["<pad>"])
        order = np.array([] if case == "synthetic" else known, dtype=str)
        np.savez_compressed(out / f"{case}.npz", **flat, embedding=result.obsm["X_scGPT"], genes=order)


if __name__ == "__main__":
    main()
