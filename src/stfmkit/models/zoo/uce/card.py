"""Cards of UCE; data only."""

from dataclasses import replace

from stfmkit.models.card import ModelCard, WeightFile, Weights

_TABLES = (
    WeightFile("species_chrom.csv", url="https://figshare.com/ndownloader/files/42706558"),
    WeightFile("species_offsets.pkl", url="https://figshare.com/ndownloader/files/42706555"),
    WeightFile("protein_embeddings/", url="https://figshare.com/ndownloader/files/42715213"),
)
_NOTE = "Unpack protein_embeddings.tar.gz; only the gene names in it are read, the vectors are in the checkpoint."
_FIGSHARE = "https://doi.org/10.6084/m9.figshare.24320806"
_LICENCE = "CC-BY-4.0 (the figshare record, at second hand)"

UCE = ModelCard(
    name="uce",
    target="stfmkit.models.zoo.uce.model:UCE",
    family="rna",
    summary="Genes drawn by expression, as protein vectors by chromosome and position (the 4-layer checkpoint).",
    needs=("counts",),
    needs_rng=True,
    dimension=1280,
    licence="MIT (code), CC-BY-4.0 (weights)",
    source="github.com/snap-stanford/UCE",
    extra="torch",
    modality="scRNA-seq",
    species=("human", "mouse", "frog", "zebrafish", "mouse_lemur", "pig", "macaca_fascicularis", "macaca_mulatta"),
    gene_ids="symbol",
    context_length=1536,
    weights=Weights(
        kind="manual",
        place=_FIGSHARE,
        files=(WeightFile("4layer_model.torch", url="https://figshare.com/ndownloader/files/42706576"), *_TABLES),
        licence=_LICENCE,
        note=_NOTE,
    ),
    paper="https://doi.org/10.1038/s41586-026-10689-z",
    bib_key="rosen2026uce",
    corpus="Integrated Mega-scale Atlas: 36 million cells of eight species (CELLxGENE Census and others)",
    corpus_names=("Integrated Mega-scale Atlas", "CELLxGENE Census"),
    notes=(
        "Genes are drawn at random, 1,024 with replacement; here by the seed and the observation's name.",
        "exact=True follows the original: its draws (np.random.seed) in the order of the table, and its mask.",
        "That mask raises the scores of padding by 1, so that a vector depends on its batch (0.01 to 0.02).",
        "The default masks padding; an observation in a batch of its own has the same vector either way.",
        "The original drops cells with fewer than 25 genes and genes in fewer than 10 cells: filter before.",
        "Genes without a protein vector or a position in the genome are left out; equal starts go by token.",
        "Symbols match in any case, as in the original; where most differ in case (another species?) it is an error.",
        "The rows of a gene are projected once; the token table of the checkpoint stays on disk.",
        "Other species work by the files that the original's notebook makes for them; species= says which.",
        "There, after names that differ only in case, exact=True takes rows one too early, as the original does.",
    ),
)

UCE_33 = replace(
    UCE,
    name="uce.33layer",
    summary="Genes drawn by expression, as protein vectors by chromosome and position (the 33-layer checkpoint).",
    weights=Weights(
        kind="manual",
        place=_FIGSHARE,
        files=(WeightFile("33l_8ep_1024t_1280.torch", url="https://figshare.com/ndownloader/files/43423236"), *_TABLES),
        licence=_LICENCE,
        note=_NOTE,
    ),
)

CARDS = (UCE, UCE_33)
