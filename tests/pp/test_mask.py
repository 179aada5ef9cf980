"""The computed mask follows the tissue, and nothing else."""

import numpy as np
import pytest
import shapely

from stfmkit._core.errors import InputError
from stfmkit._kernels._lattice import Lattice
from stfmkit.pp._binning.mask import ComputedMask, NoMask, PolygonMask, sample_mask

SQUARE = Lattice("square", 50.0)


def filled(rng: np.random.Generator, box: tuple[float, float, float, float], n: int) -> np.ndarray:
    return rng.uniform(box[:2], box[2:], size=(n, 2))


def test_follows_the_edge(rng: np.random.Generator) -> None:
    points = filled(rng, (0, 0, 600, 400), 8000)
    mask = ComputedMask((0.0, 0.0, 600.0, 400.0))
    mask.add(points[:, 0].copy(), points[:, 1].copy())
    centers = np.array([[300.0, 200.0], [600.0, 200.0], [300.0, 400.0], [640.0, 200.0], [0.0, 0.0]])
    assert mask.share(centers, SQUARE) == pytest.approx([1.0, 0.5, 0.5, 0.0, 0.25], abs=0.12)


def test_gaps_are_closed_and_holes_are_kept(rng: np.random.Generator) -> None:
    points = filled(rng, (0, 0, 1000, 600), 12_000)
    gap = np.abs(points[:, 0] - 300) < 35
    hole = np.hypot(points[:, 0] - 700, points[:, 1] - 300) < 150
    points = points[~gap & ~hole]
    mask = ComputedMask((0.0, 0.0, 1000.0, 600.0))
    mask.add(points[:, 0].copy(), points[:, 1].copy())
    share = mask.share(np.array([[300.0, 300.0], [700.0, 300.0]]), SQUARE)
    assert share.tolist() == [1.0, 0.0]


def test_stray_molecules_are_no_tissue(rng: np.random.Generator) -> None:
    points = np.vstack([filled(rng, (0, 0, 300, 300), 3000), [[800.0, 100.0], [805.0, 104.0]]])
    mask = ComputedMask((0.0, 0.0, 900.0, 300.0))
    mask.add(points[:, 0].copy(), points[:, 1].copy())
    share = mask.share(np.array([[150.0, 150.0], [802.0, 102.0]]), SQUARE)
    assert share.tolist() == [1.0, 0.0]


def test_order_does_not_matter(rng: np.random.Generator) -> None:
    points = filled(rng, (0, 0, 300, 300), 500)
    centers = filled(rng, (-50, -50, 350, 350), 60)
    shares = []
    for parts in (1, 7):
        mask = ComputedMask((0.0, 0.0, 300.0, 300.0))
        for part in np.array_split(points[:: 1 if parts == 1 else -1], parts):
            mask.add(part[:, 0].copy(), part[:, 1].copy())
        shares.append(mask.share(centers, SQUARE))
    np.testing.assert_array_equal(*shares)


def test_polygon_is_exact() -> None:
    polygon = shapely.box(0, 0, 100, 100)
    share = PolygonMask(polygon).share(np.array([[50.0, 50.0], [100.0, 50.0], [110.0, 50.0], [200.0, 50.0]]), SQUARE)
    assert share == pytest.approx([1.0, 0.5, 0.3, 0.0])
    corner = PolygonMask(polygon).share(np.array([[0.0, 50.0]]), Lattice("hex", 100.0, diameter=55.0))
    assert corner == pytest.approx([0.5])


def test_choice_of_mask() -> None:
    box = (0.0, 0.0, 10.0, 10.0)
    assert isinstance(sample_mask(None, "s", box), NoMask)
    assert isinstance(sample_mask("computed", "s", box), ComputedMask)
    assert isinstance(sample_mask({"s": shapely.box(0, 0, 1, 1)}, "s", box), PolygonMask)
    with pytest.raises(InputError, match="50 × 50 mm"):
        ComputedMask((0.0, 0.0, 1e6, 1e6))
