"""Originals behind `bench_networks.py` that rank, bin or sample genes; the others are in `_models_originals_more.py`.

Each writes random weights in the published layout, then runs its own loop. They run under the Python that
``bench_networks.py --python`` names, which needs what the original needs, and not stfmkit.
"""

import argparse
import contextlib
import json
import logging
import pickle
import shutil
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import torch

sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / "models" / "zoo" / "makers")]
from _original import randomise, shell, stub  # noqa: E402 - the folder of the makers comes first on the path


class Original:
    """One model. `tokens` goes from the table to what the network takes, `embed` from table and folder to vectors."""

    def __init__(self, source: Path, folder: Path, sizes: dict[str, int]) -> None:
        self.source, self.folder, self.sizes = source, folder, types.SimpleNamespace(**sizes)
        self.genes = (folder / "genes.txt").read_text().split()
        self.load()

    def table(self, case: str) -> ad.AnnData:
        """Return a table."""
        return ad.read_h5ad(self.folder / "tables" / f"{case}.h5ad")


class Geneformer(Original):
    """V1: ranks of counts over medians, mean of the layer before the last."""

    def load(self) -> None:
        """Import tokeniser and extractor, on the CPU."""
        stub("peft", "bitsandbytes", "loompy", "seaborn", "ray", "optuna")
        held = self.folder / "geneformer" / "gene_dictionaries_30m"
        self.home, names = self.folder / "Geneformer-V1-10M", {}
        for name, kind in {
            "TOKEN_DICTIONARY_FILE": "token_dictionary", "GENE_MEDIAN_FILE": "gene_median_dictionary",
            "ENSEMBL_MAPPING_FILE": "ensembl_mapping_dict", "ENSEMBL_DICTIONARY_FILE": "gene_name_id_dict",
        }.items():  # fmt: skip
            names |= dict.fromkeys((name, f"{name}_30M"), held / f"{kind}_gc30M.pkl")
        self.dictionaries = names
        if not held.exists():
            self.write(names)
        shell("geneformer", self.source / "geneformer", **names)
        tensor, move = torch.tensor, torch.Tensor.to
        torch.tensor = lambda data, device=None, **kw: tensor(data, **kw)  # noqa: ARG005
        torch.Tensor.to = lambda x, *args, **kw: move(x, *["cpu" if a == "cuda" else a for a in args], **kw)
        from geneformer import emb_extractor, tokenizer

        self.extractor, self.tokenizer = emb_extractor, tokenizer

    def write(self, names: dict[str, Path]) -> None:
        """Write dictionaries and weights."""
        from transformers import BertConfig, BertForMaskedLM

        draw = np.random.default_rng(1)
        tokens = {"<pad>": 0, "<mask>": 1} | {name: i for i, name in enumerate(self.genes, start=2)}
        held = {
            "TOKEN_DICTIONARY_FILE": tokens,
            "GENE_MEDIAN_FILE": {name: float(draw.lognormal(0.5, 0.6)) for name in self.genes},
            "ENSEMBL_MAPPING_FILE": {name: name for name in self.genes},
            "ENSEMBL_DICTIONARY_FILE": {f"GENE{i}": name for i, name in enumerate(self.genes)},
        }
        names["TOKEN_DICTIONARY_FILE"].parent.mkdir(parents=True)
        for name, content in held.items():
            names[name].write_bytes(pickle.dumps(content))
        s = self.sizes
        config = BertConfig(
            vocab_size=len(tokens), hidden_size=s.width, num_hidden_layers=s.layers, num_attention_heads=s.heads,
            intermediate_size=2 * s.width, hidden_act="relu", max_position_embeddings=2048, layer_norm_eps=1e-12,
        )  # fmt: skip
        model = BertForMaskedLM(config)
        randomise(model, seed=1, scale=0.05)
        model.save_pretrained(self.home)

    def directory(self, case: str) -> str:
        """Return a folder with the table as the original wants it, written before anything is timed."""
        place = self.folder / "input" / case
        if not place.exists():
            place.mkdir(parents=True)
            cells = self.table(case)
            cells.var["ensembl_id"] = cells.var_names
            cells.obs["n_counts"] = np.asarray(cells.X.sum(axis=1), dtype=np.float64).ravel()
            cells.obs["name"] = cells.obs_names.astype(str)
            cells.write_h5ad(place / "cells.h5ad")
        return str(place)

    def open(self, case: str) -> Any:
        """Return what a run takes."""
        return self.directory(case)

    def tokens(self, place: str) -> Any:
        """Read, rank and cut."""
        tokeniser = self.tokenizer.TranscriptomeTokenizer({"name": "name"}, nproc=1, model_version="V1")
        return tokeniser.create_dataset(*tokeniser.tokenize_files(Path(place), "h5ad"))

    def embed(self, place: str) -> np.ndarray:
        """Tokenise into a dataset, and extract."""
        out = self.folder / "output"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        tokeniser = self.tokenizer.TranscriptomeTokenizer({"name": "name"}, nproc=1, model_version="V1")
        tokeniser.tokenize_data(place, str(out), "tokens", file_format="h5ad")
        extractor = self.extractor.EmbExtractor(
            model_type="Pretrained", num_classes=0, emb_mode="cell", max_ncells=None, emb_layer=-1, emb_label=["name"],
            forward_batch_size=self.sizes.batch, nproc=1, model_version="V1",
            token_dictionary_file=str(self.dictionaries["TOKEN_DICTIONARY_FILE_30M"]),
        )  # fmt: skip
        frame = extractor.extract_embs(str(self.home), str(out / "tokens.dataset"), str(out), "embedding")
        names = ad.read_h5ad(Path(place) / "cells.h5ad", backed="r").obs["name"]
        return frame.set_index("name").loc[list(names)].to_numpy(dtype=np.float32)


class ScGPT(Original):
    """Values in bins, class token."""

    options: Mapping[str, Any] = {"use_fast_transformer": False}
    tables: tuple[Path, ...] = ()

    def load(self) -> None:
        """Import the embedding task without flash-attn, as on a CPU, and its processes for data."""
        stub("scib", "IPython", "flash_attn", "datasets", "orbax", "gseapy", "networkx")
        root = self.source / "scgpt"
        shell("scgpt", root, logger=logging.getLogger("scGPT"))
        shell("scgpt.tasks", root / "tasks")
        from scgpt.model import flash_attn_compat

        flash_attn_compat.flash_attn_available = False
        from scgpt.tasks import cell_emb

        self.task = cell_emb
        if not (self.folder / "args.json").exists():
            self.write()

    def write(self) -> None:
        """Write settings, vocabulary and weights."""
        s = self.sizes
        args = {"embsize": s.width, "nheads": s.heads, "d_hid": s.width, "nlayers": s.layers, "n_layers_cls": 3}
        args |= {"dropout": 0.2, "pad_token": "<pad>", "pad_value": -2, "n_bins": 51, "input_style": "binned"}
        (self.folder / "args.json").write_text(json.dumps(args))
        vocabulary = {name: i for i, name in enumerate([*self.genes, "<pad>", "<cls>", "<eoc>"])}
        (self.folder / "vocab.json").write_text(json.dumps(vocabulary))
        model = self.model(self.task.GeneVocab.from_file(self.folder / "vocab.json"))
        randomise(model, seed=1, scale=0.1)
        state = {k.replace("in_proj_", "Wqkv."): v for k, v in model.state_dict().items()}
        torch.save(state, self.folder / "best_model.pt")

    def model(self, vocabulary: Any) -> torch.nn.Module:
        """Return the network."""
        s = self.sizes
        return self.task.TransformerModel(
            ntoken=len(vocabulary), d_model=s.width, nhead=s.heads, d_hid=s.width, nlayers=s.layers, nlayers_cls=3,
            n_cls=1, vocab=vocabulary, dropout=0.2, pad_token="<pad>", pad_value=-2, do_mvc=True,  # noqa: S106
            **self.options,
        )  # fmt: skip

    def open(self, case: str) -> Any:
        """Return what a run takes."""
        return self.table(case)

    def tokens(self, cells: ad.AnnData) -> Any:
        """Run the loop of the original with a network that does nothing."""
        vocabulary = self.task.GeneVocab.from_file(self.folder / "vocab.json")
        ids = np.array(vocabulary(cells.var_names.tolist()), dtype=int)
        idle = torch.nn.Linear(1, 1)
        idle._encode = lambda ids, *_args, **_more: torch.ones(len(ids), 1, 1)
        settings = {"pad_token": "<pad>", "pad_value": -2, "embsize": 1}
        return self.task.get_batch_cell_embeddings(
            cells, *self.tables, model=idle, vocab=vocabulary, model_configs=settings, gene_ids=ids,
            batch_size=self.sizes.batch,
        )  # fmt: skip

    def embed(self, cells: ad.AnnData) -> np.ndarray:
        """Load and embed."""
        done = self.task.embed_data(
            cells.copy(), self.folder, gene_col="index", device="cpu", use_fast_transformer=False,
            batch_size=self.sizes.batch,
        )  # fmt: skip
        return done.obsm["X_scGPT"]


class Nicheformer(Original):
    """Ranks of counts over means, three tokens of context, always the whole context."""

    def load(self) -> None:
        """Import model and tokeniser."""
        root = self.source / "src" / "nicheformer"
        for name in ("", ".models", ".data"):
            shell(f"nicheformer{name}", root / name.strip("."))
        from nicheformer.data import dataset
        from nicheformer.models import _nicheformer

        self.kind, self.dataset, s = _nicheformer.Nicheformer, dataset, self.sizes
        self.means = self.folder / "model_means"
        if self.means.exists():
            return
        self.means.mkdir()
        frame = pd.DataFrame(index=self.genes)
        order = ad.AnnData(np.zeros((1, len(frame)), np.float32), obs=pd.DataFrame(index=["1_organism0"]), var=frame)
        order.write_h5ad(self.means / "model.h5ad")
        np.save(self.means / "xenium_mean_script.npy", np.full(len(frame), 7.0))
        import pytorch_lightning as pl

        net = self.kind(
            dim_model=s.width, nheads=s.heads, dim_feedforward=2 * s.width, nlayers=s.layers, dropout=0.0,
            batch_first=True, masking_p=0.15, n_tokens=len(frame) + 30, context_length=1500, lr=1e-4, warmup=10,
            batch_size=4, max_epochs=1, specie=True, assay=True, modality=True,
        )  # fmt: skip
        randomise(net, seed=1, scale=0.1)
        trainer = pl.Trainer(accelerator="cpu", max_steps=0, logger=False, enable_checkpointing=False)
        trainer.strategy.connect(net)
        trainer.save_checkpoint(self.folder / "nicheformer.ckpt", weights_only=True)

    def open(self, case: str) -> Any:
        """Return what a run takes."""
        return self.table(case)

    def tokens(self, cells: ad.AnnData) -> np.ndarray:
        """Bring the genes into the order of the model and rank, as the notebooks do."""
        both = ad.concat([ad.read_h5ad(self.means / "model.h5ad"), cells], join="outer", axis=0)
        both = both[1:][:, self.genes].copy()
        matrix = both.X if isinstance(both.X, np.ndarray) else both.X.toarray()
        return self.dataset.tokenize_data(matrix, np.load(self.means / "xenium_mean_script.npy"), 1500)

    def embed(self, cells: ad.AnnData) -> np.ndarray:
        """Load, tokenise and embed batch by batch."""
        net = self.kind.load_from_checkpoint(self.folder / "nicheformer.ckpt", strict=True).eval()
        tokens, found = self.tokens(cells), []
        for start in range(0, len(tokens), self.sizes.batch):
            rows = torch.tensor(tokens[start : start + self.sizes.batch])
            codes = zip(("modality", "specie", "assay"), (4, 5, 9), strict=True)
            batch = {"X": rows} | {name: torch.full((len(rows),), code) for name, code in codes}
            with torch.no_grad():
                found.append(net.get_embeddings(batch=batch, layer=-1, with_context=False).numpy())
        return np.concatenate(found)


class UCE(Original):
    """Sentences of sampled genes by chromosome, class token, always the longest length of the batch."""

    def load(self) -> None:
        """Copy the source with its fixed sizes replaced, and import it."""
        s, n = self.sizes, len(self.genes)
        self.offset, home = 4 + 2 * n, self.folder / "source"
        replaced = {"143574": self.offset, "145469": self.offset + 25, "1895": 25, "5120": 128, "1280": s.wide}
        if not home.exists():
            for name in (
                "model",
                "eval_data",
                "evaluate",
                "utils",
                "data_proc/data_utils",
                "data_proc/gene_embeddings",
            ):
                text = (self.source / f"{name}.py").read_text()
                for large, small in replaced.items():
                    text = text.replace(large, str(small))
                target = home / f"{name}.py"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text)
        sys.path.insert(0, str(home))
        with contextlib.chdir(home):
            self.write(home)
            import evaluate
        self.evaluate, self.home = evaluate, home

    def write(self, home: Path) -> None:
        """Write the tables of the publication, and weights."""
        if (self.folder / "4layer_model.torch").exists():
            return
        files = home / "model_files"
        files.mkdir()
        (files / "new_species_protein_embeddings.csv").write_text("species,path\n")
        from model import TransformerModel

        n, s, draw = len(self.genes), self.sizes, np.random.default_rng(1)
        mice, names = [f"Mouse{i}" for i in range(n)], self.genes
        (self.folder / "species_offsets.pkl").write_bytes(pickle.dumps({"mouse": 4, "human": 4 + n}))
        places = {
            "chromosome": draw.choice([*map(str, range(1, 23)), "X"], 2 * n),
            "start": draw.permutation(100 * n)[: 2 * n],
        }
        table = pd.DataFrame({"species": ["mouse"] * n + ["human"] * n, "gene_symbol": [*mice, *names]} | places)
        table["gene_symbol"] = table["gene_symbol"].str.upper()
        table["end"] = table["start"] + 10
        table.to_csv(self.folder / "species_chrom.csv")
        proteins = self.folder / "protein_embeddings"
        proteins.mkdir()
        for file in (
            "Homo_sapiens.GRCh38", "Mus_musculus.GRCm39", "Xenopus_tropicalis.Xenopus_tropicalis_v9.1",
            "Danio_rerio.GRCz11", "Microcebus_murinus.Mmur_3.0", "Sus_scrofa.Sscrofa11.1",
            "Macaca_fascicularis.Macaca_fascicularis_6.0", "Macaca_mulatta.Mmul_10",
        ):  # fmt: skip
            held = {gene: torch.zeros(1) for gene in (names if file.startswith("Homo") else mice)}
            torch.save(held, proteins / f"{file}.gene_symbol_to_embedding_ESM2.pt")
        (files / "protein_embeddings").symlink_to(proteins)
        net = TransformerModel(
            token_dim=128, d_model=s.wide, nhead=20, d_hid=4 * s.wide, nlayers=s.layers, dropout=0.05,
            output_dim=s.wide,
        )  # fmt: skip
        randomise(net, seed=1, scale=0.05)
        rows = torch.randn(self.offset + 25, 128, generator=torch.Generator().manual_seed(2))
        net.pe_embedding = torch.nn.Embedding.from_pretrained(rows)
        torch.save(net.state_dict(), self.folder / "4layer_model.torch")
        torch.save(rows[: self.offset].clone(), home / "all_tokens.torch")

    def open(self, case: str) -> Any:
        """Return what a run takes."""
        return case

    def processor(self, case: str) -> Any:
        """Return the original's processor of a table, its files made."""
        place, s = self.folder / "output" / case, self.sizes
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        shutil.copy(self.folder / "tables" / f"{case}.h5ad", place)
        args = argparse.Namespace(
            adata_path=f"{place}/{case}.h5ad", dir=f"{place}/", species="human", filter=False, skip=False,
            model_loc=str(self.folder / "4layer_model.torch"), batch_size=25, pad_length=1536, pad_token_idx=0,
            chrom_token_left_idx=1, chrom_token_right_idx=2, cls_token_idx=3, CHROM_TOKEN_OFFSET=self.offset,
            sample_size=1024, CXG=True, nlayers=s.layers, output_dim=s.wide, d_hid=4 * s.wide, token_dim=128,
            multi_gpu=False, spec_chrom_csv_path=str(self.folder / "species_chrom.csv"),
            token_file=str(self.home / "all_tokens.torch"),
            protein_embeddings_dir=f"{self.folder}/protein_embeddings/",
            offset_pkl_path=str(self.folder / "species_offsets.pkl"),
        )  # fmt: skip
        alone = types.SimpleNamespace(
            is_main_process=True, is_local_main_process=False, prepare=lambda x: x,
            wait_for_everyone=lambda: None, gather_for_metrics=lambda x: x,
        )  # fmt: skip
        processor = self.evaluate.AnndataProcessor(args, alone)
        processor.preprocess_anndata()
        processor.generate_idxs()
        return processor

    def tokens(self, case: str) -> Any:
        """Read, and make every sentence and batch."""
        with contextlib.chdir(self.home):
            held = self.processor(case)
            shapes = pickle.loads(Path(held.shapes_dict_path).read_bytes())  # noqa: S301 - written just before
            sentences = self.evaluate.MultiDatasetSentences(
                sorted_dataset_names=[held.name], shapes_dict=shapes, args=held.args, npzs_dir=held.args.dir,
                dataset_to_protein_embeddings_path=held.pe_idx_path, datasets_to_chroms_path=held.chroms_path,
                datasets_to_starts_path=held.starts_path,
            )  # fmt: skip
            collate = self.evaluate.MultiDatasetSentenceCollator(held.args)
            return sum(1 for _ in self.evaluate.DataLoader(sentences, batch_size=25, collate_fn=collate))

    def embed(self, case: str) -> np.ndarray:
        """Read, tokenise and embed."""
        with contextlib.chdir(self.home):
            held = self.processor(case)
            np.random.seed(0)  # noqa: NPY002, TID251 - the original draws from the global stream
            held.run_evaluation()
        return ad.read_h5ad(self.folder / "output" / case / f"{case}_uce_adata.h5ad").obsm["X_uce"]
