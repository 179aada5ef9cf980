"""Moved labels: a slow loop as oracle, uniform p-values for empty niches, small ones for real niches."""

import numpy as np
import pandas as pd
import pytest

import stfmkit as sk
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit._core.random import stream
from stfmkit._kernels._torus import LabelMover

KEYS = {"patient_key": "patient", "sample_key": "sample", "sizes": (5, 10), "ceiling": False}


def null(adata, niche="niche", **options):
    return sk.tl.niche_signatures(
        adata, niche, copy=True, **(KEYS | {"null_model": "torus", "n_permutations": 9} | options)
    )["null"]


def exact_log1p(adata):
    counts = adata.X.toarray().astype(float)
    depth = counts.sum(axis=1, keepdims=True)
    return np.log1p(counts / depth * np.median(depth))


@pytest.mark.parametrize("kind", ["torus", "rotation"])
def test_equals_the_slow_loop(toy, kind):
    toy.layers["model"] = exact_log1p(toy) + np.random.default_rng(0).normal(0, 0.3, toy.shape)
    result = sk.tl.niche_signatures(
        toy, "niche", copy=True, prediction="model", null_model=kind, n_permutations=5, rng=3, min_obs=2, **KEYS
    )
    truth, niche, patient = exact_log1p(toy), toy.obs["niche"].astype(str).to_numpy(), toy.obs["patient"].astype(str)
    mover = LabelMover(toy.obsm["spatial"], toy.obs["sample"].cat.codes.to_numpy(), kind=kind)
    sources = [np.arange(toy.n_obs)]
    sources += [mover.draw(stream(3, "niche_signatures", "null", i)) for i in range(5)]
    for k, name in enumerate(["stroma", "tumour"]):
        genes = result["genes"][result["genes"]["niche"] == name]
        for n in KEYS["sizes"]:
            own = np.flatnonzero(genes["rank"].between(1, n))
            best, overlap = [], []
            for source in sources:
                scores = sk.metrics.niche_scores(truth, niche[source], patient)[k]
                best.append(np.sort(scores)[::-1][:n].mean())
                guess = sk.metrics.niche_scores(toy.layers["model"], niche[source], patient)[k]
                overlap.append(sk.metrics.jaccard(own, sk.metrics.signature_top(guess, len(own))))
            for statistic, draws in {"top_auroc": best, "jaccard": overlap}.items():
                row = result["null"].set_index(["niche", "n", "statistic"]).loc[(name, n, statistic)]
                assert row["observed"] == pytest.approx(draws[0])
                assert row["null_mean"] == pytest.approx(np.mean(draws[1:]))
                assert row["null_sd"] == pytest.approx(np.std(draws[1:], ddof=1), abs=1e-12)
                assert row["p_value"] == pytest.approx((1 + sum(d >= draws[0] - 1e-12 for d in draws[1:])) / 6)
                assert row["n_permutations"] == 5


def test_real_niches_differ_from_moved_ones(toy):
    table = null(toy, n_permutations=39)
    assert (table["p_value"] == 1 / 40).all()
    assert (table["observed"] > table["null_mean"] + 3 * table["null_sd"]).all()


@pytest.mark.parametrize("kind", ["torus", "rotation"])
def test_empty_niches_of_the_same_shape_do_not(kind):
    """Smooth expression that has nothing to do with the niches: p-values are spread, not small."""
    p_values = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        cells = _smooth_tissue(rng)
        p_values.append(null(cells, null_model=kind, n_permutations=19, sizes=3, rng=seed)["p_value"].iloc[0])
    assert np.mean(p_values) > 0.25
    assert (np.array(p_values) <= 0.05).sum() <= 3


def _smooth_tissue(rng):
    from anndata import AnnData

    x, y = np.meshgrid(np.arange(16.0), np.arange(16.0))
    xy = np.tile(np.column_stack([x.ravel(), y.ravel()]), (3, 1))
    phase, turn = rng.uniform(0, 2 * np.pi, size=(2, 3, 8)).repeat(256, axis=1)
    along = xy[:, :1] * np.cos(turn) + xy[:, 1:] * np.sin(turn)  # no direction is special
    rate = np.exp(np.sin(2 * np.pi * along / 16 + phase))
    shift = np.repeat(rng.uniform(0, 16, 3), 256)
    sample = np.repeat(["S1", "S2", "S3"], 256)
    obs = pd.DataFrame(
        {"sample": sample, "patient": sample, "niche": np.where((xy[:, 0] + shift) % 16 < 8, "left", "right")},
        index=[f"spot{i}" for i in range(768)],
    )
    return AnnData(rng.poisson(5 * rate).astype(np.float32) + 1, obs=obs, obsm={"spatial": xy})


def test_moves_that_lose_a_niche_are_counted(toy):
    """A niche of a few observations is often moved out of the tissue, or below the least size."""
    niche = toy.obs["niche"].astype(str).to_numpy()
    for patient in ("P1", "P2", "P3", "P4"):
        rows = np.flatnonzero(toy.obs["patient"] == patient)
        corner = rows[np.argsort(toy.obsm["spatial"][rows].sum(axis=1))[:3]]
        niche[corner] = "corner"
    toy.obs["three"] = niche
    table = null(toy, "three", null_model="rotation", n_permutations=30, min_obs=3)
    lost = table.query("niche == 'corner'")["n_permutations"]
    assert (lost < 30).all()
    assert (lost > 0).all()
    assert (table.query("niche != 'corner'")["n_permutations"] == 30).all()


def test_a_niche_that_is_always_lost_has_no_p_value(toy):
    """The rest of this niche is one observation more than it may be, and no move keeps that."""
    table = null(toy, n_permutations=1, min_obs=3)
    assert table["p_value"].isin([0.5, 1.0]).all()
    assert table["null_sd"].isna().all()  # one draw has no spread


def test_same_seed_same_bits_and_more_draws_hold_the_fewer(toy):
    pd.testing.assert_frame_equal(null(toy, rng=1), null(toy, rng=1))
    assert not null(toy, rng=1).equals(null(toy, rng=2))
    few, many = null(toy, n_permutations=3), null(toy, n_permutations=12)
    assert (many["p_value"] * 13 - 1 >= few["p_value"] * 4 - 1 - 1e-9).all()


def test_what_a_null_needs(toy):
    with pytest.raises(InputError, match=r"null_model='shuffle'(?s:.)*'torus', 'rotation'"):
        null(toy, null_model="shuffle")
    with pytest.raises(InputError, match="n_permutations=0"):
        null(toy, n_permutations=0)
    with pytest.raises(InputError, match="4 patients, and no sample_key"):
        null(toy, sample_key=None)
    with pytest.raises(MissingKeyError, match="sample_key='slide'"):
        null(toy, sample_key="slide")
    with pytest.raises(MissingKeyError, match=r"no obsm\['xy'\]"):
        null(toy, spatial_key="xy")
    toy.obsm["spatial"][0] = np.nan
    with pytest.raises(InputError, match="NaN or infinite coordinates"):
        null(toy)


@pytest.mark.filterwarnings("ignore:.*not tested:stfmkit.errors.StfmkitWarning")
def test_one_sample_of_one_patient_needs_no_key(toy):
    one = toy[toy.obs["sample"] == "S4"].copy()
    del one.obs["sample"]
    assert len(null(one, sample_key=None)) == 4


def test_overlapping_samples_without_a_key_are_refused(toy):
    one = toy[toy.obs["patient"] == "P1"].copy()
    with pytest.raises(InputError, match="no sample_key, and the 2 groups of obs"):
        null(one, sample_key=None)
