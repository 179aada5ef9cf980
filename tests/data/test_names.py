"""Names of observations and genes must be unique."""

import pytest

from stfmkit._core.errors import InputError
from stfmkit._data.names import check_names


def test_names_must_be_unique(toy):
    check_names(toy)
    twice = toy.copy()
    twice.obs_names = ["same", "same", *twice.obs_names[2:]]
    with pytest.raises(InputError, match="observation"):
        check_names(twice)
    twice = toy.copy()
    twice.var_names = ["same", "same", *twice.var_names[2:]]
    with pytest.raises(InputError, match="gene"):
        check_names(twice)
    with pytest.raises(InputError, match="0 observations"):
        check_names(toy[:0])
