"""Make the fixtures of scFoundation: ``python make_scfoundation.py ORIGINAL XENIUM OUT``.

ORIGINAL is the folder ``model`` of a checkout of biomap-research/scFoundation, XENIUM the Xenium table of the real data
sets, OUT the folder to write.
"""

import os
import runpy
import sys
import tempfile
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import torch
from _original import randomise, synthetic_counts

original, xenium, out = (Path(p).resolve() for p in sys.argv[1:4])
MADE_UP = [f"GENE{i}" for i in range(1, 91)]
RUNS = {
    "all": ["--pool_type", "all"],
    "max": ["--pool_type", "max"],
    "f2": ["--tgthighres", "f2"],
    "a1": ["--tgthighres", "a1"],
    "rde": ["--version", "rde"],
    "logged": ["--pre_normalized", "T"],
    "appended": ["--pre_normalized", "A"],
}


def config(n_genes: int) -> dict:
    """Return a small configuration in the published nesting."""
    sizes = {"module_type": "transformer", "hidden_dim": 16, "depth": 2, "heads": 2, "dim_head": 8}
    decoder = sizes | {"module_type": "performer", "hidden_dim": 8, "depth": 1, "heads": 2, "dim_head": 4}
    shared = {"seq_len": n_genes + 2, "n_class": 104, "pad_token_id": 103, "mask_token_id": 102}
    inner = {"model": "mae_autobin", "encoder": sizes, "decoder": decoder, "bin_num": 100, "bin_alpha": 1.0}
    return {
        "model": "mae_autobin",
        "model_config": {"mae_autobin": inner},
        "dataset_config": {"rnaseq": shared},
    }


def checkpoint(genes: list[str]) -> None:
    """Write the checkpoint with its three versions."""
    from pretrainmodels import select_model

    file = {}
    for seed, key in enumerate(["cell", "rde"], start=21):
        nested = config(len(genes))
        flat = nested["model_config"]["mae_autobin"] | nested["dataset_config"]["rnaseq"]
        model = select_model(flat)
        randomise(model, seed=seed, scale=0.4)
        state = {f"model.{k}": v for k, v in model.state_dict().items()}
        file[key] = {"config": nested, "state_dict": state}
    torch.save(file | {"gene": file["cell"]}, out / "models" / "models.ckpt")


def script(n_genes: int) -> Path:
    """Write the original script with its two sizes changed, beside the original modules."""
    text = (original / "get_embedding.py").read_text()
    text = text.replace("19264.tsv", "KEEP").replace("19264", str(n_genes)).replace("19266", str(n_genes + 2))
    path = work / "get_embedding.py"
    path.write_text(text.replace("KEEP", "19264.tsv"))
    return path


def run(path: Path, table: Path, options: list[str]) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Return the embedding (n_obs, d) and the tokens of every cell."""
    import load

    gathered = []
    gather = load.gatherData

    def watched(data, labels, pad):
        result = gather(data, labels, pad)
        gathered.append(result[0][0].numpy())
        return result

    load.gatherData = watched
    states.clear()
    for old in work.glob("*_embedding_*.npy"):
        old.unlink()
    sys.argv = ["get_embedding.py", "--data_path", str(table), "--save_path", str(work), *options]
    runpy.run_path(str(path), run_name="__main__")
    load.gatherData = gather
    (saved,) = work.glob("*_embedding_*.npy")
    values, ids = gathered[0::2], gathered[1::2]
    return np.load(saved).reshape(len(values), -1), list(zip(ids, values, strict=True))


def table_of(data: ad.AnnData, genes: list[str], *, how: str, path: Path) -> Path:
    """Write what a run reads: counts, logarithms, or logarithms with the total in a last column."""
    frame = data.to_df()
    if how != "F":
        frame = frame.reindex(columns=genes, fill_value=0)
        totals = frame.sum(axis=1)
        frame = np.log1p(frame.div(totals, axis=0) * 1e4)
        if how == "A":
            frame["total"] = totals
    frame.to_csv(path)
    return path


def remember(layer, inputs, output) -> None:
    """Keep the state of the last token after a layer."""
    if isinstance(layer, torch.nn.TransformerEncoderLayer):
        states.append(output[0, -1].numpy())


states: list[np.ndarray] = []
torch.nn.modules.module.register_module_forward_hook(remember)
work = Path(tempfile.mkdtemp())
for place in (out, work):
    (place / "models").mkdir(parents=True, exist_ok=True)
sys.path.insert(0, str(original))
torch.Tensor.cuda = lambda self, *_: self
torch.nn.Module.cuda = lambda self, *_: self
torch.cuda.manual_seed_all = lambda _seed: None
torch.backends.mha.set_fastpath_enabled(False)

cells = ad.read_h5ad(xenium)[::420][:40].copy()
gene_order = sorted([*MADE_UP, *cells.var_names[::2]])
index = pd.DataFrame({"gene_name": gene_order, "index": range(len(gene_order))})
for folder in (out, work):
    index.to_csv(folder / "OS_scRNA_gene_index.19264.tsv", sep="\t", index=False)
checkpoint(gene_order)
os.chdir(work)
(work / "models" / "models.ckpt").write_bytes((out / "models" / "models.ckpt").read_bytes())
code = script(len(gene_order))
made = synthetic_counts([*MADE_UP[:80], "UNKNOWN1"], n_obs=10, seed=3)
real = cells[:, cells.var_names.isin(gene_order)].copy()
for case, data in {"synthetic": made, "real": real}.items():
    results = {}
    for name, options in RUNS.items() if case == "synthetic" else [("all", RUNS["all"]), ("max", RUNS["max"])]:
        how = options[1] if options[0] == "--pre_normalized" else "F"
        known = data[:, data.var_names.isin(gene_order)]
        embedding, tokens = run(code, table_of(known, gene_order, how=how, path=work / "in.csv"), options)
        results[name] = embedding.astype(np.float32)
        if name == "all":
            results["last_states"] = np.stack(states).reshape(len(tokens), -1, 16)
            results["indptr"] = np.concatenate([[0], np.cumsum([len(i) for i, _ in tokens])])
            results["ids"] = np.concatenate([i for i, _ in tokens])
            results["values"] = np.concatenate([v for _, v in tokens]).astype(np.float32)
    np.savez_compressed(out / f"{case}.npz", **results)
