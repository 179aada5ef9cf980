"""Predict expression from an embedding, out of fold."""

import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData

from stfmkit._core import slots
from stfmkit._core.arguments import check_choice, check_key
from stfmkit._core.errors import InputError, StfmkitWarning
from stfmkit._core.random import RNGLike, as_seed, stream
from stfmkit._data.columns import read_groups
from stfmkit._data.embeddings import embedding_record, read_embedding
from stfmkit._data.names import check_names
from stfmkit._data.view import resolve_table
from stfmkit._data.write_slots import check_free, package_versions, write_record
from stfmkit.pp._split import split_rows
from stfmkit.splits.check_folds import make_folds
from stfmkit.splits.splitters import PatientKFold, Splitter
from stfmkit.tl._expression_folds import ProbeSettings, assemble, choose_genes, fold_numbers, predict_folds
from stfmkit.tl._expression_study import PREDICT, fold_key
from stfmkit.tl._measured import read_measured

if TYPE_CHECKING:
    from stfmkit._data.view import Container

RIDGE_ALPHA = (1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6)
_SCALES = ("size_factor_log1p", "log1p", "as_is")


def predict_expression(
    data: "Container",
    embedding_key: str,
    *,
    patient_key: str,
    sample_key: str,
    genes: Sequence[str] | np.ndarray | pd.Index | None = None,
    n_genes: int | None = None,
    selector: str = "reliable_svg",
    split: Splitter | None = None,
    layer: str | None = None,
    scale: str | None = None,
    ridge_alpha: Sequence[float] = RIDGE_ALPHA,
    n_inner: int = 4,
    max_components: int = 256,
    library_size_key: str | None = None,
    spatial_key: str = slots.SPATIAL,
    microns_per_unit: float | None = None,
    table_key: str | None = None,
    hest_compat: bool = False,
    key_added: str = "predicted",
    rng: RNGLike = 0,
    copy: bool = False,
) -> pd.DataFrame | None:
    """Predict the expression of held-out observations from an embedding by nested ridge regression.

    In every fold, on its training observations only: columns of the embedding are scaled, reduced to at most
    `max_components` principal components, and regressed on with an intercept; the penalty, one for all genes, has the
    least squared error (relative to the variance of each gene) in inner folds that keep patients whole. Every
    observation is predicted by the fold that tests it. Judge the result with `evaluate_expression`.

    An embedding that was computed from the expression of the genes themselves is not asked to predict but to keep
    them: `stfmkit.bm.run` hides the target genes from a model. An embedding that was fitted on the held-out
    observations draws a warning.

    Parameters
    ----------
    data
        AnnData or SpatialData.
    embedding_key
        Key in ``obsm`` of the embedding (n_obs, d), such as that of a histology encoder.
    patient_key, sample_key
        Columns of ``obs`` with the patient and with the sample (section, slide); missing ids are refused.
    genes
        Names of the genes to predict. None predicts all, or `n_genes` of them.
    n_genes
        Number of genes that are chosen in every fold, on its training observations. None for all, or those of `genes`.
    selector
        How genes are chosen where `n_genes` says how many; see `stfmkit.pp.select_genes`.
    split
        How observations are held out; ``PatientKFold(5)`` by default, and one patient at a time with `hest_compat`.
    layer
        Layer with raw counts (or values as they are); None for ``X``.
    scale
        Scale of the expression that is predicted: "size_factor_log1p", log1p of counts over library size, times its
        median in training (default); "log1p" of raw counts, which carries library size (default with `hest_compat`); or
        "as_is".
    ridge_alpha
        Penalties to choose from.
    n_inner
        Inner folds, at most the number of training patients.
    max_components
        Wider embeddings are reduced by PCA.
    library_size_key
        Column of ``obs`` with library sizes; the total over the genes of the table where it is left out.
    spatial_key
        Key of the coordinates in ``obsm``, read by spatial selectors and splitters only.
    microns_per_unit
        Length of one coordinate unit in µm, read by splitters in µm only.
    table_key
        Table of a SpatialData.
    hest_compat
        The probe of HEST-Benchmark, quirks included: StandardScaler and PCA to 256 components, fitted on training
        observations; log1p of raw counts; ridge (lsqr) with penalty 100 / (components × genes), neither tuned nor with
        an intercept, so that R² means nothing; single precision. Without `genes`, the `n_genes` genes (50 where that is
        left out, too) that its rule takes from all observations, **those of test patients included**, which leaks and
        is warned of. Its score, pooled over the slides of a fold, is that of ``evaluate_expression(hest_compat=True)``.
    key_added
        Key of what is written.
    rng
        Integer, generator, or None for a new seed, of the folds.
    copy
        Return the result and write nothing.

    Returns
    -------
    With ``copy=True``, a table (n_obs, n_genes) of float32. Otherwise None, and writes

    ``obsm[key_added]``
        That table, with genes as columns; NaN for observations that are never tested, and for genes that were not
        chosen in the fold.
    ``obs[key_added + "_fold"]``
        Number of the fold that tests the observation, -1 for none, int64.
    ``uns["stfmkit"]["predict_expression"]["results"][key_added]``
        Scale, split, penalties, training means (n_folds, n_genes), library sizes that folds are scaled to, versions.

    Raises
    ------
    MissingKeyError
        A key or gene that is not there.
    InputError
        Fewer patients than folds, an embedding that is not finite, data that are not counts, or a taken key.

    Warns
    -----
    StfmkitWarning
        An embedding fitted on all observations, genes chosen on test observations, or a penalty that cannot be tuned.

    Examples
    --------
    >>> import stfmkit as sk
    >>> cells = sk.datasets.synthetic_cohort(n_patients=4, size=300, as_="anndata")
    >>> cells.obsm["encoder"] = cells.obsm["program_activity"]
    >>> keys = {"patient_key": "patient", "sample_key": "sample"}
    >>> sk.tl.predict_expression(cells, "encoder", genes=list(cells.var_names[:5]), split=sk.pp.PatientKFold(4), **keys)
    >>> cells.obsm["predicted"].shape == (cells.n_obs, 5)
    True
    """
    started = time.perf_counter()
    adata = resolve_table(data, table_key=table_key)
    check_key(key_added)
    check_names(adata)
    chosen = _scale(scale, hest_compat=hest_compat)
    settings = ProbeSettings(tuple(sorted(ridge_alpha)), n_inner, max_components, selector, hest_compat, as_seed(rng))
    if not copy:
        check_free(adata, "obsm", [key_added], step=PREDICT, result=key_added)
        check_free(adata, "obs", [fold_key(key_added)], step=PREDICT, result=key_added)
    features = read_embedding(adata, embedding_key)
    _warn_of_transductive(adata, embedding_key)
    patients = read_groups(adata, patient_key, role="patient_key")
    keys: dict[str, Any] = {"patient_key": patient_key, "sample_key": sample_key, "spatial_key": spatial_key}
    splitter = split or PatientKFold(max(2, len(patients.categories)) if hest_compat else 5)
    rows = split_rows(adata, splitter, **keys, microns_per_unit=microns_per_unit)
    folds = make_folds(splitter, rows, rng=stream(settings.seed, "folds"))
    measured = read_measured(adata, layer=layer, scale=chosen, library_size_key=library_size_key)
    plan = choose_genes(adata, measured, genes, n_genes, folds=folds, settings=settings, **keys)
    found = predict_folds(folds, plan, features, measured=measured, samples=rows.samples, settings=settings)
    table, means = assemble(adata, folds, plan, found)
    if copy:
        return table
    adata.obsm[key_added] = table
    adata.obs[fold_key(key_added)] = fold_numbers(adata.n_obs, folds)
    record = {
        **keys,
        "embedding_key": embedding_key,
        "layer": layer,
        "scale": chosen,
        "split": splitter.describe(),
        "hest_compat": hest_compat,
        "selector": None if n_genes is None or hest_compat else selector,
        "n_genes": None if n_genes is None else int(n_genes),
        "library_size_key": library_size_key,
        "genes": table.columns.to_numpy(dtype=str),
        "train_mean": means,
        "size_target": np.array([part.size_target for part in found]),
        "ridge_alpha": np.array([part.alpha for part in found]),
        "n_components": np.array([part.n_components for part in found]),
        "n_train": np.array([len(f.train) for f in folds]),
        "n_test": np.array([len(f.test) for f in folds]),
        "rng": settings.seed,
        "versions": package_versions("numpy", "scipy", "scikit-learn"),
        "seconds": time.perf_counter() - started,
    }
    write_record(adata, PREDICT, key_added, record, wrote={"obsm": [key_added], "obs": [fold_key(key_added)]})
    return None


def _scale(scale: str | None, *, hest_compat: bool) -> str:
    if scale is None:
        return "log1p" if hest_compat else "size_factor_log1p"
    check_choice(scale, _SCALES, name="scale")
    if hest_compat and scale != "log1p":
        raise InputError(
            f"scale={scale!r} with hest_compat=True.", allowed="log1p of raw counts", remedy="leave scale out."
        )
    return scale


def _warn_of_transductive(adata: AnnData, key: str) -> None:
    fitted = int(embedding_record(adata, key).get("n_obs_fitted", 0))
    if fitted:
        warnings.warn(
            f"obsm[{key!r}] was fitted on {fitted} of the observations, so held-out patients may have shaped it; "
            "sk.bm.run fits again in every fold.",
            StfmkitWarning,
            stacklevel=3,
        )
