"""Ragged tokens, batches of them, and the kernels that make them."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from stfmkit.models.nets.rank_kernels import first_entries, rank_tokens
from stfmkit.models.nets.tokens import Tokens, batches, collate

lengths_of = st.lists(st.integers(0, 6), min_size=1, max_size=12)


def ragged(lengths: list[int]) -> Tokens:
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    ids = np.arange(indptr[-1]) + 10
    return Tokens(indptr, ids, ids.astype(np.float32) / 2, {"row": np.arange(len(lengths))})


def rows_of(tokens: Tokens) -> list[list[int]]:
    return [tokens.ids[a:b].tolist() for a, b in zip(tokens.indptr[:-1], tokens.indptr[1:], strict=True)]


@given(lengths_of, st.booleans(), st.booleans())
@settings(max_examples=80, deadline=None)
def test_framing_equals_lists(lengths: list[int], first: bool, last: bool) -> None:
    tokens = ragged(lengths)
    framed = tokens.framed(first=(1, -2.0) if first else None, last=(2, -3.0) if last else None)
    wanted = [[*([1] if first else []), *row, *([2] if last else [])] for row in rows_of(tokens)]
    assert rows_of(framed) == wanted
    assert framed.values is not None
    specials = np.isin(framed.ids, [1, 2])
    np.testing.assert_array_equal(framed.values[~specials], framed.ids[~specials] / 2)
    np.testing.assert_array_equal(framed.values[specials], -1.0 - framed.ids[specials])


@given(lengths_of, st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_taking_rows_equals_lists(lengths: list[int], seed: int) -> None:
    tokens = ragged(lengths)
    rows = np.random.default_rng(seed).permutation(len(lengths))[: max(1, len(lengths) // 2)]
    taken = tokens.take(rows)
    assert rows_of(taken) == [rows_of(tokens)[row] for row in rows]
    np.testing.assert_array_equal(taken.rows["row"], rows)


@given(lengths_of, st.one_of(st.none(), st.integers(1, 5)))
@settings(max_examples=60, deadline=None)
def test_batches_hold_every_row_once_longest_first(lengths: list[int], size: int | None) -> None:
    held = np.array(lengths)
    found = list(batches(held, batch_size=size, most_tokens=2048))
    assert sorted(np.concatenate(found).tolist()) == list(range(len(lengths)))
    assert (np.diff(held[np.concatenate(found)]) <= 0).all()
    if size is not None:
        assert max(map(len, found)) <= size


def test_batches_are_bounded_in_tokens() -> None:
    found = list(batches(np.full(40, 1000), batch_size=None, most_tokens=16_000))
    assert [len(rows) for rows in found] == [16, 16, 8]


def test_padding() -> None:
    batch = collate(ragged([2, 0, 3]), pad_id=7, pad_value=-2.0)
    np.testing.assert_array_equal(batch["ids"], [[10, 11, 7], [7, 7, 7], [12, 13, 14]])
    np.testing.assert_array_equal(batch["keep"], [[1, 1, 0], [0, 0, 0], [1, 1, 1]])
    np.testing.assert_array_equal(batch["values"][0], [5.0, 5.5, -2.0])
    assert collate(ragged([2]), pad_id=0, length=9)["ids"].shape == (1, 9)


@given(st.integers(0, 2**31), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_ranks_equal_a_stable_sort_of_dense_rows(seed: int, limit: int) -> None:
    dense = np.random.default_rng(seed).poisson(0.8, size=(7, 9)).astype(np.float32)
    csr = sparse.csr_array(dense)
    indptr, columns = rank_tokens(csr.indptr, csr.indices, csr.data, limit=limit)
    for row, (a, b) in enumerate(itertools.pairwise(indptr)):
        order = np.argsort(-dense[row], kind="stable")
        wanted = order[dense[row][order] > 0][:limit]
        np.testing.assert_array_equal(columns[a:b], wanted)


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_first_entries(limit: int) -> None:
    indptr = np.array([0, 3, 3, 5])
    starts, where = first_entries(indptr, limit=limit)
    wanted = [list(range(a, b))[:limit] for a, b in ((0, 3), (3, 3), (3, 5))]
    assert where.tolist() == [i for row in wanted for i in row]
    assert np.diff(starts).tolist() == list(map(len, wanted))
