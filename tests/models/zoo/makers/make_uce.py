"""Make the fixtures of UCE: ``python make_uce.py ORIGINAL XENIUM OUT WORK``.

ORIGINAL is a checkout of snap-stanford/UCE, XENIUM the Xenium table of the real data sets, OUT the folder to write,
WORK an empty folder for what the original writes itself.
"""

import argparse
import json
import os
import pickle
import sys
import types
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import torch

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from _cases import synthetic_counts
from _original import randomise

original, xenium, out, work = (Path(p).resolve() for p in sys.argv[1:5])
WIDTH, TOKEN, N_CHROMOSOMES = 40, 12, 9
N_HUMAN, N_MOUSE = 230, 40
OFFSET = 4 + N_MOUSE + N_HUMAN
SMALL = {"143574": OFFSET, "145469": OFFSET + N_CHROMOSOMES, "1895": N_CHROMOSOMES, "5120": TOKEN, "1280": WIDTH}
SMALL |= {"1024": 24, "2048": 16, "512": 12, "128)": "8)", "(128": "(8"}
SPECIES = {
    "human": "Homo_sapiens.GRCh38", "mouse": "Mus_musculus.GRCm39",
    "frog": "Xenopus_tropicalis.Xenopus_tropicalis_v9.1",
    "zebrafish": "Danio_rerio.GRCz11", "mouse_lemur": "Microcebus_murinus.Mmur_3.0", "pig": "Sus_scrofa.Sscrofa11.1",
    "macaca_fascicularis": "Macaca_fascicularis.Macaca_fascicularis_6.0", "macaca_mulatta": "Macaca_mulatta.Mmul_10",
}  # fmt: skip
ASSEMBLY = "bGalGal1.mat.broiler.GRCg7b"
CHICKEN = f"protein_embeddings/Gallus_gallus.{ASSEMBLY}.pep.all.gene_symbol_to_embedding_ESM2.pt"


def copy_original() -> None:
    """Copy the original to WORK with its fixed sizes made small."""
    for name in (
        "model.py",
        "eval_data.py",
        "evaluate.py",
        "utils.py",
        "data_proc/data_utils.py",
        "data_proc/gene_embeddings.py",
    ):
        text = (original / name).read_text()
        for large, small in SMALL.items():
            text = text.replace(large, str(small))
        target = work / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    (work / "model_files").mkdir(exist_ok=True)
    (work / "model_files/new_species_protein_embeddings.csv").write_text(
        f"species,path\nchicken,model_files/{CHICKEN}\n"
    )
    os.chdir(work)
    sys.path.insert(0, str(work))


def write_tables(genes: dict[str, list[str]]) -> None:
    """Write the tables of the publication, made up: protein vectors, offsets, chromosomes and starts."""
    draw = np.random.default_rng(7)
    (out / "protein_embeddings").mkdir(parents=True, exist_ok=True)
    rows, offsets, start = [], {}, 4
    for number, species in enumerate(("mouse", "human")):
        offsets[species] = start
        start += len(genes[species])
        vectors = torch.zeros(len(genes[species]), 1)  # only their names are read; one storage keeps the file small
        torch.save(
            dict(zip(genes[species], vectors, strict=True)),
            out / "protein_embeddings" / f"{SPECIES[species]}.gene_symbol_to_embedding_ESM2.pt",
        )
        starts = draw.permutation(50 * len(genes[species]))[: len(genes[species])]
        for gene, place in zip(genes[species], starts, strict=True):
            chromosome = draw.integers(0, 5 if number else 4)
            rows.append((species, gene.upper(), ["1", "2", "10", "X", "MT"][chromosome], int(place)))
    table = pd.DataFrame(rows, columns=["species", "gene_symbol", "chromosome", "start"])
    table["end"] = table["start"] + 10
    table.sample(frac=1, random_state=1).to_csv(out / "species_chrom.csv")
    with (out / "species_offsets.pkl").open("wb") as file:
        pickle.dump(offsets, file)


def weights(model_kind) -> None:
    """Write a random model in the published layout; the head count and the widths are those of the patched original."""
    net = model_kind(token_dim=TOKEN, d_model=WIDTH, nhead=20, d_hid=28, nlayers=2, dropout=0.05, output_dim=WIDTH)
    randomise(net, seed=31)
    table = torch.randn(OFFSET + N_CHROMOSOMES, TOKEN, generator=torch.Generator().manual_seed(32))
    net.pe_embedding = torch.nn.Embedding.from_pretrained(table)
    net.pos_encoder.pe = net.pos_encoder.pe[:96].clone()
    torch.save(net.state_dict(), out / "4layer_model.torch")
    torch.save(table[:OFFSET].clone(), work / "all_tokens.torch")


def accelerator() -> types.SimpleNamespace:
    """Return what the original asks of accelerate, on one process."""
    return types.SimpleNamespace(
        is_main_process=True, is_local_main_process=False, prepare=lambda x: x,
        wait_for_everyone=lambda: None, gather_for_metrics=lambda x: x,
    )  # fmt: skip


def chicken() -> list[str]:
    """Write the files of a species that the publication lacks, by its notebook, and return the names of its genes."""
    draw = np.random.default_rng(11)
    genes = [*(f"Cgene{i}" for i in range(1, 50)), "si:ckey-1.2"]  # a name with a colon, as those of zebrafish
    lines = []
    for gene in [genes[i] for i in draw.permutation(len(genes))] + [
        "OTHER1",
        "Cgene7",
    ]:  # of two places the last counts
        chromosome = "W" if gene == "OTHER1" else str(draw.choice(["1", "2", "10", "Z", "JAENSK010000484.1"]))
        start = int(draw.integers(1, 10**6))
        place = f"primary_assembly:{ASSEMBLY}:{chromosome}:{start}:{start + 900}:1"
        lines += [f">ENSGALP.1 pep {place} gene:ENSGALG.1 transcript:ENSGALT.1 gene_symbol:{gene} description:x", "MTL"]
    (work / "chicken.fa").write_text("\n".join(lines))
    vectors = torch.randn(len(genes), TOKEN, generator=torch.Generator().manual_seed(33))
    torch.save({gene: row.clone() for gene, row in zip(genes, vectors, strict=True)}, work / "model_files" / CHICKEN)
    torch.save(dict(zip(genes, torch.zeros(len(genes), 1), strict=True)), out / CHICKEN)
    (work / "model_files/all_tokens.torch").write_bytes((work / "all_tokens.torch").read_bytes())
    notebook = json.loads((original / "data_proc/Create New Species Files.ipynb").read_text())
    space = {"display": lambda *_: None}
    os.chdir(work / "data_proc")
    for cell in notebook["cells"]:
        text = "".join(cell["source"]).replace("5120", str(TOKEN))
        if cell["cell_type"] == "code" and not text.startswith("!"):
            exec(text, space)
            if "SPECIES_PROTEIN_FASTA_PATH" in text:
                space["SPECIES_PROTEIN_FASTA_PATH"] = str(work / "chicken.fa")
    os.chdir(work)
    for name in ("chicken_to_chrom_pos.csv", "chicken_offsets.pkl", "chicken_pe_tokens.torch"):
        (out / name).write_bytes((work / "data_proc" / name).read_bytes())
    (out / "new_species_protein_embeddings.csv").write_text(f"species,path\nchicken,model_files/{CHICKEN}\n")
    return genes


def new_species(n_genes: int) -> dict[str, object]:
    """Return the arguments that the notebook names."""
    return {
        "species": "chicken", "CHROM_TOKEN_OFFSET": 4 + n_genes,
        "spec_chrom_csv_path": "data_proc/chicken_to_chrom_pos.csv", "token_file": "data_proc/chicken_pe_tokens.torch",
        "offset_pkl_path": "data_proc/chicken_offsets.pkl",
    }  # fmt: skip


def run(
    evaluate, case: str, cells: ad.AnnData, *, filtered: bool, batch_size: int, **changed: object
) -> dict[str, np.ndarray]:
    """Run the original end to end and return its sentences, states and embedding."""
    folder = work / f"{case}{batch_size}"
    folder.mkdir()
    cells.write_h5ad(folder / f"{case}.h5ad")
    args = argparse.Namespace(
        adata_path=f"{folder}/{case}.h5ad", dir=f"{folder}/", species="human", filter=filtered, skip=False,
        model_loc=str(out / "4layer_model.torch"), batch_size=batch_size, pad_length=96, pad_token_idx=0,
        chrom_token_left_idx=1, chrom_token_right_idx=2, cls_token_idx=3, CHROM_TOKEN_OFFSET=OFFSET, sample_size=48,
        CXG=True, nlayers=2, output_dim=WIDTH, d_hid=28, token_dim=TOKEN, multi_gpu=False,
        spec_chrom_csv_path=str(out / "species_chrom.csv"), token_file=str(work / "all_tokens.torch"),
        protein_embeddings_dir=f"{work}/model_files/protein_embeddings/",
        offset_pkl_path=str(out / "species_offsets.pkl"),
    )  # fmt: skip
    vars(args).update(changed)
    processor = evaluate.AnndataProcessor(args, accelerator())
    processor.preprocess_anndata()
    processor.generate_idxs()
    sentences, layers = [], []
    collate = evaluate.MultiDatasetSentenceCollator.__call__

    def watched(self, batch):
        held = collate(self, batch)
        sentences.extend(row[mask > 0].long().numpy() for row, mask in zip(held[0], held[1], strict=True))
        return held

    def first_layer(_module, _inputs, output):
        layers.append(output[0].numpy())

    evaluate.MultiDatasetSentenceCollator.__call__ = watched
    build = evaluate.TransformerModel

    def hooked(**sizes):
        net = build(**sizes)
        net.pos_encoder.pe = net.pos_encoder.pe[:96]
        net.transformer_encoder.layers[0].register_forward_hook(first_layer)
        return net

    evaluate.TransformerModel = hooked
    np.random.seed(0)  # noqa: NPY002 - the original draws from the global stream
    processor.run_evaluation()
    evaluate.TransformerModel, evaluate.MultiDatasetSentenceCollator.__call__ = build, collate
    result = ad.read_h5ad(folder / f"{case}_uce_adata.h5ad")
    return {
        "indptr": np.concatenate([[0], np.cumsum([len(s) for s in sentences])]), "ids": np.concatenate(sentences),
        "cls_layer1": np.concatenate(layers), "embedding": result.obsm["X_uce"],
        "obs_names": result.obs_names.to_numpy(str),
    }  # fmt: skip


def main() -> None:
    """Run the original end to end, with the float mask as it is."""
    out.mkdir(parents=True, exist_ok=True)
    cells = ad.read_h5ad(xenium)[::420][:40].copy()
    made_up = [f"Gene{i}" for i in range(1, 101)]
    human = [*made_up, *cells.var_names[::2][: N_HUMAN - len(made_up)]]
    copy_original()
    write_tables({"human": human, "mouse": [f"Mgene{i}" for i in range(N_MOUSE)]})
    shown = work / "model_files" / "protein_embeddings"
    shown.mkdir()
    for species, name in SPECIES.items():
        held = (
            out
            / "protein_embeddings"
            / f"{SPECIES['human' if species == 'human' else 'mouse']}.gene_symbol_to_embedding_ESM2.pt"
        )
        vectors = {gene: torch.zeros(TOKEN) for gene in torch.load(held)}
        torch.save(vectors, shown / f"{name}.gene_symbol_to_embedding_ESM2.pt")
    torch.save({"Cgene1": torch.zeros(TOKEN)}, work / "model_files" / CHICKEN)  # read at the import
    import evaluate

    weights(evaluate.TransformerModel)
    made = synthetic_counts([*made_up, "UNKNOWN1", "UNKNOWN2"], n_obs=12, seed=3)
    del made.obsm["spatial"]
    for case, data in {"synthetic": made, "real": cells}.items():
        saved = run(evaluate, case, data, filtered=False, batch_size=5)
        np.savez_compressed(out / f"{case}.npz", **saved)
    single = run(evaluate, "single", made[:5].copy(), filtered=False, batch_size=1)
    np.savez_compressed(out / "single.npz", **single)
    genes = chicken()
    strange = synthetic_counts([*genes, "UNKNOWN1"], n_obs=10, seed=6)
    del strange.obsm["spatial"]
    saved = run(evaluate, "chicken", strange, filtered=False, batch_size=4, **new_species(len(genes)))
    np.savez_compressed(out / "chicken.npz", **saved)


main()
