"""The probe of HEST-Benchmark (Jaume et al. 2024, NeurIPS), with its quirks: genes, regression, score.

As its public code does it (September 2025). What is peculiar:

- genes are chosen on all slides, test slides included;
- the target is log1p of raw counts, so that library size carries part of the score;
- the penalty, 100 / (components × genes), is next to none and is not tuned;
- features are centred and the target is not, and no intercept is fitted, so R² means nothing;
- all test observations of a fold are pooled, so that differences between slides count as skill;
- one gene without variance makes the mean of a fold undefined;
- single precision throughout.
"""

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from stfmkit import metrics
from stfmkit._core.errors import InputError

N_GENES = 50
COMPONENTS = 256
_SEED = 1
_SHARE = 0.1
_CONTROLS = ("BLANK", "Control")


def hest_genes(counts: sparse.csr_array, *, samples: np.ndarray, genes: np.ndarray, n_genes: int) -> np.ndarray:
    """Return the names of the target genes, in the order of HEST (alphabetical where there are several slides).

    Genes detected in ceil(10 %) of the observations of every slide, without those whose name contains "BLANK" or
    "Control"; then scanpy's highly variable genes (flavor "seurat") of log1p of the raw counts of all slides together.

    Parameters
    ----------
    counts
        Raw counts of all observations (n_obs, n_genes).
    samples
        Codes of the slides (n_obs,).
    genes
        Names (n_genes,).

    Raises
    ------
    InputError
        Fewer than `n_genes` genes qualify.
    """
    import scanpy as sc
    from anndata import AnnData

    keep = np.array([not any(word in name for word in _CONTROLS) for name in genes])
    names = np.unique(samples)
    for sample in names:
        part = counts[np.flatnonzero(samples == sample)]
        keep &= np.bincount(part.indices, minlength=len(genes)) >= np.ceil(_SHARE * part.shape[0])
    chosen = np.flatnonzero(keep)
    if len(chosen) < n_genes:
        raise InputError(
            f"{len(chosen)} genes that are detected in a tenth of the observations of every sample.",
            allowed=f"{n_genes} or more, as HEST-Benchmark takes the most variable {n_genes} of them",
            remedy="pass genes=[...] or a smaller number, or drop the samples that are too sparse.",
        )
    if len(names) > 1:
        chosen = chosen[np.argsort(genes[chosen])]
    pooled = AnnData(
        counts[:, chosen].toarray().astype(np.float32), var=pd.DataFrame(index=pd.Index(genes[chosen], dtype=str))
    )
    pooled.obs_names = [str(i) for i in range(pooled.n_obs)]
    sc.pp.log1p(pooled)
    sc.pp.highly_variable_genes(pooled, n_top_genes=n_genes, flavor="seurat")
    return np.asarray(pooled.var_names[pooled.var["highly_variable"]][:n_genes], dtype=str)


def hest_predict(train: np.ndarray, counts: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, float, int]:
    """Return predictions of log1p of raw counts (n_test, n_genes), the penalty, and the number of components.

    ``StandardScaler → PCA(256, random_state=1) → Ridge(solver="lsqr", alpha=100 / (components · genes),
    fit_intercept=False, max_iter=1000, random_state=1)``. Where there are fewer than 256 columns or training rows, HEST
    fails; here all components are kept.
    """
    components = min(COMPONENTS, *train.shape)
    reduce = make_pipeline(StandardScaler(), PCA(n_components=components, random_state=_SEED))
    x = reduce.fit_transform(train).astype(np.float32)
    z = reduce.transform(test).astype(np.float32)
    alpha = 100 / (components * counts.shape[1])
    ridge = Ridge(solver="lsqr", alpha=alpha, random_state=_SEED, fit_intercept=False, max_iter=1000)
    ridge.fit(x, np.log1p(counts.astype(np.float32)))  # least squares stop early, so that rounding can be seen
    return np.asarray(ridge.predict(z)).reshape(len(z), -1), alpha, components


def hest_scores(
    truth: np.ndarray, predicted: np.ndarray, *, folds: np.ndarray, genes: np.ndarray
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return Pearson's r of every gene and fold, and mean and population SD over folds of the mean over genes.

    Parameters
    ----------
    truth, predicted
        log1p of raw counts, and the prediction (n_obs, n_genes); rows of several slides.
    folds
        Fold that tests each row (n_obs,).
    """
    tables = []
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds == fold)
        r = metrics.pearson(truth[rows], predicted[rows])
        flat = metrics.degenerate_genes(truth[rows], predicted[rows])
        r[flat.constant_truth | flat.constant_prediction] = np.nan
        tables.append(pd.DataFrame({"fold": int(fold), "gene": genes, "n_obs": len(rows), "pearson": r}))
    means = np.array([table["pearson"].to_numpy().mean() for table in tables])  # one NaN makes the mean NaN
    facts = {"mean": [means.mean()], "sd": [means.std()], "n_folds": [len(means)]}
    summary = pd.DataFrame(facts, index=pd.Index(["pearson"], name="metric"))
    return pd.concat(tables, ignore_index=True), summary
