"""Coordinates and their unit are read, never guessed."""

import numpy as np
import pytest

from stfmkit._core.errors import InputError, MissingKeyError, UnitsError
from stfmkit._data.coordinates import check_one_frame, check_positions, read_coords, read_microns_per_unit


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
