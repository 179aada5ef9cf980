"""Sparse matrices whose parts do not fit each other are refused, in every format; all others are taken as they are."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from stfmkit._core.errors import InputError
from stfmkit._core.matrices import check_sparse, sound_dense, sound_rows

FORMATS = ("csr", "csc", "coo", "bsr", "lil", "dok", "dia")
DENSE = np.random.default_rng(0).poisson(0.7, (12, 8)).astype(np.float32)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csr_matrix])
def test_sound_matrices_of_every_format_are_taken(form, kind):
    matrix = kind(DENSE).asformat(form)
    assert check_sparse(matrix, name="X") is matrix
    rows = sound_rows(matrix, name="X")
    assert rows.has_canonical_format
    np.testing.assert_array_equal(rows.toarray(), DENSE)
    np.testing.assert_array_equal(sound_dense(matrix, name="X"), DENSE)


def test_what_is_not_sparse_is_returned():
    for value in (DENSE, None, [1]):
        assert check_sparse(value, name="X") is value
    np.testing.assert_array_equal(sound_dense(DENSE, name="X"), DENSE)


@pytest.mark.parametrize("form", ["csr", "csc"])
@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (3, 4)])
def test_empty_matrices_are_sound(form, shape):
    assert sound_rows(sparse.csr_array(shape).asformat(form), name="X").shape == shape


def broken(form: str, part: str, change) -> sparse.sparray:
    """A matrix one part of which is replaced, past the checks of its constructor."""
    matrix = sparse.csr_array(DENSE).asformat(form, copy=True)
    setattr(matrix, part, change(np.array(getattr(matrix, part))))
    return matrix


def put(at: int, value: int):
    def change(values: np.ndarray) -> np.ndarray:
        values[at] = value
        return values

    return change


FAULTS = {
    "index at the end": ("indices", put(3, 12), "outside"),
    "index far away": ("indices", put(3, 10**6), "outside"),
    "index below 0": ("indices", put(3, -5), "outside"),
    "least index": ("indices", put(3, -(2**31)), "outside"),
    "index of 64 bits": ("indices", lambda v: put(3, 2**40)(v.astype(np.int64)), "outside"),
    "index without a sign": ("indices", lambda v: put(3, 2**63)(v.astype(np.uint64)), "outside"),
    "fewer indices": ("indices", lambda v: v[:-1], "values of shape"),
    "more indices": ("indices", lambda v: np.append(v, 0), "values of shape"),
    "indices in a table": ("indices", lambda v: v[:, None], "values of shape"),
    "broken indices": ("indices", lambda v: v.astype(float), "dtype float64"),
    "fewer values": ("data", lambda v: v[:-1], "values of shape"),
    "values in a table": ("data", lambda v: v[:, None], "values of shape"),
    "a pointer that jumps": ("indptr", put(2, 10**6), "decrease"),
    "a pointer that decreases": ("indptr", put(4, 0), "decrease"),
    "a first pointer": ("indptr", put(0, 1), "pointers from 1"),
    "a first pointer below 0": ("indptr", put(0, -7), "pointers from -7"),
    "a last pointer": ("indptr", put(-1, 10**6), "to 1000000 for"),
    "fewer pointers": ("indptr", lambda v: v[:-1], "pointers of shape"),
    "more pointers": ("indptr", lambda v: np.append(v, v[-1]), "pointers of shape"),
    "broken pointers": ("indptr", lambda v: v.astype(float), "pointers of dtype float64"),
}


@pytest.mark.parametrize("form", ["csr", "csc"])
@pytest.mark.parametrize("fault", FAULTS)
def test_parts_that_do_not_fit(form, fault):
    part, change, words = FAULTS[fault]
    matrix = broken(form, part, change)
    for check in (check_sparse, sound_rows, sound_dense):
        with pytest.raises(InputError, match=rf"layers\['c'\], a sparse matrix \({form.upper()}\)[\s\S]*{words}"):
            check(matrix, name="layers['c']")


def test_indices_of_coordinates_and_blocks():
    coo = sparse.coo_array(DENSE)
    coo.coords[1][4] = 8
    with pytest.raises(InputError, match=r"1 indices of columns outside 0 … 7, such as 8"):
        sound_rows(coo, name="graph")
    coo = sparse.coo_array(DENSE)
    coo.data = coo.data[:-1]
    with pytest.raises(InputError, match="rows and"):
        sound_rows(coo, name="graph")
    blocks = sparse.bsr_array(DENSE, blocksize=(3, 2))
    assert check_sparse(blocks, name="X") is blocks
    blocks.indices[0] = 4
    with pytest.raises(InputError, match="outside 0 … 3"):
        sound_rows(blocks, name="X")
    diagonals = sparse.dia_array(DENSE)
    diagonals.offsets = diagonals.offsets[:-1]
    with pytest.raises(InputError, match="offsets"):
        sound_rows(diagonals, name="X")
    lists = sparse.lil_array(DENSE)
    lists.rows[2] = [9] * len(lists.rows[2])
    with pytest.raises(InputError, match="outside"):
        sound_rows(lists, name="X")
    with pytest.raises(InputError, match="1 axes"):
        sound_rows(sparse.coo_array(DENSE[0]), name="X")


@pytest.mark.parametrize("form", ["csr", "csc"])
def test_entries_twice_and_out_of_order_are_put_in_order(form):
    sound = sparse.csr_array(DENSE).asformat(form)
    order = np.concatenate([np.tile(np.arange(a, b)[::-1], 2) for a, b in itertools.pairwise(sound.indptr)])
    twice = type(sound)((np.full(len(order), 200, np.uint8), sound.indices[order], sound.indptr * 2), shape=sound.shape)
    before = twice.indices.copy()
    rows = sound_rows(twice, name="X")
    assert rows.has_canonical_format
    np.testing.assert_array_equal(rows.toarray(), 400 * (DENSE > 0))
    np.testing.assert_array_equal(twice.indices, before)


@pytest.mark.parametrize("form", ["csr", "csc"])
def test_room_that_is_not_used_is_refused_until_it_is_removed(form):
    """Scipy takes columns of all stored indices, and writes past the end of the result."""
    roomy = sparse.csr_array(DENSE).asformat(form, copy=True)
    roomy.indices, roomy.data = (np.append(part, part[:5]) for part in (roomy.indices, roomy.data))
    with pytest.raises(InputError, match=r"pointers from 0 to[\s\S]*prune"):
        sound_rows(roomy, name="X")
    roomy.prune()
    np.testing.assert_array_equal(sound_rows(roomy, name="X").toarray(), DENSE)


@given(data=st.data())
def test_the_check_agrees_with_that_of_scipy(data):
    """Any change of one or two numbers is refused where scipy refuses it, and taken where scipy takes it."""
    matrix = sparse.csr_array(DENSE).asformat(data.draw(st.sampled_from(["csr", "csc"])), copy=True)
    for _ in range(data.draw(st.integers(1, 2))):
        part = getattr(matrix, data.draw(st.sampled_from(["indices", "indptr"])))
        part[data.draw(st.integers(0, len(part) - 1))] = data.draw(st.integers(-3, 40))
    try:
        matrix.copy().check_format(full_check=True)
        wrong = bool((np.diff(matrix.indptr) < 0).any()) or matrix.indptr[-1] != len(matrix.indices)
    except ValueError:
        wrong = True
    if wrong:
        with pytest.raises(InputError):
            sound_rows(matrix, name="X")
    else:
        check_sparse(matrix, name="X")
