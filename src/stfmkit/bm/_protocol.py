"""Every choice of a comparison, in one frozen object."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from stfmkit._core import slots
from stfmkit._core.arguments import check_choice, check_integer, check_positive, listed
from stfmkit._core.errors import InputError, InputTypeError
from stfmkit.splits.splitters import HoldsOut, PatientKFold, Splitter

SCALES = ("size_factor_log1p", "log1p")
SELECTORS = ("reliable_svg", "svg", "svg_within_depth", "hvg", "hest")
_WHERE_MADE = ("image_key", "coordinate_system", "second_label_key", "label_noise", "accessions")
"""Choices that a protocol mentions only where they are made."""
_SPLITTER = ("split", "describe", "holds_out", "needs_microns", "extra_key")


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Every choice of a comparison; two tables compare only if their protocols are the same.

    Attributes
    ----------
    patient_key, sample_key
        Columns of ``obs`` with the patient and the sample (slide) of every observation. Never defaulted.
    label_key
        Column of ``obs`` with regions, niches or cell types; tasks on labels need it. Observations without a label
        are used for nothing that needs labels.
    second_label_key
        Column of ``obs`` with a second annotation of the same regions, by somebody else: the root of what both agree on
        is the ceiling of tasks on labels. It trains and scores nothing.
    label_noise
        Where there is one annotation: the share of its labels that is taken to be wrong, at random, from which the
        ceiling of tasks on labels follows. It is an assumption, and the report says so.
    target_genes
        Genes to predict. None chooses `n_target_genes` in every fold, on training patients only.
    n_target_genes
        How many genes are chosen where `target_genes` is None; at most half of the genes.
    selector
        The selector of `stfmkit.pp.select_genes` that chooses them.
    scale
        Scale of the predicted expression: log1p of counts divided by size factors (library sizes over all genes, by
        their median in training), or log1p of raw counts (which carries library size).
    split
        How observations are held out.
    rng
        Seed of everything that is random.
    layer
        Layer with raw counts; None for ``X``.
    spatial_key
        Key of the coordinates in ``obsm``.
    celltype_key
        Cell types for models that read them: a column of ``obs``, or an ``obsm`` matrix of shares.
    microns_per_unit
        Length of one coordinate unit in µm, if ``uns["stfmkit"]`` does not say it.
    image_key
        The images that models of images read: names of images of a SpatialData, or resolutions of ``uns["spatial"]``
        such as "hires"; None where every observation has one image. Libraries of ``uns["spatial"]`` are found by the
        names of the samples.
    coordinate_system
        Coordinate system of a SpatialData in which observations meet images; None where all agree.
    accessions
        Accessions or names of the data, such as "GSE176078": the audit looks for them in what is known of the data that
        models were trained on. None where they are not stated.
    linear_c
        Inverse penalties of the linear probe, tuned inside training groups; a fold that trains on one group cannot be
        tuned, and takes the middle of the list.
    n_neighbors
        Neighbours of the kNN probe, tuned likewise.
    ridge_alpha
        Penalties of the expression probe, tuned likewise.
    n_inner
        Inner folds of the tuning; fewer where there are fewer training groups, each then left out once.
    max_components
        Embeddings wider than this are reduced by PCA, fitted on training observations, before the ridge.
    min_obs
        Samples with fewer test observations are not scored by correlations; labels, clusters and signatures are.

    Examples
    --------
    >>> import stfmkit as sk
    >>> protocol = sk.bm.Protocol(patient_key="patient", sample_key="sample", label_key="niche")
    >>> protocol.describe()["split"]
    {'name': 'PatientKFold', 'n_splits': 5}
    """

    patient_key: str
    sample_key: str
    label_key: str | None = None
    second_label_key: str | None = None
    label_noise: float | None = None
    target_genes: Sequence[str] | None = None
    n_target_genes: int = 100
    selector: str = "reliable_svg"
    scale: Literal["size_factor_log1p", "log1p"] = "size_factor_log1p"
    split: Splitter = field(default_factory=PatientKFold)
    rng: int = 0
    layer: str | None = None
    spatial_key: str = slots.SPATIAL
    celltype_key: str | None = None
    microns_per_unit: float | None = None
    image_key: str | Sequence[str] | None = None
    coordinate_system: str | None = None
    accessions: Sequence[str] | None = None
    linear_c: Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
    n_neighbors: Sequence[int] = (5, 10, 20, 40)
    ridge_alpha: Sequence[float] = (1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6)
    n_inner: int = 4
    max_components: int = 256
    min_obs: int = 20

    def __post_init__(self) -> None:
        check_choice(self.scale, SCALES, name="scale")
        check_choice(self.selector, SELECTORS, name="selector")
        for name, least in (("n_target_genes", 2), ("n_inner", 2), ("max_components", 1), ("min_obs", 3)):
            check_integer(getattr(self, name), name=name, least=least)
        for name in ("linear_c", "n_neighbors", "ridge_alpha"):
            grid = tuple(getattr(self, name))
            if not grid:
                raise InputError(f"{name} is empty.", allowed="one value or more", remedy=f"pass values for {name}.")
            for value in grid:
                check_positive(value, name=name)
            object.__setattr__(self, name, tuple(sorted(grid)))
        if isinstance(self.rng, bool) or not isinstance(self.rng, int):
            raise InputTypeError(
                f"rng={self.rng!r}.", allowed="an integer seed", remedy="a protocol is repeatable; pass rng=0, say."
            )
        if isinstance(self.target_genes, str):
            raise InputTypeError(
                f"target_genes={self.target_genes!r}.", allowed="a list of genes", remedy="pass target_genes=[...]."
            )
        if self.target_genes is not None:
            object.__setattr__(self, "target_genes", tuple(map(str, self.target_genes)))
        if self.accessions is not None:
            object.__setattr__(self, "accessions", _names(self.accessions, name="accessions", example="GSE176078"))
        if self.image_key is not None:
            object.__setattr__(self, "image_key", _names(self.image_key, name="image_key", example="hires"))
        self._check_ceiling_of_labels()
        lacking = [name for name in _SPLITTER if not hasattr(self.split, name)]
        if lacking or self.split.holds_out not in get_args(HoldsOut):
            raise InputTypeError(
                f"split={self.split!r}.",
                allowed=f"a splitter, with {listed(_SPLITTER)}; holds_out is one of {listed(get_args(HoldsOut))}",
                remedy="pass sk.pp.PatientKFold(5), for example.",
            )

    def _check_ceiling_of_labels(self) -> None:
        second, noise = self.second_label_key, self.label_noise
        if second is not None and noise is not None:
            raise InputError(
                f"second_label_key={second!r} and label_noise={noise!r}.",
                allowed="one of them",
                remedy="leave label_noise out: two annotations show how far labels can be trusted.",
            )
        if (second is not None or noise is not None) and self.label_key in (None, second):
            raise InputError(
                f"label_key={self.label_key!r} with {'label_noise' if second is None else 'second_label_key'}.",
                allowed="label_key with the annotation that is predicted, another column than second_label_key",
                remedy="pass label_key.",
            )
        if noise is not None and not (isinstance(noise, (int, float)) and 0 < noise < 1):
            raise InputError(
                f"label_noise={noise!r}.", allowed="a share above 0 and below 1", remedy="pass label_noise=0.1, say."
            )

    def describe(self) -> dict[str, Any]:
        """Return every choice, ready for JSON; those of `_WHERE_MADE` only where they are made."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "split"}
        made = {k: v for k, v in plain.items() if k not in _WHERE_MADE or v is not None}
        return {**{k: list(v) if isinstance(v, tuple) else v for k, v in made.items()}, "split": self.split.describe()}


def _names(given: Any, *, name: str, example: str) -> tuple[str, ...]:
    """Return names, each once; neither their order nor how one name is written makes a difference."""
    names = (given,) if isinstance(given, str) else given
    if not isinstance(names, Sequence) or not all(isinstance(part, str) for part in names):
        raise InputTypeError(
            f"{name}={given!r}.",
            allowed="a name, or a list of names",
            remedy=f"pass {name}={example!r}, for example.",
        )
    if not names:
        raise InputError(f"{name} is empty.", allowed="one name or more, or None", remedy=f"leave {name} out.")
    return tuple(sorted(set(names)))
