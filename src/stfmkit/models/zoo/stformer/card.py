"""The card of stFormer; data only."""

from stfmkit.models.card import ModelCard, WeightFile, Weights

STFORMER = ModelCard(
    name="stformer",
    target="stfmkit.models.zoo.stformer.model:StFormer",
    family="spatial",
    summary="stFormer: the genes of a cell attend to the ligands of its niche; largest state of its genes.",
    needs=("counts", "coordinates"),
    dimension=768,
    uses_neighbors=True,
    licence="MIT (code); the weights hold those of scFoundation, non-commercial research only",
    commercial=False,
    source="github.com/csh3/stFormer",
    extra="torch",
    modality="spatial transcriptomics, spots taken apart into cell types",
    species=("human",),
    gene_ids="symbol",
    context_length=19264,
    weights=Weights(
        kind="manual",
        place="https://doi.org/10.5281/zenodo.20755048",
        files=(
            WeightFile("pretraining/models/model_4.1M.ckpt"),
            WeightFile("stformer/tokenizer/OS_scRNA_gene_index.19264.tsv"),
            WeightFile("stformer/tokenizer/ligand_database.csv"),
        ),
        licence="that of scFoundation for its parts; that of the Zenodo record not verified",
        note="The dictionaries are in the repository, folder stformer/tokenizer.",
    ),
    paper="https://doi.org/10.1101/2024.09.27.615337",
    bib_key="cao2024stformer",
    corpus="About 4.1 million spots of public human Visium data",
    notes=(
        "The published file is a pickle of a whole module: only its tensors are read, nothing in it is executed.",
        (
            "The niche of a cell is all cells of its sample within the largest radius (in steps of 0.1 units) that "
            "gives no cell more than max_niche_cell_num, itself among them, or that many nearest; each has the same "
            "weight."
        ),
        "spot_key= and abundance_key= read spots taken apart into cell types, as the pretraining did, a row for each.",
        "Equal to the original in float32; the original computes in half precision on CUDA.",
    ),
)

CARDS = (STFORMER,)
