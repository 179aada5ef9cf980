"""The main job on the simulated cohort, molecules included: every task orders its controls there."""

import pytest

import stfmkit as sk
from stfmkit.bm.score_table import primary_of
from stfmkit.evaluation.metric_keys import MetricKey, rows_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def judged():
    cohort = sk.datasets.synthetic_cohort(n_patients=4, n_genes=160, image=False, rng=0)
    spots = sk.pp.xisium(cohort, sample_key="sample", carry=("niche", "cell_type", "patient"), show_progress=False)
    protocol = sk.bm.Protocol(
        patient_key="patient",
        sample_key="sample",
        label_key="niche",
        celltype_key="cell_type_share",
        n_target_genes=60,
        split=sk.pp.PatientKFold(4),
    )
    contenders = ["hvg_pca", "neighbor_pca", "celltype_composition", "library_size", "coordinates", "random"]
    return sk.bm.run(spots, contenders, protocol=protocol, n_jobs=2, show_progress=False)


@pytest.mark.parametrize("task", ["niche_probe", "domains", "expression", "niche_signatures", "coexpression"])
def test_controls_are_ordered(judged, task):
    facts = judged.meta["tasks"][task]
    mean = rows_of(judged.table, task, primary_of(judged.meta, task)).groupby("contender")["value"].mean()
    assert set(facts["negatives"]) <= set(mean.index)
    assert all(mean[facts["positive"]] > mean[negative] + 0.05 for negative in facts["negatives"])
    severe = [f for f in judged.findings if f.check == f"uninformative metrics of {task}"]
    assert all(f.severity == "info" for f in severe)


def test_neither_trivial_nor_hopeless(judged):
    means = judged.rank().set_index(["task", "contender"])["mean"]
    assert 0.55 < means["niche_probe", "hvg_pca"] < 0.9
    assert means["niche_probe", "coordinates"] < 0.45
    assert means["niche_probe", "library_size"] < 0.45
    assert 0.2 < means["expression", "hvg_pca"] < 0.7
    assert abs(means["expression", "random"]) < 0.1
    assert means["niche_signatures", "hvg_pca"] > means["niche_signatures", "random"] + 0.2
    assert means["domains", "celltype_composition"] > means["domains", "coordinates"]


def test_nothing_but_controls_passes_the_ceiling(judged):
    pearson = MetricKey("pearson", "", "gene")
    mean = rows_of(judged.table, "expression", pearson).groupby("contender")["value"].mean()
    limit = rows_of(judged.table, "expression", pearson._replace(status="ceiling"))["value"].mean()
    assert mean.drop("control:thinned").max() < limit
