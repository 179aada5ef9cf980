"""Make the fixtures of Geneformer: ``python make_geneformer.py ORIGINAL DLPFC OUT``.

ORIGINAL is a checkout of a copy of ctheodoris/Geneformer (explorerwjy/Geneformer), DLPFC the table of the dorsolateral
prefrontal cortex of the real data sets, OUT the folder to write.
"""

import pickle
import sys
import tempfile
from pathlib import Path

import anndata as ad
import numpy as np
import torch
from transformers import BertConfig, BertForMaskedLM

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from _cases import gene_ids, synthetic_counts
from _original import randomise, shell, stub

original, dlpfc, out = map(Path, sys.argv[1:4])
MADE_UP = gene_ids(120)
VERSIONS = {
    "V1": {"folder": "Geneformer-V1-10M", "special": ["<pad>", "<mask>"], "layers": 2, "length": 96, "seed": 31},
    "V2": {
        "folder": "Geneformer-V2-104M", "special": ["<pad>", "<mask>", "<cls>", "<eos>"], "layers": 3, "length": 80,
        "seed": 32,
    },
}  # fmt: skip


def real_cells() -> ad.AnnData:
    """Return thirty real spots and eight hundred of their genes."""
    cells = ad.read_h5ad(dlpfc)
    cells = cells[::240][:30, :800].copy()
    cells.X = cells.X.astype(np.float32)
    return cells


def dictionaries(version: str, folder: Path, names: list[str]) -> dict[str, Path]:
    """Write the dictionaries of a version in the published format."""
    special, seed = VERSIONS[version]["special"], VERSIONS[version]["seed"]
    draw = np.random.default_rng(seed)
    known = [*MADE_UP[:100], *names[::2]]
    genes = [known[i] for i in draw.permutation(len(known))]
    whole = np.int16 if version == "V1" else int
    tokens = {name: whole(i) for i, name in enumerate([*special, *genes])}
    medians = {name: float(draw.lognormal(0.5, 0.6)) for name in genes}
    moved = {MADE_UP[100 + i]: MADE_UP[i] for i in range(8)}  # retired ids, each beside the one that replaced it
    mapping = {name: name for name in genes} | moved
    symbols = {f"GENE{i}": name for i, name in enumerate(MADE_UP, start=1)}
    suffix = "gc30M" if version == "V1" else "gc104M"
    where = folder / "geneformer" / ("gene_dictionaries_30m" if version == "V1" else "")
    where.mkdir(parents=True, exist_ok=True)
    paths = {}
    for kind, held in {
        "token_dictionary": tokens, "gene_median_dictionary": medians, "ensembl_mapping_dict": mapping,
        "gene_name_id_dict": symbols,
    }.items():  # fmt: skip
        paths[kind] = where / f"{kind}_{suffix}.pkl"
        paths[kind].write_bytes(pickle.dumps(held))
    return paths


def checkpoint(version: str, n_tokens: int) -> None:
    """Write a small model in the published layout."""
    facts = VERSIONS[version]
    config = BertConfig(
        vocab_size=n_tokens, hidden_size=16, num_hidden_layers=facts["layers"], num_attention_heads=2,
        intermediate_size=24, hidden_act="relu", max_position_embeddings=facts["length"], layer_norm_eps=1e-12,
        type_vocab_size=2, pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    model = BertForMaskedLM(config)
    randomise(model, seed=facts["seed"])
    model.save_pretrained(out / facts["folder"])
    (out / facts["folder"] / "generation_config.json").unlink(missing_ok=True)


def load_original(paths: dict[str, dict[str, Path]]):
    """Import tokeniser and extractor, on the CPU, with the dictionaries above."""
    stub("peft", "bitsandbytes", "loompy", "seaborn", "ray", "optuna")
    names = {
        "TOKEN_DICTIONARY_FILE": "token_dictionary", "GENE_MEDIAN_FILE": "gene_median_dictionary",
        "ENSEMBL_MAPPING_FILE": "ensembl_mapping_dict", "ENSEMBL_DICTIONARY_FILE": "gene_name_id_dict",
    }  # fmt: skip
    files = {name: paths["V2"][kind] for name, kind in names.items()}
    files |= {f"{name}_30M": paths["V1"][kind] for name, kind in names.items()}
    shell("geneformer", original / "geneformer", **files)
    tensor, move = torch.tensor, torch.Tensor.to
    torch.tensor = lambda data, device=None, **kw: tensor(data, **kw)
    torch.Tensor.to = lambda self, *args, **kw: move(self, *["cpu" if a == "cuda" else a for a in args], **kw)
    from geneformer import emb_extractor, perturber_utils, tokenizer

    return emb_extractor, perturber_utils, tokenizer


def embed(emb_extractor, version: str, data: Path, tokens: Path, emb_mode: str, emb_layer: int):
    """Return the frame of the original, cells in the order of the input."""
    extractor = emb_extractor.EmbExtractor(
        model_type="Pretrained", num_classes=0, emb_mode=emb_mode, max_ncells=None, emb_layer=emb_layer,
        emb_label=None if emb_mode == "gene" else ["name"], forward_batch_size=7, nproc=1,
        token_dictionary_file=str(tokens), model_version=version,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as where:
        folder = str(out / VERSIONS[version]["folder"])
        return extractor.extract_embs(folder, str(data), where, "embedding")


def run(version: str, case: str, cells: ad.AnnData, paths: dict[str, Path], modules) -> None:
    """Run the original end to end and keep what it returns."""
    emb_extractor, perturber_utils, tokenizer = modules
    cells = cells.copy()
    cells.var["ensembl_id"] = cells.var_names.astype(str)
    cells.var.index.name = None
    cells.obs["n_counts"] = np.asarray(cells.X.sum(axis=1), dtype=np.float64).ravel()
    cells.obs["name"] = cells.obs_names.astype(str)
    with tempfile.TemporaryDirectory() as where:
        cells.write_h5ad(Path(where) / "cells.h5ad")
        tokeniser = tokenizer.TranscriptomeTokenizer({"name": "name"}, nproc=1, model_version=version)
        tokeniser.model_input_size = VERSIONS[version]["length"]
        tokeniser.tokenize_data(where, where, "tokens", file_format="h5ad")
        data = Path(where) / "tokens.dataset"
        held = perturber_utils.load_and_filter(None, 1, str(data))
        place = {name: i for i, name in enumerate(held["name"])}
        rows = [held[place[name]]["input_ids"] for name in cells.obs_names]
        results = {
            "ids": np.concatenate(rows).astype(np.int32), "indptr": np.concatenate([[0], np.cumsum([*map(len, rows)])]),
            "obs_names": cells.obs_names.to_numpy(dtype=str),
        }  # fmt: skip
        modes = [("cell", -1), ("cell", 0), *([("cls", -1), ("cls", 0)] if version == "V2" else [])]
        for mode, layer in modes:
            frame = embed(emb_extractor, version, data, paths["token_dictionary"], mode, layer).set_index("name")
            results[f"{mode}{layer}"] = frame.loc[list(cells.obs_names)].to_numpy(dtype=np.float32)
        frame = embed(emb_extractor, version, data, paths["token_dictionary"], "gene", -1)
        frame = frame[~frame.index.str.startswith("<")]
        results |= {"genes": frame.index.to_numpy(dtype=str), "gene_embedding": frame.to_numpy(dtype=np.float32)}
        model = BertForMaskedLM.from_pretrained(out / VERSIONS[version]["folder"], output_hidden_states=True).eval()
        with torch.no_grad():
            states = [torch.stack(model(torch.tensor([row])).hidden_states)[:, 0, [0, -1]].numpy() for row in rows[:4]]
        results["states"] = np.stack(states)  # first and last token of four cells in every layer
    np.savez_compressed(out / f"{version.lower()}_{case}.npz", **results)


def main() -> None:
    """Run both versions on both tables."""
    out.mkdir(parents=True, exist_ok=True)
    cells = real_cells()
    paths = {version: dictionaries(version, out, [*cells.var_names]) for version in VERSIONS}
    for version in VERSIONS:
        checkpoint(version, len(pickle.loads(paths[version]["token_dictionary"].read_bytes())))
    modules = load_original(paths)
    made = synthetic_counts(MADE_UP, n_obs=14, seed=2)
    for version in VERSIONS:
        run(version, "synthetic", made, paths[version], modules)
        run(version, "real", cells, paths[version], modules)


main()
