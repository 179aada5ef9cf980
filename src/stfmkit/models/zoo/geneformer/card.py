"""The cards of Geneformer; data only."""

from dataclasses import replace

from stfmkit.models.card import ModelCard, WeightFile, Weights

REVISION = "05fcbeb8a27d49e0a7a4349152202ee2c1cbfd28"
CHECKSUMS = {
    "Geneformer-V1-10M/config.json": "9cf69ca3bdb0215c4188b54c451b6f02adfe68b8f66011a57d0f32845133fd4b",
    "Geneformer-V1-10M/model.safetensors": "a5e33a757431643b3697de7ef6127950cdc49e06e58d4266b3a3ab191b683f14",
    "Geneformer-V2-104M/config.json": "467d4492f0dd53b4d60afffe20812db484ca1cf9fdbeb6a6e060e93564f70859",
    "Geneformer-V2-104M/model.safetensors": "fff5cba29ddd8792991fa77b4872246fbe548a178cebda3775cdc72b67780e7f",
    "Geneformer-V2-104M_CLcancer/config.json": "b3e1f3e71b1df7238f0f1d6dda258d560ea84e5e9698351a1588cfad06321e18",
    "Geneformer-V2-104M_CLcancer/model.safetensors": "827738139bfed4bafa9d1f3df7c6146da2e3b85f7225076adc32c6eda0ba4357",
    "Geneformer-V2-316M/config.json": "2cc4af3442644e84af71814a607b61c958d7b4e5ebde6791ab77b5f534ac6f6e",
    "Geneformer-V2-316M/model.safetensors": "965ceccea81953d362081ef3843560a0e4fef88d396c28017881f1e94b1246f3",
}
"""By the path in the place; the dictionaries follow below."""

REVISION_2024 = "31bf641d0f173a18a5e06d9a6574bb0d3fe5edc1"
"""The last commit with the checkpoints of 2021 and of April 2024 under their first names."""
CHECKSUMS |= {
    "gf-12L-30M-i2048/config.json": "a82b9cf2cb830be227bfbbe5a4c5d62723f49fac892ca37c541d0ef40a0e1de9",
    "gf-12L-30M-i2048/pytorch_model.bin": "812f8d85e5ecf9d64c268f052f6ece2c1906bc4f1aecf70d5144b2598386b615",
    "gf-12L-95M-i4096/config.json": "f56780389d8c89c1b6c4084e2e6ee1f736558e4b3bb8ce7473159e83465de401",
    "gf-12L-95M-i4096/model.safetensors": "4365ba23e393fcfa0e65a94ac64a0983cd788bd23a8d4914f4ab66f85cfe043c",
    "gf-12L-95M-i4096_CLcancer/config.json": "7d3720eb553238849f7b3b3fd874e2bafb59c97b0e70afd7ca90132c43b8d5b1",
    "gf-12L-95M-i4096_CLcancer/model.safetensors": "2451adeed240c165634fea60ccba17063da8a2843ea9fcdcc0ce185720bf0dc2",
    "gf-20L-95M-i4096/config.json": "915948b8161a15747647c9dd04d4bd3a950ca5fb145a14d9bc1157948a4cb9e7",
    "gf-20L-95M-i4096/model.safetensors": "db85c081a6d392448955c7d0185e26aba74507518df991ca8c69ee9108ce8bbf",
}
CHECKSUMS |= {
    f"geneformer/gene_dictionaries_30m/{kind}_gc30M.pkl": sha256
    for kind, sha256 in {
        "ensembl_mapping_dict": "eac0fb0b3007267871b6305ac0003ceba19d4f28d85686cb9067ecf142787869",
        "gene_median_dictionary": "b3b589bb5ec75040d05fc44dd6bf0184cf87f3c362cf158d196a6ed3b7fe5f39",
        "gene_name_id_dict": "55e67962e79c0039a6c32d43c5c99f38e51964bbcfa32f736150ee1e285c438c",
        "token_dictionary": "ab9dc40973fa5224d77b793e2fd114cacf3d08423ed9c4c49caf0ba9c7f218f1",
    }.items()
}
CHECKSUMS |= {
    f"geneformer/{kind}_{release}.pkl": sha256
    for release in ("gc95M", "gc104M")  # the same files
    for kind, sha256 in {
        "ensembl_mapping_dict": "0819bcbd869cfa14279449b037eb9ed1d09a91310e77bd1a19d927465030e95c",
        "gene_median_dictionary": "a51c53f6a771d64508dfaf61529df70e394c53bd20856926117ae5d641a24bf5",
        "gene_name_id_dict": "fabfa0c2f49c598c59ae432a32c3499a5908c033756c663b5e0cddf58deea8e1",
        "token_dictionary": "67c445f4385127adfc48dcc072320cd65d6822829bf27dd38070e6e787bc597f",
    }.items()
}


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
    corpus_names=("Genecorpus-30M",),
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
