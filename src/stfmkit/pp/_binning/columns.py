"""Which column is what: the names that the platforms write, or the keys that the user gives."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from stfmkit._core.arguments import check_choice, check_positive, listed, nearest
from stfmkit._core.errors import InputError, MissingKeyError, UnitsError
from stfmkit._data.coordinates import SAMPLE_WORDS
from stfmkit.pp._controls import CATEGORY_COLUMNS

_POSITIONS: tuple[tuple[str, str, float | None], ...] = (
    ("x_location", "y_location", 1.0),  # Xenium, µm by definition
    ("global_x", "global_y", 1.0),  # MERSCOPE, µm by definition
    ("x_global_px", "y_global_px", None),  # CosMx, pixels
    ("x", "y", None),
)
_GENES = ("feature_name", "target", "gene")
_CELLS = ("cell_id", "cell_ID")
_QUALITY = ("qv",)


ROLES = ("x", "y", "gene", "qv", "cell")
"""What the argument `columns` of `bin` names."""


@dataclass(frozen=True)
class MoleculeColumns:
    """Names of the columns of a table of molecules; None where there is none.

    `maybe_samples` are columns whose names speak of samples, read to notice samples that lie upon each other; `microns`
    is the unit of x and y where the platform defines it.
    """

    x: str
    y: str
    gene: str
    qv: str | None
    cell: str | None
    fov: str | None
    sample: str | None
    control: str | None
    carry: tuple[str, ...]
    maybe_samples: tuple[str, ...]
    microns: float | None

    @property
    def needed(self) -> list[str]:
        """All columns to read, each once."""
        single = (self.x, self.y, self.gene, self.qv, self.cell, self.fov, self.sample, self.control)
        return list(dict.fromkeys([c for c in single if c is not None] + [*self.carry, *self.maybe_samples]))


@dataclass(frozen=True)
class MoleculeKeys:
    """The names of columns that the caller gave; None asks for recognition."""

    x: str | None = None
    y: str | None = None
    gene: str | None = None
    qv: str | None = None
    cell: str | None = None
    sample: str | None = None
    control: str | None = None
    carry: tuple[str, ...] = ()


def as_keys(
    columns: Mapping[str, str] | None, *, sample_key: str | None, control_key: str | None, carry: tuple[str, ...]
) -> MoleculeKeys:
    """Return the names of columns that the caller gave.

    Raises
    ------
    InputError
        `columns` names something else than a position, gene, quality or cell.
    """
    given = dict(columns or {})
    for role in given:
        check_choice(role, ROLES, name="a key of columns")
    return MoleculeKeys(**given, sample=sample_key, control=control_key, carry=carry)


def find_columns(names: Collection[str], keys: MoleculeKeys, *, with_qv: bool) -> MoleculeColumns:
    """Find the columns of a table of molecules among its column `names`.

    Raises
    ------
    MissingKeyError
        A key that was given is not there, or a needed column is not recognised.
    InputError
        Several columns could be meant.
    """
    for role in ROLES:
        _check_there(getattr(keys, role), names, argument=f"columns[{role!r}]")
    for role in ("sample", "control"):
        _check_there(getattr(keys, role), names, argument=f"{role}_key")
    for key in keys.carry:
        _check_there(key, names, argument="carry")
    x, y, microns = _positions(names, keys)
    gene = keys.gene or _one_of(_GENES, names, role="gene")
    if gene is None:
        raise _not_recognised("the gene of a molecule", _GENES, names, "gene")
    cell = keys.cell or _one_of(_CELLS, names, role="cell")
    control = keys.control or next((c for c in CATEGORY_COLUMNS if c in names), None)
    # fields of view have coordinates of their own where these are not said to be global
    words = SAMPLE_WORDS if x in {"x_location", "global_x", "x_global_px"} else (*SAMPLE_WORDS, "fov")
    maybe_samples = () if keys.sample is not None else tuple(n for n in names if any(w in n.casefold() for w in words))
    return MoleculeColumns(
        x=x,
        y=y,
        gene=gene,
        qv=(keys.qv or _one_of(_QUALITY, names, role="qv")) if with_qv else None,
        cell=cell,
        fov="fov" if cell == "cell_ID" and "fov" in names else None,  # CosMx counts cells anew in every field of view
        sample=keys.sample,
        control=control,
        carry=keys.carry,
        maybe_samples=maybe_samples,
        microns=microns,
    )


def has_molecule_columns(names: Collection[str]) -> bool:
    """Tell whether a table with these column names looks like molecules."""
    return any(x in names and y in names for x, y, _ in _POSITIONS) and any(g in names for g in _GENES)


def molecule_unit(columns: MoleculeColumns, value: float | None, *, what: str) -> float:
    """Return the length of one unit of the positions in µm, given or known by definition of the platform.

    Raises
    ------
    UnitsError
        The unit is not known.
    """
    if value is None:
        value = columns.microns
    if value is None:
        raise UnitsError(
            f"{what} in {columns.x!r} and {columns.y!r}, of unknown unit.",
            allowed="Xenium's x_location/y_location and MERSCOPE's global_x/global_y (µm), or a known unit",
            remedy="pass microns_per_unit=: 1.0 for µm, the pixel size for pixels.",
        )
    check_positive(value, name="microns_per_unit")
    return float(value)


def _positions(names: Collection[str], keys: MoleculeKeys) -> tuple[str, str, float | None]:
    if (keys.x is None) != (keys.y is None):
        raise InputError(
            f"columns with x={keys.x!r} and y={keys.y!r}.", allowed="both or neither", remedy="pass the other one, too."
        )
    if keys.x is not None and keys.y is not None:
        known = next((m for x, y, m in _POSITIONS if (x, y) == (keys.x, keys.y)), None)
        return keys.x, keys.y, known
    for x, y, microns in _POSITIONS:
        if x in names and y in names:
            return x, y, microns
    raise _not_recognised("the position of a molecule", [f"{x}/{y}" for x, y, _ in _POSITIONS], names, "x", "y")


def _one_of(candidates: Sequence[str], names: Collection[str], *, role: str) -> str | None:
    present = [c for c in candidates if c in names]
    if len(present) > 1:
        raise InputError(
            f"the columns {listed(present)}.", allowed="one of them", remedy=f"say which: columns={{{role!r}: ...}}."
        )
    return present[0] if present else None


def _check_there(key: str | None, names: Collection[str], *, argument: str) -> None:
    if key is not None and key not in names:
        raise MissingKeyError(
            f"{argument}={key!r}, but there is no such column.",
            allowed=listed(names),
            remedy=f"pass the name of a column.{nearest(key, list(names))}",
        )


def _not_recognised(what: str, known: Sequence[str], names: Collection[str], *roles: str) -> MissingKeyError:
    pairs = ", ".join(f"{role!r}: ..." for role in roles)
    return MissingKeyError(
        f"no column that is known to hold {what} among {listed(names)}.",
        allowed=f"a column named {listed(known)}, or any column named in columns",
        remedy=f"pass columns={{{pairs}}}.",
    )
