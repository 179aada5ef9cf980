"""Everything that is counted of a part of the molecules, and how parts are put together."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from stfmkit._core.errors import InputError
from stfmkit._kernels._counts import BITS, CountTable
from stfmkit._kernels._molecules import (
    FIRST,
    box_of,
    boxes_by_code,
    columns_of,
    count_kinds,
    spots_without_cell,
    sum_by_cell,
    those_not_low,
    without_low,
)
from stfmkit.pp._binning.chunks import Chunk, Vocabularies, Vocabulary
from stfmkit.pp._binning.extents import Extent, add_problems
from stfmkit.pp._binning.mask import ComputedMask
from stfmkit.pp._binning.plan import Plan

_NO_QUALITY = np.empty(0, dtype=np.float32)
_NO_QUALITY.flags.writeable = False


GRAIN = 65536.0
"""Steps in one µm: positions of cells are sums of whole numbers, so that the order does not matter."""


@dataclass(eq=False)
class CellSums:
    """Molecules, and sums of their positions from a corner, of every cell.

    Attributes
    ----------
    sums
        Number of molecules, and steps in x and in y (k, 3).
    keys
        The row in `sums` of every cell; None where codes of cells are these rows.
    """

    sums: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), dtype=np.int64))
    keys: dict[int, int] | None = None

    def rows_of(self, cell: np.ndarray) -> np.ndarray:
        """Return the row in `sums` of every cell (n,), -1 for none."""
        if cell.dtype == np.int32 and self.keys is None:
            self._grow(int(cell.max(initial=-1)) + 1)
            return cell
        if self.keys is None:
            self.keys = {}
        codes, different = pd.factorize(cell)
        known = self.keys
        found = [-1 if key < 0 else known.setdefault(key, len(known)) for key in different.tolist()]
        self._grow(len(known))
        return np.asarray(found, dtype=np.int32)[codes]

    def add(
        self,
        cell: np.ndarray,
        coords: tuple[np.ndarray, np.ndarray],
        columns: np.ndarray,
        *,
        unit: float,
        corner: tuple[float, float],
        drop: bool,
    ) -> None:
        """Add molecules (n,) of these cells, at coordinates in units of `unit` µm."""
        sum_by_cell(*coords, (unit, *corner, GRAIN), columns, self.rows_of(cell), drop, self.sums)

    def absorb(self, other: "CellSums", cells: np.ndarray, fovs: np.ndarray) -> None:
        """Add the cells of another table; `cells` and `fovs` are the codes here of the codes there."""
        if other.keys is None:
            there = np.flatnonzero(other.sums[:, 0])
            mine = cells[there].astype(np.int32 if self.keys is None else np.int64)
        else:
            keys = np.fromiter(other.keys, np.int64, len(other.keys))
            there = np.arange(len(keys))
            fov = keys >> 32
            here = np.append(fovs + 1, 0)[fov - 1]  # field 0 is none, and stays so
            mine = (here << 32) | cells[keys & 0xFFFFFFFF]
        if len(there):
            rows = self.rows_of(mine)
            self.sums[rows] += other.sums[there]

    def positions(self, corner: tuple[float, float]) -> np.ndarray:
        """Return the mean position (k, 2) of the cells that have molecules."""
        sums = self.sums[self.sums[:, 0] > 0]
        return sums[:, 1:] / sums[:, :1] / GRAIN + np.array(corner)

    def _grow(self, n: int) -> None:
        if n > len(self.sums):
            more = np.zeros((max(n, 2 * len(self.sums)) - len(self.sums), 3), dtype=np.int64)
            self.sums = np.concatenate([self.sums, more])


class OutsideBoxError(Exception):
    """A molecule lies outside the box that was found before."""


@dataclass(eq=False)
class Counter:
    """Counts of some chunks. The sum of two counters is the same whatever molecules each of them saw.

    Attributes
    ----------
    tables, shares
        Counts by spot of names, and of carried levels, one for each grid; empty where finer squares give them.
    seen
        Which columns occur, whatever the quality.
    maybe_samples
        Boxes of the groups that may be samples, by column.
    mask_bits
        What the computed masks have learnt, where the counter has been packed.
    """

    plan: Plan | None
    vocabularies: Vocabularies = field(default_factory=Vocabularies)
    tables: list[CountTable] = field(default_factory=list)
    shares: list[dict[str, CountTable]] = field(default_factory=list)
    cells: dict[str, CellSums] = field(default_factory=dict)
    extents: dict[str, Extent] = field(default_factory=dict)
    maybe_samples: dict[str, dict[str, Extent]] = field(default_factory=dict)
    mask_bits: dict[str, np.ndarray] = field(default_factory=dict)
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
        OutsideBoxError
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
        for name, codes in chunk.maybe_samples.items() if plan.check_overlap else ():
            self._widen_groups(name, codes, chunk)
        for code, rows in chunk.by_sample():
            self._add_sample(self.vocabularies.sample.names[code], rows, chunk, columns, some_low=low > 0)

    def _planned(self) -> Plan:
        if self.plan is None:
            raise OutsideBoxError
        return self.plan

    def _make_room(self) -> int:
        n_columns = FIRST + 2 * len(self.vocabularies.gene)
        if n_columns >= 1 << BITS:
            raise InputError(
                f"{len(self.vocabularies.gene)} different names of genes.",
                allowed=f"fewer than {(1 << BITS) // 2 - 1}",
                remedy="check gene_key: this column may hold ids of molecules.",
            )
        if n_columns > len(self.seen):
            self.seen = np.append(self.seen, np.zeros(2 * n_columns - len(self.seen), dtype=bool))
        return n_columns

    def _widen_groups(self, name: str, codes: np.ndarray, chunk: Chunk) -> None:
        names = self.vocabularies.maybe_samples[name]
        groups = self.maybe_samples.setdefault(name, {})
        boxes = boxes_by_code(*chunk.coords, chunk.unit, codes, len(names))
        for group, box in zip(names.names, boxes.tolist(), strict=True):
            if box[0] <= box[2]:
                groups.setdefault(group, Extent()).widen(tuple(box))

    def _add_sample(
        self, name: str, rows: np.ndarray | None, chunk: Chunk, columns: np.ndarray, *, some_low: bool
    ) -> None:
        plan, unit, n_columns = self._planned(), chunk.unit, self._make_room()
        x, y = (_pick(values, rows) for values in chunk.coords)
        columns = _pick(columns, rows)
        box = chunk.box if rows is None else box_of(x, y, unit)
        stated = plan.boxes.get(name)
        if (
            stated is None
            or min(box[0] - stated[0], box[1] - stated[1]) < 0
            or max(box[2] - stated[2], box[3] - stated[3]) > 0
        ):
            raise OutsideBoxError
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
        counted = [i for i, source in enumerate(plan.summed_from) if source is None]
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
                table.add(spot, levels, max(len(self.vocabularies.carry[key]), 1))

    def absorb(self, other: "Counter") -> None:
        """Add what another counter has counted."""
        self.read, self.low_qv = self.read + other.read, self.low_qv + other.low_qv
        self.control, self.outside = self.control + other.control, self.outside + other.outside
        add_problems(self.problems, other.problems)
        genes = self.vocabularies.gene.absorb(other.vocabularies.gene)
        self._make_room()
        columns = np.concatenate([[0, 1], (FIRST + 2 * genes[:, None] + np.arange(2)).ravel()]).astype(np.int64)
        self.seen[columns[: len(other.seen)][other.seen[: len(columns)]]] = True
        fovs, cells = (
            self.vocabularies.fov.absorb(other.vocabularies.fov),
            self.vocabularies.cell.absorb(other.vocabularies.cell),
        )
        for name, sums in other.cells.items():
            self.cells.setdefault(name, CellSums()).absorb(sums, cells, fovs)
        for name, extent in other.extents.items():
            self.extents.setdefault(name, Extent()).absorb(extent)
        for name, groups in other.maybe_samples.items():
            for group, extent in groups.items():
                self.maybe_samples.setdefault(name, {}).setdefault(group, Extent()).absorb(extent)
        levels = {
            key: self.vocabularies.carry.setdefault(key, Vocabulary()).absorb(vocabulary)
            for key, vocabulary in other.vocabularies.carry.items()
        }
        for i, table in enumerate(other.tables):
            self.tables[i].absorb(table, columns)
            for key, share in other.shares[i].items():
                self.shares[i].setdefault(key, CountTable(share.n_rows)).absorb(share, levels[key])
        for name, bits in other.mask_bits.items():
            self.mask_bits[name] = self.mask_bits[name] | bits if name in self.mask_bits else bits

    def packed(self) -> "Counter":
        """Return this counter without its plan, small enough to be sent."""
        if self.plan is not None:
            self.mask_bits = {n: m.packed() for n, m in self.plan.masks.items() if isinstance(m, ComputedMask)}
        self.tables = [table.shrink() for table in self.tables]
        self.shares = [{key: table.shrink() for key, table in tables.items()} for tables in self.shares]
        self.plan = None
        return self

    def unpacked(self, plan: Plan) -> "Counter":
        """Return this counter with a plan, whose masks learn what the counter's masks have learnt."""
        for name, bits in self.mask_bits.items():
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
