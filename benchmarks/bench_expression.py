"""Time expression prediction and its scores against loops of their peers on the same data, results compared first.

Usage: python benchmarks/bench_expression.py [--obs 6000] [--genes 200] [--dims 128] [--repeats 3] [--sizes]

Ours and the peer's run in turn, so that a busy machine slows both; the medians over repeats are compared. Both may use
all cores, and both run once before, so that compilation is not timed. Memory is what Python and numpy allocate at most
during one call, beyond the input. The verb that judges computes some twenty scores; its peer is a loop of scipy and
scikit-learn over samples and genes for seven of them. With --sizes the cost of ours is shown against the numbers of
observations and genes.
"""

import argparse
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from _measure import peak, row, seconds
from anndata import AnnData
from scipy import sparse
from scipy.stats import pearsonr, spearmanr
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score, roc_auc_score, root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import stfmkit as sk
from stfmkit._core.random import stream
from stfmkit.splits.folds import inner_folds

if TYPE_CHECKING:
    from collections.abc import Callable

_FLOAT32 = 1e-6
"""Predictions are stored in single precision."""
_FLOAT64 = 1e-10

_SAMPLES = 6
_PENALTIES = (1e-2, 1.0, 1e2, 1e4, 1e6)
_KEYS = {"patient_key": "patient", "sample_key": "sample"}
_SCORES = ("pearson", "spearman", "ccc", "r2", "rmse", "auroc_top", "variance_ratio")


def slides(n_obs: int, n_genes: int, dims: int) -> AnnData:
    """Six patients with a slide each: counts that ten programs drive, and an encoder that sees them."""
    rng = np.random.default_rng(0)
    program = rng.gamma(2, 0.5, size=(n_obs, 10))
    rate = program @ rng.gamma(0.5, 1.0, size=(10, n_genes)) * rng.lognormal(0, 0.3, size=(n_obs, 1))
    who = np.arange(n_obs) * _SAMPLES // n_obs
    obs = pd.DataFrame({"patient": [f"P{w}" for w in who], "sample": [f"S{w}" for w in who]}).astype("category")
    obs.index = [f"spot{i}" for i in range(n_obs)]
    var = pd.DataFrame(index=[f"G{i}" for i in range(n_genes)])
    data = AnnData(sparse.csr_matrix(rng.poisson(rate).astype(np.float32)), obs=obs, var=var)
    data.obsm["spatial"] = rng.uniform(0, 100 * np.sqrt(n_obs), size=(n_obs, 2))
    data.obsm["encoder"] = program @ rng.normal(size=(10, dims)) + rng.normal(size=(n_obs, dims))
    return data


def predicted(data: AnnData, **options: Any) -> pd.DataFrame:
    """Predict every slide from the others."""
    return sk.tl.predict_expression(
        data, "encoder", split=sk.pp.PatientKFold(_SAMPLES), genes=list(data.var_names), copy=True, **_KEYS, **options
    )


def sklearn_predicted(data: AnnData, inner: list[np.ndarray]) -> np.ndarray:
    """The same by a loop of scikit-learn: outer patients, inner folds, penalties.

    Parameters
    ----------
    inner
        For the fold that holds out patient p, the inner fold of every observation.
    """
    counts = data.X.toarray().astype(np.float64)
    depth, who = counts.sum(axis=1), data.obs["patient"].cat.codes.to_numpy()
    out = np.empty_like(counts)
    for patient in range(_SAMPLES):
        train, test = np.flatnonzero(who != patient), np.flatnonzero(who == patient)
        y = np.log1p(counts / depth[:, None] * np.median(depth[train]))
        errors = np.zeros(len(_PENALTIES))
        for fold in np.unique(inner[patient][train]):
            fit, check = train[inner[patient][train] != fold], train[inner[patient][train] == fold]
            known, asked = _reduced(data.obsm["encoder"], fit, check)
            for at, penalty in enumerate(_PENALTIES):
                wrong = Ridge(alpha=penalty).fit(known, y[fit]).predict(asked) - y[check]
                errors[at] += ((wrong**2).mean(axis=0) / _variance(y[train])).mean()
        known, asked = _reduced(data.obsm["encoder"], train, test)
        out[test] = Ridge(alpha=_PENALTIES[int(errors.argmin())]).fit(known, y[train]).predict(asked)
    return out


def _variance(values: np.ndarray) -> np.ndarray:
    found = values.var(axis=0)
    return np.where(found > 0, found, 1.0)


def _reduced(x: np.ndarray, fit: np.ndarray, check: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return training and held-out rows on scaled principal components, found once for all penalties."""
    model = make_pipeline(StandardScaler(), PCA(min(256, x.shape[1], len(fit)), svd_solver="full"))
    return model.fit_transform(x[fit]), model.transform(x[check])


def hest_pipeline(data: AnnData) -> np.ndarray:
    """The probe of HEST-Benchmark: scaler, PCA, and ridge without an intercept, for every fold."""
    logged, who = np.log1p(data.X.toarray().astype(np.float32)), data.obs["patient"].cat.codes.to_numpy()
    x, out = data.obsm["encoder"], np.empty(data.shape, dtype=np.float32)
    for patient in range(_SAMPLES):
        train, test = who != patient, who == patient
        components = min(256, x.shape[1])
        reduce = make_pipeline(StandardScaler(), PCA(n_components=components, random_state=1))
        fit, check = reduce.fit_transform(x[train]).astype(np.float32), reduce.transform(x[test]).astype(np.float32)
        alpha = 100 / (components * data.n_vars)
        ridge = Ridge(solver="lsqr", alpha=alpha, random_state=1, fit_intercept=False, max_iter=1000)
        out[test] = ridge.fit(fit, logged[train]).predict(check)
    return out


def judged(data: AnnData) -> np.ndarray:
    """Seven of the scores of the verb, one row for every sample and gene."""
    scores = sk.tl.evaluate_expression(data, "model", copy=True, **_KEYS)["scores"]
    own = scores[(scores["contender"] == "model") & scores["status"].isin(["scored", "undefined"])]
    table = own.pivot_table(index=["sample", "gene"], columns="metric", values="value", dropna=False)
    return table.loc[_order(data), list(_SCORES)].to_numpy()


def _order(data: AnnData) -> list[tuple[str, str]]:
    return [(sample, gene) for sample in data.obs["sample"].cat.categories for gene in data.var_names]


def looped(data: AnnData) -> np.ndarray:
    """The same seven by a loop over samples and genes."""
    counts = data.X.toarray().astype(np.float64)
    depth = counts.sum(axis=1, keepdims=True)
    share = counts / depth  # divided first: 1 of 50 and 3 of 150 are a tie, which a rounded factor would break
    truth, guess = np.log1p(share * np.median(depth)), data.layers["model"]
    rows = []
    for sample in data.obs["sample"].cat.categories:
        here = (data.obs["sample"] == sample).to_numpy()
        rows += [_scores(truth[here, gene], guess[here, gene]) for gene in range(data.n_vars)]
    return np.array(rows)


def _scores(x: np.ndarray, y: np.ndarray) -> list[float]:
    r = pearsonr(x, y)[0]
    ccc = 2 * r * x.std() * y.std() / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    cut = np.quantile(x, 0.9)
    top = x > cut if (x > cut).any() else x >= cut
    scores = [r, spearmanr(x, y)[0], ccc, r2_score(x, y), root_mean_squared_error(x, y), roc_auc_score(top, y)]
    return [*scores, y.std() / x.std()]


def inner_of(data: AnnData) -> list[np.ndarray]:
    """The inner folds that our verb deals, so that both tune on the same."""
    who = data.obs["patient"].cat.codes.to_numpy()
    found = []
    for number, patient in enumerate(_tested(data)):
        train = np.flatnonzero(who != patient)
        fold = np.full(data.n_obs, -1)
        for at, (_, check) in enumerate(inner_folds(who[train], 4, stream(0, "inner", number))):
            fold[train[check]] = at
        found.append((patient, fold))
    return [fold for _, fold in sorted(found, key=lambda pair: pair[0])]


def _tested(data: AnnData) -> list[int]:
    """Patients in the order of the folds that test them."""
    copy = data.copy()
    sk.tl.predict_expression(
        copy, "encoder", split=sk.pp.PatientKFold(_SAMPLES), genes=[data.var_names[0]], ridge_alpha=(1.0,), **_KEYS
    )
    folds = copy.obs.groupby("predicted_fold")["patient"].first()
    return [int(str(name)[1:]) for name in folds]


def size_row(n_obs: int, n_genes: int, dims: int, repeats: int) -> dict[str, Any]:
    """Seconds of ours alone at one size."""
    data = slides(n_obs, n_genes, dims)
    data.layers["model"] = predicted(data, ridge_alpha=(1.0,)).to_numpy()
    calls: dict[str, Callable[[], Any]] = {
        "predict": lambda: predicted(data, ridge_alpha=_PENALTIES),
        "predict, HEST": lambda: predicted(data, hest_compat=True),
        "evaluate": lambda: sk.tl.evaluate_expression(data, "model", copy=True, **_KEYS),
    }
    times = {name: float(np.median([seconds(call) for _ in range(repeats)])) for name, call in calls.items()}
    return {"n_obs": n_obs, "n_genes": n_genes, **times, "evaluate_MB": peak(calls["evaluate"])}


def main() -> None:
    """Read the sizes, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--obs", type=int, default=6_000)
    parser.add_argument("--genes", type=int, default=200)
    parser.add_argument("--dims", type=int, default=128, help="dimensions of the encoder")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sizes", action="store_true", help="also show the cost against the size")
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # what the peers say of their own future
    data = slides(given.obs, given.genes, given.dims)
    inner = inner_of(data)
    data.layers["model"] = predicted(data, ridge_alpha=_PENALTIES).to_numpy().astype(np.float64)
    size = f"{given.obs} x {given.genes}"
    rows = [
        row(
            f"nested ridge, {size} from {given.dims} / a loop of sklearn",
            lambda: predicted(data, ridge_alpha=_PENALTIES),
            lambda: sklearn_predicted(data, inner).astype(np.float32),
            given.repeats,
            tolerance=_FLOAT32,
        ),
        row(
            f"HEST probe, {size} from {given.dims} / sklearn",
            lambda: predicted(data, hest_compat=True),
            lambda: hest_pipeline(data),
            given.repeats,
            tolerance=_FLOAT32,
        ),
        row(
            f"evaluate_expression, {size} / a loop of scipy and sklearn, seven scores",
            lambda: judged(data),
            lambda: looped(data),
            given.repeats,
            tolerance=_FLOAT64,
        ),
    ]
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda v: f"{v:.3g}"))
    if given.sizes:
        sizes = ((6_000, 200), (24_000, 200), (96_000, 200), (6_000, 800), (6_000, 3_200))
        rows = [size_row(*size, given.dims, given.repeats) for size in sizes]
        print(pd.DataFrame(rows).to_string(index=False, float_format=lambda v: f"{v:.3g}"))


if __name__ == "__main__":
    main()
