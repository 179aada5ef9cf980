"""Every model keeps the contract under every choice of every option, networks with random weights of small sizes."""

import inspect
import types
from dataclasses import replace
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np
import pandas as pd
import pytest
from tests.models.zoo.test_all import OPTIONS, networks

import stfmkit as sk
from stfmkit.models._load_model import make_model, model_class
from stfmkit.models.contract import Block
from stfmkit.models.options import option_parameters
from stfmkit.testing import check_model, example_block

BASELINES = list(sk.models.list_models(family="baseline")["name"])
NAMES = [*BASELINES, *sorted(networks())]

TABLE = pd.DataFrame({"symbol": [f"GENE{i}" for i in range(20)], "ensembl": [f"ENSG{i:011d}" for i in range(20)]})
COMMON: dict[str, list[dict[str, Any]]] = {
    "weights": [{}],
    "config": [{}],
    "batch_size": [{"batch_size": 5}],
    "device": [{"device": "cpu"}],
    "dtype": [{"dtype": "float32"}],
    "gene_key": [{"gene_key": "other"}],
    "gene_table": [{"gene_table": TABLE}],
}
"""Choices of the options that all networks share."""

CHOICES: dict[str, dict[str, list[dict[str, Any]]]] = {
    "celltype_composition": {"n_neighbors": [{"n_neighbors": 0}, {"n_neighbors": 3}]},
    "hvg_pca": {"n_genes": [{"n_genes": 8}], "n_components": [{"n_components": 3}]},
    "neighbor_pca": {"n_neighbors": [{"n_neighbors": 3}], "n_components": [{"n_components": 3}]},
    "random": {"dimension": [{"dimension": 3}]},
    "random_smooth": {"dimension": [{"dimension": 3}], "n_neighbors": [{"n_neighbors": 2}]},
    "geneformer-v1": {
        "emb_mode": [{"emb_mode": "cell"}],
        "emb_layer": [{"emb_layer": 0}, {"emb_layer": -2}],
        "dictionaries": [{"dictionaries": "gc30M"}],
    },
    "geneformer-v2": {
        "emb_layer": [{"emb_layer": 0}, {"emb_layer": -2}],
        "dictionaries": [{"dictionaries": "gc95M"}],
    },
    "cellama": {
        "top_k": [{"top_k": 3}],
        "obs_features": [{"obs_features": "region"}, {"obs_features": ["region", "types"]}],
        "cellname": [{"cellname": "types"}, {"cellname": "types", "obs_features": ["region"]}],
        "n_neighs": [{"n_neighs": 2, "cellname": "types"}],
        "nearest_cells_name": [{"nearest_cells_name": "around", "cellname": "types"}],
    },
    "scgpt": {"max_length": [{"max_length": 8}]},
    "scgpt-spatial": {"max_length": [{"max_length": 8}]},
    "nicheformer": {
        "modality": [{"modality": "dissociated"}],
        "species": [{"species": "mouse"}],
        "technology": [{"technology": "cosmx"}, {"technology": "10x 3' v3"}],
        "layer_index": [{"layer_index": 0}],
    },
    "uce": {
        "species": [{"species": "mouse"}],
        "exact": [{"exact": False}, {"exact": True}, {"exact": True, "batch_size": 3}],
        "n_genes": [{"n_genes": 4}],
        "chrom_token_offset": [{"chrom_token_offset": 4}],
    },
    "scimilarity": {"min_genes": [{"min_genes": 3}]},
    "scfoundation": {
        "tgthighres": [{"tgthighres": "f2"}, {"tgthighres": "a1"}],
        "pre_normalized": [{"pre_normalized": "F"}, {"pre_normalized": "T"}],
        "total_key": [{"pre_normalized": "A", "total_key": "total"}],
    },
    "transcriptformer": {
        "assay": [{"assay": "unknown"}],
        "assay_key": [{"assay": None, "assay_key": "assay"}],
        "pretrained_embedding": [{}],  # of a checkpoint only
    },
    "cellplm": {"batch_key": [{"batch_key": "batch"}, {"batch_key": "batch", "batch_size": 3}]},
    "stofm": {
        "split_num": [{"split_num": 5}],
        "leiden_res": [{"leiden_res": 0.5}],
        "leiden_alpha": [{"leiden_alpha": 0.8}],
        "hyper_key": [{"hyper_key": "cluster"}],
    },
    "stformer": {
        "max_niche_cell_num": [{"max_niche_cell_num": 3}],
        "spot_key": [{"spot_key": "spot", "abundance_key": "abundance"}],
        "abundance_key": [{"spot_key": "spot", "abundance_key": "abundance", "on_empty": "zero"}],
    },
}
"""Choices of options that no annotation lists, each with what it needs beside it."""


def annotated_choices(name: str, parameter: inspect.Parameter) -> list[dict[str, Any]]:
    """Return the choices that the annotation of an option lists: those of a switch or of a literal."""
    parts = [parameter.annotation]
    if get_origin(parameter.annotation) in {Union, types.UnionType}:
        parts = list(get_args(parameter.annotation))
    if bool in parts:
        return [{name: False}, {name: True}]
    return [{name: value} for part in parts if get_origin(part) is Literal for value in get_args(part)]


def choices(model: str) -> dict[str, list[dict[str, Any]]]:
    """Return the choices of every option of a model."""
    found = {}
    for name, parameter in option_parameters(model_class(sk.models.model_card(model))).items():
        found[name] = CHOICES.get(model, {}).get(name) or annotated_choices(name, parameter) or COMMON.get(name, [])
    return found


def cases() -> list[Any]:
    """Return (model, options) of every choice; the defaults come first."""
    made = []
    for model in NAMES:
        every = [{}, *(choice for several in choices(model).values() for choice in several if choice)]
        distinct = [choice for i, choice in enumerate(every) if repr(choice) not in map(repr, every[:i])]
        names = [", ".join(f"{k}={'frame' if v is TABLE else v}" for k, v in choice.items()) for choice in distinct]
        made += [pytest.param(model, choice, id=f"{model}: {n}") for n, choice in zip(names, distinct, strict=True)]
    return made


@pytest.fixture(scope="module")
def block() -> Block:
    """Two samples with all columns that any option names."""
    made = example_block(n_obs=24, n_genes=20, n_samples=2)
    number = np.arange(made.n_obs)
    obs = {
        "batch": np.where(number % 4 < 2, "a", "b"),
        "types": np.array(["T cell", "B cell", "tumour"])[number % 3],
        "region": np.where(number < 12, "core", "rim"),
        "cluster": np.array(["c1", "c2", "c3"])[number // 2 % 3],
        "spot": np.array([f"s{i}" for i in number // 6]),
        "abundance": (1.0 + number % 5).astype(str),
        "assay": np.full(made.n_obs, "unknown"),
        "total": (500 + number).astype(str),
    }
    return replace(made, obs=obs, var={"other": made.genes.to_numpy(dtype=object)})


@pytest.mark.parametrize("model", NAMES)
def test_no_option_is_forgotten(model: str) -> None:
    assert {name for name, several in choices(model).items() if not several} == set()
    assert set(CHOICES.get(model, {})) <= set(choices(model))


def base(model: str) -> dict[str, Any]:
    return {} if model in BASELINES else {"weights": "random", **OPTIONS[model]}


@pytest.mark.parametrize(("model", "options"), cases())
def test_every_choice_keeps_the_contract(model: str, options: dict[str, Any], block: Block) -> None:
    check_model(model, block=block, **base(model) | options)


@pytest.mark.parametrize("model", [name for name in NAMES if name not in BASELINES])
def test_requirements_are_told_before_anything_is_opened(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_args: Any) -> None:
        pytest.fail("weights were looked for")

    monkeypatch.setattr("stfmkit.models.nets.checkpoint.resolve_weights", opened)
    options = {name: value for name, value in OPTIONS[model].items() if name != "config"}
    made = make_model(model, **options)
    card = sk.models.model_card(model)
    assert made.requirements().needs == card.needs
    assert made.requirements().whole_samples == card.uses_neighbors
    assert made.options()["weights"] is None
