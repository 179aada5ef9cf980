"""Cards of models that stfmkit does not run, with the reason; data only.

What could not be checked at the source is said to be so.
"""

from stfmkit.models.card import ModelCard, Weights

UNKNOWN = "not stated"

GENECOMPASS = ModelCard(
    name="genecompass",
    target="",
    family="rna",
    summary="Ranked genes of human and mouse with four kinds of prior knowledge, read by a BERT.",
    needs=("counts",),
    dimension=768,
    licence=UNKNOWN,
    commercial=False,
    source="github.com/xCompass-AI/GeneCompass, commit 8323757",
    modality="scRNA-seq",
    species=("human", "mouse"),
    gene_ids="ensembl",
    context_length=2048,
    weights=Weights(
        kind="manual", place="https://www.scidb.cn/en/anonymous/SUZOdk1y (GeneCompass_Small, GeneCompass_Base)"
    ),
    paper="https://doi.org/10.1038/s41422-024-01034-y",
    bib_key="yang2024genecompass",
    corpus="101.8 million cells of human and mouse, out of over 120 million",
    notes=("Values are counts over gene medians, then log1p to base 2; there is no library-size step.",),
    runnable=False,
    reason="the repository has no licence file, and its tables of prior knowledge were not available to check a port "
    "against",
)

SCBERT = ModelCard(
    name="scbert",
    target="",
    family="rna",
    summary="All genes with binned values in one sequence of 16,907, read by a Performer.",
    needs=("counts",),
    licence="GPL-3.0-only",
    source="github.com/TencentAILabHealthcare/scBERT, commit 262fd4b",
    modality="scRNA-seq",
    species=("human",),
    gene_ids="symbol",
    context_length=16_907,
    weights=Weights(
        kind="manual",
        place="a share link in the README of the repository (panglao_pretrained.pth)",
        licence="GPL-3.0-only (the licence file names them)",
    ),
    paper="https://doi.org/10.1038/s42256-022-00534-z",
    bib_key="yang2022scbert",
    corpus="PanglaoDB: 1.1 million human cells of 74 tissues",
    corpus_names=("PanglaoDB",),
    notes=("About 9 s for two cells and one layer on a CPU.",),
    runnable=False,
    reason="it defines no embedding of a cell (states of 16,907 genes and a head that has to be trained), so there is "
    "nothing to reproduce; the code is under the GPL",
)

TABULA = ModelCard(
    name="tabula",
    target="",
    family="rna",
    summary="A tabular transformer over 1,200 binned genes, trained without sharing data between tissues.",
    needs=("counts",),
    dimension=192,
    licence="own non-commercial licence",
    commercial=False,
    source="github.com/aristoteleo/tabula, commit 7f6280a",
    modality="scRNA-seq",
    species=("human",),
    gene_ids="symbol",
    context_length=1200,
    weights=Weights(kind="manual", place="Google Drive, one file for every tissue (linked from the repository)"),
    paper="https://papers.nips.cc/paper_files/paper/2025/hash/95d590995a8722259c61e094b62b25ac-Abstract-Conference.html",
    bib_key="ding2025tabula",
    runnable=False,
    reason="the licence is non-commercial, every checkpoint is of one tissue with its own 1,200 genes, and attention "
    "is that of flash-attn in half precision, which has no reference on a CPU",
)

CELLFM = ModelCard(
    name="cellfm",
    target="",
    family="rna",
    summary="A retention network over 2,048 genes drawn by their expression.",
    needs=("counts",),
    needs_rng=True,
    dimension=1536,
    licence="CC-BY-NC-ND-4.0",
    commercial=False,
    source="github.com/biomed-AI/CellFM, commit 7655797; CellFM-torch, commit b6c3673",
    modality="scRNA-seq",
    species=("human",),
    gene_ids="symbol",
    context_length=2048,
    weights=Weights(kind="hub", place="ShangguanNingyuan/CellFM"),
    paper="https://doi.org/10.1038/s41467-025-59926-5",
    bib_key="zeng2025cellfm",
    corpus="About 100 million human cells",
    runnable=False,
    reason="the weights are MindSpore checkpoints, which need MindSpore to be read, and the licence (CC BY-NC-ND) "
    "forbids derivatives",
)

GENEMAMBA = ModelCard(
    name="genemamba",
    target="",
    family="rna",
    summary="Ranked genes through a state-space model in both directions.",
    needs=("counts",),
    licence="not verified",
    commercial=None,
    source="huggingface.co/mineself2016/GeneMamba; arXiv 2504.16956",
    modality="scRNA-seq",
    species=("human",),
    gene_ids="ensembl",
    weights=Weights(kind="hub", place="mineself2016/GeneMamba", note="Loads code from the hub."),
    paper="https://arxiv.org/abs/2504.16956",
    bib_key="qi2025genemamba",
    corpus="Nearly 30 million cells, or over 50 million: the versions of the abstract differ",
    notes=(
        "The page of the weights names no licence; the list of its files has one of Apache-2.0, which was not read.",
        "The species and the kind of gene ids are second-hand.",
    ),
    runnable=False,
    reason="it runs through code from the hub, which stfmkit never executes, and its layers need the CUDA kernels of "
    "mamba-ssm, so a port cannot be checked on a CPU",
)

C2S_SCALE = ModelCard(
    name="c2s-scale",
    target="",
    family="rna",
    summary="Cell2Sentence: the names of the highest genes as a sentence for a large language model.",
    needs=("counts",),
    needs_rng=True,
    licence="CC-BY-NC-ND-4.0 (code), CC-BY-4.0 (weights)",
    commercial=False,
    source="github.com/vandijklab/cell2sentence, commit b2bea70; PyPI cell2sentence 1.2.0",
    modality="scRNA-seq",
    species=("human", "mouse"),
    gene_ids="symbol",
    weights=Weights(
        kind="hub",
        place="vandijklab/C2S-Scale-Gemma-2-27B",
        licence="CC-BY-4.0",
        note="Also C2S-Scale-Gemma-2-2B, CC-BY-4.0. The Pythia models have licences of their own, some of them "
        "CC-BY-NC-ND-4.0. Gemma 2, which it was made from, has terms of use.",
    ),
    paper="https://doi.org/10.1101/2025.04.14.648850",
    bib_key="rizvi2025c2s",
    corpus="Over 57 million human and mouse cells of CELLxGENE and the Human Cell Atlas, with texts",
    corpus_names=("CELLxGENE", "Human Cell Atlas"),
    notes=("The original averages over padding and draws a prompt for every cell: its vectors depend on the batch.",),
    runnable=False,
    reason="2 to 27 billion parameters need a GPU and transformers, and the code is under CC BY-NC-ND",
)

HEIST = ModelCard(
    name="heist",
    target="",
    family="spatial",
    summary="A graph of cells whose nodes are graphs of genes.",
    needs=("counts", "coordinates", "composition"),
    uses_neighbors=True,
    dimension=256,
    licence=UNKNOWN,
    commercial=False,
    source="github.com/Graph-and-Geometric-Learning/HEIST, commit 449cdb0",
    modality="spatial transcriptomics and proteomics",
    gene_ids="symbol",
    paper="https://arxiv.org/abs/2506.11152",
    bib_key="madhu2026heist",
    corpus="22.3 million cells of 124 tissues and 15 organs",
    runnable=False,
    reason="no weights are published, the repository has no licence file, and its script for embeddings does not run "
    "as published",
)

ST_ALIGN = ModelCard(
    name="st-align",
    target="",
    family="hybrid",
    summary="Contrastive alignment of histology and expression, of spots and of their niches.",
    needs=("counts", "coordinates"),
    uses_neighbors=True,
    dimension=512,
    licence=UNKNOWN,
    commercial=False,
    source="github.com/dumbgoos/ST-Align",
    modality="Visium with histology",
    species=("human",),
    paper="https://arxiv.org/abs/2411.16793",
    bib_key="lin2024stalign",
    corpus="1.3 million pairs of spot and niche from 573 human Visium slices (STimage-1K4M)",
    corpus_names=("STimage-1K4M",),
    runnable=False,
    reason="no weights are published, and the repository has no licence file; it also needs UNI, which is gated",
)

SCHYENA = ModelCard(
    name="schyena",
    target="",
    family="rna",
    summary="All genes of a cell of the brain through Hyena operators in both directions.",
    needs=("counts",),
    licence="not verified",
    commercial=None,
    source="arXiv 2310.02713",
    modality="scRNA-seq of the brain",
    paper="https://arxiv.org/abs/2310.02713",
    bib_key="oh2023schyena",
    notes=("Known from the abstract of the paper only; the species and the data of the training were not verified.",),
    runnable=False,
    reason="neither code nor weights were found",
)

BIO_DTA = ModelCard(
    name="bio-dta",
    target="",
    family="rna",
    summary="DNA sequences of genes, through an adapter, as tokens of a single-cell model.",
    needs=("counts",),
    licence="not verified",
    commercial=None,
    source="arXiv 2504.13049",
    modality="scRNA-seq and DNA sequence",
    paper="https://arxiv.org/abs/2504.13049",
    bib_key="zhao2025biodta",
    notes=(
        "Known from the abstract of the paper only; species, sizes and the data of the training were not verified.",
    ),
    runnable=False,
    reason="neither code nor weights were found, and it reads the DNA sequence of every gene besides the counts",
)

TEDDY = ModelCard(
    name="teddy",
    target="",
    family="rna",
    summary="Ranked (TEDDY-G) or binned (TEDDY-X) genes with disease, tissue and cell type as supervision.",
    needs=("counts",),
    licence="Apache-2.0",
    source="huggingface.co/Merck/TEDDY",
    modality="scRNA-seq",
    species=("human", "mouse"),
    gene_ids="ensembl",
    weights=Weights(
        kind="hub",
        place="Merck/TEDDY",
        note="TEDDY-G of 70, 160 and 400 million parameters; TEDDY-X is not released.",
    ),
    paper="https://arxiv.org/abs/2503.03485",
    bib_key="chevalier2025teddy",
    corpus="116 million cells of human and mouse",
    notes=("Facts are from the README and the abstract; the width and the context length were not verified.",),
    runnable=False,
    reason="its licence allows it and its weights are public, but it is not implemented yet",
)

SCINTERPRETER = ModelCard(
    name="scinterpreter",
    target="",
    family="rna",
    summary="Embeddings of gene descriptions, of the 2,048 highest genes, through a frozen language model.",
    needs=("counts",),
    licence="not verified",
    commercial=None,
    source="arXiv 2402.12405",
    modality="scRNA-seq",
    species=("human", "mouse"),
    gene_ids="symbol",
    context_length=2048,
    paper="https://arxiv.org/abs/2402.12405",
    bib_key="li2024scinterpreter",
    notes=("Known from the paper only: text-embedding-ada-002 for genes, Llama-13b for cells.",),
    runnable=False,
    reason="no weights were found; it needs a commercial service for the genes and a language model of 13 billion "
    "parameters, and is trained for cell types only",
)

CARDS = (
    GENECOMPASS,
    SCBERT,
    TABULA,
    CELLFM,
    GENEMAMBA,
    C2S_SCALE,
    HEIST,
    ST_ALIGN,
    SCHYENA,
    BIO_DTA,
    TEDDY,
    SCINTERPRETER,
)
