"""Where the molecules of every sample lie: from the footers of parquet files, or from one pass over positions."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from stfmkit._core.errors import InputError
from stfmkit.pp._binning._chunks import LARGEST, Vocabulary, check_places, read_places
from stfmkit.pp._binning._columns import MoleculeColumns
from stfmkit.pp._binning._molecules import MoleculeTable
from stfmkit.pp._binning._settings import Box

_NM = 1024.0
_STEP = 1 << 20


@dataclass(eq=False)
class Extent:
    """Box and centroid of positions, exact whatever the order."""

    box: Box = (np.inf, np.inf, -np.inf, -np.inf)
    n: int = 0
    sums: list[int] = field(default_factory=lambda: [0, 0])  # whole numbers, so that chunks do not matter

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        """Take in positions (n,) in µm."""
        self.widen((float(x.min()), float(y.min()), float(x.max()), float(y.max())))
        self.n += len(x)
        for axis, values in enumerate((x, y)):
            for start in range(0, len(values), _STEP):  # so that a sum never leaves 64 bits
                self.sums[axis] += int(np.rint(values[start : start + _STEP] * _NM).astype(np.int64).sum())

    def widen(self, box: Box) -> None:
        """Take in a box (x0, y0, x1, y1)."""
        low = (min(a, b) + 0.0 for a, b in zip(self.box[:2], box[:2], strict=True))  # without negative zeros
        high = (max(a, b) + 0.0 for a, b in zip(self.box[2:], box[2:], strict=True))
        self.box = (*low, *high)  # type: ignore[assignment]

    def absorb(self, other: "Extent") -> None:
        """Take in all that another extent has."""
        self.widen(other.box)
        self.n += other.n
        self.sums = [a + b for a, b in zip(self.sums, other.sums, strict=True)]

    @property
    def centroid(self) -> tuple[float, float]:
        """Mean position."""
        return self.sums[0] / self.n / _NM, self.sums[1] / self.n / _NM


@dataclass(eq=False)
class Survey:
    """Extents by sample, and what is wrong with the positions."""

    extents: dict[str, Extent] = field(default_factory=dict)
    problems: dict[str, int] = field(default_factory=dict)
    n: int = 0

    def absorb(self, other: "Survey") -> None:
        """Take in what another survey found."""
        self.n += other.n
        for name, extent in other.extents.items():
            self.extents.setdefault(name, Extent()).absorb(extent)
        add_problems(self.problems, other.problems)

    def packed(self) -> "Survey":
        """Return the survey, which is small to send."""
        return self


def add_problems(problems: dict[str, int], more: dict[str, int]) -> None:
    """Add up counts of problems."""
    for problem, count in more.items():
        problems[problem] = problems.get(problem, 0) + count


def refuse_problems(problems: dict[str, int], n: int) -> None:
    """Raise what is wrong with `n` molecules, if anything is."""
    if not n:
        raise InputError("no molecules.", allowed="at least one molecule", remedy="check the file and its filters.")
    found = [f"{count} of {n} molecules {problem}" for problem, count in problems.items() if count]
    if found:
        raise InputError(
            f"{'; '.join(found)}.",
            allowed="finite positions in µm, and a name, quality and id where a column for it is used",
            remedy="drop or repair these molecules first.",
        )


def survey_part(
    table: MoleculeTable, columns: MoleculeColumns, unit: float, *, part: int, size: int
) -> Iterator[Survey]:
    """Read the positions of one part of a table, in chunks."""
    only = replace(columns, gene=columns.x, qv=None, cell=None, fov=None, control=None, carry=(), frames=())
    for batch in table.parts[part](only.needed, size):
        if not batch.num_rows:
            continue
        places = read_places(batch, table, columns)
        words, codes = Vocabulary(), np.zeros(batch.num_rows, np.int32)
        if columns.sample is None:
            words.code(table.element or "")
        else:
            codes = words.encode(batch.column(columns.sample))
        found = Survey(n=batch.num_rows, problems=check_places(columns, places, unit)[1])
        found.problems[f"without an id in {columns.sample!r}"] = int(np.count_nonzero(codes < 0))
        if not any(found.problems.values()):
            at = [values.astype(np.float64) * unit for values in places]
            for code, name in enumerate(words.names):
                rows = slice(None) if len(words) == 1 else codes == code
                found.extents.setdefault(name, Extent()).add(at[0][rows], at[1][rows])
        yield found


def footer_boxes(parts: Iterable[tuple[MoleculeTable, MoleculeColumns, float]]) -> dict[str, Extent] | None:
    """Return the boxes of the samples from the least and largest values in the footers, ``None`` if they do not say."""
    found: dict[str, Extent] = {}
    for table, columns, unit in parts:
        if columns.sample is not None or table.affine is not None or not table.n_rows:
            return None
        extent = found.setdefault(table.element or "", Extent())
        for head in table.heads:
            place = {head.schema.column(i).path: i for i in range(head.num_columns)}
            for group in (head.row_group(i) for i in range(head.num_row_groups)):
                stats = [group.column(place[name]).statistics for name in (columns.x, columns.y)]
                if not group.num_rows:
                    continue
                if any(s is None or not s.has_min_max or isinstance(s.min, str | bytes | bool) for s in stats):
                    return None
                low, high = (
                    [float(v) * unit for v in values] for values in zip(*((s.min, s.max) for s in stats), strict=True)
                )
                extent.widen((*low, *high))  # type: ignore[arg-type]
        if not np.abs(extent.box).max() <= LARGEST:
            return None
    return found or None
