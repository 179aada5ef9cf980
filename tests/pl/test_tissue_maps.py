import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

import stfmkit as sk
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
from stfmkit.pl._style import RIGHT, WRONG


@pytest.fixture
def spots(rng):
    parts = []
    for model in ("m1", "m2", "control:truth"):
        for patient, sample, n in (("P1", "S1", 40), ("P1", "S2", 30), ("P2", "S3", 20)):
            truth = rng.choice(["tumour", "stroma"], n)
            guess = truth.copy() if model == "control:truth" else rng.choice(["tumour", "stroma"], n)
            parts.append(
                pd.DataFrame(
                    {
                        "task": "niche_probe",
                        "contender": model,
                        "patient": patient,
                        "sample": sample,
                        "x": rng.uniform(0, 100, n),
                        "y": rng.uniform(0, 50, n),
                        "truth": truth,
                        "predicted": guess,
                        "score": (truth == guess).astype(float),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def test_right_and_wrong_by_model_and_sample(spots):
    axes = sk.pl.tissue_maps(spots)
    assert axes.shape == (3, 3)  # truth, m1, m2 × S1, S2, S3; controls only when asked for
    for i, model in enumerate(("m1", "m2"), start=1):
        for j, sample in enumerate(("S1", "S2", "S3")):
            mine = spots[(spots["contender"] == model) & (spots["sample"] == sample)]
            drawn = axes[i, j].collections[0]
            assert len(drawn.get_offsets()) == len(mine)
            wrong = (drawn.get_facecolors() == to_rgba(WRONG)).all(axis=1)
            right = (drawn.get_facecolors() == to_rgba(RIGHT)).all(axis=1)
            assert wrong.tolist() == (mine["score"] == 0).tolist()
            assert (wrong ^ right).all()
            assert axes[i, j].get_title() == f"{100 * mine['score'].mean():.0f} % right"
            assert axes[i, j].yaxis_inverted()


def test_truth_row_and_names(spots):
    axes = sk.pl.tissue_maps(spots, samples=["S3", "S1"], contenders=["m2"])
    assert axes.shape == (2, 2)
    assert len(axes[0, 0].collections[0].get_offsets()) == 20
    assert len(np.unique(axes[0, 0].collections[0].get_facecolors(), axis=0)) == 2
    texts = [t.get_text() for ax in axes.ravel() for t in ax.texts]
    assert {"truth", "m2", "P2\nS3", "P1\nS1"} <= set(texts)
    assert not (axes[0, 0].collections[0].get_facecolors() == to_rgba(WRONG)).all(axis=1).any()
    legend = [t.get_text().strip() for t in axes[0, 0].figure.legends[0].get_texts()]
    assert legend == ["stroma", "tumour", "right", "wrong"]


def test_scores_without_labels_share_one_scale(spots, rng):
    spots = spots.assign(truth="", predicted="", score=rng.uniform(-1, 1, len(spots)), task="expression")
    axes = sk.pl.tissue_maps(spots)
    assert axes.shape == (2, 3)
    limits = {ax.collections[0].get_clim() for ax in axes.ravel()}
    assert len(limits) == 1
    shown = axes[0, 0].collections[0].get_array()
    expected = spots[(spots["contender"] == "m1") & (spots["sample"] == "S1")]["score"]
    assert np.asarray(shown) == pytest.approx(expected.to_numpy())


def test_a_model_without_scores_in_a_sample_says_so(spots):
    spots = spots[~((spots["contender"] == "m2") & (spots["sample"] == "S1"))]
    axes = sk.pl.tissue_maps(spots)
    assert axes[2, 0].get_title() == "no score"
    axes[0, 0].figure.canvas.draw()


def test_given_figure_is_used(spots):
    import matplotlib.pyplot as plt

    figure = Figure(layout="constrained")
    axes = sk.pl.tissue_maps(spots, ax=figure.subplots(), panel_size=1.0)
    assert axes[0, 0].figure is figure
    assert plt.get_fignums() == []
    assert figure.get_figwidth() == pytest.approx(3 * 1.0 + 1.3)


def test_hostile_labels_are_drawn(spots):
    axes = sk.pl.tissue_maps(spots.replace({"tumour": "$\\frac{<b>", "S1": "_$", "m1": "$$"}))
    axes[0, 0].figure.canvas.draw()


def test_results_are_taken_too(spots):
    class Holder:
        observations = spots

    assert sk.pl.tissue_maps(Holder()).shape == (3, 3)


@pytest.mark.parametrize(
    ("kwargs", "found"),
    [
        ({"task": "domains"}, "no task named 'domains'"),
        ({"contenders": ["m9"]}, "no contender in task 'niche_probe' named 'm9'"),
        ({"samples": ["S9"]}, "no sample in task 'niche_probe' named 'S9'"),
    ],
)
def test_unknown_names(spots, kwargs, found):
    with pytest.raises(MissingKeyError, match=rf"Found: {found}\.\nAllowed: (?s:.)*Remedy: pass"):
        sk.pl.tissue_maps(spots, **kwargs)


def test_several_tasks_need_a_choice(spots):
    both = pd.concat([spots, spots.assign(task="expression")])
    with pytest.raises(InputError, match=r"the tasks 'expression', 'niche_probe'(?s:.)*pass task="):
        sk.pl.tissue_maps(both)


def test_nothing_to_draw(spots):
    with pytest.raises(InputError, match="no observations"):
        sk.pl.tissue_maps(spots.iloc[:0])
    with pytest.raises(InputError, match="no contender or no sample"):
        sk.pl.tissue_maps(spots, contenders=[])


def test_wrong_input(spots):
    with pytest.raises(InputTypeError, match="observations of type dict"):
        sk.pl.tissue_maps({})
    with pytest.raises(MissingKeyError, match="without the columns 'x', 'score'"):
        sk.pl.tissue_maps(spots.drop(columns=["x", "score"]))
    with pytest.raises(InputError, match="panel_size=0"):
        sk.pl.tissue_maps(spots, panel_size=0)
