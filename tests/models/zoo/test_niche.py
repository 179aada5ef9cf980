"""Niches by radius and by number, against a plain loop."""

import numpy as np
import pytest
from scipy import sparse
from scipy.spatial.distance import cdist

from stfmkit.errors import UnitsError
from stfmkit.models.zoo._niche import niche_members, niche_radius, niche_tokens


def radius_by_loop(coords: np.ndarray, most: int) -> float:
    """Return the radius as its definition says, one step after the other."""
    away, radius = cdist(coords, coords), 0.0
    while (away < radius).sum(axis=1).max() <= most:
        radius += 0.1
    return radius - 0.1


@pytest.mark.parametrize("most", [1, 2, 5, 20])
@pytest.mark.parametrize("kind", ["scattered", "lattice", "tight"])
def test_radius_is_that_of_the_definition(most: int, kind: str) -> None:
    draw = np.random.default_rng(most)
    coords = draw.uniform(0, 60, size=(80, 2))
    if kind == "lattice":
        coords = np.stack(np.meshgrid(np.arange(10.0), np.arange(8.0)), axis=-1).reshape(-1, 2) * 3
    if kind == "tight":
        coords /= 500
    assert niche_radius(coords, most=most) == radius_by_loop(coords, most)


@pytest.mark.parametrize("nearest", [False, True])
def test_members_are_those_of_the_definition(nearest: bool) -> None:
    draw = np.random.default_rng(0)
    coords, samples = draw.uniform(0, 80, size=(90, 2)), draw.integers(0, 3, size=90)
    center, member = niche_members(coords, samples, most=6, nearest=nearest)
    for row in range(90):
        rows = np.flatnonzero(samples == samples[row])
        away = np.linalg.norm(coords[rows] - coords[row], axis=1)
        wanted = rows[np.argsort(away)[:6]] if nearest else rows[away <= radius_by_loop(coords[rows], 6)]
        np.testing.assert_array_equal(member[center == row], np.sort(wanted))


@pytest.mark.parametrize("nearest", [False, True])
def test_a_small_sample_is_one_niche(nearest: bool) -> None:
    coords = np.random.default_rng(0).uniform(0, 9, size=(4, 2))
    center, member = niche_members(coords, np.zeros(4, dtype=int), most=6, nearest=nearest)
    np.testing.assert_array_equal(center, np.repeat(np.arange(4), 4))
    np.testing.assert_array_equal(member, np.tile(np.arange(4), 4))


def test_tiny_steps_are_refused() -> None:
    coords = np.random.default_rng(0).uniform(0, 1e9, size=(40, 2))
    with pytest.raises(UnitsError, match=r"a niche of 5 cells that is .* units wide"):
        niche_radius(coords, most=5)


def test_tokens_are_genes_then_ligands_of_members() -> None:
    values = sparse.csr_array(np.array([[1.0, 0, 2, 3], [0, 0, 0, 0], [4, 5, 0, 0], [0, 0, 7, 0]]))
    pairs = (np.array([0, 0, 1, 2, 3, 3]), np.array([0, 2, 1, 2, 0, 3]))
    ids, ligands = np.array([10, 20, 30, 40]), np.array([True, True, False, False])
    found = niche_tokens(values, ids, ligands, pairs)
    assert found.indptr.tolist() == [0, 6, 6, 10, 12]
    assert found.ids.tolist() == [10, 30, 40, 10, 10, 20, 10, 20, 10, 20, 30, 10]
    assert found.values.tolist() == [1, 2, 3, 1, 4, 5, 4, 5, 4, 5, 7, 1]
    assert found.rows["n_center"].tolist() == [3, 0, 2, 1]
    np.testing.assert_allclose(np.exp(found.rows["log_share"]), [0.5, 1, 1, 0.5])
    assert found.rows["empty"].tolist() == [False, True, False, False]


def test_without_pairs_there_are_only_genes() -> None:
    values = sparse.csr_array(np.array([[1.0, 2.0], [0.0, 3.0]]))
    found = niche_tokens(values, np.array([4, 5]), np.array([True, True]), None)
    assert found.ids.tolist() == [4, 5, 5]
    assert found.rows["n_center"].tolist() == found.lengths.tolist()
