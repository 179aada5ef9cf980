"""Text of unknown origin commands no terminal, and is read as it was from JSON."""

import json
import unicodedata
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stfmkit._core.printable import one_line, printable
from stfmkit._core.progress import step
from stfmkit.errors import InputError, StfmkitWarning

HOSTILE = {
    "title of the window": "\x1b]0;owned\x07",
    "colours": "\x1b[31mred\x1b[0m",
    "one byte": "\x9b31m",
    "bell": "\x07",
    "over the line": "safe\revil",
    "back": "a\b\b\bb",
    "delete": "\x7f",
    "turned": "\u202eevil\u202c",
    "isolated": "\u2066a\u2069",
    "marks": "\u200e\u200f\u061c",
    "other line ends": "a\u2028b\u2029c\x85d\x0bd\x0c",
    "tags": "\U000e0041",
    "half": "\ud800",
    "not there": "a\u200bb\ufeff",
    "nothing": "\x00",
}
CONTROLS = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def commands(text: str) -> set[str]:
    """Return the characters of a text that a terminal may obey."""
    return {c for c in text if unicodedata.category(c) in CONTROLS} - {"\u200c", "\u200d"}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_commands_is_written_out(text: str) -> None:
    assert commands(text)
    for written in (printable(f"a {text} b"), one_line(text)):
        assert not commands(written)
        written.encode()
    assert json.loads(f'"{printable(text)}"') == text


@given(st.text())
def test_all_text_is_shown(text: str) -> None:
    assert commands(printable(text)) <= {"\n", "\t"}
    assert not commands(one_line(text))
    if not commands(text):
        assert printable(text) == one_line(text) == text


@pytest.mark.parametrize("text", ["plain", "two\nlines\tand a tab", "µm – ü 汉字 عربي", "नि\u200dक", "👩\u200d🔬"])
def test_harmless_text_stays(text: str) -> None:
    assert printable(text) is text or printable(text) == text


def test_errors_warnings_and_steps_are_fit_for_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    bad = "\x1b]0;x\x07\u202e"
    assert not commands(str(InputError(bad, allowed=bad, remedy=bad))) - {"\n"}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        warnings.warn(bad, StfmkitWarning, stacklevel=1)
        warnings.warn(StfmkitWarning(bad), stacklevel=1)
    assert not any(commands(str(one.message)) for one in told)
    with step(f"Reading {bad}\nStopped."):
        pass
    assert not commands(capsys.readouterr().err.removesuffix("\n"))
