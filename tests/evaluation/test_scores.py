"""The one table of scores."""

import numpy as np
import pandas as pd
import pytest

from stfmkit.evaluation.scores import SCHEMA, STATUSES, Score, concat_scores, score_table, to_table


def test_a_table_has_all_columns_in_order_and_of_their_types() -> None:
    table = to_table([Score(metric="pearson", value=0.5, scope="gene", gene="A", fold=2)])
    assert list(table.columns) == list(SCHEMA)
    assert table["fold"].dtype == "int64"
    assert table.loc[0, ["metric", "gene", "status", "niche"]].tolist() == ["pearson", "A", "scored", ""]


def test_an_empty_table_has_the_same_columns_and_types() -> None:
    empty, one = to_table([]), to_table([Score(metric="ari", value=1.0, scope="sample")])
    pd.testing.assert_series_equal(empty.dtypes, one.dtypes)
    pd.testing.assert_frame_equal(concat_scores([]), empty)
    pd.testing.assert_frame_equal(concat_scores([empty, one, empty]), one)


@pytest.mark.parametrize(
    ("status", "value", "kept", "reason"),
    [
        ("scored", np.nan, "undefined", "why"),
        ("scored", 0.0, "scored", ""),
        ("ceiling", np.nan, "ceiling", "why"),
        ("of ceiling", np.nan, "of ceiling", "why"),
        ("of ceiling", 0.4, "of ceiling", ""),
    ],
)
def test_what_has_no_value_says_why(status, value, kept, reason) -> None:
    row = to_table([Score(metric="pearson", value=value, scope="gene", status=status, reason="why")]).iloc[0]
    assert (row["status"], row["reason"]) == (kept, reason)
    assert kept in STATUSES


def test_many_rows_at_once_are_those_one_by_one() -> None:
    values, genes = np.array([0.1, np.nan, 0.3]), np.array(["A", "B", "C"])
    found = score_table(metric="pearson", value=values, scope="gene", gene=genes, fold=1, reason="constant")
    expected = to_table(
        Score(metric="pearson", value=v, scope="gene", gene=g, fold=1, reason="constant")
        for v, g in zip(values, genes, strict=True)
    )
    pd.testing.assert_frame_equal(found, expected)


def test_a_column_that_no_table_has_is_refused() -> None:
    with pytest.raises(TypeError, match="flavour"):
        score_table(metric="pearson", value=1.0, flavour="strong")
