"""Nothing that belongs together is torn apart."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

import stfmkit as sk
from stfmkit._core.errors import InputError, InputTypeError, UnitsError
from stfmkit.splits.splitters import SplitRows


def rows(patients, samples=None, coords=None, extra=None):
    patients = np.asarray(patients)
    return SplitRows(
        patients=patients,
        samples=patients if samples is None else np.asarray(samples),
        patient_names=tuple(f"P{p}" for p in np.unique(patients)),
        coords=coords,
        extra=extra,
    )


def check_partition(folds, n):
    np.testing.assert_array_equal(np.sort(np.concatenate([f.test for f in folds])), np.arange(n))
    for fold in folds:
        assert not np.intersect1d(fold.train, fold.test).size
        assert len(fold.train_groups) == len(fold.train)
        assert len(fold.train)
        assert len(fold.test)


@given(
    sizes=st.lists(st.integers(1, 30), min_size=3, max_size=9),
    n_splits=st.integers(2, 3),
    seed=st.integers(0, 99),
)
def test_patients_stay_whole(sizes, n_splits, seed):
    patients = np.repeat(np.arange(len(sizes)), sizes)
    folds = sk.pp.PatientKFold(n_splits).split(rows(patients), rng=np.random.default_rng(seed))
    check_partition(folds, len(patients))
    for fold in folds:
        assert not np.intersect1d(patients[fold.train], patients[fold.test]).size
    # greedy dealing: no fold is larger than the mean by more than the largest patient
    largest = max(len(f.test) for f in folds)
    assert largest <= len(patients) / n_splits + max(sizes)


def test_slides_stay_whole():
    samples = np.repeat(np.arange(4), 5)
    folds = sk.pp.SlideKFold(2).split(rows(np.zeros(20, int), samples), rng=np.random.default_rng(0))
    check_partition(folds, 20)
    for fold in folds:
        assert not np.intersect1d(samples[fold.train], samples[fold.test]).size


def test_same_seed_same_folds():
    patients = np.repeat(np.arange(8), 3)
    one, two, other = (sk.pp.PatientKFold(4).split(rows(patients), rng=np.random.default_rng(s)) for s in (0, 0, 1))
    assert all(np.array_equal(a.test, b.test) for a, b in zip(one, two, strict=True))
    assert not all(np.array_equal(a.test, b.test) for a, b in zip(one, other, strict=True))


def test_blocks_and_buffer(rng):
    n = 800
    samples = np.repeat([0, 1], n // 2)
    coords = rng.uniform(0, 1000, size=(n, 2))
    splitter = sk.pp.SpatialBlockKFold(block=250, buffer=60, n_splits=4)
    folds = splitter.split(rows(np.zeros(n, int), samples, coords), rng=rng)
    np.testing.assert_array_equal(np.sort(np.concatenate([f.test for f in folds])), np.arange(n))
    lost = 0
    for fold in folds:
        for sample in (0, 1):
            train, test = (part[samples[part] == sample] for part in (fold.train, fold.test))
            assert cdist(coords[train], coords[test]).min() > 60
        gone = np.setdiff1d(np.arange(n), np.union1d(fold.train, fold.test))
        lost += len(gone)
        for row in gone:  # whoever is in neither part is within the buffer of a test observation of its sample
            near = fold.test[samples[fold.test] == samples[row]]
            assert cdist(coords[[row]], coords[near]).min() <= 60
    assert lost


def test_buffer_does_not_reach_into_other_samples():
    coords = np.array([[0.0, 0], [500, 0], [0, 0], [500, 0]])
    samples = np.array([0, 0, 1, 1])
    folds = sk.pp.SpatialBlockKFold(block=400, buffer=100, n_splits=4).split(
        rows(np.zeros(4, int), samples, coords), rng=np.random.default_rng(0)
    )
    assert all(len(f.train) == 3 for f in folds)


def test_blocks_of_one_fold_are_whole(rng):
    coords = rng.uniform(0, 1000, size=(300, 2))
    coords -= coords.min(axis=0)
    folds = sk.pp.SpatialBlockKFold(block=250, buffer=0, n_splits=3).split(
        rows(np.zeros(300, int), None, coords), rng=rng
    )
    block = np.floor(coords / 250) @ [100, 1]
    fold_of = np.empty(300)
    for fold in folds:
        fold_of[fold.test] = fold.number
    assert all(len(np.unique(fold_of[block == b])) == 1 for b in np.unique(block))


def test_panels_never_share_patients():
    patients = np.array([0, 0, 1, 1, 2, 2])
    panels = np.array([0, 0, 0, 1, 1, 1])  # patient 1 is on both
    folds = sk.pp.LeavePanelOut("panel").split(rows(patients, extra=panels), rng=np.random.default_rng(0))
    assert [f.train.tolist() for f in folds] == [[4, 5], [0, 1]]
    assert [f.test.tolist() for f in folds] == [[0, 1, 2], [3, 4, 5]]


def test_too_few_groups():
    with pytest.raises(InputError, match=r"pass PatientKFold\(2\)"):
        sk.pp.PatientKFold(5).split(rows([0, 0, 1]), rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="use SpatialBlockKFold"):
        sk.pp.PatientKFold(5).split(rows([0, 0]), rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="2 samples"):
        sk.pp.SlideKFold(3).split(rows([0, 0], [0, 1]), rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="1 blocks"):
        sk.pp.SpatialBlockKFold(block=1e6, buffer=0).split(
            rows([0, 0], coords=np.array([[0.0, 0], [1, 1]])), rng=np.random.default_rng(0)
        )
    with pytest.raises(InputError, match="smaller buffer"):
        sk.pp.SpatialBlockKFold(block=1, buffer=1e5, n_splits=2).split(
            rows([0, 0], coords=np.array([[0.0, 0], [9, 9]])), rng=np.random.default_rng(0)
        )
    with pytest.raises(InputError, match="one panel"):
        sk.pp.LeavePanelOut("panel").split(rows([0, 1], extra=np.array([0, 0])), rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="shares every patient"):
        sk.pp.LeavePanelOut("panel").split(rows([0, 0], extra=np.array([0, 1])), rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="n_splits"):
        sk.pp.PatientKFold(1)
    with pytest.raises(InputError, match="block"):
        sk.pp.SpatialBlockKFold(block=0, buffer=0)


def test_every_choice_is_described():
    assert sk.pp.SpatialBlockKFold(block=5, buffer=1).describe() == {
        "name": "SpatialBlockKFold",
        "block": 5,
        "buffer": 1,
        "n_splits": 5,
    }
    assert sk.pp.LeavePanelOut("panel").describe() == {"name": "LeavePanelOut", "panel_key": "panel"}


KEYS = {"patient_key": "patient", "sample_key": "sample"}


class TestSplit:
    def test_writes_slots_that_survive_a_file(self, toy, tmp_path):
        import anndata as ad

        sk.pp.split(toy, sk.pp.SpatialBlockKFold(block=300, buffer=50, n_splits=3), **KEYS)
        folds = sk.pp.split(toy, sk.pp.SpatialBlockKFold(block=300, buffer=50, n_splits=3), **KEYS, copy=True)
        toy.write_h5ad(tmp_path / "a.h5ad")
        again = ad.read_h5ad(tmp_path / "a.h5ad")
        for fold in folds:
            np.testing.assert_array_equal(np.flatnonzero(again.obs["fold"] == fold.number), fold.test)
            np.testing.assert_array_equal(np.flatnonzero(again.obsm["fold_train"][:, fold.number]), fold.train)
        assert again.uns["stfmkit"]["split"]["results"]["fold"] == {
            "splitter": {"name": "SpatialBlockKFold", "block": 300, "buffer": 50, "n_splits": 3},
            "holds_out": "block",
            **KEYS,
            "spatial_key": "spatial",
            "rng": 0,
        }

    def test_copy_writes_nothing(self, toy):
        columns = list(toy.obs.columns)
        assert sk.pp.split(toy, sk.pp.PatientKFold(4), **KEYS, copy=True) is not None
        assert list(toy.obs.columns) == columns

    def test_unknown_units(self, toy):
        del toy.uns["stfmkit"]
        with pytest.raises(UnitsError, match="microns_per_unit"):
            sk.pp.split(toy, sk.pp.SpatialBlockKFold(block=300, buffer=0), **KEYS)
        sk.pp.split(toy, sk.pp.PatientKFold(4), **KEYS)  # needs no distance

    def test_units_scale_blocks(self, toy):
        small = sk.pp.split(toy, sk.pp.SpatialBlockKFold(block=300, buffer=0), **KEYS, copy=True)
        toy.obsm["spatial"] = toy.obsm["spatial"] / 0.5
        same = sk.pp.split(toy, sk.pp.SpatialBlockKFold(block=300, buffer=0), **KEYS, microns_per_unit=0.5, copy=True)
        assert all(np.array_equal(a.test, b.test) for a, b in zip(small, same, strict=True))

    def test_sample_of_two_patients(self, toy):
        toy.obs["one"] = "S"
        with pytest.raises(InputError, match="several values of obs"):
            sk.pp.split(toy, sk.pp.PatientKFold(2), patient_key="patient", sample_key="one")

    @pytest.mark.parametrize(
        ("key", "slot"), [("niche", "obs"), ("embeddings", "obs"), ("patient", "obs"), ("inside", "obsm")]
    )
    def test_nothing_of_others_is_touched(self, toy, key, slot):
        """Planted: a column of the user, a label, and slots whose names are those of what stfmkit writes elsewhere."""
        sk.tl.embed(toy, "hvg_pca", n_components=2, show_progress=False)
        toy.obs["niche"] = "a"
        toy.obs["embeddings"] = "b"
        toy.obsm["inside_train"] = np.ones((toy.n_obs, 1))
        before = toy.copy()
        with pytest.raises(InputError, match=f"{slot} already has .*not written by split"):
            sk.pp.split(toy, sk.pp.PatientKFold(4), **KEYS, key_added=key)
        pd.testing.assert_frame_equal(toy.obs, before.obs)
        assert set(toy.obsm) == set(before.obsm)
        assert toy.uns["stfmkit"].keys() == before.uns["stfmkit"].keys()

    @pytest.mark.parametrize("key", ["embed", "embeddings", "split", "stfmkit", "gene_sparsity"])
    def test_records_of_other_verbs_are_out_of_reach(self, toy, key):
        sk.tl.embed(toy, "hvg_pca", n_components=2, show_progress=False)
        before = {verb: dict(record) for verb, record in toy.uns["stfmkit"].items() if verb != "microns_per_unit"}
        sk.pp.split(toy, sk.pp.PatientKFold(4), **KEYS, key_added=key)
        after = toy.uns["stfmkit"]
        assert {verb: after[verb] for verb in before} == before
        assert list(after["split"]["results"]) == [key]

    def test_own_folds_are_written_again(self, toy):
        sk.pp.split(toy, sk.pp.PatientKFold(4), **KEYS)
        sk.pp.split(toy, sk.pp.PatientKFold(2), **KEYS, key_added="two")
        sk.pp.split(toy, sk.pp.PatientKFold(3), **KEYS, rng=7)
        assert toy.obs["fold"].nunique() == 3
        results = toy.uns["stfmkit"]["split"]["results"]
        assert (results["fold"]["rng"], results["two"]["rng"]) == (7, 0)
        for key in ("a/b", ""):
            with pytest.raises(InputError, match="key_added"):
                sk.pp.split(toy, sk.pp.PatientKFold(3), **KEYS, key_added=key)

    @pytest.mark.parametrize("source", [3, np.random.default_rng(5), None])
    def test_recorded_seed_gives_the_same_folds(self, toy, source):
        toy.obs["one"] = [f"P{i % 40}" for i in range(toy.n_obs)]
        keys = {"patient_key": "one", "sample_key": "one"}
        sk.pp.split(toy, sk.pp.PatientKFold(4), **keys, rng=source)
        seed = toy.uns["stfmkit"]["split"]["results"]["fold"]["rng"]
        assert isinstance(seed, int)
        again = sk.pp.split(toy, sk.pp.PatientKFold(4), **keys, rng=seed, copy=True)
        for fold in again:
            np.testing.assert_array_equal(np.flatnonzero(toy.obs["fold"] == fold.number), fold.test)
        assert toy.uns["stfmkit"]["split"]["results"]["fold"]["spatial_key"] is None

    def test_splitter_of_a_user(self, toy):
        class Mine(sk.pp.PatientKFold):
            pass

        class Bare:
            def split(self, rows, *, rng):
                return []

        class Wrong(sk.pp.PatientKFold):
            holds_out = "tissue"

        sk.pp.split(toy, Mine(4), **KEYS)
        assert toy.uns["stfmkit"]["split"]["results"]["fold"]["holds_out"] == "patient"
        with pytest.raises(InputTypeError, match="without 'holds_out', 'needs_microns', 'extra_key', 'describe'"):
            sk.pp.split(toy, Bare(), **KEYS)
        with pytest.raises(InputTypeError, match="the class PatientKFold"):
            sk.pp.split(toy, sk.pp.PatientKFold, **KEYS)
        with pytest.raises(InputError, match=r"Wrong\.holds_out='tissue'"):
            sk.pp.split(toy, Wrong(4), **KEYS)
