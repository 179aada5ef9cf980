"""Make the fixtures of scGPT: ``python make_scgpt.py ORIGINAL XENIUM OUT``.

ORIGINAL is a checkout of bowang-lab/scGPT, XENIUM the Xenium table of the real data sets, OUT the folder to write.
"""

import json
import os
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import torch
from _original import ragged, randomise, shell, stub, synthetic_counts

original, xenium, out = map(Path, sys.argv[1:4])
ARGS = {"embsize": 16, "nheads": 2, "d_hid": 24, "nlayers": 3, "n_layers_cls": 3, "dropout": 0.2, "pad_token": "<pad>"}
ARGS |= {"pad_value": -2, "mask_value": -1, "n_bins": 51, "max_seq_len": 1200, "input_style": "binned"}
ARGS |= {"input_emb_style": "continuous", "cell_emb_style": "cls", "lr": 1e-4, "fp16": True}


def vocabulary(names: list[str]) -> dict[str, int]:
    """Return tokens in a shuffled order, the special ones last."""
    order = np.random.default_rng(5).permutation(len(names))
    return {name: i for i, name in enumerate([*(names[j] for j in order), "<pad>", "<cls>", "<eoc>"])}


def real_cells() -> ad.AnnData:
    """Return forty real cells, genes in the order of the vocabulary."""
    return ad.read_h5ad(xenium)[::420][:40].copy()


def load_original():
    """Import the embedding task of the original, without what it needs only for training."""
    stub("scib", "IPython", "flash_attn", "datasets", "orbax", "gseapy", "networkx")
    import logging

    root = original / "scgpt"
    shell("scgpt", root, logger=logging.getLogger("scGPT"))
    shell("scgpt.tasks", root / "tasks")
    from scgpt.model import flash_attn_compat

    flash_attn_compat.flash_attn_available = False
    from scgpt.tasks import cell_emb

    return cell_emb


def main() -> None:
    """Run the original end to end."""
    cell_emb = load_original()
    torch.backends.mha.set_fastpath_enabled(False)
    os.sched_getaffinity = lambda _pid: ()  # no worker processes: one random stream, in the order of the cells
    out.mkdir(parents=True, exist_ok=True)
    made_up = [f"GENE{i}" for i in range(1, 121)]
    cells = real_cells()
    vocab = vocabulary([*made_up, *cells.var_names[::2]])
    (out / "vocab.json").write_text(json.dumps(vocab))
    (out / "args.json").write_text(json.dumps(ARGS))
    tokens = cell_emb.GeneVocab.from_file(out / "vocab.json")
    model = cell_emb.TransformerModel(
        ntoken=len(vocab), d_model=16, nhead=2, d_hid=24, nlayers=3, nlayers_cls=3, n_cls=1, vocab=tokens,
        dropout=0.2, pad_token="<pad>", pad_value=-2, do_mvc=True, use_fast_transformer=False,
    )  # fmt: skip
    randomise(model, seed=21)
    state = {k.replace("in_proj_", "Wqkv."): v for k, v in model.state_dict().items()}
    state["flag_encoder.weight"] = torch.randn(2, 16, generator=torch.Generator().manual_seed(3))
    torch.save(state, out / "best_model.pt")

    batches, states = [], []
    collate = cell_emb.DataCollator.__call__

    def watched(self, examples):
        batches.append(collate(self, examples))
        return batches[-1]

    encode = cell_emb.TransformerModel._encode

    def stepped(self, src, values, src_key_padding_mask, batch_labels=None):
        x = self.encoder(src) + self.value_encoder(values)
        per_layer = [x]
        for layer in self.transformer_encoder.layers:
            per_layer.append(layer(per_layer[-1], src_key_padding_mask=src_key_padding_mask))
        states.append(torch.stack([s[:, 0] for s in per_layer], dim=1))
        return encode(self, src, values, src_key_padding_mask, batch_labels)

    cell_emb.DataCollator.__call__ = watched
    cell_emb.TransformerModel._encode = stepped
    made = synthetic_counts([*made_up, "UNKNOWN1", "UNKNOWN2"], n_obs=12, seed=1)
    known = [g for g in vocab if g in set(cells.var_names)]
    cases = {"synthetic": made, "real": cells[:, known].copy()}
    for case, data in cases.items():
        batches.clear()
        states.clear()
        np.random.seed(0)  # noqa: NPY002 - the original draws from the global stream
        torch.manual_seed(0)
        result = cell_emb.embed_data(
            data, out, gene_col="index", device="cpu", use_fast_transformer=False, batch_size=64
        )
        ids, values = batches[0]["gene"].numpy(), batches[0]["expr"].numpy()
        flat = ragged(ids, values, ids != vocab["<pad>"])
        np.savez_compressed(
            out / f"{case}.npz", **flat, cls_states=states[0].numpy(), embedding=result.obsm["X_scGPT"],
            genes=np.array([] if case == "synthetic" else known, dtype=str),
        )  # fmt: skip
    with torch.no_grad():
        model.eval()
        genes = model.encoder(torch.arange(len(vocab))).numpy()
    np.savez_compressed(out / "genes.npz", embedding=genes)


main()
