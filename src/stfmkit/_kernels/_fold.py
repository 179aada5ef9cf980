"""One fold of a split, as row numbers."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Fold:
    """Training and test rows of one fold.

    Attributes
    ----------
    number
        Counts from 0.
    train
        Rows that may be fitted on.
    test
        Rows that are predicted. Rows in neither lie in a buffer.
    train_groups
        The group (patient, slide, block …) of every training row, for inner folds that keep groups whole.
    """

    number: int
    train: np.ndarray
    test: np.ndarray
    train_groups: np.ndarray
