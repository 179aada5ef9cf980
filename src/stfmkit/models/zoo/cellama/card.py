"""The cards of CELLama; data only."""

from dataclasses import replace

from stfmkit.models.card import ModelCard, WeightFile, Weights

_SHARED = {
    "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
    "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
"""The files that all-MiniLM-L6-v2 and all-MiniLM-L12-v2 share."""

_REVISIONS = {
    "all-MiniLM-L6-v2": "1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
    "all-MiniLM-L12-v2": "a50ef00143b4d5391434df20ae11632588ac25be",
}
_CHECKSUMS = {
    "all-MiniLM-L6-v2": _SHARED
    | {
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
    },
    "all-MiniLM-L12-v2": _SHARED
    | {
        "config.json": "bc451f333af67312ba0de5018ef1c9ba663cb18549443e568f0bd35262dc1c48",
        "model.safetensors": "d2d541e5f101695ae495eacd867a8d025ecfe8f9674fb23aa6cf93cdb60a5542",
        "sentence_bert_config.json": "70f4448f31320443fe3557cacea5abf2dcc4915dda8c80646bec9f3bb0aa5a1f",
    },
}

_SENTENCES = ("config.json", "model.safetensors", "modules.json", "sentence_bert_config.json", "1_Pooling/config.json",
              "tokenizer.json")  # fmt: skip


def _sentences(name: str) -> Weights:
    return Weights(
        kind="hub",
        place=f"sentence-transformers/{name}",
        revision=_REVISIONS[name],
        files=tuple(WeightFile(path, _CHECKSUMS[name][path]) for path in _SENTENCES),
    )


CELLAMA = ModelCard(
    name="cellama",
    target="stfmkit.models.zoo.cellama.model:CELLama",
    family="rna",
    summary="CELLama: a sentence with the highest genes of an observation, embedded by a language model.",
    needs=("expression",),
    dimension=384,
    licence="Apache-2.0",
    source="github.com/portrai-io/CELLama",
    extra="torch",
    modality="English text",
    gene_ids="symbol",
    context_length=256,
    weights=_sentences("all-MiniLM-L6-v2"),
    paper="https://doi.org/10.1101/2024.05.08.593094",
    bib_key="choi2024cellama",
    corpus="1.17 billion pairs of English sentences; no transcriptomes, unless a fine-tuned folder is given",
    corpus_names=(),
    notes=(
        "Equal values are ordered by symbol; the order of the original is not defined there.",
        "As in the original, observations with few expressed genes list others as well, here in alphabetical order.",
        "drop_zeros=True lists expressed genes only.",
        "Sentences longer than the language model reads are cut at its end (256 word pieces for L6, 128 for L12).",
        "With cellname= the sentence lists the cell types of the nearest neighbours, and the vector depends on them.",
    ),
)

CELLAMA_TAGS = (replace(CELLAMA, name="cellama.l12", weights=_sentences("all-MiniLM-L12-v2"), context_length=128),)

CARDS = (CELLAMA, *CELLAMA_TAGS)
