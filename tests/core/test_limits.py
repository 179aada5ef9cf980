"""Limits are named, can be raised, and their errors are short."""

import pytest

from stfmkit._core.errors import InputError
from stfmkit._core.limits import check_limit, most, names, short


@pytest.mark.parametrize("name", names())
def test_each_limit_refuses_what_is_above_it_and_is_raised_by_the_environment(name, monkeypatch):
    check_limit(name, most(name), what="a file")
    above = most(name) + 1
    with pytest.raises(InputError) as caught:
        check_limit(name, above, what="a file")
    variable = f"STFMKIT_MOST_{name.upper()}"
    assert caught.value.found == "a file."
    assert f"the limit {name!r}" in caught.value.allowed
    assert variable in caught.value.remedy
    monkeypatch.setenv(variable, str(above))
    check_limit(name, above, what="a file")
    monkeypatch.setenv(variable, "lots")
    with pytest.raises(InputError, match=rf"{variable}='lots'[\s\S]*a number such as"):
        most(name)


def test_a_limit_for_each_byte():
    check_limit("unpacked_growth", 40, what="z", times=2)
    with pytest.raises(InputError, match="at most 20 for each of 2 "):
        check_limit("unpacked_growth", 41, what="z", times=2)


def test_values_of_any_size_are_short_in_an_error():
    laughs = ["ha"]
    for _ in range(100):
        laughs = [laughs] * 9
    deep = []
    for _ in range(100_000):
        deep = [deep]

    class Loud:
        def __repr__(self):
            raise KeyError

    for value in (laughs, deep, "x" * 10**6, dict.fromkeys(range(1000), "y" * 1000), Loud(), 3, b"z" * 10**6):
        assert len(short(value)) <= 500
    assert short("as it is") == "'as it is'"
