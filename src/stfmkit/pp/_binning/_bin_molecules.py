"""Molecules to spots, in one pass over a stream of chunks where their box is known, and else in two."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from scipy import sparse

from stfmkit._core.errors import InputError
from stfmkit._kernels._counts import CountTable
from stfmkit._kernels._molecules import FIRST
from stfmkit._kernels._runs import Grouping
from stfmkit.pp._binning._binned import Binned
from stfmkit.pp._binning._chunks import read_chunks
from stfmkit.pp._binning._cluster import active_client, run_on_cluster
from stfmkit.pp._binning._counter import Counter, MovedError
from stfmkit.pp._binning._extent import Survey, footer_boxes, refuse_problems, survey_part
from stfmkit.pp._binning._mixed_units import check_units
from stfmkit.pp._binning._one_frame import check_frames
from stfmkit.pp._binning._plan import Plan, make_plan, squares_of
from stfmkit.pp._binning._settings import BinSettings
from stfmkit.pp._binning._source import Source
from stfmkit.pp._binning._workers import Worker, run_parts


def bin_sources(sources: list[Source], ladder: list[BinSettings]) -> list[Binned]:
    """Count the molecules of all sources in the spots of every resolution.

    Raises
    ------
    InputError
        Positions, names or qualities are missing, or nothing is there.
    UnitsError
        Samples are in different units.
    """
    counter = _one_pass(sources, ladder) or _two_passes(sources, ladder)
    check_units(counter.extents)
    for name, groups in counter.frames.items():
        check_frames(name, [extent.box for extent in groups.values()])
    return [_binned(counter, i, sources) for i in range(len(ladder))]


def _one_pass(sources: list[Source], ladder: list[BinSettings]) -> Counter | None:
    """Trust the footers of parquet files for the box, and notice where they are wrong."""
    extents = footer_boxes((s.table, s.columns, s.unit) for s in sources)
    if extents is None or ladder[0].origin == "centroid":
        return None
    try:
        counter = _count(sources, make_plan(ladder, extents, with_frames=len(sources) == 1))
    except MovedError:
        return None
    return counter if all(counter.extents[name].box == extent.box for name, extent in extents.items()) else None


def _two_passes(sources: list[Source], ladder: list[BinSettings]) -> Counter:
    found = Survey()
    for part in _run(sources, _Surveyor, ladder[0], label="survey molecules"):
        found.absorb(part)
    refuse_problems(found.problems, found.n)
    check_units(found.extents)
    try:
        return _count(sources, make_plan(ladder, found.extents, with_frames=len(sources) == 1))
    except MovedError as error:
        raise InputError(
            "molecules that changed while they were read.",
            allowed="the same molecules each time they are read",
            remedy="wait until the file is complete, or persist the dask collection first.",
        ) from error


def _count(sources: list[Source], plan: Plan) -> Counter:
    first, *others = _run(sources, partial(_CountWorker, plan), plan.settings, label="count molecules")
    for other in others:
        first.absorb(other)
    counter = first.unpacked(plan)
    refuse_problems(counter.problems, counter.read)
    return counter


class _Surveyor:
    """Finds the extents of the parts that one thread reads."""

    def __init__(self, settings: BinSettings) -> None:
        self._settings = settings
        self.result = Survey()

    def read(self, source: Source, part: int) -> Iterator[None]:
        size = self._settings.chunk_size
        for found in survey_part(source.table, source.columns, source.unit, part=part, size=size):
            self.result.absorb(found)
            yield


class _CountWorker:
    """Counts the parts that one thread reads."""

    def __init__(self, plan: Plan, settings: BinSettings) -> None:
        self._settings = settings
        self.result = Counter(plan)

    def read(self, source: Source, part: int) -> Iterator[None]:
        words, size = self.result.words, self._settings.chunk_size
        for chunk in read_chunks(source.table, source.columns, words, unit=source.unit, size=size, part=part):
            self.result.add(chunk)
            yield


def _run(sources: list[Source], make: Callable[[BinSettings], Worker], settings: BinSettings, *, label: str) -> list:
    """Read all parts with several workers, here or on a cluster, and return what each of them found."""
    client = active_client()
    if client is not None and all(source.table.frame is not None for source in sources):
        return run_on_cluster(sources, make, settings, client=client)
    return run_parts(sources, make, settings, label=label)


def _binned(counter: Counter, i: int, sources: list[Source]) -> Binned:
    """Put the counts of one resolution in the order of names and spots."""
    plan = counter.plan
    if plan is None:
        raise MovedError
    settings, words = plan.ladder[i], counter.words
    names = words.gene.names
    seen = counter.seen[FIRST : FIRST + 2 * len(names)].reshape(-1, 2)
    kept = np.flatnonzero(seen[:, 0]) if settings.drop_controls else np.arange(len(names))
    kept = np.array(sorted(kept.tolist(), key=names.__getitem__), dtype=np.int64)
    finer = plan.finer[i]
    source, grouping = (i, None) if finer is None else (finer, squares_of(plan, i, finer))
    found = _gene_counts(counter.tables[source], kept, len(names), settings, grouping=grouping)
    numbers, counts, n_control, unassigned = found
    shares = {}
    for key, table in counter.shares[source].items():
        carried = words.carry[key]
        rows, matrix, _ = table.matrix(carried.ranks(), len(carried), grouping=grouping)
        shares[key] = (sorted(carried.names), _with_rows(matrix, rows, numbers))
    cells = sources[0].columns.cell
    samples = plan.samples[i]
    return Binned(
        samples=list(samples.values()),
        numbers=numbers,
        counts=counts,
        genes=[names[g] for g in kept],
        is_control=None if settings.drop_controls else (seen[:, 1] & ~seen[:, 0])[kept],
        n_control=n_control,
        n_cells=None if cells is None else _cells_by_spot(counter, plan, i, numbers),
        unassigned=None if cells is None else unassigned,
        shares=shares,
        molecules={
            "read": counter.read,
            "low_qv": counter.low_qv,
            "control": counter.control,
            "outside_spots": int(counter.outside[i]),
        },
        qv="not used" if settings.min_qv is None else (sources[0].columns.qv or "absent"),
    )


def _gene_counts(
    table: CountTable, kept: np.ndarray, n_names: int, settings: BinSettings, *, grouping: Grouping | None
) -> tuple[np.ndarray, sparse.csr_array, np.ndarray, np.ndarray]:
    """Return the spots (n,), the counts of the names `kept` (n, k), those of controls, and molecules without cell."""
    k = len(kept)
    columns = np.full(FIRST + 2 * n_names, -1, dtype=np.int64)
    columns[FIRST + 2 * kept] = np.arange(k)
    if settings.drop_controls:
        columns[FIRST + 1 :: 2] = k
        columns[0] = k + 1
        numbers, counts, sums = table.matrix(columns, k, grouping=grouping)
        return numbers, counts, sums[:, 0], sums[:, 1]
    columns[FIRST + 2 * kept + 1] = np.arange(k, 2 * k)
    columns[0] = 2 * k
    numbers, both, sums = table.matrix(columns, 2 * k, grouping=grouping)
    controls = both[:, k:]
    return numbers, sparse.csr_array(both[:, :k] + controls), np.asarray(controls.sum(axis=1)), sums[:, 0]


def _with_rows(matrix: sparse.csr_array, rows: np.ndarray, numbers: np.ndarray) -> sparse.csr_array:
    """Return a matrix with a row for each of `numbers`, of which `rows` are some."""
    length = np.zeros(len(numbers) + 1, dtype=np.int64)
    length[np.searchsorted(numbers, rows) + 1] = np.diff(matrix.indptr)
    return sparse.csr_array((matrix.data, matrix.indices, np.cumsum(length)), shape=(len(numbers), matrix.shape[1]))


def _cells_by_spot(counter: Counter, plan: Plan, i: int, numbers: np.ndarray) -> np.ndarray:
    """Return how many cells have their centroid in each spot (n,)."""
    n_cells = np.zeros(len(numbers), dtype=np.int64)
    for name, sample in plan.samples[i].items():
        if name in counter.cells:
            at = counter.cells[name].positions(plan.boxes[name][:2])
            here = sample.spots.number(at[:, 0].copy(), at[:, 1].copy(), unit=1.0, base=sample.base)
            spot, n = np.unique(here[here >= 0], return_counts=True)
            place = np.searchsorted(numbers, spot)
            known = (
                (place < len(numbers)) & (numbers[np.minimum(place, len(numbers) - 1)] == spot) if len(numbers) else []
            )
            n_cells[place[known]] = n[known]
    return n_cells
