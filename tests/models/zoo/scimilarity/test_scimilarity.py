"""SCimilarity against its original, end to end, and what it refuses."""

import json
import shutil
from collections.abc import Callable
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
from stfmkit.models.zoo.scimilarity.card import SCIMILARITY
from stfmkit.models.zoo.scimilarity.model import SCimilarity

DATA = Path(__file__).parents[1] / "data" / "scimilarity"
OTHER = Path(__file__).parents[1] / "data" / "cellplm"


def made_up() -> AnnData:
    return synthetic_counts([*(f"GENE{i}" for i in range(1, 51)), "UNKNOWN1", "UNKNOWN2"], n_obs=12, seed=1)


def embedded(adata: AnnData, model: SCimilarity) -> np.ndarray:
    sk.tl.embed(adata, model, key_added="X_model")
    return adata.obsm.pop("X_model")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DATA, tmp_path / "published"))


def compare(adata: AnnData, case: str) -> None:
    expected = np.load(DATA / f"{case}.npz")
    model = SCimilarity(weights=DATA, min_genes=10)
    assert_parity(embedded(adata, model), expected["embedding"])
    tokens = model.tokenise(block_for(adata, model))
    batch = model.collate(tokens.take(np.arange(6)))
    dense = np.zeros_like(expected["aligned"])
    dense[:, batch["genes"]] = batch["x"]
    np.testing.assert_allclose(dense, expected["aligned"], rtol=1e-6)
    whole = model.collate(tokens)
    states = model.module.states(whole["x"], whole["genes"])
    for layer in (1, 2):
        assert_parity(states[layer - 1], expected[f"state_{layer}"])


def test_it_equals_the_original() -> None:
    compare(made_up(), "synthetic")


@pytest.mark.real_data
def test_it_equals_the_original_on_a_panel(real_data: Path) -> None:
    compare(ad.read_h5ad(real_data / "breast_xenium_roi.h5ad")[::420][:40].copy(), "real")


def test_neither_batches_nor_orders_matter() -> None:
    adata = made_up()
    whole = embedded(adata, SCimilarity(weights=DATA, min_genes=10))
    assert_parity(embedded(adata, SCimilarity(weights=DATA, min_genes=10, batch_size=5)), whole)
    turned = adata[::-1, ::-1].copy()
    assert_parity(embedded(turned, SCimilarity(weights=DATA, min_genes=10))[::-1], whole)


def test_depth_in_unknown_genes_does_not_matter() -> None:
    adata = made_up()
    whole = embedded(adata, SCimilarity(weights=DATA, min_genes=10))
    adata.X = adata.X.multiply(np.where(adata.var_names == "UNKNOWN1", 10, 1)).tocsr()
    assert_parity(embedded(adata, SCimilarity(weights=DATA, min_genes=10)), whole)


def test_vectors_have_length_one() -> None:
    vectors = embedded(made_up(), SCimilarity(weights=DATA, min_genes=10))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_the_contract_holds() -> None:
    sizes = {"hidden": [16, 8], "latent": 4}
    sk.testing.check_model(lambda: SCimilarity(weights="random", rng=1, config=sizes, card=_narrow(4)))


def _narrow(width: int) -> Any:
    from dataclasses import replace

    return replace(SCIMILARITY, dimension=width)


def test_too_few_genes() -> None:
    with pytest.raises(InputError, match=r"50 genes of 'scimilarity' in the data, and min_genes=5000"):
        embedded(made_up(), SCimilarity(weights=DATA))


def test_ensembl_ids_need_a_table() -> None:
    with pytest.raises(InputError, match="gene names of the kind 'ensembl'"):
        embedded(synthetic_counts(gene_ids(20)), SCimilarity(weights=DATA, min_genes=1))


def test_symbols_of_another_species() -> None:
    mouse = synthetic_counts([f"Gene{i}" for i in range(20)])
    with pytest.raises(InputError, match="none of the 20 genes"):
        embedded(mouse, SCimilarity(weights=DATA, min_genes=1))


def test_a_folder_of_another_model() -> None:
    with pytest.raises(MissingFileError, match=r"no gene_order\.tsv for 'scimilarity'"):
        SCimilarity(weights=OTHER).load()


def changed(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        held = torch.load(folder / "encoder.ckpt", weights_only=True)
        change(held["state_dict"])
        torch.save(held, folder / "encoder.ckpt")

    return apply


def dropped(state: dict[str, Any]) -> None:
    del state["network.1.2.running_var"]


def added(state: dict[str, Any]) -> None:
    state["network.3.weight"] = torch.zeros(2)


def reshaped(state: dict[str, Any]) -> None:
    state["network.2.bias"] = torch.zeros(5)


def other_names(state: dict[str, Any]) -> None:
    state |= {f"encoder.{name}": state.pop(name) for name in list(state)}


def truncated(folder: Path) -> None:
    path = folder / "encoder.ckpt"
    path.write_bytes(path.read_bytes()[:1000])


def one_gene_less(folder: Path) -> None:
    path = folder / "gene_order.tsv"
    path.write_text("\n".join(path.read_text().splitlines()[1:]))


def one_gene_twice(folder: Path) -> None:
    path = folder / "gene_order.tsv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[1], *lines[1:]]))


def odd_sizes(folder: Path) -> None:
    (folder / "layer_sizes.json").write_text(json.dumps({"network.0.1.weight": [4, 219], "network.1.weight": [3, 5]}))


def bomb(folder: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (folder / "exploded",))

    torch.save({"state_dict": Bomb()}, folder / "encoder.ckpt")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (changed(dropped), r"1 missing \('network\.1\.2\.running_var'"),
        (changed(added), r"1 not known \('network\.3\.weight'"),
        (changed(reshaped), r"network\.2\.bias: \(5,\) instead of \(12,\)"),
        (changed(other_names), "not one of 'scimilarity'"),
        (truncated, "cannot be read"),
        (one_gene_less, r"gene_order\.tsv: 218 genes .* layer_sizes\.json of 219"),
        (one_gene_twice, r"gene_order\.tsv: 218 genes on 219 lines"),
        (odd_sizes, "the shapes of at least two linear layers that fit together"),
        (bomb, "holds more than tensors and plain values"),
    ],
)
def test_a_checkpoint_that_is_not_right(folder: Path, change: Callable[[Path], None], match: str) -> None:
    change(folder)
    with pytest.raises(InputError, match=match):
        SCimilarity(weights=folder).load()
    assert not (folder / "exploded").exists()


def test_min_genes_that_cannot_be() -> None:
    with pytest.raises(InputError, match="min_genes"):
        SCimilarity(weights=DATA, min_genes=0).load()
