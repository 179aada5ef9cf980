"""Make the fixtures of SToFM: ``python make_stofm.py ORIGINAL DLPFC OUT``.

ORIGINAL is a checkout of PharMolix/SToFM, DLPFC the DLPFC table of the real data sets, OUT the folder to write.
"""

import json
import pickle
import sys
import tempfile
from pathlib import Path

import anndata as ad
import numpy as np
import torch
from transformers import BertConfig, BertModel

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from _cases import gene_ids, synthetic_counts
from _original import randomise, shell, stub

original, dlpfc, out = map(Path, sys.argv[1:4])
BERT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
BERT |= {"max_position_embeddings": 128, "hidden_act": "relu", "layer_norm_eps": 1e-12, "pad_token_id": 0}
CONFIG = {"num_hidden_layers": 3, "embedding_dim": 16, "ffn_embedding_dim": 16, "num_attention_heads": 4}
CONFIG |= {"gaussian_hidden_dim": 6, "input_dim": 24, "pre_layernorm": False, "activation_fn": "gelu"}
SPLIT = 60


def dictionaries(genes: list[str]) -> tuple[dict[str, int], dict[str, float]]:
    """Write made-up dictionaries in the published format."""
    draw = np.random.default_rng(8)
    tokens = {"<pad>": 0, "<mask>": 1} | {gene: np.int16(i) for i, gene in enumerate(genes, start=2)}
    medians = {gene: float(m) for gene, m in zip(genes, draw.uniform(0.4, 6, size=len(genes)), strict=True)}
    mice = {f"ENSMUSG{i:011d}": gene for i, gene in enumerate(genes[:20], start=1)}
    files = {"token_dictionary": tokens, "gene_median_dictionary": medians, "mouseid2humanid": mice}
    for name, held in files.items():
        (out / f"{name}.pkl").write_bytes(pickle.dumps(held))
    return tokens, medians


def load_original():
    """Import the original on a CPU, with dictionaries of ours."""
    stub("cupy", "rapids_singlecell", "loompy", "pytz")
    root = original / "geneformer_001" / "geneformer"
    shell("geneformer", root)
    import transformers
    from geneformer import tokenizer

    tokenizer.GENE_MEDIAN_FILE = out / "gene_median_dictionary.pkl"
    tokenizer.TOKEN_DICTIONARY_FILE = out / "token_dictionary.pkl"
    sys.modules.setdefault("transformers.file_utils", transformers.file_utils)
    from geneformer import collator_for_classification

    sys.modules["geneformer"].TranscriptomeTokenizer = tokenizer.TranscriptomeTokenizer
    sys.modules[
        "geneformer"
    ].DataCollatorForCellClassification = collator_for_classification.DataCollatorForCellClassification
    shell("model", original / "model")
    from model import extraction, se2transformer

    collate = extraction.CellEncoderCollator.__call__

    def labelled(self, features):
        batch = collate(self, [feature | {"label": 0} for feature in features])  # it asks for one
        return {name: batch[name] for name in ("input_ids", "attention_mask")}

    extraction.CellEncoderCollator.__call__ = labelled
    return tokenizer, extraction, se2transformer


def preprocessing(path: Path):
    """Return the tokeniser of the preprocessing script, without its last lines that read fixed paths."""
    lines = path.read_text().split("mouseid2humanid = ")[0]
    space: dict = {}
    exec(compile(lines, str(path), "exec"), space)
    return space["SToFMTranscriptomeTokenizer"]


class Pooler(torch.nn.Module):
    """The head of the cell encoder, as the script defines it, with the width of this checkpoint."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = torch.nn.Linear(BERT["hidden_size"], CONFIG["input_dim"])
        self.proj.load_state_dict(torch.load(out / "cell_encoder" / "cell_proj.bin"))

    def forward(self, states):
        return torch.nn.functional.normalize(self.proj(states[:, 0]), dim=-1)


def write_weights(se2, n_tokens: int, *, scale: float = 0.6, norms: float = 0.0):
    """Write random weights in the published layout and return the two networks."""
    bert = BertModel(BertConfig(**BERT, vocab_size=n_tokens + 1), add_pooling_layer=False)
    randomise(bert, seed=41, scale=scale)
    with torch.no_grad():
        for name, value in bert.named_parameters():
            value.add_(norms if name.endswith("LayerNorm.weight") else 0.0)
    bert.save_pretrained(out / "cell_encoder" / "cell_bert")
    projection = torch.nn.Linear(BERT["hidden_size"], CONFIG["input_dim"])
    randomise(projection, seed=42, scale=scale)
    torch.save(projection.state_dict(), out / "cell_encoder" / "cell_proj.bin")
    (out / "config.json").write_text(json.dumps(CONFIG))
    model = se2.SToFMModel(se2.SToFMConfig.from_pretrained(out / "config.json")).eval()
    randomise(model, seed=43, scale=scale)
    with torch.no_grad():  # distances lie between 0 and 100
        model.gaussian.means.weight.uniform_(0, 30, generator=torch.Generator().manual_seed(44))
        model.gaussian.stds.weight.uniform_(3, 30, generator=torch.Generator().manual_seed(45))
        model.gaussian.proj[0].weight.mul_(10)
        model.gaussian.proj[2].weight.mul_(5)
        model.embedding_layer.weight.mul_(10)
        for layer in model.encoder.layers:
            layer.self_attn.v_proj.weight.mul_(3)
            layer.fc2.weight.mul_(2)
            layer.self_attn_layer_norm.bias.mul_(0.3)
    torch.save(model.state_dict(), out / "se2transformer.pth")
    encoder = BertModel.from_pretrained(out / "cell_encoder" / "cell_bert").eval()
    encoder.pooler = Pooler()
    return encoder, model


def run(data: ad.AnnData, originals, networks) -> dict[str, np.ndarray]:
    """Return what the original makes of a table."""
    tokenise, extraction = originals
    encoder, model = networks
    scratch = Path(tempfile.mkdtemp())
    mice = pickle.loads((out / "mouseid2humanid.pkl").read_bytes())
    data.var["ensembl_id"] = [mice.get(gene, gene) for gene in data.var_names]
    data.obs["n_counts"] = np.asarray(data.X.sum(axis=1)).ravel()
    data.obs["filter_pass"] = True
    sentences, _ = tokenise.tokenize_anndata(data)
    dataset = tokenise.create_dataset(sentences, None)
    dataset.save_to_disk(scratch / "hf.dataset")
    data.write(scratch / "data.h5ad")
    vectors = extraction.encode_cell(encoder, scratch / "hf.dataset", scratch / "cells.npy", batch_size=32)
    clusters = []
    leiden = extraction.sc.tl.leiden

    def watched(nodes, **options):
        leiden(nodes, **options)
        clusters.append(nodes.obs["leiden"].to_numpy().astype(int))

    extraction.sc.tl.leiden = watched
    tiles = extraction.load_data(
        str(scratch / "data.h5ad"), emb_path=scratch / "cells.npy", device=-1, filter=False, split_num=SPLIT
    )
    extraction.sc.tl.leiden = leiden
    found = torch.zeros(data.n_obs, CONFIG["embedding_dim"])
    states = []
    for start in range(0, len(tiles), 4):
        batch = extraction.SToFM_Collator()(tiles[start : start + 4])
        with torch.no_grad():
            output = model(**batch)
        rows = batch["indices"]
        found[rows[rows != -1].long()] = output["last_hidden_state"][rows != -1]
        states.append(output["hidden_states"])
    lengths = [len(ids) for ids in dataset["input_ids"]]
    width = len(tiles[0]["indices"])
    return {
        "indptr": np.concatenate([[0], np.cumsum(lengths)]), "ids": np.concatenate(dataset["input_ids"]),
        "cell_vectors": vectors, "clusters": clusters[0], "embedding": found.numpy(),
        "tile_rows": tiles[0]["indices"].numpy(), "tile_distances": tiles[0]["attn_bias"].numpy(),
        "tile_features": tiles[0]["token_embeddings"].numpy(), "tile_types": tiles[0]["token_types"].numpy(),
        "tile_sizes": np.array([len(tile["indices"]) for tile in tiles]),
        "tile_state_1": states[0][1][:width, 0].numpy(), "tile_state_3": states[0][3][:width, 0].numpy(),
        "genes": data.var_names.to_numpy(dtype=str), "obs_names": data.obs_names.to_numpy(dtype=str),
    }  # fmt: skip


def main() -> None:
    """Run the original end to end."""
    out.mkdir(parents=True, exist_ok=True)
    sections = ad.read_h5ad(dlpfc)
    cells = sections[sections.obs["section"] == "151673"][::24][:150].copy()
    cells.obsm["spatial"] = cells.obsm["spatial"] + 0.01 * np.random.default_rng(3).normal(size=(cells.n_obs, 2))
    made_up = gene_ids(90)
    vocabulary = dictionaries([*made_up, *cells.var_names[:160][::2]])
    cells = cells[:, :300].copy()
    tokenizer, extraction, se2 = load_original()
    tokenise = preprocessing(original / "preprocessing" / "preprocess.py")(
        None, gene_median_file=tokenizer.GENE_MEDIAN_FILE, token_dictionary_file=tokenizer.TOKEN_DICTIONARY_FILE
    )
    networks = write_weights(se2, len(vocabulary[0]))
    known = [*made_up[:80], *gene_ids(4, start=900)]
    cases = {
        "synthetic": synthetic_counts(known, n_obs=160, seed=1),
        "mouse": synthetic_counts(gene_ids(20, prefix="ENSMUSG"), n_obs=40, seed=2),
        "real": cells,
    }
    for case, data in cases.items():
        np.savez_compressed(out / f"{case}.npz", **run(data, (tokenise, extraction), networks))


if __name__ == "__main__":
    main()
