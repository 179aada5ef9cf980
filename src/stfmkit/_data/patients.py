"""Read who an observation comes from: its patient and its sample, which are never invented."""

import numpy as np
import pandas as pd
from anndata import AnnData

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError
from stfmkit._data.columns import read_groups


def read_patients_and_samples(
    adata: AnnData, *, patient_key: str, sample_key: str
) -> tuple[pd.Categorical, pd.Categorical]:
    """Return the patient and the sample of every observation; a sample belongs to one patient.

    Raises
    ------
    MissingKeyError
        ``obs`` has no such column.
    InputError
        Ids are missing, or a sample has observations of two patients.
    """
    patients = read_groups(adata, patient_key, role="patient_key")
    samples = read_groups(adata, sample_key, role="sample_key")
    check_nested(samples, patients, sample_key=sample_key, group_key=patient_key)
    return patients, samples


def check_nested(samples: pd.Categorical, groups: pd.Categorical, *, sample_key: str, group_key: str) -> None:
    """Refuse a sample whose observations lie in several groups, such as two patients or two panels."""
    pairs = pd.DataFrame({"sample": np.asarray(samples), "group": np.asarray(groups)}).drop_duplicates()
    repeated = pairs["sample"][pairs["sample"].duplicated()].unique()
    if len(repeated):
        raise InputError(
            f"{len(repeated)} samples of obs[{sample_key!r}] with several values of obs[{group_key!r}]: "
            f"{listed(repeated, most=5)}.",
            allowed=f"one {group_key} for each {sample_key}",
            remedy="correct the ids, or make the sample ids unique across patients, such as '<patient>_<section>'.",
        )
