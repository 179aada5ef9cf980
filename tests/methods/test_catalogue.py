"""Names of methods, unique within a task; listings; plug-ins; cards that cannot be relied on."""

import subprocess
import sys
import types
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import stfmkit as sk
from stfmkit._core import catalogue as catalogue_module
from stfmkit._core.catalogue import Catalogue
from stfmkit.errors import InputError, InputTypeError, MissingKeyError, StfmkitWarning
from stfmkit.methods import catalogue as _registry
from stfmkit.methods.contract import TASKS

FOLDER = Path(_registry.__file__).parent


def test_every_file_of_a_task_is_a_method_and_is_found():
    files = {f"{path.parent.name}/{path.stem}" for path in FOLDER.glob("*/[a-z]*.py")}
    assert files == {card.full_name for card in _registry.built_in()}
    assert files >= {"annotate/knn", "domains/kmeans", "domains/gmm", "domains/leiden"}
    assert {path.parent.name for path in FOLDER.glob("*/[a-z]*.py")} <= set(TASKS)


def test_a_new_file_is_found_without_another_edit(monkeypatch, tmp_path):
    (tmp_path / "annotate").mkdir()
    (tmp_path / "annotate" / "third.py").write_text("")
    (tmp_path / "annotate" / "_shared.py").write_text("")
    module = types.ModuleType("stfmkit.methods.annotate.third")
    module.CARD = replace(sk.methods.method_card("annotate/knn"), name="third")
    monkeypatch.setitem(sys.modules, "stfmkit.methods.annotate.third", module)
    monkeypatch.setattr(_registry, "__file__", str(tmp_path / "_registry.py"))
    assert [card.full_name for card in _registry.built_in()] == ["annotate/third"]


def test_a_name_alone_or_with_its_task(card, catalogue):
    assert sk.methods.method_card("knn") == sk.methods.method_card("annotate/knn")
    assert sk.methods.method_card("knn", task="annotate").name == "knn"
    catalogue.add(card(task="impute", name="knn"))
    with pytest.raises(MissingKeyError, match=r"several tasks[\s\S]*'annotate/knn', 'impute/knn'"):
        sk.methods.method_card("knn")
    assert sk.methods.method_card("knn", task="impute").output == "expression"
    assert sk.methods.method_card("impute/knn", task="impute").task == "impute"


def test_names_that_are_not_there():
    with pytest.raises(MissingKeyError, match=r"no method named 'kmean'[\s\S]*Did you mean 'kmeans'"):
        sk.methods.method_card("kmean", task="domains")
    with pytest.raises(MissingKeyError, match=r"no method named 'kmeans'[\s\S]*list_methods\('annotate'\)"):
        sk.methods.method_card("kmeans", task="annotate")
    with pytest.raises(InputError, match=r"'domains/kmeans' for the task 'annotate'[\s\S]*verb for 'domains'"):
        sk.methods.method_card("domains/kmeans", task="annotate")
    with pytest.raises(InputError, match=r"task='annotat'[\s\S]*Did you mean 'annotate'"):
        sk.methods.method_card("knn", task="annotat")
    with pytest.raises(MissingKeyError, match="no method named 'annotate/kn'"):
        sk.methods.method_card("annotate/kn")
    with pytest.raises(InputTypeError, match="type int"):
        sk.methods.method_card(3)


def test_the_list(card, catalogue):
    catalogue.add(card(name="paper-only", target="", runs="card", reason="no code was published", commercial=None))
    table = sk.methods.list_methods()
    assert table.index.is_unique
    assert table.index.name == "name"
    assert set(table["task"]) == {"annotate", "domains"}
    assert table.loc["domains/kmeans", "transductive"]
    assert not table.loc["annotate/knn", "draws"]
    assert table.loc["annotate/knn", "reference_needs"] == "embedding, labels"
    assert table["commercial"].isna().to_dict()["annotate/paper-only"]
    assert list(sk.methods.list_methods("annotate", runnable=True).index) == ["annotate/knn"]
    assert sk.methods.list_methods(runnable=False)["reason"].to_dict() == {
        "annotate/paper-only": "no code was published"
    }
    assert len(sk.methods.list_methods("deconvolve")) == 0
    assert list(sk.methods.list_methods("deconvolve").columns) == list(table.columns)


def test_the_list_refuses():
    with pytest.raises(InputError, match="task='clusters'"):
        sk.methods.list_methods("clusters")
    with pytest.raises(InputError, match="runnable='yes'"):
        sk.methods.list_methods(runnable="yes")


def test_what_is_not_installed_is_said(monkeypatch):
    monkeypatch.setattr("stfmkit.methods.catalogue.missing_packages", lambda extra: ("igraph",) if extra else ())
    monkeypatch.setattr("stfmkit.methods._load_method.missing_packages", lambda extra: ("igraph",) if extra else ())
    assert sk.methods.list_methods(runnable=False)["reason"].to_dict() == {
        "domains/leiden": "needs pip install 'stfmkit[leiden]'"
    }
    with pytest.raises(ImportError, match=r"needs igraph[\s\S]*stfmkit\[leiden\]"):
        sk.methods.load_method("leiden", embedding_key="X", n_clusters=3)


def test_registering(card, catalogue):
    sk.methods.register_method(card())
    assert sk.methods.method_card("annotate/mine") == card()
    with pytest.raises(InputError, match=r"'annotate/mine' exists[\s\S]*overwrite=True"):
        sk.methods.register_method(card(summary="Another."))
    sk.methods.register_method(card(summary="Another."), overwrite=True)
    assert sk.methods.method_card("mine").summary == "Another."


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ({"name": "My Method"}, "name='My Method'"),
        ({"name": "annotate/mine"}, "name='annotate/mine'"),
        ({"task": "annotation"}, "task='annotation'"),
        ({"target": "package.module"}, "target='package.module'"),
        ({"runs": "docker"}, "runs='docker'"),
        ({"needs": ()}, r"needs=\(\)"),
        ({"needs": "counts"}, "needs='counts'"),
        ({"needs": ("reads",)}, "needs='reads'"),
        ({"reference_needs": ("cells",)}, "reference_needs='cells'"),
        ({"runs": "card"}, "not runnable, and not why"),
    ],
)
def test_cards_that_cannot_be_relied_on(card, facts, found):
    with pytest.raises(InputError, match=found):
        sk.methods.register_method(card(**facts))


def test_what_is_no_card():
    with pytest.raises(InputTypeError, match="a card of type str"):
        sk.methods.register_method("knn")


@pytest.fixture
def plugged(monkeypatch):
    """Return a registry with one plug-in."""

    def make(held) -> Catalogue:
        module = types.ModuleType("plug_in_of_a_test")
        module.cards = held
        monkeypatch.setitem(sys.modules, "plug_in_of_a_test", module)
        point = EntryPoint("extra", "plug_in_of_a_test:cards", _registry.GROUP)
        monkeypatch.setattr(catalogue_module, "entry_points", lambda group: [point] if group == point.group else [])
        fresh = Catalogue(
            what="method",
            group=_registry.GROUP,
            built_in=_registry.built_in,
            name_of=lambda card: card.full_name,
            check=_registry.check_card,
        )
        monkeypatch.setattr(_registry, "catalogue", fresh)
        return fresh

    return make


def test_plug_ins(card, plugged):
    plugged([card(), card(name="other", task="domains", reference_needs=())])
    assert sk.methods.method_card("other").task == "domains"
    assert sk.methods.method_card("mine").full_name == "annotate/mine"


@pytest.mark.parametrize("held", [3, "text"])
def test_a_plug_in_that_is_no_card_is_left_out(plugged, held):
    with pytest.warns(StfmkitWarning, match="method plug-in 'extra'.*is left out"):
        plugged(held).entries()


def test_a_plug_in_with_a_name_that_is_taken_is_left_out(card, plugged):
    with pytest.warns(StfmkitWarning, match="annotate/knn"):
        plugged(card(name="knn")).entries()


def test_the_card_as_text_and_table(card):
    shown = card(summary="<b>bold</b>", species=("human",), licence="MIT", commercial=None)
    assert "MethodCard: mine (annotate)" in repr(shown)
    assert "MIT (commercial use: not known)" in repr(shown)
    assert "<b>bold</b>" not in shown._repr_html_()
    assert "&lt;b&gt;bold&lt;/b&gt;" in shown._repr_html_()
    paper = card(runs="card", reason="no code was published")
    assert "not runnable: no code was published" in repr(paper)
    assert "pip install 'stfmkit[leiden]'" in repr(sk.methods.method_card("leiden"))


@pytest.mark.parametrize("name", [card.full_name for card in _registry.built_in()])
def test_cards_of_the_package_say_what_docs_need(name):
    found = sk.methods.method_card(name)
    _registry.check_card(found)
    assert found.summary.endswith(".")
    assert found.paper.startswith("https://")
    references = (Path(__file__).parents[2] / "docs" / "references.bib").read_text()
    assert f"{{{found.bib_key}," in references
    assert found.source


def test_the_list_loads_no_library_of_a_method():
    code = "import sys, stfmkit as sk; sk.methods.list_methods(); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for library in ("sklearn", "scanpy", "igraph", "torch", "spatialdata"):
        assert f"'{library}'" not in done.stdout
