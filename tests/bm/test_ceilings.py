"""Shares of ceilings: the right rows are put together, and nothing is divided by noise."""

import numpy as np
import pandas as pd
import pytest
from tests.bm.conftest import make_cohort, make_protocol

import stfmkit as sk
from stfmkit.bm._ceilings import is_ceiling, relative_scores
from stfmkit.bm._rows import SCHEMA, to_table
from stfmkit.bm._study import load_study
from stfmkit.bm._tasks._coexpression import CEILED, coexpression_ceilings, score_coexpression
from stfmkit.bm._tasks._niche_signatures import signature_ceilings
from stfmkit.bm._tasks._truth import choose_targets, fold_truth


def rows(*records):
    frame = pd.DataFrame(records, columns=["metric", "model", "sample", "gene", "value"])
    filled = frame.assign(task="t", fold=0, patient=frame["sample"].str[0], niche="", seconds=1.0, protocol_id="p")
    return filled[list(SCHEMA)]


def test_a_score_meets_its_own_ceiling():
    table = rows(
        ("score", "a", "A1", "G1", 0.2),
        ("score", "a", "A2", "G1", 0.2),
        ("score", "b", "A1", "G1", -0.1),
        ("score", "a", "A1", "G2", 0.3),
        ("other", "a", "A1", "G1", 0.9),
        ("score_ceiling", "control:thinned", "A1", "G1", 0.4),
        ("score_ceiling", "control:thinned", "A2", "G1", 0.1),
    )
    found = relative_scores(table)
    assert set(found["metric"]) == {"score_of_ceiling"}
    shares = found.set_index(["model", "sample", "gene"])["value"]
    assert shares["a", "A1", "G1"] == pytest.approx(0.5)
    assert shares["a", "A2", "G1"] == pytest.approx(2.0)
    assert shares["b", "A1", "G1"] == pytest.approx(-0.25)
    assert np.isnan(shares["a", "A1", "G2"])  # no ceiling is known
    assert list(found) == list(SCHEMA)


@pytest.mark.parametrize(
    ("metric", "ceiling", "defined"),
    [
        ("score", 0.099, False),
        ("score", -0.3, False),
        ("score", 0.11, True),
        ("pearson", 0.3, False),
        ("pearson", 0.33, True),
    ],
)
def test_nothing_is_divided_by_noise(metric, ceiling, defined):
    table = rows((metric, "a", "A1", "G1", 0.2), (f"{metric}_ceiling", "control:thinned", "A1", "G1", ceiling))
    assert relative_scores(table)["value"].notna().item() is defined


def test_a_table_without_ceilings_has_no_shares():
    assert relative_scores(rows(("score", "a", "A1", "G1", 0.2))).empty
    assert is_ceiling("score_ceiling")
    assert not is_ceiling("score_of_ceiling")


def test_shares_of_the_genes_are_those_of_the_verb(results):
    """sk.tl.evaluate_expression divides by the same ceilings, with the same least reliability."""
    table = results.table.query("task == 'expression' and model == 'hvg_pca'")
    wide = table.pivot_table(index=["sample", "gene"], columns="metric", values="value", dropna=False)
    limits = results.table.query("metric == 'pearson_ceiling'").set_index(["sample", "gene"])["value"]
    reliability = limits.reindex(wide.index).to_numpy() ** 2
    expected = sk.metrics.ceiling_normalized(wide["pearson"], ceiling=np.sqrt(reliability))
    expected[~(reliability >= 0.1)] = np.nan
    np.testing.assert_allclose(wide["pearson_of_ceiling"], expected)
    assert 0 < np.isnan(expected).sum() < len(expected)


@pytest.fixture(scope="module")
def depths():
    """The truth of one fold of the same cohort, as it is and with a tenth of its molecules."""
    found = []
    for keep in (1.0, 0.1):
        cohort = make_cohort(per_patient=150)
        counts = np.random.default_rng(0).binomial(cohort.X.toarray().astype(int), keep)
        counts[:, 0] += counts.sum(axis=1) == 0
        cohort.X = counts.astype(np.float32)
        study = load_study(cohort, make_protocol(target_genes=[f"G{g}" for g in range(40)]))
        found.append((study, fold_truth(study, study.folds[0], choose_targets(study, study.folds[0]))))
    return found


@pytest.mark.parametrize("limits", [signature_ceilings, coexpression_ceilings])
def test_ceilings_rise_with_depth_and_stay_between_chance_and_one(depths, limits):
    deep, shallow = (
        to_table(limits(study, truth)).query("metric.str.endswith('_ceiling')").groupby("metric")["value"].mean()
        for study, truth in depths
    )
    assert len(deep)
    assert (deep > 0).all()
    assert (deep <= 1).all()
    assert (deep > shallow).all()


def test_coexpression_ceilings_compare_the_halves(depths):
    from dataclasses import replace

    study, truth = depths[0]
    halves = replace(truth, test=truth.halves[0])
    expected = to_table(score_coexpression(study, halves, truth.halves[1])).set_index("metric")["value"]
    found = to_table(coexpression_ceilings(study, truth)).set_index("metric")["value"]
    assert set(found.index) == {f"{m}_ceiling" for m in CEILED}
    for metric in CEILED:
        assert found[f"{metric}_ceiling"] == expected[metric]
