"""Judge predicted expression, whatever predicted it."""

import warnings
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse

from stfmkit._core import slots
from stfmkit._core.arguments import check_integer
from stfmkit._core.errors import InputError, StfmkitWarning
from stfmkit._core.random import RNGLike, stream
from stfmkit._data.columns import read_groups
from stfmkit._data.identity import check_nested
from stfmkit._data.names import check_names
from stfmkit._data.training import training_rows
from stfmkit._data.view import resolve_table
from stfmkit._data.write import check_free, package_versions, write_result
from stfmkit._kernels._thinning import thin
from stfmkit.tl._expression_baselines import Baselines, patient_folds, placed
from stfmkit.tl._expression_inputs import (
    Predicted,
    Target,
    Truth,
    check_prediction,
    provenance,
    read_prediction,
    read_truth,
    seed_of,
)
from stfmkit.tl._expression_reference import fold_of, read_places, scale_of, training_means
from stfmkit.tl._expression_scores import Judged, by_patient, by_sample, groups_of, score_genes, summarize
from stfmkit.tl._hest_probe import hest_scores

if TYPE_CHECKING:
    from stfmkit._data.view import Container

STEP = "evaluate_expression"
Tables: TypeAlias = dict[str, pd.DataFrame]


def evaluate_expression(
    data: "Container",
    pred_layer: str,
    *,
    patient_key: str,
    sample_key: str,
    true_layer: str | None = None,
    target: Target | None = None,
    train: str | np.ndarray | pd.Series | None = None,
    train_mean: ArrayLike | pd.Series | None = None,
    target_sum: float | None = None,
    library_size_key: str | None = None,
    spatial_key: str | None = slots.SPATIAL,
    graph: str | None = None,
    min_obs: int = 20,
    hest_compat: bool = False,
    table_key: str | None = None,
    key_added: str = "expression_scores",
    rng: RNGLike = 0,
    copy: bool = False,
) -> Tables | None:
    """Score predicted against measured expression: per gene and sample, then samples, patients, and the task.

    Scores are computed within a sample, then averaged over its genes, over the samples of a patient, and over patients,
    so that neither differences between slides nor the number of spots count as skill. A gene whose truth is constant in
    a sample is left out there and counted; a constant prediction has a correlation of 0. Scores without a bound (R²,
    Q², deviance, NRMSE and the ratios) are medians over genes, as a few genes with hardly any variance would decide
    their mean.

    Columns of the tables are metrics of `sk.metrics` (their specs say how to read them): ``pearson``, ``spearman``,
    ``ccc``, ``r2`` (against the mean of the slide), ``nrmse``, ``rmse``, ``auroc_top``, ``variance_ratio``; with a
    training mean ``q2`` and ``deviance_explained``; with library sizes ``partial_pearson`` (given log1p of them);
    with places ``map_ssim``, ``bivariate_morans_i`` and ``moran_ratio``; of counts, by binomial thinning,
    ``reliability``, ``pearson_ceiling`` and ``pearson_of_ceiling`` (genes with a reliability of at least 0.1). With two
    patients or more, ``pearson_library_size`` and ``pearson_coordinates`` are what linear predictions from library size
    alone and from the place in the slide alone reach on held-out patients, and ``delta_pearson_...`` is what the
    prediction adds.

    Parameters
    ----------
    data
        AnnData or SpatialData.
    pred_layer
        The prediction: a layer, or a key of ``obsm`` with a DataFrame whose columns are genes (any subset of the table,
        in any order). NaN says that an observation, or a gene in a sample, is not predicted.
    patient_key, sample_key
        Columns of ``obs``; missing ids are refused.
    true_layer
        Layer with raw counts (or with values as they are); None for ``X``, or for what `predict_expression` read.
    target
        The scale of the prediction, to which the truth is brought: "size_factor_log1p" (log1p of counts over library
        size, times `target_sum`), "log1p" of raw counts, "counts", or "as_is" (truth and prediction are compared as
        they are). None is the scale that `predict_expression` recorded, else "size_factor_log1p".
    train
        Observations that the predictor was trained on (boolean column of ``obs``, or mask): they give the training mean
        and fit the baselines, and are not scored.
    train_mean
        Training mean of every predicted gene on the scale of the target, in the order of the prediction, or a Series by
        gene. None takes that of `train`, or what `predict_expression` recorded.
    target_sum
        Library size that the predictor scales to, such as 1e4. None takes the median in `train`, or what
        `predict_expression` recorded, or the median of the table.
    library_size_key
        Column of ``obs`` with library sizes; the total over the genes of the table where it is left out.
    spatial_key
        Key of the coordinates in ``obsm``, in any unit; None leaves out what needs places.
    graph
        Key in ``obsp`` of spatial weights; the six nearest neighbours in the sample where it is left out.
    min_obs
        Samples with fewer predicted observations are not scored.
    hest_compat
        Add the score of HEST-Benchmark, which pools all test observations of a fold (the recorded folds, else
        patients): mean over genes, then over folds, with the population SD; undefined where one gene is constant.
    table_key
        Table of a SpatialData.
    key_added
        Key in ``uns``.
    rng
        Seed of the thinning.
    copy
        Return the tables and write nothing.

    Returns
    -------
    With ``copy=True``, a dict of tables. Otherwise None, and writes them into ``uns[key_added]``:

    ``"by_gene"``
        One row for every sample and gene, with ``constant_truth`` and ``constant_prediction``.
    ``"by_sample"``
        One row for every sample: means (or medians) over genes, and ``n_genes`` in them, ``n_constant_truth``,
        ``n_constant_prediction``, ``n_not_predicted``, ``n_unreliable``.
    ``"by_patient"``
        One row for every patient.
    ``"summary"``
        One row for every metric: mean, sd (over patients), min, max, n_patients.
    ``"hest"``, ``"hest_by_gene"``
        With `hest_compat`.

    Parameters are in ``uns["stfmkit"]["evaluate_expression"]["results"][key_added]``.

    Raises
    ------
    MissingKeyError
        A key that is not there, or predicted genes that the table does not measure.
    InputError
        Values that cannot be what they are said to be: infinite or partly missing predictions, negative counts, logs
        given as counts or counts as logs, samples of two patients, no sample that is large enough.
    InputTypeError
        A prediction in ``obsm`` without gene names, or one that is not numeric.

    Warns
    -----
    StfmkitWarning
        One patient, so that there are no baselines and nothing can be said about the next patient.

    Examples
    --------
    >>> import stfmkit as sk
    >>> cells = sk.datasets.synthetic_cohort(n_patients=3, size=300, as_="anndata")
    >>> cells.layers["model"] = cells.layers["noise_free"]
    >>> keys = {"patient_key": "patient", "sample_key": "sample"}
    >>> sk.tl.evaluate_expression(cells, "model", target="counts", **keys)
    >>> summary = cells.uns["expression_scores"]["summary"]
    >>> bool(summary.loc["delta_pearson_library_size", "mean"] > 0)
    True
    """
    adata = resolve_table(data, table_key=table_key)
    check_integer(min_obs, name="min_obs", least=3)
    check_names(adata)
    if not copy:
        check_free(adata, "uns", [key_added], step=STEP)
    patients = read_groups(adata, patient_key, role="patient_key")
    samples = read_groups(adata, sample_key, role="sample_key")
    check_nested(samples, patients, sample_key=sample_key, group_key=patient_key)
    predicted = read_prediction(adata, pred_layer)
    recorded = provenance(adata, pred_layer) or {}
    scale = _target(target, recorded, hest_compat=hest_compat)
    layer = true_layer if true_layer is not None else recorded.get("layer")
    truth = read_truth(adata, layer=layer, target=scale, library_size_key=library_size_key)
    fitted = None if train is None else np.isin(np.arange(adata.n_obs), training_rows(adata, train))
    scored = check_prediction(predicted, key=pred_layer, target=scale)
    scored = _held_out(scored, fitted)
    folds = fold_of(adata, pred_layer, recorded)
    sizes = scale_of(truth, target_sum=target_sum, folds=folds, recorded=recorded, train=fitted)
    coords, weights = read_places(adata, spatial_key=spatial_key, graph=graph, samples=samples, sample_key=sample_key)
    seed = seed_of(rng)
    judged = Judged(
        truth=truth,
        predicted=predicted,
        scored=scored,
        samples=samples,
        patients=patients,
        folds=np.maximum(folds, 0),
        size_targets=sizes,
        means=training_means(truth, predicted, given=train_mean, train=fitted, recorded=recorded, sizes=sizes),
        halves=thin(sparse.csr_array(truth.matrix), rng=stream(seed, "thinning")) if truth.counted else None,
        coords=coords,
        graph=weights,
        min_obs=min_obs,
    )
    tables = _judge(judged, fitted, seed)
    if hest_compat:
        tables["hest"], tables["hest_by_gene"] = _pooled(judged, recorded)
    if copy:
        return tables
    adata.uns[key_added] = tables
    params: dict[str, Any] = {
        "pred_layer": pred_layer,
        "true_layer": layer,
        "patient_key": patient_key,
        "sample_key": sample_key,
        "target": scale,
        "library_size_key": library_size_key,
        "spatial_key": spatial_key,
        "graph": graph,
        "min_obs": int(min_obs),
        "n_obs": int(scored.sum()),
        "n_genes": len(predicted.genes),
        "rng": seed,
        "versions": package_versions("numpy", "scipy", "pandas"),
    }
    write_result(adata, STEP, key_added, params, wrote=[key_added])
    return None


def _target(target: str | None, recorded: dict[str, Any], *, hest_compat: bool) -> str:
    known = recorded.get("target")
    chosen = target or known or ("log1p" if hest_compat else "size_factor_log1p")
    if known is not None and chosen != known:
        raise InputError(
            f"target={chosen!r} for a prediction that was made as {known!r}.",
            allowed="the scale of the prediction",
            remedy="leave target out, or predict again on the other scale.",
        )
    if hest_compat and chosen != "log1p":
        raise InputError(
            f"target={chosen!r} with hest_compat=True.",
            allowed="predictions of log1p of raw counts",
            remedy="leave hest_compat out, or predict log1p of raw counts.",
        )
    return str(chosen)


def _held_out(scored: np.ndarray, train: np.ndarray | None) -> np.ndarray:
    if train is None:
        return scored
    left = scored & ~train
    if not left.any():
        raise InputError(
            "predictions of training observations only.",
            allowed="predictions of held-out observations",
            remedy="pass the observations that the predictor was trained on as train.",
        )
    return left


def _judge(judged: Judged, train: np.ndarray | None, seed: int) -> Tables:
    groups = groups_of(judged)
    features = {}
    if judged.truth.depth is not None:
        features["library_size"] = np.log1p(judged.truth.depth)[:, None]
    if judged.coords is not None:
        features["coordinates"] = placed(judged.coords, judged.samples)
    baselines = Baselines(
        features,
        judged.truth,
        size_targets=judged.size_targets,
        folds=patient_folds(judged.patients, scored=judged.scored, train=train, seed=seed),
    )
    genes = score_genes(judged, groups, baselines)
    samples = by_sample(genes, n_predicted=len(judged.predicted.genes))
    patients = by_patient(samples)
    if len(patients) < 2:
        warnings.warn(
            "one patient is scored: the table says nothing about the next patient"
            f"{'' if baselines.names else ', and there are no baselines'}.",
            StfmkitWarning,
            stacklevel=3,
        )
    return {"by_gene": genes, "by_sample": samples, "by_patient": patients, "summary": summarize(patients)}


def _pooled(judged: Judged, recorded: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the score of HEST-Benchmark: observations of a fold pooled over its slides."""
    rows = np.flatnonzero(judged.scored)
    folds = judged.folds[rows] if recorded else judged.patients.codes[rows]
    truth = _columns(judged.truth, judged.predicted, rows, judged.size_targets[rows])
    guess = judged.predicted.dense(rows, slice(None))
    if np.isnan(guess).any():
        raise InputError(
            "hest_compat=True, and genes that are not predicted for all observations.",
            allowed="one set of genes for all folds",
            remedy="predict the same genes in every fold, such as genes=[...].",
        )
    by_gene, summary = hest_scores(truth, guess, folds=folds, genes=judged.predicted.genes)
    return summary, by_gene


def _columns(truth: Truth, predicted: Predicted, rows: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    return truth.scaled(truth.matrix, rows, predicted.columns, size_target=sizes)
