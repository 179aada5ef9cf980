"""The choices of ``stfmkit bench``, from flags and from a YAML file."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stfmkit._core.arguments import check_choice, check_known
from stfmkit._core.errors import InputError, InputTypeError, MissingFileError
from stfmkit.cli._options import read_models

if TYPE_CHECKING:
    from stfmkit.bm._protocol import Protocol
    from stfmkit.splits.splitters import Splitter

_PATHS = ("data", "out")
_LISTS = ("models", "tasks")
_INTEGERS = ("n_splits", "n_target_genes", "seed", "jobs")
_NUMBERS = ("block", "buffer", "microns_per_unit")
_REQUIRED = ("data", "patient_key", "sample_key", "models", "out")
SPLITS = ("patient", "slide", "block", "random")


@dataclass(frozen=True, kw_only=True)
class BenchSettings:
    """Every choice of a comparison on the command line; the names are those of the flags, with ``_`` for ``-``."""

    data: Path
    patient_key: str
    sample_key: str
    models: list[str] | dict[str, Any]
    out: Path
    tasks: list[str] | None = None
    label_key: str | None = None
    celltype_key: str | None = None
    spatial_key: str = "spatial"
    layer: str | None = None
    table_key: str | None = None
    split: str = "patient"
    n_splits: int | None = None
    block: float | None = None
    buffer: float | None = None
    microns_per_unit: float | None = None
    n_target_genes: int | None = None
    seed: int = 0
    jobs: int = 1

    def splitter(self) -> "Splitter":
        """Return the split that was asked for."""
        from stfmkit import pp

        folds = {} if self.n_splits is None else {"n_splits": self.n_splits}
        if self.split == "block":
            if self.block is None or self.buffer is None:
                raise InputError(
                    "--split block without --block or --buffer.",
                    allowed="both, in µm",
                    remedy="pass for example --block 1000 --buffer 200; --buffer 0 trains right up to the test blocks.",
                )
            return pp.SpatialBlockKFold(block=self.block, buffer=self.buffer, **folds)
        if self.block is not None or self.buffer is not None:
            raise InputError(
                f"--block or --buffer with --split {self.split}.",
                allowed="them with --split block only",
                remedy="leave them out, or pass --split block.",
            )
        if self.split == "slide":
            return pp.SlideKFold(**folds)
        return pp.PatientKFold(**folds) if self.split == "patient" else pp.RandomKFold(**folds)

    def protocol(self) -> "Protocol":
        """Return the protocol of the comparison."""
        from stfmkit import bm

        targets: dict[str, Any] = {} if self.n_target_genes is None else {"n_target_genes": self.n_target_genes}
        return bm.Protocol(
            patient_key=self.patient_key,
            sample_key=self.sample_key,
            label_key=self.label_key,
            celltype_key=self.celltype_key,
            spatial_key=self.spatial_key,
            layer=self.layer,
            microns_per_unit=self.microns_per_unit,
            split=self.splitter(),
            rng=self.seed,
            **targets,
        )


def make_settings(flags: Mapping[str, Any], config: Path | None) -> BenchSettings:
    """Join flags and the YAML file; flags win.

    Raises
    ------
    InputError
        A key is unknown, a value is of the wrong type, or something required is missing.
    """
    given = {**({} if config is None else read_config(config)), **flags}
    choices = {key: _typed(key, value) for key, value in given.items() if value is not None}
    missing = [key for key in _REQUIRED if not choices.get(key)]
    if missing:
        raise InputError(
            f"no {', '.join(map(_flag, missing))}.",
            allowed=f"{', '.join(map(_flag, _REQUIRED))}, as flags or in --config",
            remedy="patient and sample are columns of obs, and are never guessed; `stfmkit bench --help` has examples.",
        )
    settings = BenchSettings(**choices)
    check_choice(settings.split, SPLITS, name="split")
    return settings


def read_config(path: Path) -> dict[str, Any]:
    """Read a YAML file of choices; paths in it are relative to its folder."""
    import yaml

    if not path.is_file():
        raise MissingFileError(f"no file {str(path)!r}.", allowed="a YAML file", remedy="check the path of --config.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(
            f"{str(path)!r} is not YAML: {' '.join(str(error).split())}",
            allowed="lines such as `patient_key: patient`",
            remedy="repair the file.",
        ) from error
    if not isinstance(content, dict):
        raise InputTypeError(
            f"{str(path)!r} holds a {type(content).__name__}.",
            allowed="lines such as `patient_key: patient`",
            remedy="write one choice per line.",
        )
    known = [field.name for field in fields(BenchSettings)]
    choices = {}
    for name, value in content.items():
        key = str(name).replace("-", "_")
        check_known(key, known, what=f"choice (in {path.name})", remedy="rename or remove it.")
        choices[key] = path.parent / Path(value).expanduser() if key in _PATHS and isinstance(value, str) else value
    return choices


def _typed(key: str, value: Any) -> Any:
    """Return a value as the type of its choice; numbers are never made of text, nor text of numbers."""
    if key in _PATHS and isinstance(value, (str, Path)):
        return Path(value).expanduser()
    if key == "models" and isinstance(value, dict):
        return read_models(value)
    if key in _LISTS:
        parts = [value] if isinstance(value, str) else value
        if isinstance(parts, (list, tuple)) and all(isinstance(part, str) for part in parts):
            names = [name.strip() for part in parts for name in part.split(",") if name.strip()]
            return list(dict.fromkeys(names))
    if key in _INTEGERS and isinstance(value, int) and not isinstance(value, bool):
        return value
    if key in _NUMBERS and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if key not in _PATHS + _LISTS + _INTEGERS + _NUMBERS and isinstance(value, str):
        return value
    raise InputTypeError(
        f"{_flag(key)} {value!r}, a {type(value).__name__}.", allowed=_allowed(key), remedy=f"write {key} as such."
    )


def _allowed(key: str) -> str:
    if key == "models":
        return "names, as a list or separated by commas; in YAML also a mapping from labels to names or options"
    if key in _LISTS:
        return "names, as a list or separated by commas"
    if key in _INTEGERS:
        return "a whole number"
    return "a number" if key in _NUMBERS else "text"


def _flag(key: str) -> str:
    return "DATA" if key == "data" else "--" + key.replace("_", "-")
