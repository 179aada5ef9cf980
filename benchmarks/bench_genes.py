"""Time gene statistics against their peers on the same data, results compared for equality first.

Usage: python benchmarks/bench_genes.py [--spots 20000] [--genes 2000] [--niches 10] [--repeats 5]

Ours and the peer's run in turn, so that a busy machine slows both; the medians over repeats are compared. Both may use
all cores, and both run once before, so that compilation is not timed. With --memory: the growth of the peak in a
process of its own, counted from loaded data (Linux). With --sizes, such as `--sizes 20000x500 1000000x500`: the cost
of our side against the number of spots and genes, and per value. With --profile: the functions that take the time.
With --check: the cost of checking a sparse matrix, as a share of what follows.
"""

import argparse
import cProfile
import multiprocessing
import pstats
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scanpy as sc
import squidpy as sq
from anndata import AnnData
from scipy import sparse, stats

import stfmkit as sk
from stfmkit._core.matrices import check_sparse
from stfmkit._data.matrices import read_counts

SIZES = [(20_000, 500), (20_000, 2_000), (20_000, 5_000), (20_000, 20_000), (100_000, 2_000), (1_000_000, 500)]
Pair = tuple[Callable[[], Any], Callable[[], Any], Callable[[Any, Any], None]]


def cohort(n_spots: int, n_genes: int, n_niches: int) -> AnnData:
    """One slide on a lattice: size-factor log1p of patterned Poisson counts (float32 CSR), row-normalised weights."""
    rng = np.random.default_rng(0)
    width = int(np.ceil(np.sqrt(n_spots)))
    xy = np.stack(np.divmod(np.arange(n_spots), width), axis=1).astype(float)
    blocks = []
    depth = rng.lognormal(0, 0.4, (n_spots, 1))
    for start in range(0, n_genes, 500):
        size = min(500, n_genes - start)
        pattern = 1 + np.sin(xy[:, :1] / 20) * rng.uniform(0, 0.8, size)
        blocks.append(sparse.csr_array(rng.poisson((0.02 + 0.5 * rng.gamma(0.5, 1, size)) * pattern * depth)))
    counts = sparse.csr_array(sparse.hstack(blocks), dtype=np.float32)
    total = np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1)
    values = counts.copy()
    values.data = np.log1p(values.data * np.repeat(np.median(total) / total, np.diff(values.indptr))).astype(np.float32)
    niche = pd.Categorical((xy[:, 0] * n_niches // (xy[:, 0].max() + 1)).astype(int).astype(str))
    adata = AnnData(
        sparse.csr_matrix(values), obs=pd.DataFrame({"niche": niche}, index=[f"s{i}" for i in range(n_spots)])
    )
    adata.var_names = [f"g{i}" for i in range(n_genes)]
    adata.obsm["spatial"] = xy
    adata.obs["sample"] = "S1"
    adata.layers["counts"] = sparse.csr_matrix(counts)
    sk.pp.spatial_graph(adata, sample_key="sample", n_neighbors=6)
    graph = sparse.csr_array(adata.obsp["spatial_connectivities"], dtype=np.float64)
    adata.obsp["spatial_connectivities"] = sparse.csr_matrix(sparse.diags_array(1 / graph.sum(axis=1)) @ graph)
    return adata


def autocorrelation(adata: AnnData, mode: str) -> Pair:
    """Moran's I or Geary's C of every gene, and the analytic p-value, which squidpy computes as well."""
    ours = {"moran": sk.metrics.morans_i_test, "geary": sk.metrics.gearys_c_test}[mode]
    graph = sparse.csr_array(adata.obsp["spatial_connectivities"])
    values = sparse.csr_array(adata.X)

    def peer() -> pd.DataFrame:
        return sq.gr.spatial_autocorr(
            adata, mode=mode, n_perms=None, n_jobs=1, copy=True, two_tailed=True, show_progress_bar=False
        )

    def compare(one: pd.DataFrame, two: pd.DataFrame) -> None:
        two = two.loc[adata.var_names]
        np.testing.assert_allclose(one["statistic"], two["I" if mode == "moran" else "C"], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(one["variance_norm"], two["var_norm"], rtol=1e-6)

    return lambda: ours(values, graph, alternative="two-sided"), peer, compare


def statistic_only(adata: AnnData, mode: str) -> Pair:
    """The statistic alone."""
    ours = {"moran": sk.metrics.morans_i, "geary": sk.metrics.gearys_c}[mode]
    graph, values = sparse.csr_array(adata.obsp["spatial_connectivities"]), sparse.csr_array(adata.X)
    _, peer, compare = autocorrelation(adata, mode)

    def only(one: np.ndarray, two: pd.DataFrame) -> None:
        compare(pd.DataFrame({"statistic": one, "variance_norm": two["var_norm"].to_numpy()}), two)

    return lambda: ours(values, graph), peer, only


def niche_markers(adata: AnnData) -> Pair:
    """AUROC of every gene for every niche, against the rank sums of scanpy, which adds p-values and fold changes."""
    values, niche = sparse.csr_array(adata.X), adata.obs["niche"].to_numpy()
    _, peer, compare_tests = niche_tests(adata, tie_correct=False)

    def compare(one: np.ndarray, two: Any) -> None:
        size = np.array([(niche == group).sum() for group in np.unique(niche)])[:, None]
        pairs = size * (adata.n_obs - size)
        z = (one - 0.5) * pairs / np.sqrt(pairs * (adata.n_obs + 1) / 12)
        p = 2 * stats.norm.sf(np.abs(z))
        compare_tests(pd.DataFrame({"z": z.ravel(), "p_value": p.ravel()}), two)

    return lambda: sk.metrics.auroc_by_group(values, niche), peer, compare


def niche_tests(adata: AnnData, *, tie_correct: bool, pts: bool = False) -> Pair:
    """AUROC, p-values, fold changes and detection; scanpy's fold changes are of the mean logarithm."""
    values, niche = sparse.csr_array(adata.X), adata.obs["niche"].to_numpy()

    def peer() -> Any:
        sc.tl.rank_genes_groups(adata, "niche", method="wilcoxon", tie_correct=tie_correct, pts=pts)
        return adata.uns["rank_genes_groups"]

    def compare(one: pd.DataFrame, two: Any) -> None:
        n_genes = adata.n_vars
        for k, group in enumerate(np.unique(niche)):
            mine = one.iloc[k * n_genes : (k + 1) * n_genes]
            table = pd.DataFrame({"names": two["names"][group], "z": two["scores"][group], "p": two["pvals"][group]})
            table = table.set_index("names").loc[adata.var_names]
            np.testing.assert_allclose(mine["z"], table["z"], rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(mine["p_value"], table["p"], rtol=1e-4, atol=1e-12)
            if pts:
                np.testing.assert_allclose(mine["pct_in"], two["pts"].loc[adata.var_names, group], rtol=1e-6)

    return lambda: sk.metrics.rank_sum_test(values, niche, tie_correct=tie_correct), peer, compare


TASKS: dict[str, Callable[[AnnData], Pair]] = {
    "Moran's I / squidpy": lambda adata: statistic_only(adata, "moran"),
    "Geary's C / squidpy": lambda adata: statistic_only(adata, "geary"),
    "Moran's I with p / squidpy": lambda adata: autocorrelation(adata, "moran"),
    "Geary's C with p / squidpy": lambda adata: autocorrelation(adata, "geary"),
    "niche AUROC / scanpy wilcoxon": niche_markers,
    "niche AUROC, p, fold, share / scanpy wilcoxon": lambda adata: niche_tests(adata, tie_correct=False, pts=True),
    "the same, ties accounted for / scanpy": lambda adata: niche_tests(adata, tie_correct=True, pts=True),
}


def seconds(function: Callable[[], Any]) -> float:
    """Return how long one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _growth(task: str, side: int, path: str, out: Any) -> None:
    warnings.simplefilter("ignore")
    TASKS[task](cohort(300, 30, 3))[side]()  # compiles
    function = TASKS[task](ad.read_h5ad(path))[side]
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak to what is held now
    before = _peak_mb()
    function()
    out.put(_peak_mb() - before)


def _peak_mb() -> float:
    """Return the peak memory of this process; Linux only, as a child's getrusage starts from the parent's peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def peak(task: str, side: int, path: str) -> float:
    """Return by how many MB one call raises the peak memory of a fresh process."""
    context = multiprocessing.get_context("spawn")
    out = context.Queue()
    worker = context.Process(target=_growth, args=(task, side, path, out))
    worker.start()
    found = out.get()
    worker.join()
    return float(found)


def compare_all(size: tuple[int, int, int], *, repeats: int, memory: bool) -> pd.DataFrame:
    """Return one row per task: seconds of both, their ratio, and memory."""
    adata, rows = cohort(*size), []
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/cohort.h5ad"
        adata.write_h5ad(path)
        for task, make in TASKS.items():
            ours, peer, compare = make(adata)
            compare(ours(), peer())
            times = np.array([[seconds(ours), seconds(peer)] for _ in range(repeats)])
            one, two = np.median(times, axis=0)
            row = {"task": task, "stfmkit_s": one, "peer_s": two, "ratio": two / one}
            if memory:
                row |= {"stfmkit_MB": peak(task, 0, path), "peer_MB": peak(task, 1, path)}
            rows.append(row)
    return pd.DataFrame(rows)


def scaling(sizes: list[tuple[int, int]], repeats: int) -> pd.DataFrame:
    """Return seconds of our side against the number of spots and genes, and nanoseconds per stored value."""
    rows = []
    for n_spots, n_genes in sizes:
        adata = cohort(n_spots, n_genes, 10)
        values, graph = sparse.csr_array(adata.X), sparse.csr_array(adata.obsp["spatial_connectivities"])
        niche, xy, counts = (
            adata.obs["niche"].to_numpy(),
            adata.obsm["spatial"],
            sparse.csr_array(adata.layers["counts"]),
        )
        works = {
            "morans_i": lambda x=values, w=graph: sk.metrics.morans_i(x, w),
            "gearys_c": lambda x=values, w=graph: sk.metrics.gearys_c(x, w),
            "auroc_by_group": lambda x=values, niche=niche: sk.metrics.auroc_by_group(x, niche),
            "rank_sum_test": lambda x=values, niche=niche: sk.metrics.rank_sum_test(x, niche),
            "sparkx_test": lambda x=counts, at=xy: sk.metrics.sparkx_test(x, at),
        }
        row: dict[str, Any] = {"spots": n_spots, "genes": n_genes, "values_M": round(values.nnz / 1e6, 1)}
        for name, work in works.items():
            work()
            took = float(np.median([seconds(work) for _ in range(repeats)]))
            row[name] = f"{took:.3f} ({1e9 * took / values.nnz:.1f} ns)"
        rows.append(row)
        print(row, flush=True)
    return pd.DataFrame(rows)


def check_cost(size: tuple[int, int, int], repeats: int) -> pd.DataFrame:
    """Return what the check of a sparse matrix costs, and its share of what follows it."""
    adata = cohort(*size)
    counts, values = sparse.csr_array(adata.layers["counts"]), sparse.csr_array(adata.X)
    graph, niche = sparse.csr_array(adata.obsp["spatial_connectivities"]), adata.obs["niche"].to_numpy()
    works = {
        "Moran's I": lambda: sk.metrics.morans_i(values, graph),
        "reading counts": lambda: read_counts(adata, "counts"),
        "sk.pp.normalize": lambda: sk.pp.normalize(adata, layer="counts", copy=True),
        "AUROC of niches": lambda: sk.metrics.auroc_by_group(values, niche),
        "correlation": lambda: sk.metrics.correlation(values),
    }
    took = {name: _median_of(work, repeats) for name, work in works.items()}
    check = _median_of(lambda: check_sparse(counts, name="X"), 10 * repeats)
    print(f"check: {check:.5f} s, {1e9 * check / counts.nnz:.2f} ns for each of {counts.nnz / 1e6:.1f} M values")
    return pd.DataFrame({"seconds": took, "share of the check": {name: check / s for name, s in took.items()}})


def _median_of(work: Callable[[], Any], repeats: int) -> float:
    work()
    return float(np.median([seconds(work) for _ in range(repeats)]))


def profile(size: tuple[int, int, int]) -> None:
    """Print where our side of every task spends its time."""
    adata = cohort(*size)
    for task, make in TASKS.items():
        ours = make(adata)[0]
        ours()
        watch = cProfile.Profile()
        watch.runcall(ours)
        print(task)
        pstats.Stats(watch).sort_stats("cumulative").print_stats(8)


def main() -> None:
    """Read the sizes, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spots", type=int, default=20_000)
    parser.add_argument("--genes", type=int, default=2_000)
    parser.add_argument("--niches", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--memory", action="store_true", help="also measure peak memory, in processes of their own")
    parser.add_argument("--sizes", nargs="*", metavar="SPOTSxGENES", help="show the cost against the size alone")
    parser.add_argument("--profile", action="store_true", help="show where the time goes alone")
    parser.add_argument("--check", action="store_true", help="show what the check of sparse matrices costs alone")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    size = (given.spots, given.genes, given.niches)
    if given.profile:
        profile(size)
    elif given.check:
        print(check_cost(size, given.repeats).round(4).to_string())
    elif given.sizes is not None:
        sizes = [(int(n), int(g)) for n, g in (text.split("x") for text in given.sizes)] or SIZES
        print(scaling(sizes, given.repeats).to_string(index=False))
    else:
        print(compare_all(size, repeats=given.repeats, memory=given.memory).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
