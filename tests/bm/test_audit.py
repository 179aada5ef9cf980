"""Every leak that is planted is found, and a clean comparison is called clean."""

import numpy as np
import pytest
from scipy import sparse
from tests.bm.conftest import make_cohort, make_protocol

import stfmkit as sk
from stfmkit._core.errors import InputError, StfmkitError
from stfmkit.bm.checks.duplicates import row_hashes
from stfmkit.bm.report.render import render_report


def found(adata, protocol=None, **options):
    return {f.check: f for f in sk.bm.audit(adata, protocol or make_protocol(), **options)}


def test_a_clean_comparison_has_nothing_severe():
    cohort = make_cohort(n_patients=6)
    findings = sk.bm.audit(cohort, make_protocol(split=sk.pp.PatientKFold(6)), contenders=["hvg_pca"])
    assert [f.check for f in findings if f.severity != "info"] == []


def test_random_folds_are_an_error(cohort):
    findings = found(cohort, make_protocol(split=sk.pp.RandomKFold(3)))
    assert findings["patient on both sides"].severity == "error"
    assert findings["neighbours on both sides"].severity == "error"


def test_slides_of_one_patient_on_both_sides(cohort):
    cohort.obs["patient"] = cohort.obs["patient"].astype(str).replace({"P1": "P0"})
    findings = found(cohort, make_protocol(split=sk.pp.SlideKFold(4)))
    assert findings["patient on both sides"].severity == "warning"
    assert "neighbours on both sides" not in findings


@pytest.mark.parametrize(("buffer", "warned"), [(0, True), (30, True), (150, False)])
def test_blocks_want_a_buffer(cohort, buffer, warned):
    findings = found(cohort, make_protocol(split=sk.pp.SpatialBlockKFold(block=300, buffer=buffer)))
    assert ("no buffer" in findings) == warned
    assert "patient on both sides" in findings


def test_a_split_says_itself_what_it_holds_out(cohort):
    """A splitter of one's own is judged by `holds_out`, whatever its name."""

    class Mine(sk.pp.PatientKFold):
        holds_out = "observation"

    class BlockLike(sk.pp.RandomKFold):
        holds_out = "block"

    class SlideLike(sk.pp.RandomKFold):
        holds_out = "slide"

    leaky = make_protocol(split=Mine(4))
    assert "patient on both sides" not in found(cohort, leaky)  # no patient is on both sides
    both = found(cohort, make_protocol(split=BlockLike(3)))
    assert both["patient on both sides"].severity == "warning"
    assert "neighbours on both sides" not in both
    with pytest.raises(InputError, match="holds_out='slide'"):  # what can be checked is checked
        found(cohort, make_protocol(split=SlideLike(3)))


def test_labels_from_elsewhere_are_said(cohort):
    cohort.obs["cluster"] = np.where(np.arange(cohort.n_obs) % 2, "a", "b")
    cohort.obs["guess"] = cohort.obs["niche"].to_numpy()[::-1]
    assert "clusters computed elsewhere" in found(cohort, contenders=["obs:cluster"])
    assert "labels computed elsewhere" in found(cohort, contenders=["obs:guess"])


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
    findings = found(cohort, contenders=["X_hvg_pca"])
    assert findings["fitted on test observations"].severity == "warning"
    assert "embedding computed elsewhere" in findings
    sk.tl.embed(cohort, "library_size", sample_key="sample")
    assert "fitted on test observations" not in found(cohort, contenders=["X_library_size"])


def test_severe_ones_first(cohort):
    cohort.var_names = ["NegControlProbe_00042", *cohort.var_names[1:]]
    severities = [f.severity for f in sk.bm.audit(cohort, make_protocol(split=sk.pp.RandomKFold(3)))]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)


def test_equal_rows_only(rng):
    dense = rng.poisson(0.3, size=(4000, 30))
    dense[17] = dense[3999]
    hashes = row_hashes(sparse.csr_array(dense))
    _, first = np.unique(dense, axis=0, return_inverse=True)
    _, second = np.unique(hashes, return_inverse=True)
    assert (
        len(np.unique(first)) == len(np.unique(second)) == len(np.unique(np.stack([first.ravel(), second], 1), axis=0))
    )


def test_errors_refuse_a_comparison_unless_they_are_allowed_by_name(cohort):
    leaky = make_protocol(split=sk.pp.RandomKFold(3))
    ask = {"protocol": leaky, "tasks": ["domains"], "show_progress": False}
    with pytest.raises(InputError, match=r"patient on both sides.*neighbours on both sides") as refused:
        sk.bm.run(cohort, ["coordinates"], **ask)
    assert "allow=['patient on both sides', 'neighbours on both sides']" in refused.value.remedy
    with pytest.raises(InputError, match="neighbours on both sides"):
        sk.bm.run(cohort, ["coordinates"], allow=["patient on both sides"], **ask)
    names = ["patient on both sides", "neighbours on both sides"]
    results = sk.bm.run(cohort, ["coordinates"], allow=names, **ask)
    assert results.meta["allowed"] == names == results.rank().attrs["allowed"]
    assert [f.check for f in results.findings if f.allowed] == names
    page = render_report(results, title="t")
    told = page.count("which were allowed: patient on both sides, neighbours on")
    assert told == page.count("</table>") + 1 > 10  # every table, and the verdict


def test_names_that_refuse_nothing_are_told(cohort):
    with pytest.raises(StfmkitError, match="patient on bothsides"):
        sk.bm.run(cohort, ["coordinates"], protocol=make_protocol(), allow=["patient on bothsides"])
    with pytest.raises(StfmkitError, match="a list of names"):
        sk.bm.run(cohort, ["coordinates"], protocol=make_protocol(), allow="patient on both sides")


def test_order_of_entries_and_dtype_do_not_matter():
    matrix = sparse.csr_array(np.array([[0, 2, 3], [1, 0, 0]]))
    swapped = matrix.copy().astype(np.float32)
    swapped.indices[:2] = swapped.indices[:2][::-1].copy()
    swapped.data[:2] = swapped.data[:2][::-1].copy()
    np.testing.assert_array_equal(row_hashes(matrix), row_hashes(swapped))


def test_gene_and_count_are_told_apart():
    hashes = row_hashes(sparse.csr_array(np.array([[2, 1], [1, 2], [0, 3], [3, 0], [0, 0]])))
    assert len(np.unique(hashes)) == 5
