"""A table of molecules with what its columns mean."""

from dataclasses import dataclass, replace

from stfmkit.pp._binning._columns import MoleculeColumns, MoleculeKeys, find_columns, molecule_unit
from stfmkit.pp._binning._molecules import MoleculeTable
from stfmkit.pp._binning._settings import BinSettings


@dataclass(frozen=True, eq=False)
class Source:
    """One table of molecules, with its columns and the length of its unit in µm."""

    table: MoleculeTable
    columns: MoleculeColumns
    unit: float

    def bare(self) -> "Source":
        """Return the same without the molecules."""
        return replace(self, table=replace(self.table, parts=(), heads=(), frame=None))


def open_sources(tables: list[MoleculeTable], keys: MoleculeKeys, settings: BinSettings) -> list[Source]:
    """Find the columns and units of all tables."""
    sources = []
    for table in tables:
        here = keys
        if table.element is not None and len(tables) > 1 and keys.sample not in table.names:
            here = replace(keys, sample=None)  # the element is the sample
        columns = find_columns(table.names, here, with_qv=settings.min_qv is not None)
        value = table.microns if settings.microns_per_unit is None else settings.microns_per_unit
        sources.append(Source(table, columns, molecule_unit(columns, value, what=f"the positions of {table.label}")))
    return sources
