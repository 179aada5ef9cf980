"""The examples of the page on extensions run, one after the other, as a reader would run them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def python_blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_examples_of_extensions_run(tmp_path: Path) -> None:
    blocks = python_blocks((ROOT / "docs" / "extensibility.md").read_text(encoding="utf-8"))
    assert len(blocks) >= 5, "a model, a metric, a method, a task, a split"
    script = tmp_path / "page.py"  # a process of its own: the page registers what it defines
    script.write_text("\n".join(blocks), encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_blocks_are_found() -> None:
    page = "a\n```python\nx = 1\n```\nb\n```toml\ny\n```\n```python\nz = 2\n```\n"
    assert python_blocks(page) == ["x = 1\n", "z = 2\n"]
