"""Mean ranks over tasks: what is compared, and what is said."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from stfmkit.bm.over_tasks import mean_rank_table


def frame(scores) -> pd.DataFrame:
    return pd.DataFrame(scores, index=[f"P{p}" for p in range(len(next(iter(scores.values()))))])


def ordered(n=6, names="abc", seed=0):
    noise = np.random.default_rng(seed).normal(0, 0.01, size=(n, len(names)))
    return frame({name: 0.9 - m / 10 + noise[:, m] for m, name in enumerate(names)})


def test_mean_ranks_by_hand():
    one, two = frame({"a": [3.0, 3.0], "b": [2.0, 1.0]}), frame({"a": [30.0, 1.0], "b": [20.0, 2.0]})
    found = mean_rank_table({"one": one, "two": two}, seed=0).set_index("contender")
    assert found["mean_rank"].to_dict() == {"a": 1.25, "b": 1.75}
    assert set(found["verdict"]) == {"cannot test: 2 patients"}
    assert found["n_patients"].tolist() == [2, 2]
    assert found["critical_difference"].isna().all()


def test_an_order_that_all_patients_share_is_decided():
    found = mean_rank_table({"one": ordered(), "two": ordered(seed=1)}, seed=0)
    assert found["contender"].tolist() == ["a", "b", "c"]
    assert found["verdict"].tolist() == ["best", "worse than the leader", "worse than the leader"]
    assert found["p_value"].iloc[1:].tolist() == [2 / 64] * 2
    assert (found["critical_difference"] < 1).all()
    assert (found["friedman_p"] < 0.01).all()
    assert set(found["tasks"]) == {"one, two"}


def test_pairs_further_apart_than_the_critical_difference_are_those_told_apart():
    rng = np.random.default_rng(4)
    tasks = {t: frame({m: rng.normal(0.3 * i, 1, size=9) for i, m in enumerate("abcde")}) for t in ("x", "y", "z")}
    found = mean_rank_table(tasks, seed=0)
    behind = found["mean_rank"].iloc[1:] - found["mean_rank"].iloc[0]
    np.testing.assert_array_equal(behind > found["critical_difference"].iloc[0], found["p_value"].iloc[1:] < 0.05)


def test_who_does_not_take_part_everywhere_is_left_out():
    tasks = {"one": ordered(names="abcd"), "two": ordered(names="abc"), "three": ordered(names="xy")}
    found = mean_rank_table(tasks, seed=0)
    assert set(found["contender"]) == {"a", "b", "c"}
    assert found["n_tasks"].tolist() == [2, 2, 2]
    lacks = {"d": ["two", "three"], "x": ["one", "two"], "y": ["one", "two"]}
    assert found.attrs["left_out"] == lacks
    assert mean_rank_table({"one": ordered(), "two": ordered()}, seed=0).attrs["left_out"] == {}


def test_only_patients_with_all_scores_count():
    two = ordered()
    two.loc["P3", "b"] = np.nan
    assert set(mean_rank_table({"one": ordered(), "two": two}, seed=0)["n_patients"]) == {5}


@pytest.mark.parametrize("tasks", [{}, {"one": ordered()}, {"one": ordered(names="a"), "two": ordered(names="a")}])
def test_nothing_to_compare(tasks):
    assert mean_rank_table(tasks, seed=0).empty


def test_of_a_run_by_ranks_written_anew(results):
    found = results.rank_over_tasks().set_index("contender")
    ranks = []
    for task in found["tasks"].iloc[0].split(", "):
        key = results.meta["tasks"][task]["primary"]
        part = results.table[(results.table["task"] == task) & results.table["contender"].isin(found.index)]
        part = part[(part["metric"] == key["metric"]) & (part["setting"] == key["setting"])]
        part = part[(part["scope"] == key["scope"]) & part["status"].isin(["scored", "undefined"])]
        wide = part.pivot_table(index="patient", columns="contender", values="value")[list(found.index)]
        ranks.append(stats.rankdata(-wide.to_numpy(), axis=1))
    np.testing.assert_allclose(found["mean_rank"], np.mean(ranks, axis=(0, 1)))
    assert len(found) == 4
    assert set(found["verdict"]) == {"cannot test: 4 patients"}
