"""Gene statistics per gene and slide, summarised over patients."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.stats import false_discovery_control

from stfmkit._core import slots
from stfmkit._core.arguments import check_integer
from stfmkit._core.random import RNGLike, as_seed
from stfmkit._data.training import Train, training_rows
from stfmkit._data.view import resolve_table
from stfmkit._data.write_slots import check_free, package_versions, records, write_record
from stfmkit._kernels._combine_p import over_patients_log_p
from stfmkit._kernels._gene_stats import (
    MORAN_P,
    STATISTICS,
    group_r2,
    statistics_by_sample,
    summarize,
)
from stfmkit._kernels._normalize import median_total, size_factor_log1p, totals
from stfmkit.pp._gene_limits import FLAGS, GeneLimits, check_limits, flags
from stfmkit.pp._training import read_training

if TYPE_CHECKING:
    from stfmkit._data.view import Container
    from stfmkit.pp._selectors import Training

STEP = "gene_sparsity"
COLUMNS = (*STATISTICS, "slide_r2", *FLAGS)
"""Columns of ``var`` that are written."""
P_COLUMNS = (MORAN_P, f"{MORAN_P}_adjusted")
"""Further columns of ``var``, with permutations."""


def gene_sparsity(
    data: "Container",
    *,
    patient_key: str,
    sample_key: str,
    layer: str | None = None,
    spatial_key: str = slots.SPATIAL,
    table_key: str | None = None,
    graph_key: str | None = None,
    train: Train = None,
    panel_key: str | None = None,
    limits: GeneLimits | None = None,
    n_permutations: int | None = None,
    rng: RNGLike = 0,
    copy: bool = False,
) -> pd.DataFrame | None:
    """Measure how sparse, patterned, depth-driven and reliable every gene is.

    Each statistic is computed per gene and sample; samples of a patient are averaged, and the median over patients
    is written.

    ``detect_frac``
        Share of observations with a count.
    ``area_frac``
        Share of observations that have a count or a neighbour with one: `detect_frac` after a maximum over one ring.
        Near 1 for a gene thinly spread over the tissue, near `detect_frac` for one confined to a place.
    ``n_eff``
        ``(Σx)² / (n Σx²)`` of the counts: 1 for a flat gene, near 0 for one that few observations carry.
    ``gini``
        Gini coefficient of the counts: 0 for a flat gene, near 1 for one that few observations carry; NaN without
        counts.
    ``mean_counts``
        Mean count.
    ``overdispersion``, ``fano``
        Moment estimate of φ in ``var = μ + φμ²``, and ``Σ(x - μ)² / Σμ``, with μ proportional to the library size;
        a Poisson has 0 and 1. With equal library sizes ``fano`` is CV² over the CV² of a Poisson.
    ``depth_r2``
        R² of log1p of the raw counts on log library size. High as well for a gene of the cells that hold most RNA
        (ERBB2 in a HER2+ tumour), so read ``morans_i_within_depth`` beside it.
    ``morans_i``
        Moran's I of size-factor log1p (all samples scaled to one library size), row-stochastic weights.
    ``morans_i_within_depth``
        The same of the residuals on log library size.
    ``joincount_moran``
        Moran's I of the binary map of detection.
    ``reliability``
        Split-half reliability ρ under binomial thinning (Spearman–Brown); no prediction can correlate better than √ρ.
    ``slide_r2``
        Share of variance of size-factor log1p between samples, over all observations; NaN with one sample.

    With `n_permutations`, also ``morans_i_p``: the share of random orders of a sample's observations with at least the
    observed Moran's I, ``(k + 1) / (n_permutations + 1)``. Samples of a patient, and then patients, are combined by the
    Cauchy rule, a flat map counting as 0.5, and a p-value of 1 as ``n_permutations / (n_permutations + 1)``;
    ``morans_i_p_adjusted`` is adjusted over genes (Benjamini and Yekutieli).

    In a sample where a map is constant, Moran's I, join counts and reliability are NaN, and count as 0 over patients.

    With the default limits, the flags are ``too_sparse`` (detect_frac < 0.05 or n_eff < 0.02), ``too_flat``
    (detect_frac > 0.98, and morans_i < 0.05 or fano ≤ 1.1) and ``depth_driven`` (depth_r2 > 0.5).

    Parameters
    ----------
    data
        AnnData or SpatialData with raw counts (n_obs, n_genes).
    patient_key, sample_key
        Columns of ``obs`` with the patient and the sample (section, slide); a sample belongs to one patient.
    layer
        Layer with raw counts, None for ``X``.
    spatial_key
        Key of the coordinates in ``obsm``; (n_obs, 2), in any unit.
    table_key
        Table of a SpatialData.
    graph_key
        Key in ``obsp`` of spatial weights, None for the six nearest neighbours in the sample.
    train
        Training observations: a boolean column of ``obs``, a boolean mask (n_obs,), a fold, or None for all.
        Statistics that choose genes for a benchmark must not see test patients.
    panel_key
        Column of ``obs`` with the gene panel; where ``var`` has ``in_panel_<name>``, samples that do not measure a gene
        are left out of its statistics.
    limits
        Limits of the flags, None for the defaults of `GeneLimits`.
    n_permutations
        Number of random orders of every sample for the p-value of Moran's I, the same for all genes; None for no
        p-values.
    rng
        Integer, generator, or None for a new seed; the integer that reproduces the result is recorded. Read by
        the thinning and the random orders.
    copy
        Return the result and write nothing.

    Returns
    -------
    With ``copy=True``, the statistics (n_genes, 16, or 18 with permutations). Otherwise None, and writes

    - ``var``: one column for each statistic and flag above,
    - ``uns["gene_sparsity"]``: the long table, one row per sample and gene,
    - ``uns["stfmkit"]["gene_sparsity"]["results"]["gene_sparsity"]``: parameters.

    Raises
    ------
    InputError
        The matrix does not hold counts, observations are empty, ids are missing, or coordinates are unusable.
    MissingKeyError
        A column, layer or slot is not there.

    References
    ----------
    Moran 1950, Biometrika 37:17; Liu and Xie 2020, JASA 115:393 (Cauchy rule); Neufeld et al.
    2022, Biostatistics kxac047 (count thinning).

    Examples
    --------
    >>> import numpy as np, pandas as pd, anndata as ad
    >>> import stfmkit as sk
    >>> x, y = np.meshgrid(np.arange(10.0), np.arange(10.0))
    >>> counts = np.column_stack([np.where(x.ravel() < 5, 20, 1), np.tile([3, 1, 2, 4], 25), x.ravel() == y.ravel()])
    >>> obs = pd.DataFrame({"who": "P1", "section": "S1"}, index=[f"spot{i}" for i in range(100)])
    >>> adata = ad.AnnData(counts.astype("float32"), obs=obs)
    >>> adata.obsm["spatial"] = np.column_stack([x.ravel(), y.ravel()])
    >>> sk.pp.gene_sparsity(adata, patient_key="who", sample_key="section")
    >>> adata.var["detect_frac"].tolist()
    [1.0, 1.0, 0.1]
    >>> bool(adata.var["morans_i"].iloc[0] > 0.5)
    True
    """
    adata = resolve_table(data, table_key=table_key)
    limits = check_limits(limits)
    seed = as_seed(rng)
    if n_permutations is not None:
        check_integer(n_permutations, name="n_permutations", least=1)
    if not copy:
        check_free(adata, "var", COLUMNS if n_permutations is None else (*COLUMNS, *P_COLUMNS), step=STEP)
        check_free(adata, "uns", [STEP], step=STEP)
    rows = training_rows(adata, train)
    training, samples, patients = read_training(
        adata,
        patient_key=patient_key,
        sample_key=sample_key,
        rows=rows,
        layer=layer,
        spatial_key=spatial_key,
        graph_key=graph_key,
        panel_key=panel_key,
    )
    found = statistics_by_sample(
        training.counts,
        samples=training.samples,
        graph=training.graph,
        rng=np.random.default_rng(seed),
        measured=training.measured,
        n_permutations=n_permutations,
    )
    table = _summary(found, training, limits, index=adata.var_names, n_permutations=n_permutations)
    if copy:
        return table
    _drop_old_p(adata)
    for name in table.columns:
        adata.var[name] = table[name].to_numpy()
    adata.uns[STEP] = _long_table(found, training, samples, patients, genes=adata.var_names)
    params = {
        "patient_key": patient_key,
        "sample_key": sample_key,
        "layer": layer,
        "spatial_key": spatial_key,
        "graph_key": graph_key,
        "n_permutations": None if n_permutations is None else int(n_permutations),
        "rng": seed,
        "n_obs": len(rows),
        "patients": sorted(map(str, patients.unique())),
        "limits": asdict(limits),
        "versions": package_versions("numpy", "scipy"),
    }
    write_record(adata, STEP, STEP, params, wrote={"var": table.columns, "uns": [STEP]})
    return None


def _drop_old_p(adata: AnnData) -> None:
    """Remove the p-values of an earlier run, which would stand beside statistics that they do not belong to."""
    ours = records(adata).get(STEP, {}).get(slots.WROTE, {}).get("var", [])
    for name in P_COLUMNS:
        if name in adata.var.columns and name in ours:
            del adata.var[name]


def _summary(
    found: dict[str, np.ndarray],
    training: "Training",
    limits: GeneLimits,
    *,
    index: pd.Index,
    n_permutations: int | None,
) -> pd.DataFrame:
    patients = training.patients[training.first_rows]
    plain = {name: values for name, values in found.items() if name != MORAN_P}
    summary = summarize(plain, patients, measured=training.measured)
    depth = totals(training.counts)
    logged = size_factor_log1p(training.counts, depth=depth, target=median_total(depth))
    flagged = flags(summary, limits)
    columns = {**summary, "slide_r2": group_r2(logged, training.samples), **flagged}
    if n_permutations is not None:
        # as far below 1 as the smallest is above 0: a 1 would otherwise outweigh all the evidence there can be
        even = np.minimum(found[MORAN_P], n_permutations / (n_permutations + 1))
        p = np.exp(over_patients_log_p(np.log(even), patients, measured=training.measured))
        columns |= dict(zip(P_COLUMNS, (p, _adjusted(p)), strict=True))
    return pd.DataFrame(columns, index=index)


def _adjusted(p: np.ndarray) -> np.ndarray:
    out = np.full(len(p), np.nan)
    known = ~np.isnan(p)
    if known.any():
        out[known] = false_discovery_control(p[known], method="by")
    return out


def _long_table(
    found: dict[str, np.ndarray],
    training: "Training",
    samples: pd.Categorical,
    patients: pd.Categorical,
    *,
    genes: pd.Index,
) -> pd.DataFrame:
    first = training.first_rows
    n_samples, n_genes = len(first), len(genes)
    ids = {
        "sample": pd.Categorical(np.repeat(np.asarray(samples)[first], n_genes)),
        "patient": pd.Categorical(np.repeat(np.asarray(patients)[first], n_genes)),
        "gene": pd.Categorical.from_codes(np.tile(np.arange(n_genes), n_samples), categories=genes.astype(str)),
    }
    table = pd.DataFrame({**ids, **{name: values.ravel() for name, values in found.items()}})
    table.index = table.index.astype(str)  # as AnnData stores it
    return table
