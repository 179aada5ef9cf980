"""Time Geneformer against its original on the same data, results compared for equality first.

Usage: python benchmarks/bench_models.py ORIGINAL [--spots 2000] [--embedded 16] [--repeats 3]

ORIGINAL is a checkout of the Geneformer repository; the environment holds stfmkit and what the original imports
(transformers, datasets, scanpy). Counts, dictionaries and weights are made up, of the published sizes of V1. The
original makes tokens with its TranscriptomeTokenizer (from a file to a data set) and embeds with its get_embs on the
CPU; ours start from the table in memory. Both run once before, then in turn; the medians of the processor time are
compared.
"""

# ruff: noqa: E402, PLC0415 - the folders of the makers of fixtures come first on the path
import argparse
import pickle
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import torch
from scipy import sparse
from transformers import BertConfig, BertForMaskedLM

ROOT = Path(__file__).parents[1] / "tests" / "models" / "zoo"
sys.path[:0] = [str(ROOT), str(ROOT / "makers")]

from _cases import gene_ids
from _original import shell, stub

from stfmkit.models._block import build_block
from stfmkit.models.zoo._geneformer import GeneformerV1

N_GENES, WIDTH, LENGTH = 25_424, 256, 2048
KINDS = ("token_dictionary", "gene_median_dictionary", "ensembl_mapping_dict", "gene_name_id_dict")


def published(folder: Path) -> None:
    """Write a checkpoint of random weights and dictionaries in the published layout."""
    genes, draw = gene_ids(N_GENES), np.random.default_rng(0)
    tokens = {name: i for i, name in enumerate(["<pad>", "<mask>", *genes])}
    medians = dict(zip(genes, draw.lognormal(0.5, 0.6, N_GENES), strict=True))
    for kind, held in zip(KINDS, (tokens, medians, {name: name for name in genes}, {}), strict=True):
        (folder / f"{kind}_gc30M.pkl").write_bytes(pickle.dumps(held))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=N_GENES + 2, hidden_size=WIDTH, num_hidden_layers=6, num_attention_heads=4, intermediate_size=512,
        hidden_act="relu", max_position_embeddings=LENGTH, layer_norm_eps=1e-12, output_hidden_states=True,
    )  # fmt: skip
    BertForMaskedLM(config).save_pretrained(folder)


def cells(n_spots: int) -> ad.AnnData:
    """Counts of 8,000 genes, about 1,000 of them in a spot."""
    draw = np.random.default_rng(1)
    rate = draw.gamma(0.25, 1.0, 8000) * 0.6
    counts = sparse.csr_matrix(draw.poisson(rate * draw.lognormal(0, 0.4, (n_spots, 1))).astype(np.float32))
    obs = pd.DataFrame(
        {"n_counts": np.asarray(counts.sum(axis=1), dtype=float).ravel()}, index=map(str, range(n_spots))
    )
    names = draw.choice(gene_ids(N_GENES), size=8000, replace=False)
    return ad.AnnData(counts, obs=obs, var=pd.DataFrame({"ensembl_id": names}, index=names))


def original(checkout: Path, folder: Path) -> Any:
    """Import the original on the CPU, with the dictionaries above."""
    stub("peft", "bitsandbytes", "loompy", "seaborn", "ray", "optuna", "tdigest")
    ends = {"TOKEN_DICTIONARY_FILE": 0, "GENE_MEDIAN_FILE": 1, "ENSEMBL_MAPPING_FILE": 2, "ENSEMBL_DICTIONARY_FILE": 3}
    files = {name: folder / f"{KINDS[i]}_gc30M.pkl" for name, i in ends.items()}
    shell("geneformer", checkout / "geneformer", **files, **{f"{name}_30M": path for name, path in files.items()})
    tensor, move = torch.tensor, torch.Tensor.to
    torch.tensor = lambda data, device=None, **kw: tensor(data, **kw)  # noqa: ARG005
    torch.Tensor.to = lambda self, *args, **kw: move(self, *["cpu" if a == "cuda" else a for a in args], **kw)
    from geneformer import emb_extractor, tokenizer

    return tokenizer, emb_extractor


def compare(
    what: str, ours: Callable[[], Any], theirs: Callable[[], Any], check: Callable[[Any, Any], None], *, repeats: int
) -> None:
    """Check that both agree, and print the processor time of each."""
    check(ours(), theirs())
    spent: list[list[float]] = [[], []]
    for _ in range(repeats):
        for run, times in zip((ours, theirs), spent, strict=True):
            start = time.process_time()
            run()
            times.append(time.process_time() - start)
    mine, other = map(np.median, spent)
    print(f"{what:<28} ours {mine:8.3f} s   original {other:8.3f} s   {other / mine:5.1f} times")


def main() -> None:
    """Print two lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("original", type=Path)
    parser.add_argument("--spots", type=int, default=2000)
    parser.add_argument("--embedded", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    repeats = options.repeats
    warnings.simplefilter("ignore")
    data = cells(options.spots)
    with tempfile.TemporaryDirectory() as where:
        folder = Path(where)
        published(folder)
        (folder / "data").mkdir()
        data.write_h5ad(folder / "data" / "cells.h5ad")
        tokenizer, emb_extractor = original(options.original, folder)
        theirs = tokenizer.TranscriptomeTokenizer(nproc=1, model_version="V1")
        model = GeneformerV1(weights=folder)
        block = build_block(data, model.card)
        few = block.take(np.arange(options.embedded))
        network = BertForMaskedLM.from_pretrained(folder).eval()

        def dataset() -> Any:
            return theirs.create_dataset(*theirs.tokenize_files(folder / "data", "h5ad"))

        made = dataset().select(range(options.embedded))
        names = {token: name for name, token in theirs.gene_token_dict.items()}

        def same_tokens(a: Any, b: Any) -> None:
            np.testing.assert_array_equal(a.ids, np.concatenate(b["input_ids"]))

        compare(f"tokens of {options.spots} spots", lambda: model.prepare(block), dataset, same_tokens, repeats=repeats)
        compare(
            f"embedding of {options.embedded} spots",
            lambda: model.encode(model.prepare(few)),
            lambda: emb_extractor.get_embs(network, made, "cell", 5, 0, 8, names, silent=True),
            lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5),
            repeats=repeats,
        )


if __name__ == "__main__":
    main()
