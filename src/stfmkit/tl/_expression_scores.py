"""Score a prediction gene by gene within samples, and average: genes, samples, patients, task."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit import metrics
from stfmkit._core.errors import InputError
from stfmkit._kernels._autocorr import row_stochastic
from stfmkit._kernels._neighbors import knn_within, mean_operator
from stfmkit.tl._expression_baselines import Baselines
from stfmkit.tl._expression_inputs import LOGGED, Matrix, Predicted, Truth

NEIGHBORS = 6
"""Neighbours of the graph that is built where none is given; the six of a Visium lattice."""
MIN_RELIABILITY = 0.1
"""Below this a gene is too noisy for a share of its ceiling."""

_CELLS = 2**21  # of a dense block of genes, so that memory is flat in their number
_MEDIANS = ("r2", "nrmse", "q2", "deviance_explained", "variance_ratio", "moran_ratio")
"""Scores without a bound: a few genes would decide their mean."""
_FACTS = ("patient", "sample", "gene", "n_obs", "constant_truth", "constant_prediction")


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """Everything that the scores of one prediction need.

    Attributes
    ----------
    truth, predicted
        Both sides.
    scored
        Which observations are predicted (n_obs,).
    samples, patients
        Ids (n_obs,).
    folds
        Number of the fold that tests an observation (n_obs,), 0 where there are none.
    size_targets
        Library size that every observation is scaled to (n_obs,).
    means
        Training mean of every fold and gene (n_folds, n_genes), or None.
    halves
        Two independent parts of the counts, or None.
    coords, graph
        Coordinates (n_obs, 2), or weights (n_obs, n_obs), or None.
    min_obs
        Samples with fewer predicted observations are not scored.
    """

    truth: Truth
    predicted: Predicted
    scored: np.ndarray
    samples: pd.Categorical
    patients: pd.Categorical
    folds: np.ndarray
    size_targets: np.ndarray
    means: np.ndarray | None
    halves: tuple[Matrix, Matrix] | None
    coords: np.ndarray | None
    graph: sparse.csr_array | None
    min_obs: int


@dataclass(frozen=True, eq=False)
class Group:
    """Observations of one sample for which the same genes are predicted."""

    rows: np.ndarray
    genes: np.ndarray
    graph: sparse.csr_array | None


def groups_of(judged: Judged) -> list[Group]:
    """Return what is scored together: a sample, or the folds of it that predict the same genes.

    Raises
    ------
    InputError
        A gene is missing for some observations of a sample (and fold) only, or no sample is large enough.
    """
    groups = []
    for code in range(len(judged.samples.categories)):
        rows = np.flatnonzero((judged.samples.codes == code) & judged.scored)
        for at, genes in _patterns(judged, rows, str(judged.samples.categories[code])):
            if len(at) >= judged.min_obs and genes.any():
                groups.append(Group(at, genes, _graph(judged, at)))
    if not groups:
        raise InputError(
            f"no sample with {judged.min_obs} predicted observations or more.",
            allowed="one such sample",
            remedy="predict whole samples, or lower min_obs and say so beside the scores.",
        )
    return groups


def score_genes(judged: Judged, groups: list[Group], baselines: Baselines) -> pd.DataFrame:
    """Return one row for every sample and gene, a block of genes at a time."""
    n_genes = len(judged.predicted.genes)
    step = max(16, _CELLS // len(judged.scored))
    tables = []
    for start in range(0, n_genes, step):
        part = slice(start, min(start + step, n_genes))
        known = baselines.predict(judged.predicted.columns[part])
        for group in groups:
            at = np.flatnonzero(group.genes[part])
            if len(at):
                here = {name: values[group.rows][:, at] for name, values in known.items()}
                tables.append(_score(judged, group, part=part, at=at, known=here))
    table = pd.concat(tables, ignore_index=True)
    return table.sort_values(["patient", "sample", "position"], kind="stable", ignore_index=True).drop(
        columns="position"
    )


def _score(judged: Judged, group: Group, *, part: slice, at: np.ndarray, known: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return the scores of the genes `at` of a block `part`, in one group."""
    rows, columns = group.rows, judged.predicted.columns[part][at]
    sizes = judged.size_targets[rows]
    true = judged.truth.scaled(judged.truth.matrix, rows, columns, size_target=sizes)
    guess = judged.predicted.dense(rows, part)[:, at]
    flat = metrics.degenerate_genes(true, guess)
    position = np.arange(part.start, part.stop)[at]
    values = _plain(true, guess) | _with_reference(judged, true, guess, rows=rows, genes=position)
    if judged.truth.depth is not None:
        covariate = np.log1p(judged.truth.depth[rows])
        values["partial_pearson"] = metrics.partial_pearson(true, guess, covariate=covariate)
    if group.graph is not None:
        values["map_ssim"] = metrics.map_ssim(true, guess, graph=group.graph)
        values["bivariate_morans_i"] = metrics.bivariate_morans_i(true, guess, graph=group.graph)
        values["moran_ratio"] = metrics.moran_ratio(true, guess, graph=group.graph)
    if judged.halves is not None:
        halves = [judged.truth.scaled(h, rows, columns, size_target=sizes, share=0.5) for h in judged.halves]
        values |= _ceiling(values["pearson"], metrics.split_half_reliability(halves[0], halves[1]))
    for name, baseline in known.items():
        if not np.isnan(baseline).any():
            values[f"pearson_{name}"] = metrics.pearson(true, baseline)
            values[f"delta_pearson_{name}"] = values["pearson"] - values[f"pearson_{name}"]
    facts = {
        "patient": str(judged.patients[rows[0]]),
        "sample": str(judged.samples[rows[0]]),
        "gene": judged.predicted.genes[part][at],
        "n_obs": len(rows),
        "constant_truth": flat.constant_truth,
        "constant_prediction": flat.constant_prediction,
        "position": position,
    }
    return pd.DataFrame(facts | values)


def _plain(true: np.ndarray, guess: np.ndarray) -> dict[str, np.ndarray]:
    names = ("pearson", "spearman", "ccc", "r2", "nrmse", "rmse", "auroc_top", "variance_ratio")
    return {name: metrics.spec(name).function(true, guess) for name in names}


def _with_reference(
    judged: Judged, true: np.ndarray, guess: np.ndarray, *, rows: np.ndarray, genes: np.ndarray
) -> dict[str, np.ndarray]:
    if judged.means is None:
        return {}
    mean = judged.means[judged.folds[rows]][:, genes]
    values = {"q2": metrics.q2(true, guess, train_mean=mean)}
    if judged.truth.target in LOGGED:
        true, guess, mean = (np.expm1(np.maximum(v, 0)) for v in (true, guess, mean))
    if judged.truth.counted:
        values["deviance_explained"] = metrics.deviance_explained(true, guess, null=mean)
    return values


def _ceiling(pearson: np.ndarray, reliability: np.ndarray) -> dict[str, np.ndarray]:
    ceiling = metrics.pearson_ceiling(reliability)
    share = metrics.ceiling_normalized(pearson, ceiling=ceiling)
    share[~(reliability >= MIN_RELIABILITY)] = np.nan
    return {"reliability": reliability, "pearson_ceiling": ceiling, "pearson_of_ceiling": share}


def _patterns(judged: Judged, rows: np.ndarray, sample: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the rows and the genes (as a mask) that are predicted together."""
    everything = np.ones(len(judged.predicted.genes), dtype=bool)
    if not len(rows):
        return
    if isinstance(judged.predicted.matrix, sparse.csr_array):
        yield rows, everything
        return
    known = ~np.isnan(judged.predicted.matrix[rows])
    if known.all():
        yield rows, everything
        return
    for fold in np.unique(judged.folds[rows]):
        inside = known[judged.folds[rows] == fold]
        torn = inside.any(axis=0) & ~inside.all(axis=0)
        if torn.any():
            raise InputError(
                f"{int((~inside[:, torn]).sum())} NaN among the predictions of {int(torn.sum())} genes in {sample!r}.",
                allowed="a gene is predicted for all observations of a sample that are predicted at all, or for none",
                remedy="set whole observations or whole genes of a sample to NaN, or find out where the NaN come from.",
            )
    patterns, which = np.unique(known, axis=1, return_inverse=True)
    for number, pattern in enumerate(patterns.T):
        if pattern.any():
            yield rows[pattern], which.ravel() == number


def _graph(judged: Judged, rows: np.ndarray) -> sparse.csr_array | None:
    """Return row-stochastic weights among the rows."""
    if judged.graph is not None:
        return row_stochastic(sparse.csr_array(judged.graph[rows][:, rows]))
    if judged.coords is None:
        return None
    near = knn_within(judged.coords[rows], np.zeros(len(rows), dtype=np.int64), k=min(NEIGHBORS, len(rows) - 1))
    return mean_operator(near, include_self=False)


def by_sample(genes: pd.DataFrame, *, n_predicted: int) -> pd.DataFrame:
    """Return the mean over the genes of every sample, and how many genes were left out and why.

    Genes whose truth is constant are left out; of scores that have no bound it is the median.
    """
    names = [c for c in genes.columns if c not in _FACTS]
    rows = []
    for (patient, sample), every in genes.groupby(["patient", "sample"], sort=True):
        used = every[~every["constant_truth"]]
        means = {name: _average(used[name].to_numpy(), median=name in _MEDIANS) for name in names}
        facts = {
            "patient": patient,
            "sample": sample,
            "n_obs": int(every.groupby("gene")["n_obs"].sum().max()),
            "n_genes": len(used),
            "n_constant_truth": int(every["constant_truth"].sum()),
            "n_constant_prediction": int(every["constant_prediction"].sum()),
            "n_not_predicted": n_predicted - every["gene"].nunique(),
        }
        if "reliability" in names:
            facts["n_unreliable"] = int((~(used["reliability"] >= MIN_RELIABILITY)).sum())
        rows.append(facts | means)
    return pd.DataFrame(rows)


def _average(values: np.ndarray, *, median: bool) -> float:
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan")
    return float(np.median(known) if median else known.mean())


def by_patient(samples: pd.DataFrame) -> pd.DataFrame:
    """Return the mean over the samples of every patient."""
    names = [c for c in samples.columns if c not in {"patient", "sample"} and not c.startswith("n_")]
    groups = samples.groupby("patient", sort=True)
    table = groups[names].mean()
    table.insert(0, "n_samples", groups.size())
    return table.reset_index()


def summarize(patients: pd.DataFrame) -> pd.DataFrame:
    """Return mean, spread and range over patients, one row per metric."""
    names = [c for c in patients.columns if c not in {"patient", "n_samples"}]
    values = patients[names]
    table = pd.DataFrame(
        {
            "mean": values.mean(),
            "sd": values.std(ddof=1),
            "min": values.min(),
            "max": values.max(),
            "n_patients": values.notna().sum(),
        }
    )
    return table.rename_axis("metric")
