"""Clean data are called clean, whatever the tissue."""

import anndata as ad
import numpy as np
import pytest
from tests.bm.checks.conftest import alarms, audited, protocol_of, simulate

import stfmkit as sk

TISSUES = [
    {},
    {"n_sections": 2},
    {"n_niches": 2, "n_cell_types": 2},
    {"n_niches": 8, "n_cell_types": 10},
    {"n_genes": 30, "counts_per_cell": 200.0},
    {"counts_per_cell": 15.0},
    {"counts_per_cell": 600.0},
    {"patient_effect": 0.0},
    {"patient_effect": 0.6},
    {"depth_sigma": 0.0, "dropout": 0.0},
    {"n_panels": 2},
    {"cell_density": 800.0},
]


@pytest.mark.parametrize("label", ["niche", "cell_type"])
@pytest.mark.parametrize("options", TISSUES, ids=str)
def test_every_tissue_is_silent(options, label):
    found = audited(simulate(4, **options), contenders=["hvg_pca", "coordinates"], label_key=label)
    assert alarms(found) == set()


@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_any_number_of_patients_is_silent(n):
    assert alarms(audited(simulate(n, rng=n), contenders=["hvg_pca"])) == set()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 21))
def test_twenty_seeds_are_silent(seed):
    """No statistical check gives a false alarm, and honest embeddings from elsewhere give none of holding anything."""
    cells = simulate(5, n_sections=2, rng=seed, size=400.0)
    sk.tl.embed(cells, "random", rng=seed)
    found = audited(cells, contenders=["obsm:X_random"], split=sk.pp.PatientKFold(5))
    assert alarms(found) == set()


def test_blocks_of_one_patient_are_silent():
    cells = simulate(1, size=900.0)
    found = audited(cells, contenders=["hvg_pca"], split=sk.pp.SpatialBlockKFold(block=250, buffer=60, n_splits=3))
    assert alarms(found) == set()


def test_honest_embeddings_hold_nothing(cells):
    sk.tl.embed(cells, "hvg_pca", sample_key="sample")
    sk.tl.embed(cells, "neighbor_pca", sample_key="sample")
    found = audited(cells, contenders=["X_hvg_pca", "X_neighbor_pca"])
    assert alarms(found) == {"fitted on test observations"}  # they were, by the record


@pytest.mark.real_data
@pytest.mark.slow
@pytest.mark.parametrize("name", ["her2st", "dlpfc", "starmap", "merfish"])
def test_real_data_are_silent(real_data, name):
    file, keys, split = {
        "her2st": ("her2st_patients_A-F", ("patient", "section", "label"), sk.pp.PatientKFold(6)),
        "dlpfc": ("dlpfc_visium_151673_151675", ("donor", "section", "layer"), sk.pp.SlideKFold(2)),
        "starmap": ("starmap_mpfc_BZ5_BZ9", ("mouse", "section", "domain"), sk.pp.PatientKFold(2)),
        "merfish": ("merfish_hypothalamus_bregma0.26_0.21", ("animal", "section", "cell_type"), sk.pp.SlideKFold(2)),
    }[name]
    data = ad.read_h5ad(real_data / f"{file}.h5ad")
    if "spatial_um" in data.obsm:
        data.obsm["spatial"] = data.obsm["spatial_um"]
    data.obs_names_make_unique()
    patient, sample, label = keys
    protocol = sk.bm.Protocol(patient_key=patient, sample_key=sample, label_key=label, split=split)
    found = {f.check: f for f in sk.bm.audit(data, protocol, contenders=["hvg_pca"])}
    true = {"genes without any count", "control probes among the genes"}  # they are in the data
    assert alarms(found) - true == set()
    assert not any(f.severity == "error" for f in found.values())
    if name == "her2st":  # and what is planted in them is found
        rows = np.flatnonzero(data.obs["section"] == "A1")
        copy = data[rows].copy()
        copy.X.data = np.random.default_rng(0).binomial(copy.X.data.astype(int), 0.3)
        copy.X.eliminate_zeros()
        copy.obs["patient"], copy.obs["section"] = "Z", "Z1"
        copy.obs_names = [f"z{i}" for i in range(len(rows))]
        both = ad.concat([data, copy[np.asarray(copy.X.sum(axis=1)).ravel() > 0]])
        planted = {f.check for f in sk.bm.audit(both, protocol_of(both, sample_key="section", label_key="label"))}
        assert "near-duplicate sections across the split" in planted
