"""Read the partitions of dask collections on a `distributed` cluster."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from stfmkit.pp._binning._molecules import frame_table
from stfmkit.pp._binning._settings import BinSettings
from stfmkit.pp._binning._source import Source
from stfmkit.pp._binning._workers import Worker

_TOGETHER = 8


def active_client() -> Any:
    """Return the client of the cluster that is in use, or ``None``."""
    module = sys.modules.get("distributed")
    if module is None:
        return None
    try:
        return module.get_client()
    except ValueError:  # there is none
        return None


def run_on_cluster(
    sources: Sequence[Source], make: Callable[[BinSettings], Worker], settings: BinSettings, *, client: Any
) -> list[Any]:
    """Read every partition of every source where it is, and return one result for all of them."""
    from dask import delayed

    maker, options = delayed(make, traverse=False), delayed(settings, traverse=False)
    read, combine = delayed(_read_partition, pure=False), delayed(_combine, pure=False)
    found = [
        read(partition, source.bare(), maker, options)
        for source in sources
        for partition in source.table.frame[source.columns.needed].to_delayed()
    ]
    while len(found) > 1:
        found = [combine(found[i : i + _TOGETHER]) for i in range(0, len(found), _TOGETHER)]
    return [client.compute(part).result() for part in found]


def _read_partition(frame: Any, source: Source, make: Callable[[BinSettings], Worker], settings: BinSettings) -> Any:
    table = frame_table(frame, like=source.table)
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
