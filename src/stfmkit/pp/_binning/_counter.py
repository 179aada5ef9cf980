"""Everything that is counted of a part of the molecules, and how parts are put together."""

from dataclasses import dataclass, field

import numpy as np

from stfmkit._core.errors import InputError
from stfmkit._kernels._counts import BITS, CountTable
from stfmkit._kernels._molecules import (
    FIRST,
    box_of,
    boxes_by_code,
    columns_of,
    count_kinds,
    spots_without_cell,
    those_not_low,
    without_low,
)
from stfmkit.pp._binning._cells import CellSums
from stfmkit.pp._binning._chunks import Chunk, Vocabularies, Vocabulary
from stfmkit.pp._binning._extent import Extent, add_problems
from stfmkit.pp._binning._plan import Plan
from stfmkit.pp._binning._tissue_mask import ComputedMask

_NO_QUALITY = np.empty(0, dtype=np.float32)
_NO_QUALITY.flags.writeable = False


class MovedError(Exception):
    """A molecule lies outside the box that was found before."""


@dataclass(eq=False)
class Counter:
    """Counts of some chunks. The sum of two counters is the same whatever molecules each of them saw.

    Attributes
    ----------
    tables, shares
        Counts by spot of names, and of carried levels, one for each resolution; empty where a finer one gives them.
    seen
        Which columns occur, whatever the quality.
    frames
        Boxes of the groups that may be samples.
    marks
        What the computed masks have learnt, where the counter has been packed.
    """

    plan: Plan | None
    words: Vocabularies = field(default_factory=Vocabularies)
    tables: list[CountTable] = field(default_factory=list)
    shares: list[dict[str, CountTable]] = field(default_factory=list)
    cells: dict[str, CellSums] = field(default_factory=dict)
    extents: dict[str, Extent] = field(default_factory=dict)
    frames: dict[str, dict[str, Extent]] = field(default_factory=dict)
    marks: dict[str, np.ndarray] = field(default_factory=dict)
    problems: dict[str, int] = field(default_factory=dict)
    seen: np.ndarray = field(default_factory=lambda: np.zeros(FIRST, dtype=bool))
    outside: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    read: int = 0
    low_qv: int = 0
    control: int = 0

    def __post_init__(self) -> None:
        if self.plan is not None:
            self.tables = [CountTable(size) for size in self.plan.sizes]
            self.shares = [{} for _ in self.tables]
            self.outside = np.zeros(len(self.tables), dtype=np.int64)

    def add(self, chunk: Chunk) -> None:
        """Count one chunk.

        Raises
        ------
        MovedError
            A molecule lies outside the box of its sample.
        """
        plan = self._planned()
        self.read += len(chunk.gene)
        add_problems(self.problems, chunk.problems)
        if any(self.problems.values()):
            return  # nothing can be made of these molecules; the rest is read for the counts of the error
        self._make_room()
        settings = plan.settings
        columns, low = columns_of(
            chunk.gene,
            chunk.flags,
            chunk.by_name,
            _NO_QUALITY if chunk.qv is None or settings.min_qv is None else chunk.qv,
            float(settings.min_qv or 0.0),
            self.seen,
        )
        self.low_qv += low
        for name, codes in chunk.frames.items() if plan.with_frames else ():
            self._add_frames(name, codes, chunk)
        for code, rows in chunk.by_sample():
            self._add_sample(self.words.sample.names[code], rows, chunk, columns, some_low=low > 0)

    def _planned(self) -> Plan:
        if self.plan is None:
            raise MovedError
        return self.plan

    def _make_room(self) -> int:
        n_columns = FIRST + 2 * len(self.words.gene)
        if n_columns >= 1 << BITS:
            raise InputError(
                f"{len(self.words.gene)} different names of genes.",
                allowed=f"fewer than {(1 << BITS) // 2 - 1}",
                remedy="check gene_key: this column may hold ids of molecules.",
            )
        if n_columns > len(self.seen):
            self.seen = np.append(self.seen, np.zeros(2 * n_columns - len(self.seen), dtype=bool))
        return n_columns

    def _add_frames(self, name: str, codes: np.ndarray, chunk: Chunk) -> None:
        words = self.words.frames[name]
        groups = self.frames.setdefault(name, {})
        boxes = boxes_by_code(*chunk.places, chunk.unit, codes, len(words))
        for group, box in zip(words.names, boxes.tolist(), strict=True):
            if box[0] <= box[2]:
                groups.setdefault(group, Extent()).widen(tuple(box))

    def _add_sample(
        self, name: str, rows: np.ndarray | None, chunk: Chunk, columns: np.ndarray, *, some_low: bool
    ) -> None:
        plan, unit, n_columns = self._planned(), chunk.unit, self._make_room()
        x, y = (_pick(values, rows) for values in chunk.places)
        columns = _pick(columns, rows)
        box = chunk.box if rows is None else box_of(x, y, unit)
        stated = plan.boxes.get(name)
        if (
            stated is None
            or min(box[0] - stated[0], box[1] - stated[1]) < 0
            or max(box[2] - stated[2], box[3] - stated[3]) > 0
        ):
            raise MovedError
        extent = self.extents.setdefault(name, Extent())
        extent.widen(box)
        extent.n += len(x)
        drop = plan.settings.drop_controls
        cell = None if chunk.cell is None else _pick(chunk.cell, rows)
        labels = {key: _pick(codes, rows) for key, codes in chunk.carry.items()}
        if some_low:
            cell = None if cell is None else those_not_low(cell, columns)
            labels = {key: those_not_low(codes, columns) for key, codes in labels.items()}
            x, y, columns = without_low(x, y, columns)
            x.flags.writeable = y.flags.writeable = False  # one kind of array, so that kernels are compiled once
        plan.masks[name].add_molecules(x, y, unit, columns, drop=drop)
        if cell is not None:
            mine = cell if isinstance(chunk.sample, int) else cell.astype(np.int64)  # samples count anew
            sums = self.cells.setdefault(name, CellSums())
            sums.add(mine, (x, y), columns, unit=unit, corner=stated[:2], drop=drop)
        counted = [i for i, finer in enumerate(plan.finer) if finer is None]
        for i in counted:
            sample = plan.samples[i][name]
            spot = sample.spots.number(x, y, unit=unit, base=sample.base)
            control, outside = count_kinds(spot, columns, drop)
            self.control += control if i == counted[0] else 0
            self.outside[i] += outside
            self.tables[i].add(spot, columns, n_columns)
            if cell is not None:
                loose = spots_without_cell(spot, columns, cell, drop)
                self.tables[i].add(loose, np.zeros(len(loose), np.int32), n_columns)
            for key, codes in labels.items():
                levels = np.where((columns >= 0) & ~(drop & ((columns & 1) == 1)), codes, np.int32(-1))
                table = self.shares[i].setdefault(key, CountTable(plan.sizes[i]))
                table.add(spot, levels, max(len(self.words.carry[key]), 1))

    def absorb(self, other: "Counter") -> None:
        """Add what another counter has counted."""
        self.read, self.low_qv = self.read + other.read, self.low_qv + other.low_qv
        self.control, self.outside = self.control + other.control, self.outside + other.outside
        add_problems(self.problems, other.problems)
        genes = self.words.gene.absorb(other.words.gene)
        self._make_room()
        columns = np.concatenate([[0, 1], (FIRST + 2 * genes[:, None] + np.arange(2)).ravel()]).astype(np.int64)
        self.seen[columns[: len(other.seen)][other.seen[: len(columns)]]] = True
        fovs, cells = self.words.fov.absorb(other.words.fov), self.words.cell.absorb(other.words.cell)
        for name, sums in other.cells.items():
            self.cells.setdefault(name, CellSums()).absorb(sums, cells, fovs)
        for name, extent in other.extents.items():
            self.extents.setdefault(name, Extent()).absorb(extent)
        for name, groups in other.frames.items():
            for group, extent in groups.items():
                self.frames.setdefault(name, {}).setdefault(group, Extent()).absorb(extent)
        levels = {
            key: self.words.carry.setdefault(key, Vocabulary()).absorb(words)
            for key, words in other.words.carry.items()
        }
        for i, table in enumerate(other.tables):
            self.tables[i].absorb(table, columns)
            for key, share in other.shares[i].items():
                self.shares[i].setdefault(key, CountTable(share.n_rows)).absorb(share, levels[key])
        for name, bits in other.marks.items():
            self.marks[name] = self.marks[name] | bits if name in self.marks else bits

    def packed(self) -> "Counter":
        """Return this counter without its plan, small enough to be sent."""
        if self.plan is not None:
            self.marks = {n: m.packed() for n, m in self.plan.masks.items() if isinstance(m, ComputedMask)}
        self.tables = [table.shrink() for table in self.tables]
        self.shares = [{key: table.shrink() for key, table in tables.items()} for tables in self.shares]
        self.plan = None
        return self

    def unpacked(self, plan: Plan) -> "Counter":
        """Return this counter with a plan, whose masks learn what the counter's masks have learnt."""
        for name, bits in self.marks.items():
            mask = plan.masks[name]
            if isinstance(mask, ComputedMask):
                mask.add_packed(bits)
        self.plan = plan
        return self


def _pick(values: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
    if rows is None:
        return values
    picked: np.ndarray = values[rows]
    picked.flags.writeable = values.flags.writeable
    return picked
