"""Tables of molecules, whatever holds them, as a stream of record batches, with what their columns mean."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from stfmkit._core.arguments import check_known, listed, nearest
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
from stfmkit._core.slots import MICRONS, ROOT
from stfmkit._data.view import is_spatialdata
from stfmkit.pp._binning.columns import (
    MoleculeColumns,
    MoleculeKeys,
    find_columns,
    has_molecule_columns,
    molecule_unit,
)

if TYPE_CHECKING:
    from spatialdata import SpatialData


Reader: TypeAlias = Callable[[list[str], int], Iterator[pa.RecordBatch]]

_PART = 1 << 20


@dataclass(frozen=True, eq=False)
class MoleculeTable:
    """One table of molecules that can be read again and again in parts.

    Attributes
    ----------
    label
        What it is, for errors.
    names
        Its columns.
    parts
        Each reads the columns named of one part, as record batches of at most so many rows.
    n_rows
        Number of rows, if known without reading.
    affine
        Matrix (3, 3) to apply to x and y before anything else, or ``None``.
    element
        Name of the points element that it comes from, or ``None``.
    microns
        The length of one unit after `affine` in µm, where the container says so.
    footers
        Footers of the parquet files.
    dask_frame
        The dask DataFrame, if it is one.
    """

    label: str
    names: tuple[str, ...]
    parts: Sequence["Reader"]
    n_rows: int | None
    affine: np.ndarray | None = None
    element: str | None = None
    microns: float | None = None
    footers: Sequence[pq.FileMetaData] = ()
    dask_frame: Any = None

    def open(self, columns: list[str], size: int) -> Iterator[pa.RecordBatch]:
        """Read the columns named of all parts, as record batches of at most so many rows."""
        for part in self.parts:
            yield from part(columns, size)


@dataclass(frozen=True, eq=False)
class Source:
    """One table of molecules, with its columns and the length of its unit in µm."""

    table: MoleculeTable
    columns: MoleculeColumns
    unit: float

    def without_data(self) -> "Source":
        """Return the same without the molecules, small enough to be sent."""
        return replace(self, table=replace(self.table, parts=(), footers=(), dask_frame=None))


def open_sources(
    tables: Sequence[MoleculeTable], keys: MoleculeKeys, *, with_qv: bool, microns_per_unit: float | None
) -> list[Source]:
    """Find the columns and units of all tables.

    Parameters
    ----------
    keys
        Names of columns that the caller gave.
    with_qv
        Whether the quality is read.
    microns_per_unit
        Length of one unit in µm; by default what the container or the platform states.
    """
    sources = []
    for table in tables:
        own_keys = keys
        if table.element is not None and len(tables) > 1 and keys.sample not in table.names:
            own_keys = replace(keys, sample=None)  # the element is the sample
        columns = find_columns(table.names, own_keys, with_qv=with_qv)
        value = table.microns if microns_per_unit is None else microns_per_unit
        sources.append(Source(table, columns, molecule_unit(columns, value, what=f"the positions of {table.label}")))
    return sources


def open_molecules(
    data: Any,
    *,
    points_key: str | Sequence[str] | None = None,
    coordinate_system: str | None = None,
    sample_key: str | None = None,
) -> list[MoleculeTable]:
    """Open `data`, without reading molecules: one table, or one for each points element.

    Raises
    ------
    InputTypeError
        `data` is nothing that holds molecules.
    InputError
        A file cannot be read, or the points element is not determined.
    """
    if is_spatialdata(data):
        return _spatialdata(data, points_key=points_key, coordinate_system=coordinate_system, sample_key=sample_key)
    for name, value in (("points_key", points_key), ("coordinate_system", coordinate_system)):
        if value is not None:
            raise InputError(
                f"{name}={value!r} with {type(data).__name__}.",
                allowed=f"{name} with SpatialData only",
                remedy=f"leave {name} out.",
            )
    if isinstance(data, str | Path):
        return [_parquet(Path(data))]
    if isinstance(data, pd.DataFrame):
        return [_pandas(data)]
    if isinstance(data, pa.Table):
        return [_arrow(data)]
    if _is_dask(data):
        return [_dask(data, label="a dask DataFrame")]
    raise InputTypeError(
        f"data of type {type(data).__name__}.",
        allowed="SpatialData, AnnData, a pandas or dask DataFrame, a pyarrow Table, or the path of a parquet file",
        remedy="read other formats with sk.io.read(path) or pandas first.",
    )


def _is_dask(data: object) -> bool:
    module = sys.modules.get("dask.dataframe")
    return module is not None and isinstance(data, module.DataFrame)


def _batches(frame: pd.DataFrame, columns: list[str], size: int) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(frame), size):
        part = frame.iloc[start : start + size][columns]
        try:
            batch = pa.RecordBatch.from_pandas(part, preserve_index=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise InputError(
                f"a column of mixed types ({error.args[0]}).",
                allowed="numbers or text, one type for each column",
                remedy="convert the column, for example with .astype(str) or pd.to_numeric.",
            ) from error
        yield batch


def _check_unique(names: Sequence[object]) -> tuple[str, ...]:
    index = pd.Index([str(n) for n in names])
    if not index.is_unique:
        raise InputError(
            f"several columns named {listed(index[index.duplicated()].unique(), most=5)}.",
            allowed="unique column names",
            remedy="rename or drop the duplicates.",
        )
    return tuple(index)


def _pandas(data: pd.DataFrame) -> MoleculeTable:
    names = _check_unique(list(data.columns))
    parts = [partial(_batches, data.iloc[start : start + _PART]) for start in range(0, len(data), _PART)]
    return MoleculeTable("a DataFrame", names, parts, len(data))


def partition_table(data: pd.DataFrame, *, like: MoleculeTable) -> MoleculeTable:
    """Return one partition of a dask DataFrame as a table of its own."""
    return replace(like, parts=_pandas(data).parts, n_rows=len(data), dask_frame=None)


def _arrow(data: pa.Table) -> MoleculeTable:
    names = _check_unique(data.column_names)

    def read(start: int, columns: list[str], size: int) -> Iterator[pa.RecordBatch]:
        return iter(data.slice(start, _PART).select(columns).to_batches(max_chunksize=size))

    parts = [partial(read, start) for start in range(0, data.num_rows, _PART)]
    return MoleculeTable("a pyarrow Table", names, parts, data.num_rows)


def _dask(data: Any, *, label: str, **more: Any) -> MoleculeTable:
    names = _check_unique(list(data.columns))
    file = _file_behind(data)
    if file is not None:  # read by row group, with the footers' boxes
        table = _parquet(file)
        if set(names) <= set(table.names):
            return replace(table, label=label, names=names, dask_frame=data, **more)

    def read(number: int, columns: list[str], size: int) -> Iterator[pa.RecordBatch]:
        yield from _batches(_computed(data, columns, number), columns, size)

    parts = [partial(read, number) for number in range(data.npartitions)]
    return MoleculeTable(label, names, parts, None, dask_frame=data, **more)


_PLANNING = Lock()
"""Held while dask plans a computation: two plans in two threads can wait for each other for ever (Python < 3.12)."""


def _computed(data: Any, columns: list[str], number: int) -> pd.DataFrame:
    """Return a partition, planned by one thread at a time and computed in this one."""
    import dask

    with _PLANNING:
        part = data[columns].partitions[number].optimize()
        graph, keys = dict(part.__dask_graph__()), part.__dask_keys__()
    (frame,) = dask.get(graph, keys)
    return cast("pd.DataFrame", frame)


def _file_behind(data: Any) -> Path | None:
    """Return the file or folder of parquet that a dask DataFrame shows as it is, if it does nothing else."""
    expression: Any = getattr(data, "expr", None)
    options = getattr(expression, "_parameters", ())
    if not type(expression).__name__.startswith("ReadParquet") or not {"path", "filters"} <= set(options):
        return None
    path, filters = expression.operand("path"), expression.operand("filters")
    if filters or not isinstance(path, str | Path) or not Path(path).exists():
        return None
    return Path(path)


def _parquet(path: Path) -> MoleculeTable:
    if not path.exists():
        raise InputError(f"no file {str(path)!r}.", allowed="the path of a parquet file", remedy="check the path.")
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise InputError(
            f"a folder without parquet files: {str(path)!r}.",
            allowed="a parquet file, or a folder of them",
            remedy="pass the file; read other formats with sk.io.read(path).",
        )
    footers: list[pq.FileMetaData] = []
    parts: list[Reader] = []
    names: tuple[str, ...] | None = None
    for file in files:
        try:
            with pq.ParquetFile(file) as table:
                schema, footer = table.schema_arrow, table.metadata
        except (pa.ArrowInvalid, OSError) as error:
            raise _unreadable(file, error) from error
        here = _check_unique(schema.names)
        names = here if names is None else tuple(n for n in names if n in here)
        text = [f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_binary(f.type)]
        footers.append(footer)
        parts += [partial(_row_group, (file, footer, number), text) for number in range(footer.num_row_groups)]
    return MoleculeTable(str(path), names or (), parts, sum(footer.num_rows for footer in footers), footers=footers)


def _row_group(
    place: tuple[Path, pq.FileMetaData, int], text: list[str], columns: list[str], size: int
) -> Iterator[pa.RecordBatch]:
    """Read one row group; text comes as codes and distinct values, as the file stores it."""
    file, footer, number = place
    codes = [name for name in text if name in columns]
    try:
        with pq.ParquetFile(file, metadata=footer, read_dictionary=codes, page_checksum_verification=True) as table:
            yield from table.iter_batches(size, row_groups=[number], columns=columns, use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise _unreadable(file, error) from error


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{str(path)!r} cannot be read as parquet ({error}).",
        allowed="a complete parquet file",
        remedy="the file may be truncated, corrupt or of another format: copy or download it again.",
    )


def _spatialdata(
    data: "SpatialData",
    *,
    points_key: str | Sequence[str] | None,
    coordinate_system: str | None,
    sample_key: str | None,
) -> list[MoleculeTable]:
    from spatialdata.transformations import get_transformation

    known = list(data.points)
    if points_key is None:
        chosen = [k for k in known if has_molecule_columns(list(data.points[k].columns))]
    else:
        chosen = [points_key] if isinstance(points_key, str) else list(points_key)
    for key in chosen:
        check_known(key, known, what="points element", remedy="pass one of these as points_key.")
    if not chosen:
        raise InputError(
            f"a SpatialData with the points {listed(known)}, none with positions and genes of known names.",
            allowed="points that hold molecules, or a table of cells",
            remedy="pass points_key= and columns={'gene': ...}, or table_key= to bin cells.",
        )
    if len(chosen) > 1 and sample_key is None:
        raise InputError(
            f"the points {listed(chosen)}, and no sample_key.",
            allowed="one points element, or several as samples",
            remedy="pass points_key= to take one, or sample_key= to take each as a sample (a column of the points, or "
            "the name of a new column for the names of the elements).",
        )
    own, of_tables = _declared_microns(data)
    tables = []
    for key in chosen:
        systems = get_transformation(data.points[key], get_all=True)
        system = _one_system(key, list(systems), coordinate_system)
        matrix = np.asarray(systems[system].to_affine_matrix(("x", "y"), ("x", "y")))
        affine = None if np.array_equal(matrix, np.eye(3)) else matrix
        # the unit of a table holds for points that lie where they were written, not where they were scaled to
        microns = of_tables if own is None and affine is None else own
        tables.append(_dask(data.points[key], label=f"points {key!r}", affine=affine, element=key, microns=microns))
    return tables


def _one_system(element: str, known: list[str], wanted: str | None) -> str:
    if wanted is None and len(known) == 1:
        return known[0]
    if wanted is None:
        raise InputError(
            f"points {element!r} in the coordinate systems {listed(known)}.",
            allowed="one coordinate system",
            remedy="pass coordinate_system=, best the one in µm.",
        )
    if wanted not in known:
        raise MissingKeyError(
            f"no coordinate system {wanted!r} for points {element!r}.",
            allowed=listed(known),
            remedy=f"pass one of these as coordinate_system.{nearest(wanted, known)}",
        )
    return wanted


def _declared_microns(data: "SpatialData") -> tuple[float | None, float | None]:
    """Return the unit in the attrs of the SpatialData, and the unit on which its tables agree."""
    own = data.attrs.get(ROOT, {}).get(MICRONS)
    units = {float(t.uns.get(ROOT, {}).get(MICRONS, np.nan)) for t in data.tables.values()}
    agreed = units.pop() if len(units) == 1 else np.nan
    return None if own is None else float(own), None if np.isnan(agreed) else agreed
