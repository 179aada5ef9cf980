"""What an embedding from elsewhere holds: labels, target genes, patients, coordinates, neighbours, all observations."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from stfmkit._core.random import int_seed, stream
from stfmkit.bm.checks.expression_space import expression_space
from stfmkit.bm.checks.held_out import explained
from stfmkit.bm.checks.label_borders import Mistakes, mistakes, stand_in, stand_there_exactly
from stfmkit.bm.checks.reach import torn_samples
from stfmkit.bm.checks.seen_targets import targets_in_columns
from stfmkit.bm.contenders import Contender, GivenContender
from stfmkit.bm.finding import Finding, Row, by_severity
from stfmkit.bm.study import Study

_ROWS = 4000
_LABELS, _SURELY, _COORDS, _PATIENTS = 0.9, 0.98, 0.99, 0.9995
_LEFT = 1 / 3
"""R² from which something is written into an embedding, and the share of what 30 components of the same counts leave
open that it may leave. On her2st, DLPFC, STARmap and MERFISH components reach .56 for labels of held-out patients, .96
for patients and .57 for coordinates; averages over neighbours .70, .997 and .974; columns that hold them .90 to 1, 1
and 1."""
_SMOOTH, _SMOOTHER = 0.8, 0.3
"""Share of an embedding that its neighbours explain, and its lead over components: averages over neighbours have .84 to
.99, components .14 at most."""
_NEAREST = 6
_EXACT = 1e-3
_LEADING = 8
"""Columns, those of the largest variance, whose means and correlations are looked at."""


@dataclass(frozen=True)
class Holds:
    """R² of what can be read off an embedding linearly; None where it cannot be asked.

    Attributes
    ----------
    labels
        Labels of held-out patients (of held-out observations where there is one patient).
    patients
        Patients of held-out observations.
    coords
        Coordinates of held-out observations within samples.
    neighbours
        The embedding itself, from the mean of the nearest neighbours in the tissue.
    """

    labels: float | None
    patients: float | None
    coords: float | None
    neighbours: float


def what_it_holds(study: Study, contender: Contender) -> Iterator[Finding]:
    """Find in an embedding what components of the same counts do not hold."""
    if not isinstance(contender, GivenContender) or contender.kind != "embedding":
        return
    rng = stream(study.protocol.rng, "audit", "embedding")
    rows = np.sort(rng.choice(len(study.depth), min(_ROWS, len(study.depth)), replace=False))
    values = contender.values[rows].astype(np.float64)
    components = expression_space(study.counts[rows], n_components=30).values
    found, base = measured(study, rows, values), measured(study, rows, components)
    table = _table(found, base)
    by_line = list(_labels(contender, found, base, table))
    by_class = list(_classified(contender, mistakes(study, rows, values), mistakes(study, rows, components)))
    yield from by_severity([*by_line, *by_class])[:1]
    yield from targets_in_columns(study, contender, rows, values)
    if _written(found.patients, base.patients, _PATIENTS):
        yield _finding(contender, "patients", "the patient", r2=(found.patients, base.patients), table=table)
    coords = _written(found.coords, base.coords, _COORDS)
    if coords:
        yield _finding(contender, "coordinates", "the coordinates", r2=(found.coords, base.coords), table=table)
    elif torn_samples(study) and found.neighbours >= max(_SMOOTH, base.neighbours + _SMOOTHER):
        yield Finding(
            severity="warning",
            check="embedding smoothed across the split",
            evidence=f"the mean of the {_NEAREST} nearest neighbours explains {found.neighbours:.2f} of the variance "
            f"of {contender.label!r} ({base.neighbours:.2f} of components of the same counts), and samples lie on both "
            "sides of the split: training observations may hold what test observations measured.",
            remedy="embed training and test apart (pass the model), or hold out patients.",
            columns=_COLUMNS,
            rows=table,
        )
    yield from _fitted(study, contender)


def measured(study: Study, rows: np.ndarray, values: np.ndarray) -> Holds:
    """Return what can be read off the embedding (n, d) of some observations."""
    scaled = values - values.mean(axis=0)
    scaled = scaled[:, scaled.std(axis=0) > 0] / scaled[:, scaled.std(axis=0) > 0].std(axis=0)
    seed = int_seed(stream(study.protocol.rng, "audit", "folds"))
    patients, samples = study.patient_codes[rows], study.sample_codes[rows]
    labels = None
    if study.labels is not None:
        known = np.flatnonzero(study.labels.codes[rows] >= 0)
        labels = explained(scaled[known], _one_hot(study.labels.codes[rows][known]), patients[known], seed=seed)
    several = len(np.unique(patients)) > 1
    coords = study.coords[rows].astype(np.float64)
    for sample in np.unique(samples):
        here = samples == sample
        coords[here] = (coords[here] - coords[here].mean(axis=0)) / np.maximum(coords[here].std(axis=0), 1e-12)
    within = [explained(scaled[samples == s], coords[samples == s], None, seed=seed) for s in np.unique(samples)]
    asked = [r2 for r2 in within if r2 is not None]
    return Holds(
        labels=labels,
        patients=explained(scaled, _one_hot(patients), None, seed=seed) if several else None,
        coords=float(np.mean(asked)) if asked else None,
        neighbours=_from_neighbours(scaled, study.coords[rows], samples),
    )


_COLUMNS = ("read off linearly", "R² here", "R² of 30 components of the counts")


def _table(found: Holds, base: Holds) -> tuple[Row, ...]:
    names = {"labels": "labels", "patients": "patients", "coords": "coordinates", "neighbours": "itself, by neighbours"}
    pairs = [(text, getattr(found, name), getattr(base, name)) for name, text in names.items()]
    return tuple((text, round(a, 3), round(b, 3)) for text, a, b in pairs if a is not None and b is not None)


def _written(found: float | None, base: float | None, least: float) -> bool:
    return found is not None and base is not None and found >= least and 1 - found <= _LEFT * (1 - base)


def _labels(contender: Contender, found: Holds, base: Holds, table: tuple[Row, ...]) -> Iterator[Finding]:
    if _written(found.labels, base.labels, _LABELS):
        finding = _finding(contender, "labels", "the label", r2=(found.labels, base.labels), table=table)
        sure = found.labels is not None and found.labels >= _SURELY
        yield Finding(**{**vars(finding), "severity": "error" if sure else "warning"})


def _classified(contender: Contender, found: Mistakes | None, base: Mistakes | None) -> Iterator[Finding]:
    if found is not None and base is not None and stand_in(found, base):
        yield Finding(
            severity="error" if stand_there_exactly(found, base) else "warning",
            check="labels in the embedding",
            evidence=f"where labels change in the tissue, {found.border:.1%} of {found.n_border} labels of held-out "
            f"observations are read wrong off {contender.label!r} ({base.border:.1%} off 30 components of the same "
            "counts): labels stand in the columns.",
            remedy="compute the embedding without the label, or pass the model itself.",
            columns=("read off", "wrong here", "wrong, 30 components of the counts"),
            rows=(("labels at borders", round(found.border, 4), round(base.border, 4)),),
        )


def _finding(
    contender: Contender, name: str, what: str, *, r2: tuple[float | None, float | None], table: tuple[Row, ...]
) -> Finding:
    found, base = r2
    return Finding(
        severity="warning",
        check=f"{name} in the embedding",
        evidence=f"{what} can be read off {contender.label!r} linearly, R² {found or 0:.3f} on held-out observations "
        f"({base or 0:.3f} from 30 components of the same counts): it stands in the columns.",
        remedy="compute the embedding without it, or pass the model itself.",
        columns=_COLUMNS,
        rows=table,
    )


def _fitted(study: Study, contender: GivenContender) -> Iterator[Finding]:
    """Find what only arithmetic over all observations, or over all of a patient, leaves behind."""
    values = contender.values.astype(np.float64)
    spread = values.std(axis=0)
    leading = np.argsort(-spread, kind="stable")[:_LEADING]
    leading = leading[spread[leading] > 0]
    if contender.n_obs_fitted or len(leading) < _LEADING:
        return
    values = values[:, leading] / spread[leading]
    by_chance = 1 / np.sqrt(len(values))
    centred = np.abs(values.mean(axis=0)).max() < min(_EXACT, 0.05 * by_chance)
    together = np.abs(np.corrcoef(values.T) - np.eye(len(leading))).max() < 0.25 * by_chance
    means = [values[study.patient_codes == code].mean(axis=0) for code in np.unique(study.patient_codes)]
    by_patient = len(means) > 1 and np.abs(means).max() < min(_EXACT, 0.05 * by_chance)
    if (centred and together) or by_patient:
        yield Finding(
            severity="warning" if together else "info",
            check="fitted on test observations" if together else "centred by patient",
            evidence=f"columns of {contender.label!r} have a mean of 0 "
            + ("within every patient" if by_patient else "over all observations")
            + (", and no correlation over all observations: components that were fitted on test observations, too."
               if together else ": test patients were centred by themselves."),
            remedy="pass the model itself, or fit on training observations of every fold.",
        )  # fmt: skip


def _one_hot(codes: np.ndarray) -> np.ndarray:
    return (codes[:, None] == np.unique(codes)[None, :]).astype(np.float64)


def _from_neighbours(values: np.ndarray, coords: np.ndarray, samples: np.ndarray) -> float:
    left, whole = 0.0, 0.0
    for sample in np.unique(samples):
        here = np.flatnonzero(samples == sample)
        if len(here) > _NEAREST + 1:
            near = cKDTree(coords[here]).query(coords[here], k=_NEAREST + 1)[1][:, 1:]
            own = values[here]
            left += float(((own - own[near].mean(axis=1)) ** 2).sum())
            whole += float(((own - own.mean(axis=0)) ** 2).sum())
    return 1 - left / whole if whole > 0 else 0.0
