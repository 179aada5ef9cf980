"""Saving, loading, and ranking what was saved."""

import numpy as np
import pandas as pd
import pytest

import stfmkit as sk
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit.bm._results import Results


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
        with pytest.raises(InputError, match="no file"):
            Results.load(tmp_path / "nowhere")

    def test_names_are_suggested(self, results):
        with pytest.raises(MissingKeyError, match="Did you mean 'domains'"):
            results.rank("domain")
        with pytest.raises(MissingKeyError, match="metric"):
            results.rank("domains", "arri")
        with pytest.raises(MissingKeyError, match="Did you mean 'hvg_pca'"):
            results.compare("hvgpca", "coordinates")
        with pytest.raises(InputError, match="neither better high nor low"):
            results.rank("expression", "variance_ratio")

    def test_repr_says_what_it_is(self, results):
        assert "5 contenders, 5 tasks, 4 patients" in repr(results)

    def test_compare_with_place(self, results):
        found = results.compare("hvg_pca", "coordinates", task="niche_probe").iloc[0]
        assert found["difference"] > 0.2
        assert found["wins"] == 4
        assert np.isnan(found["p_value"])

    def test_pairs_of_all_tasks(self, results):
        found = results.pairs()
        assert set(found["task"]) == set(results.rank()["task"])
        one = found[(found["task"] == "niche_probe") & (found["contender"] == "hvg_pca")]
        row = one.set_index("other").loc["coordinates"]
        assert row["difference"] == results.compare("hvg_pca", "coordinates", task="niche_probe")["difference"].iloc[0]
        with pytest.raises(InputError, match="neither better high nor low"):
            results.pairs("expression", "variance_ratio")


def test_hvg_pca_beats_coordinates_where_six_patients_agree():
    """The smallest cohort of six patients in which it wins in all of them: decided, at the smallest p there is."""
    from tests.bm.conftest import make_cohort, make_protocol

    found = sk.bm.run(
        make_cohort(n_patients=6, per_patient=60),
        ["hvg_pca", "coordinates", "library_size", "random"],
        tasks=["niche_probe"],
        protocol=make_protocol(split=sk.pp.PatientKFold(3)),
        show_progress=False,
    )
    ranks = found.rank().set_index("contender")
    assert ranks.loc["hvg_pca", "verdict"] == "best"
    assert ranks.loc["coordinates", ["wins", "p_value", "verdict"]].tolist() == [0, 2 / 64, "worse than the leader"]
    pair = found.pairs().set_index(["contender", "other"]).loc[("library_size", "random")]
    assert pair["p_value"] > 0.05  # of these two nothing is known, and nothing is said
    assert pair["detectable"] > abs(pair["difference"])
