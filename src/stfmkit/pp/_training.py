"""The training part of a table, as arrays: what gene statistics and selectors may see."""

from collections.abc import Collection
from typing import TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from stfmkit._core.arguments import listed, nearest
from stfmkit._core.errors import InputError, InputTypeError, LeakError, MissingKeyError
from stfmkit._core.random import RNGLike
from stfmkit._data.columns import read_column, read_groups
from stfmkit._data.coordinates import check_positions, read_coords
from stfmkit._data.matrices import check_no_empty, read_counts
from stfmkit._data.names import check_names
from stfmkit.pp._selectors import Training
from stfmkit.splits.folds import Fold

Rows: TypeAlias = "str | np.ndarray | pd.Series | Fold | None"

IN_PANEL = "in_panel_"
"""Columns of ``var`` that say whether a panel measures a gene start so, followed by the name of the panel."""


def resolve_rows(adata: AnnData, rows: Rows, *, role: str) -> np.ndarray:
    """Return row numbers of training observations, ascending.

    Parameters
    ----------
    rows
        Name of a boolean column of ``obs``, a boolean mask (n_obs,), a fold of a splitter, or None for all.
    role
        Name of the argument in the error.

    Raises
    ------
    LeakError
        A fold has rows on both sides.
    """
    if rows is None:
        return np.arange(adata.n_obs)
    if isinstance(rows, Fold):
        both = np.intersect1d(rows.train, rows.test)
        if len(both):
            raise LeakError(
                f"{len(both)} observations in training and test of one fold.",
                allowed="training and test apart",
                remedy="make folds with sk.pp.PatientKFold or another splitter.",
            )
        chosen = np.unique(rows.train)
        if len(chosen) and (chosen[0] < 0 or chosen[-1] >= adata.n_obs):
            raise InputError(
                f"a fold with rows up to {chosen[-1]}, and {adata.n_obs} observations.",
                allowed="a fold of this table",
                remedy="split the table that you pass here.",
            )
    else:
        mask = _mask(adata, rows, role=role)
        chosen = np.flatnonzero(mask)
    if len(chosen) == 0:
        raise InputError(f"no observation in {role}.", allowed="some training observations", remedy=f"check {role}.")
    return chosen


def _mask(adata: AnnData, rows: "str | np.ndarray | pd.Series", *, role: str) -> np.ndarray:
    column = read_column(adata, rows, role=role) if isinstance(rows, str) else rows
    if isinstance(column, pd.Series) and not column.index.equals(adata.obs_names):
        raise InputError(
            f"{role} with another index than obs_names.", allowed="the same names in the same order", remedy="align it."
        )
    values = np.asarray(column)
    if values.dtype != bool:
        raise InputTypeError(
            f"{role} of dtype {values.dtype}.",
            allowed="True or False for every observation",
            remedy=f"pass a boolean {role}, such as (adata.obs['patient'] != 'P1').to_numpy().",
        )
    if values.shape != (adata.n_obs,):
        raise InputError(
            f"{role} of shape {values.shape}.", allowed=f"({adata.n_obs},)", remedy="one value per observation."
        )
    return values


def check_no_test_patients(patients: Collection[str], test_ids: Collection[object] | None) -> None:
    """Refuse training patients that are held out.

    Raises
    ------
    LeakError
        A patient is on both sides.
    """
    if test_ids is None:
        return
    held_out = {test_ids} if isinstance(test_ids, str) else {str(i) for i in test_ids}
    both = sorted(held_out & set(patients))
    if both:
        raise LeakError(
            f"training observations of the test patients {listed(both)}.",
            allowed="no test patient among the training observations",
            remedy="pass train= with training observations only (a boolean column, a mask or a fold).",
        )


def check_within(inner: pd.Categorical, outer: pd.Categorical, *, inner_key: str, outer_key: str) -> None:
    """Refuse an inner group (sample) that lies in several outer ones (patients, panels)."""
    pairs = pd.DataFrame({"inner": np.asarray(inner), "outer": np.asarray(outer)}).drop_duplicates()
    split = pairs["inner"][pairs["inner"].duplicated()].unique()
    if len(split):
        raise InputError(
            f"obs[{inner_key!r}] {listed(split, most=3)} with several values of obs[{outer_key!r}].",
            allowed=f"one {outer_key} for each {inner_key}",
            remedy="correct the ids, or make the sample ids unique (patient and section together).",
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
    graph: str | None = None,
    panel_key: str | None = None,
) -> tuple[Training, pd.Categorical, pd.Categorical]:
    """Return training observations as arrays, with their samples and patients.

    Parameters
    ----------
    rows
        Row numbers of the training observations.
    spatial_key
        Key of the coordinates; None where they are not needed.
    graph
        Key in ``obsp`` of spatial weights, used instead of nearest neighbours.
    """
    check_names(adata)
    samples = read_groups(adata, sample_key, role="sample_key")
    patients = read_groups(adata, patient_key, role="patient_key")
    check_within(samples, patients, inner_key=sample_key, outer_key=patient_key)
    counts = sparse.csr_array(read_counts(adata, layer)[rows])
    check_no_empty(counts, adata.obs_names[rows])
    coords = weights = present = panels = None
    if graph is not None:
        weights = _read_graph(adata, graph, rows=rows, samples=samples, sample_key=sample_key)
    elif spatial_key is not None:
        coords = read_coords(adata, spatial_key=spatial_key)
        check_positions(coords, np.asarray(samples), adata.obs_names, sample_key=sample_key)
        coords = coords[rows]
    if panel_key is not None:
        groups = read_groups(adata, panel_key, role="panel_key")
        check_within(samples, groups, inner_key=sample_key, outer_key=panel_key)
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


def _read_graph(
    adata: AnnData, key: str, *, rows: np.ndarray, samples: pd.Categorical, sample_key: str
) -> sparse.csr_array:
    if key not in adata.obsp:
        raise MissingKeyError(
            f"no obsp[{key!r}].",
            allowed=listed(adata.obsp),
            remedy=f"run sk.pp.spatial_graph first, or leave graph out.{nearest(key, list(adata.obsp))}",
        )
    graph = sparse.csr_array(adata.obsp[key])
    edges = graph.tocoo()
    across = int(np.sum(samples.codes[edges.row] != samples.codes[edges.col]))
    if across:
        raise InputError(
            f"obsp[{key!r}] has {across} edges between samples.",
            allowed="edges within a sample",
            remedy=f"build it with sk.pp.spatial_graph(adata, sample_key={sample_key!r}).",
        )
    return sparse.csr_array(graph[rows][:, rows])


def seed_note(rng: RNGLike) -> int | str:
    """Return what provenance says of `rng`: the seed where there is one."""
    if isinstance(rng, int | np.integer):
        return int(rng)
    return "none" if rng is None else "generator"
