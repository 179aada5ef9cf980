"""SToFM against its original, end to end, and what it refuses."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
import torch
from anndata import AnnData
from safetensors.torch import load_file, save_file
from tests.models.zoo._blocks import block_for
from tests.models.zoo._cases import gene_ids, synthetic_counts
from tests.models.zoo._parity import assert_parity

import stfmkit as sk
from stfmkit.errors import InputError, MissingFileError, MissingKeyError
from stfmkit.models.zoo.stofm.graph import Tile
from stfmkit.models.zoo.stofm.model import SToFM

DATA = Path(__file__).parents[1] / "data" / "stofm"
OTHER = Path(__file__).parents[1] / "data" / "cellplm"
SPLIT = 60


def made_up() -> AnnData:
    return synthetic_counts([*gene_ids(80), *gene_ids(4, start=900)], n_obs=160, seed=1)


def mice() -> AnnData:
    return synthetic_counts(gene_ids(20, prefix="ENSMUSG"), n_obs=40, seed=2)


def spots(folder: Path) -> AnnData:
    sections = ad.read_h5ad(folder / "dlpfc_visium_151673_151675.h5ad")
    adata = sections[sections.obs["section"] == "151673"][::24][:150].copy()
    adata.obsm["spatial"] = adata.obsm["spatial"] + 0.01 * np.random.default_rng(3).normal(size=(adata.n_obs, 2))
    return adata[:, :300].copy()


def embedded(adata: AnnData, model: SToFM) -> np.ndarray:
    sk.tl.embed(adata, model, key_added="X_model")
    return adata.obsm.pop("X_model")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DATA, tmp_path / "published"))


@pytest.fixture(params=["synthetic", "mouse", pytest.param("real", marks=pytest.mark.real_data)])
def case(request: pytest.FixtureRequest) -> tuple[AnnData, dict[str, np.ndarray]]:
    """A table, and what the original made of it."""
    if request.param == "real":
        adata = spots(request.getfixturevalue("real_data"))
    else:
        adata = made_up() if request.param == "synthetic" else mice()
    expected = dict(np.load(DATA / f"{request.param}.npz"))
    adata.obs["known"] = expected["clusters"].astype(str)
    return adata, expected


Case = tuple[AnnData, dict[str, np.ndarray]]


@pytest.mark.filterwarnings("ignore:'stofm' sees")
def test_it_equals_the_original_with_given_clusters(case: Case) -> None:
    adata, expected = case
    model = SToFM(weights=DATA, split_num=SPLIT, hyper_key="known", exact=True)
    assert_parity(embedded(adata, model), expected["embedding"])


@pytest.mark.filterwarnings("ignore:'stofm' sees")
def test_it_equals_the_original_with_its_own_clusters(case: Case) -> None:
    """The clusters are those of the fixture only with libraries that agree; the versions are in its note."""
    adata, expected = case
    model = SToFM(weights=DATA, split_num=SPLIT, exact=True)
    assert_parity(embedded(adata, model), expected["embedding"])


@pytest.mark.filterwarnings("ignore:'stofm' sees")
def test_every_stage_equals_the_original(case: Case) -> None:
    adata, expected = case
    model = SToFM(weights=DATA, split_num=SPLIT, hyper_key="known", exact=True)
    tokens = model.tokenise(block_for(adata, model))
    np.testing.assert_array_equal(tokens.indptr, expected["indptr"] + np.arange(adata.n_obs + 1))
    is_cls = np.isin(np.arange(len(tokens.ids)), tokens.indptr[:-1])
    assert set(tokens.ids[is_cls]) == {model.assets.cls}
    np.testing.assert_array_equal(tokens.ids[~is_cls], expected["ids"])
    vectors = model.module.vectors(model.collate(tokens))
    assert_parity(vectors, expected["cell_vectors"])
    tiles = list(model.tiles(tokens))
    assert [len(tile.rows) for tile in tiles] == expected["tile_sizes"].tolist()
    first = tiles[0]
    np.testing.assert_array_equal(first.rows, expected["tile_rows"])
    np.testing.assert_array_equal(first.types, expected["tile_types"])
    assert_parity(first.features, expected["tile_features"])
    np.testing.assert_allclose(first.distances, expected["tile_distances"], atol=1e-4)


def test_a_graph_of_one_s_own_equals_the_original(case: Case) -> None:
    _, expected = case
    names = ("rows", "features", "types", "distances")
    tile = Tile(*(expected[f"tile_{name}"] for name in names))
    model = SToFM(weights=DATA)
    states = model.module.tissue.states(
        torch.from_numpy(tile.features), torch.from_numpy(tile.types).long(), torch.from_numpy(tile.distances)
    )
    for layer in (1, 3):
        assert_parity(states[layer], expected[f"tile_state_{layer}"])
    assert_parity(model.encode_tile(tile), states[3])


def test_the_size_of_a_batch_does_not_matter() -> None:
    adata = made_up()
    adata.obs["known"] = np.arange(160) % 5
    options: dict[str, Any] = {"weights": DATA, "split_num": SPLIT, "hyper_key": "known"}
    whole = embedded(adata, SToFM(**options))
    assert_parity(embedded(adata, SToFM(**options, batch_size=7)), whole)


def test_the_order_of_rows_and_genes_does_not_matter() -> None:
    adata = made_up()
    whole = embedded(adata, SToFM(weights=DATA, split_num=SPLIT))
    turned = embedded(adata[::-1, ::-1].copy(), SToFM(weights=DATA, split_num=SPLIT))
    assert_parity(turned[::-1], whole)


def test_units_turns_and_mirrors_do_not_matter() -> None:
    adata = made_up()
    adata.obs["known"] = np.arange(160) % 5
    model = SToFM(weights=DATA, hyper_key="known")
    whole = embedded(adata, model)
    adata.obsm["spatial"] = adata.obsm["spatial"][:, ::-1] * [-3.0, 3.0] + 1000
    np.testing.assert_allclose(embedded(adata, model), whole, atol=1e-4)


def test_samples_do_not_see_each_other() -> None:
    adata = made_up()
    adata.obs["sample"] = np.where(np.arange(160) % 2, "a", "b")
    sk.tl.embed(adata, SToFM(weights=DATA), sample_key="sample", key_added="X_both")
    alone = adata[adata.obs["sample"] == "a"].copy()
    assert_parity(embedded(alone, SToFM(weights=DATA)), adata.obsm["X_both"][1::2])


def test_empty_cells_are_no_nodes() -> None:
    adata = made_up()[:, gene_ids(80)].copy()
    adata.X = adata.X.multiply(np.arange(160)[:, None] != 3).tocsr()
    with pytest.raises(InputError, match="1 of 160 observations"):
        embedded(adata, SToFM(weights=DATA))
    values = embedded(adata, SToFM(weights=DATA, on_empty="zero"))
    others = np.delete(np.arange(160), 3)
    assert (values[3] == 0).all()
    assert_parity(values[others], embedded(adata[others].copy(), SToFM(weights=DATA)))


def test_the_contract_holds() -> None:
    sizes = {"cell_hidden_size": 16, "cell_num_hidden_layers": 1, "cell_intermediate_size": 16, "input_dim": 8}
    sizes |= {"num_hidden_layers": 2, "ffn_embedding_dim": 16, "num_attention_heads": 4, "gaussian_hidden_dim": 8}
    sk.testing.check_model(lambda: SToFM(weights="random", rng=1, config=sizes, split_num=12))


def test_coordinates_are_needed() -> None:
    adata = made_up()
    del adata.obsm["spatial"]
    with pytest.raises(MissingKeyError, match="spatial"):
        embedded(adata, SToFM(weights=DATA))


def test_symbols_need_a_table() -> None:
    with pytest.raises(InputError, match="gene names of the kind 'symbol'"):
        embedded(synthetic_counts([f"G{i}" for i in range(20)]), SToFM(weights=DATA))


def test_another_species() -> None:
    with pytest.raises(InputError, match="none of the 20 genes"):
        embedded(synthetic_counts(gene_ids(20, prefix="ENSDARG")), SToFM(weights=DATA))


def test_mice_need_the_table_of_the_publication(folder: Path) -> None:
    (folder / "mouseid2humanid.pkl").unlink()
    with pytest.raises(InputError, match=r"genes of mice, and no mouseid2humanid\.pkl"):
        embedded(mice(), SToFM(weights=folder))


def test_the_root_of_the_repository_will_do(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "SToFM"
    shutil.copytree(folder, root / "ckpt")
    for name, place in (
        ("token_dictionary.pkl", "geneformer_001/geneformer"),
        ("gene_median_dictionary.pkl", "geneformer_001/geneformer"),
        ("mouseid2humanid.pkl", "preprocessing"),
    ):
        (root / place).mkdir(parents=True, exist_ok=True)
        shutil.move(root / "ckpt" / name, root / place / name)
    adata = mice()
    whole = embedded(adata, SToFM(weights=DATA))
    for place in (root, root / "ckpt"):
        np.testing.assert_array_equal(embedded(adata, SToFM(weights=place)), whole)


def test_a_folder_of_another_model() -> None:
    with pytest.raises(MissingFileError, match=r"no config\.json for 'stofm'"):
        SToFM(weights=OTHER).load()


def on_a_line(adata: AnnData) -> None:
    adata.obsm["spatial"][:, 1] = 5.0


def test_cells_on_a_line_cannot_be_tiled() -> None:
    adata = made_up()
    on_a_line(adata)
    adata.obs["known"] = "a"
    with pytest.raises(InputError, match="160 observations on one line"):
        embedded(adata, SToFM(weights=DATA, split_num=SPLIT, hyper_key="known"))


@pytest.mark.parametrize("option", ["split_num", "leiden_res"])
def test_options_that_cannot_be(option: str) -> None:
    with pytest.raises(InputError, match=option):
        SToFM(weights=DATA, **{option: 0}).load()


def without(path: str, key: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        if path.endswith("safetensors"):
            state = load_file(folder / path)
            del state[key]
            save_file(state, folder / path)
        else:
            state = torch.load(folder / path, weights_only=True)
            del state[key]
            torch.save(state, folder / path)

    return apply


def added(folder: Path) -> None:
    state = torch.load(folder / "se2transformer.pth", weights_only=True)
    torch.save(state | {"lm_head.0.weight": torch.zeros(2)}, folder / "se2transformer.pth")


def stated(**facts: Any) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | facts))

    return apply


def truncated(folder: Path) -> None:
    path = folder / "se2transformer.pth"
    path.write_bytes(path.read_bytes()[:1000])


def other_dictionary(folder: Path) -> None:
    path = folder / "token_dictionary.pkl"
    path.write_bytes(pickle.dumps(dict(list(pickle.loads(path.read_bytes()).items())[:50])))


def bomb(folder: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (folder / "exploded",))

    (folder / "token_dictionary.pkl").write_bytes(pickle.dumps({"a": Bomb()}))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (without("se2transformer.pth", "gaussian.means.weight"), r"1 missing \('tissue\.gaussian\.means\.weight'"),
        (
            without("cell_encoder/cell_bert/model.safetensors", "encoder.layer.1.output.dense.bias"),
            r"1 missing \('cell\.encoder\.layers\.1\.linear2\.bias'",
        ),
        (added, r"1 not known \('tissue\.lm_head\.0\.weight'"),
        (stated(embedding_dim=20), r"instead of"),
        (stated(pre_layernorm=True), r"norms after a sub-layer"),
        (stated(num_attention_heads=5), r"a width that the heads divide"),
        (truncated, "cannot be read"),
        (other_dictionary, "a dictionary of 51 tokens, and a checkpoint of 'stofm' with 173"),
        (bomb, r"token_dictionary\.pkl .* is not loaded: it names"),
    ],
)
def test_a_checkpoint_that_is_not_right(folder: Path, change: Callable[[Path], None], match: str) -> None:
    change(folder)
    with pytest.raises(InputError, match=match):
        SToFM(weights=folder).load()
    assert not (folder / "exploded").exists()
