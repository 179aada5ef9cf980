"""Lattice geometry: invariants, ties, and the geometry of real Visium arrays."""

import anndata
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from stfmkit._kernels._lattice import HEX_NEIGHBORS, SQUARE_NEIGHBORS, Lattice

POINTS = st.integers(0, 2**32 - 1)
PITCH = st.floats(0.5, 500)
ANGLE = st.floats(-180, 180)
ORIGIN = st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))


def scatter(seed: int, pitch: float, n: int = 300) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-8 * pitch, 8 * pitch, size=(n, 2))


def grid(lattice: Lattice, reach: int) -> np.ndarray:
    """Every (row, col) of a hexagonal lattice within `reach`."""
    row, col = np.meshgrid(np.arange(-reach, reach + 1), np.arange(-2 * reach, 2 * reach + 1), indexing="ij")
    even = (row + col) % 2 == 0
    return np.column_stack([row[even], col[even]])


@settings(deadline=None, max_examples=60)
@given(seed=POINTS, pitch=PITCH, angle=ANGLE, origin=ORIGIN)
def test_hexagons_nearest_centre(seed: int, pitch: float, angle: float, origin: tuple[float, float]) -> None:
    lattice = Lattice("hex_gapless", pitch, origin, angle)
    points = scatter(seed, pitch) + origin
    row, col, inside = lattice.assign(points[:, 0], points[:, 1])
    assert inside.all()
    assert ((row + col) % 2 == 0).all()
    own = np.hypot(*(points - lattice.centers(row, col)).T)
    everywhere = grid(lattice, 40)
    nearest, _ = cKDTree(lattice.centers(everywhere[:, 0], everywhere[:, 1])).query(points)
    np.testing.assert_allclose(own, nearest, atol=1e-9 * (pitch + 1e4))
    assert (own <= pitch / np.sqrt(3) + 1e-9 * (pitch + 1e4)).all()


@settings(deadline=None, max_examples=60)
@given(seed=POINTS, pitch=PITCH, share=st.floats(0.05, 1), angle=ANGLE)
def test_circles_hold_what_is_near(seed: int, pitch: float, share: float, angle: float) -> None:
    lattice = Lattice("hex", pitch, (3.0, -2.0), angle, diameter=pitch * share)
    points = scatter(seed, pitch)
    _, _, inside = lattice.assign(points[:, 0], points[:, 1])
    everywhere = grid(lattice, 40)
    nearest, _ = cKDTree(lattice.centers(everywhere[:, 0], everywhere[:, 1])).query(points)
    clear = np.abs(nearest - pitch * share / 2) > 1e-9 * pitch
    np.testing.assert_array_equal(inside[clear], nearest[clear] < pitch * share / 2)


@settings(deadline=None, max_examples=60)
@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40),
    pitch=st.sampled_from([0.1, 0.3, 1 / 3, 2.0, 8.0, 55.0, 100.0]),
)
def test_squares_cover_everything_half_open(values: list[float], pitch: float) -> None:
    x = np.array(values)
    lattice = Lattice("square", pitch)
    row, col, inside = lattice.assign(x, x[::-1])
    assert inside.all()
    assert (col * pitch <= x).all()
    assert (x < (col + 1) * pitch).all()
    assert (row * pitch <= x[::-1]).all()
    assert (x[::-1] < (row + 1) * pitch).all()


@settings(deadline=None, max_examples=40)
@given(seed=POINTS, step=st.tuples(st.integers(-30, 30), st.integers(-30, 30)), angle=ANGLE)
def test_lattice_vector_shifts_indices_only(seed: int, step: tuple[int, int], angle: float) -> None:
    down, right = step
    for lattice in (
        Lattice("hex_gapless", 100.0, angle=angle),
        Lattice("hex", 100.0, angle=angle, diameter=55.0),
        Lattice("square", 100.0, angle=angle),
    ):
        move = (down, 2 * right + down % 2) if lattice.shape != "square" else (down, right)
        vector = (lattice.centers(np.array([move[0]]), np.array([move[1]])) - lattice.centers(*np.zeros((2, 1), int)))[
            0
        ]
        points = scatter(seed, 100.0, n=200)
        row, col, inside = lattice.assign(points[:, 0], points[:, 1])
        moved = lattice.assign(points[:, 0] + vector[0], points[:, 1] + vector[1])
        np.testing.assert_array_equal(moved[0], row + move[0])
        np.testing.assert_array_equal(moved[1], col + move[1])
        np.testing.assert_array_equal(moved[2], inside)


@settings(deadline=None, max_examples=40)
@given(seed=POINTS, angle=ANGLE, shape=st.sampled_from(["hex", "hex_gapless", "square"]))
def test_turned_points_in_turned_lattice(seed: int, angle: float, shape: str) -> None:
    points = scatter(seed, 50.0, n=200)
    turn = np.exp(1j * np.deg2rad(angle))
    turned = (points[:, 0] + 1j * points[:, 1]) * turn
    straight = Lattice(shape, 50.0, diameter=30.0).assign(points[:, 0], points[:, 1])
    slanted = Lattice(shape, 50.0, angle=angle, diameter=30.0).assign(turned.real, turned.imag)
    for one, other in zip(straight, slanted, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("angle", [0, 90, 180, 270, -90, 360])
def test_quarter_turns_are_exact(angle: float) -> None:
    lattice = Lattice("square", 100.0, angle=angle)
    u, v = lattice.local(np.array([3.0]), np.array([4.0]))
    assert {abs(u[0]), abs(v[0])} == {3.0, 4.0}
    expected = (3 + 4j) * (-1j) ** (angle // 90 % 4)
    assert (u[0], v[0]) == (expected.real, expected.imag)


@pytest.mark.parametrize(
    ("x", "y", "cell"),
    [
        (50.0, 0.0, (0, 2)),  # between (0, 0) and (0, 2): larger column
        (-50.0, 0.0, (0, 0)),
        (0.0, 100 / np.sqrt(3), (1, 1)),  # corner of three hexagons: larger row, then larger column
        (100.0, 100 * np.sqrt(3) / 2, (1, 3)),  # between (1, 1) and (1, 3)
    ],
)
def test_ties_of_hexagons(x: float, y: float, cell: tuple[int, int]) -> None:
    row, col, _ = Lattice("hex_gapless", 100.0).assign(np.array([x]), np.array([y]))
    assert (row[0], col[0]) == cell


def test_circle_holds_its_rim() -> None:
    lattice = Lattice("hex", 100.0, diameter=50.0)
    _, _, inside = lattice.assign(np.array([25.0, np.nextafter(25.0, 26), 100.0]), np.zeros(3))
    assert inside.tolist() == [True, False, True]


def test_far_indices_do_not_overflow() -> None:
    row, col, _ = Lattice("hex_gapless", 1e-3).assign(np.array([4e6]), np.array([-4e6]))
    assert row.dtype == col.dtype == np.int64
    assert col[0] == pytest.approx(8e9)
    assert row[0] == pytest.approx(-4e9 / (np.sqrt(3) / 2))


@pytest.mark.parametrize("shape", ["hex", "hex_gapless", "square"])
def test_outline_and_samples_fill_the_spot(shape: str) -> None:
    lattice = Lattice(shape, 100.0, angle=20.0, diameter=55.0)
    polygon = shapely.Polygon(lattice.outline())
    true = {"hex": np.pi * 27.5**2, "hex_gapless": 100 * 100 * np.sqrt(3) / 2, "square": 1e4}[shape]
    assert polygon.area == pytest.approx(true, rel=2e-4)
    samples = lattice.sample_offsets(2.5)
    assert shapely.contains_xy(polygon.buffer(0.2), *samples.T).all()
    width = samples[:, 0].max() - samples[:, 0].min()
    assert len(samples) * 2.5**2 == pytest.approx(true, rel=0.1)
    assert width > 50


@pytest.mark.parametrize(("shape", "steps"), [("hex", HEX_NEIGHBORS), ("square", SQUARE_NEIGHBORS)])
def test_neighbours_are_one_pitch_away(shape: str, steps: tuple[tuple[int, int], ...]) -> None:
    lattice = Lattice(shape, 7.0, angle=11.0, diameter=5.0)
    assert lattice.neighbors == steps
    at = lattice.centers(np.array([2 + r for r, _ in steps]), np.array([4 + c for _, c in steps]))
    np.testing.assert_allclose(np.hypot(*(at - lattice.centers(np.array([2]), np.array([4]))).T), 7.0)


def test_reach_holds_every_cell() -> None:
    points = np.random.default_rng(1).uniform([-300, 40], [500, 900], size=(5000, 2))
    box = (*points.min(axis=0), *points.max(axis=0))
    for shape in ("hex", "hex_gapless", "square"):
        lattice = Lattice(shape, 13.0, (5.0, 6.0), 33.0, 9.0)
        row0, col0, rows, cols = lattice.index_range(box)
        row, col, _ = lattice.assign(points[:, 0], points[:, 1])
        assert row0 < row.min()
        assert row.max() < row0 + rows - 1
        assert col0 + 2 <= col.min()  # room for the neighbours, so that numbers never wrap
        assert col.max() + 2 < col0 + cols


@pytest.mark.real_data
@pytest.mark.parametrize("section", ["151673", "151675"])
def test_geometry_of_visium(real_data, section: str) -> None:
    adata = anndata.read_h5ad(real_data / "dlpfc_visium_151673_151675.h5ad")
    adata = adata[adata.obs["section"].astype(str) == section]
    row, col = (adata.obs[k].to_numpy().astype(float) for k in ("array_row", "array_col"))
    at = np.asarray(adata.obsm["spatial"], dtype=float)
    design = np.column_stack([col, row, np.ones(len(row))])
    (right, down, start), *_ = np.linalg.lstsq(design, at, rcond=None)
    pitch, step = 2 * np.hypot(*right), np.hypot(*down)
    assert step / pitch == pytest.approx(np.sqrt(3) / 2, rel=6e-3)
    assert abs(right @ down) / (pitch / 2 * step) < 2e-3  # rows and columns are perpendicular
    # rows and columns may run either way in the image: mirror so that both axes of the lattice run upwards
    flip = np.array([1.0, np.sign(right[0] * down[1])])
    angle = np.rad2deg(np.arctan2(right[1] * flip[1], right[0]))
    middle = start + 64 * right + 38 * down  # the rows are 0.4 % too far apart: spread that over both halves
    lattice = Lattice("hex", pitch, tuple(middle * flip), float(angle), pitch * 0.55)
    found = lattice.assign(*(at * flip).T)
    for mine, theirs in zip(found, (row, col), strict=False):
        assert len(np.unique(mine - theirs)) == 1
    assert (row[0] - found[0][0], col[0] - found[1][0]) == (38, 64)
    assert found[2].all()
