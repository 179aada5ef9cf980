"""scCello against its original: tokens, layers, embeddings, and what it refuses."""

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
from safetensors.torch import save_file
from tests.models.zoo._blocks import block_for
from tests.models.zoo._cases import gene_ids, synthetic_counts
from tests.models.zoo._parity import assert_parity
from tests.models.zoo._published import DATA, Bomb, change_state, copy_of, cut

import stfmkit as sk
from stfmkit.errors import InputError, MissingFileError
from stfmkit.models.zoo.sccello.model import ScCello

HOME = DATA / "sccello"
TINY = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12}
EMBEDDINGS = {
    "embedding": {},
    "embedding_cell_cls": {"pass_cell_cls": True},
    "embedding_normalised": {"normalize": True},
}


def synthetic() -> AnnData:
    """The cells of the fixture."""
    return synthetic_counts(gene_ids(120), n_obs=14, seed=3)


def embedded(cells: AnnData, *, weights: Path | str = HOME, **options: Any) -> np.ndarray:
    """Return the embedding through the public verb."""
    sk.tl.embed(cells, "sccello", weights=weights, **options)
    return cells.obsm["X_sccello"]


def check_parity(case: str, cells: AnnData) -> None:
    """Compare tokens, the class token of every layer, and the embeddings with those of the original."""
    wanted = np.load(HOME / f"{case}.npz")
    model = ScCello(weights=HOME)
    tokens = model.prepare(block_for(cells, model))
    np.testing.assert_array_equal(tokens.indptr, wanted["indptr"])
    np.testing.assert_array_equal(tokens.ids, wanted["ids"])
    states = torch.stack(model.module.states(model.collate(tokens)), dim=1)[:, :, 0]
    assert_parity(states, wanted["states"])
    for name, options in EMBEDDINGS.items():
        assert_parity(embedded(cells, **options), wanted[name])


def test_tokens_layers_and_embeddings_are_those_of_the_original() -> None:
    check_parity("synthetic", synthetic())


@pytest.mark.real_data
@pytest.mark.filterwarnings("ignore:.*of the counts:stfmkit.errors.StfmkitWarning")
def test_real_spots_as_in_the_original(real_data: Path) -> None:
    check_parity("real", ad.read_h5ad(real_data / "dlpfc_visium_151673_151675.h5ad")[::240][:30, :800].copy())


def test_rows_columns_and_batches_do_not_matter() -> None:
    cells = synthetic()
    whole = embedded(cells)
    draw = np.random.default_rng(0)
    rows, genes = draw.permutation(cells.n_obs), draw.permutation(cells.n_vars)
    assert_parity(embedded(cells[rows][:, genes].copy()), whole[rows])
    for size in (1, 3, 14):
        assert_parity(embedded(cells, batch_size=size), whole)


def test_symbols_are_translated_by_the_table_of_the_publication() -> None:
    cells, named = synthetic(), synthetic()
    named.var_names = [f"GENE{int(name[4:])}" for name in named.var_names]
    assert_parity(embedded(named), embedded(cells))


def test_a_head_whose_bias_is_stored_once(tmp_path: Path) -> None:
    folder = copy_of("sccello", tmp_path)
    path = folder / "pytorch_model.bin"
    state = torch.load(path, weights_only=True)
    del state["cell_cls.predictions.dense_2.bias"]
    save_file({name: tensor.clone() for name, tensor in state.items()}, folder / "model.safetensors")
    path.unlink()
    wanted = np.load(HOME / "synthetic.npz")["embedding_cell_cls"]
    assert_parity(embedded(synthetic(), weights=folder, pass_cell_cls=True), wanted)


def test_dictionaries_beside_the_checkpoint(tmp_path: Path) -> None:
    folder = copy_of("sccello", tmp_path)
    for path in (folder / "data/token_vocabulary").iterdir():
        path.rename(folder / path.name)
    assert_parity(embedded(synthetic(), weights=folder), np.load(HOME / "synthetic.npz")["embedding"])


def test_the_random_twin_keeps_the_contract() -> None:
    sk.testing.check_model("sccello", weights="random", config=TINY)
    sk.testing.check_model("sccello", weights="random", config=TINY, pass_cell_cls=True, normalize=True)


def test_the_vector_has_length_one_where_asked() -> None:
    lengths = np.linalg.norm(embedded(synthetic(), normalize=True), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-6)
    assert np.ptp(np.linalg.norm(embedded(synthetic()), axis=1)) > 0.01


# bad input


def state(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    return lambda folder: change_state(folder / "pytorch_model.bin", change)


def fewer_medians(folder: Path) -> None:
    path = folder / "data/token_vocabulary/gene_median_dictionary.pkl"
    held = pickle.loads(path.read_bytes())
    del held[gene_ids(1)[0]]
    path.write_bytes(pickle.dumps(held))


def fewer_tokens(folder: Path) -> None:
    path = folder / "data/token_vocabulary/token_dictionary.pkl"
    held = pickle.loads(path.read_bytes())
    held.popitem()
    path.write_bytes(pickle.dumps(held))


def other_kind(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": "gpt2"}))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda folder: cut(folder / "pytorch_model.bin"), r"pytorch_model.bin .* cannot be read"),
        (lambda folder: cut(folder / "data/token_vocabulary/token_dictionary.pkl"), "is not loaded"),
        (state(lambda held: held.pop("bert.embeddings.expbin_embeddings.weight")), r"1 missing .*expbin_embeddings"),
        (state(lambda held: held.update(more=torch.ones(2))), r"1 not known \('more'\)"),
        (
            state(lambda held: held.update({"bert.embeddings.LayerNorm.bias": torch.ones(3)})),
            r"\(3,\) instead of \(16,\)",
        ),
        (state(lambda held: held["bert.embeddings.LayerNorm.bias"].fill_(torch.nan)), "NaN or infinite weights"),
        (fewer_medians, "no median above 0 for 1 of the 505 genes of 'sccello': 'ENSG00000000001'"),
        (fewer_tokens, "a dictionary of 507 tokens, and a checkpoint of 'sccello' with 508"),
        (other_kind, "model_type='gpt2'"),
    ],
)
def test_a_checkpoint_that_is_not_right(tmp_path: Path, change: Callable[[Path], None], match: str) -> None:
    folder = copy_of("sccello", tmp_path)
    change(folder)
    with pytest.raises(InputError, match=match):
        ScCello(weights=folder).load()


def test_a_malicious_checkpoint_is_not_executed(tmp_path: Path) -> None:
    folder, mark = copy_of("sccello", tmp_path), tmp_path / "exploded"
    torch.save({"a": Bomb(mark)}, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="holds more than tensors"):
        ScCello(weights=folder).load()
    (folder / "data/token_vocabulary/token_dictionary.pkl").write_bytes(pickle.dumps({"a": Bomb(mark)}))
    with pytest.raises(InputError, match="is not loaded: it names"):
        ScCello(weights=folder).load()
    assert not mark.exists()


def test_a_checkpoint_of_another_model() -> None:
    with pytest.raises(MissingFileError, match=r"no token_dictionary.pkl for 'sccello'"):
        ScCello(weights=DATA / "geneformer/Geneformer-V1-10M").load()


def test_unknown_genes_and_empty_cells() -> None:
    cells = synthetic()
    other = cells.copy()
    other.var_names = [name.replace("ENSG", "ENSMUSG") for name in other.var_names]
    with pytest.raises(InputError, match=r"none of the 120 genes .* is in the vocabulary of 'sccello'"):
        embedded(other)
    dense = cells.X.toarray()
    known = cells.var_names.isin(gene_ids(105))
    dense[5, known] = 0
    dense[5, ~known] = 1
    cells = AnnData(dense, obs=cells.obs, var=cells.var)
    with pytest.raises(InputError, match=r"1 of 14 observations have no count of a gene .* 'cell5'"):
        embedded(cells)
    assert (embedded(cells, on_empty="zero")[5] == 0).all()
