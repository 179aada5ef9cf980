"""Choose genes on training observations."""

import warnings
from collections.abc import Collection
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from anndata import AnnData

from stfmkit._core import slots
from stfmkit._core.arguments import check_choice, check_fraction, check_integer, check_key, listed
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError, StfmkitWarning
from stfmkit._core.random import RNGLike, as_seed
from stfmkit._data.columns import read_groups
from stfmkit._data.training import Train, training_rows
from stfmkit._data.view import resolve_table
from stfmkit._data.write_slots import check_free, package_versions, write_record
from stfmkit.pp._controls import control_names
from stfmkit.pp._gene_limits import GeneLimits, check_limits
from stfmkit.pp._selectors import NON_SPATIAL, SELECTORS, Options, rank_genes
from stfmkit.pp._training import check_no_test_patients, read_training

if TYPE_CHECKING:
    from stfmkit._data.view import Container

STEP = "select_genes"
_IS_CONTROL = "is_control"


def select_genes(
    data: "Container",
    *,
    n_genes: int,
    selector: str = "reliable_svg",
    patient_key: str,
    sample_key: str,
    train: Train = None,
    test_patients: Collection[object] | None = None,
    layer: str | None = None,
    spatial_key: str = slots.SPATIAL,
    table_key: str | None = None,
    graph_key: str | None = None,
    panel_key: str | None = None,
    min_panel_share: float = 1.0,
    min_reliability: float = 0.3,
    limits: GeneLimits | None = None,
    control_key: str | None = None,
    rng: RNGLike = 0,
    key_added: str = "selected",
    copy: bool = False,
) -> pd.DataFrame | None:
    """Select genes, fitted on training observations only.

    ``"hvg"``
        Batch-aware highly variable genes: normalised dispersion (Satija et al. 2015, scanpy's "seurat") of
        size-factor log1p within each sample, as ranks; mean rank over the samples of a patient, median over patients.
        With one sample it is the ranking of scanpy.
    ``"hest"``
        The rule of HEST-Benchmark: genes detected in at least ceil(10 %) of the observations of every sample, without
        names that contain "BLANK" or "Control"; then normalised dispersion of log1p of the raw counts, samples pooled.
        Library size is not taken out. HEST itself fits this on test slides too; here `train` decides.
    ``"svg"``
        Moran's I of size-factor log1p per sample, over patients as in :func:`stfmkit.pp.gene_sparsity`.
    ``"svg_within_depth"``
        The same of the residuals on log library size.
    ``"reliable_svg"``
        ``svg`` among genes that are not flagged, have a positive Moran's I and a split-half reliability of at least
        `min_reliability`.
    ``"panel_safe"``
        ``svg`` among genes that at least `min_panel_share` of the panels measure; needs `panel_key`.
    ``"sparkx"``
        Smallest p-value of the covariance test of SPARK-X (Zhu et al. 2021) on raw counts, see
        :func:`stfmkit.metrics.sparkx_test`: per sample, then over the samples of a patient and over patients by the
        Cauchy rule. It finds any dependence on the place, and grows with the number of observations. Library size is
        not taken out. It needs coordinates, and no graph.

    Control features are never selected. Ties are broken by position.

    Parameters
    ----------
    data
        AnnData or SpatialData with raw counts (n_obs, n_genes).
    n_genes
        Number of genes; fewer are selected, with a warning, where fewer qualify.
    selector
        How genes are chosen, one of the names above.
    patient_key, sample_key
        Columns of ``obs`` with the patient and the sample (section, slide); a sample belongs to one patient.
    train
        Training observations: a boolean column of ``obs``, a boolean mask (n_obs,), a fold, or None for all.
    test_patients
        Patients that are held out, ids as text or as they are in ``obs``; one of them among the training observations
        is an error, and so is one that the table does not have.
    layer
        Layer with raw counts, None for ``X``.
    spatial_key
        Key of the coordinates in ``obsm``; (n_obs, 2), in any unit.
    table_key
        Table of a SpatialData.
    graph_key
        Key in ``obsp`` of spatial weights, None for the six nearest neighbours in the sample.
    panel_key
        Column of ``obs`` with the gene panel. The ``var`` columns ``in_panel_<name>`` (see
        :func:`stfmkit.pp.align_panels`) say which genes it measures; without them, those with a training count.
    min_panel_share
        Least share of panels (``panel_safe``).
    min_reliability
        Least split-half reliability (``reliable_svg``).
    limits
        Limits of the flags, None for the defaults of `GeneLimits`; read by ``reliable_svg``.
    control_key
        Column of ``var`` that is true for control features; ``is_control`` is used where it is there.
    rng
        Integer, generator, or None for a new seed; the integer that reproduces the result is recorded. Read by
        the thinning of ``reliable_svg``.
    key_added
        Column of ``var`` that is written; the rank has the suffix ``_rank``.
    copy
        Return the result and write nothing.

    Returns
    -------
    With ``copy=True``, a table (n_genes, 2). Otherwise None, and writes ``var["selected"]`` (bool),
    ``var["selected_rank"]`` (0 for the best, -1 for genes that are not selected) and parameters, with the training
    patients, in ``uns["stfmkit"]["select_genes"]["results"]["selected"]``.

    Raises
    ------
    LeakError
        Training observations belong to test patients, or a fold overlaps itself.
    MissingKeyError
        A column or a test patient is not there; the nearest is suggested.
    InputError
        No gene qualifies, or the data cannot be used.

    Examples
    --------
    >>> import numpy as np, pandas as pd, anndata as ad
    >>> import stfmkit as sk
    >>> x, y = np.meshgrid(np.arange(10.0), np.arange(10.0))
    >>> counts = np.column_stack([np.tile([3, 1, 2, 4], 25), np.where(x.ravel() < 5, 20, 1), np.full(100, 9)])
    >>> obs = pd.DataFrame({"who": "P1", "section": "S1"}, index=[f"spot{i}" for i in range(100)])
    >>> adata = ad.AnnData(counts.astype("float32"), obs=obs)
    >>> adata.obsm["spatial"] = np.column_stack([x.ravel(), y.ravel()])
    >>> sk.pp.select_genes(adata, n_genes=1, selector="svg", patient_key="who", sample_key="section")
    >>> adata.var_names[adata.var["selected"]].tolist()
    ['1']
    """
    adata = resolve_table(data, table_key=table_key)
    seed = as_seed(rng)
    options = Options(limits=check_limits(limits), min_reliability=min_reliability, min_panel_share=min_panel_share)
    _check_arguments(selector, n_genes, options, panel_key=panel_key, graph_key=graph_key)
    spatial = selector not in NON_SPATIAL
    columns = [check_key(key_added), f"{key_added}_rank"]
    if not copy:
        check_free(adata, "var", columns, step=STEP, result=key_added)
    rows = training_rows(adata, train)
    ids = read_groups(adata, patient_key, role="patient_key")
    check_no_test_patients(ids[rows].unique().astype(str).tolist(), test_patients, known=set(ids.categories))
    keys = {"patient_key": patient_key, "sample_key": sample_key}
    training, _, patients = read_training(
        adata,
        **keys,
        rows=rows,
        layer=layer,
        spatial_key=spatial_key if spatial else None,
        graph_key=graph_key if spatial else None,
        panel_key=panel_key,
    )
    chosen = rank_genes(
        selector,
        counts=training.counts,
        coords=training.coords,
        samples=training.samples,
        patients=training.patients,
        n_genes=n_genes,
        rng=seed,
        genes=training.genes,
        present=training.present,
        panels=training.panels,
        graph=training.given_graph,
        exclude=control_genes(adata, control_key),
        options=options,
    )
    _check_number(chosen, n_genes, selector)
    table = _as_table(chosen, adata.var_names, columns)
    if copy:
        return table
    for column in columns:
        adata.var[column] = table[column].to_numpy()
    params = {
        "selector": selector,
        "n_genes": int(n_genes),
        "n_selected": len(chosen),
        **keys,
        "layer": layer,
        "graph_key": graph_key,
        "panel_key": panel_key,
        "n_obs": len(rows),
        "patients": sorted(map(str, patients.unique())),
        **asdict(options),
        "rng": seed,
        "versions": package_versions("numpy", "scipy", "pandas"),
    }
    write_record(adata, STEP, key_added, params, wrote={"var": columns})
    return None


def control_genes(adata: AnnData, control_key: str | None) -> np.ndarray:
    """Return whether a gene is a control feature (n_genes,), by a column of ``var`` or by its name.

    Parameters
    ----------
    control_key
        Boolean column of ``var``; where it is None, ``is_control`` if there is one.
    """
    named = control_names(map(str, adata.var_names))
    key = control_key
    if key is None:
        if _IS_CONTROL not in adata.var.columns:
            return named
        key = _IS_CONTROL
    if key not in adata.var.columns:
        raise MissingKeyError(
            f"control_key={key!r}, but var has no such column.",
            allowed=listed(adata.var.columns),
            remedy="pass a boolean column of var as control_key.",
        )
    column = adata.var[key].to_numpy()
    if column.dtype != bool:
        raise InputTypeError(
            f"var[{key!r}] of dtype {column.dtype}.",
            allowed="True for control features, False for genes",
            remedy="store a boolean column, or pass another control_key.",
        )
    return named | column


def _check_arguments(
    selector: str, n_genes: int, options: Options, *, panel_key: str | None, graph_key: str | None
) -> None:
    check_choice(selector, SELECTORS, name="selector")
    check_integer(n_genes, name="n_genes", least=1)
    check_fraction(options.min_panel_share, name="min_panel_share")
    check_fraction(options.min_reliability, name="min_reliability")
    if selector == "panel_safe" and panel_key is None:
        raise InputError(
            "selector='panel_safe' without panel_key.",
            allowed="a column of obs with the panel of every observation",
            remedy="pass panel_key=...",
        )
    if selector == "sparkx" and graph_key is not None:
        raise InputError(
            f"selector='sparkx' with graph_key={graph_key!r}.",
            allowed="coordinates, as its kernels are functions of them",
            remedy="leave graph_key out.",
        )


def _check_number(chosen: np.ndarray, n_genes: int, selector: str) -> None:
    if len(chosen) == 0:
        raise InputError(
            f"no gene qualifies for selector={selector!r}.",
            allowed="at least one gene",
            remedy="look at sk.pp.gene_sparsity(..., copy=True), and loosen the limits or take another selector.",
        )
    if len(chosen) < n_genes:
        warnings.warn(
            f"{len(chosen)} genes qualify for selector={selector!r}, {n_genes} were asked for.",
            StfmkitWarning,
            stacklevel=3,
        )


def _as_table(chosen: np.ndarray, genes: pd.Index, columns: list[str]) -> pd.DataFrame:
    rank = np.full(len(genes), -1, dtype=np.int64)
    rank[chosen] = np.arange(len(chosen))
    return pd.DataFrame({columns[0]: rank >= 0, columns[1]: rank}, index=genes)
