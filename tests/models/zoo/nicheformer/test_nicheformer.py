"""Nicheformer against its original: tokens, layers and embeddings, and what it refuses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
import torch
from anndata import AnnData
from safetensors.torch import save_file
from tests.models.zoo._blocks import block_for
from tests.models.zoo._cases import gene_ids, synthetic_counts
from tests.models.zoo._parity import assert_parity
from tests.models.zoo._published import DATA, Bomb, change_state, copy_of, cut

import stfmkit as sk
from stfmkit.errors import InputError, MissingFileError
from stfmkit.models.zoo.nicheformer.card import CARDS
from stfmkit.models.zoo.nicheformer.files import rounded_means
from stfmkit.models.zoo.nicheformer.model import Nicheformer

CONTEXT = {"modality": "spatial", "species": "human", "technology": "xenium"}
TINY = {"dim_model": 8, "nheads": 2, "dim_feedforward": 8, "nlayers": 2, "context_length": 20}
SETTINGS = {
    "embedding": {},
    "layer0": {"layer_index": 0},
    "with_context": {"with_context": True},
    "dataset_embedding": {"means_mode": "dataset"},
}

partly_known = pytest.mark.filterwarnings("ignore:.* of the counts. most of the data are outside its vocabulary")


def synthetic() -> AnnData:
    """The cells of the fixture."""
    return synthetic_counts(gene_ids(180), n_obs=12, seed=2, density=0.5)


def real(folder: Path) -> AnnData:
    """The real cells of the fixture."""
    cells = ad.read_h5ad(folder / "breast_xenium_roi.h5ad")[::420][:40].copy()
    cells.var_names = gene_ids(cells.n_vars, start=41)
    return cells


def embedded(cells: AnnData, *, weights: Path | str = DATA / "nicheformer", **options: Any) -> np.ndarray:
    """Return the embedding through the public verb."""
    sk.tl.embed(cells, "nicheformer", weights=weights, **(CONTEXT | options))
    return cells.obsm["X_nicheformer"]


def tokens_of(cells: AnnData, **options: Any) -> np.ndarray:
    """Return the tokens of genes, padded with zeros as in the original."""
    model = Nicheformer(weights=DATA / "nicheformer", **(CONTEXT | options))
    tokens = model.prepare(block_for(cells, model))
    out = np.zeros((cells.n_obs, 57), dtype=np.int64)
    out[np.arange(57) < tokens.lengths[:, None]] = tokens.ids
    return out


@pytest.mark.parametrize(("mode", "case"), [("notebook", "tokens"), ("dataset", "dataset_tokens")])
def test_tokens_are_those_of_the_original(mode: str, case: str) -> None:
    wanted = np.load(DATA / "nicheformer/synthetic.npz")
    np.testing.assert_array_equal(tokens_of(synthetic(), means_mode=mode), wanted[case])


@pytest.mark.parametrize("case", SETTINGS)
def test_embeddings_are_those_of_the_original(case: str) -> None:
    wanted = np.load(DATA / "nicheformer/synthetic.npz")
    assert_parity(embedded(synthetic(), **SETTINGS[case]), wanted[case])


@partly_known
@pytest.mark.real_data
@pytest.mark.parametrize("case", SETTINGS)
def test_real_cells_as_in_the_original(real_data: Path, case: str) -> None:
    wanted = np.load(DATA / "nicheformer/real.npz")
    cells = real(real_data)
    options = SETTINGS[case]
    names = "dataset_tokens" if options.get("means_mode") == "dataset" else "tokens"
    np.testing.assert_array_equal(tokens_of(cells, **options), wanted[names])
    assert_parity(embedded(cells, **options), wanted[case])


def test_a_hub_folder_gives_the_same(tmp_path: Path) -> None:
    folder = copy_of("nicheformer", tmp_path)
    held = torch.load(folder / "nicheformer.ckpt", weights_only=True)
    save_file(
        {f"nicheformer.{name}": t.contiguous() for name, t in held["state_dict"].items()}, folder / "model.safetensors"
    )
    (folder / "config.json").write_text('{"nheads": 4, "nlayers": 3, "dim_feedforward": 24}')
    (folder / "nicheformer.ckpt").unlink()
    np.testing.assert_array_equal(embedded(synthetic(), weights=folder), embedded(synthetic()))


def test_the_folders_of_the_repository(tmp_path: Path) -> None:
    folder = copy_of("nicheformer", tmp_path)
    (folder / "data").mkdir()
    (folder / "model_means").rename(folder / "data/model_means")
    (folder / "nicheformer.ckpt").rename(folder / "data/released.ckpt")
    np.testing.assert_array_equal(embedded(synthetic(), weights=folder), embedded(synthetic()))
    np.testing.assert_array_equal(embedded(synthetic(), weights=folder / "data/released.ckpt"), embedded(synthetic()))


def test_rows_columns_and_batches_do_not_matter() -> None:
    cells = synthetic()
    whole = embedded(cells)
    draw = np.random.default_rng(0)
    rows, genes = draw.permutation(cells.n_obs), draw.permutation(cells.n_vars)
    turned = embedded(cells[rows][:, genes].copy(), batch_size=5)
    assert_parity(turned, whole[rows])


def test_padding_enters_the_mean() -> None:
    model = Nicheformer(weights=DATA / "nicheformer", **CONTEXT)
    tokens = model.prepare(block_for(synthetic(), model))
    batch = model.collate(tokens)
    states = model.module.states(batch["ids"], layers=3)
    assert (batch["ids"] == 1).any()
    torch.testing.assert_close(model.forward(model.module, batch), states[:, 3:].mean(1))
    assert batch["ids"][:, :3].tolist() == [[5, 9, 4]] * 12


def test_layers_count_as_in_the_original() -> None:
    cells = synthetic()
    np.testing.assert_array_equal(embedded(cells, layer_index=-3), embedded(cells, layer_index=0))
    np.testing.assert_array_equal(embedded(cells, layer_index=2), embedded(cells))


@pytest.mark.parametrize(("mean", "wanted"), [(np.nan, 1), (0.0, 1), (0.3, 1), (2.5, 3), (2.4, 2), (-12.4, -12)])
def test_means_are_rounded_as_in_the_notebooks(mean: float, wanted: float) -> None:
    assert rounded_means(np.array([mean])) == wanted


def test_the_contract_holds_for_a_random_twin() -> None:
    sk.testing.check_model("nicheformer", weights="random", config=TINY, **CONTEXT)


def test_the_codes_of_the_context_matter() -> None:
    cells = synthetic()
    first = embedded(cells, weights="random", config=TINY, rng=0)
    for change in ({"species": "Mus musculus"}, {"modality": "Dissociated"}, {"technology": "MERFISH"}):
        other = embedded(cells, weights="random", config=TINY, rng=0, **change)
        assert np.abs(other - first).max() > 1e-7


# what it refuses


@pytest.mark.parametrize("name", ["modality", "species", "technology"])
@pytest.mark.parametrize("value", [None, "visium", 7])
def test_the_user_has_to_say_what_the_cells_are(name: str, value: object) -> None:
    with pytest.raises(InputError, match=rf"(?s){name}={value!r} .*no default.*(spatial|human|xenium)"):
        Nicheformer(weights="random", **(CONTEXT | {name: value})).load()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"layer_index": 3}, "layer_index=3 of 3 layers"),
        ({"layer_index": -4}, "-3 … 2"),
        ({"means_mode": "hf"}, "means_mode"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        embedded(synthetic(), **options)


def _shorter(state: dict[str, Any]) -> None:
    state["encoder.layers.0.norm1.weight"] = torch.ones(15)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda state: state.pop("encoder.layers.1.linear2.bias"), "1 missing"),
        (lambda state: state.update(surprise=torch.ones(1)), "1 not known .'surprise'"),
        (_shorter, r"\(15,\) instead of \(16,\)"),
    ],
)
def test_a_checkpoint_of_other_tensors(tmp_path: Path, change: Callable[[dict[str, Any]], None], match: str) -> None:
    folder = copy_of("nicheformer", tmp_path)
    change_state(folder / "nicheformer.ckpt", change, inside="state_dict")
    with pytest.raises(InputError, match=match):
        embedded(synthetic(), weights=folder)


def test_the_checkpoint_of_another_model(tmp_path: Path) -> None:
    folder = copy_of("nicheformer", tmp_path)
    (folder / "nicheformer.ckpt").write_bytes((DATA / "transcriptformer/model_weights.pt").read_bytes())
    with pytest.raises(InputError, match="without its settings"):
        embedded(synthetic(), weights=folder)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("nicheformer.ckpt", "cannot be read"),
        ("model_means/model.h5ad", "is not an h5ad file"),
        ("model_means/xenium_mean_script.npy", "is not an array"),
    ],
)
def test_a_truncated_file(tmp_path: Path, name: str, match: str) -> None:
    folder = copy_of("nicheformer", tmp_path)
    cut(folder / name)
    with pytest.raises(InputError, match=match):
        embedded(synthetic(), weights=folder)


def test_means_that_are_not_there(tmp_path: Path) -> None:
    folder = copy_of("nicheformer", tmp_path)
    (folder / "model_means/xenium_mean_script.npy").unlink()
    with pytest.raises(MissingFileError, match=r"no xenium_mean_script\.npy"):
        embedded(synthetic(), weights=folder)
    assert np.isfinite(embedded(synthetic(), weights=folder, means_mode="none")).all()


def test_means_and_gene_order_of_other_releases(tmp_path: Path) -> None:
    folder = copy_of("nicheformer", tmp_path)
    np.save(folder / "model_means/xenium_mean_script.npy", np.ones(7))
    with pytest.raises(InputError, match=r"\(7,\), and model.h5ad has 160 genes"):
        embedded(synthetic(), weights=folder)
    AnnData(np.zeros((1, 7), dtype=np.float32)).write_h5ad(folder / "model_means/model.h5ad")
    with pytest.raises(InputError, match="7 genes, and a checkpoint of 190 tokens"):
        embedded(synthetic(), weights=folder)


def test_a_malicious_checkpoint_is_not_executed(tmp_path: Path) -> None:
    folder = copy_of("nicheformer", tmp_path)
    torch.save({"state_dict": {}, "hyper_parameters": Bomb(tmp_path / "mark")}, folder / "nicheformer.ckpt")
    with pytest.raises(InputError, match="more than tensors and plain values"):
        embedded(synthetic(), weights=folder)
    np.save(folder / "model_means/xenium_mean_script.npy", np.array([Bomb(tmp_path / "mark")]), allow_pickle=True)
    copy = DATA / "nicheformer/nicheformer.ckpt"
    (folder / "nicheformer.ckpt").write_bytes(copy.read_bytes())
    with pytest.raises(InputError, match="is not an array"):
        embedded(synthetic(), weights=folder)
    assert not (tmp_path / "mark").exists()


def test_genes_that_it_does_not_know() -> None:
    mouse = synthetic_counts(gene_ids(30, prefix="ENSMUSG"))
    with pytest.raises(InputError, match=r"none of the 30 genes .* vocabulary of 'nicheformer'"):
        embedded(mouse)
    with pytest.raises(InputError, match="gene names of the kind 'symbol'"):
        embedded(synthetic_counts([f"GENE{i}" for i in range(30)]))


def test_cells_without_a_known_gene() -> None:
    cells = synthetic()
    empty = cells[:, gene_ids(180)[160:]].to_df().sum(axis=1) > 0
    cells = cells[empty.to_numpy()].copy()
    unknown = cells.var_names.isin(gene_ids(180)[160:])
    cells.X = cells.X.multiply(np.where(np.arange(cells.n_obs)[:, None] == 0, unknown, 1)).tocsr()
    for mode in ("notebook", "dataset"):
        with pytest.raises(InputError, match=rf"1 of {cells.n_obs} observations have no count of a gene"):
            embedded(cells, means_mode=mode)
        found = embedded(cells, means_mode=mode, on_empty="zero")
        assert not found[0].any()
        assert found[1:].any(axis=1).all()


def test_values_that_are_no_counts() -> None:
    cells = synthetic()
    cells.X = cells.X.log1p()
    with pytest.raises(InputError, match="counts"):
        embedded(cells)


def test_the_real_config_keeps_the_published_sizes() -> None:
    assert Nicheformer.defaults["context_length"] == CARDS[0].context_length
    assert CARDS[0].dimension == Nicheformer.defaults["dim_model"]
