"""The cards of scGPT and scGPT-spatial; data only."""

from dataclasses import replace

from stfmkit.models.card import AS_CODE, ModelCard, WeightFile, Weights

_FILES = (WeightFile("args.json"), WeightFile("vocab.json"), WeightFile("best_model.pt"))
_DRIVE = "https://drive.google.com/drive/folders"
_TIES = (
    (
        "Counts that equal several edges of quantile bins go to a random one of their bins, and of more than 1,199 "
        "genes a random subset is read, as in the original. Here the random numbers follow from the seed, the name of "
        "the observation and the gene; the original draws them in the order of the cells."
    ),
    (
        "How much of the vector is noise depends on ties: with counts of a targeted panel, two seeds can differ by "
        "more than two neighbouring cells do. Compare a few seeds."
    ),
    "Equal to the original in float32 on the CPU; the original computes in half precision on CUDA.",
)


def _place(folder: str) -> Weights:
    place = f"{_DRIVE}/{folder}"
    return Weights(kind="manual", place=place, files=_FILES, licence=AS_CODE, note="A folder of Google Drive.")


SCGPT = ModelCard(
    name="scgpt",
    target="stfmkit.models.zoo.scgpt.model:ScGPT",
    family="rna",
    summary="scGPT, whole-human: the class token over genes with binned counts, scaled to unit length.",
    needs=("counts",),
    dimension=512,
    needs_rng=True,
    licence="MIT",
    source="github.com/bowang-lab/scGPT",
    extra="torch",
    modality="dissociated single cells",
    species=("human",),
    gene_ids="symbol",
    context_length=1200,
    weights=_place("1oWh_-ZRdhtoGQ2Fw24HP41FgLoomVo-y"),
    paper="https://doi.org/10.1038/s41592-024-02201-0",
    bib_key="cui2024scgpt",
    corpus="33 million normal human cells of CELLxGENE",
    corpus_names=("CELLxGENE",),
    notes=(*_TIES, "Genes that share a symbol stay tokens of their own, as in the original."),
)

_TAGS = {
    "continual": ("1_GROJTzXiAV8HB4imruOTk6PEGuNOcgB", "As whole-human; what it was trained on further is not stated"),
    "brain": ("1vf1ijfQSk7rGdDGpBntR5bi5g6gNt-Gx", "13.2 million human brain cells"),
    "blood": ("1kkug5C7NjvXIwQGGaGoqXTk_Lb_pDrBU", "10.3 million human blood and bone marrow cells"),
    "heart": ("1GcgXrd7apn6y4Ze_iSCncskX3UsWPY2r", "1.8 million human heart cells"),
    "lung": ("16A1DJ30PT6bodt4bWLa4hpS7gbWZQFBG", "2.1 million human lung cells"),
    "kidney": ("1S-1AR65DF120kNFpEbWCvRHPhpkGK3kK", "814 thousand human kidney cells"),
    "pan-cancer": ("13QzLHilYUd0v3HTwa_9n4G4yEF-hdkqa", "5.7 million human cells of various cancers"),
}

SCGPT_TAGS = tuple(
    replace(
        SCGPT,
        name=f"scgpt.{tag}",
        summary=f"scGPT, the checkpoint {tag!r}: the class token over genes with binned counts, scaled to unit length.",
        weights=_place(folder),
        corpus=corpus,
        corpus_names=SCGPT.corpus_names if tag == "continual" else None,
    )
    for tag, (folder, corpus) in _TAGS.items()
)

SCGPT_SPATIAL = ModelCard(
    name="scgpt-spatial",
    target="stfmkit.models.zoo.scgpt.spatial:ScGPTSpatial",
    family="spatial",
    summary="scGPT trained further on spatial data: counts over slide and gene means, then as scGPT.",
    needs=("counts",),
    dimension=512,
    uses_neighbors=True,
    needs_rng=True,
    licence="MIT (code)",
    commercial=None,
    source="github.com/bowang-lab/scGPT-spatial",
    extra="torch",
    modality="spatial transcriptomics",
    species=("human",),
    gene_ids="symbol",
    context_length=1200,
    weights=Weights(
        kind="manual",
        place="https://doi.org/10.6084/m9.figshare.28356068",
        files=(*_FILES, WeightFile("all_dict_mean_std.csv")),
        folder="scGPT_spatial_v1",
        licence="not verified (that of the figshare record)",
    ),
    paper="https://doi.org/10.1101/2025.02.05.636714",
    bib_key="wang2025scgptspatial",
    corpus="SpatialHuman30M: 30 million cells and spots of Visium, Visium HD, Xenium and MERFISH",
    corpus_names=("SpatialHuman30M",),
    notes=(
        (
            "Coordinates are not read. All observations of a sample share the mean of its non-zero counts (the slide "
            "mean), and genes without a published mean use their own mean in the sample: pass whole samples and "
            "sample_key=."
        ),
        (
            "The original leaves the attention at random where flash-attn is absent (its key is never renamed); the "
            "published weights are loaded here."
        ),
        *_TIES,
    ),
)

CARDS = (SCGPT, *SCGPT_TAGS, SCGPT_SPATIAL)
