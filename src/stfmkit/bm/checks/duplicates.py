"""Observations that stand on both sides of the split under two names: the same counts, or nearly the same."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations

import numpy as np
from scipy import sparse

from stfmkit._core.random import stream
from stfmkit.bm.finding import Finding
from stfmkit.bm.study import Study

_BITS = 30
"""Bits that a row must hold beyond what the number of pairs of rows needs, so that equal rows are no accident."""
_TWIN, _NEAR = 0.35, 0.6
"""Distance to the nearest over distance to the second nearest row of the other section (1 - cosine). Of the rows of
real sections of her2st, DLPFC, MERFISH and STARmap at most .003 have less than the first, and fewer than four rows less
than the second; of copies with half of the counts thinned away, .14 to 1 and .94 to 1 have, with three quarters 0 to
.98 and .12 to 1."""
_TWINS, _TWIN_SHARE, _NEAR_SHARE = 4, 0.01, 0.05
"""Rows (and their share) below `_TWIN`, and the share of rows below `_NEAR`, that make a pair suspicious. Real sections
have at most .003, and 0; cells of 11 counts .001 and .009, panels of 30 genes 0 and .020."""
_TIMES = 3
"""How many times the usual share of such rows within a section must be exceeded on top."""
_MUTUAL, _MUTUAL_RATIO = 0.55, 0.88
"""Share of rows that are each other's nearest, with the median of their ratios. Real sections have .01 to .38 with .74
to .99; copies thinned to a tenth .23 to 1 with .46 to .88."""
_GENES, _ROWS, _AMONG = 1000, 1000, 6000
_SCREEN_GENES, _SCREEN_ROWS = 256, 64
_ALL_PAIRS = 28
"""Pairs of sections up to which every pair is looked at in full; beyond, a screen picks so many."""
_WORK = 4e11
"""Multiplications that the screen may take: about 15 seconds on two cores."""
_LEAST = 40
"""Rows of a section from which it is looked at."""

_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


@dataclass(frozen=True)
class Likeness:
    """How much the rows of one section look like copies of rows of another.

    Attributes
    ----------
    mutual
        Share of rows that are each other's nearest.
    ratio
        Median over these rows of distance to the nearest over distance to the second nearest.
    twins, near
        Rows, and share of rows, that are far nearer to one row than to any other.
    n_rows
        Rows that were asked.
    usual_twins, usual_near
        The same shares for the rows of the other section among each other, where nothing is copied: many where few
        genes or deep counts leave few dimensions.
    """

    mutual: float
    ratio: float
    twins: int
    near: float
    n_rows: int
    usual_twins: float = 0.0
    usual_near: float = 0.0

    @property
    def copied(self) -> bool:
        """Tell whether one section holds copies of the other."""
        whole = self.mutual >= _MUTUAL and self.ratio <= _MUTUAL_RATIO and self.usual_near < _NEAR_SHARE
        twins = max(_TWINS, (_TWIN_SHARE + _TIMES * self.usual_twins) * self.n_rows)
        return self.twins >= twins or self.near >= _NEAR_SHARE + _TIMES * self.usual_near or whole


def equal_rows(study: Study) -> Iterator[Finding]:
    """Find test observations that have exactly the counts of a training observation."""
    hashes = row_hashes(study.counts)
    enough = _bits(study.counts) >= 2 * np.log2(max(len(hashes), 2)) + _BITS
    torn = np.zeros(len(hashes), dtype=bool)
    n = 0
    for fold in study.folds:
        train, test = (rows[enough[rows]] for rows in (fold.train, fold.test))
        found = test[np.isin(hashes[test], hashes[train])]
        torn[found] = True
        n += len(found)
    if n:
        names, counts = np.unique(study.sample_codes[torn], return_counts=True)
        yield Finding(
            severity="error",
            check="duplicated counts across the split",
            evidence=f"{n} test observations have exactly the counts of a training observation.",
            remedy="look for one section stored twice, or one patient under two ids.",
            columns=("sample", "observations"),
            rows=tuple((str(study.samples.categories[c]), int(k)) for c, k in zip(names, counts, strict=True)),
        )


def near_copies(study: Study) -> Iterator[Finding]:
    """Find sections on two sides of the split whose observations are copies of each other, up to noise."""
    pairs = pairs_across(study)
    if not pairs:
        return
    rng = stream(study.protocol.rng, "audit", "copies")
    order, samples = most_counted(study.counts), study.sample_codes
    rows_of = {code: np.flatnonzero(samples == code) for code in dict.fromkeys(chain.from_iterable(pairs))}
    suspicious = (
        pairs
        if len(pairs) <= _ALL_PAIRS
        else _screened(study.counts, order=order, rows_of=rows_of, pairs=pairs, rng=rng)
    )
    found = []
    for pair in suspicious:
        looked = compared(study.counts, tuple(rows_of[code] for code in pair), order=order, rng=rng)
        if looked.copied:
            found.append((*pair, looked))
    if found:
        names = study.samples.categories.astype(str)
        shown = [f"{names[a]!r} and {names[b]!r} ({look.mutual:.0%})" for a, b, look in found]
        yield Finding(
            severity="error",
            check="near-duplicate sections across the split",
            evidence=f"{', '.join(shown[:4])}{' and more' if len(shown) > 4 else ''}: so many of the observations "
            "compared are each other's nearest, or far nearer to one of the other section than to any other, as "
            "sections of their own never are.",
            remedy="look for one section stored twice (thinned, edited, turned), or one patient under two ids; give "
            "both the same patient.",
            columns=("section", "section of the other side", "mutual nearest", "median ratio", "copies"),
            rows=tuple(
                (names[a], names[b], round(look.mutual, 3), round(look.ratio, 3), look.twins) for a, b, look in found
            ),
        )


def compared(
    counts: sparse.csr_array, sections: Sequence[np.ndarray], *, order: np.ndarray, rng: np.random.Generator
) -> Likeness:
    """Compare two sections, given as rows: some observations of the smaller with those of the larger."""
    small, large = sorted(sections, key=len)
    asked, among = _some(small, _ROWS, rng), _some(large, _AMONG, rng)
    return likeness(*(centred_rows(counts, rows, order[:_GENES]) for rows in (asked, among)))


def most_counted(counts: sparse.csr_array) -> np.ndarray:
    """Return the columns of genes (n_genes,), the most counted first."""
    return np.argsort(-np.bincount(counts.indices, weights=counts.data, minlength=counts.shape[1]))


def likeness(first: np.ndarray, second: np.ndarray) -> Likeness:
    """Compare rows of unit length (n, g) with those of another section (m, g).

    The ratio of the distances to the nearest and to the second nearest row tells copies from rows that are merely
    alike (Lowe 2004, Int. J. Comput. Vis. 60:91).
    """
    similar = first @ second.T
    nearest = similar.argmax(axis=1)
    mutual = similar.argmax(axis=0)[nearest] == np.arange(len(first))
    ratio = _ratios(similar)
    own = np.linspace(0, len(second) - 1, min(len(second), len(first))).astype(int)
    among = second[own] @ second.T
    among[np.arange(len(own)), own] = -np.inf
    usual = _ratios(among)
    near = mutual & (ratio < _NEAR)
    return Likeness(
        mutual=float(mutual.mean()),
        ratio=float(np.median(ratio[mutual])) if mutual.any() else 1.0,
        twins=int((mutual & (ratio < _TWIN)).sum()),
        near=float(near.mean()) if near.sum() >= _TWINS else 0.0,
        n_rows=len(first),
        usual_twins=float((usual < _TWIN).mean()),
        usual_near=float((usual < _NEAR).mean()),
    )


def _ratios(similar: np.ndarray) -> np.ndarray:
    """Return distance to the nearest over distance to the second nearest, of every row of similarities."""
    top = np.partition(similar, -2, axis=1)[:, -2:]
    return np.maximum(1 - top[:, 1], 0) / np.maximum(1 - top[:, 0], 1e-6)


def centred_rows(counts: sparse.csr_array, rows: np.ndarray, genes: np.ndarray) -> np.ndarray:
    """Return log1p of counts, centred by gene, every row at unit length (n_rows, n_genes)."""
    values = np.log1p(counts[rows][:, genes].toarray().astype(np.float32))
    values -= values.mean(axis=0)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)


def row_hashes(counts: sparse.csr_array) -> np.ndarray:
    """Return a 64-bit hash of every row (n_obs,); rows with equal entries have equal hashes, whatever the order."""
    entry = counts.indices.astype(np.uint64) * _MIX[0] + counts.data.astype(np.int64).astype(np.uint64) * _MIX[1]
    for shift in (30, 27, 31):  # the finaliser of splitmix64, so that sums of entries do not collide
        entry = (entry ^ (entry >> np.uint64(shift))) * _MIX[2]
    total = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(entry, dtype=np.uint64)])
    return total[counts.indptr[1:]] - total[counts.indptr[:-1]]


def _bits(counts: sparse.csr_array) -> np.ndarray:
    """Return how surprising every row is, in bits, were genes independent and counts above 0 geometric."""
    seen = np.bincount(counts.indices, minlength=counts.shape[1])
    share = np.clip(seen / counts.shape[0], 1e-9, 1 - 1e-9)
    silent = -np.log2(1 - share)
    mean = np.bincount(counts.indices, weights=counts.data, minlength=counts.shape[1]) / np.maximum(seen, 1)
    stop = np.clip(1 / np.maximum(mean, 1), 1e-9, 1 - 1e-9)
    values = -np.log2(stop)[counts.indices] - np.log2(1 - stop)[counts.indices] * (counts.data - 1.0)
    gain = np.concatenate([[0.0], np.cumsum((-np.log2(share) - silent)[counts.indices] + values)])
    return silent.sum() + gain[counts.indptr[1:]] - gain[counts.indptr[:-1]]


def pairs_across(study: Study) -> list[tuple[int, int]]:
    """Return pairs of samples that stand on two sides of a fold, as codes."""
    n = len(study.samples.categories)
    sizes = np.bincount(study.sample_codes, minlength=n)
    patient_of = np.zeros(n, dtype=np.int64)
    patient_of[study.sample_codes] = study.patient_codes
    across = np.zeros((n, n), dtype=bool)
    for fold in study.folds:
        train, test = (np.bincount(study.sample_codes[rows], minlength=n) > 0 for rows in (fold.train, fold.test))
        across |= np.outer(train, test) | np.outer(test, train)
    return [(a, b) for a, b in combinations(range(n), 2) if across[a, b] and min(sizes[a], sizes[b]) >= _LEAST]


def _screened(
    counts: sparse.csr_array,
    *,
    order: np.ndarray,
    rows_of: dict[int, np.ndarray],
    pairs: list[tuple[int, int]],
    rng: np.random.Generator,
) -> list[tuple[int, int]]:
    """Return the pairs in which rows of one are nearest to a single row of the other, the clearest first."""
    genes = np.arange(min(_SCREEN_GENES, len(order)))
    counts = counts[:, order[:_SCREEN_GENES]]
    cost = float(sum(len(rows_of[b]) for _, b in pairs)) * len(genes)
    n_rows = int(np.clip(_WORK / cost, 16, _SCREEN_ROWS))
    queries = {}
    for code, rows in rows_of.items():
        chosen = np.sort(rng.choice(len(rows), min(len(rows), n_rows), replace=False))
        queries[code] = centred_rows(counts, rows, genes)[chosen]
    found = []
    for b in sorted({pair[1] for pair in pairs}):
        among = centred_rows(counts, rows_of[b], genes)
        for a in (first for first, second in pairs if second == b):
            ratio = _ratios(queries[a] @ among.T)
            found.append((float(np.partition(ratio, 2)[2]), float(np.median(ratio)), (a, b)))
    by_copies = sorted(found)[: _ALL_PAIRS // 2]
    by_median = sorted(found, key=lambda pair: pair[1])[: _ALL_PAIRS // 2]
    return sorted({pair for _, _, pair in by_copies} | {pair for _, _, pair in by_median})


def _some(rows: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    return rows if len(rows) <= n else np.sort(rng.choice(rows, n, replace=False))
