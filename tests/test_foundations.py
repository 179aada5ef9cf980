"""Errors, randomness, validation: what everything else stands on."""

import pickle

import numpy as np
import pytest

from stfmkit._core.arguments import (
    check_choice,
    check_fraction,
    check_integer,
    check_known,
    check_positive,
    listed,
    nearest,
)
from stfmkit._core.errors import InputError, LeakError, MissingKeyError, StfmkitError, UnitsError
from stfmkit._core.optional import require
from stfmkit._core.progress import progress
from stfmkit._core.random import as_generator, global_state_kept, int_seed, stream


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [(InputError, ValueError), (MissingKeyError, KeyError), (UnitsError, ValueError), (LeakError, ValueError)],
)
def test_errors_say_three_things_and_survive_processes(kind, builtin):
    error = kind("a", allowed="b", remedy="c")
    assert isinstance(error, builtin)
    assert isinstance(error, StfmkitError)
    assert str(error) == "Found: a\nAllowed: b\nRemedy: c"
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)


def test_streams_depend_on_names_and_seed_only():
    first = stream(0, "task", 1).random(4)
    stream(0, "other").random(100)
    np.testing.assert_array_equal(first, stream(0, "task", 1).random(4))
    assert not np.array_equal(first, stream(1, "task", 1).random(4))
    assert not np.array_equal(first, stream(0, "task", 2).random(4))
    assert not np.array_equal(stream(0, "ab", "c").random(4), stream(0, "a", "bc").random(4))


def test_zero_is_a_seed():
    np.testing.assert_array_equal(as_generator(0).random(3), as_generator(0).random(3))
    assert 0 <= int_seed(as_generator(0)) < 2**31


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_positive_refuses(value):
    with pytest.raises(InputError, match="pitch"):
        check_positive(value, name="pitch")


def test_numbers_are_numbers():
    with pytest.raises(TypeError, match="a number"):
        check_positive("100", name="pitch")
    with pytest.raises(TypeError, match="a number"):
        check_fraction(True, name="share")
    with pytest.raises(InputError, match=r"\[0, 1\]"):
        check_fraction(1.5, name="share")
    with pytest.raises(InputError, match="≥ 2"):
        check_integer(1, name="n", least=2)
    with pytest.raises(InputError, match="≥ 2"):
        check_integer(2.5, name="n", least=2)
    check_integer(2, name="n", least=2)
    check_positive(np.float32(3), name="pitch")


def test_names_suggest_the_nearest():
    assert "'hvg_pca'" in nearest("hvgpca", ["hvg_pca", "random"])
    assert nearest("xyz", ["hvg_pca"]) == ""
    with pytest.raises(MissingKeyError, match="Did you mean 'hvg_pca'"):
        check_known("HVG-PCA", ["hvg_pca", "random"], what="model", remedy="see the list.")
    with pytest.raises(InputError, match="Did you mean 'hex'"):
        check_choice("hexx", ["hex", "square"], name="shape")


def test_listed_cuts():
    assert listed([]) == "nothing"
    assert listed(range(3), most=2) == "0, 1, … (3 in all)"


def test_optional_names_the_extra():
    assert require("json", extra="io").dumps([1]) == "[1]"
    with pytest.raises(ImportError, match=r"pip install 'stfmkit\[torch\]'"):
        require("a_module_that_nobody_has", extra="torch")


def test_progress_yields_everything(capsys):
    assert list(progress(range(3), label="x")) == [0, 1, 2]
    assert capsys.readouterr().out == ""


def test_the_global_random_state_is_kept() -> None:
    import random

    plain, state = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    with global_state_kept():
        random.random()
        np.random.standard_normal()  # noqa: NPY002
    assert random.getstate() == plain
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
