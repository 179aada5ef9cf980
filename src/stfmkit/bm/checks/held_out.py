"""How much of something ridge regression predicts in observations, or patients, that it has not seen."""

import numpy as np
from sklearn.model_selection import GroupKFold, KFold

_FOLDS = 4


def explained(values: np.ndarray, target: np.ndarray, groups: np.ndarray | None, *, seed: int) -> float | None:
    """Return R² of ridge predictions of held-out rows; of held-out groups where there are several."""
    if len(values) < 10 * _FOLDS or not target.std(axis=0).any() or values.shape[1] == 0:
        return None
    n_groups = 1 if groups is None else len(np.unique(groups))
    if n_groups > 1:
        folds = GroupKFold(min(_FOLDS, n_groups)).split(values, groups=groups)
    else:
        folds = KFold(_FOLDS, shuffle=True, random_state=seed).split(values)
    left, whole = 0.0, 0.0
    for train, test in folds:
        predicted = predict_linearly(values[train], target[train], values[test])
        left += float(((target[test] - predicted) ** 2).sum())
        whole += float(((target[test] - target[train].mean(axis=0)) ** 2).sum())
    return 1 - left / whole if whole > 0 else None


def predict_linearly(train: np.ndarray, target: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Return what ridge regression with a slight penalty predicts for test rows."""
    center, mean = train.mean(axis=0), target.mean(axis=0)
    gram = (train - center).T @ (train - center)
    gram[np.diag_indices_from(gram)] += 1e-6 * len(train)
    weights = np.linalg.solve(gram, (train - center).T @ (target - mean))
    return np.asarray(mean + (test - center) @ weights)
