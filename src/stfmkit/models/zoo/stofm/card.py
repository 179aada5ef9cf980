"""Card of SToFM; data only."""

from stfmkit.models.card import AS_CODE, ModelCard, WeightFile, Weights

STOFM = ModelCard(
    name="stofm",
    target="stfmkit.models.zoo.stofm.model:SToFM",
    family="spatial",
    summary="Cells by their ranked genes, then among the cells of their tile and the clusters of their slide.",
    needs=("counts", "coordinates"),
    uses_neighbors=True,
    dimension=256,
    licence="MIT",
    source="github.com/PharMolix/SToFM",
    extra="torch",
    modality="spatial transcriptomics",
    species=("human", "mouse"),
    gene_ids="ensembl",
    context_length=2048,
    weights=Weights(
        kind="manual",
        place="https://drive.google.com/drive/folders/1mHE8gf8MAPwzZoEB0vwOOfQ4lz3H_-xo",
        files=(
            WeightFile("cell_encoder/cell_bert/config.json"),
            WeightFile("cell_encoder/cell_bert/model.safetensors"),
            WeightFile("cell_encoder/cell_proj.bin"),
            WeightFile("config.json"),
            WeightFile("se2transformer.pth"),
            WeightFile("token_dictionary.pkl"),
            WeightFile("gene_median_dictionary.pkl"),
            WeightFile("mouseid2humanid.pkl"),
        ),
        licence=AS_CODE,
        note="Put the folder ckpt into a clone of the repository, or the dictionaries of the repository "
        "(geneformer_001/geneformer/*.pkl, preprocessing/mouseid2humanid.pkl) beside the checkpoint.",
    ),
    paper="https://arxiv.org/abs/2507.11588",
    bib_key="zhao2025stofm",
    corpus="SToCorpus-88M: 88 million cells of about 2,000 slices from six spatial technologies",
    corpus_names=("SToCorpus-88M",),
    notes=(
        "Pass whole samples: tiles, clusters and scale all depend on which cells are there.",
        "Equal values keep the order of the tokens; the original's sort is not stable.",
        "Mouse genes stand for their human orthologues in mouseid2humanid.pkl; two of one orthologue stay two tokens.",
        "Not reproducible to the bit elsewhere: clusters depend on the versions of scanpy, umap-learn and igraph.",
        "Other clusters move all vectors of a sample; hyper_key= takes given ones, such as those of another run.",
        "Neighbours at equal distance (lattices) are taken by position; in the original the library decides.",
        "Cells are put in order of position, so the order of rows does not matter; exact=True keeps it instead.",
        "The original's published script filters no cells; a cell without a known gene is left out of the graph here.",
        "Memory grows with the square of the cells of a tile.",
        "The published configuration is not in the repository: a random twin has sizes that its code states.",
    ),
)

CARDS = (STOFM,)
