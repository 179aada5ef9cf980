"""The cards of Geneformer; data only."""

from dataclasses import replace

from stfmkit.models.card import ModelCard, WeightFile, Weights
from stfmkit.models.zoo.geneformer.checksums import CHECKSUMS, REVISION, REVISION_2024

_KINDS = ("token_dictionary", "gene_median_dictionary", "ensembl_mapping_dict", "gene_name_id_dict")
_TIES = "Equal values are ordered by token; the order of the original is not defined there."
_SUMMED = "Counts of genes that stand for one Ensembl id are added up."
_LAYERS = (
    "Layers are counted as in the original: emb_layer=-1, the default, is the one before the last, and 0 the last; "
    "other wrappers call the last layer -1."
)


def _geneformer(
    folder: str,
    dictionaries: str,
    suffix: str,
    *,
    model: str = "model.safetensors",
    revision: str = REVISION,
) -> Weights:
    names = [f"{folder}/config.json", f"{folder}/{model}", *(f"{dictionaries}/{kind}_{suffix}.pkl" for kind in _KINDS)]
    files = tuple(WeightFile(name, CHECKSUMS[name]) for name in names)
    return Weights(kind="hub", place="ctheodoris/Geneformer", revision=revision, files=files)


def _v2(folder: str) -> Weights:
    return _geneformer(folder, "geneformer", "gc104M")


GENEFORMER_V1 = ModelCard(
    name="geneformer-v1",
    target="stfmkit.models.zoo.geneformer.model:GeneformerV1",
    family="rna",
    summary="Geneformer V1 (10 million weights): genes ranked by count over median, mean over the genes.",
    needs=("counts",),
    dimension=256,
    licence="Apache-2.0",
    source="huggingface.co/ctheodoris/Geneformer",
    extra="torch",
    modality="dissociated single cells",
    species=("human",),
    gene_ids="ensembl",
    context_length=2048,
    weights=_geneformer("Geneformer-V1-10M", "geneformer/gene_dictionaries_30m", "gc30M"),
    paper="https://doi.org/10.1038/s41586-023-06139-9",
    bib_key="theodoris2023geneformer",
    corpus="Genecorpus-30M: about 30 million human cells, without malignant cells and immortalised lines",
    notes=(_LAYERS, _TIES, _SUMMED, "There is no class token: emb_mode is 'cell'."),
)

GENEFORMER_V2 = ModelCard(
    name="geneformer-v2",
    target="stfmkit.models.zoo.geneformer.model:Geneformer",
    family="rna",
    summary="Geneformer V2 (316 million weights): ranked genes, class token or mean over the genes.",
    needs=("counts",),
    dimension=1152,
    licence="Apache-2.0",
    source="huggingface.co/ctheodoris/Geneformer",
    extra="torch",
    modality="dissociated single cells",
    species=("human",),
    gene_ids="ensembl",
    context_length=4096,
    weights=_v2("Geneformer-V2-316M"),
    paper="https://doi.org/10.1038/s43588-026-00972-4",
    bib_key="chen2026geneformer",
    corpus="About 104 million human cells, none of cancer",
    notes=(_LAYERS, _TIES, _SUMMED),
)

_TAGS = {
    "316m": ("Geneformer-V2-316M", 1152, "316 million weights", GENEFORMER_V2.corpus),
    "104m": ("Geneformer-V2-104M", 768, "104 million weights", GENEFORMER_V2.corpus),
    "104m-clcancer": (
        "Geneformer-V2-104M_CLcancer",
        768,
        "104 million weights, trained further on cancer",
        f"{GENEFORMER_V2.corpus}; then about 14 million cells of cancer",
    ),
}

_95M = "About 95 million human cells, none of cancer"
_OLDER = {
    "12l-95m": ("gf-12L-95M-i4096", 512, "12 layers, April 2024", _95M),
    "12l-95m-clcancer": (
        "gf-12L-95M-i4096_CLcancer",
        512,
        "12 layers, April 2024, trained further on cancer",
        f"{_95M}; then about 14 million cells of cancer",
    ),
    "20l-95m": ("gf-20L-95M-i4096", 896, "20 layers, April 2024", _95M),
}

GENEFORMER_TAGS = (
    replace(GENEFORMER_V1, name="geneformer-v1.10m"),
    replace(
        GENEFORMER_V1,
        name="geneformer-v1.12l-30m",
        summary="Geneformer V1 with 12 layers: genes ranked by count over median, mean over the genes.",
        dimension=512,
        weights=_geneformer(
            "gf-12L-30M-i2048",
            "geneformer/gene_dictionaries_30m",
            "gc30M",
            model="pytorch_model.bin",
            revision=REVISION_2024,
        ),
    ),
    *(
        replace(
            GENEFORMER_V2,
            name=f"geneformer-v2.{tag}",
            summary=f"Geneformer ({size}): ranked genes, class token or mean over the genes.",
            dimension=width,
            weights=_geneformer(folder, "geneformer", "gc95M", revision=REVISION_2024),
            corpus=corpus,
        )
        for tag, (folder, width, size, corpus) in _OLDER.items()
    ),
    *(
        replace(
            GENEFORMER_V2,
            name=f"geneformer-v2.{tag}",
            summary=f"Geneformer V2 ({size}): ranked genes, class token or mean over the genes.",
            dimension=width,
            weights=_v2(folder),
            corpus=corpus,
        )
        for tag, (folder, width, size, corpus) in _TAGS.items()
    ),
)

CARDS = (GENEFORMER_V1, GENEFORMER_V2, *GENEFORMER_TAGS)
