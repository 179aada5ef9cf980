"""Single passes over molecules against plain numpy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stfmkit._kernels._lattice import Lattice
from stfmkit._kernels._molecules import (
    FIRST,
    box_of,
    boxes_by_code,
    columns_of,
    count_kinds,
    recode,
    spots_without_cell,
    sum_by_cell,
    those_not_low,
    unusable,
    used_entries,
    without_low,
)

N = 500


@pytest.fixture
def places(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.uniform(-50, 900, N).astype(np.float32), rng.uniform(0, 500, N).astype(np.float32)


def test_codes(rng: np.random.Generator) -> None:
    index = rng.integers(0, 7, N).astype(np.int32)
    used = used_entries(index, 12)
    assert np.flatnonzero(used).tolist() == np.unique(index).tolist()
    codes = rng.integers(-1, 100, 12).astype(np.int32)
    np.testing.assert_array_equal(recode(index, codes), codes[index])


def test_boxes(places, rng: np.random.Generator) -> None:
    x, y = (values.astype(np.float64) * 0.3 for values in places)
    assert box_of(*places, 0.3) == (x.min(), y.min(), x.max(), y.max())
    codes = rng.integers(-1, 4, N).astype(np.int32)
    codes[codes == 2] = 1
    found = boxes_by_code(*places, 0.3, codes, 4)
    for code in (0, 1, 3):
        rows = codes == code
        assert found[code].tolist() == [x[rows].min(), y[rows].min(), x[rows].max(), y[rows].max()]
    assert found[2].tolist() == [np.inf, np.inf, -np.inf, -np.inf]


def test_unusable_positions_are_counted() -> None:
    x = np.array([1.0, np.nan, np.inf, -2e9, 3.0, 1e9])
    y = np.array([1.0, 0.0, 0.0, 0.0, -np.inf, 0.0])
    assert unusable(x, y, 1.0, 1e9) == (3, 3)
    assert unusable(x, y, 0.1, 1e9) == (3, 2)


@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize("with_qv", [True, False])
@pytest.mark.parametrize("drop", [True, False])
def test_columns_and_kinds(by_name: bool, with_qv: bool, drop: bool, rng: np.random.Generator) -> None:
    gene = rng.integers(0, 9, N).astype(np.int32)
    flags = rng.random(9 if by_name else N) < 0.3
    control = flags[gene] if by_name else flags
    qv = rng.choice([5.0, 20.0, 30.0], N).astype(np.float32) if with_qv else np.empty(0, np.float32)
    seen = np.zeros(FIRST + 18, dtype=bool)
    columns, low = columns_of(gene, flags, by_name, qv, 20.0, seen)
    good = qv >= 20 if with_qv else np.ones(N, bool)
    np.testing.assert_array_equal(columns, np.where(good, 2 + 2 * gene + control, -1))
    assert low == (~good).sum()
    assert np.flatnonzero(seen).tolist() == np.unique(2 + 2 * gene + control).tolist()
    spot, cell = rng.integers(-1, 4, N), rng.integers(-1, 3, N).astype(np.int32)
    wanted = good & ~(control & drop)
    assert count_kinds(spot, columns, drop) == ((good & control & drop).sum(), (wanted & (spot < 0)).sum())
    loose = spots_without_cell(spot, columns, cell, drop)
    np.testing.assert_array_equal(loose, spot[wanted & (spot >= 0) & (cell < 0)])


def test_sums_by_cell(places, rng: np.random.Generator) -> None:
    cell, columns = rng.integers(-1, 5, N).astype(np.int32), rng.integers(-1, 6, N).astype(np.int32)
    sums = np.zeros((6, 3), np.int64)
    sum_by_cell(*places, (0.5, 3.0, 4.0, 1024.0), columns, cell, True, sums)
    for code in range(6):
        rows = (cell == code) & (columns >= 0) & (columns % 2 == 0)
        steps = [
            np.rint((v[rows] * 0.5 - c) * 1024) for v, c in zip((p.astype(float) for p in places), (3, 4), strict=True)
        ]
        assert sums[code].tolist() == [rows.sum(), *(int(s.sum()) for s in steps)]


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    pitch=st.floats(0.5, 500),
    angle=st.floats(-180, 180),
    shape=st.sampled_from(["hex", "hex_gapless", "square"]),
    unit=st.sampled_from([1.0, 0.2125, 3.0]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_numbers_are_rows_and_columns(seed, pitch, angle, shape, unit, dtype) -> None:
    x, y = (np.random.default_rng(seed).uniform(-9, 9, (2, 2500)) * pitch).astype(dtype)
    lattice = Lattice(shape, pitch, (3.0, -7.0), angle, 0.55 * pitch)
    row, col, inside = lattice.assign(x.astype(float) * unit, y.astype(float) * unit)
    number = lattice.number(x, y, first=(1000, -5000, -7000, 20_000), unit=unit)
    np.testing.assert_array_equal(number, np.where(inside, 1000 + (row + 5000) * 20_000 + col + 7000, -1))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_molecules_of_low_quality_are_left_out_in_order(places, share: float, rng: np.random.Generator) -> None:
    x, y = places
    columns = np.where(rng.random(N) < share, -1, rng.integers(0, 9, N)).astype(np.int32)
    kept = columns >= 0
    for found, whole in zip(without_low(x, y, columns), (x, y, columns), strict=True):
        assert found.dtype == whole.dtype
        np.testing.assert_array_equal(found, whole[kept])
    for values in (rng.integers(-1, 50, N), x, columns):
        found = those_not_low(values, columns)
        assert found.dtype == values.dtype
        np.testing.assert_array_equal(found, values[kept])
    assert [part.size for part in without_low(x[:0], y[:0], columns[:0])] == [0, 0, 0]
    assert those_not_low(x[:0], columns[:0]).size == 0
