"""The scIB metrics against the Benchmarker of scib-metrics, with the neighbours of ours and of its own."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from stfmkit import metrics
from stfmkit._core.errors import InputError
from stfmkit.metrics import embedding_neighbors, scib_total, spec
from stfmkit.metrics._scib import BATCH, BIO, MOST, own_first

NAMES = {
    "isolated_labels": "scib_isolated_labels",
    "nmi_ari_cluster_labels_kmeans_nmi": "scib_kmeans_nmi",
    "nmi_ari_cluster_labels_kmeans_ari": "scib_kmeans_ari",
    "silhouette_label": "scib_silhouette_label",
    "clisi_knn": "scib_clisi",
    "bras": "scib_bras",
    "ilisi_knn": "scib_ilisi",
    "kbet_per_label": "scib_kbet",
    "graph_connectivity": "scib_graph_connectivity",
    "pcr_comparison": "scib_pcr",
}


@pytest.fixture(scope="module")
def study():
    """Three cell types, three patients with a shift that the second embedding has half removed."""
    rng = np.random.default_rng(0)
    what, who = np.tile(["B", "T", "T", "myeloid"], 75), np.repeat(["P1", "P2", "P3"], 100)
    centre = rng.normal(0, 2, size=(3, 8))[pd.factorize(what, sort=True)[0]]
    shift = rng.normal(0, 1, size=(3, 8))[pd.factorize(who)[0]]
    before = (centre + shift + rng.normal(size=(300, 8))).astype(np.float32)
    return {"embedding": before - 0.5 * shift.astype(np.float32), "reference": before, "labels": what, "batches": who}


def ours(study, **neighbors):
    found = {}
    for name in (*BIO, *BATCH):
        more = neighbors if name in {"scib_clisi", "scib_ilisi", "scib_kbet", "scib_graph_connectivity"} else {}
        found[name] = spec(name).function(*(study[need] for need in spec(name).needs), **more)
    return found


def benchmarker(study, neighbor_computer=None):
    from scib_metrics.benchmark import Benchmarker

    obs = pd.DataFrame({"label": study["labels"], "batch": study["batches"]}, index=[f"c{i}" for i in range(300)])
    adata = AnnData(study["reference"].copy(), obs=obs)
    adata.obsm["ours"], adata.obsm["before"] = study["embedding"], study["reference"]
    bench = Benchmarker(
        adata,
        batch_key="batch",
        label_key="label",
        embedding_obsm_keys=["ours"],
        pre_integrated_embedding_obsm_key="before",
        progress_bar=False,
    )
    bench.prepare(neighbor_computer=neighbor_computer)
    bench.benchmark()
    return bench.get_results(clean_names=False).loc["ours"].rename(NAMES)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Tensorflow not installed:ImportWarning")  # umap, at its import
def test_all_ten_and_the_total_equal_the_benchmarker(study):
    """Same neighbours, same numbers; with its approximate neighbours the numbers stay near."""
    from scib_metrics.nearest_neighbors import NeighborsResults

    def exact(X, n):
        near = own_first(X, n, None)
        return NeighborsResults(indices=near.indices, distances=near.distances)

    found = ours(study)
    wanted, default = benchmarker(study, exact), benchmarker(study)
    for name, value in found.items():
        assert value == pytest.approx(wanted[name], abs=1e-6), name
        assert value == pytest.approx(default[name], abs=0.02), name
    assert scib_total(found) == pytest.approx(wanted["Total"], abs=1e-6)


def test_known_neighbours_give_the_same(study):
    known = embedding_neighbors(study["embedding"], MOST)
    for name in ("scib_clisi", "scib_ilisi", "scib_graph_connectivity"):
        values = [study[need] for need in spec(name).needs]
        assert spec(name).function(*values, neighbors=known) == spec(name).function(*values)


def test_an_observation_is_the_first_of_its_neighbours(study):
    near = own_first(study["embedding"], 15, None)
    assert near.indices.shape == near.distances.shape == (300, 15)
    assert np.array_equal(near.indices[:, 0], np.arange(300))
    assert (near.distances[:, 0] == 0).all()


def test_metrics_order_structure_and_noise(study):
    noise = {**study, "embedding": np.random.default_rng(1).normal(size=(300, 8))}
    for name in ("scib_kmeans_ari", "scib_clisi", "scib_silhouette_label", "scib_graph_connectivity"):
        good, bad = (spec(name).function(s["embedding"], s["labels"]) for s in (study, noise))
        assert good > bad
    batchy = study["embedding"] + 20 * (study["batches"] == "P1")[:, None]
    assert metrics.scib_ilisi(batchy, study["batches"]) < metrics.scib_ilisi(noise["embedding"], study["batches"])


def test_what_is_undefined_is_nan(study):
    X, who = study["embedding"], study["batches"]
    assert np.isnan(metrics.scib_bras(X, who, who))
    assert np.isnan(metrics.scib_kbet(X, who, who))


def test_more_batch_than_before_scores_0_without_a_warning(study):
    assert metrics.scib_pcr(study["reference"], study["embedding"], study["batches"]) == 0


def test_total_weighs_biology_more_and_wants_all_ten():
    every = dict.fromkeys(BIO, 0.5) | dict.fromkeys(BATCH, 1.0)
    assert scib_total(every) == pytest.approx(0.7)
    assert np.isnan(scib_total({**every, "scib_kbet": np.nan}))
    with pytest.raises(InputError, match="no score of 'scib_pcr'"):
        scib_total({name: 1.0 for name in every if name != "scib_pcr"})


def test_absence_of_the_library_names_the_extra(study, monkeypatch):
    from stfmkit._core import optional as _optional

    monkeypatch.setattr(_optional, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"stfmkit\[scib\]"):
        metrics.scib_silhouette_label(study["embedding"], study["labels"])


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("scib_silhouette_label", {"labels": ["a"] * 300}, "1 levels of labels"),
        ("scib_silhouette_label", {"labels": np.arange(300)}, "300 levels of labels"),
        ("scib_isolated_labels", {"batches": ["P"] * 300}, "1 levels of batches"),
        ("scib_kmeans_nmi", {"labels": ["a", "b"]}, "labels of shape"),
        ("scib_kmeans_ari", {"embedding": np.full((300, 2), np.nan)}, "NaN"),
        ("scib_pcr", {"reference": np.zeros((5, 2))}, "reference of shape"),
        ("scib_bras", {"labels": [None] * 300}, "300 missing"),
    ],
)
def test_unusable_input_is_refused(study, name, change, words):
    given = {**study, **change}
    with pytest.raises(InputError, match=words):
        spec(name).function(*(given[need] for need in spec(name).needs))


@pytest.mark.parametrize(
    ("name", "n"), [("scib_clisi", 89), ("scib_ilisi", 89), ("scib_kbet", 49), ("scib_graph_connectivity", 14)]
)
def test_too_few_observations_for_the_pinned_neighbours(study, name, n):
    few = {key: values[::2][:n] if n < 50 else values[::3][:n] for key, values in study.items()}
    few["batches"] = np.resize(["P1", "P2"], n)
    with pytest.raises(InputError, match=f"{n} observations and n_neighbors={n}"):
        spec(name).function(*(few[need] for need in spec(name).needs))
