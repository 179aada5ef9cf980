"""Niches by radius and by number, against a plain loop."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.spatial.distance import cdist

from stfmkit.errors import UnitsError
from stfmkit.models.zoo.stformer.net import _shares
from stfmkit.models.zoo.stformer.niche import niche_members, niche_radius, niche_tokens
from stfmkit.models.zoo.stformer.spots import spot_members, spot_shares


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


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_spots_are_those_of_the_definition(seed: int) -> None:
    draw = np.random.default_rng(seed)
    spot = draw.integers(0, 5, size=draw.integers(1, 25))
    abundance = draw.gamma(0.3, size=len(spot)) * draw.binomial(1, 0.8, size=len(spot))
    shares = spot_shares(spot, abundance)
    center, member = spot_members(spot, shares)
    for row in range(len(spot)):
        mine = np.flatnonzero(spot == row)
        part = abundance[mine] / abundance[mine].sum() if abundance[mine].any() else np.zeros(len(mine))
        part[part < 0.05] = 0
        np.testing.assert_allclose(shares[mine], part / part.sum() if part.any() else part)
        others = np.flatnonzero((spot == spot[row]) & (shares > 0)) if shares[row] > 0 else np.array([])
        np.testing.assert_array_equal(member[center == row], others)


def test_every_ligand_has_the_share_of_its_member() -> None:
    values = sparse.csr_array(np.array([[1.0, 0, 2, 3], [0, 0, 5, 0], [4, 5, 0, 0], [7, 0, 7, 0]]))
    shares = np.array([0.5, 0.3, 0.2, 0.0])
    pairs = spot_members(np.zeros(4, dtype=int), shares)
    ligands = np.array([True, True, False, False])
    found = niche_tokens(values, np.array([10, 20, 30, 40]), ligands, pairs, shares=shares)
    assert found.ids.tolist()[:6] == [10, 30, 40, 10, 10, 20]
    assert found.rows["until"].tolist() == [[1, 1, 3]] * 3 + [[0, 0, 0]]  # the second has no ligand
    np.testing.assert_allclose(np.exp(found.rows["log_share"][:3]), [[0.5, 0.3, 0.2]] * 3, rtol=1e-6)
    assert found.rows["empty"].tolist() == [False, False, False, True]
    step = torch.arange(4)[None, :]
    batch = {name: torch.from_numpy(rows) for name, rows in found.rows.items()}
    np.testing.assert_allclose(_shares(batch, step)[0, :3].exp(), [0.5, 0.2, 0.2], rtol=1e-6)
