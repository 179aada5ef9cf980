"""Record batches of molecules as arrays: positions in µm, names as codes."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stfmkit._errors import InputError
from stfmkit.pp._binning._columns import MoleculeColumns
from stfmkit.pp._binning._molecules import MoleculeTable
from stfmkit.pp._controls import control_categories, control_names

_UNASSIGNED = frozenset({"", "unassigned", "-1", "nan", "none"})
UNLABELLED = frozenset({"", "unassigned"})
"""What a carried column says, in lower case, where there is no label."""

_LARGEST = 1e9
"""Positions beyond a kilometre are not µm in tissue."""


class Vocabulary:
    """Names seen so far and their codes, in order of appearance."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._codes)

    @property
    def names(self) -> list[str]:
        """The names, by code."""
        return list(self._codes)

    def code(self, name: str) -> int:
        """Return the code of one name, new or known."""
        return self._codes.setdefault(name, len(self._codes))

    def encode(self, column: pa.Array, *, missing: frozenset[str] = frozenset({""})) -> np.ndarray:
        """Return the codes (n,) of a column, -1 for nulls and the words of `missing` (lower case)."""
        values = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        index = values.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
        used, inverse = np.unique(index, return_inverse=True)
        words = values.dictionary.take(pa.array(used[used >= 0])).to_pylist()
        codes = [-1 if w is None else self._known(w, missing) for w in words]
        return np.array([-1] * (len(used) - len(words)) + codes, dtype=np.int64)[inverse]

    def _known(self, word: object, missing: frozenset[str]) -> int:
        text = word.decode() if isinstance(word, bytes) else str(word)
        return -1 if text.strip().casefold() in missing else self.code(text)

    def ranks(self) -> np.ndarray:
        """Return for every code (k,) the place of its name in alphabetical order."""
        rank = np.empty(len(self), dtype=np.int64)
        rank[sorted(range(len(self)), key=self.names.__getitem__)] = np.arange(len(self))
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
    frames: dict[str, Vocabulary] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Chunk:
    """Molecules as arrays (n,); codes are -1 where the table has none."""

    x: np.ndarray
    y: np.ndarray
    gene: np.ndarray
    sample: np.ndarray
    control: np.ndarray
    qv: np.ndarray | None
    cell: np.ndarray | None
    carry: dict[str, np.ndarray]
    frames: dict[str, np.ndarray]
    problems: dict[str, int]


def read_chunks(
    table: MoleculeTable, columns: MoleculeColumns, words: Vocabularies, *, unit: float, size: int
) -> Iterator[Chunk]:
    """Read a table in chunks of at most `size` molecules; `words` grows on the way."""
    for batch in table.open(columns.needed, size):
        if batch.num_rows:
            yield _decode(batch, table, columns, words, positions=_positions(batch, table, columns) * unit)


def _positions(batch: pa.RecordBatch, table: MoleculeTable, columns: MoleculeColumns) -> np.ndarray:
    x, y = _numbers(batch, columns.x, table), _numbers(batch, columns.y, table)
    if table.affine is None:
        return np.stack([x, y])
    return np.stack([a * x + b * y + c for a, b, c in table.affine[:2]])


def _decode(
    batch: pa.RecordBatch, table: MoleculeTable, columns: MoleculeColumns, words: Vocabularies, *, positions: np.ndarray
) -> Chunk:
    x, y = positions
    gene = words.gene.encode(batch.column(columns.gene))
    qv = None if columns.qv is None else _numbers(batch, columns.qv, table)
    if columns.sample is None:
        sample = np.full(len(x), words.sample.code(table.element or ""))
    else:
        sample = words.sample.encode(batch.column(columns.sample))
    problems = {
        f"with NaN, missing or infinite {columns.x!r} or {columns.y!r}": ~(np.isfinite(x) & np.isfinite(y)),
        f"more than {_LARGEST:g} µm from the origin": (np.abs(x) > _LARGEST) | (np.abs(y) > _LARGEST),
        f"without a name in {columns.gene!r}": gene < 0,
        f"without an id in {columns.sample!r}": sample < 0,
    }
    if qv is not None:
        problems[f"with NaN or missing {columns.qv!r}"] = np.isnan(qv)
    control, missing = _controls(batch, columns, words, gene)
    problems[f"without a value in {columns.control!r}"] = missing
    return Chunk(
        x=x,
        y=y,
        gene=gene,
        sample=sample,
        control=control,
        qv=qv,
        cell=_cells(batch, columns, words, sample),
        carry={k: _labels(batch, k, words.carry.setdefault(k, Vocabulary())) for k in columns.carry},
        frames={k: words.frames.setdefault(k, Vocabulary()).encode(batch.column(k)) for k in columns.frames},
        problems={k: int(v.sum()) for k, v in problems.items()},
    )


def _numbers(batch: pa.RecordBatch, name: str, table: MoleculeTable) -> np.ndarray:
    column = batch.column(name)
    kind = column.type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise InputError(
            f"column {name!r} of {table.label}, which holds {kind}.",
            allowed="numbers",
            remedy="pass another key, or convert the column to numbers.",
        )
    return pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def _controls(
    batch: pa.RecordBatch, columns: MoleculeColumns, words: Vocabularies, gene: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Tell which molecules are controls, and of which it is not known."""
    if columns.control is None:
        flags = np.append(control_names(words.gene.names), False)  # code -1 reads the last
        return flags[gene], np.zeros(len(gene), dtype=bool)
    codes = words.category.encode(batch.column(columns.control))
    flags = np.append(control_categories(words.category.names, key=columns.control), False)
    return flags[codes], codes < 0


def _cells(
    batch: pa.RecordBatch, columns: MoleculeColumns, words: Vocabularies, sample: np.ndarray
) -> np.ndarray | None:
    """Return numbers of cells (n,) that tell cells of different samples and fields of view apart."""
    if columns.cell is None:
        return None
    none = _UNASSIGNED | {"0"} if columns.cell == "cell_ID" else _UNASSIGNED  # CosMx writes 0
    cell = words.cell.encode(batch.column(columns.cell), missing=none)
    fov = np.zeros_like(cell) if columns.fov is None else words.fov.encode(batch.column(columns.fov)) + 1
    return np.where(cell < 0, -1, (sample << 48) | (fov << 32) | cell)


def _labels(batch: pa.RecordBatch, name: str, words: Vocabulary) -> np.ndarray:
    kind = batch.schema.field(name).type
    if pa.types.is_floating(kind):
        raise InputError(
            f"carry={name!r}, a column of {kind} numbers.",
            allowed="labels: text, categories, integers or booleans",
            remedy="cut the numbers into named classes first, or leave the column out of carry.",
        )
    return words.encode(batch.column(name), missing=UNLABELLED)
