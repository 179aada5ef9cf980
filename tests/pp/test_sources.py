"""Columns are recognised, and every container gives the same molecules."""

from pathlib import Path

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError, UnitsError
from stfmkit.pp._binning.chunks import Vocabularies, Vocabulary, read_chunks
from stfmkit.pp._binning.columns import MoleculeKeys, find_columns, molecule_unit
from stfmkit.pp._binning.sources import open_molecules

XENIUM = ("transcript_id", "cell_id", "feature_name", "x_location", "y_location", "z_location", "qv", "fov_name")
COSMX = ("fov", "cell_ID", "x_local_px", "y_local_px", "x_global_px", "y_global_px", "z", "target", "CellComp")
MERSCOPE = ("barcode_id", "global_x", "global_y", "global_z", "x", "y", "fov", "gene", "cell_id")


@pytest.fixture
def molecules(rng: np.random.Generator) -> pd.DataFrame:
    n = 500
    return pd.DataFrame(
        {
            "x": rng.uniform(0, 400, n).astype(np.float32),
            "y": rng.uniform(0, 300, n),
            "gene": pd.Categorical(
                rng.choice(["A", "B", "NegControlProbe_1"], n), categories=["B", "unused", "A", "NegControlProbe_1"]
            ),
            "qv": rng.uniform(0, 40, n),
            "cell_id": rng.choice(["c1", "c2", "UNASSIGNED"], n),
        }
    )


@pytest.mark.parametrize(
    ("names", "expected", "microns"),
    [
        (XENIUM, ("x_location", "y_location", "feature_name", "qv", "cell_id", None), 1.0),
        (COSMX, ("x_global_px", "y_global_px", "target", None, "cell_ID", "fov"), None),
        (MERSCOPE, ("global_x", "global_y", "gene", None, "cell_id", None), 1.0),
        (("x", "y", "gene"), ("x", "y", "gene", None, None, None), None),
    ],
)
def test_platforms_are_recognised(
    names: tuple[str, ...], expected: tuple[str | None, ...], microns: float | None
) -> None:
    found = find_columns(names, MoleculeKeys(), with_qv=True)
    assert (found.x, found.y, found.gene, found.qv, found.cell, found.fov) == expected
    assert found.microns == microns


def test_xenium_category_is_found() -> None:
    found = find_columns((*XENIUM, "codeword_category", "is_gene"), MoleculeKeys(), with_qv=False)
    assert found.control == "codeword_category"
    assert found.qv is None
    assert find_columns((*XENIUM, "is_gene"), MoleculeKeys(), with_qv=False).control == "is_gene"


def test_keys_win() -> None:
    keys = MoleculeKeys(x="y", y="x", gene="target", cell="fov", carry=("x",))
    found = find_columns(("x", "y", "gene", "target", "fov"), keys, with_qv=True)
    assert (found.x, found.y, found.gene, found.cell, found.microns) == ("y", "x", "target", "fov", None)
    assert found.needed == ["y", "x", "target", "fov"]


def test_explicit_xenium_keys_keep_their_unit() -> None:
    found = find_columns(XENIUM, MoleculeKeys(x="x_location", y="y_location"), with_qv=True)
    assert molecule_unit(found, None, what="molecules") == 1.0
    assert molecule_unit(found, 0.5, what="molecules") == 0.5


@pytest.mark.parametrize(
    ("names", "keys", "error", "match"),
    [
        (("x", "y", "gene"), MoleculeKeys(qv="qv"), MissingKeyError, r"columns\['qv'\]='qv'"),
        (("x", "y", "gene"), MoleculeKeys(gene="genes"), MissingKeyError, "Did you mean 'gene'"),
        (("x", "y", "gene"), MoleculeKeys(sample="s"), MissingKeyError, "sample_key='s'"),
        (("x", "y", "gene"), MoleculeKeys(carry=("niche",)), MissingKeyError, "carry='niche'"),
        (("x", "y", "gene"), MoleculeKeys(x="x"), InputError, "both or neither"),
        (("a", "b", "gene"), MoleculeKeys(), MissingKeyError, "pass columns={'x': ..., 'y': ...}"),
        (("x", "y", "name"), MoleculeKeys(), MissingKeyError, "pass columns={'gene': ...}"),
        (("x", "y", "gene", "target"), MoleculeKeys(), InputError, "columns={'gene': ...}"),
        (("x", "y", "gene", "cell_id", "cell_ID"), MoleculeKeys(), InputError, "columns={'cell': ...}"),
    ],
)
def test_columns_that_cannot_be_told(names, keys, error, match) -> None:
    with pytest.raises(error, match=match):
        find_columns(names, keys, with_qv=True)


@pytest.mark.parametrize("names", [("x", "y", "gene"), COSMX])
def test_unknown_unit_is_refused(names: tuple[str, ...]) -> None:
    found = find_columns(names, MoleculeKeys(), with_qv=True)
    with pytest.raises(UnitsError, match="microns_per_unit"):
        molecule_unit(found, None, what="molecules")
    assert molecule_unit(found, 0.12, what="molecules") == 0.12
    with pytest.raises(InputError, match="above 0"):
        molecule_unit(found, -1.0, what="molecules")


def containers(molecules: pd.DataFrame, folder: Path) -> dict[str, object]:
    path = folder / "molecules.parquet"
    pq.write_table(pa.Table.from_pandas(molecules), path, row_group_size=120)
    parts = folder / "parts.parquet"
    parts.mkdir()
    for number, start in enumerate(range(0, len(molecules), 200)):
        molecules.iloc[start : start + 200].to_parquet(parts / f"part.{number}.parquet")
    plain = molecules.assign(gene=molecules["gene"].astype(str))
    return {
        "pandas": molecules,
        "text": plain,
        "arrow": pa.Table.from_pandas(molecules),
        "dask": dd.from_pandas(molecules, npartitions=3),
        "path": path,
        "str": str(path),
        "folder": parts,
        "bytes": pa.table(
            {**{k: plain[k] for k in plain if k != "gene"}, "gene": pa.array(plain["gene"].str.encode("utf8"))}
        ),
    }


@pytest.mark.parametrize("kind", ["pandas", "text", "arrow", "dask", "path", "str", "folder", "bytes"])
@pytest.mark.parametrize("size", [7, 500, 10_000])
def test_every_container_gives_the_same(kind: str, size: int, molecules: pd.DataFrame, tmp_path: Path) -> None:
    (table,) = open_molecules(containers(molecules, tmp_path)[kind])
    columns = find_columns(table.names, MoleculeKeys(), with_qv=True)
    words = Vocabularies()
    chunks = list(read_chunks(table, columns, words, unit=2.0, size=size))
    assert max(len(c.x) for c in chunks) <= size
    np.testing.assert_array_equal(np.concatenate([c.x for c in chunks]), molecules["x"].astype(float) * 2)
    np.testing.assert_array_equal(np.concatenate([c.qv for c in chunks]), molecules["qv"])
    genes = np.array(words.gene.names)[np.concatenate([c.gene for c in chunks])]
    np.testing.assert_array_equal(genes, molecules["gene"].astype(str))
    assert "unused" not in words.gene.names
    control = np.concatenate([c.control for c in chunks])
    np.testing.assert_array_equal(control, molecules["gene"] == "NegControlProbe_1")
    cell = np.concatenate([c.cell for c in chunks])
    np.testing.assert_array_equal(cell < 0, molecules["cell_id"] == "UNASSIGNED")
    assert len(np.unique(cell[cell >= 0])) == 2


def test_only_needed_columns_are_read(molecules: pd.DataFrame, tmp_path: Path) -> None:
    molecules["junk"] = "x" * 50
    molecules.to_parquet(tmp_path / "m.parquet")
    (table,) = open_molecules(tmp_path / "m.parquet")
    columns = find_columns(table.names, MoleculeKeys(), with_qv=False)
    (batch,) = table.open(columns.needed, 10_000)
    assert batch.schema.names == ["x", "y", "gene", "cell_id"]


def test_cells_of_cosmx_are_counted_by_field(rng: np.random.Generator) -> None:
    frame = pd.DataFrame(
        {"x_global_px": [0.0, 1, 2, 3], "y_global_px": 0.0, "target": "A", "cell_ID": [1, 1, 0, 2], "fov": [1, 2, 2, 2]}
    )
    (table,) = open_molecules(frame)
    columns = find_columns(table.names, MoleculeKeys(), with_qv=True)
    (chunk,) = read_chunks(table, columns, Vocabularies(), unit=1.0, size=100)
    assert chunk.cell is not None
    assert chunk.cell[2] == -1
    assert len({int(c) for c in chunk.cell}) == 4


def test_vocabulary_codes_and_ranks() -> None:
    words = Vocabulary()
    assert words.encode(pa.array(["b", None, "a", " ", "b"])).tolist() == [0, -1, 1, -1, 0]
    assert words.encode(pa.array(["c", "a"]).dictionary_encode()).tolist() == [2, 1]
    assert words.encode(pa.nulls(2)).tolist() == [-1, -1]
    assert words.ranks().tolist() == [1, 0, 2]
    assert Vocabulary().encode(pa.array([3, 3, 1])).tolist() == [0, 0, 1]


def test_files_that_cannot_be_read(molecules: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file"):
        open_molecules(tmp_path / "absent.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="without parquet"):
        open_molecules(tmp_path / "empty")
    text = tmp_path / "text.parquet"
    text.write_text("x,y,gene\n1,2,A\n")
    with pytest.raises(InputError, match="cannot be read as parquet"):
        open_molecules(text)
    whole = tmp_path / "whole.parquet"
    molecules.to_parquet(whole)
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(whole.read_bytes()[:-200])
    with pytest.raises(InputError, match="truncated, corrupt"):
        open_molecules(cut)
    damaged = tmp_path / "damaged.parquet"
    data = bytearray(whole.read_bytes())
    data[4:400] = b"\xff" * 396
    damaged.write_bytes(bytes(data))
    (table,) = open_molecules(damaged)
    with pytest.raises(InputError, match="cannot be read as parquet"):
        list(table.open(["x", "y", "gene"], 1000))


def test_containers_that_hold_no_molecules(molecules: pd.DataFrame) -> None:
    with pytest.raises(InputTypeError, match="list"):
        open_molecules([1, 2])
    with pytest.raises(InputError, match="points_key"):
        open_molecules(molecules, points_key="transcripts")
    doubled = pd.concat([molecules, molecules[["x"]]], axis=1)
    with pytest.raises(InputError, match="several columns named 'x'"):
        open_molecules(doubled)


@pytest.mark.parametrize(
    ("column", "values", "match"),
    [("x", "left", "'x' of a DataFrame"), ("qv", "good", "'qv' of a DataFrame"), ("gene", [1, "A"], "mixed types")],
)
def test_columns_of_wrong_type(column: str, values: object, match: str, molecules: pd.DataFrame) -> None:
    molecules[column] = values * 250 if isinstance(values, list) else values
    (table,) = open_molecules(molecules)
    columns = find_columns(table.names, MoleculeKeys(), with_qv=True)
    with pytest.raises(InputError, match=match):
        list(read_chunks(table, columns, Vocabularies(), unit=1.0, size=1000))


def test_numbers_are_not_carried(molecules: pd.DataFrame) -> None:
    (table,) = open_molecules(molecules)
    columns = find_columns(table.names, MoleculeKeys(carry=("qv",)), with_qv=True)
    with pytest.raises(InputError, match="carry='qv'"):
        list(read_chunks(table, columns, Vocabularies(), unit=1.0, size=1000))
