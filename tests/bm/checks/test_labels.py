"""Labels that were made from the counts, and labels that are something else."""

import anndata as ad
import numpy as np
import pytest
from scipy import sparse
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.decomposition import PCA
from tests.bm.checks.conftest import alarms, audited, simulate

import stfmkit as sk

MADE = "labels made from the counts"


def components(cells, n, *, genes=None):
    dense = cells.X.toarray()[:, :genes]
    logged = np.log1p(dense / np.maximum(dense.sum(axis=1, keepdims=True), 1) * np.median(dense.sum(axis=1)))
    return PCA(n, random_state=1).fit_transform(logged)


def kmeans(cells, n=15, k=4):
    return np.char.add("c", KMeans(k, n_init=3, random_state=7).fit_predict(components(cells, n)).astype(str))


@pytest.fixture(scope="module")
def tissue():
    """Three patients with enough observations to see a border."""
    return simulate(3, size=800.0)


@pytest.mark.parametrize("n", [5, 15, 40])
def test_clusters_of_the_same_counts(tissue, n):
    cells = tissue.copy()
    cells.obs["niche"] = kmeans(cells, n)
    found = audited(cells)[MADE]
    assert found.severity == "warning"
    assert found.rows[0][2] > 0.75


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "patient"), [("dlpfc_visium_151673_151675", "section"), ("starmap_mpfc_BZ5_BZ9", "mouse")]
)
def test_clusters_of_real_counts(real_data, name, patient):
    cells = ad.read_h5ad(real_data / f"{name}.h5ad")
    cells = cells[np.asarray(cells.X.sum(axis=1)).ravel() > 0]
    frequent = np.argsort(-np.asarray((cells.X > 0).sum(axis=0)).ravel())[:1500]
    cells = cells[:, np.sort(frequent)].copy()
    cells.X = sparse.csr_matrix(cells.X)
    cells.obs["niche"] = kmeans(cells, k=5)
    cells.obs["patient"] = cells.obs[patient]
    found = audited(cells, sample_key="section")
    assert found[MADE].severity == "warning"


@pytest.mark.parametrize("share", [0.1, 0.2])
def test_clusters_with_labels_dealt_anew(tissue, share):
    cells, rng = tissue.copy(), np.random.default_rng(0)
    labels = kmeans(cells)
    anew = rng.random(len(labels)) < share
    labels[anew] = rng.choice(np.unique(labels), anew.sum())
    cells.obs["niche"] = labels
    assert MADE in audited(cells)


def test_clusters_under_the_names_of_niches_in_half_of_the_patients_are_at_least_said(tissue):
    cells = tissue.copy()
    cells.obs["niche"] = AgglomerativeClustering(4).fit_predict(components(cells, 10)).astype(str)
    names = {name for name in audited(cells) if name.startswith("labels")}
    assert names <= {MADE, "labels follow clusters of the counts"}


def test_labels_of_the_tissue_are_silent(tissue):
    for name in ("niche", "cell_type"):
        assert MADE not in audited(tissue, label_key=name)


@pytest.mark.parametrize("seed", range(3))
def test_true_labels_of_clear_cell_types_are_no_alarm(seed):
    """Two clear types are found by any clustering; this alone is no fault."""
    clear = simulate(3, n_niches=2, n_cell_types=2, counts_per_cell=400.0, rng=seed)
    assert alarms(audited(clear, label_key="cell_type")) == set()


@pytest.mark.parametrize("what", ["sample", "patient"])
def test_label_is_the_section(cells, what):
    cells.obs["niche"] = np.char.add("region ", cells.obs[what].astype(str).to_numpy(dtype=str))
    assert audited(cells)["label is the sample"].severity == "warning"


def test_label_is_the_diagnosis(cells):
    cells.obs["niche"] = np.where(cells.obs["patient"].isin(["P01", "P02"]), "healthy", "ill")
    assert "label is the sample" in audited(cells)


def test_labels_smoothed_by_name(cells):
    cells.obs["smoothed_manual"] = cells.obs["niche"].to_numpy()
    assert audited(cells, label_key="smoothed_manual")["label smoothed in space"].severity == "warning"


def test_a_label_column_that_no_contender_reads_is_no_error(cells):
    assert audited(cells, celltype_key="niche")["label read by a model"].severity == "error"
    silent = audited(cells, celltype_key="niche", contenders=["hvg_pca"])["label read by a model"]
    assert silent.severity == "warning"
    read = audited(cells, celltype_key="niche", contenders=["celltype_composition"])["label read by a model"]
    assert read.severity == "error"
    assert "celltype_composition" in read.evidence


def test_labels_that_no_two_patients_share(cells):
    cells.obs["own"] = cells.obs["patient"].astype(str) + " " + cells.obs["niche"].astype(str)
    found = audited(cells, label_key="own")["labels of one patient only"]
    assert found.severity == "warning"
    assert "no label" in found.evidence
    shared = cells.obs["niche"].astype(str).to_numpy()
    cells.obs["own"] = np.where(cells.obs["niche"] == cells.obs["niche"].iloc[0], shared, cells.obs["own"])
    assert audited(cells, label_key="own")["labels of one patient only"].severity == "info"
    assert "labels of one patient only" not in audited(cells)


def test_folds_that_train_on_one_patient_cannot_be_tuned():
    cells = simulate(2)
    assert audited(cells)["probes not tuned"].severity == "warning"
    fixed = {"linear_c": (0.1,), "n_neighbors": (10,), "ridge_alpha": (100.0,)}
    assert "probes not tuned" not in audited(cells, **fixed)
    assert "probes not tuned" not in audited(simulate(3), split=sk.pp.PatientKFold(3))
