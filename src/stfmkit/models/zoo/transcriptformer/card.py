"""Cards of TranscriptFormer; data only."""

from dataclasses import replace

from stfmkit.models.card import AS_CODE, ModelCard, WeightFile, Weights

_FILES = ("config.json", "model_weights.pt", "vocabs/assay_vocab.json", "vocabs/<species>_gene.h5")


def _weights(tag: str) -> Weights:
    return Weights(
        kind="manual",
        place=f"https://czi-transcriptformer.s3.amazonaws.com/weights/{tag}.tar.gz",
        files=tuple(WeightFile(name) for name in _FILES),
        licence=AS_CODE,
        note="Unpack the archive.",
    )


_SAPIENS = ("human",)
_EXEMPLAR = ("human", "mouse", "zebrafish", "fruit fly", "C. elegans")
_METAZOA = (*_EXEMPLAR, "rabbit", "chicken", "frog", "sea urchin", "sponge", "yeast", "Plasmodium falciparum")

TRANSCRIPTFORMER = ModelCard(
    name="transcriptformer",
    target="stfmkit.models.zoo.transcriptformer.model:TranscriptFormer",
    family="rna",
    summary="Generative model of genes and counts, one after the other, on protein vectors (the human checkpoint).",
    needs=("counts",),
    dimension=2048,
    licence="MIT",
    source="github.com/czi-ai/transcriptformer",
    extra="torch",
    modality="scRNA-seq",
    species=_SAPIENS,
    gene_ids="ensembl",
    context_length=2047,
    weights=_weights("tf_sapiens"),
    paper="https://doi.org/10.1126/science.aec8514",
    bib_key="pearce2026transcriptformer",
    corpus="57 million human cells",
    notes=(
        "The assay has no default: pass assay= or assay_key=. Labels it does not know are 'unknown'.",
        "Attention looks back only, so the order of genes matters: gene_order='var' is the original's.",
        "gene_order='vocabulary' does not depend on the table. Genes beyond the 2,047th are cut off in either order.",
        "Counts are cut at 30. Sums of states are divided by 2,047, so that the norm grows with the number of genes.",
        "A vector of a gene is the mean of its contextual vectors (emb_type='cge') over the observations that have it.",
        "pretrained_embedding= takes the protein vectors of another species, whose genes replace the vocabulary.",
        "The original computes in half precision by default; numbers here agree with its precision=32.",
    ),
)

TF_SAPIENS = replace(TRANSCRIPTFORMER, name="transcriptformer.sapiens")
TF_EXEMPLAR = replace(
    TRANSCRIPTFORMER,
    name="transcriptformer.exemplar",
    summary="Generative model of genes and counts, one after the other, on protein vectors (five species).",
    species=_EXEMPLAR,
    weights=_weights("tf_exemplar"),
    corpus="110 million cells of human, mouse, zebrafish, fruit fly and C. elegans",
)
TF_METAZOA = replace(
    TRANSCRIPTFORMER,
    name="transcriptformer.metazoa",
    summary="Generative model of genes and counts, one after the other, on protein vectors (twelve species).",
    species=_METAZOA,
    weights=_weights("tf_metazoa"),
    corpus="112 million cells of twelve species",
)

CARDS = (TRANSCRIPTFORMER, TF_SAPIENS, TF_EXEMPLAR, TF_METAZOA)
