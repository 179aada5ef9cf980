import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stfmkit as sk
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
from stfmkit.pl._critical_difference import _level
from stfmkit.pl._style import PALETTE


def _ranks(ranks=(1.2, 2.0, 2.9, 3.9), limit=1.0):
    names = [f"m{i}" for i in range(len(ranks))]
    return pd.DataFrame(
        {"contender": names, "mean_rank": ranks, "critical_difference": limit, "n_patients": 8, "n_tasks": 3}
    )


def _bars(ax):
    return [tuple(line.get_xdata()) for line in ax.lines if line.get_color() == PALETTE[0]]


def test_bars_join_those_not_told_apart():
    ax = sk.pl.critical_difference(_ranks())
    bars = _bars(ax)
    assert [round(start, 1) for start, _ in bars] == [1.2, 2.0, 2.9]
    assert [round(end, 1) for _, end in bars] == [2.0, 2.9, 3.9]
    assert _bars(sk.pl.critical_difference(_ranks(limit=0.5))) == []
    (whole,) = _bars(sk.pl.critical_difference(_ranks(limit=3.0)))
    assert whole[0] < 1.2 < 3.9 < whole[1]


def test_every_contender_has_a_dot_and_a_name():
    ax = sk.pl.critical_difference(_ranks().sample(frac=1, random_state=0))
    dots = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
    assert sorted(dots) == [1.2, 2.0, 2.9, 3.9]
    texts = [text.get_text() for text in ax.texts]
    assert {"m0  1.20", "m1  2.00", "2.90  m2", "3.90  m3", "critical difference 1.00"} <= set(texts)
    assert ax.get_title(loc="left") == "Mean rank over 3 tasks and 8 patients (1 is the best)"


def test_results_are_asked(results_of_ranks):
    ax = sk.pl.critical_difference(results_of_ranks)
    assert len(_bars(ax)) == 3


@pytest.fixture
def results_of_ranks():
    class Asked:
        def rank_over_tasks(self):
            return _ranks()

    return Asked()


def test_few_patients_have_no_bars():
    ax = sk.pl.critical_difference(_ranks(limit=np.nan))
    assert _bars(ax) == []
    assert "too few patients" in ax.get_title(loc="left")


def test_two_that_are_level():
    (bar,) = _bars(sk.pl.critical_difference(_ranks(ranks=(1.5, 1.5))))
    assert bar[0] < 1.5 < bar[1]


def test_names_are_shown_as_they_are():
    ax = sk.pl.critical_difference(_ranks().assign(contender=["$a$", "b" * 90, "c", "d"]))
    ax.figure.canvas.draw()
    assert all(len(text.get_text()) < 60 for text in ax.texts)


def test_on_axes_of_the_caller_and_into_a_file(tmp_path):
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    assert sk.pl.critical_difference(_ranks(), ax=ax, save=tmp_path / "ranks.svg") is ax
    assert (tmp_path / "ranks.svg").stat().st_size > 1000


def test_wrong_input_is_told():
    with pytest.raises(InputError, match="two or more tasks"):
        sk.pl.critical_difference(_ranks().iloc[:0])
    with pytest.raises(MissingKeyError, match="mean_rank"):
        sk.pl.critical_difference(_ranks().drop(columns="mean_rank"))
    with pytest.raises(InputTypeError, match="of type int"):
        sk.pl.critical_difference(3)


@given(st.lists(st.integers(0, 30), min_size=2, max_size=9), st.integers(0, 12))
def test_bars_say_for_every_pair_whether_it_was_told_apart(places, limit):
    ranks = np.sort(np.array(places) / 3)
    runs = _level(ranks, limit / 3)
    for i in range(len(ranks)):
        for j in range(i + 1, len(ranks)):
            joined = any(start <= i and j <= end for start, end in runs)
            assert joined == (ranks[j] - ranks[i] <= limit / 3 + 1e-9)
