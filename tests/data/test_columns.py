"""Ids and labels are read, and missing ids refused."""

import numpy as np
import pytest

from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit._data.columns import read_groups, read_labels


@pytest.mark.parametrize("blank", [None, np.nan, "", "  "])
def test_missing_ids_are_refused_not_filled(toy, blank):
    ids = toy.obs["patient"].astype(object)
    ids.iloc[:3] = blank
    toy.obs["p"] = ids
    with pytest.raises(InputError, match="3 of 240"):
        read_groups(toy, "p", role="patient_key")


def test_labels_keep_missing_as_missing(toy):
    labels = toy.obs["niche"].astype(object)
    labels.iloc[:3] = np.nan
    toy.obs["l"] = labels
    found = read_labels(toy, "l")
    assert (found.codes[:3] == -1).all()
    assert (found.codes[3:] >= 0).all()
    assert list(found.categories) == ["stroma", "tumour"]
    toy.obs["none"] = np.nan
    with pytest.raises(InputError, match="no label"):
        read_labels(toy, "none")


def test_groups_of_numbers_become_text(toy):
    toy.obs["n"] = np.arange(toy.n_obs) % 3
    assert list(read_groups(toy, "n", role="sample_key").categories) == ["0", "1", "2"]


def test_column_is_suggested(toy):
    with pytest.raises(MissingKeyError, match="Did you mean 'patient'"):
        read_groups(toy, "patinet", role="patient_key")
