"""The training part of a table, as arrays: what gene statistics and selectors may see."""

from collections.abc import Collection

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from stfmkit._core.arguments import check_ids, listed, nearest
from stfmkit._core.errors import LeakError, MissingKeyError
from stfmkit._data.columns import read_groups
from stfmkit._data.coordinates import check_positions, read_coords
from stfmkit._data.graphs import read_graph
from stfmkit._data.matrices import check_no_empty, read_counts
from stfmkit._data.names import check_names
from stfmkit._data.patients import check_nested, read_patients_and_samples
from stfmkit.pp._selectors import Training

IN_PANEL = "in_panel_"
"""Columns of ``var`` that say whether a panel measures a gene start so, followed by the name of the panel."""


def check_no_test_patients(
    patients: Collection[str], test_patients: Collection[object] | None, *, known: Collection[str]
) -> None:
    """Refuse training patients that are held out; `known` are all patients of the table, as text.

    Raises
    ------
    MissingKeyError
        A patient that is held out is not in the table.
    LeakError
        A patient is on both sides.
    """
    if test_patients is None:
        return
    remedy = "pass ids of the patient_key column; a guard against others would guard nothing."
    held_out = check_ids(test_patients, known, name="test_patients", remedy=remedy)
    both = sorted(set(held_out) & set(patients))
    if both:
        raise LeakError(
            f"training observations of the test patients {listed(both)}.",
            allowed="no test patient among the training observations",
            remedy="pass train= with training observations only (a boolean column, a mask or a fold).",
        )


def panel_presence(adata: AnnData, panels: pd.Categorical, counts: sparse.csr_array, rows: np.ndarray) -> np.ndarray:
    """Return whether a panel measures a gene (n_panels, n_genes).

    The ``var`` columns ``in_panel_<name>`` decide; where there are none, a gene is taken as measured by a panel that
    has a count of it in the training rows.
    """
    names = [str(c) for c in panels.categories]
    columns = [IN_PANEL + name for name in names]
    missing = [c for c in columns if c not in adata.var.columns]
    if len(missing) == len(columns):
        member = [np.flatnonzero(panels.codes[rows] == code) for code in range(len(names))]
        return np.array([np.bincount(counts[m].indices, minlength=adata.n_vars) > 0 for m in member])
    if missing:
        raise MissingKeyError(
            f"var without {listed(missing)}.",
            allowed=f"a boolean column {IN_PANEL}<name> for every panel, or none",
            remedy=f"align panels with sk.pp.align_panels.{nearest(missing[0], list(map(str, adata.var.columns)))}",
        )
    return adata.var[columns].to_numpy(dtype=bool).T


def read_training(
    adata: AnnData,
    *,
    patient_key: str,
    sample_key: str,
    rows: np.ndarray,
    layer: str | None = None,
    spatial_key: str | None = None,
    graph_key: str | None = None,
    panel_key: str | None = None,
) -> tuple[Training, pd.Categorical, pd.Categorical]:
    """Return training observations as arrays, with their samples and patients.

    Parameters
    ----------
    rows
        Row numbers of the training observations.
    spatial_key
        Key of the coordinates; None where they are not needed.
    graph_key
        Key in ``obsp`` of spatial weights, used instead of nearest neighbours.
    """
    check_names(adata)
    patients, samples = read_patients_and_samples(adata, patient_key=patient_key, sample_key=sample_key)
    counts = sparse.csr_array(read_counts(adata, layer)[rows])
    check_no_empty(counts, adata.obs_names[rows])
    coords = weights = present = panels = None
    if graph_key is not None:
        weights = read_graph(adata, graph_key, samples=samples, sample_key=sample_key, rows=rows)
    elif spatial_key is not None:
        coords = read_coords(adata, spatial_key=spatial_key)
        check_positions(coords, np.asarray(samples), adata.obs_names, sample_key=sample_key)
        coords = coords[rows]
    if panel_key is not None:
        groups = read_groups(adata, panel_key, role="panel_key")
        check_nested(samples, groups, sample_key=sample_key, group_key=panel_key)
        used = np.unique(groups.codes[rows])
        present = panel_presence(adata, groups, counts, rows)[used]
        panels = np.searchsorted(used, groups.codes[rows])
    training = Training(
        counts=counts,
        samples=samples.codes[rows].astype(np.int64),
        patients=patients.codes[rows].astype(np.int64),
        coords=coords,
        genes=adata.var_names.to_numpy(),
        present=present,
        panels=panels,
        given_graph=weights,
    )
    return training, samples[rows], patients[rows]
