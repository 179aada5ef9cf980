"""Originals behind `bench_networks.py` of models for cells in space: scGPT-spatial, stFormer and SToFM.

They run on a CPU as the makers of the test fixtures run them, which are imported here. scGPT-spatial and stFormer ask
for flash-attention on CUDA in half precision: the first has a variant in PyTorch of the same weights, which runs as it
is; in the second, attention within a cell becomes that of PyTorch with the same mask, in single precision (cell by cell
without padding took as long). SToFM finds neighbours and clusters with rapids on CUDA; its other branch does so with
scanpy. Its script keeps the graph of gradients; here it runs without. Leiden clusters are found on both sides; they are
the same only with the same versions of scanpy, umap-learn, igraph and scikit-learn.
"""

import importlib
import os
import pickle
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import anndata as ad
import numpy as np
import pandas as pd
import torch
from _models_originals import Original, ScGPT
from scipy import sparse


def maker(name: str, source: Path, folder: Path) -> ModuleType:
    """Import the maker of a fixture as for this original and folder; it reads its command line."""
    sys.argv = [f"make_{name}.py", str(source), "no table", str(folder)]
    return importlib.import_module(f"make_{name}")


class ScGPTSpatial(ScGPT):
    """Counts over the means of slide and gene in bins, class token."""

    options: ClassVar[Mapping[str, Any]] = {"use_MVC_impute": True, "use_moe_dec": True}

    def load(self) -> None:
        """Import the embedding task, with its processes for data."""
        self.task = maker("scgpt_spatial", self.source, self.folder).load_original()
        sparse.csr_matrix.A = property(lambda matrix: matrix.toarray())  # a name that SciPy has dropped
        means_file = self.folder / "all_dict_mean_std.csv"
        self.tables = (means_file,)
        if not means_file.exists():
            self.write()
            means = np.random.default_rng(1).lognormal(0, 0.7, len(self.genes) + 3)
            pd.DataFrame({"mean": means}).to_csv(means_file)


class StFormer(Original):
    """Log counts in soft bins, among the ligands of the niche; largest state over the genes."""

    def load(self) -> None:
        """Import the model, and run the cells of the notebooks that define something."""
        made, s = maker("stformer", self.source, self.folder), self.sizes
        made.load_original()
        made.N = 20
        self.made, self.home = made, f"{made.TOKENIZER}/"
        self.weights = self.folder / "pretraining" / "models" / "model_4.1M.ckpt"
        for folder in (made.TOKENIZER, self.weights.parent):
            folder.mkdir(parents=True, exist_ok=True)
        n_ligands = made.tables(made.TOKENIZER, self.genes, n_listed=min(1300, len(self.genes) // 4))
        if not self.weights.exists():
            sizes = {"width": s.width, "heads": s.heads, "hidden": 4 * s.width, "n_layers": s.layers}
            torch.save(made.small_model(len(self.genes), **sizes, scale=0.05), self.weights)
        from stformer.tokenizer import GeneVocab
        from tqdm import tqdm

        words = GeneVocab.from_file(made.TOKENIZER / "scfoundation_gene_vocab.json")
        words.append_token("<pad>")
        words.set_default_index(words["<pad>"])
        self.words, cpu = words, torch.device("cpu")
        scope = {"os": os, "tqdm": tqdm, "nn": torch.nn, "device": cpu, "amp": False, "vocab": words}
        scope |= {"pad_token": "<pad>"} | made.TOKENS
        where = {"tokenizer_dir": self.home}
        self.niches = made.notebook("datasets/format_sc.ipynb", "from tasks", "def ", scope=where, n_ligands=n_ligands)
        self.reader = made.notebook(
            "tasks/stFormer_cell_clustering.ipynb", "class ", "def evaluate", scope=scope, n_ligands=n_ligands
        )

    def open(self, case: str) -> ad.AnnData:
        """Return a table with the columns that the notebooks read."""
        cells = self.table(case)
        cells.var["gene_name"] = cells.var_names.to_numpy()
        cells.obs["fov"], cells.obs["cell_type"] = 0, pd.Categorical(["a"] * cells.n_obs)
        return cells

    def tokens(self, cells: ad.AnnData) -> Any:
        """Normalise, find niches and tokenise, as the notebooks do but for the file between them."""
        ready = self.niches["prepare_data"](cells, need_normalization=True)
        niches = self.made.niche_of(self.niches, ready, "radius")
        tokenizer = self.reader["Tokenizer"](self.home, niches, self.words, 103, "<pad>")
        tokenizer.tokenize_data()
        tokenizer.prepare_data()
        return tokenizer

    def embed(self, cells: ad.AnnData) -> np.ndarray:
        """Load, tokenise and embed."""
        model = torch.load(self.weights, map_location="cpu", weights_only=False)
        loader = self.tokens(cells).prepare_dataloader(self.sizes.batch)
        return self.reader["evaluate"](model, loader, "sp").numpy()


class SToFM(Original):
    """Ranks of counts over medians, then the cells of a tile among each other."""

    def load(self) -> None:
        """Import tokeniser and networks, and take the script that embeds, on the CPU."""
        made, s = maker("stofm", self.source, self.folder), self.sizes
        made.BERT |= {"hidden_size": s.width, "num_hidden_layers": s.layers, "num_attention_heads": s.heads}
        made.BERT |= {"intermediate_size": 2 * s.width, "max_position_embeddings": 2048}
        made.CONFIG |= {"embedding_dim": s.width, "ffn_embedding_dim": s.width, "num_hidden_layers": s.layers}
        made.CONFIG |= {"num_attention_heads": s.heads, "gaussian_hidden_dim": 128, "input_dim": s.width}
        words, _ = made.dictionaries(self.genes)
        tokenizer, _, se2 = made.load_original()
        made.write_weights(se2, len(words), scale=0.05, norms=1.0)
        self.mice = pickle.loads((self.folder / "mouseid2humanid.pkl").read_bytes())  # noqa: S301 - written just before
        kind = made.preprocessing(self.source / "preprocessing" / "preprocess.py")
        files = {
            "gene_median_file": tokenizer.GENE_MEDIAN_FILE,
            "token_dictionary_file": tokenizer.TOKEN_DICTIONARY_FILE,
        }
        self.tokenizer = kind({}, nproc=1, **files)
        text = (self.source / "get_embeddings.py").read_text()
        for old, new in {
            'torch.device("cuda", local_rank)': 'torch.device("cpu")', "device=local_rank": "device=-1",
            "proj_dim=256": f"proj_dim={s.width}", "torch.zeros(data_num, 256)": f"torch.zeros(data_num, {s.width})",
        }.items():  # fmt: skip
            if old not in text:
                raise SystemExit(f"get_embeddings.py without {old}")
            text = text.replace(old, new)
        self.script = compile(text, "get_embeddings.py", "exec")

    def open(self, case: str) -> Path:
        """Return what a run takes."""
        return self.folder / "tables" / f"{case}.h5ad"

    def dataset(self, path: Path) -> tuple[ad.AnnData, Any]:
        """Read, rank and cut, as the script of the original does."""
        cells = ad.read_h5ad(path)
        cells.var["ensembl_id"] = [self.mice.get(gene, gene) for gene in cells.var_names]
        cells.obs["n_counts"] = cells.X.sum(axis=1)
        cells.obs["filter_pass"] = True
        return cells, self.tokenizer.create_dataset(*self.tokenizer.tokenize_anndata(cells))

    def tokens(self, path: Path) -> Any:
        """Read, rank and cut."""
        return self.dataset(path)

    def embed(self, path: Path) -> np.ndarray:
        """Rank, write, and run the script that embeds."""
        with tempfile.TemporaryDirectory(dir=self.folder) as where, torch.no_grad():
            cells, dataset = self.dataset(path)
            dataset.save_to_disk(f"{where}/hf.dataset")
            cells.write(f"{where}/data.h5ad")
            paths = {"cell_encoder": "cell_encoder", "config": "config.json", "model": "se2transformer.pth"}
            given = [word for name, file in paths.items() for word in (f"--{name}_path", str(self.folder / file))]
            sys.argv = ["get_embeddings.py", "--data_path", where, *given]
            exec(self.script, {"__name__": "__main__"})  # noqa: S102 - the loop of the original
            return np.load(f"{where}/stofm_emb.npy")


SPATIAL = {"scgpt-spatial": ScGPTSpatial, "stformer": StFormer, "stofm": SToFM}
