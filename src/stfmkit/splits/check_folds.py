"""Hold the folds of a splitter to what every splitter promises."""

import operator
from collections.abc import Sequence

import numpy as np

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError
from stfmkit.splits.folds import Fold
from stfmkit.splits.splitters import SplitRows, Splitter


def make_folds(splitter: Splitter, rows: SplitRows, *, rng: np.random.Generator) -> list[Fold]:
    """Return the folds of a splitter, or say which promise they break.

    There is one fold or more, numbered 0, 1, …; every fold trains on some rows and tests others, each row once; no row
    is tested in two folds; and the unit that the splitter holds out (patient, slide) is never on both sides.

    Raises
    ------
    InputError
        A promise is broken; the text names the splitter.
    """
    found = splitter.split(rows, rng=rng)
    name = type(splitter).__name__
    if not isinstance(found, (list, tuple)) or not all(isinstance(fold, Fold) for fold in found):
        kinds = f"{type(found).__name__}" if not isinstance(found, (list, tuple)) else listed({type(f) for f in found})
        raise _broken(name, f"returns {kinds}", "a list of stfmkit.splits.folds.Fold")
    if not found:
        raise _broken(name, "returns no fold", "one fold or more")
    folds = [_checked(fold, name, n_obs=len(rows.patients)) for fold in found]
    numbers = [fold.number for fold in folds]
    if numbers != list(range(len(folds))):
        raise _broken(name, f"numbers its folds {listed(numbers, most=6)}", "the numbers 0, 1, … in order")
    tested = np.bincount(np.concatenate([fold.test for fold in folds]), minlength=len(rows.patients))
    if (tested > 1).any():
        raise _broken(name, f"tests {int((tested > 1).sum())} rows in more than one fold", "every row at most once")
    units = {"patient": rows.patients, "slide": rows.samples}.get(splitter.holds_out)
    if units is not None:
        _check_units(folds, units, name=name, unit=splitter.holds_out)
    return folds


def _checked(fold: Fold, name: str, *, n_obs: int) -> Fold:
    """Return a fold with rows as integers, each side in range, not empty, and without repetitions."""
    try:
        number = operator.index(fold.number)
    except TypeError:
        raise _broken(name, f"has a fold with number={fold.number!r}", "the numbers 0, 1, … in order") from None
    sides = {}
    for side in ("train", "test"):
        rows = np.asarray(getattr(fold, side))
        where = f"fold {number}, {side}"
        if rows.ndim != 1 or rows.dtype.kind not in "iu" or not len(rows):
            raise _broken(
                name,
                f"gives {where}: an array of shape {rows.shape} and dtype {rows.dtype}",
                "row numbers, one or more",
            )
        if rows.min() < 0 or rows.max() >= n_obs:
            raise _broken(name, f"gives {where}: rows {rows.min()} to {rows.max()}", f"rows 0 to {n_obs - 1}")
        if len(np.unique(rows)) < len(rows):
            raise _broken(name, f"gives {where}: rows that occur twice", "every row once")
        sides[side] = rows.astype(np.int64)
    both = np.intersect1d(sides["train"], sides["test"])
    if len(both):
        raise _broken(name, f"trains and tests {len(both)} rows in fold {number}", "training and test apart")
    groups = np.asarray(fold.train_groups)
    if groups.shape != sides["train"].shape:
        raise _broken(name, f"gives fold {number}: train_groups of shape {groups.shape}", "one group per training row")
    return Fold(number, sides["train"], sides["test"], groups)


def _check_units(folds: Sequence[Fold], units: np.ndarray, *, name: str, unit: str) -> None:
    for fold in folds:
        both = np.intersect1d(units[fold.train], units[fold.test])
        if len(both):
            raise _broken(
                name,
                f"says holds_out={unit!r}, and {len(both)} of them are in training and test of fold {fold.number}",
                f"every {unit} on one side",
            )


def _broken(name: str, found: str, allowed: str) -> InputError:
    return InputError(
        f"the splitter {name!r} {found}.",
        allowed=allowed,
        remedy="correct its split(rows, rng=), or use sk.pp.PatientKFold; docs/extensibility.md has an example.",
    )
