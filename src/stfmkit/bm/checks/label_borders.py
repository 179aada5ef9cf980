"""Whether labels can be read off an embedding where they change in the tissue, which is where no honest one can tell.

Averages over neighbours know the midst of a region, and blur its border. Components of the counts know a border no
better than any other place. Columns that hold the labels know both.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from sklearn.feature_selection import f_classif
from sklearn.model_selection import GroupKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from stfmkit.bm.checks.held_out import predict_linearly
from stfmkit.bm.study import Study

_FOLDS, _VOTES, _NEAREST = 4, 15, 6
_GRID = 6
"""Squares along an axis of a section, which are held out where there is one patient."""
_TELLING = 16
"""Columns that a tree looks at, those that differ most between labels: one of them can be a code of the label."""
_LEAST, _FEWER = 30, 10
"""Observations at borders, and errors fewer than those of components, from which anything is said."""
_WRONG, _SHARE = 0.15, 0.25
"""Share of wrong labels at borders up to which labels are held to be in the columns, and its share of that of 30
components of the same counts. On her2st, DLPFC, STARmap, MERFISH and synthetic cohorts, components and averages over
neighbours have .36 or more of it where components have .02 or more; labels with noise of SD .25 have .20 at most."""
_EXACT, _UNLIKE = 0.01, 0.1
"""Share of wrong labels up to which they are read off exactly, and that of components from which this is no wonder of
clear cell types."""


@dataclass(frozen=True)
class Mistakes:
    """Wrong labels of held-out patients, by the best of a linear classifier, nearest neighbours and a tree.

    Attributes
    ----------
    border
        Their share among observations half of whose six nearest have another label.
    n_border
        How many observations that are.
    """

    border: float
    n_border: int


def mistakes(study: Study, rows: np.ndarray, values: np.ndarray) -> Mistakes | None:
    """Return the wrong labels from the embedding (n, d) of some rows; None where too few lie at a border."""
    if study.labels is None or not values.std(axis=0).any():
        return None
    codes = study.labels.codes.astype(np.int64)
    border = _at_border(study, codes)[rows]
    known = codes[rows] >= 0
    rows, values, border = rows[known], values[known], border[known]
    label, groups = codes[rows], _held_out_together(study, rows)
    if border.sum() < _LEAST or len(np.unique(groups)) < 2:
        return None
    scaled = values - values.mean(axis=0)
    scaled = scaled[:, scaled.std(axis=0) > 0] / scaled[:, scaled.std(axis=0) > 0].std(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):  # a column that is the label has no variance within labels
        apart = np.abs(f_classif(scaled, label)[0])  # rounding can leave less than none
    telling = np.argsort(-np.nan_to_num(apart, nan=0), kind="stable")[:_TELLING]
    given = np.full((3, len(rows)), -1)
    learnt = np.zeros(len(rows), dtype=bool)  # nobody can know a label that no other patient has
    for train, test in GroupKFold(min(_FOLDS, len(np.unique(groups)))).split(scaled, groups=groups):
        learnt[test] = np.isin(label[test], label[train])
        if len(np.unique(label[train])) < 2:
            continue
        neighbours = KNeighborsClassifier(min(_VOTES, len(train))).fit(scaled[train], label[train])
        tree = DecisionTreeClassifier(max_leaf_nodes=8 * (int(label.max()) + 1), min_samples_leaf=5, random_state=0)
        given[0, test] = _linear(scaled[train], label[train], scaled[test])
        given[1, test] = neighbours.predict(scaled[test])
        given[2, test] = tree.fit(scaled[train][:, telling], label[train]).predict(scaled[test][:, telling])
    asked = learnt & border
    if asked.sum() < _LEAST:
        return None
    return Mistakes(border=float((given[:, asked] != label[asked]).mean(axis=1).min()), n_border=int(asked.sum()))


def stand_in(found: Mistakes | None, base: Mistakes | None) -> bool:
    """Tell whether labels stand in an embedding, from its mistakes and those of components."""
    if found is None or base is None:
        return False
    fewer = (base.border - found.border) * found.n_border
    return found.border <= min(_WRONG, _SHARE * base.border) and fewer >= _FEWER


def stand_there_exactly(found: Mistakes | None, base: Mistakes | None) -> bool:
    """Tell whether labels can be read off without a mistake that counts, while components make some."""
    if found is None or base is None:
        return False
    return stand_in(found, base) and found.border <= _EXACT and base.border >= _UNLIKE


def _at_border(study: Study, codes: np.ndarray) -> np.ndarray:
    """Tell for every observation whether half of its nearest or more have another label."""
    border = np.zeros(len(codes), dtype=bool)
    for sample in np.unique(study.sample_codes):
        here = np.flatnonzero((study.sample_codes == sample) & (codes >= 0))
        if len(here) > _NEAREST:
            near = cKDTree(study.coords[here]).query(study.coords[here], k=_NEAREST + 1)[1][:, 1:]
            border[here] = (codes[here][near] != codes[here][:, None]).mean(axis=1) >= 0.5
    return border


def _held_out_together(study: Study, rows: np.ndarray) -> np.ndarray:
    """Return the patient of every row; where there is one, a square of its section."""
    patients = study.patient_codes[rows]
    if len(np.unique(patients)) > 1:
        return patients
    squares = np.zeros(len(rows), dtype=np.int64)
    for sample in np.unique(study.sample_codes[rows]):
        here = np.flatnonzero(study.sample_codes[rows] == sample)
        coords = study.coords[rows[here]][:, :2]
        along = (coords - coords.min(axis=0)) / np.maximum(np.ptp(coords, axis=0), 1e-12)
        square = np.minimum((along * _GRID).astype(np.int64), _GRID - 1)
        squares[here] = (sample * _GRID + square[:, 0]) * _GRID + square[:, 1]
    return squares


def _linear(train: np.ndarray, label: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Return the label of every test row whose indicator a ridge regression predicts highest."""
    names = np.unique(label)
    indicators = (label[:, None] == names).astype(np.float64)
    return np.asarray(names[predict_linearly(train, indicators, test).argmax(axis=1)])
