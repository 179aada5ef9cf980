from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import stfmkit as sk
from stfmkit._core.errors import InputError, MissingKeyError

CONTENDERS = {"good": 0.8, "fair": 0.6, "poor": 0.2, "control:truth": 1.0, "control:mean": 0.1}

KEY = {"metric": "f1", "setting": "", "scope": ""}


def _table(n_patients=4, metrics=("f1",)):
    rows = [
        ("probe", metric, name, 0, f"P{p}", f"S{p}", score + 0.01 * p, "abc")
        for metric in metrics
        for name, score in CONTENDERS.items()
        for p in range(n_patients)
    ]
    columns = ["task", "metric", "contender", "fold", "patient", "sample", "value", "protocol_id"]
    return pd.DataFrame(rows, columns=columns)


def _points(ax):
    return np.concatenate([c.get_offsets() for c in ax.collections if len(c.get_offsets())])


def test_one_point_per_contender_and_patient():
    table = _table()
    ax = sk.pl.benchmark(table, task="probe")
    points = _points(ax)
    assert len(points) == 4 * len(CONTENDERS)
    assert sorted(points[:, 0]) == pytest.approx(sorted(table["value"]))


def test_best_on_top_and_controls_below():
    ax = sk.pl.benchmark(_table(), task="probe")
    assert [t.get_text() for t in ax.get_yticklabels()] == ["good", "fair", "poor", "control:truth", "control:mean"]
    assert ax.yaxis_inverted()
    legend = [t.get_text().strip() for t in ax.get_legend().get_texts()]
    assert legend == ["P0", "P1", "P2", "P3"]


def test_results_give_metric_direction_chance_and_interval():
    def rank(*, task, metric, setting, scope):
        assert (task, metric, setting, scope) == ("probe", "f1", "", "")
        return pd.DataFrame({"contender": ["good"], "mean": [0.7], "low": [0.5], "high": [0.9]})

    results = SimpleNamespace(
        table=_table(metrics=("f1", "accuracy")),
        rank=rank,
        meta={
            "tasks": {"probe": {"primary": KEY}},
            "metrics": [{**KEY, "status": "scored", "title": "macro-F1", "higher_is_better": True, "chance": 0.25}],
        },
    )
    ax = sk.pl.benchmark(results, task="probe")
    assert ax.get_xlabel() == "macro-F1 (higher is better)"
    lines = [tuple(np.round(line.get_xdata(), 6)) for line in ax.lines]
    assert (0.5, 0.9) in lines  # interval
    assert (0.7, 0.7) in lines  # its mean, not the mean of the points
    assert (0.25, 0.25) in lines
    texts = [t.get_text() for t in ax.texts]
    assert "chance" in texts
    assert "protocol abc" in texts


def test_lower_is_better_turns_the_order():
    results = SimpleNamespace(
        table=_table(), meta={"metrics": [{**KEY, "status": "scored", "higher_is_better": False}]}
    )
    ax = sk.pl.benchmark(results, task="probe", metric="f1")
    assert [t.get_text() for t in ax.get_yticklabels()][:3] == ["poor", "fair", "good"]
    assert ax.get_xlabel() == "f1 (lower is better)"


def test_draws_on_given_axes_without_pyplot_figures():
    import matplotlib.pyplot as plt

    figure = Figure()
    ax = figure.subplots()
    assert sk.pl.benchmark(_table(), task="probe", ax=ax) is ax
    assert plt.get_fignums() == []
    figure.canvas.draw()


def test_many_patients_have_no_legend():
    ax = sk.pl.benchmark(_table(n_patients=12), task="probe")
    assert ax.get_legend() is None
    assert len(_points(ax)) == 12 * len(CONTENDERS)


def test_hostile_names_are_drawn():
    table = _table().replace({"good": "$\\frac{", "P0": "_<script>", "P1": "a$b$"})
    ax = sk.pl.benchmark(table, task="probe")
    ax.figure.canvas.draw()
    assert len(ax.get_legend().get_texts()) == 4


def test_the_callers_settings_survive():
    with mpl.rc_context({"axes.spines.top": True, "font.size": 17}):
        before = dict(mpl.rcParams)
        sk.pl.benchmark(_table(), task="probe")
        assert dict(mpl.rcParams) == before


def test_unknown_task_suggests_the_nearest():
    with pytest.raises(MissingKeyError, match=r"'prob'.*(?s:.)*Allowed: 'probe'(?s:.)*Did you mean 'probe'"):
        sk.pl.benchmark(_table(), task="prob")


def test_unknown_metric():
    with pytest.raises(MissingKeyError, match=r"no metric of task 'probe' named 'f2'"):
        sk.pl.benchmark(_table(), task="probe", metric="f2")


def test_ambiguous_metric():
    with pytest.raises(InputError, match=r"'accuracy', 'f1'(?s:.)*Remedy: pass metric="):
        sk.pl.benchmark(_table(metrics=("f1", "accuracy")), task="probe")


def test_protocols_are_never_mixed():
    table = pd.concat([_table(), _table().assign(protocol_id="xyz")])
    with pytest.raises(InputError, match=r"2 protocols: 'abc', 'xyz'"):
        sk.pl.benchmark(table, task="probe")


def test_settings_are_told_apart():
    linear, knn = (_table().assign(setting=f"probe={probe}", value=value) for probe, value in (("a", 0.1), ("b", 0.9)))
    table = pd.concat([linear, knn])
    with pytest.raises(InputError, match=r"'f1' of task 'probe' without a setting"):
        sk.pl.benchmark(table, task="probe")
    ax = sk.pl.benchmark(table, task="probe", setting="probe=b")
    assert (_points(ax)[:, 0] == 0.9).all()


def test_the_figure_is_saved(tmp_path):
    sk.pl.benchmark(_table(), task="probe", save=tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 1000
