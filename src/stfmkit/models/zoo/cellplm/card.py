"""Cards of CellPLM; data only."""

from dataclasses import replace

from stfmkit.models.card import AS_CODE, ModelCard, WeightFile, Weights

_DROPBOX = "https://www.dropbox.com/scl/fo/i5rmxgtqzg7iykt2e9uqm/h?rlkey=o8hi0xads9ol07o48jdityzv1&dl=0"


def _weights(prefix: str) -> Weights:
    return Weights(
        kind="manual",
        place=_DROPBOX,
        files=(WeightFile(f"{prefix}.best.ckpt"), WeightFile(f"{prefix}.config.json")),
        licence=AS_CODE,
        note="The folder is linked from ckpt/README.md of the repository.",
    )


CELLPLM = ModelCard(
    name="cellplm",
    target="stfmkit.models.zoo.cellplm.model:CellPLM",
    family="rna",
    summary="Cells attend to the other cells of their batch (linear attention); the mean of a variational latent.",
    needs=("counts",),
    uses_neighbors=True,
    dimension=512,
    licence="BSD-2-Clause",
    source="github.com/OmicsML/CellPLM",
    extra="torch",
    modality="scRNA-seq; MERFISH, CosMx",
    species=("human",),
    gene_ids="ensembl",
    weights=_weights("20231027_85M"),
    paper="https://openreview.net/forum?id=BKXvPDekud",
    bib_key="wen2024cellplm",
    corpus="More than 9 million dissociated and 2 million spatial human cells",
    notes=(
        "The vector of a cell depends on all cells of its batch: pass whole batches, named by batch_key=.",
        "batch_size= cuts every batch into consecutive chunks that do not see each other, as in the original.",
        "Coordinates have no effect: the positional term of the original is zero.",
        "The number of heads is not in the published config; it is 8, the default of the original.",
        "Cells without a known gene take no part, also not as context (on_empty='zero').",
        "The original asks an online service for Ensembl ids; here gene_table= translates symbols.",
        "Memory grows with the largest batch.",
    ),
)

VAE = replace(CELLPLM, name="cellplm.20231027_85m")

GMVAE = replace(
    CELLPLM,
    name="cellplm.20230926_85m",
    summary="CellPLM with a mixture latent: the cluster of every cell is drawn, also when embedding.",
    needs_rng=True,
    weights=_weights("20230926_85M"),
    notes=(
        "The cluster of a cell is a random draw, also when embedding, and moves its vector by about 0.5 between runs.",
        "Here the draw follows from the seed and the name of the cell. cellplm.20231027_85m draws nothing.",
        *CELLPLM.notes,
    ),
)

CARDS = (CELLPLM, VAE, GMVAE)
