"""The other originals behind `bench_networks.py`, and the loop that answers it.

Usage: python _models_originals_more.py MODEL SOURCE FOLDER SIZES, by `bench_networks.py`.
"""

import contextlib
import json
import logging
import runpy
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import torch
from _models_originals import UCE, Geneformer, Nicheformer, Original, ScGPT, randomise, shell, stub
from _models_originals_spatial import SPATIAL
from _models_originals_text import TEXT
from _models_serve import serve


class ScFoundation(Original):
    """Log counts in soft bins, one cell after the other."""

    def load(self) -> None:
        """Import the modules; the script itself is run with its two sizes changed."""
        torch.Tensor.cuda = lambda self, *_: self
        torch.nn.Module.cuda = lambda self, *_: self
        torch.cuda.manual_seed_all = lambda _seed: None
        model, s = self.source / "model", self.sizes
        sys.path.insert(0, str(model))
        import load
        from pretrainmodels import select_model

        self.module, n = load, len(self.genes)
        self.script = self.folder / "get_embedding.py"
        if self.script.exists():
            return
        index = pd.DataFrame({"gene_name": self.genes, "index": range(n)})
        index.to_csv(self.folder / "OS_scRNA_gene_index.19264.tsv", sep="\t", index=False)
        sizes = {"module_type": "transformer", "hidden_dim": s.width, "depth": s.layers, "heads": s.heads}
        sizes |= {"dim_head": s.width // s.heads}
        decoder = {"module_type": "performer", "hidden_dim": 16, "depth": 1, "heads": 2, "dim_head": 8}
        inner = {"model": "mae_autobin", "encoder": sizes, "decoder": decoder, "bin_num": 100, "bin_alpha": 1.0}
        shared = {"seq_len": n + 2, "n_class": 104, "pad_token_id": 103, "mask_token_id": 102}
        net = select_model(inner | shared)
        randomise(net, seed=1, scale=0.05)
        config = {"model": "mae_autobin", "model_config": {"mae_autobin": inner}, "dataset_config": {"rnaseq": shared}}
        held = {"config": config, "state_dict": {f"model.{k}": v for k, v in net.state_dict().items()}}
        (self.folder / "models").mkdir()
        torch.save({"cell": held}, self.folder / "models" / "models.ckpt")
        text = (model / "get_embedding.py").read_text().replace("19264.tsv", "KEEP")
        text = text.replace("19264", str(n)).replace("19266", str(n + 2)).replace("KEEP", "19264.tsv")
        self.script.write_text(text)

    def open(self, case: str) -> Any:
        """Return what a run takes."""
        return case

    def run(self, case: str) -> np.ndarray:
        """Run the script."""
        with tempfile.TemporaryDirectory() as where, contextlib.chdir(self.folder):
            table = str(self.folder / "tables" / f"{case}.h5ad")
            sys.argv = ["get_embedding.py", "--data_path", table, "--save_path", where]
            runpy.run_path(str(self.script), run_name="__main__")
            (saved,) = Path(where).glob("*.npy")
            return np.load(saved)

    def tokens(self, case: str) -> Any:
        """Run the loop of the original with a network that does nothing."""
        read = self.module.load_model_frommmf
        idle = torch.nn.Module()
        idle.token_emb = lambda x, **_more: torch.zeros(*x.shape[:2], 1)
        idle.pos_emb = lambda ids: torch.zeros(*ids.shape, 1)
        idle.encoder = lambda x, _padding: x
        self.module.load_model_frommmf = lambda *_: (idle, {"pad_token_id": 103})
        try:
            return self.run(case)
        finally:
            self.module.load_model_frommmf = read

    def embed(self, case: str) -> np.ndarray:
        """Read, load and embed."""
        return self.run(case)


class TranscriptFormer(Original):
    """Genes and counts after a token of the assay, always the whole length."""

    def load(self) -> None:
        """Import inference; files and weights are those of the publication's layout."""
        sys.path.insert(0, str(self.source))
        logging.disable(logging.CRITICAL)
        import h5py
        from omegaconf import OmegaConf
        from transcriptformer.data.dataloader import AnnDataset
        from transcriptformer.model import inference
        from transcriptformer.model.model import Transcriptformer
        from transcriptformer.tokenizer.vocab import SPECIAL_TOKENS, load_vocabs_and_embeddings

        self.dataset, self.inference, self.vocabularies, s = (
            AnnDataset,
            inference,
            load_vocabs_and_embeddings,
            self.sizes,
        )
        vocabs = self.folder / "vocabs"
        new = not vocabs.exists()
        if new:
            vocabs.mkdir()
            (vocabs / "assay_vocab.json").write_text(json.dumps({"unknown": 0, "Visium": 1}))
            with h5py.File(vocabs / "homo_sapiens_gene.h5", "w", libver="latest") as file:
                file.create_dataset("keys", data=np.array(self.genes, dtype="S"))
                rows = np.random.default_rng(1).normal(size=(len(self.genes), 64)).astype(np.float32)
                for gene, row in zip(self.genes, rows, strict=True):
                    file.create_dataset(f"arrays/{gene}", data=row)
            model = {
                "log_counts_eps": 1e-6, "num_heads": s.heads, "num_layers": s.layers, "model_dim": s.width,
                "embed_dim": s.width, "dropout": 0.1, "activation": "gelu", "attn_bias": False, "fw_bias": False,
                "mu_link_fn": "softmax", "softcap": 10, "seq_len": 2047, "aux_len": 1, "block_len": 128,
                "gene_head_hidden_dim": 16, "use_aux": True, "compile_block_mask": True,
            }  # fmt: skip
            data = {
                "aux_vocab_path": str(vocabs), "pin_memory": True, "aux_cols": "assay", "gene_col_name": "ensembl_id",
                "clip_counts": 30, "filter_to_vocabs": True, "filter_outliers": 0.0, "pad_zeros": True,
                "normalize_to_scale": 0, "n_data_workers": 0, "sort_genes": False, "randomize_genes": False,
                "min_expressed_genes": 0, "gene_pad_token": "[PAD]", "aux_pad_token": "unknown",
                "esm2_mappings_path": str(vocabs), "esm2_mappings": ["homo_sapiens_gene.h5"],
                "special_tokens": SPECIAL_TOKENS,
            }  # fmt: skip
            loss = {"gene_id_loss_weight": 1.0, "softplus_approx": True}
            held = {"model_config": model, "data_config": data, "loss_config": loss, "inference_config": {}}
            (self.folder / "config.json").write_text(json.dumps({"model": held}))
        given = OmegaConf.load(self.source / "transcriptformer/cli/conf/inference_config.yaml")
        del given["defaults"]
        self.cfg = OmegaConf.merge(json.loads((self.folder / "config.json").read_text()), given)
        found = self.cfg.model
        found.data_config.update({"aux_vocab_path": str(vocabs), "esm2_mappings_path": str(vocabs), "use_raw": False})
        found.inference_config.update(
            {"load_checkpoint": str(self.folder / "model_weights.pt"), "precision": "32", "device": "cpu"}
        )
        if new:
            (genes, aux), matrix = load_vocabs_and_embeddings(self.cfg)
            net = Transcriptformer(
                found.data_config, found.model_config, found.loss_config, found.inference_config,
                gene_vocab_dict=genes, aux_vocab_dict=aux, emb_matrix=matrix,
            )  # fmt: skip
            table = net.gene_embeddings.embedding.weight.clone()
            randomise(net, seed=1, scale=0.05)
            net.gene_embeddings.embedding.weight.data.copy_(table)
            torch.save(net.state_dict(), self.folder / "model_weights.pt")

    def open(self, case: str) -> Any:
        """Return what a run takes."""
        cells = self.table(case)
        cells.var["ensembl_id"], cells.obs["assay"] = cells.var_names, "unknown"
        return cells

    def tokens(self, cells: ad.AnnData) -> Any:
        """Make the data set of the original and its batches."""
        (genes, aux), _ = self.vocabularies(self.cfg)
        held = self.dataset(
            [cells.copy()], genes, aux_vocab=aux, max_len=2047, clip_counts=30, obs_keys=["assay"], pad_zeros=True,
            use_raw=False,
        )  # fmt: skip
        loader = torch.utils.data.DataLoader(held, batch_size=8, collate_fn=held.collate_fn)
        return sum(1 for _ in loader)

    def embed(self, cells: ad.AnnData) -> np.ndarray:
        """Load and embed."""
        with contextlib.chdir(self.folder):
            return np.asarray(self.inference.run_inference(self.cfg, [cells.copy()]).obsm["embeddings"])


class SCimilarity(Original):
    """Log-normalised counts through dense layers."""

    def load(self) -> None:
        """Import the encoder without its search."""
        stub("zarr")
        shell("scimilarity", self.source / "src" / "scimilarity")
        from scimilarity import cell_embedding, nn_models, utils

        sys.modules["zarr"].Array = type("Array", (), {})
        self.kind, self.utils = cell_embedding.CellEmbedding, utils
        if (self.folder / "encoder.ckpt").exists():
            return
        (self.folder / "gene_order.tsv").write_text("\n".join(self.genes) + "\n")
        net = nn_models.Encoder(n_genes=len(self.genes), latent_dim=128, hidden_dim=[1024, 1024])
        randomise(net, seed=1, scale=0.05)
        net.save_state(str(self.folder / "encoder.ckpt"))
        sizes = {name: list(value.shape) for name, value in net.state_dict().items()}
        (self.folder / "layer_sizes.json").write_text(json.dumps(sizes))
        pd.Series(["a", "b"], name="0").to_csv(self.folder / "label_ints.csv")

    def open(self, case: str) -> Any:
        """Return what a run takes."""
        cells = self.table(case)
        cells.layers["counts"] = cells.X
        return cells

    def tokens(self, cells: ad.AnnData) -> Any:
        """Align and normalise."""
        aligned = self.utils.align_dataset(cells.copy(), self.genes, gene_overlap_threshold=10)
        return self.utils.lognorm_counts(aligned)

    def embed(self, cells: ad.AnnData) -> np.ndarray:
        """Load, align and embed."""
        net = self.kind(str(self.folder))
        return net.get_embeddings(self.tokens(cells).X.tocsr())


class CellPLM(Original):
    """Cells that attend to each other."""

    def load(self) -> None:
        """Import the pipeline."""
        stub("mygene", "hdf5plugin")
        shell("CellPLM", self.source / "CellPLM")
        from CellPLM.model import OmicsFormer
        from CellPLM.pipeline.cell_embedding import CellEmbeddingPipeline

        self.kind, s = CellEmbeddingPipeline, self.sizes
        if (self.folder / "20231027_85M.config.json").exists():
            return
        config = {
            "name": "made_up", "enc_mod": "flowformer", "enc_hid": s.width, "enc_layers": s.layers, "lamda": 5.0,
            "post_latent_dim": s.width // 2, "dec_mod": "nbmlp", "dec_hid": 8, "dec_layers": 2, "model_dropout": 0.2,
            "mask_node_rate": 0.75, "mask_feature_rate": 0.25, "drop_node_rate": 0.3, "norm": "groupnorm",
            "architecture": "OmicsFormer", "w_li": 5.0, "w_en": 5.0, "num_clusters": 4, "cat_pe": False,
            "max_batch_size": 4000, "dar": False, "input_covariate": False, "ecs": False, "dsbn": False, "dae": True,
            "mask_beta": True, "batch_num": 3, "dataset_num": 2, "epochs": 200, "lr": 0.0002, "latent_mod": "vae",
            "out_dim": len(self.genes), "gene_list": self.genes,
        }  # fmt: skip
        net = OmicsFormer(**config)
        randomise(net, seed=1, scale=0.05)
        (self.folder / "20231027_85M.config.json").write_text(json.dumps(config))
        held = {"model_state_dict": net.state_dict(), "epoch": 199}
        torch.save(held, self.folder / "20231027_85M.best.ckpt")

    def pipeline(self) -> Any:
        """Return the pipeline of the original, loaded."""
        return self.kind("20231027_85M", pretrain_directory=str(self.folder))

    def open(self, case: str) -> Any:
        """Return what a run takes."""
        cells = self.table(case)
        cells.obs["batch"] = "one"
        return cells, self.pipeline()

    def tokens(self, held: Any) -> Any:
        """Bring the genes into the order of the model and make the data set."""
        from CellPLM.utils.data import TranscriptomicDataset

        cells, pipeline = held
        pipeline.fitted = False
        ready = pipeline.common_preprocess(cells.copy(), 0, None, ensembl_auto_conversion=False)
        return TranscriptomicDataset(ready, order_required=True)

    def embed(self, held: Any) -> np.ndarray:
        """Load and embed."""
        return self.pipeline().predict(held[0].copy(), {"batch_size": 0}, ensembl_auto_conversion=False).numpy()


ORIGINALS = {
    "geneformer": Geneformer, "scgpt": ScGPT, "nicheformer": Nicheformer, "uce": UCE, "scfoundation": ScFoundation,
    "transcriptformer": TranscriptFormer, "scimilarity": SCimilarity, "cellplm": CellPLM,
} | SPATIAL | TEXT  # fmt: skip

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    name, source, folder, stated = sys.argv[1:]
    sizes = json.loads(stated)
    torch.manual_seed(0)
    held = ORIGINALS[name](Path(source).resolve(), Path(folder).resolve(), sizes)
    torch.set_num_threads(sizes["threads"])
    serve(held, Path(folder))
