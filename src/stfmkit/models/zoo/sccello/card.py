"""The card of scCello; data only."""

from stfmkit.models.card import ModelCard, WeightFile, Weights

_TIES = "Equal values are ordered by token; the order of the original is not defined there."
_SUMMED = "Counts of genes that stand for one Ensembl id are added up."

_HUB = "https://huggingface.co/katarinayuan/scCello-zeroshot/resolve/main"
_CODE = (
    "https://raw.githubusercontent.com/DeepGraphLearning/scCello/767585b6cc2ef5a3e03234164c665e751a432194/data/"
    "token_vocabulary"
)
_TABLES = {
    "token_dictionary.pkl": "ab9dc40973fa5224d77b793e2fd114cacf3d08423ed9c4c49caf0ba9c7f218f1",
    "gene_median_dictionary.pkl": "b3b589bb5ec75040d05fc44dd6bf0184cf87f3c362cf158d196a6ed3b7fe5f39",
    "vocab_id2name.csv": "764b4e642f8b8be3a8874dc83fbad8c63eff94d1e9b14e7846bf7e4fb9cbf606",
}

SCCELLO = ModelCard(
    name="sccello",
    target="stfmkit.models.zoo.sccello.model:ScCello",
    family="rna",
    summary="scCello: ranked genes through a BERT trained with the ontology of cell types; class token.",
    needs=("counts",),
    dimension=None,
    licence="MIT (a badge in the README; the repository has no licence file)",
    commercial=None,
    source="github.com/DeepGraphLearning/scCello",
    extra="torch",
    modality="dissociated single cells",
    species=("human",),
    gene_ids="ensembl",
    context_length=2048,
    weights=Weights(
        kind="url",
        place="https://huggingface.co/katarinayuan/scCello-zeroshot",
        files=(
            *(WeightFile(name, url=f"{_HUB}/{name}") for name in ("config.json", "pytorch_model.bin")),
            *(WeightFile(name, sha, f"{_CODE}/{name}") for name, sha in _TABLES.items()),
        ),
        licence="not verified",
        note="The dictionaries lie in data/token_vocabulary of github.com/DeepGraphLearning/scCello. The checkpoint is "
        "the newest of the hub: no checksum of it is known to us.",
    ),
    paper="https://arxiv.org/abs/2408.12373",
    bib_key="yuan2024sccello",
    corpus="22 million human cells of CELLxGENE, with their cell types",
    corpus_names=("CELLxGENE",),
    notes=(
        _TIES,
        _SUMMED,
        "pass_cell_cls=True adds the head that the original puts on the class token for new cell types and drugs.",
    ),
)

CARDS = (SCCELLO,)
