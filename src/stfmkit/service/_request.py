"""What all requests have in common, and how one is made of plain values or read from a file."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from stfmkit._core.arguments import check_known
from stfmkit._core.errors import InputError, InputTypeError, MissingFileError, MissingKeyError
from stfmkit._core.limits import check_limit, most
from stfmkit.service._commands import commands
from stfmkit.service._problems import RequestError, problems_of, text_of

Spell: TypeAlias = Callable[[str], str]


class Request(BaseModel):
    """Plain data that say what to do; numbers are never made of text, and unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, defer_build=True)

    EXAMPLE: ClassVar[dict[str, Any]] = {}
    """Fields of a request that is valid; the schema shows it."""

    command: str

    def kept(self) -> str:
        """Return what there is after the work was stopped, as a sentence."""
        return "Nothing was written."

    @classmethod
    def located(cls, values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
        """Return the values with relative paths taken from a folder, that of the file they stand in."""
        return {
            name: _inside(folder, value) if _is_path(cls, name) and isinstance(value, str) and value else value
            for name, value in values.items()
        }

    @classmethod
    def of(cls, values: Mapping[str, Any], *, spell: Spell = str) -> Self:
        """Return the request of these values.

        Raises
        ------
        RequestError
            A field is unknown, missing or wrong; every one is named, as `spell` writes it.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise RequestError(problems_of(error, cls, spell=spell)) from None


def make_request(values: Mapping[str, Any], *, folder: Path | None = None) -> Request:
    """Return the request of plain values: fields with `command` beside them, or one command with its fields below.

    Parameters
    ----------
    values
        Fields by name, with ``_`` or ``-``.
    folder
        Where relative paths begin; the working folder by default.

    Raises
    ------
    RequestError
        A field is unknown, missing or wrong.
    MissingKeyError
        No command is named, or one that does not exist.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.service.make_request({"models": {"family": "baseline"}})
    ModelsRequest(command='models', name=None, family='baseline', runnable=None)
    """
    if not isinstance(values, Mapping):
        raise InputTypeError(
            f"a request of type {type(values).__name__}.", allowed="fields by name", remedy="pass a mapping."
        )
    name, fields = _parted(values)
    check_known(name, commands(), what="command", remedy="pass one of these.")
    kind = commands()[name].request
    choices = named_fields(fields)
    return kind.of({"command": name, **(choices if folder is None else kind.located(choices, folder))})


def stated_command(values: object) -> str:
    """Return the command that plain values name, or nothing where they name none that exists."""
    stated = values.get("command", next(iter(values), "")) if isinstance(values, Mapping) else ""
    return stated if isinstance(stated, str) and stated in commands() else ""


def read_request(path: str | Path) -> Request:
    r"""Read a request from a YAML or JSON file, or from standard input if `path` is ``"-"``.

    Relative paths in it begin at the folder of the file.

    Parameters
    ----------
    path
        A file that ends in ``.json`` is read as JSON, any other as YAML.

    Raises
    ------
    MissingFileError
        There is no such file.
    InputError
        The file is no YAML (or JSON), or not a mapping of fields.
    RequestError
        A field is unknown, missing or wrong.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import stfmkit as sk
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "request.yaml"
    ...     _ = file.write_text("command: report\nresults: stfmkit-demo\n")
    ...     sk.service.read_request(file).results == Path(folder) / "stfmkit-demo"
    True
    """
    return make_request(read_fields(path), folder=None if str(path) == "-" else Path(path).parent)


def read_fields(path: str | Path) -> dict[Any, Any]:
    """Read a mapping from a YAML or JSON file; nothing in it is executed or expanded."""
    text, name = (
        (sys.stdin.read(most("request_bytes")), "standard input") if str(path) == "-" else (_text_of(Path(path)), path)
    )
    try:
        is_json = Path(path).suffix == ".json"
        content = json.loads(text, object_pairs_hook=_each_once) if is_json else _yaml(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{str(name)!r} cannot be read: {' '.join(str(error).split())}",
            allowed="YAML or JSON: lines such as `patient_key: patient`",
            remedy="repair the file.",
        ) from error
    if not isinstance(content, dict):
        raise InputTypeError(
            f"{str(name)!r} holds a {type(content).__name__}.",
            allowed="YAML or JSON: lines such as `patient_key: patient`",
            remedy="write one field per line.",
        )
    return content


def choices_in(path: Path, command: str) -> dict[str, Any]:
    """Read the fields of one command from a file, which need not name it."""
    content = read_fields(path)
    inner = content.get(command) if list(content) == [command] else None
    return named_fields(inner if isinstance(inner, dict) else content)


def named_fields(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Return fields by the names that they have in Python: ``-`` stands for ``_``."""
    return {text_of(name).replace("-", "_"): value for name, value in values.items()}


def _yaml(text: str) -> Any:
    """Return the content of YAML that is as small as it looks: no aliases, and no deep nesting."""
    import yaml

    starts = ("FlowSequenceStart", "FlowMappingStart", "BlockSequenceStart", "BlockMappingStart")
    ends = ("FlowSequenceEnd", "FlowMappingEnd", "BlockEnd")
    depth, fault, levels = 0, "", most("request_levels")
    try:
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            kind = type(token).__name__.removesuffix("Token")
            depth += (kind in starts) - (kind in ends)
            if kind == "Alias":
                fault = "it has an alias (*name), which could grow without limit."
            elif depth > levels:
                fault = f"it is nested more than {levels} levels deep (the limit 'request_levels')."
            if fault:
                raise ValueError(fault)
        _check_keys(yaml.compose(text, Loader=yaml.SafeLoader))
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs of a JSON object as a dictionary, if every name is there once."""
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise ValueError(f"the field {name!r} is there twice.")
        fields[name] = value
    return fields


def _check_keys(node: Any) -> None:
    """Refuse a YAML mapping that has a key twice; the last of them would win in silence."""
    seen: set[str] = set()
    for key, *values in node.value if getattr(node, "id", "") == "mapping" else ():
        if isinstance(key.value, str) and key.value in seen:
            line = key.start_mark.line + 1
            raise ValueError(f"the field {key.value!r} is there twice, in line {line} again.")
        seen |= {key.value} if isinstance(key.value, str) else set()
        for value in values:
            _check_keys(value)
    for part in node.value if getattr(node, "id", "") == "sequence" else ():
        _check_keys(part)


def _text_of(path: Path) -> str:
    if not path.is_file():
        raise MissingFileError(
            f"no file {str(path)!r}.", allowed="a YAML or JSON file of a request", remedy="check the path."
        )
    n_bytes = path.stat().st_size
    check_limit("request_bytes", n_bytes, what=f"{str(path)!r} of {n_bytes} bytes, which is more than a request")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{str(path)!r} is no text: {error}", allowed="YAML or JSON in UTF-8", remedy="check the path."
        ) from error


def _parted(values: Mapping[Any, Any]) -> tuple[str, Mapping[Any, Any]]:
    """Return the command and its fields."""
    if "command" in values:
        return text_of(values["command"]), {name: value for name, value in values.items() if name != "command"}
    if len(values) == 1:
        ((name, fields),) = values.items()
        if fields is None or isinstance(fields, Mapping):
            return text_of(name), fields or {}
    raise MissingKeyError(
        "a request that names no command.",
        allowed="`command: NAME` beside the fields, or `NAME:` with the fields below it",
        remedy="add for example `command: bench`.",
    )


def _is_path(kind: type[Request], name: str) -> bool:
    field = kind.model_fields.get(name)
    return field is not None and Path in (field.annotation, *get_args(field.annotation))


def _inside(folder: Path, text: str) -> str:
    return text if text.startswith("~") else str(folder / text)
