"""What a user can repair is told plainly; what he cannot keeps its traceback."""

import sys
import warnings

import pytest
import typer
from stfmkit.cli._failures import INTERRUPTED, WRONG_INPUT, plain_failures

from stfmkit._core.errors import InputError, MissingFileError, StfmkitWarning


def fail_with(error: BaseException, **options: str) -> int:
    with pytest.raises(typer.Exit) as caught, plain_failures(**options):
        raise error
    return caught.value.exit_code


def test_an_error_of_ours_is_three_lines_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail_with(InputError("a", allowed="b", remedy="c")) == WRONG_INPUT == 2
    shown = capsys.readouterr()
    assert shown.err == "Found: a\nAllowed: b\nRemedy: c\n"
    assert shown.out == ""


@pytest.mark.parametrize(
    "error", [MissingFileError("nothing at 'x'", allowed="b", remedy="c"), FileNotFoundError(2, "No such file", "x")]
)
def test_a_missing_file_is_wrong_input(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert fail_with(error) == 2
    assert "'x'" in capsys.readouterr().err


def test_a_package_that_is_not_installed_is_told_plainly(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail_with(ImportError("It needs torch. Install it with: pip install 'stfmkit[torch]'")) == 2
    assert capsys.readouterr().err.endswith("pip install 'stfmkit[torch]'\n")


def test_ctrl_c_says_what_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail_with(KeyboardInterrupt(), kept="Everything is kept.") == INTERRUPTED == 130
    assert "Stopped. Everything is kept." in capsys.readouterr().err


@pytest.mark.parametrize(
    "error", [ValueError("bug"), KeyError("bug"), PermissionError("bug"), MemoryError(), ImportError("bug")]
)
def test_anything_else_passes_through(error: Exception) -> None:
    with pytest.raises(type(error)), plain_failures():
        raise error


def test_warnings_are_one_line_each_and_the_machinery_is_put_back(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "warnoptions", [])
    before, filters = warnings.showwarning, list(warnings.filters)
    with plain_failures():
        warnings.warn("few cells", StfmkitWarning, stacklevel=1)
        warnings.warn("of a library", FutureWarning, stacklevel=1)
    assert capsys.readouterr().err == "Warning: few cells\n"
    assert warnings.showwarning is before
    assert warnings.filters == filters


def test_warnings_of_libraries_are_shown_where_python_was_asked_for_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "warnoptions", ["default"])
    with plain_failures():
        warnings.simplefilter("always")
        warnings.warn("of a library", FutureWarning, stacklevel=1)
    assert capsys.readouterr().err == "FutureWarning: of a library\n"
