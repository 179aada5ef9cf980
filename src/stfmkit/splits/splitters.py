"""Splits that keep together what must not be torn apart; the patient is the unit."""

from dataclasses import asdict, dataclass
from typing import ClassVar, Literal, Protocol, TypeAlias

import numpy as np
from scipy.spatial import cKDTree

from stfmkit._core.arguments import check_choice, check_integer, check_positive, listed
from stfmkit._core.errors import InputError, InputTypeError
from stfmkit.splits.folds import Fold, deal_groups

HoldsOut: TypeAlias = Literal["patient", "slide", "block", "observation"]
"""The unit that is whole on one side of every split: what the scores speak of."""

_UNITS: tuple[HoldsOut, ...] = ("patient", "slide", "block", "observation")
_PARTS = ("holds_out", "needs_microns", "extra_key", "split", "describe")


@dataclass(frozen=True, kw_only=True, eq=False)
class SplitRows:
    """What a splitter sees of the observations, as arrays (n_obs,).

    Attributes
    ----------
    patients, samples
        Integer codes.
    patient_names
        Names of the patients, in the order of their codes.
    coords
        Coordinates (n_obs, 2) in µm, or None where the splitter needs none.
    extra
        Integer codes of the column that the splitter names in `extra_key`, or None.
    """

    patients: np.ndarray
    samples: np.ndarray
    patient_names: tuple[str, ...]
    coords: np.ndarray | None = None
    extra: np.ndarray | None = None


class Splitter(Protocol):
    """Anything that turns observations into folds; frozen, so that it can be part of a protocol's identity."""

    needs_microns: ClassVar[bool]
    holds_out: ClassVar[HoldsOut]

    @property
    def extra_key(self) -> str | None:
        """Column of ``obs`` that the splitter needs beside patient and sample."""
        ...

    def split(self, rows: SplitRows, *, rng: np.random.Generator) -> list[Fold]:
        """Return the folds; every row is tested at most once."""
        ...

    def describe(self) -> dict[str, object]:
        """Return every choice, ready for JSON."""
        ...


def check_splitter(splitter: object) -> None:
    """Refuse a splitter that lacks a part, or that does not say what it holds out.

    Raises
    ------
    InputTypeError
        A part is missing; the error lists all that are.
    InputError
        ``holds_out`` is none of the four units.
    """
    missing = [part for part in _PARTS if not hasattr(splitter, part)]
    if missing or isinstance(splitter, type):
        raise InputTypeError(
            f"a splitter {splitter!r} without {listed(missing)}." if missing else f"the class {splitter.__name__}.",  # type: ignore[attr-defined]
            allowed=f"an object with {', '.join(_PARTS)}",
            remedy="pass sk.pp.PatientKFold(5), or complete your own splitter; "
            f"holds_out is the unit that is whole on one side of every split, one of {listed(_UNITS)}.",
        )
    check_choice(splitter.holds_out, _UNITS, name=f"{type(splitter).__name__}.holds_out")  # type: ignore[attr-defined]


@dataclass(frozen=True)
class _Base:
    needs_microns: ClassVar[bool] = False
    holds_out: ClassVar[HoldsOut] = "patient"

    @property
    def extra_key(self) -> str | None:
        return None

    def describe(self) -> dict[str, object]:
        """Return the name and every choice of this split."""
        return {"name": type(self).__name__, **asdict(self)}


@dataclass(frozen=True)
class PatientKFold(_Base):
    """Hold out whole patients; the default of every benchmark.

    Patients are dealt to folds, large ones first, each to the fold with the fewest observations.

    Parameters
    ----------
    n_splits
        Number of folds, at most the number of patients.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.pp.PatientKFold(3).describe()
    {'name': 'PatientKFold', 'n_splits': 3}
    """

    n_splits: int = 5

    def __post_init__(self) -> None:
        check_integer(self.n_splits, name="n_splits", least=2)

    def split(self, rows: SplitRows, *, rng: np.random.Generator) -> list[Fold]:
        """Return one fold for every group of held-out patients."""
        n_patients = len(rows.patient_names)
        if n_patients < self.n_splits:
            raise _too_few(n_patients, "patients", rows.patient_names, self)
        return _group_folds(rows.patients, self.n_splits, rng)


@dataclass(frozen=True)
class SlideKFold(_Base):
    """Hold out whole samples (slides). Other slides of the same patient may stay in training: an audit says so.

    Parameters
    ----------
    n_splits
        Number of folds, at most the number of samples.
    """

    n_splits: int = 5
    holds_out: ClassVar[HoldsOut] = "slide"

    def __post_init__(self) -> None:
        check_integer(self.n_splits, name="n_splits", least=2)

    def split(self, rows: SplitRows, *, rng: np.random.Generator) -> list[Fold]:
        """Return one fold for every group of held-out samples."""
        n_samples = len(np.unique(rows.samples))
        if n_samples < self.n_splits:
            raise _too_few(n_samples, "samples", np.unique(rows.samples).tolist(), self)
        return _group_folds(rows.samples, self.n_splits, rng)


@dataclass(frozen=True)
class SpatialBlockKFold(_Base):
    """Hold out square blocks of tissue, with a buffer around them that nobody trains on.

    For one patient, where no patient can be held out: it estimates how well a model fills in tissue of the same
    patient, not of the next one (Roberts et al. 2017, Ecography 40:913).

    Parameters
    ----------
    block
        Side of a block in µm; about twice the range of spatial autocorrelation.
    buffer
        Training observations closer than this (µm) to a test observation of their sample are left out.
    n_splits
        Number of folds.
    """

    block: float
    buffer: float
    n_splits: int = 5
    needs_microns: ClassVar[bool] = True
    holds_out: ClassVar[HoldsOut] = "block"

    def __post_init__(self) -> None:
        check_positive(self.block, name="block")
        check_integer(self.n_splits, name="n_splits", least=2)
        if self.buffer != 0:
            check_positive(self.buffer, name="buffer")

    def split(self, rows: SplitRows, *, rng: np.random.Generator) -> list[Fold]:
        """Return folds of blocks; rows within the buffer are in neither part."""
        if rows.coords is None:
            raise InputError("no coordinates.", allowed="coordinates in µm", remedy="pass spatial_key=.")
        blocks = self._blocks(rows.coords, rows.samples)
        n_blocks = int(blocks.max()) + 1
        if n_blocks < self.n_splits:
            raise InputError(
                f"{n_blocks} blocks of {self.block:g} µm for {self.n_splits} folds.",
                allowed="at least one block for one fold",
                remedy="pass a smaller block or fewer n_splits, and check microns_per_unit.",
            )
        folds = _group_folds(blocks, self.n_splits, rng)
        return [self._without_buffer(fold, rows) for fold in folds]

    def _blocks(self, coords: np.ndarray, samples: np.ndarray) -> np.ndarray:
        cell = np.empty((len(coords), 3), dtype=np.int64)
        cell[:, 0] = samples
        for sample in np.unique(samples):
            here = samples == sample
            cell[here, 1:] = np.floor((coords[here] - coords[here].min(axis=0)) / self.block)
        return np.unique(cell, axis=0, return_inverse=True)[1].ravel()

    def _without_buffer(self, fold: Fold, rows: SplitRows) -> Fold:
        if self.buffer == 0 or rows.coords is None:
            return fold
        keep = np.ones(len(fold.train), dtype=bool)
        for sample in np.unique(rows.samples[fold.test]):
            test = fold.test[rows.samples[fold.test] == sample]
            at = np.flatnonzero(rows.samples[fold.train] == sample)
            if len(at):
                distance, _ = cKDTree(rows.coords[test]).query(rows.coords[fold.train[at]])
                keep[at] = distance > self.buffer
        if not keep.any():
            raise InputError(
                f"no training observation is left outside the buffer of {self.buffer:g} µm.",
                allowed="a buffer that leaves training observations",
                remedy="pass a smaller buffer, larger blocks, or check microns_per_unit.",
            )
        return Fold(fold.number, fold.train[keep], fold.test, fold.train_groups[keep])


@dataclass(frozen=True)
class LeavePanelOut(_Base):
    """Hold out one gene panel after the other, with every patient measured on it.

    Parameters
    ----------
    panel_key
        Column of ``obs`` with the panel of every observation.
    """

    panel_key: str

    @property
    def extra_key(self) -> str:
        """The panel column."""
        return self.panel_key

    def split(self, rows: SplitRows, *, rng: np.random.Generator) -> list[Fold]:
        """Return one fold for every panel; patients of the test panel never train."""
        del rng  # the folds are given by the panels
        panels = np.unique(rows.extra) if rows.extra is not None else np.empty(0)
        if len(panels) < 2:
            raise InputError(
                f"one panel in obs[{self.panel_key!r}].",
                allowed="two panels or more",
                remedy="use PatientKFold instead.",
            )
        folds = []
        for number, panel in enumerate(panels):
            test = np.flatnonzero(rows.extra == panel)
            train = np.flatnonzero((rows.extra != panel) & ~np.isin(rows.patients, rows.patients[test]))
            if not len(train):
                raise InputError(
                    f"panel number {number} shares every patient with the other panels.",
                    allowed="patients that are measured on other panels only",
                    remedy="use PatientKFold instead.",
                )
            folds.append(Fold(number, train, test, rows.patients[train]))
        return folds


@dataclass(frozen=True)
class RandomKFold(_Base):
    """Deal single observations at random: neighbours of test spots train, so scores are inflated.

    It is here to show that leak (and to compare with published figures), never to judge a model; an audit calls it
    an error.

    Parameters
    ----------
    n_splits
        Number of folds.
    """

    n_splits: int = 5
    holds_out: ClassVar[HoldsOut] = "observation"

    def __post_init__(self) -> None:
        check_integer(self.n_splits, name="n_splits", least=2)

    def split(self, rows: SplitRows, *, rng: np.random.Generator) -> list[Fold]:
        """Return folds of random observations."""
        return _group_folds(np.arange(len(rows.patients)), self.n_splits, rng)


def _group_folds(groups: np.ndarray, n_splits: int, rng: np.random.Generator) -> list[Fold]:
    """Return folds of whole groups."""
    row_fold = deal_groups(groups, n_splits, rng)
    return [
        Fold(k, train := np.flatnonzero(row_fold != k), np.flatnonzero(row_fold == k), groups[train])
        for k in range(n_splits)
    ]


def _too_few(n: int, what: str, names: object, splitter: PatientKFold | SlideKFold) -> InputError:
    blocks = "use SpatialBlockKFold(block=..., buffer=...) (--split block)"
    single = f"{blocks}: with one of them nothing can be held out."
    fewer = f"pass {type(splitter).__name__}({n}) (--n-splits {n}), or {blocks}."
    return InputError(
        f"{n} {what} ({listed(list(names))}) for {splitter.n_splits} folds.",  # type: ignore[call-overload]
        allowed=f"at least as many {what} as folds",
        remedy=single if n < 2 else fewer,
    )
