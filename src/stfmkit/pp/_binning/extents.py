"""Where the molecules of every sample lie, from footers of parquet files or a pass over positions, and what is odd."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError, UnitsError
from stfmkit.pp._binning.chunks import LARGEST, Vocabulary, check_coordinates, read_coordinates
from stfmkit.pp._binning.columns import MoleculeColumns
from stfmkit.pp._binning.sources import MoleculeTable

Box: TypeAlias = tuple[float, float, float, float]
"""x0, y0, x1, y1."""

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
    only = replace(columns, gene=columns.x, qv=None, cell=None, fov=None, control=None, carry=(), maybe_samples=())
    for batch in table.parts[part](only.needed, size):
        if not batch.num_rows:
            continue
        coords = read_coordinates(batch, table, columns)
        names, codes = Vocabulary(), np.zeros(batch.num_rows, np.int32)
        if columns.sample is None:
            names.code(table.element or "")
        else:
            codes = names.encode(batch.column(columns.sample))
        found = Survey(n=batch.num_rows, problems=check_coordinates(columns, coords, unit)[1])
        found.problems[f"without an id in {columns.sample!r}"] = int(np.count_nonzero(codes < 0))
        if not any(found.problems.values()):
            at = [values.astype(np.float64) * unit for values in coords]
            for code, name in enumerate(names.names):
                rows = slice(None) if len(names) == 1 else codes == code
                found.extents.setdefault(name, Extent()).add(at[0][rows], at[1][rows])
        yield found


def footer_boxes(parts: Iterable[tuple[MoleculeTable, MoleculeColumns, float]]) -> dict[str, Extent] | None:
    """Return the boxes of the samples from the least and largest values in the footers, ``None`` if they do not say."""
    found: dict[str, Extent] = {}
    for table, columns, unit in parts:
        if columns.sample is not None or table.affine is not None or not table.n_rows:
            return None
        extent = found.setdefault(table.element or "", Extent())
        for footer in table.footers:
            place = {footer.schema.column(i).path: i for i in range(footer.num_columns)}
            for group in (footer.row_group(i) for i in range(footer.num_row_groups)):
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


_TIMES_WIDER = 3.0  # the coarsest pixels in use are a third of a µm
_LEAST_MOLECULES = 1000  # so many molecules tell a density
_MOST_GROUPS = 3000


def check_units(extents: Mapping[str, Extent]) -> None:
    """Refuse samples of which some are several times wider than all others, and sparser by the square of that.

    A larger section alone is as dense as the others, and a sparser one as large; a change of the unit is both at once.

    Raises
    ------
    UnitsError
        There are two such groups of samples.
    """
    side, density, names = [], [], []
    for name, extent in extents.items():
        x0, y0, x1, y1 = extent.box
        area = (x1 - x0) * (y1 - y0)
        if extent.n >= _LEAST_MOLECULES and area > 0:
            side.append(area**0.5)
            density.append(extent.n / area)
            names.append(name)
    if len(names) < 2:
        return
    order = np.argsort(side, kind="stable")
    sides, densities = np.array(side)[order], np.array(density)[order]
    steps = sides[1:] / sides[:-1]
    cut = int(steps.argmax()) + 1
    if steps[cut - 1] < _TIMES_WIDER or densities[:cut].min() < _TIMES_WIDER**2 * densities[cut:].max():
        return
    wide = [names[i] for i in order[cut:]]
    raise UnitsError(
        f"samples {listed(sorted(wide), most=5)} {steps[cut - 1]:.3g} times as wide as any other, "
        f"and {densities[:cut].min() / densities[cut:].max():.3g} times as sparse.",
        allowed="one unit for all samples",
        remedy="bring the positions to one unit (µm and pixels look mixed), or bin these samples on their own, with "
        "their own microns_per_unit.",
    )


def check_overlap(name: str, boxes: Sequence[Box]) -> None:
    """Refuse groups of molecules whose boxes (x0, y0, x1, y1) overlap like samples that lie upon each other.

    Fields of view overlap a little at their seams, so they need more evidence than samples.
    """
    if not 2 <= len(boxes) <= _MOST_GROUPS:
        return
    box = np.asarray(boxes)
    low = np.maximum(box[:, None, :2], box[None, :, :2])
    high = np.minimum(box[:, None, 2:], box[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    area = (box[:, 2:] - box[:, :2]).prod(axis=1)
    smaller = np.minimum(area[:, None], area[None, :])
    np.fill_diagonal(shared, 0.0)
    limit = 0.5 if "fov" in name.casefold() else 0.2
    if (shared > limit * smaller).any():
        raise InputError(
            f"no sample_key, and the {len(boxes)} groups of the column {name!r} overlap in space.",
            allowed="one sample in one coordinate system",
            remedy=f"pass sample_key={name!r} (or the column that tells the samples apart).",
        )
