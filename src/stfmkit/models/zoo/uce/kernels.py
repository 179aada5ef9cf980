"""Genes drawn by their expression, written chromosome by chromosome."""

import numpy as np

from stfmkit._kernels._compiled import compiled
from stfmkit._kernels._threads import over_spans

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@compiled(nogil=True)
def _uniform(key: np.uint64, number: int) -> float:
    """Return the uniform number of that place in the SplitMix64 sequence of a key."""
    state = key + _STEP * np.uint64(number + 1)
    state = (state ^ (state >> np.uint64(30))) * _MIX_1
    state = (state ^ (state >> np.uint64(27))) * _MIX_2
    state ^= state >> np.uint64(31)
    return float(state >> np.uint64(11)) * 2.0**-53


@compiled(nogil=True)
def _draw_rows(
    span: tuple[int, int],
    csr: tuple[np.ndarray, np.ndarray, np.ndarray],
    keys: np.ndarray,
    chromosomes: np.ndarray,
    n_draws: int,
    out: tuple[np.ndarray, np.ndarray],
) -> None:
    """Write chromosome marks (-1 - code opens, the smallest number closes) and columns of every row."""
    indptr, indices, weights = csr
    sentences, lengths = out
    for row in range(span[0], span[1]):
        begin, end = indptr[row], indptr[row + 1]
        if begin == end:
            continue
        shares = np.cumsum(weights[begin:end])
        hits = np.zeros(end - begin, dtype=np.int64)
        for number in range(n_draws):
            place = np.searchsorted(shares, _uniform(keys[row], number) * shares[-1], side="right")
            hits[min(place, end - begin - 1)] += 1
        starts = np.empty(end - begin + 1, dtype=np.int64)
        n_seen, last = 0, -1
        for m in range(end - begin):
            code = chromosomes[indices[begin + m]]
            if hits[m] > 0 and (n_seen == 0 or code != last):
                starts[n_seen], last = m, code
                n_seen += 1
        order = np.arange(n_seen)
        for m in range(n_seen - 1, 0, -1):
            other = int(_uniform(keys[row], n_draws + m) * (m + 1))
            order[m], order[other] = order[other], order[m]
        length = 0
        for which in order:
            m = starts[which]
            code = chromosomes[indices[begin + m]]
            sentences[row, length] = -1 - code
            length += 1
            while m < end - begin and chromosomes[indices[begin + m]] == code:
                for _ in range(hits[m]):
                    sentences[row, length] = indices[begin + m]
                    length += 1
                m += 1
            sentences[row, length] = np.iinfo(np.int64).min
            length += 1
        lengths[row] = length


def draw_sentences(
    csr: tuple[np.ndarray, np.ndarray, np.ndarray], keys: np.ndarray, chromosomes: np.ndarray, *, n_draws: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return genes drawn with replacement, by chromosome in random order and by position within.

    Parameters
    ----------
    csr
        indptr, indices and weights (> 0) of the observations; columns ordered by chromosome and position.
    keys
        Key of every observation (n_obs,), uint64: draws depend on it alone.
    chromosomes
        Code of the chromosome of every column (n_genes,).
    n_draws
        Genes to draw for an observation.

    Returns
    -------
    Limits of the observations (n_obs + 1,), and their sentences one after the other: a column, ``-1 - code`` where a
    chromosome opens, the smallest integer where it closes.
    """
    n_obs = len(keys)
    n_chromosomes = min(len(np.unique(chromosomes)), n_draws)
    sentences = np.empty((n_obs, n_draws + 2 * n_chromosomes), dtype=np.int64)
    lengths = np.zeros(n_obs, dtype=np.int64)
    arrays = (csr[0].astype(np.int64), csr[1].astype(np.int64), csr[2].astype(np.float64))
    codes = chromosomes.astype(np.int64)
    over_spans(lambda start, stop: _draw_rows((start, stop), arrays, keys, codes, n_draws, (sentences, lengths)), n_obs)
    kept = np.arange(sentences.shape[1])[None, :] < lengths[:, None]
    return np.concatenate([[0], np.cumsum(lengths)]), sentences[kept]
