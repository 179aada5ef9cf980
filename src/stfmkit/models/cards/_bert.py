"""The cards of Geneformer, scCello and CELLama; data only."""

from dataclasses import replace

from stfmkit.models._card import ModelCard
from stfmkit.models._published import WeightFile, Weights
from stfmkit.models.cards import _checksums as checksums

_ZOO = "stfmkit.models.zoo"
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
    revision: str = checksums.GENEFORMER_REVISION,
) -> Weights:
    names = [f"{folder}/config.json", f"{folder}/{model}", *(f"{dictionaries}/{kind}_{suffix}.pkl" for kind in _KINDS)]
    files = tuple(WeightFile(name, checksums.GENEFORMER[name]) for name in names)
    return Weights(kind="hub", place="ctheodoris/Geneformer", revision=revision, files=files)


def _v2(folder: str) -> Weights:
    return _geneformer(folder, "geneformer", "gc104M")


GENEFORMER_V1 = ModelCard(
    name="geneformer-v1",
    target=f"{_ZOO}._geneformer:GeneformerV1",
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
    target=f"{_ZOO}._geneformer:Geneformer",
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
            revision=checksums.GENEFORMER_2024,
        ),
    ),
    *(
        replace(
            GENEFORMER_V2,
            name=f"geneformer-v2.{tag}",
            summary=f"Geneformer ({size}): ranked genes, class token or mean over the genes.",
            dimension=width,
            weights=_geneformer(folder, "geneformer", "gc95M", revision=checksums.GENEFORMER_2024),
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

_SCCELLO_HUB = "https://huggingface.co/katarinayuan/scCello-zeroshot/resolve/main"
_SCCELLO_CODE = (
    "https://raw.githubusercontent.com/DeepGraphLearning/scCello/767585b6cc2ef5a3e03234164c665e751a432194/data/"
    "token_vocabulary"
)
_SCCELLO_TABLES = {
    "token_dictionary.pkl": "ab9dc40973fa5224d77b793e2fd114cacf3d08423ed9c4c49caf0ba9c7f218f1",
    "gene_median_dictionary.pkl": "b3b589bb5ec75040d05fc44dd6bf0184cf87f3c362cf158d196a6ed3b7fe5f39",
    "vocab_id2name.csv": "764b4e642f8b8be3a8874dc83fbad8c63eff94d1e9b14e7846bf7e4fb9cbf606",
}

SCCELLO = ModelCard(
    name="sccello",
    target=f"{_ZOO}._sccello:ScCello",
    family="rna",
    summary="scCello: ranked genes through a BERT trained with the ontology of cell types; class token.",
    needs=("counts",),
    dimension=None,
    licence="MIT (a badge in the README; the repository has no licence file)",
    commercial=None,
    source="github.com/DeepGraphLearning/scCello",
    extra="torch",
    modality="dissociated single cells",
    species=("human",),
    gene_ids="ensembl",
    context_length=2048,
    weights=Weights(
        kind="url",
        place="https://huggingface.co/katarinayuan/scCello-zeroshot",
        files=(
            *(WeightFile(name, url=f"{_SCCELLO_HUB}/{name}") for name in ("config.json", "pytorch_model.bin")),
            *(WeightFile(name, sha, f"{_SCCELLO_CODE}/{name}") for name, sha in _SCCELLO_TABLES.items()),
        ),
        licence="not verified",
        note="The dictionaries lie in data/token_vocabulary of github.com/DeepGraphLearning/scCello. The checkpoint is "
        "the newest of the hub: no checksum of it is known to us.",
    ),
    paper="https://arxiv.org/abs/2408.12373",
    bib_key="yuan2024sccello",
    corpus="22 million human cells of CELLxGENE, with their cell types",
    notes=(
        _TIES,
        _SUMMED,
        "pass_cell_cls=True adds the head that the original puts on the class token for new cell types and drugs.",
    ),
)

_SENTENCES = ("config.json", "model.safetensors", "modules.json", "sentence_bert_config.json", "1_Pooling/config.json",
              "tokenizer.json")  # fmt: skip


def _sentences(name: str) -> Weights:
    return Weights(
        kind="hub",
        place=f"sentence-transformers/{name}",
        revision=checksums.MINILM_REVISIONS[name],
        files=tuple(WeightFile(path, checksums.MINILM[name][path]) for path in _SENTENCES),
    )


CELLAMA = ModelCard(
    name="cellama",
    target=f"{_ZOO}._cellama:CELLama",
    family="rna",
    summary="CELLama: a sentence with the highest genes of an observation, embedded by a language model.",
    needs=("expression",),
    dimension=384,
    licence="Apache-2.0",
    source="github.com/portrai-io/CELLama",
    extra="torch",
    modality="English text",
    gene_ids="symbol",
    context_length=256,
    weights=_sentences("all-MiniLM-L6-v2"),
    paper="https://doi.org/10.1101/2024.05.08.593094",
    bib_key="choi2024cellama",
    corpus="1.17 billion pairs of English sentences; no transcriptomes, unless a fine-tuned folder is given",
    notes=(
        "Equal values are ordered by symbol; the order of the original is not defined there.",
        "As in the original, observations with few expressed genes list others as well, here in alphabetical order.",
        "drop_zeros=True lists expressed genes only.",
        "Sentences longer than the language model reads are cut at its end (256 word pieces for L6, 128 for L12).",
        "With cellname= the sentence lists the cell types of the nearest neighbours, and the vector depends on them.",
    ),
)

CELLAMA_TAGS = (replace(CELLAMA, name="cellama.l12", weights=_sentences("all-MiniLM-L12-v2"), context_length=128),)

CARDS = (GENEFORMER_V1, GENEFORMER_V2, *GENEFORMER_TAGS, SCCELLO, CELLAMA, *CELLAMA_TAGS)
