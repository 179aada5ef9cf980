"""Ranks and their words, from tables of scores."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from stfmkit.bm.ranking import compare_contenders, pair_table, rank_table
from stfmkit.bm.score_table import TABLE
from stfmkit.evaluation.averages import per_patient


def table(scores: dict[str, list[list[float]]], metric="pearson", **columns) -> pd.DataFrame:
    """Scores by contender: one list for every patient, one number for every sample."""
    rows = [
        {
            "task": "t",
            "metric": metric,
            "contender": m,
            "fold": p,
            "patient": f"P{p}",
            "sample": f"P{p}S{s}",
            "value": v,
            **columns,
        }
        for m, patients in scores.items()
        for p, samples in enumerate(patients)
        for s, v in enumerate(samples)
    ]
    return (
        pd.DataFrame(rows)
        .reindex(columns=list(TABLE))
        .fillna({"gene": "", "niche": "", "setting": "", "scope": "gene", "status": "scored", "reason": ""})
    )


def rank(scores, *, higher=True):
    return rank_table(table(scores), higher_is_better=higher, seed=0).set_index("contender")


def of_patients(values) -> list[list[float]]:
    return [[float(v)] for v in values]


def test_patients_weigh_the_same_whatever_their_samples():
    found = rank({"a": [[1.0, 1.0, 1.0], [0.0]], "b": [[0.0, 0.0, 0.0], [0.5]]})
    assert found.loc["a", "mean"] == 0.5
    assert found.loc["b", "mean"] == 0.25


def test_average_is_gene_then_fold_then_sample_then_patient():
    frame = table({"a": [[1.0, 3.0]]})
    extra = frame.iloc[[0]].assign(gene="G", value=5.0)  # a second gene of the first sample
    other = frame.iloc[[0]].assign(fold=7, value=9.0)  # and a second fold
    found = per_patient(pd.concat([frame, extra, other]))
    assert found["value"].tolist() == [((1 + 5) / 2 + 9) / 2 / 2 + 3 / 2]


def test_six_patients_can_be_told_apart():
    found = rank({"good": [[0.9 + i / 100] for i in range(6)], "bad": [[0.2 + i / 100] for i in range(6)]})
    assert found.loc["good", "verdict"] == "best"
    assert found.loc["bad", "p_value"] == 2 / 64
    assert found.loc["bad", "verdict"] == "worse than the leader"
    assert found.loc["bad", "difference"] == pytest.approx(-0.7)
    assert found.loc["bad", "difference_high"] < 0
    assert found["in_best_set"].to_dict() == {"good": True, "bad": False}
    assert found[["rank_low", "rank_high"]].to_numpy().tolist() == [[1, 1], [2, 2]]


@pytest.mark.parametrize("k", [2, 5, 10])
def test_six_patients_decide_between_any_number_of_contenders(k):
    scores = {f"m{m}": [[1 - m / 10 + i / 100] for i in range(6)] for m in range(k)}
    found = rank(scores)
    assert found["verdict"].tolist() == ["best", *["worse than the leader"] * (k - 1)]
    assert found["p_value"].iloc[1:].tolist() == [2 / 64] * (k - 1)
    assert found["rank_low"].tolist() == found["rank_high"].tolist() == list(range(1, k + 1))


def test_who_leads_is_the_best_only_where_all_others_are_worse():
    scores = {"first": [[0.5 + (i % 2) * 0.2] for i in range(8)], "level": [[0.7 - (i % 2) * 0.21] for i in range(8)]}
    far = {"far": [[0.1 + i / 100] for i in range(8)]}
    found = rank({**scores, **far})
    assert found["verdict"].to_dict() == {
        "first": "leader, not shown better than all", "level": "in the best set", "far": "worse than the leader"
    }  # fmt: skip
    assert found["rank_high"].to_dict() == {"first": 2, "level": 2, "far": 3}
    assert rank({"first": scores["first"], **far}).loc["first", "verdict"] == "best"
    assert rank({"first": scores["first"]}).loc["first", "verdict"] == "only contender"


def test_nothing_is_shown_where_nothing_differs():
    rng = np.random.default_rng(1)
    found = rank({f"m{m}": of_patients(rng.normal(0.5, 0.1, size=6)) for m in range(4)})
    assert found["verdict"].tolist() == ["leader, not shown better than all", *["in the best set"] * 3]
    assert found["in_best_set"].all()
    assert (found["rank_low"] == 1).all()
    assert (found["rank_high"] == 4).all()
    assert (found["detectable"].iloc[1:] > 0.05).all()


@pytest.mark.parametrize(("n", "text"), [(1, "1 patient"), (3, "3 patients"), (5, "5 patients")])
def test_few_patients_cannot_be_tested(n, text):
    found = rank({"a": [[0.9]] * n, "b": [[0.1]] * n})
    assert set(found["verdict"]) == {f"cannot test: {text}"}
    assert found["p_value"].isna().all()
    assert found["detectable"].isna().all()
    assert found["low"].isna().all() == (n < 3)
    assert found["in_best_set"].all()
    assert found["rank_high"].tolist() == [2, 2]


def test_intervals_are_those_of_scipy(rng):
    scores = rng.normal(0.5, 0.1, size=(7, 3))
    found = rank({name: of_patients(scores[:, m]) for m, name in enumerate("abc")})
    lead = "abc".index(found.index[0])
    for name, row in found.iterrows():
        mine = scores[:, "abc".index(name)]
        expected = stats.ttest_1samp(mine, 0).confidence_interval(0.95)
        assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))
        if name != found.index[0]:
            pair = stats.ttest_rel(mine, scores[:, lead]).confidence_interval(1 - 0.05 / 3)
            assert (row["difference_low"], row["difference_high"]) == pytest.approx((pair.low, pair.high))


def test_lower_can_be_better():
    scores = {"a": [[0.9]] * 6, "b": [[0.1]] * 6}
    found = rank(scores, higher=False)
    assert found.index.tolist() == ["b", "a"]
    assert found.loc["a", "wins"] == 0
    assert found.loc["b", ["rank_low", "rank_high"]].tolist() == [1, 1]


def test_turning_the_scores_turns_nothing_else(rng):
    scores = {name: of_patients(rng.normal(0.5, 0.1, size=8)) for name in "abc"}
    turned = {name: [[-v] for (v,) in values] for name, values in scores.items()}
    up, down = rank(scores), rank(turned, higher=False)
    pd.testing.assert_series_equal(up["mean_corrected"], -down["mean_corrected"])
    same = ["p_value", "rank_low", "rank_high", "in_best_set", "detectable", "wins", "verdict"]
    pd.testing.assert_frame_equal(up[same], down[same])


def test_the_mean_of_a_leader_is_corrected_where_others_come_close():
    scores = {"a": of_patients([0.9, 0.2, 0.3, 0.5]), "b": of_patients([0.4, 0.6, 0.3, 0.4])}
    found = rank(scores)
    assert found.loc["a", "mean_corrected"] < found.loc["a", "mean"]
    assert np.isnan(found.loc["b", "mean_corrected"])
    clear = rank({"a": of_patients([0.9, 0.8, 0.85]), "b": of_patients([0.1, 0.2, 0.1])})
    assert clear.loc["a", "mean_corrected"] == pytest.approx(0.85)


def test_patients_without_a_score_are_left_out_for_all():
    found = rank({"a": [[1.0], [0.5], [np.nan]], "b": [[0.4], [0.3], [99.0]]})
    assert found.loc["b", "mean"] == pytest.approx(0.35)
    assert (found["n_patients"] == 2).all()
    assert (found["n_left_out"] == 1).all()


def test_a_model_without_scores_is_listed_and_hides_nobody():
    found = rank({"a": [[1.0], [0.5]], "silent": [[np.nan], [np.nan]], "b": [[1.0], [0.4]]})
    assert found.index.tolist() == ["a", "b", "silent"]
    assert found.loc["silent", "verdict"] == "no score"
    assert not found.loc["silent", "in_best_set"]
    assert pd.isna(found.loc["silent", "rank_low"])
    assert found["n_patients"].tolist() == [2, 2, 0]
    assert (found["n_left_out"] == 0).all()


def test_nobody_has_all_patients():
    assert rank({"a": [[1.0], [np.nan]], "b": [[np.nan], [1.0]]}).empty


def test_controls_are_not_ranked():
    found = rank({"a": [[1.0]], "control:truth": [[2.0]]})
    assert found.index.tolist() == ["a"]
    assert rank({"control:truth": [[2.0]]}).empty


def test_many_patients_are_reproducible(rng):
    scores = {name: of_patients(rng.normal(0.5, 0.1, size=24)) for name in "abc"}
    pd.testing.assert_frame_equal(rank(scores), rank(scores))


def test_compare_is_paired(rng):
    a, b = rng.normal(0.5, 0.1, size=(2, 8))
    frame = table({"a": of_patients(a), "b": of_patients(b), "c": of_patients(a + 5)})
    found = compare_contenders(frame, "a", "b", seed=0)
    expected = stats.ttest_rel(a, b)
    assert found["difference"] == pytest.approx((a - b).mean())
    assert (found["difference_low"], found["difference_high"]) == pytest.approx(tuple(expected.confidence_interval()))
    exact = stats.permutation_test((a - b,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert found["p_value"] == pytest.approx(exact)
    assert found["wins"] == (a > b).sum()
    assert found["detectable"] > 0


def test_compare_of_few_patients_has_an_interval_and_no_p():
    found = compare_contenders(table({"a": [[0.5], [0.7], [0.9]], "b": [[0.1], [0.2], [0.6]]}), "a", "b", seed=0)
    assert found["difference_low"] < 0.4 < found["difference_high"]
    assert np.isnan(found["p_value"])
    assert np.isnan(found["detectable"])
    two = compare_contenders(table({"a": [[0.5], [0.7]], "b": [[0.1], [0.2]]}), "a", "b", seed=0)
    assert np.isnan(two["difference_low"])
    assert compare_contenders(table({"a": [[0.5]]}), "a", "b", seed=0) is None


def test_pairs_and_ranks_tell_the_same(rng):
    frame = table({name: of_patients(rng.normal(0.4 + m / 20, 0.05, size=8)) for m, name in enumerate("abcd")})
    ranks = rank_table(frame, higher_is_better=False, seed=0)
    pairs = pair_table(frame, higher_is_better=False, seed=0)
    assert len(pairs) == 12
    leader = ranks["contender"].iloc[0]
    mine = pairs[pairs["other"] == leader].set_index("contender").loc[ranks["contender"].iloc[1:]]
    same = ["difference", "difference_low", "difference_high", "wins", "n_patients", "p_value", "detectable"]
    pd.testing.assert_frame_equal(mine[same], ranks.iloc[1:].set_index("contender")[same])
    back = pairs.set_index(["other", "contender"]).loc[list(zip(pairs["contender"], pairs["other"], strict=True))]
    np.testing.assert_allclose(pairs["difference"], -back["difference"])
    np.testing.assert_allclose(pairs["p_value"], back["p_value"])
    assert (pairs["wins"].to_numpy() + back["wins"].to_numpy() == 8).all()


def test_pairs_of_few_patients_are_not_tested():
    pairs = pair_table(table({"a": [[0.5], [0.7]], "b": [[0.1], [0.2]]}), higher_is_better=True, seed=0)
    assert pairs[["difference_low", "p_value", "detectable"]].isna().all(axis=None)
    assert pair_table(table({"a": [[0.5]]}), higher_is_better=True, seed=0).empty


def test_interval_holds_the_truth_as_often_as_it_says():
    rng, hits = np.random.default_rng(0), 0
    for _ in range(60):
        found = rank({f"m{m}": of_patients(rng.normal(0.5, 0.2, size=5)) for m in range(5)})
        hits += ((found["low"] <= 0.5) & (found["high"] >= 0.5)).sum()
    assert 0.91 <= hits / 300 <= 0.985
