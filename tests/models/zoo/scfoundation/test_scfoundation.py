"""scFoundation against its original: tokens, layers and vectors for every option, and what it refuses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
import torch
from anndata import AnnData
from tests.models.zoo._blocks import block_for
from tests.models.zoo._cases import synthetic_counts
from tests.models.zoo._parity import assert_parity
from tests.models.zoo._published import DATA, Bomb, change_state, copy_of, cut

import stfmkit as sk
from stfmkit.errors import InputError, MissingFileError, MissingKeyError
from stfmkit.models.card import ModelCard
from stfmkit.models.zoo.scfoundation.card import CARDS
from stfmkit.models.zoo.scfoundation.model import ScFoundation

FOLDER = DATA / "scfoundation"
TINY = {"hidden_dim": 8, "heads": 2, "depth": 2, "bin_num": 6}
RUNS = {
    "all": {},
    "max": {"pool": "max"},
    "f2": {"tgthighres": "f2"},
    "a1": {"tgthighres": "a1"},
    "rde": {"key": "rde"},
    "logged": {"pre_normalized": "T"},
    "appended": {"pre_normalized": "A", "total_key": "total"},
}


@pytest.fixture(autouse=True)
def registered(known: dict[str, ModelCard]) -> None:
    """The cards of this model are known."""
    known.update({card.name: card for card in CARDS})


def synthetic() -> AnnData:
    """The cells of the fixture."""
    return synthetic_counts([*[f"GENE{i}" for i in range(1, 81)], "UNKNOWN1"], n_obs=10, seed=3)


def logged() -> AnnData:
    """The cells of the fixture as logarithms of known genes, with their totals."""
    cells = synthetic()
    cells = cells[:, cells.var_names != "UNKNOWN1"].copy()
    counts = cells.X.toarray()
    cells.obs["total"] = counts.sum(axis=1).astype(int)
    cells.X = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4)
    return cells


def embedded(cells: AnnData, *, weights: Path | str = FOLDER, **options: Any) -> np.ndarray:
    """Return the embedding through the public verb."""
    sk.tl.embed(cells, "scfoundation", weights=weights, **options)
    return cells.obsm["X_scfoundation"]


def prepared(cells: AnnData, **options: Any) -> tuple[ScFoundation, Any]:
    """Return the model and its tokens."""
    model = ScFoundation(weights=FOLDER, **options)
    return model, model.prepare(block_for(cells, model))


def test_tokens_and_states_are_those_of_the_original() -> None:
    wanted = np.load(FOLDER / "synthetic.npz")
    model, tokens = prepared(synthetic())
    for name in ("indptr", "ids", "values"):
        np.testing.assert_array_equal(getattr(tokens, name), wanted[name])
    batch = model.collate(tokens)
    last = batch["keep"].sum(dim=1) - 1
    states = [state[torch.arange(10), last] for state in model.module.states(batch)[1:]]
    assert_parity(torch.stack(states, dim=1).numpy(), wanted["last_states"])


@pytest.mark.parametrize("case", RUNS)
def test_embeddings_are_those_of_the_original(case: str) -> None:
    cells = logged() if "pre_normalized" in RUNS[case] else synthetic()
    wanted = np.load(FOLDER / "synthetic.npz")[case]
    assert_parity(embedded(cells, **RUNS[case]), wanted)


@pytest.mark.real_data
@pytest.mark.filterwarnings("ignore::stfmkit.errors.StfmkitWarning")
@pytest.mark.parametrize("pool", ["all", "max"])
def test_real_cells_as_in_the_original(real_data: Path, pool: str) -> None:
    wanted = np.load(FOLDER / "real.npz")
    cells = ad.read_h5ad(real_data / "breast_xenium_roi.h5ad")[::420][:40].copy()
    _, tokens = prepared(cells)
    for name in ("indptr", "ids", "values"):
        np.testing.assert_array_equal(getattr(tokens, name), wanted[name])
    assert_parity(embedded(cells, pool=pool), wanted[pool])


def test_the_layout_of_the_repository(tmp_path: Path) -> None:
    folder = copy_of("scfoundation", tmp_path)
    folder.rename(tmp_path / "model")
    for place in (tmp_path, tmp_path / "model/models", tmp_path / "model/models/models.ckpt"):
        np.testing.assert_array_equal(embedded(synthetic(), weights=place), embedded(synthetic()))


@pytest.mark.parametrize("pool", ["all", "max"])
def test_rows_columns_and_batches_do_not_matter(pool: str) -> None:
    cells = synthetic()
    whole = embedded(cells, pool=pool)
    draw = np.random.default_rng(0)
    rows, genes = draw.permutation(cells.n_obs), draw.permutation(cells.n_vars)
    turned = embedded(cells[rows][:, genes].copy(), pool=pool, batch_size=1)
    assert_parity(turned, whole[rows])


def test_genes_of_the_same_symbol_are_added_up() -> None:
    cells = synthetic()
    twice = ad.concat([cells, cells], axis=1, index_unique="-")
    twice.obsm = cells.obsm
    twice.var["symbol"] = twice.var_names.str.partition("-").get_level_values(0)
    doubled = cells.copy()
    doubled.X = cells.X * 2
    assert_parity(embedded(twice, gene_key="symbol"), embedded(doubled))


@pytest.mark.parametrize("options", [{}, {"pool": "max"}])
def test_the_contract_holds_for_a_random_twin(options: dict[str, str]) -> None:
    sk.testing.check_model("scfoundation", weights="random", config=TINY, **options)


def lonely() -> AnnData:
    """Cells of which the third has one count, and the fourth none that is known."""
    cells = synthetic()
    counts = cells.X.toarray()
    counts[2] = cells.var_names == "GENE5"
    counts[3] = cells.var_names == "UNKNOWN1"
    cells.X = counts
    return cells


def test_without_depth_there_is_no_token_for_it() -> None:
    _, tokens = prepared(lonely(), pool="max", on_empty="zero")
    third = tokens.take(np.array([2]))
    assert third.lengths.tolist() == [2]
    np.testing.assert_allclose(np.asarray(third.values), [np.log1p(1e4), 4.0])


def test_cells_that_cannot_be_pooled_are_refused() -> None:
    with pytest.raises(InputError, match=r"1 of 10 observations have too few tokens to pool \('cell2'\)"):
        embedded(lonely(), on_empty="zero")
    with pytest.raises(InputError, match=r"1 of 10 observations have no count of a gene.*cell3"):
        embedded(lonely(), pool="max")
    assert (embedded(lonely(), pool="max", on_empty="zero")[3] == 0).all()


@pytest.mark.parametrize("value", ["4", "t", "x4", "f0", "f-1", "t4x"])
def test_a_resolution_that_is_none(value: str) -> None:
    with pytest.raises(InputError, match=r"tgthighres='.*'\.\nAllowed: 't4' \(T is 4\)"):
        ScFoundation(weights=FOLDER, tgthighres=value).load()


@pytest.mark.parametrize("options", [{"pre_normalized": "A"}, {"total_key": "total"}])
def test_totals_belong_to_one_kind_of_input(options: dict[str, str]) -> None:
    with pytest.raises(MissingKeyError, match="total_key= with pre_normalized='A', and only then"):
        ScFoundation(weights=FOLDER, **options).load()


@pytest.mark.parametrize(("option", "value"), [("pool", "mean"), ("pre_normalized", "no"), ("key", "ce")])
def test_unknown_choices_are_refused(option: str, value: str) -> None:
    with pytest.raises(InputError, match=f"{option}='{value}'"):
        ScFoundation(weights=FOLDER, **{option: value}).load()


def test_logarithms_are_refused_as_counts() -> None:
    with pytest.raises(InputError, match="raw counts"):
        embedded(logged())


def test_totals_that_are_none() -> None:
    cells = logged()
    cells.obs["total"] = "many"
    with pytest.raises(InputError, match=r"10 of 10 total counts in obs\['total'\] are no numbers above zero: 'many'"):
        embedded(cells, pre_normalized="A", total_key="total")


CKPT = "models/models.ckpt"
LIST = "OS_scRNA_gene_index.19264.tsv"
FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "another model": (lambda f: torch.save({"a": torch.ones(2)}, f / CKPT), "key='cell' without 'cell'; it holds 'a'"),
    "missing key": (lambda f: change_state(f / CKPT, lambda s: s["state_dict"].pop("model.pos_emb.weight"),
                                           inside="cell"),
                    r"1 missing \('pos_emb\.weight'\)"),
    "further key": (lambda f: change_state(f / CKPT, lambda s: s["state_dict"].update(x=torch.ones(1)), inside="cell"),
                    r"1 not known \('x'\)"),
    "other shape": (lambda f: change_state(f / CKPT, lambda s: s["state_dict"].update(
        {"model.encoder.norm.bias": torch.ones(3)}), inside="cell"), r"encoder_norm\.bias: \(3,\) instead of \(16,\)"),
    "no config": (lambda f: change_state(f / CKPT, lambda s: s.pop("config"), inside="cell"), "without 'config'"),
    "cut": (lambda f: cut(f / CKPT), "models.ckpt .* cannot be read"),
    "bomb": (lambda f: torch.save({"cell": Bomb(f / "mark")}, f / CKPT), "holds more than tensors"),
    "shorter list": (lambda f: (f / LIST).write_text("gene_name\tindex\nGENE1\t0\n"), "247 genes, and 1 genes in"),
    "no list": (lambda f: (f / LIST).unlink(), "no OS_scRNA_gene_index"),
    "other list": (lambda f: (f / LIST).write_text("GENE1\nGENE2\n"), "columns 'GENE1' and 1 rows"),
    "disordered list": (lambda f: (f / LIST).write_text("gene_name\tindex\nGENE1\t1\n"), "gene_name and index"),
    "empty list": (lambda f: (f / LIST).write_text(""), "columns nothing and 0 rows"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_folder_is_refused(tmp_path: Path, fault: str) -> None:
    damage, message = FAULTS[fault]
    folder = copy_of("scfoundation", tmp_path)
    damage(folder)
    with pytest.raises((InputError, MissingFileError), match=message):
        embedded(synthetic(), weights=folder)
    assert not (folder / "mark").exists()


def test_genes_of_another_species_are_refused() -> None:
    cells = synthetic()
    cells.var_names = [f"Gene{i}" for i in range(cells.n_vars)]
    with pytest.raises(InputError, match=r"none of the 81 genes .* is in the vocabulary of 'scfoundation'"):
        embedded(cells)


def test_the_card_says_who_may_use_it() -> None:
    card = sk.models.model_card("scfoundation")
    assert not card.commercial
    assert "commercial use: no" in repr(card)
