"""Polygons of cells."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from stfmkit.datasets._outlines import Outlines, draw_outlines


def scatter(seed: int, n: int = 80) -> Outlines:
    rng = np.random.default_rng(seed)
    xy = rng.uniform(0, 180, size=(n, 2))
    return draw_outlines(rng, xy, rng.uniform(5, 14, size=n))


@given(seed=st.integers(0, 10_000), n=st.integers(2, 120))
@settings(max_examples=30, deadline=None)
def test_polygons_are_valid_and_disjoint(seed: int, n: int) -> None:
    outlines = scatter(seed, n)
    polygons = shapely.polygons(outlines.corners())
    assert shapely.is_valid(polygons).all()
    assert shapely.contains_properly(polygons, shapely.points(outlines.xy)).all()
    first, second = shapely.STRtree(polygons).query(polygons, predicate="intersects")
    assert (first == second).all()


def test_mean_radius_has_the_area_of_the_polygon() -> None:
    outlines = scatter(1)
    area = shapely.area(shapely.polygons(outlines.corners()))
    np.testing.assert_allclose(np.pi * outlines.mean_radius() ** 2, area)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_owner_equals_point_in_polygon(seed: int) -> None:
    outlines = scatter(seed)
    points = np.random.default_rng(seed + 1).uniform(-10, 190, size=(400, 2))
    polygons = shapely.polygons(outlines.corners())
    point, cell = shapely.STRtree(polygons).query(shapely.points(points), predicate="within")
    expected = np.full(len(points), -1)
    expected[point] = cell
    assert np.array_equal(outlines.owner(points), expected)
    assert (expected >= 0).any()


@pytest.mark.parametrize("scale", [0.3, 0.98])
def test_points_fall_inside_the_shrunk_polygon(scale: float) -> None:
    outlines = scatter(2)
    cell = np.repeat(np.arange(80), 30)
    points = outlines.draw_inside(np.random.default_rng(0), cell, np.full(len(cell), scale))
    assert np.array_equal(outlines.owner(points), cell)
    shrunk = shapely.polygons(outlines.xy[:, None] + (scale + 1e-9) * (outlines.corners() - outlines.xy[:, None]))
    assert shapely.covers(shrunk[cell], shapely.points(points)).all()
