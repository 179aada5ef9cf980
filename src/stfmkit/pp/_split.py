"""Write the folds of a leak-free split into the table."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from anndata import AnnData

from stfmkit._core import slots
from stfmkit._core.errors import InputError
from stfmkit._core.random import RNGLike, as_generator
from stfmkit._data.columns import read_groups
from stfmkit._data.coordinates import read_coords, read_microns_per_unit
from stfmkit._data.view import resolve_table
from stfmkit._data.write import write_params
from stfmkit.splits.splitters import SplitRows, Splitter

if TYPE_CHECKING:
    from stfmkit._data.view import Container
    from stfmkit.splits.folds import Fold


def split(
    data: "Container",
    splitter: Splitter,
    *,
    patient_key: str,
    sample_key: str,
    table_key: str | None = None,
    spatial_key: str = slots.SPATIAL,
    microns_per_unit: float | None = None,
    key_added: str = "fold",
    rng: RNGLike = 0,
    copy: bool = False,
) -> "list[Fold] | None":
    """Split observations into folds without tearing patients, slides or blocks apart.

    Parameters
    ----------
    data
        AnnData or SpatialData.
    splitter
        `PatientKFold`, `SlideKFold`, `SpatialBlockKFold`, `LeavePanelOut`, or your own.
    patient_key, sample_key
        Columns of ``obs``; missing ids are refused.
    table_key
        Table of a SpatialData.
    spatial_key
        Key of the coordinates in ``obsm``, read by splitters in µm only.
    microns_per_unit
        Length of one coordinate unit in µm, if ``uns["stfmkit"]`` does not say it.
    key_added
        Column that is written.
    rng
        Seed or generator of the dealing.
    copy
        Return the folds and write nothing.

    Returns
    -------
    With ``copy=True`` a list of folds with ``train`` and ``test`` row numbers. Otherwise None, and writes

    ``obs[key_added]``
        Number of the fold that tests the observation, int64.
    ``obsm[key_added + "_train"]``
        Whether the observation trains in each fold, bool (n_obs, n_folds); rows in a buffer train and test nowhere.

    Raises
    ------
    InputError
        Ids are missing, or there are fewer groups than folds.
    UnitsError
        The splitter works in µm, and the unit is unknown.

    Examples
    --------
    >>> import stfmkit as sk
    >>> cells = sk.datasets.synthetic_cohort(n_patients=4, size=300, as_="anndata")
    >>> sk.pp.split(cells, sk.pp.PatientKFold(4), patient_key="patient", sample_key="sample")
    >>> cells.obs.groupby("patient", observed=True)["fold"].nunique().max()
    np.int64(1)
    """
    adata = resolve_table(data, table_key=table_key)
    rows = split_rows(
        adata,
        splitter,
        patient_key=patient_key,
        sample_key=sample_key,
        spatial_key=spatial_key,
        microns_per_unit=microns_per_unit,
    )
    folds = splitter.split(rows, rng=as_generator(rng))
    if copy:
        return folds
    number = np.full(adata.n_obs, -1, dtype=np.int64)
    trains = np.zeros((adata.n_obs, len(folds)), dtype=bool)
    for fold in folds:
        number[fold.test] = fold.number
        trains[fold.train, fold.number] = True
    adata.obs[key_added] = number
    adata.obsm[f"{key_added}_train"] = trains
    write_params(
        adata, key_added, {"splitter": splitter.describe(), "patient_key": patient_key, "sample_key": sample_key}
    )
    return None


def split_rows(
    adata: AnnData,
    splitter: Splitter,
    *,
    patient_key: str,
    sample_key: str,
    spatial_key: str,
    microns_per_unit: float | None,
) -> SplitRows:
    """Read what `splitter` needs, and refuse samples that belong to two patients."""
    patients = read_groups(adata, patient_key, role="patient_key")
    samples = read_groups(adata, sample_key, role="sample_key")
    check_nested(patients, samples, patient_key=patient_key, sample_key=sample_key)
    coords = None
    if splitter.needs_microns:
        scale = read_microns_per_unit(adata, microns_per_unit)
        coords = read_coords(adata, spatial_key=spatial_key) * scale
    extra = None
    if splitter.extra_key is not None:
        extra = read_groups(adata, splitter.extra_key, role="panel_key").codes.astype(np.int64)
    return SplitRows(
        patients=patients.codes.astype(np.int64),
        samples=samples.codes.astype(np.int64),
        patient_names=tuple(patients.categories),
        coords=coords,
        extra=extra,
    )


def check_nested(patients: pd.Categorical, samples: pd.Categorical, *, patient_key: str, sample_key: str) -> None:
    """Refuse a sample with observations of two patients."""
    pairs = pd.DataFrame({"patient": patients, "sample": samples}).drop_duplicates()
    torn = pairs["sample"][pairs["sample"].duplicated()].unique().tolist()
    if torn:
        raise InputError(
            f"samples of several patients: {torn[:5]}.",
            allowed="one patient for one sample",
            remedy=f"check obs[{sample_key!r}] and obs[{patient_key!r}]; sample ids may repeat between patients.",
        )
