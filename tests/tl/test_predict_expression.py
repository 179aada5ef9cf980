"""Out-of-fold predictions: against scikit-learn, and blind to what is held out."""

from dataclasses import dataclass
from typing import ClassVar

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneGroupOut
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import stfmkit as sk
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError, StfmkitWarning
from stfmkit.splits.folds import Fold

KEYS = {"patient_key": "patient", "sample_key": "sample"}
FOUR = sk.pp.PatientKFold(4)
ALPHAS = (1e-2, 1.0, 1e2, 1e4)


@pytest.fixture
def table(toy, rng):
    """The toy with an encoder that knows the niche and much noise."""
    niche = (toy.obs["niche"] == "tumour").to_numpy(dtype=float)[:, None]
    toy.obsm["encoder"] = (niche * rng.normal(1, 0.2, (1, 12)) + rng.normal(0, 1, (toy.n_obs, 12))).astype(np.float32)
    return toy


def on_scale(adata, train):
    counts = adata.X.toarray().astype(np.float64)
    depth = counts.sum(axis=1)
    return np.log1p(counts / depth[:, None] * np.median(depth[train]))


def facts_of(adata, key="predicted"):
    return adata.uns["stfmkit"]["predict_expression"]["results"][key]


def test_predictions_and_penalties_equal_nested_sklearn(table):
    genes = ["G3", "G30", "G0"]
    sk.tl.predict_expression(table, "encoder", genes=genes, split=FOUR, ridge_alpha=ALPHAS, max_components=7, **KEYS)
    found, facts = table.obsm["predicted"], facts_of(table)
    assert found.columns.tolist() == genes
    x, patients = table.obsm["encoder"].astype(np.float64), table.obs["patient"].to_numpy()
    for fold in range(4):
        test = (table.obs["predicted_fold"] == fold).to_numpy()
        assert len(set(patients[test])) == 1
        y = on_scale(table, ~test)[:, [3, 30, 0]]
        fit_x, fit_y, groups = x[~test], y[~test], patients[~test]

        def pipeline(alpha):
            return make_pipeline(StandardScaler(), PCA(7, svd_solver="full"), Ridge(alpha=alpha))

        loss = np.zeros(len(ALPHAS))
        for i, j in LeaveOneGroupOut().split(fit_x, groups=groups):
            errors = [pipeline(a).fit(fit_x[i], fit_y[i]).predict(fit_x[j]) - fit_y[j] for a in ALPHAS]
            loss += [((e**2).mean(axis=0) / fit_y.var(axis=0)).mean() for e in errors]
        best = ALPHAS[int(np.argmin(loss))]
        assert facts["ridge_alpha"][fold] == best
        np.testing.assert_allclose(found[test], pipeline(best).fit(fit_x, fit_y).predict(x[test]), rtol=2e-5, atol=1e-6)
        np.testing.assert_allclose(facts["train_mean"][fold], fit_y.mean(axis=0))
    assert facts["genes"].tolist() == genes
    assert facts["n_test"].sum() == table.n_obs


def test_predictions_do_not_see_the_test_patient(table, rng):
    before = sk.tl.predict_expression(table, "encoder", n_genes=10, selector="hvg", split=FOUR, copy=True, **KEYS)
    rows = (table.obs["patient"] == "P2").to_numpy()
    counts = table.X.toarray()
    counts[rows] = rng.poisson(50, size=(rows.sum(), table.n_vars))
    table.X = sparse.csr_matrix(counts)
    after = sk.tl.predict_expression(table, "encoder", n_genes=10, selector="hvg", split=FOUR, copy=True, **KEYS)
    kept = before.columns[before[rows].notna().all()]
    pd.testing.assert_frame_equal(after.loc[rows, kept], before.loc[rows, kept])
    assert len(kept) == 10
    shared = before.columns.intersection(after.columns)
    assert not np.allclose(after.loc[~rows, shared], before.loc[~rows, shared], equal_nan=True)


@pytest.mark.parametrize("scale", ["log1p", "as_is"])
def test_other_scales(table, scale):
    table.layers["values"] = np.log1p(table.X.toarray()) if scale == "as_is" else table.X.copy()
    found = sk.tl.predict_expression(
        table, "encoder", genes=["G1"], split=FOUR, layer="values", scale=scale, ridge_alpha=[3.0], copy=True, **KEYS
    )
    y, x = np.log1p(table.X.toarray()[:, 1]), table.obsm["encoder"].astype(np.float64)
    test = (table.obs["patient"] == "P3").to_numpy()
    model = make_pipeline(StandardScaler(), Ridge(alpha=3.0)).fit(x[~test], y[~test])
    np.testing.assert_allclose(found.loc[test, "G1"], model.predict(x[test]), rtol=1e-4)


def test_rows_and_genes_may_come_in_any_order(table, rng):
    whole = sk.tl.predict_expression(table, "encoder", split=FOUR, copy=True, **KEYS)
    assert whole.columns.tolist() == table.var_names.tolist()
    mixed = table[rng.permutation(table.n_obs), rng.permutation(table.n_vars)].copy()
    again = sk.tl.predict_expression(mixed, "encoder", split=FOUR, copy=True, **KEYS)
    pd.testing.assert_frame_equal(again.loc[whole.index, whole.columns], whole, rtol=1e-4, atol=1e-5)


def test_same_seed_same_bits_and_library_sizes_may_be_given(table):
    runs = [
        sk.tl.predict_expression(table, "encoder", n_genes=5, selector="hvg", rng=3, copy=True, split=FOUR, **KEYS)
        for _ in "ab"
    ]
    pd.testing.assert_frame_equal(*runs)
    table.obs["depth"] = table.X.sum(axis=1)
    given = sk.tl.predict_expression(
        table, "encoder", n_genes=5, selector="hvg", rng=3, copy=True, split=FOUR, library_size_key="depth", **KEYS
    )
    pd.testing.assert_frame_equal(given, runs[0])


@dataclass(frozen=True)
class OnePatient:
    """Tests P4 alone, trains on P1."""

    holds_out: ClassVar[str] = "patient"
    needs_microns: ClassVar[bool] = False
    extra_key: ClassVar[str | None] = None

    def split(self, rows, *, rng):
        train, test = np.flatnonzero(rows.patients == 0), np.flatnonzero(rows.patients == 3)
        return [Fold(0, train, test, rows.patients[train])]

    def describe(self):
        return {"name": "OnePatient"}


def test_observations_that_are_never_tested_are_nan(table):
    sk.tl.predict_expression(table, "encoder", genes=["G1"], split=OnePatient(), **KEYS)
    tested = (table.obs["patient"] == "P4").to_numpy()
    assert (table.obsm["predicted"]["G1"].notna().to_numpy() == tested).all()
    assert ((table.obs["predicted_fold"] == 0).to_numpy() == tested).all()
    assert (table.obs["predicted_fold"][~tested] == -1).all()


def test_a_penalty_that_cannot_be_tuned_is_told(table):
    one = table[~table.obs["sample"].isin(["S1"])].copy()  # the training patient keeps one sample
    with pytest.warns(StfmkitWarning, match=r"cannot be tuned and is 100"):
        sk.tl.predict_expression(one, "encoder", genes=["G1"], split=OnePatient(), **KEYS)
    assert facts_of(one)["ridge_alpha"] == [100]


def test_genes_are_chosen_in_every_fold(table):
    with_coords = sk.tl.predict_expression(table, "encoder", n_genes=6, selector="svg", split=FOUR, copy=True, **KEYS)
    assert (with_coords.notna().sum(axis=1) == 6).all()
    folds = sk.pp.split(table, FOUR, **KEYS, copy=True)
    patients = {f.number: set(table.obs["patient"].iloc[f.train]) for f in folds}
    for patient in ("P1", "P4"):
        rows = (table.obs["patient"] == patient).to_numpy()
        train = next(sorted(p) for p in patients.values() if patient not in p)
        chosen = sk.pp.select_genes(
            table, selector="svg", n_genes=6, train=table.obs["patient"].isin(train).to_numpy(), copy=True, **KEYS
        )
        found = with_coords.columns[with_coords[rows].notna().all()]
        assert set(found) == set(table.var_names[chosen["selected"]])


def test_copy_writes_nothing_and_nothing_else_is_changed(table, content):
    before = content(table)
    copied = sk.tl.predict_expression(table, "encoder", genes=["G1", "G2"], split=FOUR, copy=True, **KEYS)
    assert content(table) == before
    assert sk.tl.predict_expression(table, "encoder", genes=["G1", "G2"], split=FOUR, **KEYS) is None
    pd.testing.assert_frame_equal(table.obsm["predicted"], copied)
    assert copied.to_numpy().dtype == np.float32
    del table.obsm["predicted"], table.obs["predicted_fold"], table.uns["stfmkit"]["predict_expression"]
    assert content(table) == before


@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning", "ignore:Writing zarr v2:UserWarning")
def test_results_survive_files(table, tmp_path, suffix):
    sk.tl.predict_expression(table, "encoder", genes=["G1", "G2"], split=FOUR, **KEYS)
    path = tmp_path / f"x.{suffix}"
    table.write_h5ad(path) if suffix == "h5ad" else table.write_zarr(path)
    back = ad.read_h5ad(path) if suffix == "h5ad" else ad.read_zarr(path)
    pd.testing.assert_frame_equal(
        back.obsm["predicted"], table.obsm["predicted"], check_column_type=False, check_index_type=False
    )
    np.testing.assert_array_equal(facts_of(back)["train_mean"], facts_of(table)["train_mean"])
    first = sk.tl.evaluate_expression(table, "predicted", copy=True, **KEYS)
    second = sk.tl.evaluate_expression(back, "predicted", copy=True, **KEYS)
    pd.testing.assert_frame_equal(first["summary"], second["summary"])


def test_what_is_not_ours_is_not_overwritten(table):
    table.obsm["predicted"] = np.ones((table.n_obs, 2))
    with pytest.raises(InputError, match="not written by predict_expression"):
        sk.tl.predict_expression(table, "encoder", genes=["G1"], split=FOUR, **KEYS)
    del table.obsm["predicted"]
    for genes in (["G1"], ["G2"]):  # our own is
        sk.tl.predict_expression(table, "encoder", genes=genes, split=FOUR, **KEYS)
    assert table.obsm["predicted"].columns.tolist() == ["G2"]


def test_an_embedding_of_all_observations_draws_a_warning(table):
    sk.tl.embed(table, "hvg_pca", n_components=3)
    with pytest.warns(StfmkitWarning, match="was fitted on 240 of the observations"):
        sk.tl.predict_expression(table, "X_hvg_pca", genes=["G1"], split=FOUR, **KEYS)


def test_tables_of_spatialdata(table):
    from spatialdata import SpatialData
    from spatialdata.models import TableModel

    data = SpatialData(tables={"cells": TableModel.parse(table)})
    sk.tl.predict_expression(data, "encoder", genes=["G1"], split=FOUR, **KEYS)
    assert "predicted" in data.tables["cells"].obsm


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"embedding_key": "enkoder"}, MissingKeyError, "Did you mean 'encoder'"),
        ({"patient_key": "who"}, MissingKeyError, "patient_key='who'"),
        ({"genes": "G1"}, InputTypeError, "genes='G1'"),
        ({"genes": ["G1", "G1"]}, InputError, "2 genes, 1 different"),
        ({"genes": []}, InputError, "0 genes"),
        ({"genes": ["G1", "Gx"]}, MissingKeyError, "'Gx'"),
        ({"n_genes": 0}, InputError, "n_genes=0"),
        ({"n_genes": 2.5}, InputError, "n_genes=2.5"),
        ({"genes": 3}, InputTypeError, "genes=3"),
        ({"genes": ["G1"], "n_genes": 3}, InputError, "genes and n_genes=3"),
        ({"n_genes": 3, "scale": "as_is"}, InputError, "selectors need raw counts"),
        ({"n_genes": 3, "selector": "best"}, InputError, "selector='best'"),
        ({"scale": "counts"}, InputError, "scale='counts'"),
        ({"layer": "logged"}, InputError, "not integers"),
        ({"layer": "nothing"}, MissingKeyError, "no layer named 'nothing'"),
        ({"ridge_alpha": []}, InputError, "ridge_alpha is empty"),
        ({"ridge_alpha": [-1.0]}, InputError, "ridge_alpha=-1.0"),
        ({"key_added": "a/b"}, InputError, "text without '/'"),
        ({"rng": "zero"}, InputTypeError, "rng='zero'"),
        ({"n_inner": 1}, InputError, "n_inner=1"),
        ({"split": sk.pp.PatientKFold(9)}, InputError, "4 patients"),
        ({"library_size_key": "niche"}, InputTypeError, "library sizes"),
        ({"library_size_key": "zero"}, InputError, "240 library sizes"),
    ],
)
def test_bad_input_is_refused(table, change, error, match):
    table.layers["logged"] = np.log1p(table.X.toarray())
    table.obs["zero"] = 0.0
    arguments = {"embedding_key": "encoder", "split": FOUR, **KEYS, **change}
    with pytest.raises(error, match=match):
        sk.tl.predict_expression(table, arguments.pop("embedding_key"), **arguments)


def test_broken_tables_are_refused(table):
    table.obsm["nan"] = table.obsm["encoder"].copy()
    table.obsm["nan"][[3, 5], 0] = np.nan
    with pytest.raises(InputError, match=r"2 observations with NaN .* 'spot3', 'spot5'"):
        sk.tl.predict_expression(table, "nan", split=FOUR, **KEYS)
    table.obsm["text"] = pd.DataFrame({"a": ["x"] * table.n_obs}, index=table.obs_names)
    with pytest.raises(InputTypeError, match="a matrix of numbers"):
        sk.tl.predict_expression(table, "text", split=FOUR, **KEYS)
    one = table[table.obs["patient"] == "P1"].copy()
    with pytest.raises(InputError, match="SpatialBlockKFold"):
        sk.tl.predict_expression(one, "encoder", **KEYS)
    empty = table.copy()
    empty.X = sparse.csr_matrix(table.X.toarray() * (np.arange(table.n_obs) > 0)[:, None])
    with pytest.raises(InputError, match="without any count"):
        sk.tl.predict_expression(empty, "encoder", split=FOUR, **KEYS)
