"""Geneformer against its original: tokens, layers, embeddings of observations and genes, and what it refuses."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
import torch
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tests.models.zoo._blocks import block_for
from tests.models.zoo._cases import gene_ids, synthetic_counts
from tests.models.zoo._parity import assert_parity
from tests.models.zoo._published import DATA, Bomb, copy_of, cut

import stfmkit as sk
from stfmkit.errors import InputError, MissingFileError, StfmkitWarning
from stfmkit.models.nets.rank_genes import ranked
from stfmkit.models.zoo.geneformer.files import KINDS
from stfmkit.models.zoo.geneformer.model import Geneformer, GeneformerV1

HOME = DATA / "geneformer"
FOLDERS = {"v1": HOME / "Geneformer-V1-10M", "v2": HOME / "Geneformer-V2-104M"}
CLASSES: dict[str, type[Geneformer]] = {"v1": GeneformerV1, "v2": Geneformer}
CELL = [("cell", -1), ("cell", 0)]
MODES = {"v1": CELL, "v2": [*CELL, ("cls", -1), ("cls", 0)]}
TINY = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12}
VERSIONS = pytest.mark.parametrize("version", ["v1", "v2"])


def synthetic() -> AnnData:
    """The cells of the fixture; eight of their genes are retired ids of others."""
    return synthetic_counts(gene_ids(120), n_obs=14, seed=2)


def real(folder: Path) -> AnnData:
    """The real spots of the fixture."""
    cells = ad.read_h5ad(folder / "dlpfc_visium_151673_151675.h5ad")[::240][:30, :800].copy()
    cells.obsm["spatial"] = np.arange(60.0).reshape(30, 2)
    return cells


def embedded(cells: AnnData, version: str = "v2", *, weights: Path | str | None = None, **options: Any) -> np.ndarray:
    """Return the embedding through the public verb."""
    folder = FOLDERS[version] if weights is None else weights
    sk.tl.embed(cells, f"geneformer-{version}", weights=folder, key_added="X_test", **options)
    return cells.obsm["X_test"]


def check_parity(case: str, version: str, cells: AnnData) -> None:
    """Compare tokens, states, and the embeddings of every mode and layer with those of the original."""
    wanted = np.load(HOME / f"{version}_{case}.npz")
    model = CLASSES[version](weights=FOLDERS[version])
    tokens = model.prepare(block_for(cells, model))
    np.testing.assert_array_equal(tokens.indptr, wanted["indptr"])
    np.testing.assert_array_equal(tokens.ids, wanted["ids"])
    for row in range(4):
        states = model.module.states(model.collate(tokens.take(np.array([row]))))
        found = torch.stack(states)[:, 0, [0, -1]]
        assert_parity(found, wanted["states"][row])
    for mode, layer in MODES[version]:
        found = embedded(cells, version, emb_mode=mode, emb_layer=layer)
        assert_parity(found, wanted[f"{mode}{layer}"])
    sk.tl.embed(cells, f"geneformer-{version}", weights=FOLDERS[version], output="genes", key_added="genes")
    genes = cells.var_names.get_indexer(wanted["genes"])
    assert (genes >= 0).all()
    assert_parity(cells.varm["genes"][genes], wanted["gene_embedding"])


@VERSIONS
def test_tokens_layers_and_embeddings_are_those_of_the_original(version: str) -> None:
    check_parity("synthetic", version, synthetic())


@VERSIONS
@pytest.mark.real_data
@pytest.mark.filterwarnings("ignore:.*of the counts:stfmkit.errors.StfmkitWarning")
def test_real_spots_as_in_the_original(version: str, real_data: Path) -> None:
    check_parity("real", version, real(real_data))


@VERSIONS
def test_what_the_original_does_is_the_default(version: str) -> None:
    wanted = np.load(HOME / f"{version}_synthetic.npz")["cls-1" if version == "v2" else "cell-1"]
    cells = synthetic()
    assert_parity(embedded(cells, version), wanted)
    facts = cells.uns["stfmkit"]["embed"]["results"]["X_test"]
    assert facts["provenance"]["emb_mode"] == ("cls" if version == "v2" else "cell")
    assert facts["options"]["emb_layer"] == -1


@pytest.mark.parametrize("name", ["geneformer-v2.104m", "geneformer-v1", "geneformer-v1.10m"])
def test_the_root_of_the_published_repository(name: str) -> None:
    cells = synthetic()
    sk.tl.embed(cells, name, weights=HOME, key_added="X_test")
    wanted = np.load(HOME / f"{name[11:13]}_synthetic.npz")["cell-1" if "v1" in name else "cls-1"]
    assert_parity(cells.obsm["X_test"], wanted)
    file = FOLDERS[name[11:13]] / "model.safetensors"
    assert_parity(embedded(cells, name[11:], weights=file), wanted)


def test_dictionaries_beside_the_checkpoint_and_older_names(tmp_path: Path) -> None:
    folder = copy_of("geneformer/Geneformer-V1-10M", tmp_path)
    for path in (HOME / "geneformer/gene_dictionaries_30m").iterdir():
        (folder / path.name.replace("_gc30M", "")).write_bytes(path.read_bytes())
    wanted = np.load(HOME / "v1_synthetic.npz")["cell-1"]
    assert_parity(embedded(synthetic(), "v1", weights=folder), wanted)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert_parity(embedded(synthetic(), "v1", weights=folder), wanted)


OLDER = "gf-12L-95M-i4096"


def repository(tmp_path: Path, folder: str = OLDER, *, other: str = "gc104M", right: str = "gc95M") -> Path:
    """Return a repository whose checkpoint goes with the dictionaries `right`; the medians of `other` are different."""
    home = copy_of("geneformer", tmp_path)
    (home / "Geneformer-V2-104M").rename(home / folder)
    for path in list((home / "geneformer").glob("*_gc104M.pkl")):
        held, kind = pickle.loads(path.read_bytes()), path.name.removesuffix("_gc104M.pkl")
        for release in (right, other):
            changed = kind == "gene_median_dictionary" and release == other
            values = dict(zip(held, reversed(held.values()), strict=True)) if changed else held
            (home / f"geneformer/{kind}_{release}.pkl").write_bytes(pickle.dumps(values))
    return home


@pytest.mark.parametrize(
    ("folder", "right", "other"),
    [
        (OLDER, "gc95M", "gc104M"),
        ("gf-20L-95M-i4096", "gc95M", "gc104M"),
        ("Geneformer-V2-104M_CLcancer", "gc104M", "gc95M"),
        ("Geneformer-V2-316M", "gc104M", "gc95M"),
    ],
)
def test_the_dictionaries_are_those_of_the_name_of_the_folder(
    tmp_path: Path, folder: str, right: str, other: str
) -> None:
    home = repository(tmp_path, folder, right=right, other=other)
    wanted = np.load(HOME / "v2_synthetic.npz")["cls-1"]
    cells = synthetic()
    assert_parity(embedded(cells, weights=home / folder), wanted)
    used = cells.uns["stfmkit"]["embed"]["results"]["X_test"]["provenance"]["sha256"]
    assert sorted(name for name in used if name.endswith(".pkl")) == sorted(f"{kind}_{right}.pkl" for kind in KINDS)
    away = embedded(cells, weights=home / folder, dictionaries=other)
    assert np.abs(away - wanted).max() > 1e-3


def test_the_name_of_the_tag_tells_where_that_of_the_folder_does_not(tmp_path: Path) -> None:
    home = repository(tmp_path, "mine")
    wanted = np.load(HOME / "v2_synthetic.npz")["cls-1"]
    cells = synthetic()
    sk.tl.embed(cells, "geneformer-v2.12l-95m", weights=home / "mine", key_added="X_test")
    assert_parity(cells.obsm["X_test"], wanted)
    with pytest.raises(InputError, match=r"(?s)'gc104M', 'gc95M' in 'geneformer'.*'mine'.*pass dictionaries="):
        embedded(cells, weights=home / "mine")
    assert_parity(embedded(cells, weights=home / "mine", dictionaries="gc95M"), wanted)
    with pytest.raises(MissingFileError, match=r"no token_dictionary_gc1M\.pkl"):
        embedded(cells, weights=home / "mine", dictionaries="gc1M")


def test_equal_dictionaries_of_two_releases_need_no_choice(tmp_path: Path) -> None:
    home = repository(tmp_path, "mine")
    path = home / "geneformer/gene_median_dictionary_gc95M.pkl"
    path.with_name("gene_median_dictionary_gc104M.pkl").write_bytes(path.read_bytes())
    wanted = np.load(HOME / "v2_synthetic.npz")["cls-1"]
    assert_parity(embedded(synthetic(), weights=home / "mine"), wanted)


@pytest.mark.parametrize("name", ["geneformer-v2.12l-95m", "geneformer-v2"])
def test_the_root_of_the_repository_before_june_2025(tmp_path: Path, name: str) -> None:
    home = repository(tmp_path)
    for path in (home / "geneformer").glob("*_gc104M.pkl"):
        path.unlink()
    if name == "geneformer-v2":  # the default checkpoint lies in the root itself
        for path in (home / OLDER).iterdir():
            path.rename(home / path.name)
        (home / OLDER).rmdir()
    cells = synthetic()
    sk.tl.embed(cells, name, weights=home, key_added="X_test")
    assert_parity(cells.obsm["X_test"], np.load(HOME / "v2_synthetic.npz")["cls-1"])


def test_the_root_without_the_folder_of_a_tag_is_not_that_checkpoint(tmp_path: Path) -> None:
    home = repository(tmp_path)
    for path in (home / OLDER).iterdir():
        (home / path.name).write_bytes(path.read_bytes())  # the default checkpoint of that release
    with pytest.raises(InputError, match=r"(?s)without the folder 'gf-20L-95M-i4096' .*here are .*'gf-12L-95M-i4096'"):
        sk.models.load_model("geneformer-v2.20l-95m", weights=home)
    sk.models.load_model("geneformer-v2.20l-95m", weights=home / "model.safetensors", dictionaries="gc95M")
    sk.models.load_model("geneformer-v2.20l-95m", weights=home / OLDER)  # what the caller names counts


def test_the_repository_of_2023(tmp_path: Path) -> None:
    home = copy_of("geneformer", tmp_path)
    (home / "Geneformer-V1-10M").rename(home / "geneformer-12L-30M")
    torch.save(load_file(home / "geneformer-12L-30M/model.safetensors"), home / "geneformer-12L-30M/pytorch_model.bin")
    (home / "geneformer-12L-30M/model.safetensors").unlink()
    for path in (home / "geneformer").glob("*_gc104M.pkl"):
        path.unlink()
    for path in list((home / "geneformer/gene_dictionaries_30m").iterdir()):
        if not path.name.startswith("ensembl"):  # there was no table of retired ids
            (home / "geneformer" / path.name.replace("_gc30M", "")).write_bytes(path.read_bytes())
        path.unlink()
    cells = synthetic()[:, synthetic().var_names.isin(gene_ids(100))].copy()
    wanted = embedded(cells.copy(), "v1")
    sk.tl.embed(cells, "geneformer-v1.12l-30m", weights=home / "geneformer-12L-30M", key_added="X_test")
    assert_parity(cells.obsm["X_test"], wanted)


def test_dictionaries_beside_the_checkpoint_are_nearer_than_those_of_the_repository(tmp_path: Path) -> None:
    home = repository(tmp_path, "Geneformer-V2-104M")  # the name asks for gc104M, whose medians are not right
    for path in list((home / "geneformer").glob("*_gc95M.pkl")):
        path.rename(home / "Geneformer-V2-104M" / path.name)
    wanted = np.load(HOME / "v2_synthetic.npz")["cls-1"]
    assert_parity(embedded(synthetic(), weights=home / "Geneformer-V2-104M"), wanted)


def test_the_checkpoints_of_2021_and_2024_have_tags() -> None:
    widths = {
        "geneformer-v1.12l-30m": 512,
        "geneformer-v2.12l-95m": 512,
        "geneformer-v2.12l-95m-clcancer": 512,
        "geneformer-v2.20l-95m": 896,
    }
    for name, width in widths.items():
        card = sk.models.model_card(name)
        assert card.dimension == width
        assert card.weights.revision
        assert card.weights.files[1].sha256
        assert all(Path(file.path).name.endswith(("gc30M.pkl", "gc95M.pkl")) for file in card.weights.files[2:])


@VERSIONS
def test_rows_columns_and_batches_do_not_matter(version: str) -> None:
    cells = synthetic()
    whole = embedded(cells, version)
    draw = np.random.default_rng(0)
    rows, genes = draw.permutation(cells.n_obs), draw.permutation(cells.n_vars)
    assert_parity(embedded(cells[rows][:, genes].copy(), version), whole[rows])
    for size in (1, 3, 14):
        assert_parity(embedded(cells, version, batch_size=size), whole)


def test_symbols_are_translated_by_the_dictionary_of_the_publication() -> None:
    cells, named = synthetic(), synthetic()
    named.var_names = [f"GENE{int(name[4:])}" for name in named.var_names]
    assert_parity(embedded(named), embedded(cells))
    named.var_names = named.var_names.str.capitalize()
    with pytest.raises(InputError, match="as those of another species are"):
        embedded(named)


def test_versions_and_case_of_ids_do_not_matter() -> None:
    cells, named = synthetic(), synthetic()
    named.var_names = [f"{name}.7" if i % 5 else name.lower() for i, name in enumerate(named.var_names)]
    assert_parity(embedded(named), embedded(cells))


def test_counts_of_a_retired_id_are_added_to_those_of_its_successor() -> None:
    cells = synthetic()
    ids = gene_ids(120)
    old, new = (cells.var_names.get_indexer(names) for names in (ids[100:108], ids[:8]))
    dense = cells.X.toarray()
    dense[:, new] += dense[:, old]
    dense[:, old] = 0
    summed = AnnData(dense, obs=cells.obs, var=cells.var)
    assert_parity(embedded(summed), embedded(cells))
    model = Geneformer(weights=FOLDERS["v2"])
    genes = model.encode_genes(block_for(cells, model))
    np.testing.assert_array_equal(genes[old], genes[new])
    unknown = cells.var_names.get_indexer(ids[108:])
    assert np.isnan(genes[unknown]).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 9))
def test_ranks_are_those_of_a_sort_of_pairs(seed: int, limit: int) -> None:
    draw = np.random.default_rng(seed)
    cells = synthetic_counts(gene_ids(12), n_obs=4, seed=seed)
    cells.X.data[:] = draw.integers(1, 4, size=len(cells.X.data))  # many ties
    counts = block_for(cells, Geneformer(weights="random")).read("counts")
    ids = np.sort(draw.choice(50, size=12, replace=False))
    medians = draw.choice([0.5, 1.0, 2.0], size=50)
    totals = np.asarray(counts.sum(axis=1)).ravel()
    indptr, tokens = ranked(counts, ids, medians, totals, limit=limit)
    for row, dense in enumerate(counts.toarray()):
        pairs = sorted((-float(v) / totals[row] * 10_000 / medians[i], i) for v, i in zip(dense, ids, strict=True) if v)
        assert list(tokens[indptr[row] : indptr[row + 1]]) == [i for _, i in pairs[:limit]]


@VERSIONS
def test_the_random_twin_keeps_the_contract(version: str) -> None:
    sk.testing.check_model(f"geneformer-{version}", weights="random", config=TINY)


def test_the_random_twin_follows_its_seed_and_has_the_published_size() -> None:
    cells = synthetic()
    twins = [embedded(cells, weights="random", config=TINY, rng=seed).copy() for seed in (0, 0, 1)]
    np.testing.assert_array_equal(twins[0], twins[1])
    assert np.abs(twins[0] - twins[2]).max() > 1e-3
    assert twins[0].shape == (14, 8)
    assert GeneformerV1.defaults["hidden_size"] == 256
    assert Geneformer.defaults["hidden_size"] == 1152
    sk.tl.embed(cells, "geneformer-v1", weights="random", config=TINY, rng=0, output="genes", key_added="genes")
    seen = cells.X.toarray().any(axis=0)
    np.testing.assert_array_equal(np.isfinite(cells.varm["genes"]).all(axis=1), seen)


# bad input


def rewrite(**change: Any) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "Geneformer-V2-104M/model.safetensors"
        state = {**load_file(path), **{name.replace("__", "."): value for name, value in change.items()}}
        save_file({name: value for name, value in state.items() if value is not None}, path)

    return apply


def configure(**change: Any) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "Geneformer-V2-104M/config.json"
        held = json.loads(path.read_text()) | change
        path.write_text(json.dumps({name: value for name, value in held.items() if value is not None}))

    return apply


def dictionary(kind: str, change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / f"geneformer/{kind}_gc104M.pkl"
        held = pickle.loads(path.read_bytes())
        change(held)
        path.write_bytes(pickle.dumps(held))

    return apply


def cut_checkpoint(folder: Path) -> None:
    cut(folder / "Geneformer-V2-104M/model.safetensors")


def cut_dictionary(folder: Path) -> None:
    cut(folder / "geneformer/token_dictionary_gc104M.pkl")


def point_to_lfs(folder: Path) -> None:
    (folder / "geneformer/token_dictionary_gc104M.pkl").write_text("version https://git-lfs.github.com/spec/v1\n")


FIRST = "bert__encoder__layer__0__attention__self__query__weight"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (cut_checkpoint, "model.safetensors .* cannot be read"),
        (cut_dictionary, "token_dictionary_gc104M.pkl .* is not loaded"),
        (point_to_lfs, "pointer of git-lfs"),
        (rewrite(**{FIRST: None}), r"1 missing \('encoder.layers.0.self_attn.in_proj_weight'\)"),
        (rewrite(bert__embeddings__LayerNorm__bias=None), r"1 missing \('embeddings.LayerNorm.bias'\)"),
        (rewrite(bert__more__weight=torch.ones(2)), r"1 not known \('more.weight'\)"),
        (rewrite(bert__embeddings__LayerNorm__bias=torch.ones(9)), r"\(9,\) instead of \(16,\)"),
        (configure(num_hidden_layers=2), r"12 not known \('encoder.layers.2"),
        (configure(model_type="roberta"), "model_type='roberta'"),
        (configure(hidden_act="silu"), "hidden_act='silu'"),
        (configure(position_embedding_type="relative_key"), "position_embedding_type='relative_key'"),
        (configure(hidden_size=None), "without hidden_size"),
        (dictionary("token_dictionary", lambda held: held.popitem()), "503 tokens, and a checkpoint .* with 504"),
        (dictionary("token_dictionary", lambda held: held.update({gene_ids(1)[0]: 5})), "a dictionary of 504 tokens"),
        (
            dictionary("gene_median_dictionary", lambda held: held.pop(gene_ids(1)[0])),
            "no median above 0 for 1 of the 500 genes of 'geneformer-v2.104m': 'ENSG00000000001'",
        ),
        (dictionary("gene_median_dictionary", lambda held: held.update({gene_ids(1)[0]: 0.0})), "no median above 0"),
    ],
)
def test_a_checkpoint_that_is_not_right(tmp_path: Path, change: Callable[[Path], None], match: str) -> None:
    folder = copy_of("geneformer", tmp_path)
    change(folder)
    with pytest.raises(InputError, match=match):
        sk.models.load_model("geneformer-v2.104m", weights=folder)


def test_a_malicious_dictionary_is_not_executed(tmp_path: Path) -> None:
    folder, mark = copy_of("geneformer", tmp_path), tmp_path / "exploded"
    (folder / "geneformer/gene_median_dictionary_gc104M.pkl").write_bytes(pickle.dumps({"a": Bomb(mark)}))
    with pytest.raises(InputError, match="is not loaded: it names"):
        sk.models.load_model("geneformer-v2.104m", weights=folder)
    assert not mark.exists()


def test_a_checkpoint_of_the_other_version() -> None:
    with pytest.raises(InputError, match=r"502|504"):
        sk.models.load_model("geneformer-v1", weights=FOLDERS["v2"])
    with pytest.raises(InputError, match="load the checkpoint under the name of its version"):
        sk.models.load_model("geneformer-v2", weights=FOLDERS["v1"])


def test_a_checkpoint_of_another_model() -> None:
    with pytest.raises(MissingFileError, match=r"no config.json for 'geneformer-v2' in 'scimilarity'"):
        sk.models.load_model("geneformer-v2", weights=DATA / "scimilarity")
    with pytest.raises(MissingFileError, match=r"no token_dictionary_gc104M.pkl"):
        sk.models.load_model("geneformer-v2", weights=DATA / "cellama")


def test_a_folder_without_dictionaries(tmp_path: Path) -> None:
    folder = copy_of("geneformer/Geneformer-V2-104M", tmp_path)
    with pytest.raises(MissingFileError, match=r"no token_dictionary_gc104M.pkl or .* or token_dictionary.pkl"):
        sk.models.load_model("geneformer-v2", weights=folder)


@pytest.mark.parametrize(
    ("version", "options", "match"),
    [
        ("v1", {"emb_mode": "cls"}, "has no <cls>"),
        ("v2", {"emb_mode": "mean"}, "emb_mode='mean'"),
        ("v2", {"emb_layer": -4}, r"emb_layer=-4 of 3 layers"),
        ("v2", {"emb_layer": 1}, r"emb_layer=1 of 3 layers"),
        ("v2", {"emb_mod": "cls"}, "emb_mod"),
    ],
)
def test_options_that_cannot_be(version: str, options: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        sk.models.load_model(f"geneformer-{version}", weights=FOLDERS[version], **options)


def test_other_species_unknown_genes_and_empty_cells() -> None:
    cells = synthetic()
    mouse = cells.copy()
    mouse.var_names = [name.replace("ENSG", "ENSMUSG") for name in mouse.var_names]
    with pytest.raises(InputError, match=r"none of the 120 genes .* is in the vocabulary of 'geneformer-v2'"):
        embedded(mouse)
    dense = cells.X.toarray()
    known = cells.var_names.isin(gene_ids(108))
    dense[3, known] = 0
    dense[3, ~known] = 1
    cells = AnnData(dense, obs=cells.obs, var=cells.var)
    with pytest.raises(InputError, match=r"1 of 14 observations have no count of a gene .* 'cell3'"):
        embedded(cells)
    values = embedded(cells, on_empty="zero")
    assert (values[3] == 0).all()
    assert_parity(values[:3], embedded(synthetic())[:3])
    model = Geneformer(weights=FOLDERS["v2"], on_empty="zero")
    genes = model.encode_genes(block_for(cells, model))
    assert np.isfinite(genes[known]).all()


def test_little_coverage_is_told() -> None:
    cells = synthetic()
    cells.X = cells.X.multiply(np.where(cells.var_names.isin(gene_ids(108)), 1, 1000)[None, :]).tocsr()
    with pytest.warns(StfmkitWarning, match="sees 108 of 120 genes"):
        embedded(cells)


def test_values_that_are_not_counts() -> None:
    cells = synthetic()
    cells.X = np.log1p(cells.X)
    with pytest.raises(InputError, match="counts"):
        embedded(cells)
