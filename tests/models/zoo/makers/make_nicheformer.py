"""Make the fixtures of Nicheformer: ``python make_nicheformer.py ORIGINAL XENIUM OUT``.

ORIGINAL is a checkout of theislab/nicheformer, XENIUM the Xenium table of the real data sets, OUT the folder to write.
"""

import sys
import types
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from scipy import sparse

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from _cases import gene_ids, synthetic_counts
from _original import randomise, shell

original, xenium, out = map(Path, sys.argv[1:4])
N_GENES, CONTEXT = 160, 60
WANTED = {"spatial": 4, "human": 5, "xenium": 9}


def technology_means(*, seed: int) -> np.ndarray:
    """Return means as published: not rounded, many missing, some below one half, one negative."""
    draw = np.random.default_rng(seed)
    means = draw.uniform(0.6, 40, size=N_GENES)
    means[draw.random(N_GENES) < 0.2] = np.nan
    means[[3, 50, 90]] = 0.3, 2.5, -12.4
    return means


def rounded(means: np.ndarray) -> np.ndarray:
    """Return means as the notebooks prepare them: NaN as zero, halves upwards, zero as one."""
    known = np.nan_to_num(means)
    whole = np.where((known % 1) >= 0.5, np.ceil(known), np.floor(known))
    return np.where(known == 0, 1, whole)


def steady(tokenise):
    """Return the loop of the original, not compiled, with a sort that keeps the order of equal values."""
    calm = types.SimpleNamespace(
        **{name: getattr(np, name) for name in ("empty", "nonzero", "zeros", "zeros_like", "int32")}
    )
    calm.argsort = lambda x: np.argsort(x, kind="stable")
    return types.FunctionType(
        tokenise.py_func.__code__, {"np": calm, "enumerate": enumerate, "len": len}, "steady", (-1, 30)
    )


def load_original():
    """Import the model and the tokeniser, without the package's own imports."""
    root = original / "src" / "nicheformer"
    for name in ("", ".models", ".data"):
        shell(f"nicheformer{name}", root / name.strip("."))
    from nicheformer.data import dataset
    from nicheformer.models import _nicheformer

    dataset._sub_tokenize_data = steady(dataset._sub_tokenize_data)
    return _nicheformer.Nicheformer, dataset


def in_model_order(model: ad.AnnData, cells: ad.AnnData) -> ad.AnnData:
    """Return the cells with the columns of the model, as the notebooks do."""
    both = ad.concat([model, cells], join="outer", axis=0)
    return both[1:, model.var.index].copy()


def run(net, cells: ad.AnnData, tokens: np.ndarray, *, layer: int, with_context: bool) -> np.ndarray:
    """Return the embedding of the original."""
    batch = {"X": torch.tensor(tokens)}
    codes = zip(("modality", "specie", "assay"), WANTED.values(), strict=True)
    batch |= {name: torch.full((len(cells),), code) for name, code in codes}
    with torch.no_grad():
        return net.get_embeddings(batch=batch, layer=layer, with_context=with_context).numpy()


def main() -> None:
    """Run the original end to end."""
    kind, dataset = load_original()
    torch.backends.mha.set_fastpath_enabled(False)
    (out / "model_means").mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(3).permutation(N_GENES)
    names = [gene_ids(N_GENES)[i] for i in order]
    model = ad.AnnData(
        sparse.csr_matrix((1, N_GENES)), obs=pd.DataFrame(index=["1_organism0"]), var=pd.DataFrame(index=names)
    )
    model.write_h5ad(out / "model_means" / "model.h5ad", compression="gzip")
    for seed, technology in enumerate(("xenium", "dissociated")):
        np.save(out / "model_means" / f"{technology}_mean_script.npy", technology_means(seed=seed))
    net = kind(
        dim_model=16, nheads=4, dim_feedforward=24, nlayers=3, dropout=0.0, batch_first=True, masking_p=0.15,
        n_tokens=N_GENES + 30, context_length=CONTEXT, lr=1e-4, warmup=10, batch_size=4, max_epochs=1,
        specie=True, assay=True, modality=True,
    )  # fmt: skip
    randomise(net, seed=21)
    trainer = pl.Trainer(accelerator="cpu", max_steps=0, logger=False, enable_checkpointing=False)
    trainer.strategy.connect(net)
    trainer.save_checkpoint(out / "nicheformer.ckpt", weights_only=True)
    net = kind.load_from_checkpoint(out / "nicheformer.ckpt", strict=True).eval()

    cells = ad.read_h5ad(xenium)[::420][:40].copy()
    cells.var_names = gene_ids(cells.n_vars, start=41)
    made = synthetic_counts(gene_ids(N_GENES + 20), n_obs=12, seed=2, density=0.5)
    for case, data in {"synthetic": made, "real": cells}.items():
        table = in_model_order(model, data)
        means = np.load(out / "model_means" / "xenium_mean_script.npy")
        tokens = dataset.tokenize_data(table.X.toarray(), rounded(means), 1500)
        table.obs["nicheformer_split"] = "train"
        leaking = dataset.NicheformerDataset(table, means.copy(), max_seq_len=1500).tokens
        saved = {"tokens": tokens[:, : CONTEXT - 3], "dataset_tokens": leaking[:, : CONTEXT - 3]}
        for name, kept in (("", tokens), ("dataset_", leaking)):
            saved[f"{name}embedding"] = run(net, table, kept, layer=-1, with_context=False)
        saved["layer0"] = run(net, table, tokens, layer=0, with_context=False)
        saved["with_context"] = run(net, table, tokens, layer=-1, with_context=True)
        np.savez_compressed(out / f"{case}.npz", **saved)


main()
