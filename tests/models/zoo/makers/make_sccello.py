"""Make the fixtures of scCello: ``python make_sccello.py ORIGINAL DLPFC OUT``.

ORIGINAL is a checkout of DeepGraphLearning/scCello, DLPFC the table of the dorsolateral prefrontal cortex of the real
data sets, OUT the folder to write.
"""

import pickle
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import torch
from scipy import sparse
from transformers import BertConfig

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from _cases import gene_ids, synthetic_counts
from _original import randomise, shell, stub

original, dlpfc, out = map(Path, sys.argv[1:4])
MADE_UP = gene_ids(120)
LENGTH = 72


def dictionaries(names: list[str]) -> tuple[dict, dict]:
    """Return tokens and medians, and write them in the published format, with the table of names."""
    draw = np.random.default_rng(41)
    known = [*MADE_UP[:105], *names[::2]]
    genes = [known[i] for i in draw.permutation(len(known))]
    tokens = {name: np.int16(i) for i, name in enumerate(["<pad>", "<mask>", *genes])}
    medians = {name: float(draw.lognormal(0.5, 0.6)) for name in genes}
    folder = out / "data" / "token_vocabulary"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "token_dictionary.pkl").write_bytes(pickle.dumps(tokens))
    (folder / "gene_median_dictionary.pkl").write_bytes(pickle.dumps(medians))
    symbols = pd.DataFrame({"id": MADE_UP, "name": [f"GENE{i}" for i in range(1, 121)]})
    symbols.to_csv(folder / "vocab_id2name.csv", index=False)
    return tokens | {"<cls>": len(tokens)}, medians  # as the loader of the original adds it


def load_original(prestored: dict):
    """Import the model, the preparation and the collator, without ontology, logging and the loading of tables."""
    stub("wandb", "ipdb", "rdflib", "hickle", "torchmetrics", "logging_util", "cupy", "rapids_singlecell")
    root = original / "sccello"
    shell("sccello", root)
    shell("sccello.src", root / "src")
    utils = shell("sccello.src.utils", root / "src" / "utils")
    loading = shell("sccello.src.utils.data_loading", root, get_prestored_data=prestored.__getitem__)
    utils.data_loading = loading
    ontology = shell(
        "sccello.src.cell_ontology", root, get_forbidden_cell_type_contrast=lambda branch: np.zeros((3, 3)),
        get_hierarchy_cell_type_contrast=lambda branch: [np.zeros((3, 3))],
    )  # fmt: skip
    sys.modules["sccello.src"].cell_ontology, sys.modules["sccello.src"].utils = ontology, utils
    shell("sccello.src.data", root / "src" / "data")
    shell("sccello.src.collator", root / "src" / "collator")
    from sccello.src import model_prototype_contrastive
    from sccello.src.collator import collator_for_classification
    from sccello.src.data import data_proc, tokenizer
    from sccello.src.utils import helpers

    return model_prototype_contrastive, data_proc, tokenizer, collator_for_classification, helpers


def checkpoint(modules, n_tokens: int):
    """Return a small model, written in the published layout."""
    config = BertConfig(
        vocab_size=n_tokens, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        hidden_act="relu", max_position_embeddings=LENGTH, layer_norm_eps=1e-12, pad_token_id=0,
    )  # fmt: skip
    config.tau, config.data_branch, config.total_logging_steps = 0.05, "frac100", 10
    kind = modules[0].PrototypeContrastiveForMaskedLM
    kind.get_output_embeddings = lambda self: None
    torch.manual_seed(0)
    model = kind(config)
    randomise(model, seed=42)
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out, safe_serialization=False)
    return kind.from_pretrained(out, output_hidden_states=True).eval()


def run(case: str, cells: ad.AnnData, model, modules) -> None:
    """Run the original end to end and keep what it returns."""
    _, data_proc, tokenizer, collator, helpers = modules
    cells = cells.copy()
    cells.X = sparse.csr_matrix(cells.X)
    cells.var["ensembl_ids"] = cells.var_names.astype(str)
    facts = {
        "organism": "Homo sapiens", "assay": "10x 3' v3", "is_primary_data": True, "disease": "", "donor_id": "a",
        "cell_type_ontology_term_id": "", "cell_type": "", "tissue": "", "tissue_ontology_term_id": "",
        "development_stage": "",
    }  # fmt: skip
    for name, value in facts.items():
        cells.obs[name] = value
    data = data_proc.ProcessSingleCellData.from_h5ad_adata(cells, case, is_cellxgene=True, require_raw=False)
    data = tokenizer.TranscriptomeTokenizer(num_proc=1, truncate_length=LENGTH).tokenize(data)
    collate = collator.DataCollatorForCellClassification(model_input_name=["input_ids"], pad_to_multiple_of=None)
    batch = collate([{"input_ids": row} for row in data["input_ids"]])
    with torch.no_grad():
        states = model(**batch).logits.numpy()
    rows = data["input_ids"]
    np.savez_compressed(
        out / f"{case}.npz",
        ids=np.concatenate(rows).astype(np.int32),
        indptr=np.concatenate([[0], np.cumsum([*map(len, rows)])]),
        states=states,
        embedding=states[:, -1],
        embedding_cell_cls=helpers.cellrepr_post_process(model, states[:, -1], pass_cell_cls=True)[0],
        embedding_normalised=helpers.cellrepr_post_process(model, states[:, -1], normalize=True)[0],
    )


def main() -> None:
    """Run the original on both tables."""
    cells = ad.read_h5ad(dlpfc)
    cells = cells[::240][:30, :800].copy()
    cells.X = cells.X.astype(np.float32)
    tokens, medians = dictionaries([*cells.var_names])
    modules = load_original({"token_dictionary_pkl": tokens, "gene_median_dictionary_pkl": medians})
    model = checkpoint(modules, len(tokens))
    run("synthetic", synthetic_counts(MADE_UP, n_obs=14, seed=3), model, modules)
    run("real", cells, model, modules)


main()
