"""Card of SCimilarity; data only."""

from stfmkit.models.card import ModelCard, WeightFile, Weights

SCIMILARITY = ModelCard(
    name="scimilarity",
    target="stfmkit.models.zoo.scimilarity.model:SCimilarity",
    family="rna",
    summary="Metric learning on cell types: a dense network from log-normalised genes to a unit vector.",
    needs=("counts",),
    dimension=128,
    licence="Apache-2.0 (code)",
    commercial=None,
    source="github.com/Genentech/scimilarity",
    extra="torch",
    modality="scRNA-seq",
    species=("human",),
    gene_ids="symbol",
    weights=Weights(
        kind="manual",
        place="https://zenodo.org/records/10685499",
        files=(WeightFile("encoder.ckpt"), WeightFile("gene_order.tsv"), WeightFile("layer_sizes.json")),
        licence="not verified (that of the Zenodo record)",
        note="Unpack model_v1.1.tar.gz, a large archive; of its files only these three are needed.",
    ),
    paper="https://doi.org/10.1038/s41586-024-08411-y",
    bib_key="heimberg2025scimilarity",
    corpus="7.9 million labelled human cells of 56 studies, 10x, without cancer (second-hand: from the README of a "
    "model retrained by others)",
    notes=(
        "Counts are set to 10,000 per observation after the genes are aligned: depth in other genes does not matter.",
        "Genes that are not measured enter as zeros, which the network cannot tell from genes without counts.",
        "The original refuses fewer than 5,000 genes of the model; min_genes= lowers that for a targeted panel.",
        "Genes stay in the order of gene_order.tsv; the original sorts them by name where that file is not sorted.",
        "Several genes of one symbol are added up.",
    ),
)

CARDS = (SCIMILARITY,)
