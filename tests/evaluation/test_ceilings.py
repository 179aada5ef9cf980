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


def test_a_score_meets_its_own_ceiling():
    table = to_table(
        [
            score("adjusted_jaccard", 0.2, setting="n=10"),
            score("adjusted_jaccard", 0.2, setting="n=10", sample="A2"),
            score("adjusted_jaccard", -0.1, setting="n=10", contender="b"),
            score("adjusted_jaccard", 0.3, setting="n=10", gene="G2"),
            score("adjusted_jaccard", np.nan, setting="n=10", contender="c", reason="no gene marks this niche"),
            score("adjusted_jaccard", 0.3, setting="n=20"),
            score("dice", 0.9, setting="n=10"),
            ceiling("adjusted_jaccard", 0.4, setting="n=10"),
            ceiling("adjusted_jaccard", 0.1, setting="n=10", sample="A2"),
        ]
    )
    found = relative_scores(table)
    assert list(found) == list(SCHEMA)
    assert set(found["metric"]) == {"adjusted_jaccard"}
    assert set(found["setting"]) == {"n=10"}
    assert set(found["status"]) == {"of ceiling"}
    rows = found.set_index(["contender", "sample", "gene"])
    assert rows.loc[("a", "A1", "G1"), "value"] == pytest.approx(0.5)
    assert rows.loc[("a", "A2", "G1"), "value"] == pytest.approx(2.0)
    assert rows.loc[("b", "A1", "G1"), "value"] == pytest.approx(-0.25)
    assert np.isnan(rows.loc[("a", "A1", "G2"), "value"])
    assert "ceiling" in rows.loc[("a", "A1", "G2"), "reason"]
    assert rows.loc[("c", "A1", "G1"), "reason"] == "no gene marks this niche"


@pytest.mark.parametrize(
    ("metric", "limit", "defined"),
    [
        ("adjusted_jaccard", 0.099, False),
        ("adjusted_jaccard", -0.3, False),
        ("adjusted_jaccard", np.nan, False),
        ("adjusted_jaccard", 0.11, True),
        ("pearson", 0.3, False),
        ("pearson", 0.33, True),
    ],
)
def test_nothing_is_divided_by_noise(metric, limit, defined):
    found = relative_scores(to_table([score(metric, 0.2), ceiling(metric, limit)]))
    assert found["value"].notna().item() is defined
    assert (found["reason"].item() == "") is defined


def test_a_table_without_ceilings_has_no_shares():
    assert relative_scores(to_table([score("pearson", 0.2)])).empty
    assert relative_scores(to_table([])).empty


def test_columns_beside_the_schema_are_kept():
    table = to_table([score("pearson", 0.2), ceiling("pearson", 0.4)]).assign(seconds=[1.0, 2.0])
    assert relative_scores(table)["seconds"].tolist() == [1.0]
