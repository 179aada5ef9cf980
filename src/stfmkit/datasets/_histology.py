"""An H&E-like picture of one section, drawn from its cells."""

import numpy as np
from scipy import ndimage

from stfmkit.datasets._cohort_config import CohortConfig
from stfmkit.datasets._outlines import Outlines
from stfmkit.datasets._section import Section
from stfmkit.datasets._tissue import Layout

MICRONS_PER_PIXEL = 1.0
_HEMATOXYLIN = np.array([0.65, 0.70, 0.29])
_EOSIN = np.array([0.07, 0.99, 0.11])
"""Optical densities of the two stains in red, green and blue (Ruifrok and Johnston, 2001)."""
_AT_ONCE = 2000


def draw_histology(config: CohortConfig, section: Section, outlines: Outlines) -> np.ndarray:
    """Draw the picture, shape (3, height, width), uint8; pixel (0, 0) has its corner at the origin of the section."""
    rng = config.stream("histology", section.sample)
    n_pixels = int(np.ceil(config.size / MICRONS_PER_PIXEL))
    look = _look(config)
    xy, radius = outlines.xy / MICRONS_PER_PIXEL, outlines.mean_radius() / MICRONS_PER_PIXEL
    of_type, n_cells = section.cells.cell_type, len(section.cells)
    jitter = np.exp(rng.normal(0, 0.12, size=(2, n_cells)))
    nuclei, cytoplasm = np.zeros((2, n_pixels, n_pixels), dtype=np.float32)
    angle = rng.uniform(0, np.pi, size=n_cells)
    stretch = np.sqrt(look["elongation"][of_type])
    nucleus = look["nucleus"][of_type] * radius * jitter[0]
    half_axes = np.stack([nucleus * stretch, nucleus / stretch], axis=1)
    _stamp(nuclei, xy, half_axes, angle=angle, strength=look["dark"][of_type] * jitter[1], edge=3.0)
    round_axes = np.stack([1.15 * radius, 1.15 * radius], axis=1)
    _stamp(cytoplasm, xy, round_axes, angle=angle, strength=look["pink"][of_type], edge=1.5)

    tissue = _tissue_mask(section.layout, n_pixels)
    mottle = _mottle(rng, n_pixels)
    chromatin = 1 + 0.22 * rng.standard_normal((n_pixels, n_pixels), dtype=np.float32)
    stain = np.exp(config.stream("stain", section.patient).normal(0, 0.12, size=2))
    blue = stain[0] * (nuclei * chromatin + 0.06 * tissue)
    pink = stain[1] * (cytoplasm + tissue * np.clip(0.22 + 0.1 * mottle, 0.02, None))
    blue, pink = (ndimage.gaussian_filter(layer, 0.6) for layer in (blue, pink))
    density = _HEMATOXYLIN[:, None, None] * blue + _EOSIN[:, None, None] * pink
    grain = rng.normal(0, 2.0, size=(n_pixels, n_pixels)).astype(np.float32)
    return np.clip(243 * np.exp(-density) + grain, 0, 255).astype(np.uint8)


def _look(config: CohortConfig) -> dict[str, np.ndarray]:
    """Draw what the nuclei and the cytoplasm of each type look like; the same in every patient."""
    rng, n = config.stream("look"), config.n_cell_types
    return {
        "nucleus": rng.permutation(np.linspace(0.38, 0.66, n)),
        "elongation": rng.permutation(np.linspace(1.0, 2.2, n)),
        "dark": rng.permutation(np.linspace(0.7, 1.6, n)),
        "pink": rng.permutation(np.linspace(0.08, 0.45, n)),
    }


def _stamp(
    canvas: np.ndarray, xy: np.ndarray, axes: np.ndarray, *, angle: np.ndarray, strength: np.ndarray, edge: float
) -> None:
    """Draw one soft ellipse for each cell; where they overlap the darker one shows.

    `axes` holds the half axes in pixels, shape (n_cells, 2); `edge` is how steeply an ellipse ends.
    """
    patch = int(np.ceil(axes.max() * (1 + 0.5 / edge))) + 1
    step = np.arange(-patch, patch + 1)
    dy, dx = (d.ravel() for d in np.meshgrid(step, step, indexing="ij"))
    for start in range(0, len(xy), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        column, row = np.floor(xy[some]).astype(np.intp).T
        x = (column[:, None] + dx + 0.5 - xy[some, :1]).astype(np.float32)
        y = (row[:, None] + dy + 0.5 - xy[some, 1:]).astype(np.float32)
        cos, sin = (f(angle[some, None]).astype(np.float32) for f in (np.cos, np.sin))
        long, short = axes[some].astype(np.float32).T[..., None]
        distance = np.sqrt(((x * cos + y * sin) / long) ** 2 + ((y * cos - x * sin) / short) ** 2)
        value = strength[some, None].astype(np.float32) * np.clip(edge * (1 - distance) + np.float32(0.5), 0, 1)
        rows, columns = row[:, None] + dy, column[:, None] + dx
        drawn = (value > 0) & (rows >= 0) & (columns >= 0) & (rows < canvas.shape[0]) & (columns < canvas.shape[1])
        np.maximum.at(canvas, (rows[drawn], columns[drawn]), value[drawn])


def _tissue_mask(layout: Layout, n_pixels: int) -> np.ndarray:
    """Tell how much tissue is at each pixel; the outline is coarse enough to be asked at every fourth one."""
    coarse = (np.arange(0, n_pixels, 4) + 2) * MICRONS_PER_PIXEL
    grid = np.stack(np.meshgrid(coarse, coarse), axis=-1).reshape(-1, 2)
    mask = layout.inside(grid).reshape(len(coarse), len(coarse)).astype(np.float32)
    return ndimage.gaussian_filter(np.kron(mask, np.ones((4, 4), np.float32))[:n_pixels, :n_pixels], 2)


def _mottle(rng: np.random.Generator, n_pixels: int) -> np.ndarray:
    """Draw a mottle between two scales, of unit variance."""
    noise = rng.standard_normal((n_pixels, n_pixels), dtype=np.float32)
    mottle = ndimage.gaussian_filter(noise, 1.5) - ndimage.gaussian_filter(noise, 5.0)
    return mottle / mottle.std()
