"""The one table of scores."""

import pandas as pd

from stfmkit.evaluation.scores import SCHEMA, Score, to_table


def test_a_table_has_all_columns_in_order_and_of_their_types() -> None:
    table = to_table([Score(metric="pearson", value=0.5, scope="gene", gene="A", fold=2)])
    assert list(table.columns) == list(SCHEMA)
    assert table["fold"].dtype == "int64"
    assert table.loc[0, ["metric", "gene", "status", "niche"]].tolist() == ["pearson", "A", "scored", ""]


def test_an_empty_table_has_the_same_columns_and_types() -> None:
    empty, one = to_table([]), to_table([Score(metric="ari", value=1.0, scope="sample")])
    pd.testing.assert_series_equal(empty.dtypes, one.dtypes)
