import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from stfmkit.pl._style import PALETTE, colours, plain, point_size, style


@pytest.mark.parametrize(
    "name", ["$\\frac{", "a$b$c", "cost $", "\\$x", "_hidden", "line\nbreak", "\x00", "", "x" * 500]
)
def test_any_name_can_be_a_label(name):
    figure = Figure()
    figure.text(0.5, 0.5, plain(name))
    figure.canvas.draw()  # mathtext that does not parse raises here


def test_dollars_are_shown_as_they_are():
    text = Figure().text(0, 0, plain("a$b$c"))
    assert text._preprocess_math(text.get_text()) == ("a$b$c", False)


def test_long_names_keep_both_ends():
    short = plain("sample_with_a_very_long_name_7", longest=12)
    assert len(short) == 12
    assert short.startswith("sample_w")
    assert short.endswith("e_7")


def test_colours_differ():
    assert list(colours(list("abc")).values()) == list(PALETTE[:3])
    assert PALETTE[0] not in colours(list("abc"), but=PALETTE[0]).values()
    many = colours([f"n{i}" for i in range(20)])
    assert len(set(many.values())) == 20


def test_style_is_left_behind():
    before = mpl.rcParams["axes.spines.top"]
    with style():
        assert mpl.rcParams["axes.spines.top"] is False
    assert mpl.rcParams["axes.spines.top"] == before


def test_points_shrink_with_their_number():
    few = point_size(100, width=2, height=2, spread=(10, 10))
    assert PALETTE[0] not in colours(list("abc"), but=PALETTE[0]).values()
    many = point_size(10_000, width=2, height=2, spread=(10, 10))
    assert few > many >= 1
    assert np.isfinite(point_size(1, width=2, height=2, spread=(0, 0)))
    # 30 × 30 points on 2 inches: each has 144 / 30 points of room
    assert point_size(900, width=2, height=2, spread=(1, 1)) == pytest.approx((144 / 30) ** 2)
