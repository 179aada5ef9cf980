"""scGPT-spatial against its original: means, tokens and vectors, and what it refuses."""

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
from tests.models.zoo._cases import synthetic_counts
from tests.models.zoo._parity import assert_parity
from tests.models.zoo._published import DATA, change_state, copy_of

import stfmkit as sk
from stfmkit.errors import InputError, MissingFileError
from stfmkit.models.card import ModelCard
from stfmkit.models.zoo.scgpt import kernels
from stfmkit.models.zoo.scgpt.card import CARDS
from stfmkit.models.zoo.scgpt.spatial import ScGPTSpatial, relative_counts

FOLDER = DATA / "scgpt-spatial"
TINY = {"embsize": 8, "nheads": 2, "d_hid": 12, "nlayers": 2}
GENES = [f"GENE{i}" for i in range(1, 121)]


@pytest.fixture(autouse=True)
def registered(known: dict[str, ModelCard]) -> None:
    """The cards of this model are known."""
    known.update({card.name: card for card in CARDS})


def synthetic() -> AnnData:
    """The cells of the fixture."""
    return synthetic_counts([*GENES, "UNKNOWN1"], n_obs=12, seed=2)


def embedded(cells: AnnData, *, weights: Path | str = FOLDER, rng: int = 0, **options: Any) -> np.ndarray:
    """Return the embedding through the public verb."""
    sk.tl.embed(cells, "scgpt-spatial", weights=weights, rng=rng, **options)
    return cells.obsm["X_scgpt-spatial"]


def draw_as_the_original(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw from numpy's old stream: cell after cell, the genes of each in the order of the vocabulary."""
    bin_rows = kernels.bin_rows
    draws = lambda n: np.random.RandomState(0).rand(n)  # noqa: E731
    monkeypatch.setattr(
        kernels, "bin_rows", lambda csr, *more, **how: bin_rows(csr, *more, **how, draws=draws(len(csr[2])))
    )


def assert_tokens(cells: AnnData, wanted: Any) -> None:
    """The tokens are those of the original, those of every cell ordered by id."""
    model = ScGPTSpatial(weights=FOLDER)
    found = model.prepare(block_for(cells, model))
    order = np.lexsort((found.ids, np.repeat(np.arange(found.n_obs), found.lengths)))
    np.testing.assert_array_equal(found.indptr, wanted["indptr"])
    np.testing.assert_array_equal(found.ids[order], wanted["ids"])
    np.testing.assert_array_equal(np.take(found.values, order), wanted["values"])


def test_tokens_and_embeddings_are_those_of_the_original() -> None:
    wanted = np.load(FOLDER / "synthetic.npz")
    assert_tokens(synthetic(), wanted)
    assert_parity(embedded(synthetic()), wanted["embedding"])


@pytest.mark.real_data
@pytest.mark.filterwarnings("ignore::stfmkit.errors.StfmkitWarning")
def test_real_cells_as_in_the_original_under_its_seed(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = np.load(FOLDER / "real.npz")
    cells = ad.read_h5ad(real_data / "breast_xenium_roi.h5ad")[::420][:40][:, wanted["genes"]].copy()
    draw_as_the_original(monkeypatch)
    assert_tokens(cells, wanted)
    assert_parity(embedded(cells), wanted["embedding"])


def test_relative_counts_divide_by_slide_and_gene() -> None:
    draw = np.random.default_rng(0)
    counts = draw.poisson(1.0, size=(20, 6)).astype(float)
    samples = np.repeat([3, 9], 10)
    means = np.array([0.5, np.nan, 2.0, 1.0, np.nan, 4.0])
    found = relative_counts(sparse.csr_array(counts), means, samples).toarray()
    for sample in (3, 9):
        part = counts[samples == sample]
        slide = part / part[part > 0].mean()
        own = np.array([column[column > 0].mean() for column in slide.T])
        wanted = slide / np.where(np.isnan(means), own, means)
        np.testing.assert_allclose(found[samples == sample], wanted, rtol=1e-6)


def test_genes_have_other_bins_than_without_their_means() -> None:
    cells = synthetic()
    other = synthetic()
    sk.tl.embed(other, "scgpt", weights=FOLDER, rng=0)
    assert np.abs(embedded(cells) - other.obsm["X_scgpt"]).max() > 1e-2


def test_samples_are_slides_of_their_own() -> None:
    cells = synthetic()
    cells.obs["slide"] = pd.Categorical(np.repeat(["a", "b"], 6))
    both = embedded(cells, sample_key="slide")
    assert_parity(both[:6], embedded(cells[:6].copy()))
    assert_parity(both[6:], embedded(cells[6:].copy()))


def test_rows_columns_and_batches_do_not_matter() -> None:
    cells = synthetic()
    whole = embedded(cells)
    draw = np.random.default_rng(0)
    rows, genes = draw.permutation(cells.n_obs), draw.permutation(cells.n_vars)
    turned = embedded(cells[rows][:, genes].copy(), batch_size=5)
    assert_parity(turned, whole[rows])


def test_the_contract_holds_for_a_random_twin() -> None:
    sk.testing.check_model("scgpt-spatial", weights="random", config=TINY)


MEANS = "all_dict_mean_std.csv"
FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no means": (lambda f: (f / MEANS).unlink(), "no all_dict_mean_std.csv"),
    "no column": (lambda f: (f / MEANS).write_text(",average\n0,1.0\n"), "columns 'average' and 1 rows"),
    "empty": (lambda f: (f / MEANS).write_text(""), "columns nothing and 0 rows"),
    "text": (lambda f: (f / MEANS).write_text(",mean\n0,high\n"), "holds no means"),
    "names": (lambda f: (f / MEANS).write_text(",mean\nGENE1,1.0\n"), "holds no means"),
    "other vocabulary": (lambda f: (f / MEANS).write_text(",mean\n99999,1.0\n"), "holds no means"),
    "missing key": (lambda f: change_state(f / "best_model.pt", lambda s: s.pop("value_encoder.norm.bias")),
                    r"not one of 'scgpt-spatial': tensors 1 missing"),
    "further key": (lambda f: change_state(f / "best_model.pt", lambda s: s.update(more=torch.ones(2))),
                    r"1 not known \('more'\)"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_folder_is_refused(tmp_path: Path, fault: str) -> None:
    damage, message = FAULTS[fault]
    folder = copy_of("scgpt-spatial", tmp_path)
    damage(folder)
    with pytest.raises((InputError, MissingFileError), match=message):
        embedded(synthetic(), weights=folder)


def test_a_folder_of_scgpt_is_refused() -> None:
    with pytest.raises(MissingFileError, match=r"no all_dict_mean_std\.csv"):
        embedded(synthetic(), weights=DATA / "scgpt")
