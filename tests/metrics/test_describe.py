"""Words for the rows of a table of scores."""

import json
from dataclasses import asdict

import pytest

from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit.evaluation import scores
from stfmkit.metrics import MetricFacts, describe, list_metrics, spec
from stfmkit.metrics._describe import SCOPES, STATUSES


def test_statuses_and_scopes_are_those_of_the_table_of_scores():
    assert STATUSES == scores.STATUSES
    assert set(SCOPES) - {""} == set(scores.Scope.__args__)


@pytest.mark.parametrize(
    ("arguments", "title"),
    [
        (("macro_f1", "probe=linear"), "Macro F1, linear probe"),
        (("macro_f1", "probe=knn"), "Macro F1, kNN probe"),
        (("macro_f1", "probe=forest"), "Macro F1, forest probe"),
        (("adjusted_jaccard", "n=10"), "Adjusted Jaccard @10"),
        (("adjusted_jaccard", "n_genes=10"), "Adjusted Jaccard @10"),
        (("signature_size", "n=10, direction=down"), "Genes in the true signature @10, direction down"),
        (("signature_size", "direction=down, n=10"), "Genes in the true signature @10, direction down"),
        (("ari", "n_clusters=7"), "Adjusted Rand index, 7 clusters"),
        (("spatial_asw", "n_clusters=7, n_sampled=100"), "Spatial ASW, 7 clusters, 100 sampled"),
        (("few_shot_f1", "labels_per_class=5"), "Few-shot macro F1, labels per class 5"),
        (("cka", "debiased"), "Linear CKA, debiased"),
        (("offdiagonal_correlation", "method=spearman"), "Off-diagonal correlation, Spearman"),
        (("pearson", "", "of ceiling"), "Pearson r, of ceiling"),
        (("pearson", "", "ceiling"), "Ceiling of Pearson r"),
        (("pearson", "", "undefined"), "Pearson r"),
        (("adjusted_jaccard", "n=50", "of ceiling"), "Adjusted Jaccard @50, of ceiling"),
        (("ssim_ordered", "window=7", "ceiling"), "Ceiling of SSIM, fixed gene order, window 7"),
    ],
)
def test_titles(arguments, title):
    assert describe(*arguments).title == title


def test_the_label_is_short_and_has_the_setting_too():
    assert describe("ari", "n_clusters=7").label == "ARI, 7 clusters"
    assert describe("ari", status="of ceiling").label == "ARI, of ceiling"
    assert describe("ari", status="ceiling").label == "Ceiling of ARI"


@pytest.mark.parametrize("name", list_metrics().index)
def test_a_score_reads_as_its_metric_does(name):
    facts, about = describe(name), spec(name)
    for field in ("title", "label", "higher_is_better", "bounds", "chance", "source", "summary"):
        assert getattr(facts, field) == getattr(about, field)
    json.dumps(asdict(facts))


def test_a_ceiling_is_a_property_of_the_data():
    facts = describe("adjusted_jaccard", "n=10", "ceiling")
    assert facts.higher_is_better is None
    assert facts.chance is None
    assert facts.bounds == (None, 1.0)
    assert "two halves of the counts" in facts.summary
    assert "thinning" in facts.source


def test_the_ceiling_of_pearson_has_a_definition_of_its_own():
    facts, definition = describe("pearson", status="ceiling"), spec("pearson_ceiling")
    assert (facts.bounds, facts.source, facts.summary) == (definition.bounds, definition.source, definition.summary)
    for name in list_metrics().index:
        assert not spec(name).ceiling or spec(spec(name).ceiling)


def test_a_share_of_the_ceiling_has_its_own_scale():
    facts = describe("adjusted_jaccard", "n=10", "of ceiling")
    assert (facts.bounds, facts.chance, facts.higher_is_better) == ((None, None), 0.0, True)
    assert "upper bound" in facts.summary
    assert describe("macro_f1", status="of ceiling").chance is None  # by chance it is not 0, and so is its share


def test_the_cohort_is_said():
    facts = describe("adjusted_jaccard", "n=10", "ceiling", scope="cohort")
    assert facts.title == "Ceiling of Adjusted Jaccard @10, cohort"
    assert facts.summary.endswith("Of all patients together, on the genes that every fold predicts.")
    assert describe("pearson", scope="gene").title == "Pearson r"


def test_directions_in_words_and_signs():
    found = [(f.direction, f.arrow) for f in map(describe, ("ari", "rmse", "variance_ratio"))]
    assert found == [("higher is better", "↑"), ("lower is better", "↓"), ("descriptive", "")]
    assert describe("ari") == MetricFacts(**asdict(describe("ari")))


@pytest.mark.parametrize(
    ("arguments", "more", "error", "words"),
    [
        (("pearsen",), {}, MissingKeyError, "Did you mean 'pearson'"),
        (("pearson", "", "done"), {}, InputError, "status='done'"),
        (("pearson",), {"scope": "slide"}, InputError, "scope='slide'"),
        (("pearson", "n="), {}, InputError, "setting='n='"),
        (("pearson", "=3"), {}, InputError, "setting='=3'"),
        (("pearson", "n=3,,"), {}, InputError, "separated by commas"),
    ],
)
def test_what_cannot_be_read_is_refused(arguments, more, error, words):
    with pytest.raises(error, match=words):
        describe(*arguments, **more)
