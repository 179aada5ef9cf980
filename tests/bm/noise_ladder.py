"""Noise mixed step by step into what a model gives: a metric that judges models must fall with it.

Written anew beside `stfmkit.evaluation.degradations`, as an oracle that shares no code with it: plain mixing, without
stretching what was mixed to the spread that it had. So noise also makes a prediction flatter here, while there only its
order suffers, and a metric has to fall with both.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from stfmkit.bm.assemble import PooledTask, assemble
from stfmkit.bm.jobs import FinishedTask
from stfmkit.bm.model_contenders import from_registry, shared_inputs
from stfmkit.bm.score_table import metric_facts
from stfmkit.bm.stage import Stage
from stfmkit.evaluation.metric_keys import KEY, facts_of, keys_of, patient_values

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


def mixed(values, groups, share, rng):
    """Return values with a share of their own columns, permuted within groups, each column in its own way."""
    noise = values.copy()
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        noise[rows] = rng.permuted(values[rows], axis=0)
    return (1 - share) * values + share * noise


def ladder(task, study, *, model="hvg_pca", seeds=(0, 1)):
    """Return the mean of every metric with a direction (rows) at every share of noise (columns), higher is better."""
    hidden = {fold.number: task.hidden(study, fold) for fold in study.folds}
    stage = Stage(inputs=shared_inputs(study), n_obs=len(study.obs_names), data="")
    contender = from_registry(model, model, {}, study)
    samples = np.asarray(study.samples).astype(str)
    finished = []
    for fold in study.folds:
        truth = task.truth(study, fold, hidden[fold.number])
        output = stage.output(contender, fold, hidden[fold.number])
        predicted = task.predict(output, truth)
        for share in SHARES:
            for seed in seeds if share else seeds[:1]:
                rng = np.random.default_rng([seed, fold.number])
                if isinstance(predicted, np.ndarray):
                    noisy = mixed(predicted, samples[fold.test], share, rng)
                else:  # of labels: noise in the embedding
                    train = mixed(output.train, samples[fold.train], share, rng)
                    test = mixed(output.test, samples[fold.test], share, rng)
                    noisy = task.predict(replace(output, train=train, test=test), truth)
                scores = task.score(truth, noisy)
                label = f"{share} {seed}"
                finished.append(FinishedTask(label=label, task=task.name, fold=fold.number, scores=scores, seconds=0.0))
    pooled = PooledTask(task=task, truth=task.pooled_truth(study, hidden))
    table, _ = assemble(study, [pooled], finished, identity="")
    facts, rows = metric_facts(table, [task]), {}
    for key in keys_of(table):
        higher = facts_of(facts, key)["higher_is_better"]
        if higher is not None and key.scope != "cohort" and key.status == "scored":
            means = patient_values(table, task.name, key).mean(axis=1)
            by_share = means.groupby([float(label.split()[0]) for label in means.index]).mean()
            rows[key] = by_share if higher else -by_share
    return pd.DataFrame(rows).T.rename_axis(KEY)
