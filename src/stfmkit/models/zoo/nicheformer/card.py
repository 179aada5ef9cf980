"""Card of Nicheformer; data only."""

from stfmkit.models.card import ModelCard, WeightFile, Weights

NICHEFORMER = ModelCard(
    name="nicheformer",
    target="stfmkit.models.zoo.nicheformer.model:Nicheformer",
    family="rna",
    summary="Ranked genes of dissociated and spatial cells, with tokens for modality, species and technology.",
    needs=("counts",),
    dimension=512,
    licence="BSD-3-Clause (code)",
    commercial=None,
    source="github.com/theislab/nicheformer",
    extra="torch",
    modality="scRNA-seq; MERFISH, CosMx, Xenium",
    species=("human", "mouse"),
    gene_ids="ensembl",
    context_length=1500,
    weights=Weights(
        kind="manual",
        place="https://github.com/theislab/nicheformer",
        files=(
            WeightFile("nicheformer.ckpt"),
            WeightFile("model_means/model.h5ad"),
            WeightFile("model_means/<technology>_mean_script.npy"),
        ),
        licence="not verified (that of the Mendeley record)",
        note="The checkpoint is at Mendeley Data, linked from the repository; model_means is data/model_means there. "
        "A folder of the hub (theislab/Nicheformer) is read as well; put model_means beside it.",
    ),
    paper="https://doi.org/10.1038/s41592-025-02814-z",
    bib_key="tejada2025nicheformer",
    corpus="SpatialCorpus-110M: over 57 million dissociated and 53 million spatial cells of human and mouse",
    corpus_names=("SpatialCorpus-110M",),
    notes=(
        "modality, species and technology are tokens and have no default; the technology also chooses the gene means.",
        "Equal values are common in panels; ours keep the order of the tokens, the original's sort is not stable.",
        "On real cells vectors of the original then differ from ours by up to 0.65; the spread between cells is 0.28.",
        "means_mode='notebook' rounds the means and takes missing ones as 1; 'none' ranks the counts.",
        "means_mode='dataset' follows the repository's loader: all genes with a missing mean enter the sequence.",
        "The mean runs over all 1,497 positions, padding as well, as in the original.",
        "Genes of mice go by the human ids of their orthologues, where the model lists them so: translate before.",
        "Gene means of in situ sequencing (ISS) are published; a token for it is not.",
    ),
)

CARDS = (NICHEFORMER,)
