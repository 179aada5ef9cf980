"""CellPLM against its original, end to end, and what it refuses."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
import torch
from anndata import AnnData
from tests.models.zoo._blocks import block_for
from tests.models.zoo._cases import gene_ids, synthetic_counts
from tests.models.zoo._parity import assert_parity

import stfmkit as sk
from stfmkit.errors import InputError, MissingFileError
from stfmkit.models.zoo.cellplm import model as _cellplm
from stfmkit.models.zoo.cellplm.card import CELLPLM, GMVAE
from stfmkit.models.zoo.cellplm.model import CellPLM

DATA = Path(__file__).parents[1] / "data" / "cellplm"
OTHER = Path(__file__).parents[1] / "data" / "scimilarity"
SMALL = {"enc_hid": 16, "enc_layers": 2, "enc_head": 4, "post_latent_dim": 6, "num_clusters": 3}


def made_up() -> AnnData:
    adata = synthetic_counts([*gene_ids(70), *gene_ids(3, prefix="ENSMUSG")], n_obs=24, seed=1)
    adata.obs["batch"] = ["b", "a", "b"] * 8
    return adata


def spots(real_data: Path) -> AnnData:
    adata = ad.read_h5ad(real_data / "dlpfc_visium_151673_151675.h5ad")[::181][:40].copy()
    adata.obs["batch"] = adata.obs["section"].astype(str)
    return adata


def embedded(adata: AnnData, model: CellPLM) -> np.ndarray:
    sk.tl.embed(adata, model, key_added="X_model")
    return adata.obsm.pop("X_model")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DATA, tmp_path / "published"))


@pytest.fixture(params=["synthetic", pytest.param("real", marks=pytest.mark.real_data)])
def case(request: pytest.FixtureRequest) -> tuple[AnnData, str]:
    """A table, and the name of what the original made of it."""
    if request.param == "synthetic":
        return made_up(), "synthetic"
    return spots(request.getfixturevalue("real_data")), "real"


@pytest.mark.filterwarnings("ignore:'cellplm' sees")
def test_it_equals_the_original(case: tuple[AnnData, str]) -> None:
    adata, name = case
    expected = np.load(DATA / f"vae_{name}.npz")
    model = CellPLM(weights=DATA, batch_key="batch")
    assert_parity(embedded(adata, model), expected["embedding_0"])
    chunked = CellPLM(weights=DATA, batch_key="batch", batch_size=5)
    assert_parity(embedded(adata, chunked), expected["embedding_5"])
    tokens = model.tokenise(block_for(adata, model))
    first = np.flatnonzero(tokens.rows["group"] == 0)
    states = model.module.states(model.collate(tokens.take(first)))
    assert_parity(states[0], expected["embedder_0"])
    assert_parity(states[1], expected["encoder_0"])


@pytest.mark.parametrize("chunk", [0, 5])
@pytest.mark.filterwarnings("ignore:'cellplm.20230926_85m' sees")
def test_the_mixture_equals_the_original_with_its_random_numbers(
    case: tuple[AnnData, str], chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    adata, name = case
    width, n_clusters = 8, 4
    draw = torch.Generator().manual_seed(4)
    torch.empty((), dtype=torch.int64).random_(generator=draw)  # of the loader of the original
    uniform = np.zeros((adata.n_obs, n_clusters))
    for batch in sorted(adata.obs["batch"].unique()):  # the original draws batch by batch, chunk by chunk
        cells = np.flatnonzero(adata.obs["batch"] == batch)
        for part in np.split(cells, range(chunk, len(cells), chunk) if chunk else []):
            uniform[part] = torch.rand(len(part), n_clusters, generator=draw)
            torch.randn(len(part), width, generator=draw)  # of the sample that is not used
    monkeypatch.setattr(_cellplm, "ndtr", lambda _numbers: uniform)
    model = CellPLM(card=GMVAE, weights=DATA, batch_key="batch", rng=0, batch_size=chunk or None)
    expected = np.load(DATA / f"gmvae_{name}.npz")
    assert_parity(embedded(adata, model), expected[f"embedding_{chunk}"])


def test_the_mixture_follows_from_seed_and_names() -> None:
    adata = made_up()
    first = embedded(adata, CellPLM(card=GMVAE, weights=DATA, rng=1))
    np.testing.assert_array_equal(embedded(adata, CellPLM(card=GMVAE, weights=DATA, rng=1)), first)
    assert np.abs(embedded(adata, CellPLM(card=GMVAE, weights=DATA, rng=2)) - first).max() > 0.1
    turned = embedded(adata[::-1].copy(), CellPLM(card=GMVAE, weights=DATA, rng=1))
    assert_parity(turned[::-1], first)


def test_the_seed_of_the_mixture_is_stated_and_recorded() -> None:
    adata = made_up()
    model = CellPLM(card=GMVAE, weights=DATA)
    assert model.requirements().draws
    assert not CellPLM(weights=DATA).requirements().draws
    np.testing.assert_array_equal(embedded(adata, model), embedded(adata, CellPLM(card=GMVAE, weights=DATA, rng=0)))


def test_a_file_is_taken_at_its_word() -> None:
    assert CellPLM(weights=DATA / "20230926_85M.best.ckpt").draws
    assert not CellPLM(weights=DATA / "20231027_85M.best.ckpt").draws


def test_batches_do_not_see_each_other() -> None:
    adata = made_up()
    whole = embedded(adata, CellPLM(weights=DATA, batch_key="batch"))
    alone = adata[adata.obs["batch"] == "a"].copy()
    assert_parity(embedded(alone, CellPLM(weights=DATA)), whole[(adata.obs["batch"] == "a").to_numpy()])
    assert np.abs(embedded(adata, CellPLM(weights=DATA)) - whole).max() > 0.01  # without batches all see all
    by_sample = CellPLM(weights=DATA)
    sk.tl.embed(adata, by_sample, sample_key="batch", key_added="X_sample")
    assert_parity(adata.obsm["X_sample"], whole)


def test_the_order_of_rows_and_genes_does_not_matter() -> None:
    adata = made_up()
    whole = embedded(adata, CellPLM(weights=DATA, batch_key="batch"))
    turned = embedded(adata[::-1, ::-1].copy(), CellPLM(weights=DATA, batch_key="batch"))
    assert_parity(turned[::-1], whole)


def test_empty_cells_are_no_context() -> None:
    adata = made_up()
    adata = adata[:, gene_ids(70)].copy()
    adata.X = adata.X.multiply(np.arange(24)[:, None] != 3).tocsr()
    with pytest.raises(InputError, match="1 of 24 observations"):
        embedded(adata, CellPLM(weights=DATA))
    values = embedded(adata, CellPLM(weights=DATA, on_empty="zero"))
    others = np.delete(np.arange(24), 3)
    assert (values[3] == 0).all()
    assert_parity(values[others], embedded(adata[others].copy(), CellPLM(weights=DATA)))


def test_genes_have_vectors() -> None:
    adata = made_up()
    sk.tl.embed(adata, CellPLM(weights=DATA), output="genes", key_added="genes")
    state = torch.load(DATA / "20231027_85M.best.ckpt", weights_only=True)["model_state_dict"]
    names = json.loads((DATA / "20231027_85M.config.json").read_text())["gene_list"]
    table = dict(zip(names, state["embedder.feat_enc.emb"].numpy(), strict=True))
    for gene, vector in zip(adata.var_names, adata.varm["genes"], strict=True):
        np.testing.assert_array_equal(vector, table.get(gene, np.full(32, np.nan)))


@pytest.mark.parametrize("latent", ["vae", "gmvae"])
def test_the_contract_holds(latent: str) -> None:
    card = replace(GMVAE if latent == "gmvae" else CELLPLM, dimension=6)
    config = SMALL | {"latent_mod": latent}
    sk.testing.check_model(lambda: CellPLM(card=card, weights="random", rng=1, config=config))


def test_symbols_need_a_table() -> None:
    with pytest.raises(InputError, match="gene names of the kind 'symbol'"):
        embedded(synthetic_counts([f"G{i}" for i in range(20)]), CellPLM(weights=DATA))


def test_another_species() -> None:
    with pytest.raises(InputError, match="none of the 20 genes"):
        embedded(synthetic_counts(gene_ids(20, prefix="ENSMUSG")), CellPLM(weights=DATA))


def test_a_folder_of_another_model() -> None:
    with pytest.raises(MissingFileError, match=r"no 20231027_85M\.best\.ckpt or \*\.best\.ckpt for 'cellplm'"):
        CellPLM(weights=OTHER).load()


PREFIX = "20231027_85M"


def changed(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        held = torch.load(folder / f"{PREFIX}.best.ckpt", weights_only=True)
        change(held["model_state_dict"])
        torch.save(held, folder / f"{PREFIX}.best.ckpt")

    return apply


def stated(**facts: Any) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / f"{PREFIX}.config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | facts))

    return apply


def dropped(state: dict[str, Any]) -> None:
    del state["pre_latent_norm.norm.bias"]


def added(state: dict[str, Any]) -> None:
    state["encoder.layers.2.norm1.weight"] = torch.ones(32)


def truncated(folder: Path) -> None:
    path = folder / f"{PREFIX}.best.ckpt"
    path.write_bytes(path.read_bytes()[:1000])


def bomb(folder: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (folder / "exploded",))

    torch.save({"model_state_dict": Bomb()}, folder / f"{PREFIX}.best.ckpt")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (changed(dropped), r"1 missing \('pre_latent_norm\.norm\.bias'"),
        (changed(added), r"1 not known \('encoder\.layers\.2\.norm1\.weight'"),
        (stated(post_latent_dim=9), r"hid_2mu\.bias: \(8,\) instead of \(9,\)"),
        (stated(gene_list=gene_ids(20)), r"feat_enc\.emb: \(130, 32\) instead of \(20, 32\)"),
        (stated(gene_list=[]), "no gene_list"),
        (stated(enc_mod="performer"), "enc_mod='performer'"),
        (stated(latent_mod="gmvae"), "missing"),
        (truncated, "cannot be read"),
        (bomb, "holds more than tensors and plain values"),
    ],
)
def test_a_checkpoint_that_is_not_right(folder: Path, change: Callable[[Path], None], match: str) -> None:
    change(folder)
    with pytest.raises(InputError, match=match):
        CellPLM(weights=folder, rng=0).load()
    assert not (folder / "exploded").exists()
