"""Record batches of molecules as arrays: positions in µm, names as codes."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stfmkit._core.errors import InputError
from stfmkit._kernels._molecules import box_of, recode, unusable, used_entries
from stfmkit.pp._binning.columns import MoleculeColumns
from stfmkit.pp._binning.sources import MoleculeTable
from stfmkit.pp._controls import control_categories, control_names

_UNASSIGNED = frozenset({"", "unassigned", "-1", "nan", "none"})
UNLABELLED = frozenset({"", "unassigned"})
"""What a carried column says, in lower case, where there is no label."""

_UNKNOWN = -2

_BLOCK = 1 << 17
"""Rows that are worked on at a time: few enough to stay in the cache of a core."""

LARGEST = 1e9
"""Positions beyond a kilometre are not µm in tissue."""


class Vocabulary:
    """Names seen so far and their codes, in order of appearance."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._last: tuple[pa.Array, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self._codes)

    def __getstate__(self) -> dict[str, int]:
        return self._codes

    def __setstate__(self, codes: dict[str, int]) -> None:
        self._codes, self._last = codes, None

    @property
    def names(self) -> list[str]:
        """The names, by code."""
        return list(self._codes)

    def code(self, name: str) -> int:
        """Return the code of one name, new or known."""
        return self._codes.setdefault(name, len(self._codes))

    def absorb(self, other: "Vocabulary") -> np.ndarray:
        """Learn the names of another vocabulary; return the code here of each code there (k,)."""
        return np.array([self.code(name) for name in other._codes], dtype=np.int64)

    def encode(self, column: pa.Array, *, missing: frozenset[str] = frozenset({""})) -> np.ndarray:
        """Return the codes (n,) of a column, -1 for nulls and the texts of `missing` (lower case)."""
        values = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        names, index = values.dictionary, values.indices
        n = len(names)
        if index.type != pa.int32():
            index = index.cast(pa.int32())
        if index.null_count:
            index = index.fill_null(n)
        index = index.to_numpy()
        if self._last is None or not self._last[0].equals(names):
            self._last = (names, np.append(np.full(n, _UNKNOWN, np.int32), np.int32(-1)))
        codes = self._last[1]
        new = np.flatnonzero(used_entries(index, n + 1)[:n] & (codes[:n] == _UNKNOWN))
        if len(new):
            codes[new] = self._learn(names.take(pa.array(new)), missing)
        return recode(index, codes)

    def _learn(self, names: pa.Array, missing: frozenset[str]) -> np.ndarray:
        if not (pa.types.is_string(names.type) or pa.types.is_large_string(names.type)):
            texts = [w.decode() if isinstance(w, bytes) else w if w is None else str(w) for w in names.to_pylist()]
            names = pa.array(texts, pa.string())
        plain = pc.utf8_lower(pc.utf8_trim_whitespace(names))
        absent = pc.is_in(plain, pa.array([*missing, None], plain.type)).to_numpy(zero_copy_only=False)
        out = np.full(len(names), -1, dtype=np.int32)
        known = self._codes
        out[~absent] = [known.setdefault(w, len(known)) for w in names.filter(pa.array(~absent)).to_pylist()]
        return out

    def ranks(self) -> np.ndarray:
        """Return for every code (k,) the place of its name in alphabetical order."""
        rank = np.empty(len(self), dtype=np.int64)
        names = self.names
        rank[sorted(range(len(self)), key=names.__getitem__)] = np.arange(len(self))
        return rank


@dataclass(eq=False)
class Vocabularies:
    """The names of everything that molecules carry."""

    gene: Vocabulary = field(default_factory=Vocabulary)
    sample: Vocabulary = field(default_factory=Vocabulary)
    fov: Vocabulary = field(default_factory=Vocabulary)
    cell: Vocabulary = field(default_factory=Vocabulary)
    category: Vocabulary = field(default_factory=Vocabulary)
    carry: dict[str, Vocabulary] = field(default_factory=dict)
    maybe_samples: dict[str, Vocabulary] = field(default_factory=dict)
    _controls: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))

    def control_names(self) -> np.ndarray:
        """Tell which names of genes (k,) are those of controls."""
        if len(self._controls) < len(self.gene):
            new = self.gene.names[len(self._controls) :]
            self._controls = np.append(self._controls, control_names(new))
        return self._controls


@dataclass(frozen=True, eq=False)
class Chunk:
    """Molecules as arrays (n,); codes are -1 where the table has none.

    Attributes
    ----------
    coords
        x and y as they are stored, in units of `unit` µm; their box is in µm.
    sample
        Codes, or the one code of all.
    flags
        Whether each molecule, or (`by_name`) each name, is a control.
    cell
        Codes as int32, or, where fields of view count anew, ``(field + 1) << 32 | code`` as int64.
    problems
        How many molecules cannot be used, and why.
    """

    coords: tuple[np.ndarray, np.ndarray]
    unit: float
    box: tuple[float, float, float, float]
    gene: np.ndarray
    sample: np.ndarray | int
    flags: np.ndarray
    by_name: bool
    qv: np.ndarray | None
    cell: np.ndarray | None
    carry: dict[str, np.ndarray]
    maybe_samples: dict[str, np.ndarray]
    problems: dict[str, int]

    @property
    def x(self) -> np.ndarray:
        """Positions in µm."""
        return self.coords[0].astype(np.float64) * self.unit

    @property
    def y(self) -> np.ndarray:
        """Positions in µm."""
        return self.coords[1].astype(np.float64) * self.unit

    @property
    def control(self) -> np.ndarray:
        """Whether each molecule is a control."""
        return self.flags[self.gene] if self.by_name else self.flags

    def by_sample(self) -> "Iterator[tuple[int, np.ndarray | None]]":
        """Give the code of every sample in the chunk with its rows, ``None`` for all."""
        if isinstance(self.sample, int):
            yield self.sample, None
            return
        order = np.argsort(self.sample, kind="stable")
        codes, first = np.unique(self.sample[order], return_index=True)
        for code, rows in zip(codes.tolist(), np.split(order, first[1:]), strict=True):
            yield code, None if len(codes) == 1 else rows


def read_chunks(
    table: MoleculeTable,
    columns: MoleculeColumns,
    vocabularies: Vocabularies,
    *,
    unit: float,
    size: int,
    part: int | None = None,
) -> Iterator[Chunk]:
    """Read a table, or one part of it, in chunks of at most `size` molecules; `vocabularies` grow on the way."""
    opened = table.open if part is None else table.parts[part]
    for batch in opened(columns.needed, size):
        for start in range(0, batch.num_rows, _BLOCK):
            yield _decode(batch.slice(start, _BLOCK), table, columns, vocabularies, unit=unit)


def read_coordinates(
    batch: pa.RecordBatch, table: MoleculeTable, columns: MoleculeColumns
) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y (n,) in the coordinate system that was asked for, both float32 or both float64."""
    x, y = read_numbers(batch, columns.x, table), read_numbers(batch, columns.y, table)
    if x.dtype != y.dtype or table.affine is not None:
        x, y = x.astype(np.float64), y.astype(np.float64)
    if table.affine is not None:
        x, y = (a * x + b * y + c for a, b, c in table.affine[:2])
    x.flags.writeable = y.flags.writeable = False
    return x, y


def check_coordinates(
    columns: MoleculeColumns, coords: tuple[np.ndarray, np.ndarray], unit: float
) -> tuple[tuple[float, float, float, float], dict[str, int]]:
    """Return the box of positions, and how many cannot be used."""
    box = box_of(*coords, unit)
    fine = all(-LARGEST <= value <= LARGEST for value in box)  # false for NaN
    broken, far = (0, 0) if fine else unusable(*coords, unit, LARGEST)
    problems = {
        f"with NaN, missing or infinite {columns.x!r} or {columns.y!r}": broken,
        f"more than {LARGEST:g} µm from the origin": far,
    }
    return box, problems


def _decode(
    batch: pa.RecordBatch, table: MoleculeTable, columns: MoleculeColumns, vocabularies: Vocabularies, *, unit: float
) -> Chunk:
    coords = read_coordinates(batch, table, columns)
    gene = vocabularies.gene.encode(batch.column(columns.gene))
    qv = None if columns.qv is None else read_numbers(batch, columns.qv, table)
    sample: np.ndarray | int = vocabularies.sample.code(table.element or "")
    if columns.sample is not None:
        sample = vocabularies.sample.encode(batch.column(columns.sample))
    box, position_problems = check_coordinates(columns, coords, unit)
    flags, unknown = _controls(batch, columns, vocabularies)
    problems = {
        **position_problems,
        f"without a name in {columns.gene!r}": int(np.count_nonzero(gene < 0)),
        f"without an id in {columns.sample!r}": int(np.count_nonzero(np.asarray(sample) < 0)),
        f"without a value in {columns.control!r}": unknown,
    }
    if qv is not None:
        problems[f"with NaN or missing {columns.qv!r}"] = int(np.count_nonzero(np.isnan(qv)))
    return Chunk(
        coords=coords,
        unit=unit,
        box=box,
        gene=gene,
        sample=sample,
        flags=flags,
        by_name=columns.control is None,
        qv=qv,
        cell=_cells(batch, columns, vocabularies),
        carry={k: _labels(batch, k, vocabularies.carry.setdefault(k, Vocabulary())) for k in columns.carry},
        maybe_samples={
            k: vocabularies.maybe_samples.setdefault(k, Vocabulary()).encode(batch.column(k))
            for k in columns.maybe_samples
        },
        problems=problems,
    )


def read_numbers(batch: pa.RecordBatch, name: str, table: MoleculeTable) -> np.ndarray:
    """Return a column of numbers as float32 where it is, else as float64; nulls are NaN."""
    column = batch.column(name)
    kind = column.type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise InputError(
            f"column {name!r} of {table.label}, which holds {kind}.",
            allowed="numbers",
            remedy="pass another key, or convert the column to numbers.",
        )
    if kind != pa.float32() or column.null_count:
        column = pc.cast(column, pa.float64(), safe=False)
    return _frozen(column.to_numpy(zero_copy_only=False))


def _frozen(values: np.ndarray) -> np.ndarray:
    values.flags.writeable = False  # one kind of array, so that kernels are compiled once
    return values


def _controls(batch: pa.RecordBatch, columns: MoleculeColumns, vocabularies: Vocabularies) -> tuple[np.ndarray, int]:
    """Tell which names, or with a column for it which molecules, are controls, and of how many it is not known."""
    if columns.control is None:
        return vocabularies.control_names(), 0
    codes = vocabularies.category.encode(batch.column(columns.control))
    known = control_categories(vocabularies.category.names, key=columns.control)
    flags = np.append(known, False)  # code -1 reads the last
    return flags[codes], int(np.count_nonzero(codes < 0))


def _cells(batch: pa.RecordBatch, columns: MoleculeColumns, vocabularies: Vocabularies) -> np.ndarray | None:
    """Return numbers of cells (n,) that tell cells of different fields of view apart."""
    if columns.cell is None:
        return None
    none = _UNASSIGNED | {"0"} if columns.cell == "cell_ID" else _UNASSIGNED  # CosMx writes 0
    cell = vocabularies.cell.encode(batch.column(columns.cell), missing=none)
    if columns.fov is None:
        return cell
    fov = vocabularies.fov.encode(batch.column(columns.fov)).astype(np.int64) + 1
    return np.where(cell < 0, -1, (fov << 32) | cell)


def _labels(batch: pa.RecordBatch, name: str, vocabulary: Vocabulary) -> np.ndarray:
    kind = batch.schema.field(name).type
    if pa.types.is_floating(kind):
        raise InputError(
            f"carry={name!r}, a column of {kind} numbers.",
            allowed="labels: text, categories, integers or booleans",
            remedy="cut the numbers into named classes first, or leave the column out of carry.",
        )
    return vocabulary.encode(batch.column(name), missing=UNLABELLED)
