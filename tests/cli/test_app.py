"""The application: help that teaches, examples that work, exit codes."""

import re
import shlex
import subprocess
import sys
from importlib.metadata import version

import pytest
import typer

from stfmkit.cli import _app
from stfmkit.cli._command import request_of
from stfmkit.cli._texts import EXAMPLES as OF_COMMANDS
from stfmkit.service import commands

COMMANDS = {
    **OF_COMMANDS,
    "run": _app._RUN,
    "schema": _app._SCHEMA,
}


def example_lines() -> list[str]:
    texts = [*COMMANDS.values(), _app._EPILOG]
    blocks = [block for text in texts for block in re.findall(r"```\n(.*?)```", text, flags=re.DOTALL)]
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def test_version(stfmkit) -> None:
    result = stfmkit("--version")
    assert result.exit_code == 0
    assert result.stdout == f"stfmkit {version('stfmkit')}\n"


def test_help_lists_every_command_and_the_exit_codes(stfmkit) -> None:
    result = stfmkit("--help")
    assert result.exit_code == 0
    for name in COMMANDS:
        assert re.search(rf"^│ {name} ", result.stdout, flags=re.MULTILINE)
    assert "130" in result.stdout
    assert set(COMMANDS) == set(typer.main.get_command(_app.build()).commands)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_shows_its_examples(stfmkit, name: str) -> None:
    result = stfmkit(name, "-h")
    assert result.exit_code == 0
    assert "Examples" in result.stdout
    assert f"stfmkit {name}" in result.stdout


@pytest.mark.parametrize("line", example_lines())
def test_examples_in_the_help_are_valid_commands(line: str) -> None:
    program, name, *arguments = shlex.split(line)
    assert program == "stfmkit"
    command = typer.main.get_command(_app.build()).commands[name]
    with command.make_context(name, list(arguments)) as context:  # parses, and runs nothing
        values = {key: value for key, value in context.params.items() if key not in {"json", "config"}}
    if name in commands() and "--config" not in arguments:
        assert request_of(commands()[name], values, None).command == name


def test_there_are_examples() -> None:
    assert len(example_lines()) > len(COMMANDS)


def test_nothing_at_all_shows_help_and_counts_as_wrong_input(stfmkit) -> None:
    result = stfmkit()
    assert result.exit_code == 2
    assert "Usage" in result.output


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["bnch"], "bench"),
        (["demo", "--sed", "1", "--out", "x"], "--seed"),
        (["demo"], "--out"),
        (["demo", "--out", "x", "--seed", "one"], "--seed"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_names_the_remedy(stfmkit, arguments: list[str], hint: str) -> None:
    result = stfmkit(*arguments)
    assert result.exit_code == 2
    assert hint in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("program", [["-m", "stfmkit"], ["-c", "from stfmkit.cli import main; main()"]])
def test_as_a_process(program: list[str]) -> None:
    done = subprocess.run([sys.executable, *program, "--version"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("stfmkit ")
    assert done.stderr == ""
