"""The loop over parts, and what it refuses from a model."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
from stfmkit.models.runtime import run as _runner
from stfmkit.models.contract import Block
from stfmkit.models._cards import LIBRARY_SIZE
from stfmkit.models._load_model import load_model
from stfmkit.models.runtime.run import fit_model, run_model
from stfmkit.testing import example_block


class _Spy:
    """Returns what it is told, and remembers what it saw."""

    def __init__(self, card, give=None):
        self.card, self.seen = card, []
        self.give = give or (lambda block: np.arange(block.n_obs, dtype=float)[:, None])

    def prepare(self, block):
        self.seen.append(block)
        return block

    def encode(self, batch):
        return self.give(batch)


def test_row_blocks_bound_what_a_model_sees(card, block, monkeypatch):
    monkeypatch.setattr(_runner, "ROWS", 40)
    spy = _Spy(card(), lambda part: np.column_stack([part.counts.sum(axis=1), np.ones(part.n_obs)]))
    out = run_model(spy, block)
    assert [part.n_obs for part in spy.seen] == [40, 40, 10]
    assert out.dtype == np.float32
    assert np.allclose(out[:, 0], block.counts.sum(axis=1))


def test_neighbour_models_see_whole_samples_in_any_order(card, block):
    shuffled = block.take(np.random.default_rng(0).permutation(block.n_obs))
    spy = _Spy(card(uses_neighbors=True), lambda part: part.coords)
    out = run_model(spy, shuffled)
    assert [set(part.samples) for part in spy.seen] == [{0}, {1}, {2}]
    assert sum(part.n_obs for part in spy.seen) == block.n_obs
    assert np.allclose(out, shuffled.coords)


@pytest.mark.parametrize("name", ["library_size", "random", "hvg_pca"])
def test_row_blocks_change_no_bit(name, block, monkeypatch):
    model = load_model(name, rng=0)
    if model.card.fits:
        fit_model(model, block)
    whole = run_model(model, block)
    monkeypatch.setattr(_runner, "ROWS", 7)
    assert np.array_equal(run_model(model, block), whole)


@pytest.mark.parametrize(
    ("give", "found"),
    [
        (lambda b: np.zeros((b.n_obs + 1, 2)), "shape"),
        (lambda b: np.zeros(b.n_obs), "shape"),
        (lambda b: np.zeros((b.n_obs, 0)), "shape"),
        (lambda b: np.float64(1), "shape"),
        (lambda b: np.full((b.n_obs, 2), "a"), "dtype <U1"),
        (lambda b: np.where(np.arange(b.n_obs) == 3, np.nan, 0.0)[:, None], "not finite .* for 1 of 90"),
        (lambda b: np.full((b.n_obs, 1), 1e300), "not finite .* for 90 of 90"),
    ],
)
def test_broken_results_are_refused(card, block, give, found):
    with pytest.raises(InputError, match=found):
        run_model(_Spy(card(), give), block)


def test_width_must_keep_to_the_card_and_to_itself(card, block):
    with pytest.raises(InputError, match=r"shape \(90, 1\)[\s\S]*\(90, 5\)"):
        run_model(_Spy(card(dimension=5)), block)
    uneven = _Spy(card(uses_neighbors=True), lambda b: np.zeros((b.n_obs, 1 + int(b.samples[0]))))
    with pytest.raises(InputError, match="1 columns, then 2"):
        run_model(uneven, block)


@pytest.mark.parametrize(
    ("need", "slot", "remedy"),
    [
        ("counts", "counts", "layer="),
        ("coordinates", "coords", "spatial"),
        ("composition", "composition", "celltype_k"),
    ],
)
def test_a_block_must_hold_what_the_card_names(card, need, slot, remedy):
    bare = Block(obs_names=pd.Index(["a"]), samples=np.zeros(1, dtype=int))
    spy = _Spy(card(needs=(need,)))
    with pytest.raises(MissingKeyError, match=f"reads {need}[\\s\\S]*{remedy}"):
        run_model(spy, bare)
    assert not spy.seen


class _Gaps(_Spy):
    """Knows nothing of a part whose counts are all zero."""

    def knows_nothing(self, batch):
        return batch.counts.sum() == 0

    def encode(self, batch):
        assert batch.counts.sum() > 0
        return super().encode(batch)


@pytest.mark.parametrize("rows", [[0], [1], [2], [0, 1], [0, 2], [1, 2]])
def test_parts_of_which_nothing_is_known_are_zero(card, block, monkeypatch, tmp_path, rows):
    monkeypatch.setattr(_runner, "ROWS", 30)
    gone = np.isin(np.arange(90) // 30, rows)
    holed = replace(block, counts=sparse.csr_array(block.counts * ~gone[:, None]))
    spy = _Gaps(card(), lambda part: 1 + part.coords)
    for _ in range(2):  # the second time with the finished parts of the first
        out = run_model(spy, holed, resume=tmp_path)
        assert np.array_equal(out, np.where(gone[:, None], 0, 1 + block.coords).astype(np.float32))
    assert len(spy.seen) == 3 + len(rows)


def test_a_table_of_which_nothing_is_known(card, block, monkeypatch):
    monkeypatch.setattr(_runner, "ROWS", 40)
    empty = replace(block, counts=sparse.csr_array(block.counts.shape))
    with pytest.raises(InputError, match="none of the 90 observations has a count of a gene that 'mine' knows"):
        run_model(_Gaps(card()), empty)
    with pytest.raises(InputError, match=r"shape \(40, 0\)"):
        run_model(_Spy(card(), lambda part: np.zeros((part.n_obs, 0))), empty)


def test_no_observation(block):
    with pytest.raises(InputError, match="no observation"):
        run_model(load_model("library_size"), block.take(np.arange(0)))


def test_fit_model(card, block):
    with pytest.raises(InputTypeError, match="no fit"):
        fit_model(_Spy(card(fits=True)), block)
    with pytest.raises(MissingKeyError, match="reads coordinates"):
        fit_model(load_model("coordinates"), Block(obs_names=block.obs_names, samples=block.samples))


def test_progress_is_silent_for_short_work(block, capsys):
    run_model(load_model("library_size"), block)
    run_model(load_model("library_size"), block, show_progress=False)
    assert capsys.readouterr() == ("", "")
    assert LIBRARY_SIZE.dimension == 2


def test_held_out_genes_and_patients_as_a_benchmark_does_it():
    block = example_block(n_obs=120, n_genes=40)
    hidden = np.array([0, 5, 7])
    train, test = np.flatnonzero(block.samples != 2), np.flatnonzero(block.samples == 2)
    noisy = np.array(block.counts.toarray())
    noisy[:, hidden] = np.random.default_rng(0).poisson(50, size=(120, 3))
    noisy[test] += 3
    other = replace(block, counts=sparse.csr_array(noisy))
    for name in ("library_size", "hvg_pca", "neighbor_pca", "coordinates", "random", "random_smooth"):
        out = []
        for source in (block, other):
            model = load_model(name, rng=0)
            seen = source.take(train).without_genes(hidden)
            if model.card.fits:
                model.fit(seen)
            out.append(run_model(model, seen))
            assert run_model(model, source.take(test).without_genes(hidden)).shape[1] == out[-1].shape[1]
        assert np.array_equal(*out), name  # neither hidden genes nor test patients reach the training side
