"""Embeddings from elsewhere that hold what they should not, and models that were trained on the data."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from tests.bm.checks.conftest import alarms, audited, simulate

import stfmkit as sk
from stfmkit.bm.checks.corpus import shared_names


def components(cells, n=30):
    dense = cells.X.toarray()
    logged = np.log1p(dense / np.maximum(dense.sum(axis=1, keepdims=True), 1) * 100)
    return PCA(n, svd_solver="full").fit_transform(logged)


def mixed(values, seed=0):
    """Turn the columns into each other, and add noise, so that no statistic of a single column tells anything."""
    rng = np.random.default_rng(seed)
    turned = values @ np.linalg.qr(rng.normal(size=(values.shape[1],) * 2))[0]
    return turned + rng.normal(scale=0.05, size=turned.shape)


def one_hot(names):
    return (names.to_numpy()[:, None] == np.unique(names)[None, :]).astype(float)


def given(cells, values, **options):
    return audited(cells, contenders={"given": values.astype(np.float32)}, **options)


@pytest.mark.parametrize("scale", [0.5, 1.0, 10.0])
@pytest.mark.parametrize("label", ["niche", "cell_type"])
def test_labels_among_the_columns(cells, label, scale):
    values = mixed(np.hstack([components(cells), scale * one_hot(cells.obs[label])]))
    assert given(cells, values, label_key=label)["labels in the embedding"].severity == "error"


@pytest.mark.parametrize("beside", [0, 30])
def test_a_column_of_label_codes(cells, beside):
    code = cells.obs["niche"].cat.codes.to_numpy(dtype=float)[:, None]
    values = np.hstack([components(cells)[:, :beside], code])
    found = given(cells, values)["labels in the embedding"]
    assert found.severity == "error"
    assert "where labels change" in found.evidence


@pytest.mark.parametrize("noise", [0.2, 0.25, 0.3])
def test_labels_under_noise(cells, noise, rng):
    values = components(cells, 20)
    values = values / values.std(axis=0) + rng.normal(0, 0.3, values.shape)
    labels = one_hot(cells.obs["niche"])
    found = given(cells, np.hstack([values, labels + rng.normal(0, noise, labels.shape)]))["labels in the embedding"]
    assert found.severity in ("warning", "error")
    assert found.rows[0][1] < 0.25 * found.rows[0][2]


@pytest.mark.parametrize("label", ["niche", "cell_type"])
@pytest.mark.parametrize("options", [{}, {"n_niches": 2, "n_cell_types": 2}, {"n_patients": 1, "size": 800.0}], ids=str)
def test_honest_embeddings_of_clear_labels_are_silent(options, label):
    """Components know clear cell types, and averages over neighbours know niches: neither holds them."""
    cells = simulate(**options)
    sk.tl.embed(cells, "neighbor_pca", sample_key="sample")
    one = "n_patients" in options
    split = sk.pp.SpatialBlockKFold(block=250, buffer=60, n_splits=3) if one else sk.pp.PatientKFold(4)
    for values in (components(cells), components(cells, 60), cells.obsm["X_neighbor_pca"]):
        assert "labels in the embedding" not in given(cells, values, label_key=label, split=split)


def split_targets(cells, n=20):
    """Return log-normalised values of the most counted genes, of the others, and the names of the former."""
    order = np.argsort(-np.asarray(cells.X.sum(axis=0)).ravel())
    dense = cells.X.toarray()
    logged = np.log1p(dense / dense.sum(axis=1, keepdims=True) * 1e4)
    return logged[:, order[:n]], logged[:, order[n:]], list(cells.var_names[order[:n]])


def turned(values, rng):
    return (values - values.mean(axis=0)) @ np.linalg.qr(rng.normal(size=(values.shape[1],) * 2))[0]


@pytest.mark.parametrize(
    "change", [lambda x: x, np.expm1, np.sqrt, lambda x: 3 - 2 * x], ids=["x", "exp", "sqrt", "-x"]
)
@pytest.mark.parametrize("named", [True, False])
def test_target_genes_among_the_columns(cells, change, named, rng):
    seen, others, names = split_targets(cells)
    values = np.hstack([PCA(20).fit_transform(others), change(seen[:, 3:4])])
    found = given(cells, values, **({"target_genes": names} if named else {}))["target genes in the embedding"]
    assert found.severity == "error"
    assert found.rows[0][:2] == (names[3], 20)


def test_raw_counts_of_a_target_among_the_columns(cells):
    _, others, names = split_targets(cells)
    values = np.hstack([PCA(20).fit_transform(others), np.log1p(cells[:, names[0]].X.toarray())])
    assert given(cells, values, target_genes=names)["target genes in the embedding"].severity == "error"


def test_target_genes_turned_into_each_other(cells, rng):
    seen, others, names = split_targets(cells)
    found = given(cells, turned(seen, rng), target_genes=names)
    assert found["target genes in the embedding"].severity == "warning"
    beside = np.hstack([PCA(20).fit_transform(others), turned(seen, rng)])
    assert "target genes in the embedding" in given(cells, beside, target_genes=names)


def test_components_and_columns_of_other_genes_are_silent(cells, rng):
    _, others, names = split_targets(cells)
    for values in (PCA(60).fit_transform(others), others, turned(others, rng), components(cells, 30)):
        assert not {"target genes in the embedding"} & set(given(cells, values, target_genes=names))
    assert "target genes in the embedding" not in given(cells, components(cells, 60))


def test_patients_among_the_columns(cells):
    found = given(cells, np.hstack([components(cells), one_hot(cells.obs["patient"])]))
    assert found["patients in the embedding"].severity == "warning"


@pytest.mark.parametrize("with_components", [True, False])
def test_coordinates_among_the_columns(cells, with_components):
    xy = cells.obsm["spatial"] / 100
    values = mixed(np.hstack([components(cells), xy]) if with_components else np.hstack([xy, xy**2]))
    assert given(cells, values)["coordinates in the embedding"].severity == "warning"


def test_components_of_all_patients(cells):
    assert given(cells, components(cells))["fitted on test observations"].severity == "warning"


def test_components_of_training_patients_and_random_columns_are_silent(cells, rng):
    train = cells.obs["patient"].astype(str).isin(["P01", "P02"]).to_numpy()
    logged = np.log1p(cells.X.toarray())
    honest = PCA(20, svd_solver="full").fit(logged[train]).transform(logged)
    assert alarms(given(cells, honest)) == set()
    assert alarms(given(cells, rng.normal(size=(cells.n_obs, 30)))) == set()


def test_columns_centred_by_patient(cells):
    train = cells.obs["patient"].astype(str).isin(["P01", "P02"]).to_numpy()
    logged = np.log1p(cells.X.toarray())
    values = PCA(20, svd_solver="full").fit(logged[train]).transform(logged)
    for patient in cells.obs["patient"].unique():
        here = (cells.obs["patient"] == patient).to_numpy()
        values[here] -= values[here].mean(axis=0)
    assert given(cells, values)["centred by patient"].severity == "info"


def test_averages_over_neighbours_across_a_block_split():
    from scipy.spatial import cKDTree

    cells = simulate(1, size=900.0)
    values = components(cells)
    near = cKDTree(cells.obsm["spatial"]).query(cells.obsm["spatial"], k=20)[1]
    blocks = sk.pp.SpatialBlockKFold(block=250, buffer=60, n_splits=3)
    found = given(cells, values[near].mean(axis=1), split=blocks)
    assert found["embedding smoothed across the split"].severity == "warning"
    assert "embedding smoothed across the split" not in given(cells, values, split=blocks)
    sk.tl.embed(cells, "neighbor_pca", sample_key="sample")
    recorded = audited(cells, contenders=["X_neighbor_pca"], split=blocks)
    assert recorded["neighbours across the split"].severity == "warning"


def test_averages_over_neighbours_are_no_fault_where_patients_are_held_out(cells):
    sk.tl.embed(cells, "neighbor_pca", sample_key="sample")
    found = audited(cells, contenders=["X_neighbor_pca"])
    assert "neighbours across the split" not in found
    assert "embedding smoothed across the split" not in found


# what models were trained on


@pytest.mark.parametrize(
    ("stated", "corpus", "shared"),
    [
        (["GSE176078"], ["GSE176078", "GSE1"], ["GSE176078"]),
        (["gse-176078"], ["GSE176078"], ["gse-176078"]),
        (["GSE17607"], ["GSE176078"], []),
        (["CELLxGENE Census"], ["cellxgene"], ["CELLxGENE Census"]),
        (["ABC"], ["ABCD atlas"], []),
        ([], ["CELLxGENE"], []),
    ],
)
def test_names_of_data_in_a_corpus(stated, corpus, shared):
    assert shared_names(stated, corpus) == shared


def test_trained_models_are_asked_for_their_corpus(cells):
    trained = {"trained": ("geneformer-v1", {"weights": "somewhere"})}
    unknown = audited(cells, contenders=trained)["overlap with pretraining not known"]
    assert unknown.severity == "info"
    assert unknown.rows[0][2] == "Genecorpus-30M"
    hit = audited(cells, contenders=trained, accessions=["genecorpus 30m"])["data in the pretraining corpus"]
    assert hit.severity == "warning"
    assert "data in the pretraining corpus" not in audited(cells, contenders=trained, accessions=["GSE1"])
    untrained = audited(cells, contenders={"u": ("geneformer-v1", {"weights": "random"}), "h": "hvg_pca"})
    assert not {name for name in untrained if "pretraining" in name}


def test_a_corpus_without_names_is_not_known(cells):
    found = audited(cells, contenders={"t": ("scfoundation", {"weights": "x"})}, accessions=["GSE1"])
    assert "names no data sets" in found["overlap with pretraining not known"].evidence


def test_accessions_are_part_of_the_identity():
    keys = {"patient_key": "p", "sample_key": "s"}
    plain, stated = sk.bm.Protocol(**keys), sk.bm.Protocol(**keys, accessions=["GSE2", "GSE1", "GSE2"])
    assert "accessions" not in plain.describe()
    assert stated.describe()["accessions"] == ["GSE1", "GSE2"]
    with pytest.raises(sk.errors.InputError, match="accessions is empty"):
        sk.bm.Protocol(**keys, accessions=[])
