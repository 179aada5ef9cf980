"""Time SSIM and gene-gene correlation against their peers on the same data, results compared for equality first.

Usage: python benchmarks/bench_coexpression.py [--spots 20000] [--genes 2000] [--side 5000] [--repeats 5] [--sizes]

Ours and the peer's run in turn, so that a busy machine slows both; the medians over repeats are compared. Both may use
all cores, and both run once before, so that compilation is not timed. Memory is what Python and numpy allocate at most
during one call, beyond the input. With --sizes the cost is shown against the number of spots, genes and densities.
"""

import argparse
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from _measure import row
from scipy import sparse
from skimage.metrics import structural_similarity

import stfmkit as sk

_TOLERANCE = 1e-10

_row = partial(row, tolerance=_TOLERANCE)


def counts(n_spots: int, n_genes: int, mean: float) -> sparse.csr_array:
    """Size-factor log1p of Poisson counts: genes from rare to abundant (gamma, shape 0.5), spots from thin to deep."""
    rng = np.random.default_rng(0)
    depth = rng.lognormal(0, 0.4, (n_spots, 1))
    program = rng.gamma(4, 0.25, (n_spots, 10))
    blocks = []
    for start in range(0, n_genes, 500):
        size = min(500, n_genes - start)
        rate = (0.002 + mean * rng.gamma(0.5, 2.0, size)) * program[:, rng.integers(10, size=size)]
        blocks.append(sparse.csr_array(rng.poisson(rate * depth)))
    values = sparse.csr_array(sparse.hstack(blocks), dtype=np.float64)
    total = np.maximum(np.asarray(values.sum(axis=1)).ravel(), 1)
    values.data = np.log1p(values.data * np.repeat(np.median(total) / total, np.diff(values.indptr)))
    return values


def scattered(n_spots: int, n_genes: int, density: float) -> sparse.csr_array:
    """Values at random places: every gene is as sparse as any other."""
    rng = np.random.default_rng(0)
    return sparse.csr_array(sparse.random_array((n_spots, n_genes), density=density, rng=rng, format="csr"))


def matrices(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Two correlation matrices that share their modules, with a diagonal of 0."""
    rng = np.random.default_rng(0)
    base = rng.normal(size=(200, 12))[:, np.arange(side) * 12 // side]
    found = []
    for _ in range(2):
        matrix = np.corrcoef((base + rng.normal(size=(200, side))).T)
        np.fill_diagonal(matrix, 0)
        found.append(matrix)
    return found[0], found[1]


def ssim_row(side: int, repeats: int) -> dict[str, Any]:
    """SSIM of two square matrices, against scikit-image."""
    a, b = matrices(side)
    return _row(
        f"SSIM {side} x {side} / skimage",
        lambda: sk.metrics.ssim(a, b, data_range=2.0),
        lambda: structural_similarity(a, b, win_size=7, data_range=2.0),
        repeats,
    )


def correlation_row(name: str, values: sparse.csr_array, repeats: int) -> dict[str, Any]:
    """Correlation from CSR, against numpy on the dense matrix, which is not timed to build."""
    dense = values.toarray()
    share = values.nnz / np.prod(values.shape)
    title = f"correlation {values.shape[0]} x {values.shape[1]}, {name}, {share:.0%} stored / numpy.corrcoef"
    return _row(title, lambda: sk.metrics.correlation(values), lambda: np.corrcoef(dense, rowvar=False), repeats)


def main() -> None:
    """Read the sizes, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spots", type=int, default=20_000)
    parser.add_argument("--genes", type=int, default=2_000)
    parser.add_argument("--side", type=int, default=5_000, help="genes of the matrices for SSIM")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sizes", action="store_true", help="also show the cost against the size")
    given = parser.parse_args()
    size = (given.spots, given.genes)
    rows = [ssim_row(given.side, given.repeats)]
    rows += [correlation_row("counts", counts(*size, mean), given.repeats) for mean in (0.05, 0.2)]
    rows += [correlation_row("uniform", scattered(*size, share), given.repeats) for share in (0.05, 0.1)]
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda v: f"{v:.3g}"))
    if given.sizes:
        rows = [ssim_row(side, given.repeats) for side in (500, 1_000, 2_000, 5_000, 10_000)]
        sizes = ((5_000, 2_000), (20_000, 500), (80_000, 2_000), (20_000, 8_000))
        rows += [correlation_row("counts", counts(*size, 0.05), given.repeats) for size in sizes]
        print(pd.DataFrame(rows).to_string(index=False, float_format=lambda v: f"{v:.3g}"))


if __name__ == "__main__":
    main()
