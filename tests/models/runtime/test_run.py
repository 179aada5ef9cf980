"""The loop over parts, and what it refuses from a model."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit._core.store import Store
from stfmkit.models._load_model import load_model
from stfmkit.models.contract import Block, EmbeddingModel
from stfmkit.models.runtime.run import ModelRun
from stfmkit.testing import example_block


class _Spy(EmbeddingModel):
    """Returns what it is told, and remembers what it saw."""

    def __init__(self, card, give=None, rows_per_part=8192):
        self.card, self.seen, self.rows_per_part = card, [], rows_per_part
        self.give = give or (lambda block: np.arange(block.n_obs, dtype=float)[:, None])

    def options(self):
        return {}

    def requirements(self):
        return replace(super().requirements(), rows_per_part=self.rows_per_part)

    def prepare(self, block):
        self.seen.append(block)
        return block

    def encode(self, batch):
        return self.give(batch)


def test_parts_bound_what_a_model_sees(card, block):
    counted = lambda part: np.column_stack([part.read("counts").sum(axis=1), np.ones(part.n_obs)])  # noqa: E731
    spy = _Spy(card(), counted, rows_per_part=40)
    run = ModelRun(spy)
    out = run.embed(block)
    assert (run.n_parts, run.n_parts_found, run.n_fitted) == (3, 0, 0)
    assert run.coverage == {"n_genes": 30, "genes": 1.0, "counts": 1.0}
    assert run.seconds > 0
    assert [part.n_obs for part in spy.seen] == [40, 40, 10]
    assert out.dtype == np.float32
    assert np.allclose(out[:, 0], block.read("counts").sum(axis=1))


def test_neighbour_models_see_whole_samples_in_any_order(card, block):
    shuffled = block.take(np.random.default_rng(0).permutation(block.n_obs))
    spy = _Spy(card(needs=("coordinates",), uses_neighbors=True), lambda part: part.read("coordinates"))
    out = ModelRun(spy).embed(shuffled)
    assert [set(part.samples) for part in spy.seen] == [{0}, {1}, {2}]
    assert sum(part.n_obs for part in spy.seen) == block.n_obs
    assert np.allclose(out, shuffled.read("coordinates"))


@pytest.mark.parametrize("name", ["library_size", "random", "hvg_pca"])
def test_the_size_of_parts_changes_no_bit(name, block, monkeypatch):
    model = load_model(name, rng=0)
    if model.card.fits:
        ModelRun(model).fit(block)
    whole = ModelRun(model).embed(block)
    small = replace(model.requirements(), rows_per_part=7)
    monkeypatch.setattr(model, "requirements", lambda: small)
    run = ModelRun(model)
    assert np.array_equal(run.embed(block), whole)
    assert run.n_parts == 13


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
        ModelRun(_Spy(card(), give)).embed(block)


def test_width_must_keep_to_the_card_and_to_itself(card, block):
    with pytest.raises(InputError, match=r"shape \(90, 1\)[\s\S]*\(90, 5\)"):
        ModelRun(_Spy(card(dimension=5))).embed(block)
    uneven = _Spy(card(uses_neighbors=True), lambda b: np.zeros((b.n_obs, 1 + int(b.samples[0]))))
    with pytest.raises(InputError, match="1 columns, then 2"):
        ModelRun(uneven).embed(block)


@pytest.mark.parametrize(
    ("need", "remedy"),
    [("counts", "layer="), ("expression", "layer="), ("coordinates", "spatial"), ("composition", "celltype_k")],
)
def test_a_block_must_hold_what_the_model_needs(card, need, remedy):
    bare = Block(obs_names=pd.Index(["a"]), samples=np.zeros(1, dtype=int))
    spy = _Spy(card(needs=(need,)))
    with pytest.raises(MissingKeyError, match=f"reads {need}[\\s\\S]*{remedy}"):
        ModelRun(spy).embed(bare)
    assert not spy.seen


class _Gaps(_Spy):
    """Knows nothing of a part whose counts are all zero."""

    def knows_nothing(self, batch):
        return batch.read("counts").sum() == 0

    def encode(self, batch):
        assert batch.read("counts").sum() > 0
        return super().encode(batch)


@pytest.mark.parametrize("rows", [[0], [1], [2], [0, 1], [0, 2], [1, 2]])
def test_parts_of_which_nothing_is_known_are_zero(card, block, tmp_path, rows):
    gone = np.isin(np.arange(90) // 30, rows)
    counts = sparse.csr_array(block.read("counts") * ~gone[:, None])
    holed = replace(block, inputs={**block.inputs, "counts": counts})
    both = card(needs=("counts", "coordinates"))
    spy = _Gaps(both, lambda part: 1 + part.read("coordinates"), rows_per_part=30)
    for _ in range(2):  # the second time with the finished parts of the first
        out = ModelRun(spy, store=Store(tmp_path)).embed(holed)
        assert np.array_equal(out, np.where(gone[:, None], 0, 1 + block.read("coordinates")).astype(np.float32))
    assert len(spy.seen) == 3 + len(rows)


def test_a_table_of_which_nothing_is_known(card, block):
    empty = replace(block, inputs={"counts": sparse.csr_array(block.read("counts").shape)})
    with pytest.raises(InputError, match="none of the 90 observations has a count of a gene that 'mine' knows"):
        ModelRun(_Gaps(card())).embed(empty)
    with pytest.raises(InputError, match=r"shape \(40, 0\)"):
        ModelRun(_Spy(card(), lambda part: np.zeros((part.n_obs, 0)), rows_per_part=40)).embed(empty)


def test_no_observation(block):
    with pytest.raises(InputError, match="no observation"):
        ModelRun(load_model("library_size")).embed(block.take(np.arange(0)))


def test_fits_are_refused_where_they_make_no_sense(card, block, tmp_path):
    with pytest.raises(InputError, match="learns nothing"):
        ModelRun(_Spy(card())).fit(block)
    with pytest.raises(InputError, match="resume= for 'hvg_pca', which fits"):
        ModelRun(load_model("hvg_pca"), store=Store(tmp_path))
    with pytest.raises(MissingKeyError, match="reads coordinates"):
        ModelRun(load_model("coordinates")).fit(Block(obs_names=block.obs_names, samples=block.samples))


def test_progress_is_silent_for_short_work(block, capsys):
    for show in (True, False):
        ModelRun(load_model("library_size"), show_progress=show).embed(block)
    assert capsys.readouterr() == ("", "")


def test_columns_that_options_name_must_be_in_the_block(card, block, monkeypatch):
    spy = _Spy(card())
    stated = replace(spy.requirements(), obs_keys=("batch",))
    monkeypatch.setattr(spy, "requirements", lambda: stated)
    with pytest.raises(MissingKeyError, match="without batch"):
        ModelRun(spy).embed(block)
    labelled = replace(block, obs={"batch": np.full(block.n_obs, "a"), "other": np.full(block.n_obs, "b")})
    ModelRun(spy).embed(labelled)
    assert set(spy.seen[0].obs) == {"batch"}


def test_held_out_genes_and_patients_as_a_benchmark_does_it():
    block = example_block(n_obs=120, n_genes=40)
    hidden = np.array([0, 5, 7])
    train, test = np.flatnonzero(block.samples != 2), np.flatnonzero(block.samples == 2)
    noisy = np.array(block.read("counts").toarray())
    noisy[:, hidden] = np.random.default_rng(0).poisson(50, size=(120, 3))
    noisy[test] += 3
    other = replace(block, inputs={**block.inputs, "counts": sparse.csr_array(noisy)})
    for name in ("library_size", "hvg_pca", "neighbor_pca", "coordinates", "random", "random_smooth"):
        out = []
        for source in (block, other):
            model = load_model(name, rng=0)
            seen = source.take(train).without_genes(hidden)
            if model.card.fits:
                model.fit(seen)
            out.append(ModelRun(model).embed(seen))
            assert ModelRun(model).embed(source.take(test).without_genes(hidden)).shape[1] == out[-1].shape[1]
        assert np.array_equal(*out), name  # neither hidden genes nor test patients reach the training side
