"""Predictions of expression that know next to nothing: linear in library size, and linear in the place in the slide."""

import numpy as np

from stfmkit._core.random import stream
from stfmkit.evaluation.measured import Measured
from stfmkit.evaluation.ridge_probe import ridge_probe
from stfmkit.splits.folds import Folds, inner_folds

_PENALTY = 1.0  # on one or two scaled columns and hundreds of rows: next to nothing
_MOST_FOLDS = 10


class LinearBaselines:
    """Linear predictions of every gene from one or two numbers, fitted on other patients.

    Parameters
    ----------
    features
        Columns (n_obs, d) by the name of the baseline.
    measured
        What is predicted.
    size_targets
        Library size that every observation is scaled to (n_obs,).
    folds
        Rows to fit on and rows to predict; none where no patient can be held out.
    """

    def __init__(
        self, features: dict[str, np.ndarray], measured: Measured, *, size_targets: np.ndarray, folds: Folds
    ) -> None:
        self.features, self.measured, self.size_targets, self.folds = features, measured, size_targets, folds

    @property
    def names(self) -> list[str]:
        """The baselines that can be fitted."""
        return list(self.features) if self.folds else []

    def predict(self, columns: np.ndarray) -> dict[str, np.ndarray]:
        """Return predictions of some genes (n_obs, n_columns) by name; NaN for rows that no fold predicts."""
        shape = (len(self.size_targets), len(columns))
        out = {name: np.full(shape, np.nan) for name in self.names}
        for fit, check in self.folds:
            target = self.measured.scaled(fit, columns, size_target=self.size_targets[fit])
            for name, values in out.items():
                known = self.features[name]
                values[check], _ = ridge_probe(
                    known[fit], target, known[check], grid=(_PENALTY,), folds=[], max_components=known.shape[1]
                )
        return out


def baseline_folds(patients: np.ndarray, *, scored: np.ndarray, train: np.ndarray | None, seed: int) -> Folds:
    """Return folds that hold out whole patients; one fold where the training observations are known.

    Parameters
    ----------
    patients
        Patient of every observation (n_obs,).
    scored, train
        Which observations are scored, and which were trained on (n_obs,), or None.
    seed
        Deals patients to folds.
    """
    if train is not None:
        return [(np.flatnonzero(train), np.flatnonzero(scored))]
    return inner_folds(np.unique(patients, return_inverse=True)[1], _MOST_FOLDS, stream(seed, "baselines"))


def centred_coordinates(coords: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Return coordinates centred and divided by one length in every sample (n_obs, 2)."""
    out = np.array(coords, dtype=np.float64)
    for sample in np.unique(samples):
        rows = samples == sample
        out[rows] -= out[rows].mean(axis=0)
        length = np.sqrt((out[rows] ** 2).sum(axis=1).mean())
        out[rows] /= length if length > 0 else 1.0
    return out
