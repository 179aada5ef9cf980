"""Pins, ranges and README agree; what CI runs is what the README says."""

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
import typer
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from stfmkit.cli._app import build

ROOT = Path(__file__).parents[1]
LOCKS = ("run", "test", "dev", "constraints")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins(name: str) -> list[Requirement]:
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-c "))]


def versions(name: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for pin in pins(name):
        (specifier,) = pin.specifier
        found.setdefault(canonicalize_name(pin.name), set()).add(specifier.version)
    return found


def ranges(name: str) -> list[Requirement]:
    groups = PROJECT["dependency-groups"]
    wanted = {
        "run": [PROJECT["project"]["dependencies"]],
        "test": [groups["test"]],
        "dev": [groups["dev"], groups["doc"]],
    }
    core = wanted["run"] if name != "run" else []
    return [Requirement(text) for part in [*wanted[name], *core] for text in part]


def readme_block(mark: str) -> str:
    text = (ROOT / "README.md").read_text()
    found = re.findall(rf"^<!-- {mark} -->\n```bash\n(.*?)\n```$", text, flags=re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("name", LOCKS)
def test_locks_hold_exact_pins_and_nothing_of_one_machine(name: str) -> None:
    for pin in pins(name):
        assert [s.operator for s in pin.specifier] == ["=="], pin
        assert pin.url is None
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert re.findall(r"https?:|file:|find-links|index-url|^\s*-e", text, flags=re.MULTILINE) == []


@pytest.mark.parametrize("name", LOCKS)
def test_no_lock_pulls_torch_or_gpu_packages(name: str) -> None:
    assert [n for n in versions(name) if n == "torch" or n.startswith(("nvidia", "triton", "cuda"))] == []


def test_torch_is_pinned_apart() -> None:
    apart = versions("torch")
    assert apart["torch"] == {"2.13.0"}
    shared = set(apart) & set(versions("constraints"))
    assert shared >= {"huggingface-hub", "safetensors", "tokenizers"}
    assert {name: apart[name] for name in shared} == {name: versions("constraints")[name] for name in shared}


def test_extras_of_networks_have_pins_that_fit() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    pinned = versions("constraints") | versions("torch")
    for wanted in [Requirement(text) for name in ("torch", "accelerate") for text in extras[name]]:
        assert all(wanted.specifier.contains(version) for version in pinned[canonicalize_name(wanted.name)])


@pytest.mark.parametrize("name", ["run", "test", "dev"])
def test_every_range_has_a_pin_that_fits(name: str) -> None:
    pinned = versions(name)
    for wanted in ranges(name):
        for version in pinned[canonicalize_name(wanted.name)]:
            assert wanted.specifier.contains(version), f"{wanted} and {version}"
    assert {"hatchling", "editables"} <= set(pinned)  # for --no-build-isolation


@pytest.mark.parametrize("name", ["run", "test", "dev"])
def test_the_environments_agree(name: str) -> None:
    whole = versions("constraints")
    assert {n: v for n, v in versions(name).items() if not v <= whole[n]} == {}


def test_the_package_states_ranges_and_no_pins() -> None:
    for text in PROJECT["project"]["dependencies"]:
        assert {s.operator for s in Requirement(text).specifier} <= {">=", "!=", "<"}, text


@pytest.mark.parametrize("mark", ["demo command", "test command"])
def test_the_readme_has_one_line_for_each_of_the_two(mark: str) -> None:
    line = readme_block(mark)
    assert "\n" not in line
    for file in re.findall(r"requirements/[\w.]+", line):
        assert (ROOT / file).is_file()
    steps = line.split(" && ")
    assert steps[0].startswith("python3 -m venv ")
    assert len(steps) == 4


def test_the_demo_command_is_one_that_the_command_line_knows() -> None:
    _, name, *arguments = shlex.split(readme_block("demo command").split(" && ")[-1])
    with typer.main.get_command(build()).commands[name].make_context(name, arguments) as context:
        assert context.params["out"] == Path("stfmkit-demo")


def test_ci_runs_the_test_command_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    function = script[script.index("readme_line() {") : script.index("\n}\n") + 3]
    call = f"{function}\nreadme_line 'test command'"
    done = subprocess.run(["bash", "-euc", call], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.rstrip("\n") == readme_block("test command")
    assert 'line=$(readme_line "test command")' in script
    missing = subprocess.run(
        ["bash", "-euc", f"{function}\nreadme_line nothing"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert missing.returncode != 0


def test_the_version_stands_in_every_place() -> None:
    version = PROJECT["project"]["version"]
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text()
