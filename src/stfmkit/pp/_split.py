"""Write the folds of a leak-free split into the table."""

from typing import TYPE_CHECKING

import numpy as np
from anndata import AnnData

from stfmkit._core import slots
from stfmkit._core.arguments import check_key
from stfmkit._core.random import RNGLike, as_seed
from stfmkit._data.columns import read_groups
from stfmkit._data.coordinates import read_coords, read_microns_per_unit
from stfmkit._data.patients import read_patients_and_samples
from stfmkit._data.view import resolve_table
from stfmkit._data.write_slots import check_free, write_record
from stfmkit.splits.check_folds import make_folds
from stfmkit.splits.splitters import SplitRows, Splitter, check_splitter

if TYPE_CHECKING:
    from stfmkit._core.slots import Slot
    from stfmkit._data.view import Container
    from stfmkit.splits.folds import Fold

STEP = "split"


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
    """Split observations into folds that keep patients, slides or blocks whole.

    Parameters
    ----------
    data
        AnnData or SpatialData.
    splitter
        `PatientKFold`, `SlideKFold`, `SpatialBlockKFold`, `LeavePanelOut`, or your own: an object with ``holds_out``
        ("patient", "slide", "block" or "observation"), ``needs_microns``, ``extra_key``, ``split`` and ``describe``.
    patient_key, sample_key
        Columns of ``obs`` with the patient and the sample (section, slide); a sample belongs to one patient.
    table_key
        Table of a SpatialData.
    spatial_key
        Key of the coordinates in ``obsm``; read by splitters in µm only.
    microns_per_unit
        Length of one coordinate unit in µm, None for ``uns["stfmkit"]["microns_per_unit"]``; read by splitters in µm
        only.
    key_added
        Column of ``obs`` that is written.
    rng
        Integer, generator, or None for a new seed; the integer that reproduces the result is recorded.
    copy
        Return the result and write nothing.

    Returns
    -------
    With ``copy=True`` a list of folds with ``train`` and ``test`` row numbers. Otherwise None, and writes

    ``obs[key_added]``
        Number of the fold that tests the observation, int64.
    ``obsm[key_added + "_train"]``
        Whether the observation trains in each fold, bool (n_obs, n_folds); rows in a buffer train and test nowhere.
    ``uns["stfmkit"]["split"]["results"][key_added]``
        The splitter with its choices, what it holds out, keys and seed.

    Raises
    ------
    InputError
        Ids are missing, a sample belongs to two patients, there are fewer groups than folds, or `key_added` is taken.
    InputTypeError
        The splitter lacks a part.
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
    names: dict[Slot, list[str]] = {"obs": [check_key(key_added)], "obsm": [f"{key_added}_train"]}
    if not copy:
        for slot, keys in names.items():
            check_free(adata, slot, keys, step=STEP, result=key_added)
    seed = as_seed(rng)
    rows = split_rows(
        adata,
        splitter,
        patient_key=patient_key,
        sample_key=sample_key,
        spatial_key=spatial_key,
        microns_per_unit=microns_per_unit,
    )
    folds = make_folds(splitter, rows, rng=np.random.default_rng(seed))
    if copy:
        return folds
    number = np.full(adata.n_obs, -1, dtype=np.int64)
    trains = np.zeros((adata.n_obs, len(folds)), dtype=bool)
    for fold in folds:
        number[fold.test] = fold.number
        trains[fold.train, fold.number] = True
    adata.obs[key_added] = number
    adata.obsm[f"{key_added}_train"] = trains
    record = {
        "splitter": splitter.describe(),
        "holds_out": splitter.holds_out,
        "patient_key": patient_key,
        "sample_key": sample_key,
        "spatial_key": spatial_key if splitter.needs_microns else None,
        "rng": seed,
    }
    write_record(adata, STEP, key_added, record, wrote=names)
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
    """Read what `splitter` needs, and refuse a splitter that lacks a part and samples that belong to two patients."""
    check_splitter(splitter)
    patients, samples = read_patients_and_samples(adata, patient_key=patient_key, sample_key=sample_key)
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
