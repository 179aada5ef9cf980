"""Samples of an experiment: every score is computed inside one of them."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np


class SampleRows(NamedTuple):
    """One sample: its name, its patient, and the rows that hold its observations, in rising order."""

    sample: str
    patient: str
    rows: np.ndarray

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of a score that name this sample."""
        return {"sample": self.sample, "patient": self.patient}


def sample_rows(samples: np.ndarray, patients: np.ndarray, *, min_obs: int = 1) -> Iterator[SampleRows]:
    """Yield every sample with at least `min_obs` observations, in the order of their names.

    Parameters
    ----------
    samples, patients
        Names of the sample and of the patient of every observation (n_obs,); a sample has one patient.
    min_obs
        Smaller samples are left out.
    """
    if len(samples) == 0:
        return
    names, codes = np.unique(np.asarray(samples).astype(str), return_inverse=True)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(names)))
    for name, start, end in zip(names.tolist(), [0, *ends[:-1]], ends, strict=len(names) > 0):
        rows = order[start:end]
        if len(rows) >= min_obs:
            yield SampleRows(name, str(patients[rows[0]]), rows)
