"""Sentences: what is drawn, how it is written, and what it follows from."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from stfmkit.models.zoo.uce.kernels import draw_sentences

CLOSE = np.iinfo(np.int64).min


def drawn(weights: np.ndarray, keys: np.ndarray, chromosomes: np.ndarray, *, n_draws: int) -> list[np.ndarray]:
    """Return the sentences of rows that all have the same weights."""
    n_genes = len(weights)
    indptr = np.arange(len(keys) + 1) * n_genes
    csr = (indptr, np.tile(np.arange(n_genes), len(keys)), np.tile(weights, len(keys)))
    limits, flat = draw_sentences(csr, keys, chromosomes, n_draws=n_draws)
    return np.split(flat, limits[1:-1])


@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=6),
    n_draws=st.integers(1, 60),
    key=st.integers(0, 2**64 - 1),
)
def test_a_sentence_is_whole(sizes: list[int], n_draws: int, key: int) -> None:
    chromosomes = np.repeat(10 * np.arange(len(sizes)), sizes)
    weights = np.linspace(1, 3, len(chromosomes))
    (sentence,) = drawn(weights, np.array([key], dtype=np.uint64), chromosomes, n_draws=n_draws)
    genes = sentence[sentence >= 0]
    assert len(genes) == n_draws
    ends = np.flatnonzero(sentence == CLOSE)
    opened = [int(-1 - part[0]) for part in np.split(sentence, ends[:-1] + 1)]
    assert len(set(opened)) == len(opened)
    for code, part in zip(opened, np.split(sentence, ends[:-1] + 1), strict=True):
        inside = part[1:-1]
        assert len(inside) > 0
        assert (chromosomes[inside] == code).all()
        assert (np.diff(inside) >= 0).all()
        assert part[-1] == CLOSE


def test_genes_are_drawn_by_their_weight() -> None:
    weights = np.array([1.0, 2.0, 3.0, 4.0])
    keys = np.random.default_rng(0).integers(0, 2**63, size=400).astype(np.uint64)
    genes = np.concatenate(drawn(weights, keys, np.zeros(4, dtype=np.int64), n_draws=50))
    found = np.bincount(genes[genes >= 0], minlength=4)
    assert chisquare(found, weights / weights.sum() * found.sum()).pvalue > 1e-3


def test_every_order_of_chromosomes_is_as_likely() -> None:
    keys = np.random.default_rng(1).integers(0, 2**63, size=3000).astype(np.uint64)
    sentences = drawn(np.ones(3), keys, np.arange(3), n_draws=40)
    orders = ["".join(str(-1 - code) for code in s[(s < 0) & (s > CLOSE)]) for s in sentences]
    names, found = np.unique([order for order in orders if len(order) == 3], return_counts=True)
    assert len(names) == 6
    assert chisquare(found).pvalue > 1e-3


def test_a_row_follows_from_its_key_alone() -> None:
    keys = np.arange(1, 40, dtype=np.uint64)
    chromosomes = np.repeat(np.arange(5), 4)
    weights = np.linspace(1, 2, 20)
    whole = drawn(weights, keys, chromosomes, n_draws=16)
    for row in (0, 17, 38):
        (alone,) = drawn(weights, keys[[row]], chromosomes, n_draws=16)
        np.testing.assert_array_equal(alone, whole[row])
    assert len({sentence.tobytes() for sentence in whole}) == len(keys)


def test_an_empty_row_has_no_sentence() -> None:
    csr = (np.array([0, 0, 1]), np.array([0]), np.array([1.0]))
    limits, flat = draw_sentences(csr, np.array([1, 2], dtype=np.uint64), np.array([4]), n_draws=3)
    assert limits.tolist() == [0, 0, 5]
    assert flat.tolist() == [-5, 0, 0, 0, CLOSE]
