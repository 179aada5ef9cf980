"""The card of scFoundation; data only."""

from stfmkit.models.card import ModelCard, WeightFile, Weights

SCFOUNDATION = ModelCard(
    name="scfoundation",
    target="stfmkit.models.zoo.scfoundation.model:ScFoundation",
    family="rna",
    summary="scFoundation: pooled states over all non-zero genes, with the depth as a token.",
    needs=("counts",),
    licence="Apache-2.0 (code); scFoundation licence (weights), non-commercial research only",
    commercial=False,
    source="github.com/biomap-research/scFoundation",
    extra="torch",
    modality="dissociated single cells",
    species=("human",),
    gene_ids="symbol",
    context_length=19266,
    weights=Weights(
        kind="manual",
        place="https://github.com/biomap-research/scFoundation (model/models/download.txt)",
        files=(WeightFile("models/models.ckpt"), WeightFile("OS_scRNA_gene_index.19264.tsv")),
        licence="scFoundation (MODEL_LICENSE of the repository)",
        note="A folder of SharePoint; put the list of genes of the repository beside it.",
    ),
    paper="https://doi.org/10.1038/s41592-024-02305-7",
    bib_key="hao2024scfoundation",
    corpus="Over 50 million human cells",
    notes=(
        (
            "Totals and counts per ten thousand are over the 19,264 genes of the published list only; genes that "
            "share a symbol are added up."
        ),
        "T and S are tokens of the wanted and of the measured depth, the last two of every observation.",
        "T or S of zero or less are not read, as in the original: with a total of one count there is no S.",
        "Up to 19,266 tokens in an observation: whole transcriptomes need memory, targeted panels little.",
    ),
)

CARDS = (SCFOUNDATION,)
