"""Molecules to counts by spot: one pass over chunks where their box is known, else two; in threads or on a cluster."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from threading import Event, Lock
from typing import Any, Protocol

import numpy as np
from scipy import sparse

from stfmkit._core.errors import InputError
from stfmkit._core.progress import progress
from stfmkit._kernels._counts import CountTable
from stfmkit._kernels._molecules import FIRST
from stfmkit._kernels._runs import Grouping
from stfmkit.pp._binning.chunks import read_chunks
from stfmkit.pp._binning.counter import Counter, OutsideBoxError
from stfmkit.pp._binning.extents import (
    Survey,
    check_overlap,
    check_units,
    footer_boxes,
    refuse_problems,
    survey_part,
)
from stfmkit.pp._binning.output import Binned
from stfmkit.pp._binning.plan import BinSettings, Plan, make_plan, squares_of
from stfmkit.pp._binning.sources import Source, partition_table
from stfmkit.pp._grids import Grid

_MOST_THREADS = 4
"""Each thread holds a chunk and a table of counts."""

_PARTS_TOGETHER = 8
"""Results that one task of a cluster puts together."""


def bin_sources(sources: list[Source], settings: BinSettings, grids: tuple[Grid, ...]) -> list[Binned]:
    """Count the molecules of all sources in the spots of every grid.

    Raises
    ------
    InputError
        Positions, names or qualities are missing, or nothing is there.
    UnitsError
        Samples are in different units.
    """
    counter = _one_pass(sources, settings, grids) or _two_passes(sources, settings, grids)
    check_units(counter.extents)
    for name, groups in counter.maybe_samples.items():
        check_overlap(name, [extent.box for extent in groups.values()])
    return [_binned(counter, i, sources) for i in range(len(grids))]


def _one_pass(sources: list[Source], settings: BinSettings, grids: tuple[Grid, ...]) -> Counter | None:
    """Trust the footers of parquet files for the box, and notice where they are wrong."""
    extents = footer_boxes((s.table, s.columns, s.unit) for s in sources)
    if extents is None or any(grid.origin == "centroid" for grid in grids):
        return None
    try:
        counter = _count(sources, make_plan(settings, grids, extents, check_overlap=len(sources) == 1))
    except OutsideBoxError:
        return None
    return counter if all(counter.extents[name].box == extent.box for name, extent in extents.items()) else None


def _two_passes(sources: list[Source], settings: BinSettings, grids: tuple[Grid, ...]) -> Counter:
    found = Survey()
    for part in _run(sources, _Surveyor, settings, label="survey molecules"):
        found.absorb(part)
    refuse_problems(found.problems, found.n)
    check_units(found.extents)
    try:
        return _count(sources, make_plan(settings, grids, found.extents, check_overlap=len(sources) == 1))
    except OutsideBoxError as error:
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


class Worker(Protocol):
    """Reads parts one after the other, and keeps one result for all of them."""

    result: Any

    def read(self, source: Any, part: int) -> Iterator[None]:
        """Read one part of a source, giving control back after every chunk."""
        ...


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
        vocabularies, size = self.result.vocabularies, self._settings.chunk_size
        for chunk in read_chunks(source.table, source.columns, vocabularies, unit=source.unit, size=size, part=part):
            self.result.add(chunk)
            yield


def _run(sources: list[Source], make: Callable[[BinSettings], Worker], settings: BinSettings, *, label: str) -> list:
    """Read all parts with several workers, here or on a cluster, and return what each of them found."""
    client = _active_client()
    if client is not None and all(source.table.dask_frame is not None for source in sources):
        return _run_on_cluster(sources, make, settings, client=client)
    return _run_in_threads(sources, make, settings, label=label)


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run_in_threads(
    sources: Sequence[Any], make: Callable[[BinSettings], Worker], settings: BinSettings, *, label: str
) -> list[Any]:
    """Read every part of every source once, and return the results of the workers."""
    jobs = [(source, part) for source in sources for part in range(len(source.table.parts))]
    n_workers = max(1, min(_MOST_THREADS, _cores(), len(jobs)))
    pending, lock, stop = iter(jobs), Lock(), Event()
    done: SimpleQueue[str] = SimpleQueue()

    def work(worker: Worker) -> Any:
        try:
            while not stop.is_set():
                with lock:
                    job = next(pending, None)
                if job is None:
                    break
                for _ in worker.read(*job):
                    if stop.is_set():
                        break
                done.put("part")
        finally:
            done.put("worker")
        return worker.result

    def finished() -> Iterator[None]:
        left = n_workers
        while left:
            if done.get() == "part":
                yield
            else:
                left -= 1

    workers = [make(settings) for _ in range(n_workers)]
    if n_workers == 1:
        worker = workers[0]
        for source, part in progress(jobs, label=label, total=len(jobs), unit="part", show=settings.show_progress):
            for _ in worker.read(source, part):
                pass
        return [worker.result]
    with ThreadPoolExecutor(n_workers, thread_name_prefix="stfmkit-bin") as pool:
        futures = [pool.submit(work, worker) for worker in workers]
        try:
            for _ in progress(finished(), label=label, total=len(jobs), unit="part", show=settings.show_progress):
                if any(f.done() and f.exception() is not None for f in futures):
                    stop.set()
        finally:
            stop.set()
        return [future.result() for future in futures]


def _active_client() -> Any:
    """Return the client of the cluster that is in use, or ``None``."""
    module = sys.modules.get("distributed")
    if module is None:
        return None
    try:
        return module.get_client()
    except ValueError:  # there is none
        return None


def _run_on_cluster(
    sources: Sequence[Source], make: Callable[[BinSettings], Worker], settings: BinSettings, *, client: Any
) -> list[Any]:
    """Read every partition of every source where it is, and return one result for all of them."""
    from dask import delayed

    maker, options = delayed(make, traverse=False), delayed(settings, traverse=False)
    read, combine = delayed(_read_partition, pure=False), delayed(_combine, pure=False)
    found = [
        read(partition, source.without_data(), maker, options)
        for source in sources
        for partition in source.table.dask_frame[source.columns.needed].to_delayed()
    ]
    while len(found) > 1:
        found = [combine(found[i : i + _PARTS_TOGETHER]) for i in range(0, len(found), _PARTS_TOGETHER)]
    return [client.compute(part).result() for part in found]


def _read_partition(frame: Any, source: Source, make: Callable[[BinSettings], Worker], settings: BinSettings) -> Any:
    table = partition_table(frame, like=source.table)
    worker = make(settings)
    for part in range(len(table.parts)):
        for _ in worker.read(Source(table, source.columns, source.unit), part):
            pass
    return worker.result.packed()


def _combine(parts: list[Any]) -> Any:
    first, *others = parts
    for other in others:
        first.absorb(other)
    return first


def _binned(counter: Counter, i: int, sources: list[Source]) -> Binned:
    """Put the counts of one grid in the order of names and spots."""
    plan = counter.plan
    if plan is None:
        raise OutsideBoxError
    settings, vocabularies = plan.settings, counter.vocabularies
    names = vocabularies.gene.names
    seen = counter.seen[FIRST : FIRST + 2 * len(names)].reshape(-1, 2)
    kept = np.flatnonzero(seen[:, 0]) if settings.drop_controls else np.arange(len(names))
    kept = np.array(sorted(kept.tolist(), key=names.__getitem__), dtype=np.int64)
    finer = plan.summed_from[i]
    source, grouping = (i, None) if finer is None else (finer, squares_of(plan, i, finer))
    found = _gene_counts(counter.tables[source], kept, len(names), settings, grouping=grouping)
    numbers, counts, n_control, unassigned = found
    shares = {}
    for key, table in counter.shares[source].items():
        carried = vocabularies.carry[key]
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
        qv=None if settings.min_qv is None else sources[0].columns.qv,
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
