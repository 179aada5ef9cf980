"""scGPT against its original: tokens, layers, vectors of cells and genes, and what it refuses."""

import json
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
from tests.models.zoo._published import DATA, Bomb, change_state, copy_of, cut

import stfmkit as sk
from stfmkit.errors import InputError, MissingFileError, StfmkitWarning
from stfmkit.models.card import ModelCard
from stfmkit.models.nets.tokens import Tokens
from stfmkit.models.zoo.scgpt import kernels
from stfmkit.models.zoo.scgpt.card import CARDS
from stfmkit.models.zoo.scgpt.model import ScGPT

FOLDER = DATA / "scgpt"
TINY = {"embsize": 8, "nheads": 2, "d_hid": 12, "nlayers": 2}
GENES = [f"GENE{i}" for i in range(1, 121)]


@pytest.fixture(autouse=True)
def registered(known: dict[str, ModelCard]) -> None:
    """The cards of this model are known."""
    known.update({card.name: card for card in CARDS})


def synthetic() -> AnnData:
    """The cells of the fixture."""
    return synthetic_counts([*GENES, "UNKNOWN1", "UNKNOWN2"], n_obs=12, seed=1)


def embedded(cells: AnnData, *, weights: Path | str = FOLDER, rng: int = 0, **options: Any) -> np.ndarray:
    """Return the embedding through the public verb."""
    sk.tl.embed(cells, "scgpt", weights=weights, rng=rng, **options)
    return cells.obsm["X_scgpt"]


def tokens_of(cells: AnnData, *, rng: int = 0, **options: Any) -> Tokens:
    """Return the tokens, those of every cell ordered by id."""
    model = ScGPT(weights=FOLDER, rng=rng, **options)
    tokens = model.prepare(block_for(cells, model))
    order = np.lexsort((tokens.ids, np.repeat(np.arange(tokens.n_obs), tokens.lengths)))
    return Tokens(tokens.indptr, tokens.ids[order], np.take(tokens.values, order))


def draw_as_the_original(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw from numpy's old stream: cell after cell, the genes of each in the order of the vocabulary."""
    bin_rows = kernels.bin_rows
    draws = lambda n: np.random.RandomState(0).rand(n)  # noqa: E731
    monkeypatch.setattr(
        kernels, "bin_rows", lambda csr, *more, **how: bin_rows(csr, *more, **how, draws=draws(len(csr[2])))
    )


def assert_tokens(found: Tokens, wanted: Any) -> None:
    """Limits, ids and values are equal."""
    np.testing.assert_array_equal(found.indptr, wanted["indptr"])
    np.testing.assert_array_equal(found.ids, wanted["ids"])
    np.testing.assert_array_equal(found.values, wanted["values"])


def test_tokens_are_those_of_the_original() -> None:
    assert_tokens(tokens_of(synthetic()), np.load(FOLDER / "synthetic.npz"))


def test_states_are_those_of_the_original() -> None:
    wanted = np.load(FOLDER / "synthetic.npz")["cls_states"]
    model = ScGPT(weights=FOLDER)
    batch = model.collate(model.prepare(block_for(synthetic(), model)))
    found = torch.stack([state[:, 0] for state in model.module.states(batch)], dim=1)
    assert_parity(found.numpy(), wanted)


def test_embeddings_are_those_of_the_original() -> None:
    found = embedded(synthetic())
    assert_parity(found, np.load(FOLDER / "synthetic.npz")["embedding"])
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


@pytest.mark.real_data
@pytest.mark.filterwarnings("ignore::stfmkit.errors.StfmkitWarning")
def test_real_cells_as_in_the_original_under_its_seed(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = np.load(FOLDER / "real.npz")
    cells = ad.read_h5ad(real_data / "breast_xenium_roi.h5ad")[::420][:40][:, wanted["genes"]].copy()
    draw_as_the_original(monkeypatch)
    assert_tokens(tokens_of(cells), wanted)
    assert_parity(embedded(cells), wanted["embedding"])


@pytest.mark.parametrize("names", ["self_attn.in_proj_", "self_attn._impl.Wqkv."])
def test_every_way_to_save_attention(tmp_path: Path, names: str) -> None:
    folder = copy_of("scgpt", tmp_path)
    held = torch.load(folder / "best_model.pt", weights_only=True)
    impl = "_impl" in names
    renamed = {k.replace("self_attn.Wqkv.", names): v for k, v in held.items()}
    if impl:
        renamed = {k.replace("self_attn.out_proj", "self_attn._impl.out_proj"): v for k, v in renamed.items()}
    torch.save(renamed, folder / "best_model.pt")
    np.testing.assert_array_equal(embedded(synthetic(), weights=folder), embedded(synthetic()))


def test_genes_have_the_vectors_of_the_original() -> None:
    cells = synthetic()
    sk.tl.embed(cells, "scgpt", weights=FOLDER, rng=0, output="genes")
    vocab = json.loads((FOLDER / "vocab.json").read_text())
    wanted = np.load(FOLDER / "genes.npz")["embedding"]
    found = pd.DataFrame(cells.varm["X_scgpt"], index=cells.var_names)
    assert found.loc[["UNKNOWN1", "UNKNOWN2"]].isna().all(axis=None)
    assert_parity(found.loc[GENES], wanted[[vocab[name] for name in GENES]])


def test_rows_columns_and_batches_do_not_matter() -> None:
    cells = synthetic_counts([*GENES, "UNKNOWN1"], n_obs=30, seed=8)
    cells.X = cells.X.minimum(9)  # many ties
    whole = embedded(cells, max_length=30)
    draw = np.random.default_rng(0)
    rows, genes = draw.permutation(cells.n_obs), draw.permutation(cells.n_vars)
    turned = embedded(cells[rows][:, genes].copy(), batch_size=7, max_length=30)
    assert_parity(turned, whole[rows])


def test_only_ties_are_noise() -> None:
    untied, tied = synthetic(), synthetic()
    tied.X = tied.X.minimum(4)
    np.testing.assert_array_equal(embedded(untied), embedded(untied.copy(), rng=1))
    assert np.abs(embedded(tied) - embedded(tied.copy(), rng=1)).max() > 1e-4


def test_a_choice_of_genes_keeps_their_bins_and_the_class_token() -> None:
    cells = synthetic()
    whole, cut_short = tokens_of(cells), tokens_of(cells, max_length=21)
    assert (cut_short.lengths == np.minimum(whole.lengths, 21)).all()
    vocab = json.loads((FOLDER / "vocab.json").read_text())
    for row in range(cells.n_obs):
        held = dict(zip(whole.take([row]).ids, whole.take([row]).values, strict=True))
        part = dict(zip(cut_short.take([row]).ids, cut_short.take([row]).values, strict=True))
        assert part.items() <= held.items()
        assert part[vocab["<cls>"]] == -2
    assert not np.array_equal(cut_short.ids, tokens_of(cells, max_length=21, rng=1).ids)


def test_genes_of_one_symbol_stay_apart() -> None:
    cells = synthetic()
    cells.var["symbol"] = cells.var_names.where(cells.var_names != "GENE7", "GENE9")
    model = ScGPT(weights=FOLDER, gene_key="symbol")
    tokens = model.prepare(block_for(cells, model))
    both = (cells[:, ["GENE7", "GENE9"]].X.toarray() > 0).sum(axis=1)
    nine = json.loads((FOLDER / "vocab.json").read_text())["GENE9"]
    found = [int((tokens.take([row]).ids == nine).sum()) for row in range(cells.n_obs)]
    assert found == both.tolist()
    assert max(found) == 2


def test_special_tokens_are_added_to_a_vocabulary_without_them(tmp_path: Path) -> None:
    folder = copy_of("scgpt", tmp_path)
    vocab = json.loads((folder / "vocab.json").read_text())
    (folder / "vocab.json").write_text(json.dumps({k: v for k, v in vocab.items() if not k.startswith("<")}))
    np.testing.assert_array_equal(embedded(synthetic(), weights=folder), embedded(synthetic()))


@pytest.mark.parametrize("name", ["scgpt", "scgpt.brain"])
def test_the_contract_holds_for_a_random_twin(name: str) -> None:
    sk.testing.check_model(name, weights="random", config=TINY)


def test_the_contract_holds_where_genes_are_left_out() -> None:
    sk.testing.check_model("scgpt", weights="random", config=TINY, max_length=10)


def test_a_tag_runs_its_own_checkpoint_and_says_so() -> None:
    cells = synthetic()
    sk.tl.embed(cells, "scgpt.brain", weights=FOLDER, rng=0)
    facts = cells.uns["stfmkit"]["embed"]["results"]["X_scgpt.brain"]
    assert facts["model"] == "scgpt.brain"
    assert set(facts["provenance"]["sha256"]) == {"args.json", "vocab.json", "best_model.pt"}
    with pytest.raises(MissingFileError, match=r"download them from https://drive\.google\.com/drive/folders/16A1"):
        sk.tl.embed(cells, "scgpt.lung", rng=0)


def test_a_cell_without_known_genes() -> None:
    cells = synthetic()
    counts = cells.X.toarray()
    counts[3] = 5 * (cells.var_names == "UNKNOWN1")
    cells.X = counts
    with pytest.raises(InputError, match=r"1 of 12 observations have no count of a gene.*cell3"):
        embedded(cells)
    found = embedded(cells, on_empty="zero")
    assert (found[3] == 0).all()
    np.testing.assert_allclose(np.linalg.norm(np.delete(found, 3, axis=0), axis=1), 1, atol=1e-6)


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "another model": (lambda f: change_state(f / "best_model.pt", lambda s: s.clear() or s.update(a=torch.ones(1))),
                      r"not one of 'scgpt'.*missing.*not known \('a'\)"),
    "missing key": (lambda f: change_state(f / "best_model.pt", lambda s: s.pop("value_encoder.norm.bias")),
                    r"1 missing \('value_encoder\.norm\.bias'\)"),
    "further key": (lambda f: change_state(f / "best_model.pt", lambda s: s.update({"dsbn.x": torch.ones(2)})),
                    r"1 not known \('dsbn\.x'\)"),
    "other shape": (lambda f: change_state(f / "best_model.pt",
                                           lambda s: s.update({"encoder.enc_norm.bias": torch.ones(3)})),
                    r"1 of another shape \('encoder\.enc_norm\.bias: \(3,\) instead of \(16,\)'\)"),
    "NaN": (lambda f: change_state(f / "best_model.pt", lambda s: s["encoder.enc_norm.bias"].fill_(np.nan)),
            "NaN or infinite weights"),
    "cut": (lambda f: cut(f / "best_model.pt"), "best_model.pt .* cannot be read"),
    "cut args": (lambda f: cut(f / "args.json"), "args.json .* is not loaded"),
    "bomb": (lambda f: torch.save({"a": Bomb(f / "mark")}, f / "best_model.pt"), "holds more than tensors"),
    "other sizes": (lambda f: (f / "args.json").write_text('{"embsize": 16}'), "without nheads, d_hid, nlayers"),
    "other input": (lambda f: (f / "args.json").write_text(json.dumps(json.loads((f / "args.json").read_text())
                                                                     | {"input_emb_style": "category"})),
                    "input_emb_style='category'"),
    "gaps": (lambda f: (f / "vocab.json").write_text('{"A": 0, "<pad>": 5, "<cls>": 6, "<eoc>": 7}'),
             r"4 tokens whose ids are not 0 … 3"),
    "vocabulary of another": (lambda f: (f / "vocab.json").write_text(json.dumps({g: i for i, g in enumerate(GENES)})),
                              r"of another shape \('encoder\.embedding\.weight"),
    "no vocabulary": (lambda f: (f / "vocab.json").unlink(), "no vocab.json"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_folder_is_refused(tmp_path: Path, fault: str) -> None:
    damage, message = FAULTS[fault]
    folder = copy_of("scgpt", tmp_path)
    damage(folder)
    with pytest.raises((InputError, MissingFileError), match=message):
        embedded(synthetic(), weights=folder)
    assert not (folder / "mark").exists()


def test_genes_of_another_species_or_kind_are_refused() -> None:
    cells = synthetic()
    cells.var_names = [f"Gene{i}" for i in range(cells.n_vars)]
    with pytest.raises(InputError, match=r"none of the 122 genes .* is in the vocabulary of 'scgpt'"):
        embedded(cells)
    cells.var_names = [f"ENSG{i:011d}" for i in range(cells.n_vars)]
    with pytest.raises(InputError, match=r"kind 'ensembl'.* knows 'symbol'"):
        embedded(cells)
    table = pd.DataFrame({"symbol": synthetic().var_names, "ensembl": cells.var_names})
    assert_parity(embedded(cells, gene_table=table), embedded(synthetic()))


def test_few_known_counts_are_told() -> None:
    cells = synthetic()
    cells.var_names = [name if name in {"GENE1", "GENE2"} else f"OTHER{i}" for i, name in enumerate(cells.var_names)]
    with pytest.warns(StfmkitWarning, match="'scgpt' sees 2 of 122 genes"):
        embedded(cells, on_empty="zero")


def test_logarithms_are_refused() -> None:
    cells = synthetic()
    cells.X = np.log1p(cells.X.toarray())
    with pytest.raises(InputError, match="raw counts"):
        embedded(cells)


@pytest.mark.parametrize("length", [1, 2.5])
def test_a_length_that_is_none(length: float) -> None:
    with pytest.raises(InputError, match="max_length"):
        ScGPT(weights=FOLDER, max_length=length).load()
