"""Rules of the house that a machine can hold."""

import ast
import builtins
import doctest
import inspect
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from stfmkit import testing

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
NAMESPACES = ("bm", "datasets", "io", "methods", "metrics", "models", "pl", "pp", "service", "tl")
VERBS = ("pp", "tl")
ONE_FILE_PER_FUNCTION = ("datasets", "io", "methods", "models", "pl", "pp", "tl")
"""But for ``catalogue.py``: to list, to look up and to register are one idea."""
TRUST_BORDERS = {
    "src/stfmkit/_core/catalogue.py",
    "src/stfmkit/_core/progress.py",
    "src/stfmkit/models/nets/checkpoint.py",
    "src/stfmkit/models/nets/modules.py",
    "src/stfmkit/models/weights/tables.py",
    "src/stfmkit/models/weights/tensors.py",
    "src/stfmkit/models/zoo/cellama/words.py",
    "src/stfmkit/testing/_check_model.py",
}
"""Where foreign code runs, and whatever it raises becomes a warning or an error of ours: the only broad excepts."""
MOST_LINES, MOST_FUNCTION_LINES, MOST_POSITIONAL = 500, 80, 3


def stub_entries() -> Iterator[tuple[str, str, str]]:
    """Yield (namespace, module, name) for every public name."""
    for namespace in NAMESPACES:
        stub = ROOT / "src" / "stfmkit" / namespace / "__init__.pyi"
        for node in ast.parse(stub.read_text()).body:
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    yield namespace, str(node.module), alias.name


ENTRIES = list(stub_entries())


def public_objects() -> list[tuple[str, Any]]:
    return [(f"{ns}.{name}", getattr(import_module(f"stfmkit.{ns}"), name)) for ns, _, name in ENTRIES]


def public_functions() -> list[tuple[str, Callable[..., Any]]]:
    return [(name, thing) for name, thing in public_objects() if inspect.isfunction(thing)]


def checks() -> list[tuple[str, Callable[..., Any]]]:
    """Return what `sk.testing` offers, which is no verb on data."""
    return [(f"testing.{name}", getattr(testing, name)) for name in testing.__all__]


def named(pairs: list[tuple[str, Any]]) -> Any:
    return pytest.mark.parametrize("thing", [pytest.param(thing, id=name) for name, thing in pairs])


def of(paths: list[Path]) -> Any:
    return pytest.mark.parametrize("path", paths, ids=[str(p.relative_to(ROOT)) for p in paths])


# public surface


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_every_namespace_has_names_and_lists_them(namespace: str) -> None:
    names = {name for ns, _, name in ENTRIES if ns == namespace}
    assert names
    assert names <= set(dir(import_module(f"stfmkit.{namespace}")))


@pytest.mark.parametrize(("namespace", "module", "name"), ENTRIES, ids=[f"{ns}.{name}" for ns, _, name in ENTRIES])
def test_every_public_name_resolves(namespace: str, module: str, name: str) -> None:
    thing = getattr(import_module(f"stfmkit.{namespace}"), name)
    if inspect.isfunction(thing) or inspect.isclass(thing):
        assert thing.__name__ == name
        assert thing.__module__.startswith("stfmkit.")
    if inspect.isfunction(thing) and namespace in ONE_FILE_PER_FUNCTION and module != "catalogue":
        assert module == f"_{name}"


@named(public_functions())
def test_signature(thing: Callable[..., Any]) -> None:
    parameters = list(inspect.signature(thing).parameters.values())
    positional = [p for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    assert len(positional) <= MOST_POSITIONAL
    assert all(p.annotation is not p.empty for p in parameters)
    assert inspect.signature(thing).return_annotation is not inspect.Signature.empty
    for parameter in parameters:
        if parameter.name in {"copy", "key_added", "rng", "layer", "inplace", "show_progress"}:
            assert parameter.kind is parameter.KEYWORD_ONLY
        if parameter.name == "copy":
            assert parameter.default is False


@named([pair for pair in public_functions() if pair[0].startswith(VERBS)])
def test_verbs_take_the_data_first(thing: Callable[..., Any]) -> None:
    first = next(iter(inspect.signature(thing).parameters.values()))
    assert first.name in {"data", "adata"}
    assert first.default is first.empty


@named(public_functions())
def test_functions_are_documented_with_an_example(thing: Callable[..., Any]) -> None:
    text = inspect.getdoc(thing) or ""
    assert _section(text, "Examples"), "no Examples section"
    assert ">>> " in _section(text, "Examples")
    documented = re.findall(r"^([\w, *]+)$", _section(text, "Parameters"), flags=re.MULTILINE)
    names = {name.strip(" *") for line in documented for name in line.split(",")}
    assert set(inspect.signature(thing).parameters) <= names, "a parameter without description"


@named([pair for pair in public_objects() if inspect.isfunction(pair[1]) or inspect.isclass(pair[1])] + checks())
def test_examples_run_where_they_are_copied_to(thing: Any) -> None:
    parts = [thing, *(part for part in vars(thing).values() if inspect.isfunction(part))]
    assert [fault for part in parts for fault in faults_of_examples(inspect.getdoc(part) or "")] == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (">>> ax = benchmark(table)", "benchmark is not defined"),
        (">>> import stfmkit as sk\n>>> [np.log(x) for x in sk.datasets.toy(y=1)]", "np is not defined"),
        (">>> from stfmkit.pl._benchmark import benchmark\n>>> benchmark(())", "stfmkit.pl._benchmark is imported"),
    ],
)
def test_faults_of_examples_are_found(text: str, fault: str) -> None:
    assert fault in faults_of_examples(text)


def faults_of_examples(text: str) -> list[str]:
    """Return what of the examples only works inside the file that they stand in."""
    examples = "".join(example.source for example in doctest.DocTestParser().get_examples(text))
    nodes = list(ast.walk(ast.parse(examples)))
    imports = [node for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]
    sources = [str(node.module) if isinstance(node, ast.ImportFrom) else node.names[0].name for node in imports]
    defined = {alias.asname or alias.name for node in imports for alias in node.names} | set(dir(builtins))
    defined |= {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    defined |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    defined |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    free = {node.id for node in nodes if isinstance(node, ast.Name)} - defined
    private = [name for name in sources if name.startswith("stfmkit.") and "._" in name]
    return [f"{name} is not defined" for name in sorted(free)] + [f"{name} is imported" for name in private]


@named([pair for pair in public_objects() if inspect.isclass(pair[1])])
def test_classes_are_documented(thing: type) -> None:
    assert len((thing.__doc__ or "").split()) > 3


def _section(text: str, title: str) -> str:
    found = re.search(rf"^{title}\n-+\n(.*?)(?=^\w[\w ]*\n-+$|\Z)", text, flags=re.MULTILINE | re.DOTALL)
    return found.group(1) if found else ""


# files


def test_there_is_something_to_check() -> None:
    assert len(SOURCES) > 20
    assert len(TESTS) > 5
    assert len(public_functions()) > 10


@of(SOURCES + TESTS)
def test_files_are_short_and_named_for_what_they_do(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES
    assert "utils" not in path.stem
    assert path.stem.strip("_") not in {"helpers", "misc", "common"}


@of(SOURCES)
def test_functions_are_short(path: Path) -> None:
    too_long = [
        f"{node.name}: {lines}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (lines := _lines_of_code(node)) > MOST_FUNCTION_LINES
    ]
    assert too_long == []


@of(SOURCES)
def test_nothing_is_asserted_swallowed_or_left_for_later(path: Path) -> None:
    faults = _faults(path.read_text())
    if str(path.relative_to(ROOT)) in TRUST_BORDERS:
        assert "broad except" in " ".join(faults)
        faults = [fault for fault in faults if not fault.endswith("broad except")]
    assert faults == []


@pytest.mark.parametrize(
    "fault",
    [
        "assert x",
        "try:\n    x\nexcept Exception:\n    pass",
        "try:\n    x\nexcept:\n    pass",
        "try:\n    x\nexcept (ValueError, BaseException):\n    pass",
        "raise NotImplementedError('later')",
        "import numpy as np\nnp.random.seed(0)",
    ],
)
def test_the_watch_sees_planted_faults(fault: str) -> None:
    assert _faults(fault)


def _lines_of_code(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    doc = ast.get_docstring(node, clean=False)
    return (node.end_lineno or node.lineno) - node.lineno + 1 - (len(doc.splitlines()) if doc else 0)


def _faults(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assert):
            found.append(f"line {node.lineno}: assert")
        if isinstance(node, ast.ExceptHandler) and _catches_all(node):
            found.append(f"line {node.lineno}: broad except")
        if isinstance(node, ast.Raise) and node.exc is not None and "NotImplementedError" in ast.unparse(node.exc):
            found.append(f"line {node.lineno}: NotImplementedError")
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("random.seed"):
            found.append(f"line {node.lineno}: global seed")
    return found


def _catches_all(handler: ast.ExceptHandler) -> bool:
    names = ast.walk(handler.type) if handler.type is not None else ()
    return handler.type is None or any(
        isinstance(name, ast.Name) and name.id in {"Exception", "BaseException"} for name in names
    )
