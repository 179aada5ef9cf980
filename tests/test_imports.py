"""The import is cheap and leaves no trace; every test looks at a fresh process."""

import json
import subprocess
import sys
from typing import Any

import pytest

NEVER = {"torch", "spatialdata", "squidpy", "scanpy", "matplotlib.pyplot"}
"""Loaded on use only, whatever module of ours is imported."""

NOT_AT_FIRST = NEVER | {"numba", "sklearn", "skimage", "anndata", "pandas", "scipy.sparse", "pyarrow", "rich"}
"""Not loaded by ``import stfmkit``, a look at its namespaces, or the start of the command line."""

NAMESPACES = ("bm", "cli", "datasets", "io", "methods", "metrics", "models", "pl", "pp", "service", "tl")

STATE = """
import json, logging, os, sys, warnings
def state():
    seen = {
        "handlers": [repr(h) for h in logging.getLogger().handlers],
        "level": logging.getLogger().level,
        "filters": [repr(f) for f in warnings.filters],
        "showwarning": repr(warnings.showwarning),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "argv": list(sys.argv),
        "excepthook": repr(sys.excepthook),
    }
    if "matplotlib" in sys.modules:
        seen["rcParams"] = {k: repr(v) for k, v in sys.modules["matplotlib"].rcParams.items() if k != "backend"}
    if "numpy" in sys.modules:
        seen["numpy"] = [repr(sys.modules["numpy"].random.get_state()), repr(sys.modules["numpy"].geterr())]
    return seen
"""

ALL_MODULES = """
import importlib, pkgutil, stfmkit
for module in pkgutil.walk_packages(stfmkit.__path__, "stfmkit."):
    networks = ("stfmkit.models.zoo", "stfmkit.models.nets", "stfmkit.models.runtime.device")
    if not module.name.startswith(networks) and module.name != "stfmkit.__main__":
        importlib.import_module(module.name)
"""


def in_fresh_process(code: str) -> Any:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def loaded(code: str) -> set[str]:
    return set(in_fresh_process(f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"))


@pytest.mark.parametrize(
    "code",
    [
        "import stfmkit",
        "import stfmkit; dir(stfmkit)",
        *(f"import stfmkit.{name} as module; dir(module)" for name in NAMESPACES),
    ],
)
def test_namespaces_load_nothing_heavy(code: str) -> None:
    assert loaded(code) & NOT_AT_FIRST == set()


def test_requests_are_typed_on_use_only() -> None:
    spaces = "".join(f"\nimport stfmkit.{name} as module; dir(module)" for name in NAMESPACES if name != "cli")
    assert "pydantic" not in loaded(f"import stfmkit{spaces}")
    assert "pydantic" in loaded("from stfmkit import service; service.run")


def test_the_start_of_the_command_line_is_light() -> None:
    modules = loaded("from stfmkit.cli._app import build; build()")
    assert modules & (NOT_AT_FIRST - {"rich"}) == set()


def test_no_module_of_ours_loads_the_heaviest_libraries() -> None:
    modules = loaded(ALL_MODULES)
    assert modules & NEVER == set()
    assert {"stfmkit.io._read", "stfmkit.cli._app", "stfmkit.bm._protocol"} <= modules


def test_the_watch_sees_a_heavy_import() -> None:
    assert loaded("import stfmkit, sklearn, matplotlib.pyplot") & NOT_AT_FIRST >= {"sklearn", "matplotlib.pyplot"}


def changed(code: str, *, before: str = "") -> dict[str, Any]:
    """Return what of the process's state `code` changes."""
    report = "print(json.dumps({k: [old[k], new[k]] for k in old if old[k] != new[k]}))"
    return in_fresh_process(f"{STATE}\n{before}\nold = state()\n{code}\nnew = state()\n{report}")


def test_the_import_changes_nothing_outside() -> None:
    spaces = "".join(f"\nimport stfmkit.{name}; dir(stfmkit.{name})" for name in NAMESPACES)
    assert changed(f"import stfmkit{spaces}") == {}


def test_no_module_of_ours_changes_anything_outside() -> None:
    """Other libraries add filters of their own at import, so those are left out here."""
    libraries = "import matplotlib, numpy, pandas, anndata, sklearn, numba, scipy.sparse, skimage"
    difference = changed(ALL_MODULES, before=libraries)
    difference.pop("filters", None)
    assert difference == {}


@pytest.mark.parametrize(
    ("fault", "key"),
    [
        ("logging.basicConfig()", "handlers"),
        ("warnings.simplefilter('ignore')", "filters"),
        ("os.environ['SOMETHING'] = '1'", "environment"),
        ("import matplotlib; matplotlib.rcParams['font.size'] = 77", "rcParams"),
        ("import numpy; numpy.random.seed(0)", "numpy"),
    ],
)
def test_the_watch_sees_planted_faults(fault: str, key: str) -> None:
    assert key in changed(fault, before="import matplotlib, numpy")
