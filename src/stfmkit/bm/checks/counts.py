"""Whether the numbers are counts: values that were scaled, equalised or logged, and rounded, pass as integers."""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy import sparse

from stfmkit._core.arguments import listed
from stfmkit.bm.finding import Finding, Row
from stfmkit.bm.study import Study

_ENOUGH = 200
"""Non-zero values of a sample from which their common divisor says anything."""
_LEAST_GENES = 10
_ON_A_GRID = 0.95
"""Share of the values of an observation that are multiples of one number, up to rounding: of scaled ones all."""
_SCALED_SHARE = 0.05
_COMMON = 0.02
"""Share of the smallest value among all; deep counts, too, have values without a 1, but then the smallest is rare."""
_ERRORS = 3.5
"""Standard errors by which the variance of library sizes must lie below their mean, the variance of counting alone."""
_LEAST_DEPTH = 20
"""Mean library size from which observations without a count, which are dropped, change no variance."""
_TOO_LITTLE = 0.6
"""Variance over mean of a gene; counts of tissue have 1 or more (Poisson noise alone has 1)."""


def common_divisor(study: Study) -> Iterator[Finding]:
    """Find samples all of whose counts are multiples of one number."""
    found = []
    for name, rows in _samples(study):
        data = _values(study.counts, rows)
        divisor = int(np.gcd.reduce(data)) if len(data) >= _ENOUGH else 1
        if divisor > 1:
            found.append((name, divisor, len(data)))
    if found:
        yield Finding(
            severity="error",
            check="scaled counts",
            evidence=f"all counts of {listed([name for name, _, _ in found], most=4)} are multiples of "
            f"{listed(sorted({divisor for _, divisor, _ in found}), most=4)}.",
            remedy="load the raw counts, or divide by that number.",
            columns=("sample", "common divisor", "non-zero counts"),
            rows=tuple(found),
        )


def multiples(study: Study) -> Iterator[Finding]:
    """Find samples whose observations hold multiples of a number of their own: normalised, then rounded."""
    found = []
    for name, rows in _samples(study):
        steps = grid_steps(study.counts[rows[np.arange(0, len(rows), max(1, len(rows) // 1000))]])
        factors = steps[steps > 0]
        if len(factors) >= max(5, _SCALED_SHARE * len(steps)) and len(np.unique(np.round(factors, 2))) > 1:
            found.append((name, round(len(factors) / len(steps), 3), round(float(np.median(factors)), 2)))
    if found:
        yield _not_raw(
            f"in {listed([name for name, _, _ in found], most=4)} up to {max(share for _, share, _ in found):.0%} of "
            "the observations hold nothing but multiples of a number of their own, up to rounding: counts that were "
            "divided by a size factor.",
            columns=("sample", "share of observations", "median step"),
            rows=found,
        )


def multiples_of_logs(study: Study) -> Iterator[Finding]:
    """Find samples whose smallest value is common and whose next one is missing: logs times a number, rounded."""
    found = []
    for name, rows in _samples(study):
        data = _values(study.counts, rows)
        if len(data) < _ENOUGH or np.gcd.reduce(data) > 1:
            continue
        first = int(data.min())
        if first > 1 and (data == first).mean() >= _COMMON and not (data == first + 1).any():
            found.append((name, first, round(float((data == first).mean()), 3)))
    if found:
        yield _not_raw(
            f"the smallest values of {listed([name for name, _, _ in found], most=4)} are "
            f"{listed(sorted({first for _, first, _ in found}), most=4)}, which are common, and the next whole number "
            "never occurs: counts on a log scale, times a number and rounded.",
            columns=("sample", "smallest value", "its share of the values"),
            rows=found,
        )


def _not_raw(evidence: str, *, columns: tuple[str, ...], rows: Sequence[Row]) -> Finding:
    return Finding(
        severity="error",
        check="normalised and rounded counts",
        evidence=evidence,
        remedy="load the raw counts (a layer, adata.raw, or the file of the platform).",
        columns=columns,
        rows=tuple(rows),
    )


def equal_library_sizes(study: Study) -> Iterator[Finding]:
    """Find samples whose observations have one library size."""
    equal, nearly = [], []
    for name, rows in _samples(study):
        depth = study.depth[rows].astype(np.float64)
        if len(rows) < _LEAST_GENES:
            continue
        spread = float(depth.var() / depth.mean())
        if spread == 0:
            equal.append(name)
        elif depth.mean() >= _LEAST_DEPTH and spread < 1 - _ERRORS * np.sqrt(2 / len(depth)):
            nearly.append((name, round(spread, 4), float(np.median(depth))))
    if nearly:
        yield Finding(
            severity="warning",
            check="nearly equal library sizes",
            evidence=f"library sizes of {listed([name for name, _, _ in nearly], most=4)} have "
            f"a variance of at most {max(s for _, s, _ in nearly):.2g} of their mean, less than counting alone: values "
            "that were normalised and rounded do.",
            remedy="load the raw counts.",
            columns=("sample", "variance over mean", "median"),
            rows=tuple(nearly),
        )
    if equal:
        yield Finding(
            severity="info",
            check="equal library sizes",
            evidence=f"every observation of {listed(equal, most=4)} has the same total: counts that were drawn "
            "down to one depth, or normalised.",
            remedy="if they were drawn down, nothing is wrong; a control for depth then says nothing.",
        )


def too_even(study: Study) -> Iterator[Finding]:
    """Find samples whose genes vary less than counting alone makes them vary."""
    found = []
    for name, rows in _samples(study):
        share, judged = share_too_even(study.counts[rows])
        if judged >= _LEAST_GENES and len(rows) >= 2 * _LEAST_GENES and share >= 0.5:
            found.append((name, round(share, 3), judged))
    if found:
        yield Finding(
            severity="warning",
            check="less varied than counts",
            evidence=f"in {listed([name for name, _, _ in found], most=4)} up to {max(s for _, s, _ in found):.0%} of "
            f"the genes with a mean of 0.5 or more have a variance below {_TOO_LITTLE} of it: values on a log "
            "scale, or averages, that were rounded.",
            remedy="load the raw counts.",
            columns=("sample", "share of genes", "genes judged"),
            rows=tuple(found),
        )


def grid_steps(counts: sparse.csr_array) -> np.ndarray:
    """Return for every row (n_rows,) the number whose multiples all its values are; 0 for none, or for few genes."""
    values = counts.data.astype(np.float64)
    rows = zip(counts.indptr, counts.indptr[1:], strict=False)
    return np.array([_grid_step(values[a:b]) if b - a >= _LEAST_GENES else 0.0 for a, b in rows])


def share_too_even(counts: sparse.csr_array) -> tuple[float, int]:
    """Return the share of genes that vary less than counting makes them vary, and how many genes were judged."""
    part = counts.astype(np.float64)
    mean = np.asarray(part.mean(axis=0)).ravel()
    variance = np.asarray(part.power(2).mean(axis=0)).ravel() - mean**2
    judged = mean >= 0.5
    share = float((variance[judged] < _TOO_LITTLE * mean[judged]).mean()) if judged.any() else 0.0
    return share, int(judged.sum())


def _grid_step(values: np.ndarray) -> float:
    """Return the number whose multiples, rounded, all values are; 0 for none, or for the whole numbers themselves."""
    step = float(values.min())
    if step < 2:
        return 0.0
    small = values[values <= 8.5 * step]
    for _ in range(3):
        times = np.maximum(np.rint(small / step), 1)
        step = float((small * times).sum() / (times**2).sum())
    times = np.maximum(np.rint(small / step), 1)
    on_grid = float((np.abs(small - times * step) <= 0.5 + 0.02 * times).mean())
    return step if on_grid >= _ON_A_GRID and len(np.unique(times)) > 1 else 0.0


def _samples(study: Study) -> Iterator[tuple[str, np.ndarray]]:
    for code, name in enumerate(study.samples.categories):
        yield str(name), np.flatnonzero(study.sample_codes == code)


def _values(counts: sparse.csr_array, rows: np.ndarray) -> np.ndarray:
    data = counts[rows].data
    return data[data != 0].astype(np.int64)
