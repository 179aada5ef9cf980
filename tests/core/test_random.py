"""One rule for seeds: the integer that is recorded reproduces the result."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stfmkit._core.random import as_generator, as_seed
from stfmkit.errors import InputError, InputTypeError


@given(st.integers(0, 2**63 - 1))
def test_an_integer_is_its_own_seed(seed: int) -> None:
    assert as_seed(seed) == seed
    assert as_seed(np.uint64(seed)) == seed


def test_a_generator_gives_one_integer() -> None:
    assert as_seed(np.random.default_rng(3)) == as_seed(np.random.default_rng(3))
    draw = np.random.default_rng(3)
    assert as_seed(draw) != as_seed(draw)


def test_none_is_recorded_as_what_was_drawn() -> None:
    seed = as_seed(None)
    assert as_seed(seed) == seed
    assert as_generator(seed).random() == as_generator(seed).random()


@pytest.mark.parametrize("value", [True, np.True_, 1.5, "0", [0]])
def test_other_kinds_are_refused(value: object) -> None:
    with pytest.raises(InputTypeError, match="rng="):
        as_seed(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [-1, 2**63])
def test_integers_that_cannot_be_stored_are_refused(value: int) -> None:
    with pytest.raises(InputError, match="rng="):
        as_seed(value)
