"""Judge predicted expression, whatever predicted it."""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from stfmkit._core import slots
from stfmkit._core.arguments import check_integer, check_key
from stfmkit._core.errors import InputError, StfmkitWarning
from stfmkit._core.random import RNGLike, as_seed
from stfmkit._data.names import check_names
from stfmkit._data.training import Train
from stfmkit._data.view import resolve_table
from stfmkit._data.write_slots import check_free, package_versions, write_record
from stfmkit.evaluation.averages import score_tables
from stfmkit.evaluation.linear_baselines import LinearBaselines, baseline_folds, centred_coordinates
from stfmkit.evaluation.scores import concat_scores
from stfmkit.tl._expression_blocks import sample_parts, score_blocks
from stfmkit.tl._expression_ceilings import ceilings_of_parts
from stfmkit.tl._expression_study import Study, read_study
from stfmkit.tl._hest_probe import hest_scores

if TYPE_CHECKING:
    from stfmkit._data.view import Container

VERB = "evaluate_expression"


def evaluate_expression(
    data: "Container",
    prediction: str | pd.DataFrame,
    *,
    patient_key: str,
    sample_key: str,
    layer: str | None = None,
    scale: str | None = None,
    train: Train = None,
    train_mean: ArrayLike | pd.Series | None = None,
    target_sum: float | None = None,
    library_size_key: str | None = None,
    spatial_key: str | None = slots.SPATIAL,
    graph_key: str | None = None,
    min_obs: int = 20,
    hest_compat: bool = False,
    table_key: str | None = None,
    key_added: str = "expression_scores",
    rng: RNGLike = 0,
    copy: bool = False,
) -> dict[str, pd.DataFrame] | None:
    """Score predicted against measured expression: per gene and sample, then samples, patients, and the task.

    Scores are computed within a sample (and fold, where the prediction recorded folds), then averaged over genes, over
    the samples of a patient, and over patients, so that neither differences between slides nor the number of spots
    count as skill. A gene whose truth is constant in a sample is left out there, with the reason; a constant prediction
    has a correlation of 0. Scores without a bound (R², Q², deviance, NRMSE and the ratios) are summarised by the median
    over genes, as a few genes with hardly any variance would decide their mean.

    Metrics are those of `sk.metrics` (their specs say how to read them): ``pearson``, ``spearman``, ``ccc``, ``r2``
    (against the mean of the slide), ``nrmse``, ``rmse``, ``auroc_top``, ``variance_ratio``; with a training mean ``q2``
    and ``deviance_explained``; with library sizes ``partial_pearson`` (given log1p of them); with coordinates
    ``map_ssim``, ``bivariate_morans_i`` and ``moran_ratio`` (of genes whose Moran's I is at least 0.05); of counts, by
    binomial thinning, a ceiling of ``pearson`` for every gene, and ``pearson`` of every sample as a share of it: the
    sum over genes by the sum of their ceilings. It is a share of an upper bound, as thinning sees the noise of counting
    only. Genes with a reliability below 0.1 in training (what `train` says; else what other folds test, or other
    patients) have no ceiling, and the reason. With two patients or more, the contenders
    ``control:linear_library_size`` and ``control:linear_coordinates`` are what linear predictions from library size
    alone and from the place in the slide alone reach on held-out patients. `stfmkit.bm.run` computes the same numbers.

    Parameters
    ----------
    data
        AnnData or SpatialData.
    prediction
        The prediction: a layer, a key of ``obsm`` with a DataFrame whose columns are genes (any subset of the table, in
        any order), or such a DataFrame. NaN says that an observation, or a gene in a sample, is not predicted.
    patient_key, sample_key
        Columns of ``obs`` with the patient and with the sample (section, slide); missing ids are refused.
    layer
        Layer with raw counts (or with values as they are); None for ``X``, or for what `predict_expression` read.
    scale
        Scale of the expression that is predicted, to which the truth is brought: "size_factor_log1p" (log1p of counts
        over library size, times `target_sum`), "log1p" of raw counts, "counts", or "as_is" (truth and prediction are
        compared as they are). None is the scale that `predict_expression` recorded, else "size_factor_log1p".
    train
        Training observations: a boolean column of ``obs``, a boolean mask (n_obs,), a fold, or None where they are not
        in the table. They give the training mean and fit the baselines, and are not scored.
    train_mean
        Training mean of every predicted gene on the scale of the prediction, in the order of the prediction, or a
        Series by gene. None takes that of `train`, or what `predict_expression` recorded.
    target_sum
        Library size that all observations are scaled to by the predictor, such as 1e4. None takes the median in
        `train`, or what `predict_expression` recorded, or the median of the table.
    library_size_key
        Column of ``obs`` with library sizes; the total over the genes of the table where it is left out.
    spatial_key
        Key of the coordinates in ``obsm``, in any unit; None leaves out what needs places.
    graph_key
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
        Integer, generator, or None for a new seed, of the thinning and of the folds of the baselines.
    copy
        Return the result and write nothing.

    Returns
    -------
    With ``copy=True``, a dict of tables. Otherwise None, and writes them into ``uns[key_added]``:

    ``"scores"``
        One row for every contender, metric, sample and gene, with the columns of all scores of stfmkit: task, metric,
        setting, scope, contender, fold, patient, sample, gene, niche, value, status ("scored", "undefined", "ceiling"
        or "of ceiling") and reason. The contender is the name of the prediction.
    ``"by_patient"``
        One value for every contender, metric and patient.
    ``"summary"``
        Mean, sd (over patients), min, max and n_patients for every contender and metric.
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
    >>> sk.tl.evaluate_expression(cells, "model", scale="counts", **keys)
    >>> summary = cells.uns["expression_scores"]["summary"].query("metric == 'pearson' and status == 'scored'")
    >>> mean = summary.set_index("contender")["mean"]
    >>> bool(mean["model"] > mean["control:linear_library_size"])
    True
    """
    adata = resolve_table(data, table_key=table_key)
    check_key(key_added)
    check_integer(min_obs, name="min_obs", least=3)
    check_names(adata)
    if not copy:
        check_free(adata, "uns", [key_added], step=VERB, result=key_added)
    seed = as_seed(rng)
    keys: dict[str, Any] = {"patient_key": patient_key, "sample_key": sample_key, "library_size_key": library_size_key}
    keys |= {"spatial_key": spatial_key, "graph_key": graph_key}
    study, fitted, source = read_study(
        adata,
        prediction,
        layer=layer,
        scale=scale,
        train=train,
        train_mean=train_mean,
        target_sum=target_sum,
        min_obs=min_obs,
        hest_compat=hest_compat,
        **keys,
    )
    tables = _score(study, fitted, seed)
    if hest_compat:
        tables["hest"], tables["hest_by_gene"] = _pooled(study)
    if copy:
        return tables
    adata.uns[key_added] = tables
    record: dict[str, Any] = {
        **keys,
        "prediction": prediction if isinstance(prediction, str) else None,
        "layer": source,
        "scale": study.measured.scale,
        "target_sum": None if target_sum is None else float(target_sum),
        "min_obs": int(min_obs),
        "hest_compat": hest_compat,
        "n_obs": int(study.scored.sum()),
        "n_genes": len(study.prediction.genes),
        "rng": seed,
        "versions": package_versions("numpy", "scipy", "pandas"),
    }
    write_record(adata, VERB, key_added, record, wrote={"uns": [key_added]})
    return None


def _score(study: Study, train: np.ndarray | None, seed: int) -> dict[str, pd.DataFrame]:
    parts = sample_parts(study)
    features = {}
    if study.measured.depth is not None:
        features["library_size"] = np.log1p(study.measured.depth)[:, None]
    if study.coords is not None:
        features["coordinates"] = centred_coordinates(study.coords, study.samples.codes)
    baselines = LinearBaselines(
        features,
        study.measured,
        size_targets=study.size_targets,
        folds=baseline_folds(np.asarray(study.patients), scored=study.scored, train=train, seed=seed),
    )
    limits = ceilings_of_parts(study, parts, train=train, seed=seed)
    whole = [concat_scores(pair) for pair in zip(score_blocks(study, parts, baselines), limits, strict=True)]
    order = ["contender", "metric", "status"]
    tables = score_tables(concat_scores(table.sort_values(order, kind="stable") for table in whole))
    if tables["scores"]["patient"].nunique() < 2:
        warnings.warn(
            "one patient is scored: the table says nothing about the next patient"
            f"{'' if baselines.names else ', and there are no baselines'}.",
            StfmkitWarning,
            stacklevel=3,
        )
    return tables


def _pooled(study: Study) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the score of HEST-Benchmark: observations of a fold pooled over its slides."""
    rows = np.flatnonzero(study.scored)
    folds = study.folds[rows] if (study.folds >= 0).any() else study.patients.codes[rows]
    truth = study.measured.scaled(rows, study.prediction.columns, size_target=study.size_targets[rows])
    predicted = study.prediction.dense(rows, slice(None))
    if np.isnan(predicted).any():
        raise InputError(
            "hest_compat=True, and genes that are not predicted for all observations.",
            allowed="one set of genes for all folds",
            remedy="predict the same genes in every fold, such as genes=[...].",
        )
    by_gene, summary = hest_scores(truth, predicted, folds=folds, genes=study.prediction.genes)
    return summary, by_gene
