"""Time the metrics of embeddings against their peers on the same data, results compared for equality first.

Usage: python benchmarks/bench_embedding.py [--obs 100000] [--dims 32] [--neighbors 50] [--repeats 3] [--sizes]

Ours and the peer's run in turn, so that a busy machine slows both; the medians over repeats are compared. Both may use
all cores, and both run once before, so that compilation is not timed. Memory is what Python and numpy allocate at most
during one call, beyond the input. What takes time with the square of the observations is compared at --square of them
and said so. With --sizes the cost of ours is shown against the number of observations, up to a million.
"""

import argparse
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import squidpy as sq
from _measure import row, seconds
from anndata import AnnData
from scipy import sparse
from sklearn.linear_model import Ridge
from sklearn.metrics import f1_score, silhouette_score
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.preprocessing import StandardScaler

import stfmkit as sk
from stfmkit.metrics._grouped_ridge import deal

if TYPE_CHECKING:
    from collections.abc import Callable

_TOLERANCE = 1e-9

_row = partial(row, tolerance=_TOLERANCE)
_PENALTIES = 10.0 ** np.arange(-6.0, 3.0)


class Cells(NamedTuple):
    """Cells of six patients in twelve domains that the embedding shows, with a shift of every patient."""

    coords: np.ndarray
    domains: np.ndarray
    patients: np.ndarray
    embedding: np.ndarray


def cells(n_obs: int, dims: int) -> Cells:
    """Coordinates at one density whatever their number, in domains around twelve centres."""
    rng = np.random.default_rng(0)
    coords = rng.uniform(0, 10 * np.sqrt(n_obs), size=(n_obs, 2))
    centres = rng.uniform(0, 10 * np.sqrt(n_obs), size=(12, 2))
    codes = ((coords[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    codes = np.where(rng.uniform(size=n_obs) < 0.1, rng.integers(12, size=n_obs), codes)
    who = rng.integers(6, size=n_obs)
    shift = rng.normal(size=(12, dims))[codes] + 0.5 * rng.normal(size=(6, dims))[who]
    embedding = shift + rng.normal(size=(n_obs, dims))
    return Cells(coords, np.array([f"D{c}" for c in codes]), np.array([f"P{w}" for w in who]), embedding)


def sklearn_chaos(data: Cells) -> float:
    """CHAOS by its definition, with a search tree for every cluster."""
    scaled = StandardScaler().fit_transform(data.coords)
    total = 0.0
    for name in np.unique(data.domains):
        members = scaled[data.domains == name]
        if len(members) > 2:
            total += NearestNeighbors(n_neighbors=1).fit(members).kneighbors()[0].sum()
    return total / len(scaled)


def sklearn_pas(data: Cells) -> float:
    """PAS by its definition; coordinates are random, so that no neighbours are tied."""
    near = NearestNeighbors(n_neighbors=10).fit(data.coords).kneighbors(return_distance=False)
    return float(((data.domains[near] != data.domains[:, None]).sum(axis=1) > 5).mean())


def sklearn_index(data: Cells, k: int) -> float:
    """Robustness index by its definition."""
    near = NearestNeighbors(n_neighbors=k).fit(data.embedding).kneighbors(return_distance=False)
    what = data.domains[near] == data.domains[:, None]
    who = data.patients[near] == data.patients[:, None]
    so, os = (what & ~who).sum(), (~what & who).sum()
    return float(so / (so + os))


def sklearn_probe(data: Cells) -> float:
    """Patient probe: the ten nearest others of the standardised embedding vote."""
    scaled = StandardScaler().fit_transform(data.embedding)
    names, codes = np.unique(data.patients, return_inverse=True)
    model = KNeighborsClassifier(n_neighbors=10).fit(scaled, codes)
    near = model.kneighbors(return_distance=False)
    votes = (codes[near][:, :, None] == np.arange(len(names))).sum(axis=1)
    right = votes.argmax(axis=1) == codes
    return float(np.mean([right[codes == code].mean() for code in range(len(names))]))


def sklearn_ridge(data: Cells, shares: np.ndarray) -> np.ndarray:
    """Held-out predictions: patients held out in turn, the penalty of every type tuned on the other patients."""
    guess = np.empty_like(shares)
    folds = deal(data.patients, 5)
    for fold in np.unique(folds):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        errors = np.zeros((len(_PENALTIES), shares.shape[1]))
        for inner in np.unique(folds[train]):
            fit, check = train[folds[train] != inner], train[folds[train] == inner]
            for at, penalty in enumerate(_PENALTIES):
                errors[at] += ((_fitted(data, shares, fit, check, penalty=penalty) - shares[check]) ** 2).sum(axis=0)
        best = _PENALTIES[errors.argmin(axis=0)]
        for penalty in np.unique(best):
            guess[np.ix_(test, best == penalty)] = _fitted(data, shares, train, test, penalty=penalty)[
                :, best == penalty
            ]
    return guess


def _fitted(data: Cells, shares: np.ndarray, fit: np.ndarray, check: np.ndarray, *, penalty: float) -> np.ndarray:
    scaler = StandardScaler().fit(data.embedding[fit])
    model = Ridge(alpha=penalty * len(fit)).fit(scaler.transform(data.embedding[fit]), shares[fit])
    return np.asarray(model.predict(scaler.transform(data.embedding[check])))


def squidpy_shares(data: Cells, radius: float) -> np.ndarray:
    """Shares of types within a radius, from squidpy's graph."""
    adata = AnnData(np.zeros((len(data.coords), 1), dtype=np.float32), obsm={"spatial": data.coords})
    sq.gr.spatial_neighbors(adata, coord_type="generic", radius=radius)
    types = pd.get_dummies(data.domains).to_numpy(dtype=np.float64)
    counts = adata.obsp["spatial_connectivities"] @ types
    total = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)


def sklearn_fide(data: Cells, graph: sparse.csr_array) -> float:
    """FIDE by its definition: F1 over the pairs of domains at edges."""
    left, right = graph.nonzero()
    return float(f1_score(data.domains[left], data.domains[right], average=None).mean())


def linear_rows(data: Cells, repeats: int) -> list[dict[str, Any]]:
    """Metrics whose time is near linear in the observations."""
    n, one = len(data.coords), np.zeros(len(data.coords), dtype=int)
    graph = sparse.csr_array(NearestNeighbors(n_neighbors=6).fit(data.coords).kneighbors_graph())
    shares = squidpy_shares(data, 20.0)
    metrics = sk.metrics
    return [
        _row(f"CHAOS, {n} / sklearn", lambda: metrics.chaos(*data[:2]), lambda: sklearn_chaos(data), repeats),
        _row(f"PAS, {n} / sklearn", lambda: metrics.pas(*data[:2]), lambda: sklearn_pas(data), repeats),
        _row(
            f"FIDE, {n} / sklearn",
            lambda: metrics.fide(data.domains, graph),
            lambda: sklearn_fide(data, graph),
            repeats,
        ),
        _row(
            f"neighbourhood composition, {n} / squidpy",
            lambda: metrics.neighborhood_composition(*data[:2], one, radius=20.0).shares,
            lambda: squidpy_shares(data, 20.0),
            repeats,
        ),
        _row(
            f"grouped ridge, {n} x {data.embedding.shape[1]} / a loop of sklearn's Ridge",
            lambda: metrics.grouped_ridge(data.embedding, shares, data.patients),
            lambda: sklearn_ridge(data, shares),
            repeats,
        ),
    ]


def square_rows(data: Cells, k: int, repeats: int) -> list[dict[str, Any]]:
    """Metrics whose time grows with the square of the observations: exact neighbours and silhouettes."""
    n, d = data.embedding.shape
    return [
        _row(
            f"spatial ASW, {n} / sklearn",
            lambda: sk.metrics.spatial_asw(*data[:2]),
            lambda: silhouette_score(*data[:2]),
            repeats,
        ),
        _row(
            f"robustness index, {n} x {d}, k={k} / sklearn",
            lambda: sk.metrics.robustness_index(data.embedding, data.domains, data.patients, n_neighbors=k),
            lambda: sklearn_index(data, k),
            repeats,
        ),
        _row(
            f"patient probe, {n} x {d} / sklearn",
            lambda: sk.metrics.group_probe_accuracy(data.embedding, data.patients),
            lambda: sklearn_probe(data),
            repeats,
        ),
    ]


def shared_row(data: Cells, k: int, repeats: int) -> dict[str, Any]:
    """Four metrics on neighbours that are found once, against finding them for each."""
    parts = (data.embedding, data.domains, data.patients)

    def scores(near: sk.metrics.Neighbors | None) -> list[float]:
        index = [sk.metrics.robustness_index(*parts, n_neighbors=size, neighbors=near) for size in (10, k)]
        return index + [
            sk.metrics.neighborhood_purity(*parts[:2], n_neighbors=size, neighbors=near) for size in (10, k)
        ]

    title = f"two indices and two purities, {len(data.coords)}: neighbours found once / each time"
    return _row(title, lambda: scores(sk.metrics.embedding_neighbors(data.embedding, k)), lambda: scores(None), repeats)


def size_row(n: int, dims: int, repeats: int) -> dict[str, Any]:
    """Seconds of ours alone at one size."""
    data = cells(n, dims)
    one, shares = np.zeros(n, dtype=int), np.random.default_rng(0).dirichlet(np.ones(12), n)
    depth = np.random.default_rng(1).lognormal(5, 1, n)
    calls: dict[str, Callable[[], Any]] = {
        "CHAOS": lambda: sk.metrics.chaos(*data[:2]),
        "PAS": lambda: sk.metrics.pas(*data[:2]),
        "composition": lambda: sk.metrics.neighborhood_composition(*data[:2], one, radius=20.0),
        "grouped ridge": lambda: sk.metrics.grouped_ridge(data.embedding, shares, data.patients),
        "library size R²": lambda: sk.metrics.library_size_r2(data.embedding, depth, data.patients),
        "coordinate R²": lambda: sk.metrics.coordinate_r2(data.embedding, data.coords, one),
        "few-shot F1": lambda: sk.metrics.few_shot_f1(data.embedding, data.domains, data.patients, n_repeats=1),
        "CKA": lambda: sk.metrics.cka(data.embedding, data.embedding[:, ::-1], debiased=True),
        "ASW of 1000": lambda: sk.metrics.spatial_asw(*data[:2], n_sampled=1000),
    }
    times = {name: float(np.median([seconds(call) for _ in range(repeats)])) for name, call in calls.items()}
    return {"n_obs": n, **times}


def main() -> None:
    """Read the sizes, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--obs", type=int, default=100_000)
    parser.add_argument("--square", type=int, default=20_000, help="observations where time grows with their square")
    parser.add_argument("--dims", type=int, default=32, help="dimensions of the embedding")
    parser.add_argument("--neighbors", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sizes", action="store_true", help="also show the cost against the number of observations")
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # what squidpy says of its own future
    small = cells(given.square, given.dims)
    rows = linear_rows(cells(given.obs, given.dims), given.repeats)
    rows += square_rows(small, given.neighbors, given.repeats)
    rows.append(shared_row(small, given.neighbors, given.repeats))
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda v: f"{v:.3g}"))
    if given.sizes:
        rows = [size_row(n, given.dims, given.repeats) for n in (10_000, 100_000, 1_000_000)]
        print(pd.DataFrame(rows).to_string(index=False, float_format=lambda v: f"{v:.3g}"))


if __name__ == "__main__":
    main()
