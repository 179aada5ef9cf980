"""Make the fixtures of CELLama: ``python make_cellama.py ORIGINAL XENIUM OUT``.

ORIGINAL is a checkout of portrai-io/CELLama, XENIUM the Xenium table of the real data sets, OUT the folder to write.
"""

import json
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import scanpy as sc
import torch
from sentence_transformers import SentenceTransformer, models
from transformers import BertConfig, BertModel, BertTokenizerFast

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from _cases import synthetic_counts
from _original import randomise, stub

original, xenium, out = map(Path, sys.argv[1:4])
MADE_UP = [f"{stem}{i}" for stem in ("GENE", "HLA-D", "C1orf", "Mt.x") for i in range(1, 13)]
LENGTH = 96
ODD = [
    "Top genes are ACTB, MT-CO1, and H2-Ab1. celltype of this cell is CD4+ T-cell.",
    "Café naïve  Ångström\tß ﬁn İstanbul 東京 cells\u200b (10µm); 'quoted' [MASK]… x_y",
    "",
    "zzzz" * 40 + " Top gene is Xist.",
    "\u0000\ufffd control \u00ad soft—dash",
    "niche: B,T,B,Macrophage/DC; " * 30,
]


def vocabulary() -> list[str]:
    """Return word pieces: special tokens, single characters with and without ``##``, and some words and parts."""
    characters = [*"abcdefghijklmnopqrstuvwxyz0123456789", *".,-_/;:'()[]+…", "東"]
    words = ["top", "genes", "gene", "are", "is", "and", "of", "this", "cell", "type", "celltype", "niche", "the"]
    parts = ["act", "##b", "mt", "co", "ge", "##ne", "##ne1", "hla", "cd", "##4", "##st", "xi", "##cr", "mac", "##ro"]
    pieces = [f"##{c}" for c in characters if c.isalnum()]
    return list(dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *words, *parts, *pieces]))


def sentence_model() -> SentenceTransformer:
    """Return a small model, written as sentence-transformers write it."""
    out.mkdir(parents=True, exist_ok=True)
    pieces = vocabulary()
    (out / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    base = out / "base"
    tokeniser = BertTokenizerFast(str(out / "vocab.txt"), do_lower_case=True)
    tokeniser.save_pretrained(base)
    config = BertConfig(
        vocab_size=len(pieces), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        hidden_act="gelu", max_position_embeddings=LENGTH + 32, layer_norm_eps=1e-12, pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    bert = BertModel(config)
    randomise(bert, seed=51)
    bert.save_pretrained(base)
    word = models.Transformer(str(base), max_seq_length=LENGTH)
    pool = models.Pooling(16, pooling_mode="mean")
    built = SentenceTransformer(modules=[word, pool, models.Normalize()], device="cpu")
    built.save(str(out), create_model_card=False)
    for path in sorted(base.iterdir()):
        path.unlink()
    base.rmdir()
    for name in ("special_tokens_map.json", "config_sentence_transformers.json"):
        (out / name).unlink(missing_ok=True)
    facts = json.loads((out / "config.json").read_text())
    facts.pop("_name_or_path")
    (out / "config.json").write_text(json.dumps(facts, indent=2) + "\n")
    return SentenceTransformer(str(out), device="cpu")


def load_original():
    """Import the sentences of the original, without its search and its classifiers."""
    stub("langchain", "faiss", "xgboost", "_nn_model", "squidpy")
    sys.path.insert(0, str(original))
    import cellama

    return cellama


def keep(case: str, model: SentenceTransformer, sentences: list[str]) -> None:
    """Store sentences, tokens, states and embeddings."""
    ids = [model.tokenize([text])["input_ids"][0].numpy() for text in sentences]
    bert = model[0].auto_model
    with torch.no_grad():
        states = [
            torch.stack(bert(torch.from_numpy(i[None]), output_hidden_states=True).hidden_states)[:, 0, [0, -1]].numpy()
            for i in ids[:4]
        ]
    embedding = model.encode(sentences, batch_size=5, convert_to_numpy=True, show_progress_bar=False)
    np.savez_compressed(
        out / f"{case}.npz", ids=np.concatenate(ids).astype(np.int32), states=np.stack(states),
        indptr=np.concatenate([[0], np.cumsum([*map(len, ids)])]), embedding=embedding,
        sentences=np.array([] if case == "real" else sentences, dtype=str),
    )  # fmt: skip


def main() -> None:
    """Write sentences with the original and embed them with sentence-transformers."""
    cellama = load_original()
    model = sentence_model()
    made = synthetic_counts(MADE_UP, n_obs=14, seed=4)
    made.obs["celltype"] = [["B cell", "CD4+ T", "Macrophage"][i % 3] for i in range(14)]
    made.obs["region"] = [["core", "edge"][i % 2] for i in range(14)]
    sentences = cellama.cell_to_sentence(made, 10, ["celltype", "region"])
    keep("synthetic", model, [*sentences.values()])
    plain = cellama.cell_to_sentence(made, 1)
    (out / "one_gene.json").write_text(json.dumps([*plain.values()]))
    cells = ad.read_h5ad(xenium)[::700].copy()
    cells.X = cells.X.astype(np.float32)
    sc.pp.normalize_total(cells, target_sum=1e4)
    sc.pp.log1p(cells)
    # ties by column, as ours: the original's sort is unstable
    sort = np.argsort
    np.argsort = lambda a, *args, **kw: sort(a, *args, kind="stable", **kw)
    sentences = [*cellama.cell_to_sentence(cells[:, np.sort(cells.var_names)], 30).values()]
    np.argsort = sort
    keep("real", model, sentences)
    keep("odd", model, ODD)


main()
