"""What a user can repair is told plainly; what he cannot keeps its traceback."""

import json
import sys
import warnings
from collections.abc import Callable

import pandas as pd
import pytest
import typer

import stfmkit as sk
from stfmkit._core.errors import InputError, MissingFileError, StfmkitWarning
from stfmkit._core.progress import Cancelled
from stfmkit.cli import exit_code
from stfmkit.cli._finish import DONE, WRONG_INPUT, finish
from stfmkit.service.models import ModelsRequest

Work = Callable[[], object]


@pytest.fixture
def leave(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Finish a request whose work is a function; return the exit code."""

    def leave(work: Work, *, as_json: bool = False) -> int:
        def list_models(**_options: object) -> pd.DataFrame:
            work()
            return pd.DataFrame({"name": ["a"]})

        monkeypatch.setattr(sk.models, "list_models", list_models, raising=False)
        try:
            finish(ModelsRequest, lambda response: typer.echo(f"shown {response.models}"), as_json=as_json)
        except typer.Exit as stop:
            return int(stop.exit_code)
        return DONE

    return leave


def failing(error: BaseException) -> Work:
    def work() -> None:
        raise error

    return work


def test_exit_codes_are_stable() -> None:
    assert (DONE, WRONG_INPUT) == (0, 2)
    assert exit_code(KeyboardInterrupt()) == 130


def test_work_that_is_done_is_shown(leave, capsys: pytest.CaptureFixture[str]) -> None:
    assert leave(lambda: None) == 0
    assert capsys.readouterr() == ("shown [{'name': 'a'}]\n", "")


def test_an_error_of_ours_is_three_lines_on_standard_error(leave, capsys: pytest.CaptureFixture[str]) -> None:
    assert leave(failing(InputError("a", allowed="b", remedy="c"))) == 2
    assert capsys.readouterr() == ("", "Found: a\nAllowed: b\nRemedy: c\n")


def test_a_request_that_cannot_be_made_is_wrong_input(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught:
        finish(failing(InputError("a", allowed="b", remedy="c")), print, as_json=False)
    assert caught.value.exit_code == 2
    assert capsys.readouterr() == ("", "Found: a\nAllowed: b\nRemedy: c\n")


@pytest.mark.parametrize(
    "error", [MissingFileError("nothing at 'x'", allowed="b", remedy="c"), FileNotFoundError(2, "No such file", "x")]
)
def test_a_missing_file_is_wrong_input(leave, error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert leave(failing(error)) == 2
    assert "'x'" in capsys.readouterr().err


def test_a_package_that_is_not_installed_is_told_plainly(leave, capsys: pytest.CaptureFixture[str]) -> None:
    assert leave(failing(ImportError("It needs torch. Install it with: pip install 'stfmkit[torch]'"))) == 2
    assert capsys.readouterr().err.endswith("pip install 'stfmkit[torch]'\n")


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), Cancelled()])
def test_a_stop_says_what_is_kept(leave, stop: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    assert leave(failing(stop)) == 130
    assert capsys.readouterr() == ("", "\nStopped. Nothing was written.\n")


@pytest.mark.parametrize(
    "error", [ValueError("bug"), KeyError("bug"), PermissionError("bug"), MemoryError(), ImportError("bug")]
)
def test_anything_else_passes_through(leave, error: Exception) -> None:
    with pytest.raises(type(error)):
        leave(failing(error))


@pytest.mark.parametrize(
    ("work", "code", "status"),
    [
        (lambda: None, 0, "done"),
        (failing(InputError("a", allowed="b", remedy="c")), 2, "failed"),
        (failing(KeyboardInterrupt()), 130, "stopped"),
    ],
)
def test_json_is_all_there_is_on_standard_output(
    leave, work: Work, code: int, status: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert leave(work, as_json=True) == code
    shown = capsys.readouterr()
    assert json.loads(shown.out)["status"] == status
    assert shown.err == ""


def test_warnings_are_one_line_each_and_the_machinery_is_put_back(
    leave, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def work() -> None:
        warnings.warn("few cells", StfmkitWarning, stacklevel=1)
        warnings.warn("of a library", FutureWarning, stacklevel=1)

    monkeypatch.setattr(sys, "warnoptions", [])
    before, filters = warnings.showwarning, list(warnings.filters)
    assert leave(work) == 0
    assert capsys.readouterr().err == "Warning: few cells\n"
    assert leave(work, as_json=True) == 0
    shown = capsys.readouterr()
    assert shown.err == "Warning: few cells\n"
    assert json.loads(shown.out)["warnings"] == ["few cells"]
    assert warnings.showwarning is before
    assert warnings.filters == filters


def test_warnings_of_libraries_are_shown_where_python_was_asked_for_them(
    leave, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def work() -> None:
        warnings.simplefilter("always")
        warnings.warn("of a library", FutureWarning, stacklevel=1)

    monkeypatch.setattr(sys, "warnoptions", ["default"])
    assert leave(work) == 0
    assert capsys.readouterr().err == "FutureWarning: of a library\n"
