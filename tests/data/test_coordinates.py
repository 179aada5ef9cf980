"""Coordinates and their unit are read, never guessed."""

from time import perf_counter

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st

from stfmkit._core.errors import InputError, MissingKeyError, UnitsError
from stfmkit._data.coordinates import _overlap, check_one_frame, check_positions, read_coords, read_microns_per_unit


def test_coordinates_refuse_nan_and_shape(toy):
    toy.obsm["bad"] = toy.obsm["spatial"].copy()
    toy.obsm["bad"][3, 0] = np.nan
    with pytest.raises(InputError, match="spot3"):
        read_coords(toy, spatial_key="bad")
    toy.obsm["flat"] = np.zeros((toy.n_obs, 1))
    with pytest.raises(InputError, match=r"\(n_obs, 2\)"):
        read_coords(toy, spatial_key="flat")
    with pytest.raises(MissingKeyError, match="Did you mean 'spatial'"):
        read_coords(toy, spatial_key="spatail")


def test_units_are_never_guessed(toy):
    assert read_microns_per_unit(toy) == 1.0
    assert read_microns_per_unit(toy, 0.5) == 0.5
    del toy.uns["stfmkit"]
    with pytest.raises(UnitsError, match="microns_per_unit"):
        read_microns_per_unit(toy)
    with pytest.raises(InputError, match="above 0"):
        read_microns_per_unit(toy, -1)


def test_two_observations_at_one_place(toy):
    coords = toy.obsm["spatial"].copy()
    coords[100] = coords[0]
    samples = toy.obs["sample"].cat.codes.to_numpy()
    check_positions(coords, samples, toy.obs_names, sample_key="sample")  # other samples: other frames
    with pytest.raises(InputError, match="pass sample_key="):
        check_positions(coords, None, toy.obs_names, sample_key=None)
    coords[1] = coords[0]
    with pytest.raises(InputError, match="spot0"):
        check_positions(coords, samples, toy.obs_names, sample_key="sample")


def test_samples_on_one_frame_are_seen(toy):
    with pytest.raises(InputError, match=r"sample_key='(sample|patient)'"):
        check_one_frame(toy, toy.obsm["spatial"])
    apart = toy.obsm["spatial"] + 2000.0 * toy.obs["sample"].cat.codes.to_numpy()[:, None]
    check_one_frame(toy[:, :], apart)


def one_tissue(n: int = 400) -> AnnData:
    """One section; nothing in it lies upon anything else."""
    adata = AnnData(obs=pd.DataFrame(index=[f"o{i}" for i in range(n)]))
    adata.obsm["spatial"] = np.random.default_rng(0).uniform(0, 1000, size=(n, 2))
    return adata


DRAWN = np.random.default_rng(1).integers(100, 130, size=400)


@pytest.mark.parametrize(
    "values",
    [
        DRAWN,
        DRAWN.astype(float),
        DRAWN.astype(object),
        DRAWN.astype(np.uint8),
        pd.array(DRAWN, dtype="Int64"),
        pd.Categorical(DRAWN.astype(float)),
        DRAWN > 110,
        pd.to_datetime(DRAWN, unit="D"),
        DRAWN.astype(complex),
        [f"cell{i}" for i in range(400)],
        ["all"] * 400,
        [None] * 400,
        [np.nan] * 400,
    ],
    ids=lambda values: type(values).__name__,
)
@pytest.mark.parametrize("name", ["library_size", "mouse_reads", "chip"])
def test_numbers_and_many_names_are_no_samples(name, values):
    adata = one_tissue()
    adata.obs[name] = values
    check_one_frame(adata, adata.obsm["spatial"])


@pytest.mark.parametrize("kind", ["text", "category", "string", "whole numbers as categories", "some missing"])
def test_names_of_samples_are_seen_whatever_holds_them(kind):
    adata = one_tissue()
    names = pd.Series(np.where(DRAWN > 110, "1", "2"), index=adata.obs_names)
    held = {
        "text": names.astype(object),
        "category": names.astype("category"),
        "string": names.astype("string"),
        "whole numbers as categories": names.astype(int).astype("category"),
        "some missing": names.where(np.arange(400) > 50),
    }
    adata.obs["Library-ID"] = held[kind]
    with pytest.raises(InputError, match=r"the 2 groups of obs\['Library-ID'\] overlap"):
        check_one_frame(adata, adata.obsm["spatial"])
    adata.obs = adata.obs.rename(columns={"Library-ID": "cell_type"})  # types lie among each other in any sample
    check_one_frame(adata, adata.obsm["spatial"])


def test_groups_that_hardly_touch_are_one_frame():
    adata = one_tissue()
    adata.obs["section"] = np.where(adata.obsm["spatial"][:, 0] > 500, "right", "left")
    check_one_frame(adata, adata.obsm["spatial"])
    adata.obs["section"] = np.where(adata.obsm["spatial"][:, 0] > 500, "right", None)
    check_one_frame(adata, adata.obsm["spatial"])


@given(st.integers(2, 12), st.integers(0, 50))
@settings(max_examples=30, deadline=None)
def test_overlap_is_that_of_every_pair_of_boxes(n, seed):
    draw = np.random.default_rng(seed)
    codes = draw.integers(-1, n, size=120)
    coords = draw.uniform(0, 10, size=(n + 1, 2))[codes] + draw.uniform(0, 4, size=(120, 2))
    boxes = [(coords[codes == c].min(0), coords[codes == c].max(0)) for c in range(n) if (codes == c).any()]
    wanted = False
    for i, (low_a, high_a) in enumerate(boxes):
        for low_b, high_b in boxes[i + 1 :]:
            shared = np.prod(np.clip(np.minimum(high_a, high_b) - np.maximum(low_a, low_b), 0, None))
            smaller = min(np.prod(high_a - low_a), np.prod(high_b - low_b))
            wanted |= bool(smaller > 0 and shared / smaller > 0.2)
    assert _overlap(codes, coords, n=n) is wanted


@pytest.mark.parametrize("kind", ["text", "category"])
def test_many_groups_take_no_time(kind):
    adata = one_tissue(40_000)
    names = pd.Series([f"s{i % 4000}" for i in range(40_000)], index=adata.obs_names)
    adata.obs["sample"] = names.astype(object if kind == "text" else "category")
    adata.obs["slide"] = pd.Categorical([f"t{i // 400}" for i in range(40_000)])
    start = perf_counter()
    with pytest.raises(InputError, match="the 100 groups of obs"):
        check_one_frame(adata, adata.obsm["spatial"])
    assert perf_counter() - start < 1.0
