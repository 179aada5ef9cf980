"""Every network of the registry, by its name alone."""

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from tests.models.zoo._cases import gene_ids, synthetic_counts
from tests.models.zoo._parity import assert_parity

import stfmkit as sk
from stfmkit.errors import InputError

BERT = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12}
OPTIONS: dict[str, dict[str, Any]] = {
    "geneformer-v1": {"config": BERT},
    "geneformer-v2": {"config": BERT},
    "sccello": {"config": BERT},
    "cellama": {"config": BERT},
    "scgpt": {"config": {"embsize": 8, "nheads": 2, "d_hid": 12, "nlayers": 2}},
    "scgpt-spatial": {"config": {"embsize": 8, "nheads": 2, "d_hid": 12, "nlayers": 2}},
    "nicheformer": {
        "config": {"dim_model": 8, "nheads": 2, "dim_feedforward": 8, "nlayers": 2, "context_length": 20},
        "modality": "spatial",
        "species": "human",
        "technology": "xenium",
    },
    "uce": {
        "config": {"token_dim": 8, "d_model": 8, "nhead": 2, "d_hid": 8, "nlayers": 2, "output_dim": 8, "hidden": 8},
        "species": "human",
        "n_genes": 16,
    },
    "scimilarity": {"config": {"hidden": [16, 8], "latent": 4}},
    "scfoundation": {"config": {"hidden_dim": 8, "heads": 2, "depth": 2, "bin_num": 6}},
    "transcriptformer": {
        "config": {"embed_dim": 8, "model_dim": 8, "num_heads": 2, "num_layers": 2, "gene_dim": 8, "seq_len": 40},
        "assay": "unknown",
        "gene_order": "vocabulary",
    },
    "cellplm": {"config": {"enc_hid": 16, "enc_layers": 2, "enc_head": 4, "post_latent_dim": 6}},
    "stofm": {
        "config": {
            "cell_hidden_size": 16,
            "cell_num_hidden_layers": 1,
            "cell_intermediate_size": 16,
            "input_dim": 8,
            "num_hidden_layers": 2,
            "ffn_embedding_dim": 16,
            "num_attention_heads": 4,
            "gaussian_hidden_dim": 8,
        },
        "split_num": 12,
    },
    "stformer": {"config": {"width": 8, "heads": 2, "hidden": 12, "n_layers": 2, "n_bins": 6}},
}
"""Sizes that a test can afford, and what a user has to decide."""


def networks() -> set[str]:
    """Return the names of all networks that can be run, without tags."""
    listed = sk.models.list_models(runnable=True)
    names = listed.loc[listed["family"] != "baseline", "name"]
    return {name.partition(".")[0] for name in names}


def test_no_network_is_forgotten() -> None:
    assert networks() == set(OPTIONS)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_part_without_a_known_gene_is_zero_and_moves_no_other(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = sk.models.load_model(name, weights="random", on_empty="zero", rng=0, **OPTIONS[name])
    monkeypatch.setattr(type(model), "rows_per_part", 4)
    symbols = model.card.gene_ids != "ensembl"
    cells = synthetic_counts([f"GN{i}" for i in range(40)] if symbols else gene_ids(40), n_obs=12)
    cells.obs["sample"] = np.repeat(["a", "b", "c"], 4)
    gone = np.repeat([True, False, True], 4)
    holed = cells.copy()
    holed.X = sparse.csr_matrix(cells.X.multiply(~gone[:, None]))
    sk.tl.embed(holed, model, sample_key="sample", key_added="X_holed")
    rest = cells[~gone].copy()
    sk.tl.embed(rest, model, sample_key="sample", key_added="X_rest")
    assert not holed.obsm["X_holed"][gone].any()
    assert_parity(holed.obsm["X_holed"][~gone], rest.obsm["X_rest"])
    assert np.abs(rest.obsm["X_rest"]).max(axis=1).all()
    with pytest.raises(InputError, match=rf"none of the 8 observations has a count of a gene that {name!r} knows"):
        sk.tl.embed(holed[gone].copy(), model, sample_key="sample")


@pytest.mark.parametrize("name", OPTIONS)
def test_the_card_says_what_a_reader_needs(name: str) -> None:
    card = sk.models.model_card(name)
    facts = card.facts()
    for label in ("summary", "licence", "weights", "trained on", "source", "paper"):
        assert facts.get(label), label
    assert card.notes
    assert card.bib_key
    assert all(note.endswith(".") for note in card.notes)
    assert card._repr_html_().count("<tr>") == len(facts)


def test_cards_of_what_cannot_be_run_say_why() -> None:
    wanted = {"genecompass", "scbert", "tabula", "cellfm", "genemamba", "c2s-scale", "heist", "st-align", "schyena"}
    wanted |= {"bio-dta", "teddy", "scinterpreter"}
    listed = sk.models.list_models(runnable=False).set_index("name")
    assert wanted <= set(listed.index)
    assert (listed.loc[sorted(wanted), "reason"].str.len() > 20).all()
