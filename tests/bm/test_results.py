"""Ranking, comparing, saving."""

import numpy as np
import pandas as pd
import pytest

from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit.bm._results import Results
from stfmkit.bm.ranking import compare_contenders, rank_table
from stfmkit.bm.score_table import TABLE
from stfmkit.evaluation.averages import per_patient


def table(scores: dict[str, list[list[float]]], metric="pearson") -> pd.DataFrame:
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


def rank(scores, *, higher=True, **kwargs):
    ranks = rank_table(table(scores), higher_is_better=higher, n_boot=2000, seed=0, **kwargs)
    return ranks.set_index("contender")


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
    assert found.loc["bad", "verdict"] == "worse than best"
    assert found.loc["bad", "difference"] == pytest.approx(-0.7)
    assert found.loc["bad", "difference_high"] < 0


def test_many_models_and_six_patients_cannot_reach_significance():
    scores = {f"m{k}": [[1 - k / 10 + i / 100] for i in range(6)] for k in range(4)}
    found = rank(scores)
    assert (found["verdict"] == "cannot test: 6 patients, 3 tests").all()  # nor can the first be called the best
    assert found.loc["m1", "p_holm"] == pytest.approx(3 * 2 / 64)


def test_the_best_mean_is_the_best_only_where_all_others_are_worse():
    scores = {"first": [[0.5 + (i % 2) * 0.2] for i in range(8)], "level": [[0.7 - (i % 2) * 0.21] for i in range(8)]}
    far = {"far": [[0.1 + i / 100] for i in range(8)]}
    assert rank({**scores, **far})["verdict"].to_dict() == {
        "first": "best mean", "level": "indistinguishable from best", "far": "worse than best"
    }  # fmt: skip
    assert rank({"first": scores["first"], **far}).loc["first", "verdict"] == "best"
    assert rank({"first": scores["first"]}).loc["first", "verdict"] == "best mean"


def test_eight_patients_allow_six_comparisons():
    scores = {f"m{k}": [[(i % 2) * 0.9 - k / 1e3] for i in range(8)] for k in range(6)}
    scores["level"] = [[((i + 1) % 2) * 0.9 - 1e-4] for i in range(8)]
    found = rank(scores)
    assert found.loc["m5", "verdict"] == "worse than best"
    assert found.loc["m5", "p_holm"] == pytest.approx(6 * 2 / 2**8)
    assert found.loc["level", "verdict"] == "indistinguishable from best"


@pytest.mark.parametrize(("n", "text"), [(1, "1 patient"), (3, "3 patients"), (5, "5 patients")])
def test_few_patients_cannot_be_tested(n, text):
    found = rank({"a": [[0.9]] * n, "b": [[0.1]] * n})
    assert set(found["verdict"]) == {f"cannot test: {text}"}
    assert found["p_value"].isna().all()
    assert found["low"].isna().all() == (n < 4)


def test_lower_can_be_better():
    found = rank({"a": [[0.9]] * 6, "b": [[0.1]] * 6}, higher=False)
    assert found.index.tolist() == ["b", "a"]
    assert found.loc["a", "wins"] == 0


def test_patients_without_a_score_are_left_out_for_all():
    found = rank({"a": [[1.0], [0.5], [np.nan]], "b": [[0.4], [0.3], [99.0]]})
    assert found.loc["b", "mean"] == pytest.approx(0.35)
    assert (found["n_patients"] == 2).all()


def test_a_model_without_scores_is_listed_and_hides_nobody():
    found = rank({"a": [[1.0], [0.5]], "silent": [[np.nan], [np.nan]]})
    assert found.loc["silent", "verdict"] == "no score"
    assert found.loc["a", "n_patients"] == 2


def test_controls_are_not_ranked():
    found = rank({"a": [[1.0]], "control:truth": [[2.0]]})
    assert found.index.tolist() == ["a"]


def test_compare_is_paired():
    frame = table({"a": [[i + 0.1] for i in range(8)], "b": [[float(i)] for i in range(8)]})
    found = compare_contenders(frame, "a", "b", n_boot=500, seed=0)
    assert found["difference"] == pytest.approx(0.1)
    assert found["difference_low"] == pytest.approx(0.1)
    assert found["wins"] == 8
    assert found["p_value"] == 2 / 256


def test_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        values = rng.normal(0.5, 0.2, size=15)
        found = rank_table(table({"a": [[v] for v in values]}), higher_is_better=True, n_boot=400, seed=trial)
        hits += bool(found["low"].iloc[0] <= 0.5 <= found["high"].iloc[0])
    assert 0.86 <= hits / 200 <= 0.99  # the percentile interval of 15 patients is a little short


class TestSaved:
    def test_round_trip(self, results, tmp_path):
        results.save(tmp_path)
        again = Results.load(tmp_path)
        pd.testing.assert_frame_equal(again.table, results.table)
        pd.testing.assert_frame_equal(again.observations, results.observations)
        assert (again.protocol, again.meta, again.findings) == (results.protocol, results.meta, results.findings)
        pd.testing.assert_frame_equal(again.rank(), results.rank())
        assert pd.read_parquet(tmp_path / "table.parquet").shape == results.table.shape

    def test_nothing_of_others_is_replaced(self, results, tmp_path):
        page = tmp_path / "report.html"
        page.write_text("<html>my own page</html>")
        with pytest.raises(InputError, match="not a report of stfmkit"):
            results.report(page)
        assert page.read_text() == "<html>my own page</html>"
        page.unlink()
        results.report(page)
        results.report(page)  # its own report is made anew
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "table.parquet").write_text("mine")
        with pytest.raises(InputError, match=r"table\.parquet"):
            results.save(tmp_path / "mine")
        results.save(tmp_path / "ours")
        results.save(tmp_path / "ours")

    def test_damage_is_told(self, results, tmp_path):
        results.save(tmp_path)
        path = tmp_path / "table.parquet"
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(InputError, match="damaged"):
            Results.load(tmp_path)
        (tmp_path / "results.json").write_text('{"format": 99}')
        with pytest.raises(InputError, match="format 99"):
            Results.load(tmp_path)
        with pytest.raises(InputError, match="no file"):
            Results.load(tmp_path / "nowhere")

    def test_names_are_suggested(self, results):
        with pytest.raises(MissingKeyError, match="Did you mean 'domains'"):
            results.rank("domain")
        with pytest.raises(MissingKeyError, match="metric"):
            results.rank("domains", "arri")
        with pytest.raises(MissingKeyError, match="Did you mean 'hvg_pca'"):
            results.compare("hvgpca", "coordinates")
        with pytest.raises(InputError, match="n_boot"):
            results.rank(n_boot=1)
        with pytest.raises(InputError, match="neither better high nor low"):
            results.rank("expression", "variance_ratio")

    def test_repr_says_what_it_is(self, results):
        assert "5 contenders, 5 tasks, 4 patients" in repr(results)

    def test_compare_with_place(self, results):
        found = results.compare("hvg_pca", "coordinates", task="niche_probe").iloc[0]
        assert found["difference"] > 0.2
        assert found["wins"] == 4
        assert np.isnan(found["p_value"])
