"""UCE against its original: sentences, layers and embeddings, and what it refuses."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData
from scipy import sparse
from tests.models.zoo._blocks import block_for
from tests.models.zoo._cases import gene_ids, synthetic_counts
from tests.models.zoo._parity import assert_parity
from tests.models.zoo._published import DATA, Bomb, change_state, copy_of, cut

import stfmkit as sk
from stfmkit.errors import InputError, MissingFileError, MissingKeyError
from stfmkit.models.nets.tokens import Tokens
from stfmkit.models.zoo.uce.model import UCE

MADE = {"species": "human", "n_genes": 48, "chrom_token_offset": 274}
TINY = {"token_dim": 8, "d_model": 8, "nhead": 2, "d_hid": 8, "nlayers": 2, "output_dim": 8, "hidden": 8}
BATCHES = {"synthetic": 5, "real": 5, "single": 1, "chicken": 4}
CHICKEN = {"species": "chicken", "chrom_token_offset": None}
CHICKEN_GENES = [*(f"Cgene{i}" for i in range(1, 50)), "si:ckey-1.2"]
CHICKEN_PROTEINS = (
    "protein_embeddings/Gallus_gallus.bGalGal1.mat.broiler.GRCg7b.pep.all.gene_symbol_to_embedding_ESM2.pt"
)

partly_known = pytest.mark.filterwarnings("ignore:.* of the counts. most of the data are outside its vocabulary")


def synthetic() -> AnnData:
    """The cells of the fixture."""
    return synthetic_counts([*(f"Gene{i}" for i in range(1, 101)), "UNKNOWN1", "UNKNOWN2"], n_obs=12, seed=3)


def chicken() -> AnnData:
    """The cells of the fixture of a species that the publication lacks."""
    return synthetic_counts([*CHICKEN_GENES, "UNKNOWN1"], n_obs=10, seed=6)


def real(folder: Path) -> AnnData:
    """The real cells of the fixture."""
    return ad.read_h5ad(folder / "breast_xenium_roi.h5ad")[::420][:40].copy()


def embedded(cells: AnnData, *, weights: Path | str = DATA / "uce", rng: int = 0, **options: Any) -> np.ndarray:
    """Return the embedding through the public verb."""
    sk.tl.embed(cells, "uce", weights=weights, rng=rng, **(MADE | options))
    return cells.obsm["X_uce"]


def sentences_of(cells: AnnData, **options: Any) -> tuple[UCE, Tokens]:
    """Return the model and its sentences."""
    model = UCE(weights=DATA / "uce", rng=0, **(MADE | options))
    return model, model.prepare(block_for(cells, model))


def check_parity(case: str, cells: AnnData, **options: Any) -> None:
    """Compare sentences, the first layer and the embedding with those of the original."""
    wanted = np.load(DATA / f"uce/{case}.npz")
    size = BATCHES[case]
    model, tokens = sentences_of(cells, exact=True, batch_size=size, **options)
    np.testing.assert_array_equal(tokens.indptr, wanted["indptr"])
    np.testing.assert_array_equal(tokens.ids, wanted["ids"])
    for start in range(0, cells.n_obs, size):
        rows = np.arange(start, min(start + size, cells.n_obs))
        batch = model.collate(tokens.take(rows))
        raised = (~batch["keep"])[:, None, None].float()
        first = model.module(batch["ids"], keep=None, bias=raised, layers=1)
        assert_parity(first, wanted["cls_layer1"][rows])
    found = embedded(cells, exact=True, batch_size=size, **options)
    assert_parity(found, wanted["embedding"])


def test_sentences_layers_and_embeddings_are_those_of_the_original() -> None:
    check_parity("synthetic", synthetic())


@partly_known
@pytest.mark.real_data
def test_real_cells_as_in_the_original(real_data: Path) -> None:
    check_parity("real", real(real_data))


def test_the_corrected_mask_is_the_original_in_batches_of_one() -> None:
    cells = synthetic()[:5].copy()
    check_parity("single", cells)
    wanted = np.load(DATA / "uce/single.npz")["embedding"]
    model = UCE(weights=DATA / "uce", rng=0, **MADE)
    _, tokens = sentences_of(cells, exact=True)
    assert_parity(model.encode(tokens), wanted)


def test_a_further_species_by_the_files_of_the_notebook() -> None:
    check_parity("chicken", chicken(), **CHICKEN)
    check_parity("chicken", chicken(), species="chicken", chrom_token_offset=54)  # what the notebook prints
    cells = chicken()
    whole = embedded(cells, **CHICKEN)
    draw = np.random.default_rng(0)
    rows, genes = draw.permutation(cells.n_obs), draw.permutation(cells.n_vars)
    assert_parity(embedded(cells[rows][:, genes].copy(), **CHICKEN), whole[rows])
    facts = cells.uns["stfmkit"]["embed"]["results"]["X_uce"]
    assert facts["provenance"]["chrom_token_offset"] == 54
    names = {path.rpartition("/")[2] for path in facts["provenance"]["sha256"]}
    assert {"chicken_pe_tokens.torch", "chicken_offsets.pkl", "chicken_to_chrom_pos.csv"} <= names


@pytest.mark.parametrize(
    "listed", [f"model_files/{CHICKEN_PROTEINS}", CHICKEN_PROTEINS, "/elsewhere/" + CHICKEN_PROTEINS]
)
def test_a_further_species_in_the_folders_of_the_repository(tmp_path: Path, listed: str) -> None:
    folder, wanted = copy_of("uce", tmp_path), embedded(chicken(), **CHICKEN)
    for home in ("model_files", "data_proc"):
        (folder / home).mkdir()
    for path in list(folder.iterdir()):
        if path.name.startswith("chicken_"):
            path.rename(folder / "data_proc" / path.name)
        elif path.name not in ("data_proc", "model_files"):
            path.rename(folder / "model_files" / path.name)
    (folder / "model_files/new_species_protein_embeddings.csv").write_text(f"species,path\nchicken,{listed}\n")
    np.testing.assert_array_equal(embedded(chicken(), weights=folder, **CHICKEN), wanted)


def test_a_further_species_under_the_names_of_the_publication_and_after_the_published_ones(tmp_path: Path) -> None:
    folder, wanted = copy_of("uce", tmp_path), embedded(chicken(), **CHICKEN)
    places, published = (pd.read_csv(folder / f"{name}.csv") for name in ("chicken_to_chrom_pos", "species_chrom"))
    both = pd.concat([published, places])
    codes = pd.Categorical(both["species"] + "_" + both["chromosome"].astype(str))
    before = torch.load(folder / "4layer_model.torch", weights_only=True)["pe_embedding.weight"][:274]
    table = torch.load(folder / "chicken_pe_tokens.torch", weights_only=True)
    chromosomes = torch.zeros(len(codes.categories), table.shape[1])
    where = codes.categories.str.startswith("chicken")
    chromosomes[torch.from_numpy(np.array(where))] = table[54:]
    both.to_csv(folder / "species_chrom.csv")
    torch.save(torch.cat([before, table[4:54], chromosomes]), folder / "all_tokens.torch")
    (folder / "species_offsets.pkl").write_bytes(pickle.dumps({"mouse": 4, "human": 44, "chicken": 274}))
    for path in folder.glob("chicken_*"):
        path.unlink()
    assert_parity(embedded(chicken(), weights=folder, **CHICKEN), wanted)


def test_genes_after_two_names_alike_keep_their_own_rows(tmp_path: Path) -> None:
    folder, whole = copy_of("uce", tmp_path), embedded(chicken(), **CHICKEN)
    change_state(folder / CHICKEN_PROTEINS, lambda held: _insert(held, "CGENE1", at=1))
    table = torch.load(folder / "chicken_pe_tokens.torch", weights_only=True)
    torch.save(torch.cat([table[:5], torch.ones(1, table.shape[1]), table[5:]]), folder / "chicken_pe_tokens.torch")
    assert_parity(embedded(chicken(), weights=folder, **CHICKEN), whole)
    wanted = np.load(DATA / "uce/chicken.npz")["embedding"]
    shifted = embedded(chicken(), weights=folder, exact=True, batch_size=4, **CHICKEN)  # as the original counts
    assert np.abs(shifted - wanted).max() > 1e-3


def _insert(held: dict[str, Any], name: str, *, at: int) -> None:
    pairs = list(held.items())
    held.clear()
    held.update([*pairs[:at], (name, pairs[0][1]), *pairs[at:]])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda table: table[:-1], r"a table of shape \(5[0-9], 12\) for 4 tokens, 50 genes and [0-9] chromosomes"),
        (lambda table: table[:, :-1], "of width 12"),
        (lambda table: table[:, 0], "of width 12"),
        (lambda table: {"table": table}, r"chicken_pe_tokens\.torch holds a dict"),
        (lambda table: Bomb(Path("never")), "more than tensors"),
    ],
)
def test_a_table_of_a_further_species_that_is_not_right(
    tmp_path: Path, change: Callable[[torch.Tensor], Any], match: str
) -> None:
    folder = copy_of("uce", tmp_path)
    path = folder / "chicken_pe_tokens.torch"
    torch.save(change(torch.load(path, weights_only=True)), path)
    with pytest.raises(InputError, match=match):
        embedded(chicken(), weights=folder, **CHICKEN)
    cut(path)
    with pytest.raises(InputError, match="cannot be read"):
        embedded(chicken(), weights=folder, **CHICKEN)
    path.unlink()
    with pytest.raises(MissingFileError, match=r"no chicken_pe_tokens\.torch or all_tokens\.torch"):
        embedded(chicken(), weights=folder, **CHICKEN)


def test_a_species_that_nobody_added(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"(?s)'chickn', .* or of new_species_prot.*'human'.*'chicken'.*Did you mean"):
        embedded(chicken(), species="chickn")
    folder = copy_of("uce", tmp_path)
    (folder / "new_species_protein_embeddings.csv").write_text("name\nchicken\n")
    with pytest.raises(InputError, match=r"new_species_protein_embeddings\.csv: "):
        embedded(chicken(), weights=folder, **CHICKEN)
    (folder / "new_species_protein_embeddings.csv").unlink()
    with pytest.raises(InputError, match=r"(?s)'chicken', which is not one of the publication\..*chicken_offsets"):
        embedded(chicken(), weights=folder, **CHICKEN)


def test_the_mask_of_the_original_depends_on_the_batch() -> None:
    cells = synthetic()
    one, five = (embedded(cells, exact=True, batch_size=size) for size in (1, 5))
    assert np.abs(one - five).max() > 1e-4
    one, five = (embedded(cells, batch_size=size) for size in (1, 5))
    assert_parity(one, five)


def test_rows_and_columns_do_not_matter() -> None:
    cells = synthetic()
    whole = embedded(cells)
    draw = np.random.default_rng(0)
    rows, genes = draw.permutation(cells.n_obs), draw.permutation(cells.n_vars)
    assert_parity(embedded(cells[rows][:, genes].copy()), whole[rows])
    assert np.abs(embedded(cells, rng=1) - whole).max() > 1e-4


def test_a_sentence_holds_the_genes_that_were_drawn() -> None:
    cells = synthetic()
    _, tokens = sentences_of(cells)
    assert (tokens.ids[tokens.indptr[:-1]] == 3).all()
    for row in range(cells.n_obs):
        sentence = tokens.ids[tokens.indptr[row] : tokens.indptr[row + 1]]
        genes = sentence[(sentence >= 44) & (sentence < 274)]
        assert len(genes) == 48
        seen = {f"GENE{token - 43}" for token in genes}
        assert seen <= set(cells.var_names[cells.X[[row]].toarray()[0] > 0].str.upper())
        assert (sentence == 2).sum() == (sentence >= 274).sum() > 0


def test_two_columns_of_one_gene_are_both_drawn() -> None:
    counts = sparse.csr_matrix(np.array([[5.0, 1.0, 0.0], [0.0, 1.0, 5.0]], dtype=np.float32))
    cells = AnnData(counts, obs=pd.DataFrame(index=["a", "b"]), var=pd.DataFrame(index=["GENE1", "Gene2", "Gene1"]))
    _, tokens = sentences_of(cells)
    for row in range(2):
        assert {44, 45} <= set(tokens.ids[tokens.indptr[row] : tokens.indptr[row + 1]].tolist())


def test_only_used_rows_of_the_table_are_projected() -> None:
    model, tokens = sentences_of(synthetic())
    model.encode(tokens)
    used = np.union1d(np.unique(tokens.ids), [0])
    assert np.flatnonzero(model.module._place.numpy() >= 0).tolist() == used.tolist()
    assert "pe_embedding.weight" not in model.module.state_dict()


def test_the_contract_holds_for_a_random_twin() -> None:
    options = {"species": "human", "n_genes": 40, "config": TINY}
    sk.testing.check_model("uce", weights="random", **options)


@pytest.mark.parametrize("exact", [False, True])
def test_cells_without_a_known_gene(exact: bool) -> None:
    cells = synthetic()
    known = ~cells.var_names.str.startswith("UNKNOWN")
    cells = cells[cells[:, ~known].to_df().sum(axis=1) > 0].copy()
    whole = embedded(cells[1:].copy(), exact=exact)
    cells.X = cells.X.multiply(np.where(np.arange(cells.n_obs)[:, None] == 0, ~known, 1)).tocsr()
    with pytest.raises(InputError, match=rf"1 of {cells.n_obs} observations have no count of a gene that 'uce' knows"):
        embedded(cells, exact=exact)
    found = embedded(cells, exact=exact, on_empty="zero")
    assert not found[0].any()
    assert_parity(found[1:], whole)


def test_a_sample_without_a_known_gene_draws_nothing() -> None:
    cells = synthetic()
    cells.obs["sample"] = np.repeat(["a", "b", "c"], 4)
    holed = cells.copy()
    holed.X = sparse.csr_matrix(cells.X.multiply((cells.obs["sample"] != "b").to_numpy()[:, None]))
    found = embedded(holed, exact=True, on_empty="zero", sample_key="sample")
    whole = embedded(cells, exact=True, sample_key="sample")
    gone = (cells.obs["sample"] == "b").to_numpy()
    np.testing.assert_array_equal(found[gone], 0)
    assert_parity(found[~gone], whole[~gone])


def test_the_33_layers_have_a_file_of_their_own(tmp_path: Path) -> None:
    folder = copy_of("uce", tmp_path)
    (folder / "4layer_model.torch").rename(folder / "33l_8ep_1024t_1280.torch")
    with pytest.raises(MissingFileError, match="4layer_model"):
        embedded(synthetic(), weights=folder)
    cells = synthetic()
    sk.tl.embed(cells, "uce.33layer", weights=folder, rng=0, key_added="X_uce_33", **MADE)
    np.testing.assert_array_equal(cells.obsm["X_uce_33"], embedded(synthetic()))


# what it refuses


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"species": None}, "(?s)species=None.*'human', 'mouse', 'frog'"),
        ({"species": "martian"}, "species='martian'"),
        ({"n_genes": 0}, "n_genes=0"),
        ({"n_genes": 90}, "for 96 positions"),
        ({"chrom_token_offset": 143_574}, "a chromosome of token 14357[0-9], and a table of 283 tokens"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        embedded(synthetic(), **options)


def test_without_a_seed_it_is_zero_and_recorded() -> None:
    cells = synthetic()
    sk.tl.embed(cells, "uce", weights=DATA / "uce", **MADE)
    assert cells.uns["stfmkit"]["embed"]["results"]["X_uce"]["rng"] == 0
    np.testing.assert_array_equal(cells.obsm["X_uce"], embedded(synthetic(), rng=0))


def test_a_species_that_was_not_downloaded(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"no Danio_rerio\.\*\.pt"):
        embedded(synthetic(), species="zebrafish")
    folder = copy_of("uce", tmp_path)
    (folder / "species_offsets.pkl").write_bytes(pickle.dumps({"mouse": 4}))
    with pytest.raises(MissingKeyError, match="no species 'human' in species_offsets"):
        embedded(synthetic(), weights=folder)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda state: state.pop("encoder.2.bias"), "1 missing"),
        (lambda state: state.pop("encoder.0.weight"), "1 missing"),
        (lambda state: state.update(surprise=torch.ones(1)), "1 not known"),
        (lambda state: state.update({"decoder.1.1.bias": torch.ones(3)}), r"\(3,\) instead of \(40,\)"),
    ],
)
def test_a_checkpoint_of_other_tensors(tmp_path: Path, change: Callable[[dict[str, Any]], None], match: str) -> None:
    folder = copy_of("uce", tmp_path)
    change_state(folder / "4layer_model.torch", change)
    with pytest.raises(InputError, match=match):
        embedded(synthetic(), weights=folder)


def test_the_checkpoint_of_another_model(tmp_path: Path) -> None:
    folder = copy_of("uce", tmp_path)
    (folder / "4layer_model.torch").write_bytes((DATA / "transcriptformer/model_weights.pt").read_bytes())
    with pytest.raises(InputError, match="not one of 'uce'"):
        embedded(synthetic(), weights=folder)


PROTEINS = "protein_embeddings/Homo_sapiens.GRCh38.gene_symbol_to_embedding_ESM2.pt"


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("4layer_model.torch", "cannot be read"),
        (PROTEINS, "cannot be read"),
        ("species_offsets.pkl", "is not loaded"),
    ],
)
def test_a_truncated_file(tmp_path: Path, name: str, match: str) -> None:
    folder = copy_of("uce", tmp_path)
    cut(folder / name)
    with pytest.raises(InputError, match=match):
        embedded(synthetic(), weights=folder)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("4layer_model.torch", "more than tensors"),
        (PROTEINS, "more than tensors"),
        ("species_offsets.pkl", "is not loaded: it names"),
    ],
)
def test_a_malicious_pickle_is_not_executed(tmp_path: Path, name: str, match: str) -> None:
    folder = copy_of("uce", tmp_path)
    bomb = {"human": Bomb(tmp_path / "mark")}
    if name.endswith(".pkl"):
        (folder / name).write_bytes(pickle.dumps(bomb))
    else:
        torch.save(bomb, folder / name)
    with pytest.raises(InputError, match=match):
        embedded(synthetic(), weights=folder)
    assert not (tmp_path / "mark").exists()


def test_tables_that_do_not_belong_together(tmp_path: Path) -> None:
    folder = copy_of("uce", tmp_path)
    table = pd.read_csv(folder / "species_chrom.csv")
    table[table["species"] == "mouse"].to_csv(folder / "species_chrom.csv")
    with pytest.raises(InputError, match=r"no gene of Homo_sapiens.* is in species_chrom\.csv"):
        embedded(synthetic(), weights=folder)
    table.drop(columns="start").to_csv(folder / "species_chrom.csv")
    with pytest.raises(InputError, match="a table with 'species'"):
        embedded(synthetic(), weights=folder)


def test_symbols_of_another_species_are_refused() -> None:
    cells = synthetic()
    cells.var_names = cells.var_names.str.upper()
    with pytest.raises(InputError, match=r"100 of 102 symbols .* another case only \('GENE\d+' is 'Gene\d+' there\)"):
        embedded(cells)


def test_genes_that_it_does_not_know() -> None:
    with pytest.raises(InputError, match="none of the 30 genes"):
        embedded(synthetic_counts([f"STRANGE{i}" for i in range(30)]))
    with pytest.raises(InputError, match="gene names of the kind 'ensembl'"):
        embedded(synthetic_counts(gene_ids(30)))
