"""Stability of ranks over folds and over runs."""

import numpy as np
import pytest

import stfmkit as sk
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit.bm._results import Results


def changed(results, change) -> Results:
    table = results.table.copy()
    table["value"] = change(table)
    return Results(**{**vars(results), "table": table})


def test_folds_of_one_run_written_anew(results):
    found = sk.bm.rank_stability(results, "niche_probe").set_index("contender")
    key = results.meta["tasks"]["niche_probe"]["primary"]
    part = results.table[(results.table["task"] == "niche_probe") & (results.table["metric"] == key["metric"])]
    part = part[(part["setting"] == key["setting"]) & (part["scope"] == key["scope"])]
    wide = part.pivot_table(index="fold", columns="contender", values="value")[list(found.index)]
    ranks = wide.rank(axis=1, ascending=False)
    np.testing.assert_allclose(found["mean_rank"], ranks.mean())
    np.testing.assert_allclose(found["sd_rank"], ranks.std())
    assert found["leads"].sum() == pytest.approx(1)
    assert set(found["over"]) == {"folds"}
    assert set(found["n_repeats"]) == {4}
    assert not any(name.startswith("control:") for name in found.index)


def test_runs_that_agree_and_runs_that_do_not(results):
    same = sk.bm.rank_stability([results, results, results])
    assert set(same["over"]) == {"runs"}
    assert (same["sd_rank"] == 0).all()
    assert same["concordance"].to_numpy() == pytest.approx(1)
    turned = changed(results, lambda table: -table["value"])
    found = sk.bm.rank_stability([results, turned], "niche_probe")
    assert found["concordance"].to_numpy() == pytest.approx(0)
    assert found["leads"].tolist().count(0.5) == 2


def test_lower_is_better_is_turned(results):
    low = sk.bm.rank_stability([results, results], "expression", metric="rmse").set_index("contender")
    ranked = results.rank("expression", "rmse")["contender"].tolist()
    assert low.index[0] == ranked[0]


def test_what_cannot_be_compared_is_refused(results):
    other = Results(**{**vars(results), "table": results.table[results.table["contender"] != "hvg_pca"]})
    with pytest.raises(InputError, match="the same contenders"):
        sk.bm.rank_stability([results, other])
    with pytest.raises(InputError, match="no results"):
        sk.bm.rank_stability([])
    with pytest.raises(MissingKeyError, match="task"):
        sk.bm.rank_stability(results, "nothing")


def test_one_fold_tells_nothing(results):
    one = Results(**{**vars(results), "table": results.table[results.table["fold"] == 0]})
    assert sk.bm.rank_stability(one, "niche_probe").empty
