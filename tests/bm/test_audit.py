"""Every leak that is planted is found, and a clean comparison is called clean."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from stfmkit.bm._after import findings_of_scores
from stfmkit.bm._rows import SCHEMA
from stfmkit.bm._tasks._registry import TASKS
from tests.bm.conftest import make_cohort, make_protocol

import stfmkit as sk


def found(adata, protocol=None, **options):
    return {f.check: f for f in sk.bm.audit(adata, protocol or make_protocol(), **options)}


def test_a_clean_comparison_has_nothing_severe():
    cohort = make_cohort(n_patients=6)
    findings = sk.bm.audit(cohort, make_protocol(split=sk.pp.PatientKFold(6)), models=["hvg_pca"])
    assert findings == []


def test_random_folds_are_an_error(cohort):
    findings = found(cohort, make_protocol(split=sk.pp.RandomKFold(3)))
    assert findings["patient on both sides"].severity == "error"
    assert findings["neighbours on both sides"].severity == "error"


def test_slides_of_one_patient_on_both_sides(cohort):
    cohort.obs["patient"] = cohort.obs["patient"].astype(str).replace({"P1": "P0"})
    findings = found(cohort, make_protocol(split=sk.pp.SlideKFold(4)))
    assert findings["patient on both sides"].severity == "warning"
    assert "neighbours on both sides" not in findings


@pytest.mark.parametrize(("buffer", "warned"), [(0, True), (30, False)])
def test_blocks_want_a_buffer(cohort, buffer, warned):
    findings = found(cohort, make_protocol(split=sk.pp.SpatialBlockKFold(block=300, buffer=buffer)))
    assert ("no buffer" in findings) == warned
    assert "patient on both sides" in findings


def test_one_section_stored_twice(cohort):
    rows = {p: np.flatnonzero(cohort.obs["patient"] == p) for p in ("P0", "P1")}
    dense = cohort.X.toarray()
    dense[rows["P1"][:5]] = dense[rows["P0"][:5]]
    cohort.X = sparse.csr_matrix(dense)
    finding = found(cohort)["duplicated counts across the split"]
    assert finding.severity == "error"
    assert finding.evidence.startswith("10 test observations")  # five on each side


def test_control_probes_left_in(cohort):
    names = list(cohort.var_names)
    names[:2] = ["NegControlProbe_00042", "NANOG"]
    cohort.var_names = names
    finding = found(cohort)["control probes among the genes"]
    assert "1 control features: 'NegControlProbe_00042'" in finding.evidence


def test_labels_that_only_one_patient_has(cohort):
    labels = cohort.obs["niche"].astype(str)
    labels[cohort.obs["patient"] == "P0"] = labels[cohort.obs["patient"] == "P0"].replace({"tumour": "rare"})
    cohort.obs["niche"] = labels
    assert "'rare'" in found(cohort)["labels of one patient only"].evidence


def test_a_label_that_a_model_reads(cohort):
    assert found(cohort, make_protocol(celltype_key="niche"))["label read by a model"].severity == "error"


def test_unknown_units_are_said(cohort):
    del cohort.uns["stfmkit"]
    assert found(cohort)["unknown unit of coordinates"].severity == "info"


@pytest.mark.parametrize(("n", "severity"), [(3, "warning"), (5, "info")])
def test_few_patients(n, severity):
    findings = found(make_cohort(n_patients=n), make_protocol(split=sk.pp.PatientKFold(n)))
    assert findings["cannot test"].severity == severity


def test_embeddings_fitted_on_everything(cohort):
    sk.tl.embed(cohort, "hvg_pca", sample_key="sample")
    findings = found(cohort, models=["X_hvg_pca"])
    assert findings["fitted on test observations"].severity == "warning"
    assert "embedding computed elsewhere" in findings
    sk.tl.embed(cohort, "library_size", sample_key="sample")
    assert "fitted on test observations" not in found(cohort, models=["X_library_size"])


def test_severe_ones_first(cohort):
    cohort.var_names = ["NegControlProbe_00042", *cohort.var_names[1:]]
    severities = [f.severity for f in sk.bm.audit(cohort, make_protocol(split=sk.pp.RandomKFold(3)))]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)


BETTER = {"macro_f1_linear": True, "chaos": False, "pearson": True, "variance_ratio": None}


class TestAfter:
    def findings(self, task, scores, **options):
        rows = [
            {"task": task, "metric": metric, "model": model, "patient": "P", "sample": "S", "fold": 0, "value": value}
            for (metric, model), value in scores.items()
        ]
        table = pd.DataFrame(rows).reindex(columns=list(SCHEMA))
        defaults = {"readers": ["hvg_pca"], "n_target_genes": [], "wanted": 0}
        return {f.check: f for f in findings_of_scores(table, [TASKS[task]], BETTER, **{**defaults, **options})}

    def test_metric_that_does_not_order_its_controls(self):
        scores = {("macro_f1_linear", "control:truth"): 0.5, ("macro_f1_linear", "control:coordinates"): 0.6}
        finding = self.findings("niche_probe", scores)["uninformative metrics of niche_probe"]
        assert finding.severity == "warning"
        assert "macro_f1_linear (coordinates)" in finding.evidence

    def test_lower_is_better_is_turned_round(self):
        good = {("chaos", "control:truth"): 0.1, ("chaos", "control:shuffled"): 0.6}
        assert not self.findings("domains", good)
        bad = {("chaos", "control:truth"): 0.6, ("chaos", "control:shuffled"): 0.1}
        assert self.findings("domains", bad)["uninformative metrics of domains"].severity == "info"

    def test_descriptions_are_not_judged(self):
        scores = {("variance_ratio", "control:thinned"): 0.1, ("variance_ratio", "control:mean"): 0.6}
        assert not self.findings("expression", scores)

    @pytest.mark.parametrize(("hvg", "severity"), [(0.2, "error"), (0.9, None)])
    def test_coordinates_alarm(self, hvg, severity):
        scores = {
            ("macro_f1_linear", "control:coordinates"): 0.4,
            ("macro_f1_linear", "hvg_pca"): hvg,
            ("macro_f1_linear", "random"): 0.1,
        }
        finding = self.findings("niche_probe", scores).get("coordinates alarm on niche_probe")
        assert (finding and finding.severity) == severity

    def test_alarm_is_a_warning_if_some_models_are_above(self):
        scores = {
            ("macro_f1_linear", "control:coordinates"): 0.4,
            ("macro_f1_linear", "hvg_pca"): 0.3,
            ("macro_f1_linear", "neighbor_pca"): 0.8,
        }
        finding = self.findings("niche_probe", scores, readers=["hvg_pca", "neighbor_pca"])
        assert finding["coordinates alarm on niche_probe"].severity == "warning"
        assert "hvg_pca" in finding["coordinates alarm on niche_probe"].evidence

    def test_undefined_scores_are_counted(self):
        finding = self.findings("expression", {("pearson", "hvg_pca"): np.nan})["undefined scores of expression"]
        assert "1 of 1 values" in finding.evidence

    def test_fewer_targets_than_wanted(self):
        finding = self.findings("expression", {("pearson", "hvg_pca"): 0.1}, n_target_genes=[40, 60], wanted=100)[
            "fewer target genes"
        ]
        assert "40 to 60" in finding.evidence
