"""Originals behind `bench_networks.py` that run on a BERT of Hugging Face beside Geneformer: scCello and CELLama."""

import pickle
import sys
from typing import Any

import anndata as ad
import numpy as np
import torch
from _models_originals import Original, randomise, shell, stub


class ScCello(Original):
    """Ranks of counts over medians, class token; batches of the trainer of Hugging Face in the process itself."""

    def load(self) -> None:
        """Import model, preparation and collator, without ontology, logging and the loading of tables."""
        from transformers import Trainer, TrainingArguments

        self.trainer, self.arguments = Trainer, TrainingArguments
        stub("wandb", "ipdb", "rdflib", "hickle", "torchmetrics", "logging_util", "cupy", "rapids_singlecell")
        draw, root = np.random.default_rng(1), self.source / "sccello"
        tokens = {"<pad>": 0, "<mask>": 1} | {name: i for i, name in enumerate(self.genes, start=2)}
        medians = {name: float(draw.lognormal(0.5, 0.6)) for name in self.genes}
        held = {"token_dictionary_pkl": tokens | {"<cls>": len(tokens)}, "gene_median_dictionary_pkl": medians}
        shell("sccello", root)
        source = shell("sccello.src", root / "src")
        source.utils = shell("sccello.src.utils", root / "src" / "utils")
        source.utils.data_loading = shell("sccello.src.utils.data_loading", root, get_prestored_data=held.__getitem__)
        source.cell_ontology = shell(
            "sccello.src.cell_ontology", root, get_forbidden_cell_type_contrast=lambda _branch: np.zeros((3, 3)),
            get_hierarchy_cell_type_contrast=lambda _branch: [np.zeros((3, 3))],
        )  # fmt: skip
        for name in ("data", "collator"):
            shell(f"sccello.src.{name}", root / "src" / name)
        from sccello.src.collator.collator_for_classification import DataCollatorForCellClassification
        from sccello.src.data import data_proc, tokenizer
        from sccello.src.model_prototype_contrastive import PrototypeContrastiveForMaskedLM
        from sccello.src.utils import helpers

        self.kind, self.collator = PrototypeContrastiveForMaskedLM, DataCollatorForCellClassification
        self.kind.get_output_embeddings = lambda _self: None  # it names a layer that the model lacks
        self.preparation, self.tokenizer, self.helpers = data_proc.ProcessSingleCellData, tokenizer, helpers
        if not (self.folder / "config.json").exists():
            self.write(tokens, medians)

    def write(self, tokens: dict[str, int], medians: dict[str, float]) -> None:
        """Write dictionaries and weights."""
        from transformers import BertConfig

        place, s = self.folder / "data" / "token_vocabulary", self.sizes
        place.mkdir(parents=True)
        (place / "token_dictionary.pkl").write_bytes(pickle.dumps(tokens))
        (place / "gene_median_dictionary.pkl").write_bytes(pickle.dumps(medians))
        config = BertConfig(
            vocab_size=len(tokens) + 1, hidden_size=s.width, num_hidden_layers=s.layers, num_attention_heads=s.heads,
            intermediate_size=2 * s.width, hidden_act="relu", max_position_embeddings=2048, layer_norm_eps=1e-12,
            tau=0.05, data_branch="frac100", total_logging_steps=10,
        )  # fmt: skip
        model = self.kind(config)
        randomise(model, seed=1, scale=0.05)
        model.save_pretrained(self.folder, safe_serialization=False)

    def open(self, case: str) -> ad.AnnData:
        """Return what a run takes: a table with the columns of CELLxGENE."""
        cells = self.table(case)
        cells.var["ensembl_ids"] = cells.var_names.astype(str)
        names = ("disease", "donor_id", "cell_type", "tissue", "development_stage")
        for name in (*names, "cell_type_ontology_term_id", "tissue_ontology_term_id"):
            cells.obs[name] = ""
        cells.obs["organism"], cells.obs["assay"], cells.obs["is_primary_data"] = "Homo sapiens", "10x 3' v3", True
        return cells

    def tokens(self, cells: ad.AnnData) -> Any:
        """Normalise, rank and cut."""
        data = self.preparation.from_h5ad_adata(cells, "cells", is_cellxgene=True)
        return self.tokenizer.TranscriptomeTokenizer(num_proc=1).tokenize(data)

    def embed(self, cells: ad.AnnData) -> np.ndarray:
        """Load, tokenise and predict, as the script for clusters does."""
        data = self.tokens(cells)
        model = self.kind.from_pretrained(self.folder, output_hidden_states=True)
        given = self.arguments(
            output_dir=str(self.folder / "output"), per_device_eval_batch_size=self.sizes.batch, use_cpu=True,
            label_names=["labels"], report_to="none",
        )  # fmt: skip
        collate = self.collator(model_input_name=["input_ids"], pad_to_multiple_of=None)
        states = self.trainer(model=model, args=given, data_collator=collate).predict(data).predictions[1][:, -1, :]
        return self.helpers.cellrepr_post_process(model, states)[0]


class CELLama(Original):
    """A sentence of the highest genes through a sentence transformer."""

    def load(self) -> None:
        """Import the writing of sentences, without search and classifiers."""
        stub("langchain", "faiss", "xgboost", "_nn_model", "squidpy")
        sys.path.insert(0, str(self.source))
        import cellama
        from sentence_transformers import SentenceTransformer

        self.cellama, self.kind = cellama, SentenceTransformer
        if not (self.folder / "modules.json").exists():
            self.write()

    def write(self) -> None:
        """Write a folder of sentence-transformers with as many word pieces as MiniLM has, three or four of a gene."""
        from sentence_transformers import models
        from transformers import BertConfig, BertModel, BertTokenizerFast

        base, s = self.folder / "base", self.sizes
        base.mkdir()
        characters = "abcdefghijklmnopqrstuvwxyz0123456789"
        pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "top", "genes", "gene", "are", "is", "and", ",", "."]
        pieces += [*characters, *(f"##{one}" for one in characters), *(f"##{number:02d}" for number in range(100))]
        pieces += [f"##{number:03d}" for number in range(0, 1000, 2)]
        pieces += [f"[unused{number}]" for number in range(30_522 - len(pieces))]
        (base / "vocab.txt").write_text("\n".join(pieces) + "\n")
        BertTokenizerFast(str(base / "vocab.txt"), do_lower_case=True).save_pretrained(base)
        config = BertConfig(
            vocab_size=len(pieces), hidden_size=s.width, num_hidden_layers=s.layers, num_attention_heads=s.heads,
            intermediate_size=4 * s.width, hidden_act="gelu", max_position_embeddings=512, layer_norm_eps=1e-12,
        )  # fmt: skip
        model = BertModel(config)
        randomise(model, seed=1, scale=0.05)
        model.save_pretrained(base)
        steps = [models.Transformer(str(base), max_seq_length=256), models.Pooling(s.width), models.Normalize()]
        self.kind(modules=steps, device="cpu").save(str(self.folder), create_model_card=False)

    def open(self, case: str) -> Any:
        """Return what a run takes: the table, and a model whose network does nothing."""
        idle = self.kind(str(self.folder), device="cpu")
        idle[0].auto_model = torch.nn.Identity()
        idle[0].auto_model.device = torch.device("cpu")
        idle.forward = lambda batch, **_more: {"sentence_embedding": torch.zeros(len(batch["input_ids"]), 1)}
        return self.table(case), idle

    def tokens(self, held: Any) -> Any:
        """Run the loop of the original with a network that does nothing."""
        cells, idle = held
        return idle.encode([*self.cellama.cell_to_sentence(cells, 30).values()], batch_size=self.sizes.batch)

    def embed(self, held: Any) -> np.ndarray:
        """Write sentences, load and encode."""
        sentences = [*self.cellama.cell_to_sentence(held[0], 30).values()]
        found = self.kind(str(self.folder), device="cpu").encode(sentences, batch_size=self.sizes.batch)
        return np.asarray(found.tolist(), dtype=np.float32)  # the wrapper of the original returns lists


TEXT = {"sccello": ScCello, "cellama": CELLama}
