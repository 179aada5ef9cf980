"""CELLama against its original and sentence-transformers: sentences, word pieces, layers, embeddings, refusals."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import torch
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from scipy import sparse
from tests.models.zoo._blocks import block_for
from tests.models.zoo._cases import gene_ids, synthetic_counts
from tests.models.zoo._parity import assert_parity
from tests.models.zoo._published import DATA, copy_of, cut

import stfmkit as sk
from stfmkit.errors import InputError, InputTypeError, MissingFileError, MissingKeyError
from stfmkit.models.zoo.cellama.kernels import top_columns
from stfmkit.models.zoo.cellama.model import CELLama
from stfmkit.models.zoo.cellama.sentences import top_genes, write_sentences
from stfmkit.models.zoo.cellama.words import Words, hashed_words, read_words

HOME = DATA / "cellama"
GENES = [f"{stem}{i}" for stem in ("GENE", "HLA-D", "C1orf", "Mt.x") for i in range(1, 13)]
TOLD: dict[str, Any] = {"top_k": 10, "obs_features": ["celltype", "region"]}
TINY = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12, "n_tokens": 300}


def synthetic() -> AnnData:
    """The cells of the fixture."""
    cells = synthetic_counts(GENES, n_obs=14, seed=4)
    cells.obs["celltype"] = [["B cell", "CD4+ T", "Macrophage"][i % 3] for i in range(14)]
    cells.obs["region"] = [["core", "edge"][i % 2] for i in range(14)]
    return cells


def real(folder: Path) -> AnnData:
    """The real cells of the fixture, log-normalised."""
    cells = ad.read_h5ad(folder / "breast_xenium_roi.h5ad")[::700].copy()
    cells.X = cells.X.astype(np.float32)
    sc.pp.normalize_total(cells, target_sum=1e4)
    sc.pp.log1p(cells)
    return cells


def embedded(cells: AnnData, *, weights: Path | str = HOME, **options: Any) -> np.ndarray:
    """Return the embedding through the public verb."""
    sk.tl.embed(cells, "cellama", weights=weights, **options)
    return cells.obsm["X_cellama"]


def sentences_of(cells: AnnData, **options: Any) -> list[str]:
    """Return the sentences."""
    model = CELLama(weights=HOME, **options)
    return model.sentences(block_for(cells, model))


def check_parity(case: str, cells: AnnData, **options: Any) -> None:
    """Compare word pieces, layers and embeddings with those of the original."""
    wanted = np.load(HOME / f"{case}.npz")
    model = CELLama(weights=HOME, **options)
    tokens = model.prepare(block_for(cells, model))
    np.testing.assert_array_equal(tokens.indptr, wanted["indptr"])
    np.testing.assert_array_equal(tokens.ids, wanted["ids"])
    for row in range(4):
        states = model.module.states(model.collate(tokens.take(np.array([row]))))
        assert_parity(torch.stack(states)[:, 0, [0, -1]], wanted["states"][row])
    assert_parity(embedded(cells, **options), wanted["embedding"])


def test_sentences_are_those_of_the_original() -> None:
    assert sentences_of(synthetic(), **TOLD) == list(np.load(HOME / "synthetic.npz")["sentences"])
    assert sentences_of(synthetic(), top_k=1) == json.loads((HOME / "one_gene.json").read_text())


def test_word_pieces_layers_and_embeddings_are_those_of_the_original() -> None:
    check_parity("synthetic", synthetic(), **TOLD)


@pytest.mark.real_data
def test_real_cells_as_in_the_original(real_data: Path) -> None:
    check_parity("real", real(real_data))


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.txt"])
def test_word_pieces_of_odd_sentences(name: str) -> None:
    wanted = np.load(HOME / "odd.npz")
    words = read_words(HOME / name, lower=False, fold=True, n_tokens=119)
    found = words.encode(list(wanted["sentences"]))
    for row in range(found.n_obs):
        ids = found.ids[found.indptr[row] : found.indptr[row + 1]]
        cut_ids = np.concatenate([[words.first], ids[: 96 - 2], [words.last]])
        np.testing.assert_array_equal(cut_ids, wanted["ids"][wanted["indptr"][row] : wanted["indptr"][row + 1]])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=6), st.text(max_size=6), st.booleans())
def test_word_pieces_of_parts_are_those_of_the_sentence(names: list[str], value: str, lower: bool) -> None:
    read = read_words(HOME / "tokenizer.json", lower=lower, fold=True, n_tokens=119)
    for words in (read, hashed_words(50)):
        columns = np.arange(len(names))
        written = write_sentences(np.array([0, len(names)]), columns, names, {"type": np.array([value], dtype=object)})
        whole = words.encode(written.texts())
        parts = written.tokens(words, limit=10_000)
        np.testing.assert_array_equal(parts.ids, [words.first, *whole.ids, words.last])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 14))
def test_top_columns_are_those_of_a_stable_sort(seed: int, limit: int) -> None:
    dense = np.random.default_rng(seed).integers(0, 4, size=(6, 9)).astype(np.float32)
    values = sparse.csr_array(dense)
    found = top_columns(values.indptr, values.indices, values.data, n_columns=9, limit=limit)
    wanted = np.argsort(-dense, axis=1, kind="stable")[:, :limit]
    np.testing.assert_array_equal(found, wanted)
    indptr, columns = top_genes(values, top_k=limit, drop_zeros=False)  # sorts rows with enough values on their own
    np.testing.assert_array_equal(columns.reshape(wanted.shape), wanted)
    np.testing.assert_array_equal(np.diff(indptr), wanted.shape[1])
    indptr, columns = top_genes(values, top_k=limit, drop_zeros=True)
    for row, ranked in enumerate(wanted):
        np.testing.assert_array_equal(columns[indptr[row] : indptr[row + 1]], ranked[dense[row, ranked] > 0])


def test_rows_columns_and_batches_do_not_matter() -> None:
    cells = synthetic()
    cells.X.data[:] = np.ceil(cells.X.data / 20)  # ties
    whole = embedded(cells, **TOLD)
    draw = np.random.default_rng(0)
    rows, genes = draw.permutation(cells.n_obs), draw.permutation(cells.n_vars)
    assert_parity(embedded(cells[rows][:, genes].copy(), **TOLD), whole[rows])
    for size in (1, 3, 14):
        assert_parity(embedded(cells, batch_size=size, **TOLD), whole)


def test_genes_without_counts_fill_the_sentence_as_in_the_original_unless_told_otherwise() -> None:
    counts = np.array([[0, 3, 0, 1, 0.0], [0, 0, 2, 0, 0]])
    cells = AnnData(counts, var=pd.DataFrame(index=["E", "D", "C", "B", "A"]))
    filled = ["Top genes are D, B, A, and C.", "Top genes are C, A, B, and D."]
    assert sentences_of(cells, top_k=4) == filled
    assert sentences_of(cells, top_k=4, drop_zeros=True) == ["Top genes are D, and B.", "Top gene is C."]


def test_the_nearest_cells_are_told() -> None:
    cells = synthetic()
    cells.obsm["spatial"] = np.c_[np.arange(14.0) ** 1.5, np.zeros(14)]
    types = cells.obs["celltype"].to_numpy()
    options: dict[str, Any] = {"top_k": 2, "obs_features": "region", "cellname": "celltype", "n_neighs": 2}
    found = sentences_of(cells, **options)
    assert found[0].endswith(f" region of this cell is core. nearest_cells of this cell is {types[1]},{types[2]}.")
    assert found[7].endswith(f" nearest_cells of this cell is {types[6]},{types[8]}.")
    model = CELLama(weights=HOME, **options)
    assert model.requirements().whole_samples
    assert model.requirements().needs == ("expression", "coordinates")
    assert model.card is CELLama.card  # facts of the checkpoint, whatever the options
    whole = embedded(cells, **options)
    told = cells.copy()
    told.obs["nearest_cells"] = [text.rpartition(" is ")[2][:-1] for text in found]
    plain = embedded(told, top_k=2, obs_features=["region", "nearest_cells"])
    assert_parity(whole, plain)


def test_neighbours_stay_within_a_sample() -> None:
    cells = synthetic()
    cells.obs["section"] = pd.Categorical(["a", "b"] * 7)
    types = cells.obs["celltype"].to_numpy()
    cells.obsm["spatial"] = np.c_[np.arange(14.0), np.zeros(14)]
    sk.tl.embed(cells, "cellama", weights=HOME, cellname="celltype", n_neighs=1, sample_key="section", key_added="X_a")
    model = CELLama(weights=HOME, cellname="celltype", n_neighs=1)
    block = block_for(cells, model, sample_key="section")
    assert model.sentences(block)[0].endswith(f"nearest_cells of this cell is {types[2]}.")


def test_fewer_neighbours_than_asked_for() -> None:
    cells = synthetic()[:3].copy()
    found = sentences_of(cells, top_k=1, cellname="celltype", n_neighs=9)
    assert all(text.rpartition(" is ")[2].count(",") == 1 for text in found)


def test_ensembl_ids_need_a_table() -> None:
    cells = synthetic()
    ids = pd.Series(gene_ids(48), index=GENES)
    named = cells.copy()
    named.var_names = ids[cells.var_names].to_numpy()
    with pytest.raises(InputError, match="gene names of the kind 'ensembl'"):
        embedded(named)
    table = pd.DataFrame({"symbol": ids.index, "ensembl": ids.to_numpy()})
    assert_parity(embedded(named, gene_table=table), embedded(cells))


def test_a_column_of_symbols() -> None:
    cells, named = synthetic(), synthetic()
    named.var["symbol"] = named.var_names
    named.var_names = gene_ids(48)
    assert_parity(embedded(named, gene_key="symbol"), embedded(cells))


def test_without_the_step_that_normalises(tmp_path: Path) -> None:
    folder = copy_of("cellama", tmp_path)
    path = folder / "modules.json"
    path.write_text(json.dumps(json.loads(path.read_text())[:2]))
    long = embedded(synthetic(), weights=folder)
    lengths = np.linalg.norm(long, axis=1)
    assert np.ptp(lengths) > 0.01
    assert_parity(long / lengths[:, None], embedded(synthetic()))


def test_a_folder_with_a_vocabulary_only_and_the_network_in_a_folder(tmp_path: Path) -> None:
    folder = copy_of("cellama", tmp_path)
    (folder / "tokenizer.json").unlink()
    inside = folder / "0_Transformer"
    inside.mkdir()
    for name in ("config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json", "sentence_bert_config.json"):
        (folder / name).rename(inside / name)
    path = folder / "modules.json"
    steps = json.loads(path.read_text())
    steps[0]["path"] = "0_Transformer"
    path.write_text(json.dumps(steps))
    assert_parity(embedded(synthetic(), weights=folder), embedded(synthetic()))


def test_the_random_twin_keeps_the_contract() -> None:
    sk.testing.check_model("cellama", weights="random", config=TINY)
    sk.testing.check_model("cellama", weights="random", config=TINY, drop_zeros=True, top_k=5)


def test_the_random_twin_with_neighbours_keeps_the_contract(toy: AnnData) -> None:
    options = {"weights": "random", "config": TINY, "cellname": "niche", "top_k": 5, "rng": 0}
    block = block_for(toy, CELLama(**options), sample_key="sample")
    sk.testing.check_model(lambda: CELLama(**options), block=block)


def test_words_of_the_twin_follow_from_their_letters() -> None:
    words = hashed_words(1000)
    assert isinstance(words, Words)
    found = words.encode(["Top genes are ", "HLA-A", "HLA-A, HLA-B."])
    assert list(found.lengths) == [3, 1, 4]
    assert found.ids[3] == found.ids[4]
    assert found.ids.min() >= 4
    assert found.ids.max() < 1000


# bad input


def steps(change: Callable[[list[dict[str, Any]]], Any]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        held = json.loads((folder / "modules.json").read_text())
        change(held)
        (folder / "modules.json").write_text(json.dumps(held))

    return apply


def facts(name: str, **change: Any) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | change))

    return apply


def tensors(**change: Any) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "model.safetensors"
        state = load_file(path) | {name.replace("__", "."): value for name, value in change.items()}
        save_file({name: value for name, value in state.items() if value is not None}, path)

    return apply


def piece_numbers(number: int) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "tokenizer.json"
        stated = json.loads(path.read_text())
        stated["model"]["vocab"]["[UNK]"] = number
        path.write_text(json.dumps(stated))

    return apply


def longer_vocabulary(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    path = folder / "vocab.txt"
    path.write_text(path.read_text() + "##more\n")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda folder: cut(folder / "model.safetensors"), r"model.safetensors .* cannot be read"),
        (lambda folder: cut(folder / "tokenizer.json"), r"tokenizer.json .* is not loaded"),
        (tensors(embeddings__LayerNorm__bias=None), r"1 missing \('embeddings.LayerNorm.bias'\)"),
        (tensors(more=torch.ones(2)), r"1 not known \('more'\)"),
        (tensors(embeddings__LayerNorm__bias=torch.ones(3)), r"\(3,\) instead of \(16,\)"),
        (steps(lambda held: held.insert(2, {"type": "sentence_transformers.models.Dense", "path": ""})), "'Dense'"),
        (facts("1_Pooling/config.json", pooling_mode_cls_token=True), "'pooling_mode_cls_token'"),
        (facts("1_Pooling/config.json", pooling_mode_mean_tokens=False), "whose pooling is nothing"),
        (facts("config.json", model_type="mpnet"), "model_type='mpnet'"),
        (facts("tokenizer.json", pre_tokenizer={"type": "Metaspace"}), "pre_tokenizer 'Metaspace'"),
        (facts("tokenizer.json", normalizer=None), "normalizer None"),
        (facts("tokenizer.json", added_tokens="none"), "not those of a tokeniser"),
        (facts("tokenizer.json", model={"type": "WordPiece", "vocab": {"a": "x"}}), "not those of a tokeniser"),
        (steps(lambda held: held[0].update(path="../../../../../../etc")), r"modules\.json with the path '\.\./"),
        (steps(lambda held: held[1].update(path="/tmp")), "modules.json with the path '/tmp'"),
        (steps(lambda held: held[1].update(path="1_Pooling/../..")), "with the path '1_Pooling/../..'"),
        (steps(lambda held: held[1].update(path=["1_Pooling"])), r"with the path \['1_Pooling'\]"),
        (steps(lambda held: held[0].update(path="a\0b")), "with the path"),
        (steps(lambda held: held[0].update(path="x" * 10_000)), r"with the path 'x+\.\.\.x+'"),
        (steps(lambda held: held.append("Normalize")), "modules.json with"),
        (facts("sentence_bert_config.json", max_seq_length=-1), "max_seq_length=-1"),
        (facts("sentence_bert_config.json", max_seq_length=0), "max_seq_length=0"),
        (facts("sentence_bert_config.json", max_seq_length="x"), "max_seq_length='x'"),
        (facts("sentence_bert_config.json", max_seq_length=1.5), r"max_seq_length=1\.5"),
        (facts("sentence_bert_config.json", max_seq_length=True), "max_seq_length=True"),
        (facts("sentence_bert_config.json", max_seq_length=10**6), "max_seq_length=1000000"),
        (piece_numbers(2**40), r"under numbers outside 0 … 118"),
        (piece_numbers(-5), r"under numbers outside 0 … 118"),
        (
            facts("tokenizer.json", post_processor={"type": "TemplateProcessing", "single": 3}),
            r"tokenizer\.json, which the tokenizers library does not read",
        ),
        (facts("config.json", num_hidden_layers=100_000), "100,000 layers[\\s\\S]*the limit 'network_layers'"),
        (facts("config.json", hidden_size=10**7), "10,000,000 wide[\\s\\S]*the limit 'network_values'"),
        (longer_vocabulary, "120 word pieces, and a checkpoint of 119"),
    ],
)
def test_a_folder_that_is_not_right(tmp_path: Path, change: Callable[[Path], None], match: str) -> None:
    folder = copy_of("cellama", tmp_path)
    change(folder)
    with pytest.raises(InputError, match=match):
        CELLama(weights=folder).load()


def test_a_folder_of_another_model() -> None:
    with pytest.raises(MissingFileError, match=r"no modules.json for 'cellama' in 'sccello'"):
        CELLama(weights=DATA / "sccello").load()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"top_k": 0}, "top_k"),
        ({"n_neighs": 0}, "n_neighs"),
        ({"config": {"n_tokens": 4}}, "n_tokens=4"),
        ({"config": {"max_seq_length": 600}}, "max_seq_length=600 of 512 positions"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        CELLama(weights="random", **options).load()


@pytest.mark.parametrize("options", [{"obs_features": 3}, {"obs_features": ["a", 3]}, {"cellname": [1]}])
def test_columns_that_are_no_names(options: dict[str, Any]) -> None:
    with pytest.raises(InputTypeError, match="names of columns of obs"):
        CELLama(weights="random", **options).load()


def test_columns_that_are_not_there_negative_values_and_empty_cells() -> None:
    cells = synthetic()
    with pytest.raises(MissingKeyError, match="mood"):
        embedded(cells, obs_features=["mood"])
    scaled = cells.copy()
    scaled.X = sparse.csr_matrix(cells.X.toarray() - 1)
    with pytest.raises(InputError, match="negative"):
        embedded(scaled)
    dense = cells.X.toarray()
    dense[2] = 0
    cells = AnnData(dense, obs=cells.obs, var=cells.var)
    with pytest.raises(InputError, match=r"1 of 14 observations have no count of a gene .* 'cell2'"):
        embedded(cells)
    assert (embedded(cells, on_empty="zero")[2] == 0).all()
    assert (embedded(cells, on_empty="zero", drop_zeros=True)[2] == 0).all()
