"""stFormer against its original: niches, tokens, layers and vectors, and what it refuses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData
from tests.models.zoo._blocks import block_for
from tests.models.zoo._cases import synthetic_counts
from tests.models.zoo._parity import assert_parity
from tests.models.zoo._published import DATA, copy_of, cut

import stfmkit as sk
from stfmkit.errors import InputError, MissingFileError, MissingKeyError
from stfmkit.models.card import ModelCard
from stfmkit.models.zoo.scfoundation.card import CARDS
from stfmkit.models.zoo.stformer import files as _stformer_files
from stfmkit.models.zoo.stformer.files import read_module
from stfmkit.models.zoo.stformer.model import StFormer

FOLDER = DATA / "stformer"
TINY = {"width": 8, "heads": 2, "hidden": 12, "n_layers": 2, "n_bins": 6}
RUNS = {"radius": {}, "nearest": {"niche": "nearest"}, "sc": {"mode": "sc"}}


@pytest.fixture(autouse=True)
def registered(known: dict[str, ModelCard]) -> None:
    """The cards of this model are known."""
    known.update({card.name: card for card in CARDS})


def synthetic() -> AnnData:
    """The cells of the fixture."""
    cells = synthetic_counts([*[f"GENE{i}" for i in range(1, 81)], "UNKNOWN1"], n_obs=14, seed=4)
    cells.obs["fov"] = pd.Categorical(["0"] * 14)
    return cells


def real(folder: Path) -> AnnData:
    """The real cells of the fixture."""
    wanted = np.load(FOLDER / "real.npz")
    cells = ad.read_h5ad(folder / "breast_xenium_roi.h5ad")[wanted["names"]].copy()
    cells.obs["fov"] = pd.Categorical(wanted["fov"].astype(str))
    return cells


def embedded(cells: AnnData, *, weights: Path | str = FOLDER, **options: Any) -> np.ndarray:
    """Return the embedding through the public verb."""
    fields = {} if options.get("mode") == "sc" else {"sample_key": "fov"}
    sk.tl.embed(cells, "stformer", weights=weights, **({"max_niche_cell_num": 5} | fields | options))
    return cells.obsm["X_stformer"]


def assert_tokens(cells: AnnData, wanted: Any) -> None:
    """Genes and niches are those of the original."""
    model = StFormer(weights=FOLDER, max_niche_cell_num=5)
    tokens = model.prepare(block_for(cells, model, sample_key="fov"))
    row = np.repeat(np.arange(tokens.n_obs), tokens.lengths)
    values = np.asarray(tokens.values)
    own = np.arange(len(row)) - tokens.indptr[row] < tokens.rows["n_center"][row]
    for name, part in (("center", own), ("niche", ~own)):
        order = np.lexsort((values[part], tokens.ids[part], row[part]))
        np.testing.assert_array_equal(np.cumsum(np.bincount(row[part])), wanted[f"radius_{name}_indptr"][1:])
        np.testing.assert_array_equal(tokens.ids[part][order], wanted[f"radius_{name}_ids"])
        np.testing.assert_array_equal(values[part][order], wanted[f"radius_{name}_values"])
    np.testing.assert_array_equal(tokens.rows["log_share"][row[~own]], wanted["radius_niche_bias"])


def test_tokens_and_states_are_those_of_the_original() -> None:
    wanted = np.load(FOLDER / "synthetic.npz")
    assert_tokens(synthetic(), wanted)
    model = StFormer(weights=FOLDER, max_niche_cell_num=5)
    batch = model.collate(model.prepare(block_for(synthetic(), model)))
    states, _ = model.module.states(batch)
    assert_parity(states[1][:, 0].numpy(), wanted["radius_first_state"])


@pytest.mark.parametrize("case", RUNS)
def test_embeddings_are_those_of_the_original(case: str) -> None:
    wanted = np.load(FOLDER / "synthetic.npz")[f"{case}_embedding"]
    assert_parity(embedded(synthetic(), **RUNS[case]), wanted)


@pytest.mark.real_data
@pytest.mark.filterwarnings("ignore::stfmkit.errors.StfmkitWarning")
@pytest.mark.parametrize("case", RUNS)
def test_real_cells_as_in_the_original(real_data: Path, case: str) -> None:
    wanted = np.load(FOLDER / "real.npz")
    cells = real(real_data)
    if case == "radius":
        assert_tokens(cells, wanted)
    assert_parity(embedded(cells, **RUNS[case]), wanted[f"{case}_embedding"])


def spots() -> tuple[AnnData, Any, np.ndarray]:
    """Return the spots of the fixture, what the original makes of them, and the rows that it embeds, in its order."""
    wanted = np.load(FOLDER / "spots.npz")
    n_genes = wanted["expression"].shape[1]
    var = pd.DataFrame({"symbol": wanted["symbols"]}, index=[f"ENSG{i:011d}" for i in range(1, n_genes + 1)])
    obs = pd.DataFrame({"spot": wanted["spot"], "abundance": wanted["abundance"], "fov": "0"})
    cells = AnnData(wanted["expression"], obs=obs.set_index(obs.index.map("row{}".format)), var=var)
    names = pd.Series(wanted["barcodes"]).str.extract(r"slide_(.*)_")[0]
    rows = [np.flatnonzero(wanted["spot"] == name)[kind] for name, kind in zip(names, wanted["kind"], strict=True)]
    return cells, wanted, np.array(rows)


SPOTS = {"spot_key": "spot", "abundance_key": "abundance", "gene_key": "symbol"}


def test_spots_taken_apart_are_those_of_the_original() -> None:
    cells, wanted, rows = spots()
    found = embedded(cells, on_empty="zero", **SPOTS)
    assert_parity(found[rows], wanted["embedding"])
    gone = np.setdiff1d(np.arange(cells.n_obs), rows)
    assert len(gone) == 8
    assert not found[gone].any()
    kept = cells[rows].copy()
    assert_parity(embedded(kept, **SPOTS), wanted["embedding"])
    model = StFormer(weights=FOLDER, **SPOTS)
    tokens = model.prepare(block_for(kept, model))
    row = np.repeat(np.arange(tokens.n_obs), tokens.lengths)
    nth = np.arange(len(row)) - tokens.indptr[row]
    own, values = nth < tokens.rows["n_center"][row], np.asarray(tokens.values)
    for name, part in (("center", own), ("niche", ~own)):
        order = np.lexsort((values[part], tokens.ids[part], row[part]))
        np.testing.assert_array_equal(np.cumsum(np.bincount(row[part])), wanted[f"{name}_indptr"][1:])
        np.testing.assert_array_equal(tokens.ids[part][order], wanted[f"{name}_ids"])
        np.testing.assert_allclose(values[part][order], wanted[f"{name}_values"], rtol=1e-6)
    states, _ = model.module.states(model.collate(tokens))
    assert_parity(states[1][:, 0].numpy(), wanted["first_state"])


def test_rows_and_batches_of_spots_do_not_matter_and_samples_do() -> None:
    cells, wanted, rows = spots()
    kept = cells[rows].copy()
    turn = np.random.default_rng(1).permutation(kept.n_obs)
    for size in (1, 3, None):
        turned = embedded(kept[turn].copy(), batch_size=size, **SPOTS)
        assert_parity(turned, wanted["embedding"][turn])
    twice = ad.concat([kept, kept], keys=["a", "b"], index_unique="-", merge="same")
    twice.obs["fov"] = np.repeat(["a", "b"], kept.n_obs)  # the same names of spots in two samples
    assert_parity(embedded(twice, **SPOTS), np.tile(wanted["embedding"], (2, 1)))


def test_the_share_of_a_cell_type_matters() -> None:
    cells, wanted, rows = spots()
    kept = cells[rows].copy()
    kept.obs["abundance"] *= 7.5
    assert_parity(embedded(kept, **SPOTS), wanted["embedding"])  # only shares count
    kept.obs["abundance"] = 1.0
    assert np.abs(embedded(kept, **SPOTS) - wanted["embedding"]).max() > 1e-4


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (
            {},
            {},
            r"8 of 28 observations are less than 0\.05 of their spot by obs\['abundance'\]: 'row1', 'row2', 'row3'",
        ),
        (
            {"abundance": -1.0},
            {},
            r"28 of 28 abundances in obs\['abundance'\] are no numbers of at least zero: '-1\.0'",
        ),
        ({"abundance": "much"}, {}, "are no numbers of at least zero: 'much'"),
        ({}, {"abundance_key": None}, "spot_key='spot', abundance_key=None and mode='sp'"),
        ({}, {"spot_key": None}, "spot_key=None, abundance_key='abundance'"),
        ({}, {"mode": "sc"}, "abundance_key='abundance' and mode='sc'"),
        ({}, {"spot_key": "place"}, "place"),
    ],
)
def test_spots_that_are_not_right(change: dict[str, Any], options: dict[str, Any], message: str) -> None:
    cells = spots()[0]
    cells.obs = cells.obs.assign(**change)
    with pytest.raises((InputError, MissingKeyError), match=message):
        embedded(cells, **(SPOTS | options))


def test_fractions_without_spots_are_no_counts() -> None:
    cells = spots()[0]
    cells.obsm["spatial"] = np.random.default_rng(0).uniform(0, 50, size=(cells.n_obs, 2))
    with pytest.raises(InputError, match="not integers"):
        embedded(cells, gene_key="symbol")


@pytest.mark.parametrize("inside", ["pretraining/models", "pretraining/models/model_4.1M.ckpt"])
def test_the_layout_of_the_repository(inside: str) -> None:
    np.testing.assert_array_equal(embedded(synthetic(), weights=FOLDER / inside), embedded(synthetic()))


def test_all_files_in_one_folder(tmp_path: Path) -> None:
    for path in [*(FOLDER / "stformer/tokenizer").iterdir(), *(FOLDER / "pretraining/models").iterdir()]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    np.testing.assert_array_equal(embedded(synthetic(), weights=tmp_path), embedded(synthetic()))


def test_rows_columns_and_batches_do_not_matter() -> None:
    cells = synthetic()
    whole = embedded(cells)
    draw = np.random.default_rng(0)
    rows, genes = draw.permutation(cells.n_obs), draw.permutation(cells.n_vars)
    turned = embedded(cells[rows][:, genes].copy(), batch_size=5)
    assert_parity(turned, whole[rows])


def test_only_ligands_of_the_niche_are_heard() -> None:
    cells = synthetic()
    model = StFormer(weights=FOLDER)
    heard = set(model.assets.genes.names[model.assets.ligands])
    known = cells.var_names != "UNKNOWN1"
    ligands = cells.var_names.isin(heard)
    alone = embedded(cells, max_niche_cell_num=1)
    counts = cells.X.toarray()
    for changed, same in ((known & ~ligands, True), (known & ligands, False)):
        other = counts.copy()
        other[7:, changed] = np.roll(other[7:, changed], 1, axis=1)  # totals stay
        moved = cells.copy()
        moved.X = other
        np.testing.assert_array_equal(embedded(moved, max_niche_cell_num=1)[:7], alone[:7])
        assert np.array_equal(embedded(moved)[:7], embedded(cells)[:7]) == same


def test_single_cells_need_no_coordinates_and_no_neighbours() -> None:
    cells = synthetic()
    del cells.obsm["spatial"]
    whole = embedded(cells, mode="sc")
    assert_parity(embedded(cells[3:9].copy(), mode="sc"), whole[3:9])
    with pytest.raises(MissingKeyError, match="spatial"):
        embedded(cells)


@pytest.mark.parametrize("options", [{}, {"niche": "nearest", "max_niche_cell_num": 3}])
def test_the_contract_holds_for_a_random_twin(options: dict[str, Any]) -> None:
    sk.testing.check_model("stformer", weights="random", config=TINY, **options)


def test_a_random_twin_hears_its_niche() -> None:
    cells = synthetic()
    near = embedded(cells, weights="random", rng=0, config=TINY)
    assert np.abs(near - embedded(cells, weights="random", rng=0, config=TINY, mode="sc")).max() > 1e-5


def test_a_cell_without_known_genes() -> None:
    cells = synthetic()
    counts = cells.X.toarray()
    counts[3] = 5 * (cells.var_names == "UNKNOWN1")
    cells.X = counts
    with pytest.raises(InputError, match=r"1 of 14 observations have no count of a gene.*cell3"):
        embedded(cells)
    found = embedded(cells, on_empty="zero")
    assert (found[3] == 0).all()
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "bulk"}, "mode='bulk'"),
        ({"niche": "grid"}, "niche='grid'"),
        ({"max_niche_cell_num": 0}, "max_niche_cell_num=0"),
        ({"max_niche_cell_num": 51}, "1 to 50, as in the original"),
    ],
)
def test_unknown_choices_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        StFormer(weights=FOLDER, **options).load()


CKPT, WORDS = "pretraining/models/model_4.1M.ckpt", "stformer/tokenizer"


def resave(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Save the tensors of the module by name, changed."""
    tensors, _ = read_module(folder / CKPT)
    change(tensors)
    torch.save(tensors, folder / CKPT)


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "another model": (lambda f: torch.save({"a": torch.ones(2)}, f / CKPT), "with the tensors a … is not a checkpoint"),
    "missing key": (lambda f: resave(f, lambda s: s.pop("transformer_decoder.layers.0.norm3.bias")),
                    r"1 missing \('layers\.0\.norm3\.bias'\)"),
    "further key": (lambda f: resave(f, lambda s: s.update(more=torch.ones(1))), r"1 not known \('more'\)"),
    "other shape": (lambda f: resave(f, lambda s: s.update({"transformer_decoder.layers.0.norm3.bias": torch.ones(3)})),
                    r"layers\.0\.norm3\.bias: \(3,\) instead of \(16,\)"),
    "cut": (lambda f: cut(f / CKPT), r"model_4\.1M\.ckpt .* cannot be read"),
    "shorter list": (lambda f: (f / WORDS / "OS_scRNA_gene_index.19264.tsv").write_text("gene_name\tindex\nA\t0\n"),
                     "for 247 genes, and 1 genes in"),
    "no ligands": (lambda f: (f / WORDS / "ligand_database.csv").unlink(), r"no ligand_database\.csv"),
    "ligands of zeros": (lambda f: (f / WORDS / "ligand_database.csv").write_text("gene,one,two\nA,0,0\nB,1,0\n"),
                         "without a ligand"),
    "a page of ligands": (lambda f: (f / WORDS / "ligand_database.csv").write_text("<html>\n<b>404</b>\n</html>\n"),
                          "without a ligand|is not a table of ligands"),
    "a pointer of ligands": (lambda f: (f / WORDS / "ligand_database.csv").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 3\n"), "without a ligand"),
    "other ligands": (lambda f: (f / WORDS / "ligand_database.csv").write_text("gene,one\nA,yes\n"),
                      "is not a table of ligands"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    monkeypatch.setattr(_stformer_files, "_HEADS", 4)  # tensors alone do not say; twelve is that of the publication
    damage, message = FAULTS[fault]
    folder = copy_of("stformer", tmp_path)
    damage(folder)
    with pytest.raises((InputError, MissingFileError), match=message):
        embedded(synthetic(), weights=folder)


@pytest.mark.parametrize("attribute", [{"pre_norm": True}, {"cell_emb_style": "avg-pool"}])
def test_a_module_of_another_kind_is_refused(attribute: dict[str, Any]) -> None:
    from stfmkit.models.zoo.stformer.files import read_sizes

    tensors, plain = read_module(FOLDER / CKPT)
    with pytest.raises(InputError, match="the largest state, as published"):
        read_sizes(tensors, plain | attribute, n_genes=247, what="model.ckpt")


def test_genes_of_another_species_are_refused() -> None:
    cells = synthetic()
    cells.var_names = [f"Gene{i}" for i in range(cells.n_vars)]
    with pytest.raises(InputError, match=r"none of the 81 genes .* is in the vocabulary of 'stformer'"):
        embedded(cells)
