"""The doors refuse what is wrong, and say found, allowed and remedy."""

import itertools

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError, UnitsError
from stfmkit._data import _checks, _read, _write
from stfmkit._data._names import read_expression
from stfmkit._data._resolve import resolve_table


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array])
def test_counts_are_the_same_from_any_matrix(toy, kind):
    dense = toy.X.toarray()
    toy.layers["c"] = kind(dense)
    counts = _read.read_counts(toy, "c")
    np.testing.assert_array_equal(counts.toarray(), dense)
    assert (counts.data != 0).all()


def test_counts_of_a_row_that_holds_a_gene_twice_are_added_up(toy):
    held = toy.X.tocoo()
    row, column = np.concatenate([held.row, held.row]), np.concatenate([held.col, held.col])
    order = np.argsort(row, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=toy.n_obs))])
    values = np.concatenate([np.full(held.nnz, 200, dtype=np.uint8), np.full(held.nnz, 100, dtype=np.uint8)])
    twice = sparse.csr_matrix((values[order], column[order], indptr), shape=toy.shape)
    toy.layers["twice"] = twice
    before = twice.indices.copy(), twice.data.copy()
    counts = _read.read_counts(toy, "twice")
    assert counts.has_canonical_format
    np.testing.assert_array_equal(counts.toarray(), 300 * (toy.X.toarray() > 0))
    np.testing.assert_array_equal(twice.indices, before[0])
    np.testing.assert_array_equal(twice.data, before[1])


def test_rows_in_any_order_of_genes_are_the_same_counts(toy):
    turned = toy.X.copy()
    for start, stop in itertools.pairwise(turned.indptr):
        turned.indices[start:stop] = turned.indices[start:stop][::-1].copy()
        turned.data[start:stop] = turned.data[start:stop][::-1].copy()
    turned.has_sorted_indices = False
    toy.layers["turned"] = turned
    counts, wanted = _read.read_counts(toy, "turned"), _read.read_counts(toy)
    np.testing.assert_array_equal(counts.indices, wanted.indices)
    np.testing.assert_array_equal(counts.data, wanted.data)


def test_counts_in_half_precision_are_read(toy):
    toy.layers["half"] = toy.X.toarray().astype(np.float16)
    np.testing.assert_array_equal(_read.read_counts(toy, "half").toarray(), toy.X.toarray())


@pytest.mark.parametrize("read", [_read.read_counts, read_expression])
def test_a_matrix_of_objects_is_refused(toy, read):
    toy.layers["objects"] = toy.X.toarray().astype(object)
    with pytest.raises(InputError, match=r"layers\['objects'\] of dtype object"):
        read(toy, "objects")


def test_the_example_shows_that_it_is_not_an_integer(toy):
    matrix = toy.X.astype(np.float64)
    matrix.data[7] = 2.000001
    toy.layers["near"] = matrix
    with pytest.raises(InputError, match=r"for example 2\.000001"):
        _read.read_counts(toy, "near")


@pytest.mark.parametrize(
    ("fault", "text"), [(-1.0, "negative"), (0.5, "not integers"), (np.nan, "NaN"), (np.inf, "infinite")]
)
def test_counts_refuse(toy, fault, text):
    matrix = toy.X.copy()
    matrix.data[7] = fault
    toy.layers["bad"] = matrix
    with pytest.raises(InputError, match=text):
        _read.read_counts(toy, "bad")


def test_counts_drop_stored_zeros_without_touching_the_caller(toy):
    toy.X.data[:5] = 0
    before = toy.X.nnz
    assert _read.read_counts(toy).nnz == before - 5
    assert toy.X.nnz == before


def test_counts_from_backed_file(toy, tmp_path):
    toy.write_h5ad(tmp_path / "a.h5ad")
    backed = ad.read_h5ad(tmp_path / "a.h5ad", backed="r")
    np.testing.assert_array_equal(_read.read_counts(backed).toarray(), toy.X.toarray())
    backed.file.close()


def test_layer_is_suggested(toy):
    toy.layers["counts"] = toy.X
    with pytest.raises(MissingKeyError, match="Did you mean 'counts'"):
        _read.read_counts(toy, "count")


def test_coordinates_refuse_nan_and_shape(toy):
    toy.obsm["bad"] = toy.obsm["spatial"].copy()
    toy.obsm["bad"][3, 0] = np.nan
    with pytest.raises(InputError, match="spot3"):
        _read.read_coords(toy, spatial_key="bad")
    toy.obsm["flat"] = np.zeros((toy.n_obs, 1))
    with pytest.raises(InputError, match=r"\(n_obs, 2\)"):
        _read.read_coords(toy, spatial_key="flat")
    with pytest.raises(MissingKeyError, match="Did you mean 'spatial'"):
        _read.read_coords(toy, spatial_key="spatail")


@pytest.mark.parametrize("blank", [None, np.nan, "", "  "])
def test_missing_ids_are_refused_not_filled(toy, blank):
    ids = toy.obs["patient"].astype(object)
    ids.iloc[:3] = blank
    toy.obs["p"] = ids
    with pytest.raises(InputError, match="3 of 240"):
        _read.read_groups(toy, "p", role="patient_key")


def test_labels_keep_missing_as_missing(toy):
    labels = toy.obs["niche"].astype(object)
    labels.iloc[:3] = np.nan
    toy.obs["l"] = labels
    found = _read.read_labels(toy, "l")
    assert (found.codes[:3] == -1).all()
    assert (found.codes[3:] >= 0).all()
    assert list(found.categories) == ["stroma", "tumour"]
    toy.obs["none"] = np.nan
    with pytest.raises(InputError, match="no label"):
        _read.read_labels(toy, "none")


def test_groups_of_numbers_become_text(toy):
    toy.obs["n"] = np.arange(toy.n_obs) % 3
    assert list(_read.read_groups(toy, "n", role="sample_key").categories) == ["0", "1", "2"]


def test_column_is_suggested(toy):
    with pytest.raises(MissingKeyError, match="Did you mean 'patient'"):
        _read.read_groups(toy, "patinet", role="patient_key")


def test_units_are_never_guessed(toy):
    assert _read.read_microns_per_unit(toy) == 1.0
    assert _read.read_microns_per_unit(toy, 0.5) == 0.5
    del toy.uns["stfmkit"]
    with pytest.raises(UnitsError, match="microns_per_unit"):
        _read.read_microns_per_unit(toy)
    with pytest.raises(InputError, match="above 0"):
        _read.read_microns_per_unit(toy, -1)


def test_names_must_be_unique(toy):
    _checks.check_names(toy)
    twice = toy.copy()
    twice.obs_names = ["same", "same", *twice.obs_names[2:]]
    with pytest.raises(InputError, match="observation"):
        _checks.check_names(twice)
    twice = toy.copy()
    twice.var_names = ["same", "same", *twice.var_names[2:]]
    with pytest.raises(InputError, match="gene"):
        _checks.check_names(twice)
    with pytest.raises(InputError, match="0 observations"):
        _checks.check_names(toy[:0])


def test_empty_observations_are_named(toy):
    counts = _read.read_counts(toy).tolil()
    counts[4] = 0
    with pytest.raises(InputError, match="spot4"):
        _checks.check_no_empty(sparse.csr_array(counts), toy.obs_names)


def test_two_observations_at_one_place(toy):
    coords = toy.obsm["spatial"].copy()
    coords[100] = coords[0]
    samples = toy.obs["sample"].cat.codes.to_numpy()
    _checks.check_positions(coords, samples, toy.obs_names, sample_key="sample")  # other samples: other frames
    with pytest.raises(InputError, match="pass sample_key="):
        _checks.check_positions(coords, None, toy.obs_names, sample_key=None)
    coords[1] = coords[0]
    with pytest.raises(InputError, match="spot0"):
        _checks.check_positions(coords, samples, toy.obs_names, sample_key="sample")


def test_samples_on_one_frame_are_seen(toy):
    with pytest.raises(InputError, match=r"sample_key='(sample|patient)'"):
        _checks.check_one_frame(toy, toy.obsm["spatial"])
    apart = toy.obsm["spatial"] + 2000.0 * toy.obs["sample"].cat.codes.to_numpy()[:, None]
    _checks.check_one_frame(toy[:, :], apart)


def test_foreign_embeddings_are_not_overwritten(toy):
    toy.obsm["X_mine"] = np.zeros((toy.n_obs, 2))
    with pytest.raises(InputError, match="not written by stfmkit"):
        _write.check_free_embedding(toy, "X_mine")
    _write.write_embedding(toy, "X_ours", np.zeros((toy.n_obs, 2)), {"model": "m"})
    _write.check_free_embedding(toy, "X_ours")
    assert toy.obsm["X_ours"].dtype == np.float32
    assert toy.uns["stfmkit"]["microns_per_unit"] == 1.0


def test_resolve(toy):
    assert resolve_table(toy) is toy
    with pytest.raises(InputError, match="table_key"):
        resolve_table(toy, table_key="t")
    with pytest.raises(InputTypeError, match="AnnData or SpatialData"):
        resolve_table(pd.DataFrame())


def test_resolve_spatialdata(toy):
    import spatialdata as sd

    tables = {name: sd.models.TableModel.parse(toy.copy()) for name in ("cells", "spots")}
    one = sd.SpatialData(tables={"cells": tables["cells"]})
    assert resolve_table(one).n_obs == toy.n_obs
    both = sd.SpatialData(tables=tables)
    with pytest.raises(InputError, match="pass table_key"):
        resolve_table(both)
    with pytest.raises(MissingKeyError, match="Did you mean 'cells'"):
        resolve_table(both, table_key="cell")
    assert resolve_table(both, table_key="spots").n_obs == toy.n_obs
