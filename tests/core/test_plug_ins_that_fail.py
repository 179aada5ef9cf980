"""Whatever a plug-in raises becomes a warning that names it, in every catalogue; all other entries stay."""

import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

import stfmkit as sk
from stfmkit._core import catalogue as module
from stfmkit._core.catalogue import Catalogue
from stfmkit.bm.task_catalogue import catalogue as tasks
from stfmkit.bm.task_catalogue import choose_tasks
from stfmkit.bm.tasks.domains import Domains
from stfmkit.errors import StfmkitWarning
from stfmkit.methods.catalogue import catalogue as methods
from stfmkit.metrics._catalogue import _CATALOGUE
from stfmkit.models.catalogue import MODELS

CATALOGUES: dict[str, Catalogue[Any]] = {"models": MODELS, "methods": methods, "tasks": tasks, "metrics": _CATALOGUE}
LISTS: dict[str, Callable[[], pd.DataFrame]] = {
    "models": sk.models.list_models,
    "methods": sk.methods.list_methods,
    "tasks": sk.bm.list_tasks,
    "metrics": sk.metrics.list_metrics,
}
KINDS = pytest.mark.parametrize("kind", CATALOGUES)


def hostile(error: BaseException, *, methods: tuple[str, ...]) -> Any:
    """Return an object whose methods raise, in any order."""

    def fail(*_: object, **__: object) -> Any:
        raise error

    held: dict[str, Any] = {name: property(fail) if name == "__class__" else fail for name in methods}
    return type("Hostile", (), held)()


class Custom(Exception):  # noqa: N818  as others name theirs
    def __str__(self) -> str:
        raise Custom


class Outcome(BaseException):
    """As test runners and event loops have them."""


class Iterated(list[Any]):
    def __iter__(self) -> Iterator[Any]:
        raise StopIteration


class Endless(tuple[Any, ...]):
    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        while True:
            yield None


class Quiet(sk.errors.InputError):
    def __str__(self) -> str:
        raise MemoryError


def deep() -> Any:
    return deep()


def itself() -> list[Any]:
    held: list[Any] = []
    held.append(held)
    return held


def raising(error: BaseException) -> Callable[[], Any]:
    def load() -> Any:
        raise error

    return load


def warned() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.warn("old", DeprecationWarning, stacklevel=1)


ALL = ("__getattr__", "__repr__", "__str__", "__eq__", "__hash__", "__class__", "__iter__", "__len__", "__bool__")
FAULTS: dict[str, Callable[[], Any]] = {
    "own error": raising(Custom("mine")),
    "exit": raising(SystemExit(3)),
    "generator exit": raising(GeneratorExit()),
    "outcome": raising(Outcome("skipped")),
    "stop": raising(StopIteration()),
    "memory": raising(MemoryError()),
    "recursion": deep,
    "warning": warned,
    "own of ours": raising(Quiet("a", allowed="b", remedy="c")),
    "group": raising(ExceptionGroup("several", [ValueError("one")])),
    "control characters": raising(ValueError("\x1b]0;owned\x07 \u202eevil")),
    "iteration": lambda: Iterated([1]),
    "endless": lambda: Endless([1]),
    "in itself": itself,
    "nothing": lambda: None,
    "a class": lambda: Domains,
    "objects": lambda: hostile(Custom(), methods=ALL),
    "objects that exit": lambda: [hostile(SystemExit(2), methods=ALL)],
    "class alone": lambda: hostile(Outcome(), methods=("__class__",)),
    "text": lambda: "text",
}


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[], Any]], None]:
    """Install a plug-in that gives what a function returns, or raises."""

    def install(kind: str, load: Callable[[], Any]) -> None:
        class Held(ModuleType):
            def __getattr__(self, name: str) -> Any:
                if name == "thing":
                    return load()
                raise AttributeError(name)

        monkeypatch.setitem(sys.modules, "plug_that_fails", Held("plug_that_fails"))
        point = EntryPoint(name="extra", value="plug_that_fails:thing", group=f"stfmkit.{kind}")
        monkeypatch.setattr(module, "entry_points", lambda group: [point] if group == point.group else [])
        monkeypatch.setattr(CATALOGUES[kind], "_entries", None)
        monkeypatch.setattr(CATALOGUES[kind], "_origins", {})
        monkeypatch.setattr(CATALOGUES[kind], "_brought", {})

    return install


@KINDS
@pytest.mark.parametrize("fault", FAULTS)
def test_a_list_names_what_is_left_out(kind: str, fault: str, plugged: Any, capsys: pytest.CaptureFixture[str]) -> None:
    whole = LISTS[kind]()
    plugged(kind, FAULTS[fault])
    with pytest.warns(StfmkitWarning, match=r"plug-in 'extra' \(plug_that_fails:thing\) is left out: ") as told:
        listed = LISTS[kind]()
    assert listed.equals(whole)
    assert len(told) == 1
    assert str(told[0].message).isprintable()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert LISTS[kind]().equals(whole)  # it is said once
    capsys.readouterr()


@KINDS
def test_the_interrupt_of_a_user_passes_and_hides_nothing(kind: str, plugged: Any) -> None:
    whole = LISTS[kind]()
    plugged(kind, raising(KeyboardInterrupt()))
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            LISTS[kind]()
    plugged(kind, list)
    assert LISTS[kind]().equals(whole)


@KINDS
def test_warnings_as_errors_lose_no_entry(kind: str, plugged: Any) -> None:
    whole = LISTS[kind]()
    plugged(kind, raising(Custom()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(StfmkitWarning, match="is left out"):
            LISTS[kind]()
    assert LISTS[kind]().equals(whole)


@KINDS
def test_broken_metadata_of_packages_is_a_warning(kind: str, plugged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = LISTS[kind]()
    plugged(kind, lambda: None)
    monkeypatch.setattr(module, "entry_points", lambda group: (_ for _ in ()).throw(KeyError(group)))
    with pytest.warns(StfmkitWarning, match="KeyError"):
        assert LISTS[kind]().equals(whole)


HPCA = sk.models.model_card("hvg_pca")
KNN = sk.methods.method_card("knn", task="annotate")
ODD: dict[str, Callable[[], Any]] = {
    "hostile": lambda: hostile(Custom(), methods=ALL),
    "number": lambda: 5,
    "list": lambda: ["a"],
    "in itself": itself,
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("field", ["summary", "licence", "extra", "species", "reason", "family", "dimension"])
def test_cards_with_odd_facts_take_no_list_down(field: str, odd: str, plugged: Any) -> None:
    if (field, odd) in {("dimension", "number"), ("species", "list")}:
        pytest.skip("as it should be")
    whole = sk.models.list_models()
    plugged("models", lambda: replace(HPCA, name="odd", **{field: ODD[odd]()}))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        listed = sk.models.list_models()
        str(listed)
        sk.models.list_models(family="baseline")
        sk.models.list_models(runnable=True)
    assert listed.equals(whole)
    assert [w.category for w in told] == [StfmkitWarning]


@pytest.mark.parametrize("field", ["summary", "species", "title", "output", "extra"])
def test_cards_of_methods_with_odd_facts_take_no_list_down(field: str, plugged: Any) -> None:
    whole = sk.methods.list_methods()
    plugged("methods", lambda: replace(KNN, name="odd", **{field: hostile(SystemExit(), methods=ALL)}))
    with pytest.warns(StfmkitWarning, match="'extra'"):
        assert sk.methods.list_methods().equals(whole)
    assert sk.methods.method_card("knn") == KNN


def test_a_task_that_fails_later_is_left_out_then(plugged: Any) -> None:
    """Its facts are read well when it is checked, and fail when a list or a choice reads them."""
    times: list[int] = []

    class Moody(Domains):
        name = "moody"

        @property
        def needs(self) -> tuple[str, ...]:  # type: ignore[override]
            times.append(1)
            if len(times) > 3:
                raise Outcome
            return ("label_key",)

    plugged("tasks", Moody)
    protocol = sk.bm.Protocol(patient_key="p", sample_key="s", label_key="n", split=sk.pp.PatientKFold(3))
    whole = {"coexpression", "domains", "expression", "niche_probe", "niche_signatures"}
    with pytest.warns(StfmkitWarning, match=r"'extra'.*Outcome"):
        chosen = [choose_tasks(None, protocol) for _ in range(4)][-1]
    assert whole == {task.name for task in chosen}


def test_good_plug_ins_are_known_with_their_distribution(plugged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Brought:
        name, version = "good-plug", "1.2"

    plugged("models", lambda: (replace(HPCA, name="good"), replace(HPCA, name="better")))
    monkeypatch.setattr(EntryPoint, "dist", Brought())
    assert {"good", "better"} < set(sk.models.list_models()["name"])
    assert MODELS.brought_by("good") == ("good-plug", "1.2")
    assert MODELS.brought_by("hvg_pca") is None
    sk.models.register_model(replace(HPCA, name="good"), overwrite=True)
    assert MODELS.brought_by("good") is None


@pytest.mark.parametrize("names", [("same", "same"), ("new", "hvg_pca")])
def test_a_name_twice_leaves_all_of_a_plug_in_out(names: tuple[str, str], plugged: Any) -> None:
    plugged("models", lambda: [replace(HPCA, name=name) for name in names])
    with pytest.warns(StfmkitWarning, match="a name that is taken"):
        assert "new" not in set(sk.models.list_models()["name"])
    assert MODELS.find("hvg_pca") == HPCA
