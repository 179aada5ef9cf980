"""Shares of ceilings: the right rows are put together, and nothing is divided by noise."""

import numpy as np
import pytest

from stfmkit.evaluation.ceilings import relative_scores
from stfmkit.evaluation.scores import SCHEMA, Score, to_table


def score(metric, value, contender="a", **where):
    where = {"sample": "A1", "gene": "G1", **where}
    return Score(metric=metric, value=value, scope="gene", contender=contender, **where)


def ceiling(metric, value, **where):
    return score(metric, value, contender="control:thinned", status="ceiling", **where)


def share_of(table):
    return table.set_index(["contender", "sample"])["value"]


def test_a_share_is_a_ratio_of_sums_over_what_has_a_ceiling():
    table = to_table(
        [
            score("pearson", 0.6, gene="G1"),
            score("pearson", 0.1, gene="G2"),
            score("pearson", 0.9, gene="G3"),  # does not count
            score("pearson", np.nan, gene="G4", reason="the truth is constant in this sample"),
            score("pearson", 0.5, gene="G1", sample="A2"),
            score("pearson", -0.2, gene="G1", contender="b"),
            score("pearson", 0.9, contender="control:thinned"),
            score("spearman", 0.9),
            ceiling("pearson", 0.8, gene="G1"),
            ceiling("pearson", 0.2, gene="G2"),
            ceiling("pearson", np.nan, gene="G3", reason="no signal in training"),
            ceiling("pearson", 0.7, gene="G4"),
            ceiling("pearson", 0.25, gene="G1", sample="A2"),
        ]
    )
    found = relative_scores(table)
    assert list(found) == list(SCHEMA)
    assert set(found["metric"]) == {"pearson"}
    assert set(found["scope"]) == {"gene"}
    assert set(found["status"]) == {"of ceiling"}
    assert set(found["gene"]) == {""}
    expected = {("a", "A1"): 0.7 / 1.0, ("a", "A2"): 2.0, ("b", "A1"): -0.25}  # never the mean of ratios, 0.625
    assert share_of(found).to_dict() == pytest.approx(expected)
    assert (found["reason"] == "").all()


def test_who_knows_the_truth_has_no_share():
    table = to_table([score("ari", 0.9, contender=name) for name in ("control:truth", "a")] + [ceiling("ari", 0.6)])
    assert set(relative_scores(table)["contender"]) == {"control:truth", "a"}
    assert set(relative_scores(table, knowing=["control:truth"])["contender"]) == {"a"}


def test_settings_and_niches_are_kept_apart():
    table = to_table(
        [
            *(score("adjusted_jaccard", 0.3, setting=s, gene="", niche=n) for s in ("n=10", "n=20") for n in "xy"),
            *(ceiling("adjusted_jaccard", c, setting="n=10", gene="", niche=n) for n, c in (("x", 0.4), ("y", 0.8))),
        ]
    )
    found = relative_scores(table)
    assert found[["setting", "niche"]].to_numpy().tolist() == [["n=10", ""]]
    assert found["value"].item() == pytest.approx(0.6 / 1.2)


@pytest.mark.parametrize(("limit", "defined"), [(0.099, False), (0.0, False), (np.nan, False), (0.11, True)])
def test_nothing_is_divided_by_noise(limit, defined):
    found = relative_scores(to_table([score("pearson", 0.2), ceiling("pearson", limit, reason="no signal")]))
    assert found["value"].notna().item() is defined
    assert (found["reason"].item() == "") is defined


def test_a_score_without_a_value_gives_its_reason():
    rows = [score("pearson", np.nan, reason="the truth is constant"), ceiling("pearson", 0.5)]
    assert relative_scores(to_table(rows))["reason"].tolist() == ["the truth is constant"]


def test_a_table_without_ceilings_has_no_shares():
    assert relative_scores(to_table([score("pearson", 0.2)])).empty
    assert relative_scores(to_table([])).empty


def test_columns_beside_the_schema_are_kept():
    table = to_table([score("pearson", 0.2), ceiling("pearson", 0.4)]).assign(seconds=[1.0, 2.0])
    assert relative_scores(table)["seconds"].tolist() == [1.0]
