"""Smooth random fields that can be evaluated at any point."""

from dataclasses import dataclass

import numpy as np

_WAVES = 48


@dataclass(frozen=True)
class SmoothFields:
    """Random functions of the plane: about zero mean, about unit variance, Gaussian correlation.

    Each is a sum of plane waves with random direction, wavelength and phase (random Fourier features: Rahimi and
    Recht, 2007), so that cells, molecules and pixels can ask the same field without a grid between them.
    """

    frequency: np.ndarray
    """Radians per µm, shape (n_fields, 2, n_waves)."""

    phase: np.ndarray
    """Shape (n_fields, n_waves)."""

    def __call__(self, xy: np.ndarray) -> np.ndarray:
        """Return the values at points in µm, shape (n_points, n_fields)."""
        values = np.empty((len(xy), len(self.phase)), dtype=np.float32)
        x, y = xy[:, :1].astype(np.float32), xy[:, 1:].astype(np.float32)
        for i, (wave, phase) in enumerate(zip(self.frequency, self.phase, strict=True)):
            # written out rather than as a matrix product: the sum must not depend on the number of BLAS threads
            values[:, i] = np.cos(x * wave[0] + y * wave[1] + phase).sum(axis=1)
        return values * np.float32(np.sqrt(2 / _WAVES))


def draw_fields(rng: np.random.Generator, n: int, *, length: float) -> SmoothFields:
    """Draw `n` independent fields whose correlation falls to exp(-1/2) at `length` µm."""
    frequency = rng.normal(0, 1 / length, size=(n, 2, _WAVES)).astype(np.float32)
    phase = rng.uniform(0, 2 * np.pi, size=(n, _WAVES)).astype(np.float32)
    return SmoothFields(frequency, phase)
