"""Ceilings of the scores of a prediction: what halves of the counts agree on, in every sample and in training."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit._kernels._normalize import size_factor_log1p
from stfmkit.evaluation.expression import reliability_ceilings
from stfmkit.evaluation.reliability import Reliability, half_agreement, training_reliability
from stfmkit.evaluation.samples import sample_rows
from stfmkit.evaluation.scores import concat_scores
from stfmkit.tl._expression_blocks import SamplePart
from stfmkit.tl._expression_study import Study


def ceilings_of_parts(
    study: Study, parts: Sequence[SamplePart], *, train: np.ndarray | None, seed: int
) -> list[pd.DataFrame]:
    """Return the ceilings of every part; no rows where there are no counts.

    Parameters
    ----------
    train
        Which observations were trained on (n_obs,). Without them they are those that other folds test, or, where no
        folds are known, those of other patients.
    seed
        Of the thinning.
    """
    measured = study.measured
    if not measured.counted:
        return [concat_scores([]) for _ in parts]
    counts = sparse.csr_array(measured.matrix)[:, study.prediction.columns]
    names = np.asarray(study.samples).astype(str)
    training = {_key(study, part, train): _training_rows(study, part, train) for part in parts}
    groups = {f"part\n{i}": part.rows for i, part in enumerate(parts)}
    for key, rows in training.items():
        own = sample_rows(names[rows], names[rows], min_obs=study.min_obs)
        groups |= {f"{key}\n{sample}": rows[inside] for sample, _, inside in own}
    found = half_agreement(
        counts, groups, scaled=lambda half: _on_scale(study, half), seed=seed, names=("reliability",)
    )
    sizes = {name: len(rows) for name, rows in groups.items()}
    reliable = {
        key: training_reliability({n: found[n] for n in groups if n.rpartition("\n")[0] == key}, sizes)
        for key in training
    }
    tables = []
    for i, part in enumerate(parts):
        sample, at, known = names[part.rows[0]], part.genes, reliable[_key(study, part, train)]
        one = Reliability(agreement={sample: found[f"part\n{i}"][at]}, train=None if known is None else known[at])
        patient = str(study.patients[part.rows[0]])
        genes = study.prediction.genes[at]
        tables.append(reliability_ceilings(one, genes, len(part.rows), sample=sample, patient=patient, fold=part.fold))
    return tables


def _key(study: Study, part: SamplePart, train: np.ndarray | None) -> str:
    """Return the name of the training observations of a part."""
    if train is not None:
        return "train"
    return f"fold {part.fold}" if part.fold >= 0 else f"patient {study.patients[part.rows[0]]}"


def _training_rows(study: Study, part: SamplePart, train: np.ndarray | None) -> np.ndarray:
    if train is not None:
        return np.flatnonzero(train)
    if part.fold >= 0:
        return np.flatnonzero(study.scored & (study.folds != part.fold))
    patients = study.patients.codes
    return np.flatnonzero(study.scored & (patients != patients[part.rows[0]]))


def _on_scale(study: Study, half: sparse.csr_array) -> sparse.csr_array:
    """Return half of the counts of all observations on the scale of the prediction."""
    measured = study.measured
    if measured.scale == "size_factor_log1p" and measured.depth is not None:
        return size_factor_log1p(half, depth=measured.depth / 2, target=study.size_targets)
    values = half.astype(np.float64)
    return sparse.csr_array(np.log1p(values)) if measured.scale == "log1p" else sparse.csr_array(values)
