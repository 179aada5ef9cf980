"""Scores of embeddings on real sections: lattices with ties, rare types, sections without labels, several samples."""

import anndata as ad
import numpy as np
import pytest
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.metrics import f1_score, silhouette_score

import stfmkit as sk
from stfmkit._kernels._neighbors import knn_within
from stfmkit.metrics import (
    chaos,
    domain_jsd,
    embedding_neighbors,
    fide,
    neighborhood_composition,
    pas,
    robustness_index,
    spatial_asw,
)

pytestmark = [pytest.mark.real_data, pytest.mark.filterwarnings("ignore::FutureWarning")]


def logged(data, n_genes=60):
    """Size-factor log1p of the most abundant genes."""
    totals = np.asarray(data.X.sum(axis=1)).ravel()
    best = np.argsort(np.asarray(data.X.sum(axis=0)).ravel())[-n_genes:]
    return np.log1p(data.X[:, best].toarray() / totals[:, None] * np.median(totals))


def first_ten(distance, xy):
    """Rows of the ten nearest, ties by place."""
    return sorted(np.argsort(distance)[:40], key=lambda j: (round(distance[j], 6), *xy[j]))[:10]


@pytest.fixture(scope="module")
def layers(real_data):
    data = ad.read_h5ad(real_data / "dlpfc_visium_151673_151675.h5ad")
    return data[~data.obs["layer"].isna()].copy()


def test_coherence_of_cortical_layers_on_two_lattices(layers):
    """Six neighbours of a spot are tied, and ten are more than one ring holds."""
    for section in layers.obs["section"].unique():
        part = layers[layers.obs["section"] == section]
        xy, layer = part.obsm["spatial"].astype(float), np.asarray(part.obs["layer"])
        distance = cdist(xy, xy)
        np.fill_diagonal(distance, np.inf)
        near = np.array(
            [sorted(np.argsort(row)[:40], key=lambda j: (round(row[j], 6), *xy[j]))[:10] for row in distance]
        )
        abnormal = ((layer[near] != layer[:, None]).sum(axis=1) > 5).mean()
        assert pas(xy, layer) == pytest.approx(abnormal)
        scaled = (xy - xy.mean(axis=0)) / xy.std(axis=0)
        within = np.where(layer[:, None] == layer, cdist(scaled, scaled), np.inf)
        np.fill_diagonal(within, np.inf)
        assert chaos(xy, layer) == pytest.approx(within.min(axis=1).mean())
        assert spatial_asw(xy, layer) == pytest.approx(silhouette_score(xy, layer))
        six = knn_within(xy, np.zeros(len(xy), int), k=6)
        rows = np.repeat(np.arange(len(xy)), 6)
        graph = sparse.csr_array((np.ones(rows.size), (rows, six.ravel())), shape=distance.shape)
        wanted = f1_score(layer[rows], layer[six.ravel()], average="macro")
        assert fide(layer, graph) == pytest.approx(wanted)
        assert wanted > 0.8
        assert pas(xy, layer) < 0.1 < pas(xy, np.random.default_rng(0).permutation(layer))


def test_sections_of_one_donor_share_their_layers(layers):
    layer, section = np.asarray(layers.obs["layer"]), np.asarray(layers.obs["section"])
    found = domain_jsd(layer, section)
    assert domain_jsd(np.random.default_rng(0).permutation(layer), section) < found < 0.1
    assert domain_jsd(section, section) == pytest.approx(1)


def test_surroundings_of_merfish_cells_are_those_of_squidpy(real_data):
    import squidpy as sq

    data = ad.read_h5ad(real_data / "merfish_hypothalamus_bregma0.26_0.21.h5ad")
    data.obs["section"] = data.obs["section"].astype("category")
    types, section = np.asarray(data.obs["cell_type"]), np.asarray(data.obs["section"])
    sq.gr.spatial_neighbors(data, coord_type="generic", radius=30.0, library_key="section")
    graph = data.obsp["spatial_connectivities"]
    found = neighborhood_composition(data.obsm["spatial"], types, section, radius=30.0)
    assert np.array_equal(found.counts, np.asarray(graph.sum(axis=1)).ravel())
    counts = graph @ (types[:, None] == found.types).astype(float)
    np.testing.assert_allclose(found.shares * found.counts[:, None], counts, atol=1e-9)
    lonely = found.counts == 0
    assert lonely.any()
    assert (found.shares[lonely] == 0).all()


def test_robustness_index_of_her2st_patients_with_two_sections(real_data):
    data = ad.read_h5ad(real_data / "her2st_patients_A-F.h5ad")
    keep = np.random.default_rng(0).permutation(data.n_obs)[:1500]
    data = data[np.sort(keep)].copy()
    X = logged(data)
    who, section = np.asarray(data.obs["patient"]), np.asarray(data.obs["section"])
    what = np.where(X[:, -1] > np.median(X[:, -1]), "high", "low")
    distance = cdist(X, X)
    distance[section[:, None] == section] = np.inf
    near = np.argsort(distance, axis=1, kind="stable")[:, :25]
    so = ((what[near] == what[:, None]) & (who[near] != who[:, None])).sum()
    os = ((what[near] != what[:, None]) & (who[near] == who[:, None])).sum()
    found = robustness_index(X, what, who, n_neighbors=25, exclude=section)
    assert found == pytest.approx(so / (so + os))
    assert found > robustness_index(
        X, what, who, n_neighbors=25
    )  # most of what is alike in a patient is alike in a section
    assert (section[embedding_neighbors(X, 25, exclude=section).indices] != section[:, None]).all()


def test_starmap_mice_are_judged_with_one_call(real_data):
    data = ad.read_h5ad(real_data / "starmap_mpfc_BZ5_BZ9.h5ad")
    keys = {"patient_key": "mouse", "sample_key": "section", "label_key": "domain", "celltype_key": "cell_type"}
    sk.tl.embed(data, "hvg_pca", n_components=15)
    sk.tl.embed(data, "random", rng=0)
    names = ["neighborhood_purity", "few_shot_f1", "robustness_index", "group_probe_accuracy", "library_size_r2"]
    names += ["composition_js", "coordinate_r2", "pas", "fide", "domain_jsd", "knn_overlap"]
    tables = [
        sk.tl.evaluate_embedding(data, key, metrics=names, reference_key="X_random", copy=True, **keys)
        for key in ("X_hvg_pca", "X_random")
    ]
    for found in tables:
        table = found["scores"]
        assert set(table.loc[table["status"] == "scored", "metric"]) == set(names)
        assert not table["setting"].str.endswith("other samples").any()  # one section for each mouse
    good, noise = (
        found["summary"].query("contender.str.startswith('X_')").groupby("metric")["mean"].mean() for found in tables
    )
    assert good["neighborhood_purity"] > noise["neighborhood_purity"] + 0.1
    assert good["composition_js"] < noise["composition_js"]
    assert good["library_size_r2"] > noise["library_size_r2"] + 0.1
    assert noise["group_probe_accuracy"] == pytest.approx(0.5, abs=0.05)
    assert noise["knn_overlap"] == 1.0
