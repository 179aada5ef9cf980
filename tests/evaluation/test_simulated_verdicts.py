"""A small run of the committed simulation: bounds that chance of this many replicates leaves room for."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
REPLICATES = 80


@pytest.fixture(scope="module")
def script():
    spec = spec_from_file_location("simulate_verdicts", ROOT / "benchmarks" / "simulate_verdicts.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def found(script) -> pd.DataFrame:
    return script.simulate(REPLICATES, sizes=((4, 6, 12), (2, 6)), kinds=("normal", "lognormal", "missing"), seed=1)


def test_every_case_has_all_replicates(found):
    assert len(found) == 3 * 3 * 2
    assert (found["replicates"] == REPLICATES).all()


@pytest.mark.parametrize("what", ["false_verdict", "false_decision", "false_decision_apart"])
def test_false_decisions_are_rare(found, what):
    assert found[what].mean() <= 0.05
    assert found[what].max() <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / REPLICATES)


def test_four_patients_are_never_tested(found):
    few = found[found["patients"] == 4]
    assert (few[["false_decision", "power"]] == 0).all(axis=None)


@pytest.mark.parametrize("what", ["cover_mean", "cover_pair", "cover_all", "cover_ranks", "best_in_set"])
def test_intervals_hold_the_truth(found, what):
    assert found[what].mean() >= 0.93
    assert found[what].min() >= 0.95 - 4 * np.sqrt(0.05 * 0.95 / REPLICATES)


def test_the_first_version_did_not(found):
    assert found.loc[found["patients"] == 4, "first_cover_mean"].mean() < 0.87
    assert found.loc[found["contenders"] == 6, "first_cover_all"].mean() < 0.75


def test_more_patients_find_more(found):
    power = found.pivot_table(index="patients", columns="contenders", values="power")
    assert (power.diff().iloc[1:] > 0).all(axis=None)
    assert power.loc[12, 2] > 0.6
    assert found.loc[(found["patients"] == 6) & (found["contenders"] == 6), "first_power"].max() == 0


def test_most_of_the_winners_curse_is_gone(found):
    many = found[found["contenders"] == 6]
    assert many["curse"].mean() > 0.01
    assert abs(many["curse_corrected"].mean()) < 0.4 * many["curse"].mean()


def test_the_model_of_scores_is_as_stated(script):
    rng = np.random.default_rng(0)
    for kind in ("normal", "lognormal"):
        cohorts = [script.draw_cohort(rng, kind=kind, n=8, k=4, effect=0.1) for _ in range(600)]
        means = np.array([[s.mean(axis=0) for s in scores] for scores in cohorts])
        assert means[..., 0].mean() - means[..., 1].mean() == pytest.approx(0.1, abs=0.003)
        gaps = means[..., 1] - means[..., 2]
        slides = 0.02**2 * (1 / 2 + 1 / 3) / 2
        assert gaps.std() == pytest.approx(np.sqrt(2 * (0.03**2 + slides)), rel=0.06)
        assert means[..., 1].std() == pytest.approx(np.sqrt(0.08**2 + 0.03**2 + slides), rel=0.05)


def test_figure_and_table_are_written(script, found, tmp_path):
    table = pd.concat([found, found.assign(contenders=8), found.assign(contenders=20), found.assign(contenders=5)])
    script.draw_figure(table, tmp_path / "verdicts.svg")
    assert (tmp_path / "verdicts.svg").read_text().count("<path") > 30
    assert set(script.COLUMNS) <= set(found.columns)


def test_the_table_of_the_docs_keeps_what_the_page_promises():
    """The full run, as committed; an error of the limits by chance alone is allowed for (500 replicates)."""
    table = pd.read_csv(ROOT / "docs" / "certainty" / "verdicts.csv")
    assert (table["replicates"] >= 500).all()
    chance = np.sqrt(0.05 * 0.95 / 500)
    tested = table[table["patients"] >= 6]
    for kind, most in {"normal": 0.05, "lognormal": 0.05, "missing": 0.05, "hetero": 0.085}.items():
        mine = tested[tested["kind"] == kind]
        for what in ("false_verdict", "false_decision", "false_decision_apart"):
            assert mine[what].mean() <= most, (kind, what)
            assert mine[what].max() <= most + 3 * chance, (kind, what)
    for what in ("cover_mean", "cover_pair", "cover_all", "cover_ranks"):
        assert table[what].mean() >= 0.94, what
        assert table[what].min() >= 0.94 - 4 * chance, what
    assert table["curse_corrected"].abs().max() <= 0.006
    assert (tested["first_false_verdict"] > 0.085).any()
