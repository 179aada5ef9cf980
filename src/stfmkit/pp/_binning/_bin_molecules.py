"""Molecules to spots, in two passes over a stream of chunks."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from stfmkit._errors import InputError
from stfmkit._kernels._accumulate import Tally
from stfmkit._progress import progress
from stfmkit.pp._binning._binned import Binned, Sample, counts_matrix
from stfmkit.pp._binning._chunks import Chunk, Vocabularies, read_chunks
from stfmkit.pp._binning._columns import MoleculeColumns, MoleculeKeys, find_columns, molecule_unit
from stfmkit.pp._binning._molecules import MoleculeTable
from stfmkit.pp._binning._one_frame import check_frames
from stfmkit.pp._binning._settings import BinSettings, Box, spots_for
from stfmkit.pp._binning._tissue_mask import sample_mask

_NM = 1024.0
_CELL_GRAIN = 65536.0


@dataclass(eq=False)
class _Extent:
    """Box and centroid of positions, exact whatever the order."""

    box: Box = (np.inf, np.inf, -np.inf, -np.inf)
    n: int = 0
    sums: list[int] = field(default_factory=lambda: [0, 0])  # whole numbers, so that chunks do not matter

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        a, b, c, d = self.box
        self.box = (
            float(min(a, x.min())),
            float(min(b, y.min())),
            float(max(c, x.max())),
            float(max(d, y.max())),
        )
        self.n += len(x)
        for axis, values in enumerate((x, y)):
            self.sums[axis] += int(np.rint(values * _NM).astype(np.int64).sum())

    @property
    def centroid(self) -> tuple[float, float]:
        return self.sums[0] / self.n / _NM, self.sums[1] / self.n / _NM


class _Stream:
    """All tables of molecules, read in chunks as often as needed."""

    def __init__(self, tables: list[MoleculeTable], keys: MoleculeKeys, settings: BinSettings) -> None:
        self.words = Vocabularies()
        self._settings = settings
        self._parts: list[tuple[MoleculeTable, MoleculeColumns, float]] = []
        for table in tables:
            here = keys
            if table.element is not None and len(tables) > 1 and keys.sample not in table.names:
                here = replace(keys, sample=None)  # the element is the sample
            columns = find_columns(table.names, here, with_qv=settings.min_qv is not None)
            value = table.microns if settings.microns_per_unit is None else settings.microns_per_unit
            self._parts.append((table, columns, molecule_unit(columns, value, what=f"the positions of {table.label}")))
        self.several = len(tables) > 1

    @property
    def columns(self) -> MoleculeColumns:
        return self._parts[0][1]

    def chunks(self, label: str) -> Iterator[Chunk]:
        known = [t.n_rows for t, _, _ in self._parts]
        size = self._settings.chunk_size
        total = None if None in known else sum(-(-(n or 0) // size) for n in known)
        stream = (
            chunk
            for table, columns, unit in self._parts
            for chunk in read_chunks(table, columns, self.words, unit=unit, size=size)
        )
        yield from progress(stream, label=label, total=total, unit="chunk", show=self._settings.show_progress)

    def survey(self) -> dict[int, _Extent]:
        """Read once: names, extents by sample; refuse what cannot be binned."""
        extents: dict[int, _Extent] = {}
        frames: dict[str, dict[int, _Extent]] = {}
        problems: dict[str, int] = {}
        total = 0
        for chunk in self.chunks("survey molecules"):
            total += len(chunk.x)
            for problem, count in chunk.problems.items():
                problems[problem] = problems.get(problem, 0) + count
            if any(problems.values()):
                continue  # positions are not to be trusted; the rest is read for the counts
            _extend(extents, chunk, chunk.sample)
            if not self.several:
                for name, codes in chunk.frames.items():
                    _extend(frames.setdefault(name, {}), chunk, codes)
        if not total:
            raise InputError("no molecules.", allowed="at least one molecule", remedy="check the file and its filters.")
        found = [f"{count} of {total} molecules {problem}" for problem, count in problems.items() if count]
        if found:
            raise InputError(
                f"{'; '.join(found)}.",
                allowed="finite positions in µm, and a name, quality and id where a column for it is used",
                remedy="drop or repair these molecules first.",
            )
        for name, groups in frames.items():
            check_frames(name, [e.box for code, e in groups.items() if code >= 0])
        return extents


def _extend(extents: dict[int, _Extent], chunk: Chunk, codes: np.ndarray) -> None:
    for code in np.unique(codes).tolist():
        rows = codes == code
        extents.setdefault(code, _Extent()).add(chunk.x[rows], chunk.y[rows])


class _Counter:
    """The second pass: everything that is counted, by spot."""

    def __init__(self, stream: _Stream, settings: BinSettings, extents: dict[int, _Extent]) -> None:
        words = stream.words
        self._settings = settings
        self.samples: dict[int, Sample] = {}
        base = 0
        for code, name in sorted(enumerate(words.sample.names), key=lambda item: item[1]):
            extent = extents[code]
            spots = spots_for(settings, name, box=extent.box, centroid=extent.centroid)
            self.samples[code] = Sample(name, spots, sample_mask(settings.mask, name, extent.box), base)
            base += spots.size
        self.n_genes = len(words.gene)
        self.levels = {key: max(len(v), 1) for key, v in words.carry.items()}
        check_size(base, max([self.n_genes, *self.levels.values()]), settings)
        self._corner = {code: e.box[:2] for code, e in extents.items()}
        self.counts, self.controls, self.unassigned = Tally(), Tally(), Tally()
        self.shares = {key: Tally() for key in words.carry}
        self.cells = Tally(3)
        self._control, self._gene = (np.zeros(self.n_genes, dtype=bool) for _ in range(2))
        self.tally = dict.fromkeys(("read", "low_qv", "control", "outside_spots"), 0)

    def add(self, chunk: Chunk) -> None:
        """Count one chunk."""
        good = np.ones(len(chunk.x), bool)
        if chunk.qv is not None and self._settings.min_qv is not None:
            good = chunk.qv >= self._settings.min_qv
        wanted = good & ~chunk.control if self._settings.drop_controls else good
        spot = np.full(len(chunk.x), -1, dtype=np.int64)
        for code in np.unique(chunk.sample).tolist():
            rows = np.flatnonzero((chunk.sample == code) & good)
            sample = self.samples[code]
            here = sample.spots.locate(chunk.x[rows], chunk.y[rows])
            spot[rows] = np.where(here < 0, -1, here + sample.base)
            kept = rows[wanted[rows]]
            sample.mask.add(chunk.x[kept], chunk.y[kept])
        counted = wanted & (spot >= 0)
        self.tally["read"] += len(spot)
        self.tally["low_qv"] += int((~good).sum())
        self.tally["control"] += int((good & ~wanted).sum())
        self.tally["outside_spots"] += int((wanted & (spot < 0)).sum())
        self._control[np.unique(chunk.gene[chunk.control])] = True
        self._gene[np.unique(chunk.gene[~chunk.control])] = True
        self.counts.add(spot[counted] * self.n_genes + chunk.gene[counted])
        self.controls.add(spot[good & chunk.control & (spot >= 0)])
        for key, codes in chunk.carry.items():
            named = counted & (codes >= 0)
            self.shares[key].add(spot[named] * self.levels[key] + codes[named])
        if chunk.cell is not None:
            self.unassigned.add(spot[counted & (chunk.cell < 0)])
            self._add_cells(chunk, chunk.cell, wanted & (chunk.cell >= 0))

    def _add_cells(self, chunk: Chunk, cell: np.ndarray, rows: np.ndarray) -> None:
        corner = np.array([self._corner[c] for c in sorted(self._corner)])[chunk.sample[rows]]
        steps = [
            np.rint((values[rows] - corner[:, axis]) * _CELL_GRAIN).astype(np.int64)
            for axis, values in enumerate((chunk.x, chunk.y))
        ]
        self.cells.add(cell[rows], np.ones(len(corner), np.int64), *steps)

    @property
    def is_control(self) -> np.ndarray:
        """Which names (n_genes,) are those of controls only."""
        return self._control & ~self._gene

    def cells_by_spot(self) -> np.ndarray:
        """Return for every cell whose centroid a spot holds the number of that spot."""
        keys, sums = self.cells.result()
        found = [np.empty(0, np.int64)]
        for code, sample in self.samples.items():
            rows = (keys >> 48) == code
            at = sums[rows, 1:] / sums[rows, :1] / _CELL_GRAIN + np.array(self._corner[code])
            if len(at):
                here = sample.spots.locate(at[:, 0], at[:, 1])
                found.append(here[here >= 0] + sample.base)
        return np.concatenate(found)


def check_size(n_spots: int, n_names: int, settings: BinSettings) -> None:
    """Refuse a lattice whose spots cannot be numbered."""
    if n_spots * max(n_names, 1) >= 2**62:
        raise InputError(
            f"a lattice of {n_spots:.3g} places with pitch={settings.pitch:g} µm.",
            allowed="fewer than 4e18 places × genes",
            remedy="check pitch and microns_per_unit, and positions far away from the rest.",
        )


def bin_tables(tables: list[MoleculeTable], keys: MoleculeKeys, settings: BinSettings) -> Binned:
    """Count the molecules of `tables` in spots.

    Raises
    ------
    InputError
        Positions, names or qualities are missing, or nothing is there.
    """
    stream = _Stream(tables, keys, settings)
    counter = _Counter(stream, settings, stream.survey())
    for chunk in stream.chunks("count molecules"):
        counter.add(chunk)
    words = stream.words
    numbers, counts = counts_matrix(counter.counts, words.gene.ranks())
    seen = np.ones(len(words.gene), bool) if not settings.drop_controls else ~counter.is_control
    by_rank = np.argsort(words.gene.ranks())
    cells = stream.columns.cell
    return Binned(
        samples=list(counter.samples.values()),
        numbers=numbers,
        counts=counts[:, np.flatnonzero(seen[by_rank])],
        genes=[words.gene.names[i] for i in by_rank if seen[i]],
        is_control=None if settings.drop_controls else counter.is_control[by_rank],
        n_control=_at(counter.controls, numbers),
        n_cells=None if cells is None else _occurrences(counter.cells_by_spot(), numbers),
        unassigned=None if cells is None else _at(counter.unassigned, numbers),
        shares={
            key: (sorted(words.carry[key].names), counts_matrix(tally, words.carry[key].ranks(), numbers)[1])
            for key, tally in counter.shares.items()
        },
        molecules=counter.tally,
        qv="not used" if settings.min_qv is None else (stream.columns.qv or "absent"),
    )


def _at(tally: Tally, numbers: np.ndarray) -> np.ndarray:
    keys, sums = tally.result()
    out = np.zeros(len(numbers), dtype=np.int64)
    _, here, there = np.intersect1d(numbers, keys, assume_unique=True, return_indices=True)
    out[here] = sums[there]
    return out


def _occurrences(values: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    tally = Tally()
    tally.add(values)
    return _at(tally, numbers)
