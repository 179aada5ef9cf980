"""What code a class is, with the versions of what it stands on."""

import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest

from stfmkit._core.definition import LIBRARIES, definition_of
from stfmkit.models.baselines.hvg_pca import HvgPca
from stfmkit.models.contract import EmbeddingModel


def in_notebook(text: str) -> type:
    """Return the class `Mine` of a module without a file."""
    module = ModuleType("notebook_of_the_test")
    sys.modules[module.__name__] = module
    exec(text, vars(module))
    return module.Mine


def test_a_class_of_this_package_stands_on_its_libraries() -> None:
    code = definition_of(HvgPca)
    assert code.known
    assert not code.sources
    assert code.versions == {name: version(name) for name in sorted({"stfmkit", *LIBRARIES})}
    assert "torch" not in code.versions


def test_extras_and_torch_count() -> None:
    pytest.importorskip("torch")
    from tests.models.zoo._tiny import Tiny

    code = definition_of(Tiny)
    assert code.versions["torch"] == version("torch")
    assert list(code.sources) == ["tests.models.zoo._tiny"]
    assert not code.known  # nothing that is installed brings it
    assert definition_of(Tiny, brought_by=("tiny-plug", "3")).known
    assert definition_of(Tiny, brought_by=("tiny-plug", "3")).versions["tiny-plug"] == "3"
    assert "tokenizers" in definition_of(HvgPca, extra="torch").versions
    assert "pooch" not in definition_of(HvgPca, extra="torch").versions


def test_a_class_of_another_distribution_brings_what_that_requires() -> None:
    from sklearn.decomposition import PCA

    code = definition_of(PCA)
    assert code.known
    assert {"scikit-learn", "joblib", "threadpoolctl"} <= set(code.versions)


def test_the_file_of_a_plug_in_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "module_of_the_test.py"
    path.write_text("class Mine:\n    k = 1\n")
    import module_of_the_test as module

    before = definition_of(module.Mine)
    path.write_text("class Mine:\n    k = 2\n")
    assert definition_of(module.Mine).identity() != before.identity()


def test_the_code_of_a_notebook_decides() -> None:
    texts = [
        "class Mine:\n    def run(self): return 1",
        "class Mine:\n    def run(self): return 2",
        "class Mine:\n    def run(self): return [1 for _ in self]",
        "class Mine:\n    k = 3",
        "class Mine:\n    @property\n    def run(self): return 1",
    ]
    codes = [definition_of(in_notebook(text)) for text in texts]
    assert len({code.identity() for code in codes}) == len(texts)
    assert definition_of(in_notebook(texts[0])).identity() == codes[0].identity()
    assert not any(code.known for code in codes)


def test_models_say_it() -> None:
    assert HvgPca().definition() == definition_of(HvgPca)
    assert EmbeddingModel in HvgPca.__mro__
