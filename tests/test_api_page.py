"""The page docs/api.md lists every public name, each once."""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

from stfmkit.metrics import list_metrics

ROOT = Path(__file__).parents[1]
NAMESPACES = ("bm", "datasets", "io", "methods", "metrics", "models", "pl", "pp", "testing", "tl")


def public_names(namespace: str) -> list[str]:
    stub = ROOT / "src" / "stfmkit" / namespace / "__init__.pyi"
    nodes = [node for node in ast.parse(stub.read_text()).body if isinstance(node, ast.ImportFrom)]
    return [f"{namespace}.{alias.name}" for node in nodes for alias in node.names]


def listed_names(page: str, namespace: str) -> list[str]:
    return re.findall(rf"^   ({namespace}\.\w+)$", page, flags=re.MULTILINE)


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_every_public_name_is_listed_once(namespace: str) -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    assert sorted(listed_names(page, namespace)) == sorted(public_names(namespace))


def test_the_page_of_metrics_has_a_row_for_every_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    import_module("metric_pages").write_page(tmp_path)
    rows = re.findall(
        r"^\| .*`~stfmkit\.metrics\.(\w+)`.*\|$", (tmp_path / "metrics.md").read_text(), flags=re.MULTILINE
    )
    assert sorted(rows) == sorted(list_metrics().index)


def test_the_watch_sees_a_name_that_is_missing_or_listed_twice() -> None:
    page = "   metrics.ari\n   metrics.ari\n   pp.bin\n"
    assert listed_names(page, "metrics") == ["metrics.ari", "metrics.ari"]
