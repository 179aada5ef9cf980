"""Make the fixtures of stFormer: ``python make_stformer.py ORIGINAL XENIUM OUT``.

ORIGINAL is a checkout of csh3/stFormer, XENIUM the Xenium table of the real data sets, OUT the folder to write.
"""

import copy
import json
import sys
import tempfile
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import torch
from _original import randomise, shell, stub, synthetic_counts, torchtext
from scipy import sparse
from torch.nn import functional

original, xenium, out = (Path(p).resolve() for p in sys.argv[1:4])
MADE_UP = [f"GENE{i}" for i in range(1, 91)]
TOKENIZER = out / "stformer" / "tokenizer"
N = 5
TOKENS: dict = {}


def load_original():
    """Import the model; flash attention is replaced by that of PyTorch, in float32."""
    stub("flash_attn")
    torchtext()
    sys.path.insert(0, str(original))
    shell("tasks", original / "tasks")
    shell("hdf5plugin", original)
    for kind in (sparse.csr_matrix, sparse.csr_array):
        kind.A = property(lambda self: self.toarray())  # a name that SciPy has dropped
    import stformer.flash_attention as flash
    from stformer import logger
    from stformer.tokenizer import tokenize_and_pad_batch_2

    TOKENS.update(logger=logger, tokenize_and_pad_batch_2=tokenize_and_pad_batch_2, pd=pd, np=np, Dict=dict)
    TOKENS.update(torch=torch, Dataset=torch.utils.data.Dataset, DataLoader=torch.utils.data.DataLoader)

    def attend(self, qkv=None, tgt_key_padding_mask=None, **_rest):
        query, key, value = (part.transpose(1, 2) for part in qkv.unbind(dim=2))
        keep = tgt_key_padding_mask[:, None, None, :]
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=keep).transpose(1, 2), None

    flash.FlashAttention.forward = attend


def notebook(path: str, *starts: str, scope: dict, n_ligands: int) -> dict:
    """Run the code cells of a notebook that start so, with the number of ligands of the fixture."""
    cells = json.loads((original / path).read_text())["cells"]
    for cell in cells:
        text = "".join(cell["source"])
        if cell["cell_type"] == "code" and text.startswith(starts):
            text = text.replace("adata_pp.obs.index = ", "adata_pp.obs_names = ")  # AnnData checks the frames in obsm
            exec(text.replace("986", str(n_ligands)), scope)
    return scope


def tables(folder: Path, names: list[str], *, n_listed: int = 80) -> int:
    """Write the three dictionaries in their published form and return the number of ligands."""
    draw = np.random.default_rng(7)
    pd.DataFrame({"gene_name": names, "index": range(len(names))}).to_csv(
        folder / "OS_scRNA_gene_index.19264.tsv", sep="\t", index=False
    )
    (folder / "scfoundation_gene_vocab.json").write_text(json.dumps({n: i for i, n in enumerate(names)}))
    ligands = [*draw.permutation(names)[:n_listed], "NOTAGENE1", "NOTAGENE2"]
    bases = ["cellchatDB", "connectomeDB", "celllinker", "celltalkDB", "icellnet", "spatalk", "cellphoneDB"]
    database = pd.DataFrame(draw.binomial(1, 0.35, size=(len(ligands), 7)), index=ligands, columns=bases)
    database.to_csv(folder / "ligand_database.csv")
    return int(((database.sum(axis=1) > 1) & database.index.isin(names)).sum())


def small_model(n_genes: int, *, width: int = 16, heads: int = 2, hidden: int = 24, n_layers: int = 2, scale=0.4):
    """Return the original module, at small size if not told otherwise."""
    from stformer.model import TransformerModel
    from tasks.scfoundation.pretrainmodels.mae_autobin import MaeAutobin

    donor = MaeAutobin(
        num_tokens=104, max_seq_len=n_genes + 2, embed_dim=width, decoder_embed_dim=8, bin_num=100, pad_token_id=103,
        mask_token_id=102,
    )  # fmt: skip
    parts = {f"scfoundation_{p}{i}": copy.deepcopy(getattr(donor, p)) for p in ("token_emb", "pos_emb") for i in (1, 2)}
    model = TransformerModel(width, heads, hidden, n_layers, dropout=0.1, cell_emb_style="max-pool", **parts)
    randomise(model, seed=31, scale=scale)
    return model.eval()


def flat(ids, values, extra, pad) -> dict[str, np.ndarray]:
    """Return niche tokens without padding, every row ordered by id, value."""
    keep = ids != pad
    order = [np.lexsort((v[k], i[k])) for i, v, k in zip(ids, values, keep, strict=True)]
    columns = {"ids": ids, "values": values, "bias": extra}
    joined = {
        name: np.concatenate([t[k][o] for t, k, o in zip(table, keep, order, strict=True)])
        for name, table in columns.items()
    }
    return {"indptr": np.r_[0, np.cumsum(keep.sum(axis=1))], **joined}


def niche_of(scope: dict, ready: ad.AnnData, how: str) -> ad.AnnData:
    """Return the table with its niches as the formatting notebook writes them, one field of view after the other."""
    index = pd.read_csv(TOKENIZER / "OS_scRNA_gene_index.19264.tsv", sep="\t")
    database = pd.read_csv(TOKENIZER / "ligand_database.csv", index_col=0)
    ligands = index.loc[index["gene_name"].isin(database[database.sum(axis=1) > 1].index), "index"].to_numpy()
    if how == "sc":
        return scope["get_niche_samples_sc"](ready.copy(), ligands)
    parts = []
    for fov in sorted(set(ready.obs["fov"])):
        part = ready[ready.obs["fov"] == fov].copy()
        coords = part.obsm["spatial"]
        radius = scope["get_niche_radius"](coords, N) if how == "radius" else None
        part.obs["cell_type"] = part.obs["cell_type"].cat.codes.to_numpy() + 1
        part = scope["get_niche_samples"](part, coords, radius, ligands, None if how == "radius" else N)
        for key in ("niche_composition", "niche_ligands_expression"):
            part.obsm[key] = part.obsm.get(f"{key}_niche{N}", part.obsm.get(key))
        parts.append(part)
    return ad.concat(parts)


def embed(model, tokenizer_class, data: ad.AnnData, vocab, *, mode: str) -> dict[str, np.ndarray]:
    """Return embedding and tokens as the clustering notebook makes them."""
    pad = len(vocab) - 1
    tokenizer = tokenizer_class(f"{TOKENIZER}/", data, vocab, 103, "<pad>")
    tokenizer.tokenize_data()
    t = tokenizer.tokenized_data
    niche_pad = t["niche_genes"].eq(pad)
    niche_pad = torch.ones_like(niche_pad) if mode == "sc" else niche_pad
    states = []
    first = model.transformer_decoder.layers[0]
    hook = first.register_forward_hook(lambda _module, _inputs, output: states.append(output))
    with torch.no_grad():
        result = model(
            t["niche_genes"], t["niche_values"], niche_pad, t["center_genes"], t["center_values"],
            t["center_genes"].eq(pad), t["cross_attn_bias"],
        )  # fmt: skip
    hook.remove()
    found = {"embedding": result["cell_emb"].numpy(), "first_state": states[0][:, 0].numpy()}
    ids, values, bias = (t[k].numpy() for k in ("center_genes", "center_values", "cross_attn_bias"))
    found |= {f"center_{k}": v for k, v in flat(ids, values, np.zeros_like(values), pad).items()}
    niche = flat(t["niche_genes"].numpy(), t["niche_values"].numpy(), bias, pad)
    return found | {f"niche_{k}": v for k, v in niche.items()}


def taken_apart(names: list[str]) -> ad.AnnData:
    """Return made-up spots as `datasets/deconvolution.py` writes them: a layer and an abundance for every cell type."""
    draw = np.random.default_rng(12)
    n, symbols = 7, [*draw.permutation(names)[:60], "UNKNOWN1"]
    symbols.append(symbols[5])  # two ids of one symbol
    mean = draw.gamma(0.6, 2.0, size=(4, n, len(symbols))) * draw.binomial(1, 0.7, size=(4, n, len(symbols)))
    layers = {f"type {i}": sparse.csr_matrix(part.astype(np.float32)) for i, part in enumerate(mean)}
    spots = pd.Index([f"spot{i}" for i in range(n)])
    var = pd.DataFrame({"symbol": symbols}, index=[f"ENSG{i:011d}" for i in range(1, len(symbols) + 1)])
    adata = ad.AnnData(sum(layers.values()).tocsr(), obs=pd.DataFrame(index=spots), var=var, layers=layers)
    amount = draw.gamma(0.7, 3.0, size=(n, 4))
    amount[0, 1:], amount[1, 2] = 0, amount[1].sum() / 40  # a single cell type, and one of too small a share
    columns = [f"q05cell_abundance_w_sf_{name}" for name in layers]
    adata.obsm["q05_cell_abundance_w_sf"] = pd.DataFrame(amount, index=spots, columns=columns)
    return adata


def spots(model, tokenizer_class, vocab, names: list[str], n_ligands: int) -> dict[str, np.ndarray]:
    """Return what the original makes of spots taken apart, and the spots as one observation for every cell type."""
    adata = taken_apart(names)
    kinds, n = list(adata.layers), adata.n_obs
    amount = adata.obsm["q05_cell_abundance_w_sf"].to_numpy()
    given = {
        "expression": np.stack([adata.layers[kind].toarray() for kind in kinds], axis=1).reshape(n * len(kinds), -1),
        "symbols": adata.var["symbol"].to_numpy(dtype=str), "abundance": amount.ravel(),
        "spot": np.repeat(adata.obs_names.to_numpy(dtype=str), len(kinds)),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as where:
        for path in TOKENIZER.iterdir():
            (Path(where) / path.name).write_bytes(path.read_bytes())
        known = adata.var[adata.var["symbol"] != "UNKNOWN1"]
        pd.DataFrame({"gene_symbols": known["symbol"], "gene_ids": known.index}).to_csv(
            Path(where) / "scfoundation_gene_df.csv", index=False
        )
        database = pd.read_csv(TOKENIZER / "ligand_database.csv", index_col=0)
        heard = database.index[(database.sum(axis=1) > 1) & database.index.isin(names)].to_numpy()
        scope = {"tokenizer_dir": where, "ligand_symbol": heard, "max_cell_type_num": 25, "batch_label": "slide"}
        notebook("datasets/format_visium.ipynb", "import os", "def ", scope=scope, n_ligands=n_ligands)
        samples = scope["get_niche_samples"](scope["preprocess_data"](adata.copy()))
    found = embed(model, tokenizer_class, samples, vocab, mode="sp")
    return given | {"barcodes": samples.obs_names.to_numpy(dtype=str), "kind": samples.obs["cell_type"]} | found


def main() -> None:
    """Run the original end to end."""
    load_original()
    models = out / "pretraining" / "models"
    for folder in (models, TOKENIZER):
        folder.mkdir(parents=True, exist_ok=True)
    cells = ad.read_h5ad(xenium)
    away = np.linalg.norm(cells.obsm["spatial"] - np.median(cells.obsm["spatial"], axis=0), axis=1)
    cells = cells[np.sort(np.argsort(away, kind="stable")[:40])].copy()
    names = sorted([*MADE_UP, *cells.var_names[::2]])
    n_ligands = tables(TOKENIZER, names)
    model = small_model(len(names))
    torch.save(model, models / "model_4.1M.ckpt")
    from stformer.tokenizer import GeneVocab

    vocab = GeneVocab.from_file(TOKENIZER / "scfoundation_gene_vocab.json")
    vocab.append_token("<pad>")
    vocab.set_default_index(vocab["<pad>"])
    where = {"tokenizer_dir": f"{TOKENIZER}/"}
    scope = notebook("datasets/format_sc.ipynb", "from tasks", "def ", scope=where, n_ligands=n_ligands)
    reader = notebook("tasks/stFormer_cell_clustering.ipynb", "class ", scope=dict(TOKENS), n_ligands=n_ligands)
    made = synthetic_counts([*MADE_UP[:80], "UNKNOWN1"], n_obs=14, seed=4)
    made.obs["fov"] = 0
    cells.obs["fov"] = (cells.obsm["spatial"][:, 0] > np.median(cells.obsm["spatial"][:, 0])).astype(int)
    cells = cells[np.argsort(cells.obs["fov"], kind="stable")].copy()
    for case, data in {"synthetic": made, "real": cells}.items():
        data.var["gene_name"] = data.var_names.to_numpy()
        data.obs["cell_type"] = pd.Categorical(["a"] * data.n_obs)
        ready = scope["prepare_data"](data, need_normalization=True)
        results = {"names": np.array(data.obs_names, dtype=str), "fov": data.obs["fov"].to_numpy()}
        for how in ("radius", "nearest", "sc"):
            niche = niche_of(scope, ready, how)
            found = embed(model, reader["Tokenizer"], niche, vocab, mode="sc" if how == "sc" else "sp")
            kept = found if how == "radius" else {"embedding": found["embedding"]}
            results |= {f"{how}_{k}": v for k, v in kept.items()}
        np.savez_compressed(out / f"{case}.npz", **results)
    np.savez_compressed(out / "spots.npz", **spots(model, reader["Tokenizer"], vocab, names, n_ligands))


if __name__ == "__main__":
    main()
