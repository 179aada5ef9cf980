"""Make the fixtures of TranscriptFormer: ``python make_transcriptformer.py ORIGINAL XENIUM OUT``.

ORIGINAL is the unpacked wheel transcriptformer 0.6.1, XENIUM the Xenium table of the real data sets, OUT the folder
to write.
"""

import json
import sys
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import torch
from omegaconf import OmegaConf

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1]), sys.argv[1]]
from _cases import gene_ids, synthetic_counts
from _original import randomise
from transcriptformer.model import inference
from transcriptformer.model.model import Transcriptformer
from transcriptformer.tokenizer.vocab import SPECIAL_TOKENS, load_vocabs_and_embeddings

original, xenium, out = map(Path, sys.argv[1:4])
ASSAYS = {"unknown": 0, "10x 3' v3": 1, "10x 5' v2": 2, "Visium Spatial Gene Expression": 3}
MODEL = {
    "log_counts_eps": 1e-6, "num_heads": 4, "num_layers": 3, "model_dim": 24, "embed_dim": 16, "dropout": 0.1,
    "activation": "gelu", "attn_bias": False, "fw_bias": False, "mu_link_fn": "softmax", "softcap": 10, "seq_len": 63,
    "aux_len": 1, "block_len": 64, "gene_head_hidden_dim": 16, "use_aux": True, "compile_block_mask": False,
}  # fmt: skip
DATA = {
    "aux_vocab_path": "/somewhere/vocabs", "pin_memory": True, "aux_cols": "assay", "gene_col_name": "ensembl_id",
    "clip_counts": 30, "filter_to_vocabs": True, "filter_outliers": 0.0, "pad_zeros": True, "normalize_to_scale": 0,
    "n_data_workers": 0, "sort_genes": False, "randomize_genes": False, "min_expressed_genes": 0,
    "gene_pad_token": "[PAD]", "aux_pad_token": "unknown", "esm2_mappings_path": "/somewhere/vocabs",
    "esm2_mappings": ["homo_sapiens_gene.h5", "mus_musculus_gene.h5"], "special_tokens": SPECIAL_TOKENS,
}  # fmt: skip
FORWARD = Transcriptformer.forward
OTHER = "all_embeddings/danio_rerio_gene.h5"


def write_vocabularies() -> None:
    """Write the tables of the publication, made up: two species, an id that both have, and the assays."""
    (out / "vocabs").mkdir(parents=True, exist_ok=True)
    (out / "vocabs" / "assay_vocab.json").write_text(json.dumps(ASSAYS))
    draw = np.random.default_rng(5)
    human, mouse = gene_ids(200), [*gene_ids(20, prefix="ENSMUSG"), gene_ids(1)[0]]
    for name, genes in zip(DATA["esm2_mappings"], (human, mouse), strict=True):
        write_vectors(out / "vocabs" / name, genes, draw)
    (out / OTHER).parent.mkdir(exist_ok=True)
    write_vectors(out / OTHER, gene_ids(40, prefix="ENSDARG"), np.random.default_rng(6))


def write_vectors(path: Path, genes: list[str], draw: np.random.Generator) -> None:
    """Write made-up protein vectors of some genes."""
    shuffled = [genes[i] for i in draw.permutation(len(genes))]
    with h5py.File(path, "w", libver="latest") as file:
        file.create_dataset("keys", data=np.array(shuffled, dtype="S"))
        arrays = file.create_group("arrays")
        for gene in shuffled:
            arrays.create_dataset(gene, data=draw.normal(size=8).astype(np.float32))


def settings(kind: str = "cell") -> OmegaConf:
    """Return the configuration as the command line of the original makes it."""
    published = OmegaConf.create(json.loads((out / "config.json").read_text()))
    given = OmegaConf.load(original / "transcriptformer/cli/conf/inference_config.yaml")
    del given["defaults"]
    cfg = OmegaConf.merge(published, given)
    cfg.model.inference_config.load_checkpoint = str(out / "model_weights.pt")
    cfg.model.data_config.aux_vocab_path = str(out / "vocabs")
    cfg.model.data_config.esm2_mappings_path = str(out / "vocabs")
    cfg.model.data_config.use_raw = False
    cfg.model.inference_config.update({"precision": "32", "device": "cpu", "batch_size": 5, "emb_type": kind})
    return cfg


def write_model() -> None:
    """Write the configuration and random weights in the published layout."""
    loss = {"gene_id_loss_weight": 1.0, "softplus_approx": True}
    held = {"model_config": MODEL, "data_config": DATA, "loss_config": loss, "inference_config": {}}
    (out / "config.json").write_text(json.dumps({"model": held}))
    cfg = settings()
    (genes, aux), matrix = load_vocabs_and_embeddings(cfg)
    parts = cfg.model
    net = Transcriptformer(
        parts.data_config, parts.model_config, parts.loss_config, parts.inference_config,
        gene_vocab_dict=genes, aux_vocab_dict=aux, emb_matrix=matrix,
    )  # fmt: skip
    table = net.gene_embeddings.embedding.weight.clone()
    randomise(net, seed=41)
    net.gene_embeddings.embedding.weight.data.copy_(table)
    torch.save(net.state_dict(), out / "model_weights.pt")


def watched(batches: list, layers: list):
    """Return a forward pass that keeps its input, and the states of the first layer."""

    def keeping(self, batch, embed=False, **more):
        batches.append((batch.gene_token_indices.numpy(), batch.gene_counts.numpy(), batch.aux_token_indices.numpy()))
        handle = self.transformer_encoder.encoder_layers[0].register_forward_hook(
            lambda *a: layers.append(a[2].numpy())
        )
        result = FORWARD(self, batch, embed=embed, **more)
        handle.remove()
        return result

    return keeping


def keep(case: str, data: ad.AnnData, **changed: str) -> None:
    """Run the original end to end and keep what it returns."""
    data.obs = pd.DataFrame(index=data.obs_names)
    data.obs["assay"] = np.array([*ASSAYS, "not in the vocabulary"])[np.arange(data.n_obs) % 5]
    batches, layers = [], []
    Transcriptformer.forward = watched(batches, layers)
    run = settings()
    run.model.inference_config.update(changed)
    result = inference.run_inference(run, [data])
    run = settings("cge")
    run.model.inference_config.update(changed)
    genes = inference.run_inference(run, [data[:4].copy()])
    tokens, counts, aux = (
        np.concatenate(part)[: data.n_obs] for part in zip(*batches[: -(-data.n_obs // 5)], strict=True)
    )
    np.savez_compressed(
        out / f"{case}.npz", tokens=tokens.astype(np.int16), counts=counts.astype(np.float32),
        aux=aux.astype(np.int8), layer1=layers[0][:3, :40], embedding=result.obsm["embeddings"],
        genes_of=genes.uns["cge_gene_names"].astype("U"),
        genes_cell=genes.uns["cge_cell_indices"], genes_embedding=genes.uns["cge_embeddings"],
    )  # fmt: skip


def main() -> None:
    """Run the original on genes of its vocabulary, and of a species that it has not."""
    write_vocabularies()
    write_model()
    cells = ad.read_h5ad(xenium)[::420][:40].copy()
    cells.var["ensembl_id"] = [f"{gene}.{i % 3}" for i, gene in enumerate(gene_ids(cells.n_vars, start=41))]
    made = synthetic_counts(gene_ids(215), n_obs=12, seed=4, density=0.5)
    fish = synthetic_counts([*gene_ids(50, prefix="ENSDARG"), *gene_ids(5)], n_obs=8, seed=8)
    for data in (made, fish):
        data.var["ensembl_id"] = data.var_names
    keep("synthetic", made)
    keep("real", cells)
    keep("fish", fish, pretrained_embedding=str(out / OTHER))


main()
