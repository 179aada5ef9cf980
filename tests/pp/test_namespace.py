"""The namespace: complete, lazy, documented."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import stfmkit as sk

STUB = Path(sk.pp.__file__).with_suffix(".pyi")
NAMES = [alias.asname for node in ast.parse(STUB.read_text()).body for alias in node.names]


def test_everything_in_the_stub_is_there():
    assert sorted(NAMES) == sorted(sk.pp.__all__)
    for name in NAMES:
        assert getattr(sk.pp, name).__name__ == name


@pytest.mark.parametrize("name", [n for n in NAMES if n[0].islower()])
def test_verbs_follow_the_conventions(name):
    verb = getattr(sk.pp, name)
    kinds = [p.kind for p in inspect.signature(verb).parameters.values()]
    assert sum(k is not inspect.Parameter.KEYWORD_ONLY for k in kinds) <= 3
    assert next(iter(inspect.signature(verb).parameters)) == "data"
    for section in ("Parameters", "Returns", "Raises", "Examples"):
        assert f"\n    {section}\n" in verb.__doc__, section


def test_import_is_cheap():
    heavy = ("numba", "torch", "spatialdata", "squidpy", "scanpy", "sklearn", "matplotlib.pyplot")
    code = f"import sys, stfmkit as sk; dir(sk.pp); print([m for m in {heavy!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
