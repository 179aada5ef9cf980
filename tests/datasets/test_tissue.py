"""Outline, niches and cells."""

import numpy as np
import pytest
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from scipy.stats import chi2_contingency

from stfmkit.datasets._cohort_config import CohortConfig
from stfmkit.datasets._tissue import draw_cells, draw_fields, draw_layout


def configure(**changes: object) -> CohortConfig:
    base = {
        "n_patients": 2,
        "n_sections": 1,
        "n_genes": 40,
        "size": 900.0,
        "cell_density": 2500.0,
        "n_niches": 4,
        "n_cell_types": 6,
        "counts_per_cell": 75.0,
        "patient_effect": 0.2,
        "depth_sigma": 0.4,
        "dropout": 0.1,
        "n_panels": 1,
        "n_controls": 5,
        "seed": 0,
    }
    return CohortConfig(**{**base, **changes})


def grid(size: float, n: int = 120) -> np.ndarray:
    ticks = (np.arange(n) + 0.5) / n * size
    return np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)


def test_fields_have_unit_variance_and_the_asked_length() -> None:
    fields = draw_fields(np.random.default_rng(0), 60, length=50.0)
    xy = np.random.default_rng(1).uniform(0, 2000, size=(1500, 2))
    values = fields(xy)
    assert abs(values.mean()) < 0.1
    assert values.var() == pytest.approx(1, abs=0.1)
    shifted = fields(xy + np.array([50.0, 0.0]))
    assert (values * shifted).mean() == pytest.approx(np.exp(-0.5), abs=0.06)
    assert abs(np.corrcoef(values.T)[np.triu_indices(60, 1)]).max() < 0.3


@given(seed=st.integers(0, 10_000), n_niches=st.integers(2, 6), size=st.floats(250, 2000))
@settings(max_examples=25, deadline=None)
def test_every_niche_has_room_in_every_layout(seed: int, n_niches: int, size: float) -> None:
    layout = draw_layout(configure(seed=seed, n_niches=n_niches, size=size), "P01_S1")
    xy = grid(size)
    inside = layout.inside(xy)
    assert 0.55 < inside.mean() < 0.95
    shares = np.bincount(layout.niche(xy[inside]), minlength=n_niches) / inside.sum()
    assert shares.min() > 0.01
    weights = layout.niche_weights(xy)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    assert np.array_equal(np.argmax(weights, axis=1), layout.niche(xy))


def test_borders_curve() -> None:
    """A straight line between two niches would leave a linear rule without errors."""
    from sklearn.linear_model import LogisticRegression

    layout = draw_layout(configure(n_niches=2, size=1500.0), "P01_S1")
    xy = grid(1500.0)
    xy = xy[layout.inside(xy)]
    niche = layout.niche(xy)
    straight = LogisticRegression(C=1e3, max_iter=1000).fit(xy / 1500, niche).score(xy / 1500, niche)
    assert straight < 0.95


def test_layouts_do_not_repeat() -> None:
    config, xy = configure(), grid(900.0)
    first, second = (draw_layout(config, s).niche(xy) for s in ("P01_S1", "P02_S1"))
    assert (first == second).mean() < 0.5


def test_outline_is_irregular() -> None:
    config, xy = configure(), grid(900.0)
    first, second = (draw_layout(config, s).inside(xy) for s in ("P01_S1", "P02_S1"))
    assert (first != second).any()
    mirrored = first.reshape(120, 120)
    assert (mirrored != mirrored[:, ::-1]).mean() > 0.002


@pytest.mark.parametrize("density", [1000.0, 2500.0, 6000.0])
def test_cells_have_the_asked_density_and_keep_a_distance(density: float) -> None:
    config = configure(cell_density=density)
    layout = draw_layout(config, "P01_S1")
    cells = draw_cells(config, layout, "P01", "P01_S1")
    area = layout.inside(grid(900.0)).mean() * 0.81
    assert len(cells) / area == pytest.approx(density, rel=0.12)
    assert layout.inside(cells.xy).all()
    distance, _ = cKDTree(cells.xy).query(cells.xy, k=2)
    assert distance[:, 1].min() > 0.3 * np.sqrt(1e6 / density)
    assert np.array_equal(cells.niche, layout.niche(cells.xy))


def test_types_depend_on_niches_and_overlap(default_cells: AnnData) -> None:
    import pandas as pd

    table = pd.crosstab(default_cells.obs["niche"], default_cells.obs["cell_type"])
    assert (table > 0).to_numpy().all()
    assert chi2_contingency(table).pvalue < 1e-10
    shares = table.div(table.sum(axis=1), axis=0)
    assert shares.max(axis=1).between(0.25, 0.7).all()
    assert shares.idxmax(axis=1).nunique() == 4


def test_patients_shift_the_composition() -> None:
    def spread(effect: float) -> float:
        shares = []
        for patient in ("P01", "P02"):
            config = configure(patient_effect=effect, size=1500.0)
            cells = draw_cells(config, draw_layout(config, "P01_S1"), patient, "P01_S1")
            shares.append(np.bincount(cells.cell_type, minlength=6) / len(cells))
        return float(np.abs(shares[0] - shares[1]).max())

    assert spread(0.0) == 0
    assert spread(1.0) > 0.05
