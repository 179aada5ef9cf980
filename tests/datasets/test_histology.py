"""The H&E-like picture."""

import numpy as np
import pandas as pd
import pytest
from skimage.color import rgb2hed

import stfmkit as sk
from stfmkit.datasets._histology import _stamp


@pytest.fixture(scope="module")
def picture(tissue: object) -> np.ndarray:
    return np.moveaxis(tissue.images["P01_S1_he"].to_numpy(), 0, -1)


def test_picture_is_rgb_in_the_frame_of_its_section(tissue: object, picture: np.ndarray) -> None:
    from spatialdata.transformations import get_transformation

    assert picture.shape == (300, 300, 3)
    assert picture.dtype == np.uint8
    assert tissue.images["P01_S1_he"].coords["c"].to_numpy().tolist() == ["r", "g", "b"]
    matrix = get_transformation(tissue.images["P01_S1_he"], "P01_S1").to_affine_matrix(("x", "y"), ("x", "y"))
    np.testing.assert_array_equal(matrix, np.eye(3))


def test_tissue_is_pink_and_glass_is_white(picture: np.ndarray) -> None:
    assert picture[:4, :4].min() > 225
    middle = picture[100:200, 100:200].reshape(-1, 3).mean(axis=0)
    assert middle[1] < middle[2] < 245
    assert middle[1] < middle[0]


def test_nuclei_are_where_the_cells_are(tissue: object, picture: np.ndarray) -> None:
    table = tissue.tables["cells"]
    xy = table.obsm["spatial"][(table.obs["sample"] == "P01_S1").to_numpy()]
    column, row = np.floor(xy).astype(int).T
    blue = rgb2hed(picture)[..., 0]
    # a shift of the grid by half a cell would lose this
    assert blue[row, column].mean() > 2 * np.abs(blue).mean()
    assert blue[row, column].mean() > blue[column, row].mean() + blue.std() / 2


def test_texture_depends_on_the_type(small: dict) -> None:
    data = sk.datasets.synthetic_cohort(**{**small, "n_patients": 1, "size": 600.0})
    table = data.tables["cells"]
    blue = rgb2hed(np.moveaxis(data.images["P01_S1_he"].to_numpy(), 0, -1))[..., 0]
    column, row = np.clip(np.floor(table.obsm["spatial"]).astype(int).T, 3, 596)
    window = np.stack([blue[row + i, column + j] for i in range(-3, 4) for j in range(-3, 4)], axis=1)
    look = pd.Series(window.mean(axis=1)).groupby(table.obs["cell_type"].to_numpy())
    spread_between, spread_within = look.mean().std(), look.std().mean()
    assert spread_between > 0.5 * spread_within


def test_stain_differs_between_patients(tissue: object) -> None:
    centre = [tissue.images[f"{s}_he"].to_numpy()[:, 80:220, 80:220].mean(axis=(1, 2)) for s in ("P01_S1", "P02_S1")]
    assert np.abs(centre[0] - centre[1]).max() > 2


def test_ellipses_equal_a_plain_loop_over_pixels() -> None:
    rng = np.random.default_rng(0)
    n, edge = 12, 1.5
    xy, angle, strength = rng.uniform(0, 60, size=(n, 2)), rng.uniform(0, np.pi, n), rng.uniform(0.5, 2, n)
    axes = rng.uniform(2, 14, size=(n, 2))
    canvas, expected = np.zeros((2, 50, 60), dtype=np.float32)
    _stamp(canvas, xy, axes, angle=angle, strength=strength, edge=edge)
    for row in range(50):
        for column in range(60):
            for i in range(n):
                x, y = column + 0.5 - xy[i, 0], row + 0.5 - xy[i, 1]
                along = x * np.cos(angle[i]) + y * np.sin(angle[i])
                across = y * np.cos(angle[i]) - x * np.sin(angle[i])
                distance = np.hypot(along / axes[i, 0], across / axes[i, 1])
                value = strength[i] * np.clip(edge * (1 - distance) + 0.5, 0, 1)
                expected[row, column] = max(expected[row, column], value)
    np.testing.assert_allclose(canvas, expected, atol=1e-4)


def test_odd_sizes_are_covered() -> None:
    data = sk.datasets.synthetic_cohort(1, 1, 20, size=201.5, show_progress=False)
    assert data.images["P01_S1_he"].shape == (3, 202, 202)
