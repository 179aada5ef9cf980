"""When a gene is flagged as too sparse, too flat or driven by depth."""

from dataclasses import dataclass

import numpy as np

from stfmkit._core.arguments import check_fraction, check_positive
from stfmkit._core.errors import InputTypeError

FLAGS = ("too_sparse", "too_flat", "depth_driven")
"""Columns of ``var`` that hold the flags."""


@dataclass(frozen=True, kw_only=True)
class GeneLimits:
    """Limits beyond which `gene_sparsity` flags a gene.

    Parameters
    ----------
    min_detect_frac, min_n_eff
        Below either: `too_sparse`.
    flat_detect_frac, flat_moran, flat_fano
        Detected in more than `flat_detect_frac` of the observations, and a Moran's I below `flat_moran` or an index
        of dispersion of at most `flat_fano` (a Poisson has 1): `too_flat`.
    max_depth_r2
        Above: `depth_driven`.
    """

    min_detect_frac: float = 0.05
    min_n_eff: float = 0.02
    flat_detect_frac: float = 0.98
    flat_moran: float = 0.05
    flat_fano: float = 1.1
    max_depth_r2: float = 0.5

    def __post_init__(self) -> None:
        for name in ("min_detect_frac", "min_n_eff", "flat_detect_frac", "max_depth_r2"):
            check_fraction(getattr(self, name), name=name)
        check_positive(self.flat_fano, name="flat_fano")


FLAGGED_BY = ("detect_frac", "n_eff", "fano", "morans_i", "depth_r2")
"""Statistics that the flags read."""


def flags(summary: dict[str, np.ndarray], limits: GeneLimits) -> dict[str, np.ndarray]:
    """Return the flags ``too_sparse``, ``too_flat`` and ``depth_driven`` of every gene (n_genes,) of bool.

    Only a gene that is detected nearly everywhere can be flat: at low counts every gene looks like a Poisson, also
    one with a sharp pattern.
    """
    with np.errstate(invalid="ignore"):
        sparse_ = (summary["detect_frac"] < limits.min_detect_frac) | (summary["n_eff"] < limits.min_n_eff)
        no_pattern = (summary["morans_i"] < limits.flat_moran) | (summary["fano"] <= limits.flat_fano)
        flat = (summary["detect_frac"] > limits.flat_detect_frac) & no_pattern
        depth = summary["depth_r2"] > limits.max_depth_r2
    return {"too_sparse": sparse_, "too_flat": flat, "depth_driven": depth}


def check_limits(limits: GeneLimits | None) -> GeneLimits:
    """Return the limits of the flags, the defaults for None, or refuse what is none."""
    if limits is not None and not isinstance(limits, GeneLimits):
        raise InputTypeError(
            f"limits={limits!r}.",
            allowed="sk.pp.GeneLimits, or None",
            remedy="pass sk.pp.GeneLimits(max_depth_r2=0.9), for example.",
        )
    return GeneLimits() if limits is None else limits
