"""Gene statistics through AnnData: oracles, slots, planted faults."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import stfmkit as sk
from stfmkit._core.errors import InputError, InputTypeError, LeakError, MissingKeyError
from stfmkit._kernels._gene_stats import STATISTICS
from stfmkit.pp._gene_limits import FLAGS, GeneLimits
from stfmkit.pp._gene_sparsity import COLUMNS, P_COLUMNS, gene_sparsity
from stfmkit.splits.folds import Fold

KEYS = {"patient_key": "patient", "sample_key": "sample"}


def fold(train: np.ndarray, test: np.ndarray) -> Fold:
    return Fold(number=0, train=train, test=test, train_groups=np.zeros(len(train)))


def test_writes_what_copy_returns_and_nothing_else(toy):
    before = toy.copy()
    table = gene_sparsity(toy, **KEYS, copy=True)
    assert list(toy.var.columns) == list(before.var.columns)
    assert set(toy.uns) == set(before.uns)
    assert gene_sparsity(toy, **KEYS) is None
    pd.testing.assert_frame_equal(toy.var[list(COLUMNS)], table)
    np.testing.assert_array_equal(toy.X.toarray(), before.X.toarray())
    pd.testing.assert_frame_equal(toy.obs, before.obs)
    assert toy.uns["stfmkit"]["microns_per_unit"] == 1.0


def test_values_by_definition(toy):
    table = gene_sparsity(toy, **KEYS, copy=True)
    counts = pd.DataFrame(toy.X.toarray().astype(float), columns=toy.var_names)
    sample, patient = toy.obs["sample"].to_numpy(), toy.obs["patient"].to_numpy()

    def over_patients(by_sample: pd.DataFrame) -> pd.Series:
        owner = pd.Series(patient, index=sample)[~pd.Index(sample).duplicated()]
        return by_sample.groupby(owner.loc[by_sample.index].to_numpy()).mean().median()

    detected = over_patients((counts > 0).groupby(sample).mean())
    np.testing.assert_allclose(table["detect_frac"], detected)
    even = over_patients(counts.groupby(sample).sum() ** 2 / (40 * (counts**2).groupby(sample).sum()))
    np.testing.assert_allclose(table["n_eff"], even)
    depth = counts.sum(axis=1)
    logged = np.log1p(counts.div(depth, axis=0) * depth.median())
    means = logged.groupby(sample).transform("mean")
    between = ((means - logged.mean()) ** 2).sum() / ((logged - logged.mean()) ** 2).sum()
    np.testing.assert_allclose(table["slide_r2"], between, rtol=1e-8)
    rows = {}
    for one in np.unique(sample):
        here = sample == one
        rows[one] = np.log1p(counts[here]).corrwith(np.log(depth[here])) ** 2
    np.testing.assert_allclose(table["depth_r2"], over_patients(pd.DataFrame(rows).T), rtol=1e-8)


def test_morans_i_is_squidpys_sample_by_sample(toy):
    import squidpy as sq

    gene_sparsity(toy, **KEYS)
    sk.pp.spatial_graph(toy, sample_key="sample", n_neighbors=6)
    sk.pp.normalize(toy)
    long = toy.uns["gene_sparsity"]
    for sample in ("S5",):
        one = toy[toy.obs["sample"] == sample].copy()
        want = sq.gr.spatial_autocorr(one, mode="moran", layer="size_factor_log1p", copy=True, show_progress_bar=False)
        got = long[long["sample"] == sample].set_index(long.loc[long["sample"] == sample, "gene"].astype(str))
        np.testing.assert_allclose(got["morans_i"], want.loc[got.index, "I"], rtol=1e-4, atol=1e-6)


def test_a_graph_may_be_given(toy):
    sk.pp.spatial_graph(toy, sample_key="sample", n_neighbors=6)
    own = gene_sparsity(toy, **KEYS, copy=True)
    given = gene_sparsity(toy, **KEYS, graph_key="spatial_connectivities", copy=True)
    pd.testing.assert_frame_equal(own, given)
    with pytest.raises(MissingKeyError, match="Did you mean 'spatial_connectivities'"):
        gene_sparsity(toy, **KEYS, graph_key="spatial_connectivity")


def test_a_graph_across_samples_is_refused(toy):
    n = toy.n_obs
    bad = sparse.csr_matrix((np.ones(1), ([0], [n - 1])), shape=(n, n))
    toy.obsp["bad"] = bad
    with pytest.raises(InputError, match="1 edges between samples"):
        gene_sparsity(toy, **KEYS, graph_key="bad")


def test_samples_on_one_frame_do_not_see_each_other(toy):
    """Every sample is moved by its own offset: nothing may change."""
    moved = toy.copy()
    moved.obsm["spatial"] = toy.obsm["spatial"] + 1e5 * toy.obs["sample"].cat.codes.to_numpy()[:, None]
    one, two = (gene_sparsity(a, **KEYS, copy=True) for a in (toy, moved))
    pd.testing.assert_frame_equal(one, two)


def test_long_table_has_every_sample_and_gene(toy):
    gene_sparsity(toy, **KEYS)
    long = toy.uns["gene_sparsity"]
    assert len(long) == 6 * toy.n_vars
    assert not long.duplicated(["sample", "gene"]).any()
    assert list(long.columns) == ["sample", "patient", "gene", *STATISTICS]
    assert long.groupby("sample", observed=True)["patient"].nunique().eq(1).all()
    dense = toy[toy.obs["sample"] == "S3", "G7"].X.toarray()
    row = long[(long["sample"] == "S3") & (long["gene"] == "G7")]
    assert row["mean_counts"].item() == pytest.approx(dense.mean())


def test_flags_find_planted_genes(toy):
    counts = toy.X.toarray()
    counts[:, 0] = 0
    counts[::60, 0] = 1
    counts[:, 1] = 30 + (np.arange(toy.n_obs) % 2)
    counts[:, 2] = np.rint(counts[:, 3:].sum(axis=1) * 3)
    toy.X = sparse.csr_matrix(counts)
    table = gene_sparsity(toy, **KEYS, copy=True)
    assert table.loc["G0", "too_sparse"]
    assert table.loc["G1", "too_flat"]
    assert table.loc["G2", "depth_driven"]
    assert not table.loc["G10", list(FLAGS)].any()
    loose = gene_sparsity(
        toy, **KEYS, limits=GeneLimits(max_depth_r2=1.0, min_detect_frac=0.0, min_n_eff=0.0), copy=True
    )
    assert not loose.loc[["G0", "G2"], ["too_sparse", "depth_driven"]].to_numpy().any()


def test_gini_and_area_by_definition(toy):
    sk.pp.spatial_graph(toy, sample_key="sample", n_neighbors=6)
    table = gene_sparsity(toy, **KEYS, graph_key="spatial_connectivities", copy=True)
    counts, graph = toy.X.toarray(), toy.obsp["spatial_connectivities"].toarray() > 0
    rows = {name: [] for name in ("area_frac", "gini")}
    for sample in toy.obs["sample"].cat.categories:
        here = np.flatnonzero(toy.obs["sample"] == sample)
        seen = counts[here] > 0
        ring = np.array([seen[graph[i][here]].any(axis=0) for i in here])
        rows["area_frac"].append((seen | ring).mean(axis=0))
        apart = np.abs(counts[here][:, None] - counts[here][None]).mean(axis=(0, 1))
        rows["gini"].append(apart / (2 * counts[here].mean(axis=0)))
    for name, (s0, s1, s2, s3, s4, s5) in rows.items():
        want = np.median([(s0 + s1) / 2, (s2 + s3) / 2, s4, s5], axis=0)
        np.testing.assert_allclose(table[name], want, rtol=1e-6)
    assert (table["area_frac"] >= table["detect_frac"]).all()


def test_permutation_p_per_sample_and_over_patients(toy):
    counts = toy.X.toarray()
    counts[:, 0] = np.where(toy.obs["niche"] == "tumour", 30, 1)  # a pattern in every sample
    counts[:, 1] = 7  # flat where libraries are of one size, and never a pattern
    toy.X = sparse.csr_matrix(counts)
    plain = gene_sparsity(toy, **KEYS, copy=True)
    assert list(plain.columns) == list(COLUMNS)
    table = gene_sparsity(toy, **KEYS, n_permutations=99, copy=True)
    assert list(table.columns) == [*COLUMNS, *P_COLUMNS]
    pd.testing.assert_frame_equal(table[list(COLUMNS)], plain)  # permutations have a stream of their own
    gene_sparsity(toy, **KEYS, n_permutations=99)
    pd.testing.assert_frame_equal(toy.var[list(table.columns)], table)
    long = toy.uns["gene_sparsity"].pivot_table(index="sample", columns="gene", values="morans_i_p", observed=True)
    assert (long["G0"] <= 0.05).all()
    assert long.to_numpy().min() == pytest.approx(1 / 100)
    cot = 1 / np.tan(np.pi * np.minimum(long[["G0", "G20"]].to_numpy(), 0.99))
    by_patient = [(cot[0] + cot[1]) / 2, (cot[2] + cot[3]) / 2, cot[4], cot[5]]
    want = np.arctan2(1, np.mean(by_patient, axis=0)) / np.pi
    np.testing.assert_allclose(table.loc[["G0", "G20"], "morans_i_p"], want, rtol=1e-6)
    assert (table["morans_i_p_adjusted"] >= table["morans_i_p"]).all()
    again = gene_sparsity(toy, **KEYS, n_permutations=99, copy=True)
    pd.testing.assert_frame_equal(again, table)
    gene_sparsity(toy, **KEYS)  # and p-values of an earlier run do not stay behind
    assert not set(P_COLUMNS) & set(toy.var.columns)
    with pytest.raises(InputError, match="n_permutations=0"):
        gene_sparsity(toy, **KEYS, n_permutations=0)


def test_p_columns_of_others_are_kept(toy):
    toy.var["morans_i_p"] = 0.5
    gene_sparsity(toy, **KEYS)
    assert (toy.var["morans_i_p"] == 0.5).all()
    with pytest.raises(InputError, match="'morans_i_p'"):
        gene_sparsity(toy, **KEYS, n_permutations=9)


def test_rows_hide_the_others(toy):
    train = (toy.obs["patient"] != "P4").to_numpy()
    changed = toy.copy()
    counts = changed.X.toarray()
    counts[~train] = np.random.default_rng(9).poisson(9, counts[~train].shape) + 1
    changed.X = sparse.csr_matrix(counts)
    changed.obs["train"] = train
    rows = fold(np.flatnonzero(train), np.flatnonzero(~train))
    want = gene_sparsity(toy, **KEYS, train=train, copy=True)
    pd.testing.assert_frame_equal(gene_sparsity(changed, **KEYS, train="train", copy=True), want)
    pd.testing.assert_frame_equal(gene_sparsity(changed, **KEYS, train=rows, copy=True), want)
    assert not want.equals(gene_sparsity(changed, **KEYS, copy=True))
    gene_sparsity(changed, **KEYS, train="train")
    assert changed.uns["stfmkit"]["gene_sparsity"]["results"]["gene_sparsity"]["patients"] == ["P1", "P2", "P3"]


def test_same_seed_same_bits(toy):
    one = gene_sparsity(toy, **KEYS, rng=3, copy=True)
    gene_sparsity(toy, **KEYS, rng=np.random.default_rng(3))
    record = toy.uns["stfmkit"]["gene_sparsity"]["results"]["gene_sparsity"]
    assert {record[key] for key in ("layer", "graph_key", "n_permutations")} == {None}
    again = gene_sparsity(toy, **KEYS, rng=record["rng"], copy=True)
    pd.testing.assert_frame_equal(again, toy.var[again.columns], check_names=False)
    other = gene_sparsity(toy, **KEYS, rng=4, copy=True)
    assert not np.allclose(one["reliability"], other["reliability"])
    rest = [c for c in one.columns if c != "reliability"]
    pd.testing.assert_frame_equal(one[rest], other[rest])


def test_one_sample_has_no_slide_r2(toy):
    one = toy[toy.obs["sample"] == "S5"].copy()
    table = gene_sparsity(one, **KEYS, copy=True)
    assert table["slide_r2"].isna().all()
    assert table["detect_frac"].notna().all()


def test_panels_leave_unmeasured_samples_out(toy):
    toy.obs["panel"] = np.where(toy.obs["patient"] == "P4", "v2", "v1")
    toy.var["in_panel_v1"] = True
    toy.var["in_panel_v2"] = np.arange(toy.n_vars) > 0
    plain = gene_sparsity(toy, **KEYS, copy=True)
    aware = gene_sparsity(toy, **KEYS, panel_key="panel", copy=True)
    assert aware.loc["G0", "detect_frac"] != plain.loc["G0", "detect_frac"]
    pd.testing.assert_series_equal(aware.loc["G1", ["detect_frac"]], plain.loc["G1", ["detect_frac"]])


def test_again_is_fine_and_columns_of_others_are_not(toy):
    gene_sparsity(toy, **KEYS)
    gene_sparsity(toy, **KEYS, limits=GeneLimits(max_depth_r2=0.9))
    assert toy.uns["stfmkit"]["gene_sparsity"]["results"]["gene_sparsity"]["limits"]["max_depth_r2"] == 0.9
    other = toy.copy()
    del other.uns["stfmkit"]["gene_sparsity"]
    with pytest.raises(InputError, match="'detect_frac'"):
        gene_sparsity(other, **KEYS)


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")  # of anndata, about its own default
@pytest.mark.parametrize("suffix", [".h5ad", ".zarr"])
def test_survives_a_round_trip(toy, tmp_path, suffix):
    gene_sparsity(toy, **KEYS)
    path = tmp_path / f"t{suffix}"
    if suffix == ".h5ad":
        toy.write_h5ad(path)
        back = ad.read_h5ad(path)
    else:
        toy.write_zarr(path)
        back = ad.read_zarr(path)
    pd.testing.assert_frame_equal(back.var, toy.var)
    pd.testing.assert_frame_equal(back.uns["gene_sparsity"], toy.uns["gene_sparsity"])
    gene_sparsity(back, **KEYS)  # and what was written is still known as ours


@pytest.mark.parametrize(
    ("break_it", "error", "text"),
    [
        (lambda a: a.obs.__setitem__("patient", np.nan), InputError, "without an id"),
        (lambda a: a.obs.__delitem__("patient"), MissingKeyError, "patient_key='patient'"),
        (lambda a: a.obs.__setitem__("patient", [f"P{i % 2}" for i in range(a.n_obs)]), InputError, "several values"),
        (lambda a: a.obsm.__delitem__("spatial"), MissingKeyError, "no obsm"),
        (lambda a: a.obsm["spatial"].__setitem__((3, 0), np.nan), InputError, "NaN or infinite coordinates"),
        (lambda a: a.obsm["spatial"].__setitem__(1, a.obsm["spatial"][0]), InputError, "share their coordinates"),
        (lambda a: a.X.data.__setitem__(0, 0.5), InputError, "not integers"),
        (lambda a: a.X.data.__setitem__(0, -1), InputError, "negative"),
        (lambda a: a.X.data.__setitem__(slice(0, a.X.indptr[1]), 0), InputError, "without any count"),
    ],
)
def test_bad_input_is_named(toy, break_it, error, text):
    break_it(toy)
    with pytest.raises(error, match=text) as caught:
        gene_sparsity(toy, **KEYS)
    assert caught.value.remedy
    assert "detect_frac" not in toy.var


@pytest.mark.parametrize(
    ("rows", "error", "text"),
    [
        ("niche", InputTypeError, "dtype"),
        (np.zeros(240, dtype=bool), InputError, "0 training observations"),
        (np.ones(3, dtype=bool), InputError, "shape"),
        (pd.Series(True, index=range(240)), InputError, "another index"),
        (
            Fold(number=0, train=np.arange(5), test=np.arange(4, 9), train_groups=np.zeros(5)),
            LeakError,
            "training and test",
        ),
        (
            Fold(number=0, train=np.array([999]), test=np.array([1]), train_groups=np.zeros(1)),
            InputError,
            "a fold with rows",
        ),
    ],
)
def test_bad_rows(toy, rows, error, text):
    with pytest.raises(error, match=text):
        gene_sparsity(toy, **KEYS, train=rows)


def test_bad_limits(toy):
    with pytest.raises(InputError, match="min_detect_frac=2"):
        GeneLimits(min_detect_frac=2)
    with pytest.raises(InputTypeError, match=r"sk\.pp\.GeneLimits"):
        gene_sparsity(toy, **KEYS, limits=0.5)


@pytest.mark.real_data
def test_her2st(real_data):
    adata = ad.read_h5ad(real_data / "her2st_patients_A-F.h5ad")
    table = gene_sparsity(adata, patient_key="patient", sample_key="section", spatial_key="spatial_um", copy=True)
    assert table["too_sparse"].sum() > 5000  # 18 k genes in 1 k-UMI spots: most are hardly there
    assert table.loc["ERBB2", "morans_i"] > 0.1
    assert table.loc["ERBB2", "reliability"] > 0.5
    assert not table.loc["ERBB2", ["too_sparse", "too_flat"]].any()
    # HER2+ tumour is where the RNA is: flagged, and patterned within depth all the same
    assert table.loc["ERBB2", "depth_driven"]
    assert table.loc["ERBB2", "morans_i_within_depth"] > 0.1
    strong = table.nlargest(50, "morans_i")
    assert strong["reliability"].median() > table["reliability"].median() + 0.2


@pytest.mark.real_data
def test_dlpfc_layer_markers(real_data):
    adata = ad.read_h5ad(real_data / "dlpfc_visium_151673_151675.h5ad")
    adata.var_names = adata.var["symbol"].astype(str)
    adata.var_names_make_unique()
    table = gene_sparsity(adata, patient_key="donor", sample_key="section", copy=True)
    assert table["morans_i"].rank(ascending=False).loc[["MOBP", "SNAP25", "PCP4"]].max() < 100
