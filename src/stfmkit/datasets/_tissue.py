"""The tissue: an irregular outline, niches with curved borders and the smooth fields behind them, and its cells."""

from dataclasses import dataclass

import numpy as np

from stfmkit.datasets._cohort_config import CohortConfig

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


_NICHE_LENGTH = 240.0
_BORDER_SOFTNESS = 0.12
_NICHE_EVENNESS = 12.0
_DOMINANCE = (6.0, 2.5)
_CLUMP_LENGTH = 45.0
_CLUMP = 0.6
_CROWDING_LENGTH = 260.0


@dataclass(frozen=True)
class Layout:
    """Where a section has tissue, and which niche is where."""

    size: float
    outline: np.ndarray
    """Amplitude and phase of the waves of the outline, shape (2, n_waves)."""
    fields: SmoothFields
    bias: np.ndarray
    """Added to the niche fields so that each niche has its share, shape (n_niches,)."""

    def inside(self, xy: np.ndarray) -> np.ndarray:
        """Tell which points lie in the tissue."""
        u, v = (xy / self.size * 2 - 1).T
        angle = np.arctan2(v, u)
        waves = np.arange(2, 2 + self.outline.shape[1])
        edge = 0.97 - sum(a * (1 + np.cos(w * angle + p)) for w, a, p in zip(waves, *self.outline, strict=True))
        return (u**4 + v**4) ** 0.25 < edge

    def niche(self, xy: np.ndarray) -> np.ndarray:
        """Return the number of the niche at each point."""
        return np.argmax(self.fields(xy) + self.bias, axis=1)

    def niche_weights(self, xy: np.ndarray) -> np.ndarray:
        """Return how much of each niche is at each point; soft at the borders, rows sum to 1."""
        return _softmax((self.fields(xy) + self.bias) / _BORDER_SOFTNESS)


@dataclass(frozen=True)
class Cells:
    """The cells of one section."""

    xy: np.ndarray
    """Centres in µm, shape (n_cells, 2)."""
    niche: np.ndarray
    """Number of the niche."""
    cell_type: np.ndarray
    """Number of the cell type."""

    def __len__(self) -> int:
        return len(self.xy)

    def take(self, keep: np.ndarray) -> "Cells":
        """Return some of the cells."""
        return Cells(self.xy[keep], self.niche[keep], self.cell_type[keep])


def draw_layout(config: CohortConfig, sample: str) -> Layout:
    """Draw the outline and the niches of one section; no two sections share them."""
    rng = config.stream("layout", sample)
    outline = np.stack([rng.uniform(0.005, 0.035, size=4), rng.uniform(0, 2 * np.pi, size=4)])
    fields = draw_fields(rng, config.n_niches, length=min(_NICHE_LENGTH, config.size / 4))
    shares = rng.dirichlet(np.full(config.n_niches, _NICHE_EVENNESS))
    layout = Layout(config.size, outline, fields, np.zeros(config.n_niches, dtype=np.float32))
    ticks = (np.arange(64) + 0.5) / 64 * config.size
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    return Layout(config.size, outline, fields, _bias(fields(grid[layout.inside(grid)]), shares))


def draw_cells(config: CohortConfig, layout: Layout, patient: str, sample: str) -> Cells:
    """Place cells and give each a type that depends, with overlap, on the niche around it."""
    rng = config.stream("cells", sample)
    xy = _place(rng, layout, config.cell_density)
    mixture = np.log(_composition(config))
    for name, share in ((patient, 1.0), (sample, 0.5)):
        shift = config.stream("composition", name).normal(0, config.patient_effect, size=config.n_cell_types)
        mixture = mixture + share * shift
    mixture = _softmax(mixture)
    probability = np.einsum("nk,kt->nt", layout.niche_weights(xy), mixture)
    clumps = draw_fields(rng, config.n_cell_types, length=_CLUMP_LENGTH)(xy)
    score = np.log(probability) + _CLUMP * clumps + rng.gumbel(size=probability.shape)
    return Cells(xy, layout.niche(xy), np.argmax(score, axis=1))


def _composition(config: CohortConfig) -> np.ndarray:
    """Return the share of each type in each niche: two favoured types, of which the next niche has one too."""
    share = np.ones((config.n_niches, config.n_cell_types))
    for k in range(config.n_niches):
        share[k, k % config.n_cell_types] *= _DOMINANCE[0]
        share[k, (k + 1 + k // config.n_cell_types) % config.n_cell_types] *= _DOMINANCE[1]
    return share / share.sum(axis=1, keepdims=True)


def _place(rng: np.random.Generator, layout: Layout, density: float) -> np.ndarray:
    """Jitter a hexagonal lattice and thin it along a smooth field: cells keep a distance, some regions are denser."""
    keep_rate = 0.8
    step = np.sqrt(2 / np.sqrt(3) / (density / keep_rate / 1e6))
    n_rows, n_columns = int(layout.size / (step * np.sqrt(3) / 2)) + 3, int(layout.size / step) + 3
    row, column = np.divmod(np.arange(n_rows * n_columns), n_columns)
    xy = np.stack([(column + 0.5 * (row % 2)) * step, row * step * np.sqrt(3) / 2], axis=1) - step
    angle, radius = rng.uniform(0, 2 * np.pi, size=len(xy)), 0.3 * step * np.sqrt(rng.random(len(xy)))
    xy += np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius[:, None] + rng.uniform(0, step, size=2)
    xy = xy[layout.inside(xy)]
    crowding = draw_fields(rng, 1, length=_CROWDING_LENGTH)(xy)[:, 0]
    crowding -= crowding.mean()
    return xy[rng.random(len(xy)) < np.clip(keep_rate * (1 + 0.12 * crowding), 0.3, 1)]


def _bias(values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Find what to add to the fields so that their largest one is each niche on its share of the points."""
    bias = np.zeros(len(shares))
    for _ in range(60):
        found = np.bincount(np.argmax(values + bias, axis=1), minlength=len(shares)) / len(values)
        bias += 0.25 * np.log(shares / np.maximum(found, 0.005))
    return (bias - bias.mean()).astype(np.float32)


def _softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)
