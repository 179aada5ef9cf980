"""What one call of ``bin`` asks for, checked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, Literal

import numpy as np
from anndata import AnnData

from stfmkit._core import slots
from stfmkit._core.arguments import check_choice, check_fraction, check_integer, check_positive, listed
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
from stfmkit._data.columns import read_groups
from stfmkit._data.coordinates import read_coords, read_microns_per_unit
from stfmkit._kernels._lattice import Lattice, Shape
from stfmkit.pp._binning._spots import LatticeSpots, PlacedSpots, Spots
from stfmkit.pp._binning._tissue_mask import check_mask

SHAPES = ("hex", "hex_gapless", "square")
ORIGINS = ("bbox", "centroid")
RESERVED = (
    "array_row",
    "array_col",
    "total_counts",
    "n_genes",
    "n_control",
    "control_rate",
    "frac_inside",
    "border",
    "n_cells",
    "frac_unassigned",
)
"""Columns of ``obs`` that ``bin`` writes."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class BinSettings:
    """Arguments of ``bin`` that do not depend on where molecules come from."""

    shape: Shape
    pitch: float
    spot_diameter: float | None
    origin: tuple[float, float] | Literal["bbox", "centroid"]
    angle: float
    like: AnnData | None
    mask: Any
    min_inside: float
    min_qv: float | None
    drop_controls: bool
    carry: tuple[str, ...]
    sample_key: str | None
    spatial_key: str
    microns_per_unit: float | None
    hest_compat: bool
    chunk_size: int
    show_progress: bool

    def checked(self) -> "BinSettings":
        """Return the settings that hold, or refuse what cannot be used."""
        check_choice(self.shape, SHAPES, name="shape")
        check_positive(self.pitch, name="pitch")
        self._check_diameter()
        self._check_origin()
        if self.min_qv is not None and (isinstance(self.min_qv, str) or not self.min_qv >= 0):
            raise InputError(f"min_qv={self.min_qv!r}.", allowed="a number ≥ 0, or None", remedy="20 is usual.")
        check_fraction(self.min_inside, name="min_inside")
        check_integer(self.chunk_size, name="chunk_size", least=1)
        check_mask(self.mask)
        if self.microns_per_unit is not None:
            check_positive(self.microns_per_unit, name="microns_per_unit")
        taken = [k for k in self.carry if k in RESERVED or k == self.sample_key]
        if taken or len(set(self.carry)) < len(self.carry):
            raise InputError(
                f"carry={list(self.carry)}.",
                allowed=f"different columns, none of {listed(RESERVED)}, and not the sample_key",
                remedy="rename or leave out the column.",
            )
        if self.like is not None:
            self._check_like()
        return self._hest() if self.hest_compat else self

    def _check_diameter(self) -> None:
        if self.shape != "hex":
            if self.spot_diameter is not None:
                raise InputError(
                    f"spot_diameter={self.spot_diameter!r} with shape={self.shape!r}.",
                    allowed='a spot_diameter with shape="hex" only',
                    remedy="leave it out: these cells fill the plane, and pitch gives their size.",
                )
            return
        if self.spot_diameter is None:
            raise InputError(
                'shape="hex" without spot_diameter.',
                allowed="the diameter of the circles in µm",
                remedy='pass spot_diameter=55 for Visium, or shape="hex_gapless".',
            )
        check_positive(self.spot_diameter, name="spot_diameter")
        if self.spot_diameter > self.pitch:
            raise InputError(
                f"spot_diameter={self.spot_diameter:g} above pitch={self.pitch:g}.",
                allowed="circles that do not overlap (spot_diameter ≤ pitch)",
                remedy='pass a smaller spot_diameter, or shape="hex_gapless".',
            )

    def _check_origin(self) -> None:
        if isinstance(self.angle, bool) or not isinstance(self.angle, int | float) or not isfinite(self.angle):
            raise InputError(f"angle={self.angle!r}.", allowed="degrees", remedy="pass a finite number.")
        if isinstance(self.origin, str):
            check_choice(self.origin, ORIGINS, name="origin")
            return
        point = np.asarray(self.origin, dtype=np.float64) if isinstance(self.origin, tuple | list) else np.empty(0)
        if point.shape != (2,) or not np.isfinite(point).all():
            raise InputError(
                f"origin={self.origin!r}.", allowed='"bbox", "centroid" or (x, y) in µm', remedy="pass one of these."
            )

    def _check_like(self) -> None:
        if not isinstance(self.like, AnnData):
            raise InputTypeError(
                f"like of type {type(self.like).__name__}.", allowed="an AnnData", remedy="pass the table of spots."
            )
        if self.shape != "hex" or self.angle != 0 or self.origin != "bbox":
            raise InputError(
                f"like= with shape={self.shape!r}, origin={self.origin!r}, angle={self.angle!r}.",
                allowed='circles at the given places: shape="hex", and no origin or angle',
                remedy="leave origin and angle out; pass a shape without like= to lay a new lattice.",
            )

    def _hest(self) -> "BinSettings":
        if self.shape != "square" or self.pitch != 100 or self.angle != 0 or self.origin != "bbox":
            raise InputError(
                f"hest_compat=True with shape={self.shape!r}, pitch={self.pitch!r}, origin={self.origin!r}, "
                f"angle={self.angle!r}.",
                allowed='shape="square", pitch=100, origin="bbox", angle=0',
                remedy="pass these, or leave hest_compat out.",
            )
        return replace(self, min_qv=None, drop_controls=False, mask=None, min_inside=0.0)


def make_ladder(settings: BinSettings, pitch: float | None, resolutions: Sequence[float]) -> list[BinSettings]:
    """Return the checked settings of every resolution, or of the one `pitch`.

    Raises
    ------
    InputError
        Both or none are given, a pitch is given twice, or spots are circles, whose size a pitch does not give.
    """
    pitches = list(resolutions)
    if (pitch is None) == (not pitches):
        raise InputError(
            f"pitch={pitch!r} and resolutions={pitches!r}.",
            allowed="one of them",
            remedy="pass pitch= for one table, or resolutions= for a table of each pitch.",
        )
    if not pitches:
        return [settings.checked()]
    if settings.shape == "hex":
        raise InputError(
            'resolutions with shape="hex".',
            allowed='shape="square" or "hex_gapless", whose size is given by the pitch',
            remedy="choose one of these, or call once for each pitch and spot_diameter.",
        )
    if len(set(pitches)) < len(pitches):
        raise InputError(f"resolutions={pitches!r}.", allowed="different pitches", remedy="leave out the repeated one.")
    return [replace(settings, pitch=step).checked() for step in pitches]


def spots_for(settings: BinSettings, sample: str, *, box: Box, centroid: tuple[float, float]) -> Spots:
    """Return the spots of one sample, whose positions in µm lie in `box`."""
    places = {"bbox": box[:2], "centroid": centroid}
    origin = places[settings.origin] if isinstance(settings.origin, str) else settings.origin
    lattice = Lattice(
        settings.shape,
        float(settings.pitch),
        (float(origin[0]), float(origin[1])),
        float(settings.angle),
        float(settings.spot_diameter or 0.0),
    )
    if settings.like is None:
        return LatticeSpots(lattice, box)
    rows = like_rows(settings, sample)
    places_of = read_coords(settings.like, spatial_key=settings.spatial_key)[rows]
    places_of = places_of * _like_unit(settings.like, settings.microns_per_unit)
    index = None
    if {"array_row", "array_col"} <= set(settings.like.obs.columns):
        row, col = (settings.like.obs[k].to_numpy()[rows].astype(np.int64) for k in ("array_row", "array_col"))
        index = (row, col)
    return PlacedSpots(lattice, places_of, index, sample=sample)


def _like_unit(like: AnnData, value: float | None) -> float:
    """Return the unit of the coordinates of ``like``: its own, else the ``microns_per_unit`` of the call."""
    own = like.uns.get(slots.ROOT, {}).get(slots.MICRONS)
    return read_microns_per_unit(like, value if own is None else own)


def like_rows(settings: BinSettings, sample: str) -> np.ndarray:
    """Return the rows of ``like`` that belong to a sample."""
    if settings.like is None or settings.sample_key is None:
        return np.arange(0 if settings.like is None else settings.like.n_obs)
    groups = read_groups(settings.like, settings.sample_key, role="sample_key of like")
    if sample not in groups.categories:
        raise MissingKeyError(
            f"no sample {sample!r} in like.obs[{settings.sample_key!r}].",
            allowed=listed(groups.categories),
            remedy="leave these molecules out, or pass spots for every sample.",
        )
    return np.flatnonzero(groups == sample)
