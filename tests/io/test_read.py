"""The one door to files: other people's readers, our errors."""

import json
import shutil
import sys
import types
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

import stfmkit as sk
from stfmkit._core.errors import InputError, MissingFileError
from stfmkit.io._read import FOLDERS, KINDS, guess_kind, missing_marks

LayOut = Callable[[Path, str], Path]


@pytest.fixture
def h5ad(toy: AnnData, tmp_path: Path) -> Path:
    path = tmp_path / "toy.h5ad"
    toy.write_h5ad(path)
    return path


def test_h5ad(toy: AnnData, h5ad: Path) -> None:
    back = sk.io.read(h5ad)
    assert (back.X != toy.X).nnz == 0
    pd.testing.assert_frame_equal(back.obs, toy.obs)
    np.testing.assert_array_equal(back.obsm["spatial"], toy.obsm["spatial"])


def test_the_path_may_be_text_and_options_reach_the_reader(h5ad: Path) -> None:
    back = sk.io.read(str(h5ad), backed="r")
    assert back.isbacked
    back.file.close()


def test_an_option_that_the_reader_lacks_is_not_called_a_broken_file(h5ad: Path) -> None:
    with pytest.raises(TypeError, match="no_such_option"):
        sk.io.read(h5ad, no_such_option=1)


@pytest.mark.filterwarnings("ignore")  # zarr and spatialdata warn of their own formats
def test_zarr_of_anndata_and_of_spatialdata(toy: AnnData, tmp_path: Path) -> None:
    from spatialdata import SpatialData

    toy.write_zarr(tmp_path / "table.zarr")
    back = sk.io.read(tmp_path / "table.zarr")
    assert isinstance(back, AnnData)
    assert (back.X != toy.X).nnz == 0

    SpatialData(tables={"cells": toy}).write(tmp_path / "whole.zarr")
    back = sk.io.read(tmp_path / "whole.zarr")
    assert isinstance(back, SpatialData)
    assert (back.tables["cells"].X != toy.X).nnz == 0


def test_nothing_there_suggests_the_neighbour(h5ad: Path) -> None:
    with pytest.raises(MissingFileError, match=r"toy\.h5ad"):
        sk.io.read(h5ad.with_name("toi.h5ad"))
    with pytest.raises(FileNotFoundError):
        sk.io.read(h5ad.parent / "no" / "where.h5ad")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.999])
def test_a_file_that_was_cut_off(h5ad: Path, share: float) -> None:
    content = h5ad.read_bytes()
    h5ad.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match="anndata cannot read as h5ad"):
        sk.io.read(h5ad)


def test_a_file_of_another_format(tmp_path: Path) -> None:
    path = tmp_path / "table.h5ad"
    path.write_text("gene,count\nACTB,3\n")
    with pytest.raises(InputError, match="signature"):
        sk.io.read(path)


def test_an_hdf5_file_with_a_damaged_table(h5ad: Path) -> None:
    with h5py.File(h5ad, "r+") as file:
        del file["obs"]["niche"]["codes"]
    with pytest.raises(InputError, match="cannot read as h5ad"):
        sk.io.read(h5ad)


@pytest.mark.filterwarnings("ignore")  # zarr formats
def test_a_zarr_store_without_an_array(toy: AnnData, tmp_path: Path) -> None:
    store = tmp_path / "table.zarr"
    toy.write_zarr(store)
    shutil.rmtree(store / "obs" / "niche" / "codes")
    (store / ".zmetadata").unlink(missing_ok=True)
    with pytest.raises(InputError, match=r"cannot read as anndata\.zarr"):
        sk.io.read(store)


def test_an_unknown_kind_suggests_the_nearest(h5ad: Path) -> None:
    with pytest.raises(InputError, match="Did you mean 'xenium'"):
        sk.io.read(h5ad, kind="Xenum")


def test_a_file_where_a_folder_belongs(h5ad: Path) -> None:
    with pytest.raises(InputError, match="the output folder of xenium"):
        sk.io.read(h5ad, kind="xenium")


def test_a_platform_folder_with_a_file_missing_is_refused_before_the_reader_starts(
    tmp_path: Path, lay_out: LayOut
) -> None:
    lay_out(tmp_path, "visium")
    (tmp_path / "spatial" / "scalefactors_json.json").unlink()
    with pytest.raises(InputError, match=r"no file ending in 'spatial/scalefactors_json\.json'"):
        sk.io.read(tmp_path, kind="visium")


@pytest.mark.parametrize("kind", FOLDERS)
def test_platforms_go_to_the_reader_of_their_name(
    tmp_path: Path, lay_out: LayOut, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[Path, dict[str, object]]] = []

    def reader(path: Path, **options: object) -> str:
        calls.append((path, options))
        return "read"

    stand_in = types.ModuleType("spatialdata_io")
    setattr(stand_in, FOLDERS[kind].reader, reader)
    monkeypatch.setitem(sys.modules, "spatialdata_io", stand_in)
    stand_in.__spec__ = types.SimpleNamespace(name="spatialdata_io")  # type: ignore[assignment]
    assert sk.io.read(lay_out(tmp_path, kind), n_jobs=1) == "read"
    assert calls == [(tmp_path, {"n_jobs": 1})]


@pytest.mark.filterwarnings("ignore")  # third-party imports
@pytest.mark.parametrize("kind", FOLDERS)
def test_the_readers_exist_in_spatialdata_io(kind: str) -> None:
    assert callable(getattr(import_module("spatialdata_io"), FOLDERS[kind].reader))


def test_without_spatialdata_io_the_extra_is_named(
    tmp_path: Path, lay_out: LayOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stfmkit._core.optional.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'stfmkit\[io\]'"):
        sk.io.read(lay_out(tmp_path, "xenium"))


@pytest.mark.filterwarnings("ignore")  # third-party readers
def test_a_visium_folder_through_the_real_reader(tmp_path: Path) -> None:
    counts = np.array([[3, 0, 1], [0, 2, 5]], dtype=np.int32)
    write_visium(tmp_path, counts, xy=np.array([[10, 20], [30, 40]]))
    back = sk.io.read(tmp_path, dataset_id="S1")
    table = next(iter(back.tables.values()))
    np.testing.assert_array_equal(table.X.toarray(), counts)
    np.testing.assert_array_equal(table.obsm["spatial"], [[10, 20], [30, 40]])


@pytest.mark.filterwarnings("ignore")
def test_a_visium_folder_with_a_broken_matrix(tmp_path: Path) -> None:
    write_visium(tmp_path, np.ones((2, 3), dtype=np.int32), xy=np.array([[10, 20], [30, 40]]))
    matrix = tmp_path / "S1_filtered_feature_bc_matrix.h5"
    matrix.write_bytes(matrix.read_bytes()[:500])
    with pytest.raises(InputError, match="spatialdata_io cannot read as visium"):
        sk.io.read(tmp_path, dataset_id="S1")


def write_visium(folder: Path, counts: np.ndarray, *, xy: np.ndarray) -> None:
    """Write the files of a Visium run, with counts (n_spots, n_genes) and pixel positions (n_spots, 2)."""
    from scipy import sparse
    from skimage.io import imsave

    n_spots, n_genes = counts.shape
    barcodes = [f"AAAC{i}-1" for i in range(n_spots)]
    by_spot = sparse.csc_matrix(counts.T)
    with h5py.File(folder / "S1_filtered_feature_bc_matrix.h5", "w") as file:
        file.attrs["library_ids"] = np.array([b"S1"])
        file.attrs["chemistry_description"] = "made up"
        matrix = file.create_group("matrix")
        matrix["barcodes"] = np.array(barcodes, dtype="S")
        for name in ("data", "indices", "indptr"):
            matrix[name] = getattr(by_spot, name)
        matrix["shape"] = np.array(by_spot.shape, dtype=np.int32)
        features = matrix.create_group("features")
        features["id"] = np.array([f"ENSG{i}" for i in range(n_genes)], dtype="S")
        features["name"] = np.array([f"G{i}" for i in range(n_genes)], dtype="S")
        features["feature_type"] = np.array(["Gene Expression"] * n_genes, dtype="S")
        features["genome"] = np.array(["made-up"] * n_genes, dtype="S")
    spatial = folder / "spatial"
    spatial.mkdir()
    scales = {
        "tissue_hires_scalef": 0.5,
        "tissue_lowres_scalef": 0.1,
        "spot_diameter_fullres": 5.0,
        "fiducial_diameter_fullres": 8.0,
    }
    (spatial / "scalefactors_json.json").write_text(json.dumps(scales))
    pd.DataFrame(
        {
            "barcode": barcodes,
            "in_tissue": 1,
            "array_row": range(n_spots),
            "array_col": range(n_spots),
            "pxl_row_in_fullres": xy[:, 1],
            "pxl_col_in_fullres": xy[:, 0],
        }
    ).to_csv(spatial / "tissue_positions.csv", index=False)
    for name, side in (("hires", 40), ("lowres", 10)):
        imsave(
            spatial / f"tissue_{name}_image.png", np.full((side, side, 3), 200, dtype=np.uint8), check_contrast=False
        )


@pytest.mark.parametrize("kind", FOLDERS)
def test_every_platform_folder_is_recognised(tmp_path: Path, lay_out: LayOut, kind: str) -> None:
    assert guess_kind(lay_out(tmp_path, kind)) == kind
    assert missing_marks(tmp_path, kind) == []


@pytest.mark.parametrize("kind", FOLDERS)
def test_a_folder_without_its_mark_is_refused_and_its_content_named(tmp_path: Path, lay_out: LayOut, kind: str) -> None:
    lay_out(tmp_path, kind)
    mark = FOLDERS[kind].marks[0]
    for file in [p for p in tmp_path.rglob("*") if p.name.removesuffix(".gz").endswith(mark)]:
        file.unlink()
    assert mark in missing_marks(tmp_path, kind)
    left = min(p.name for p in tmp_path.iterdir())
    with pytest.raises(InputError, match=left):
        guess_kind(tmp_path)


def test_a_visium_hd_folder_is_not_taken_for_visium(tmp_path: Path, lay_out: LayOut) -> None:
    lay_out(lay_out(tmp_path, "visium"), "visium_hd")
    assert guess_kind(tmp_path) == "visium_hd"


def test_every_platform_is_a_kind() -> None:
    assert set(FOLDERS) < set(KINDS)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("zarr.json", {"attributes": {"encoding-type": "anndata"}}, "anndata.zarr"),
        ("zarr.json", {"attributes": {"spatialdata_attrs": {"version": "0.2"}}}, "spatialdata.zarr"),
        (".zattrs", {"encoding-type": "anndata"}, "anndata.zarr"),
        (".zattrs", {"spatialdata_attrs": {}}, "spatialdata.zarr"),
    ],
)
def test_zarr_stores_of_both_formats(tmp_path: Path, name: str, content: dict[str, object], kind: str) -> None:
    (tmp_path / name).write_text(json.dumps(content))
    assert guess_kind(tmp_path) == kind


def test_a_zarr_store_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "zarr.json").write_text(json.dumps({"attributes": {}}))
    with pytest.raises(InputError, match=r"zarr\.json"):
        guess_kind(tmp_path)


def test_damaged_zarr_attributes(tmp_path: Path) -> None:
    (tmp_path / "zarr.json").write_text('{"attributes": {')
    with pytest.raises(InputError, match="not valid JSON"):
        guess_kind(tmp_path)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder with nothing"):
        guess_kind(tmp_path)


@pytest.mark.parametrize(
    ("name", "hint"), [("m.parquet", r"sk\.pp\.bin"), ("m.csv", r"sk\.pp\.bin"), ("m.rds", "kind=")]
)
def test_files_of_other_kinds_get_a_remedy_that_fits(tmp_path: Path, name: str, hint: str) -> None:
    file = tmp_path / name
    file.write_bytes(b"12345")
    with pytest.raises(InputError, match=hint) as caught:
        guess_kind(file)
    assert "5 bytes" in caught.value.found
