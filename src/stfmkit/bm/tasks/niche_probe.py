"""Task: predict the label of held-out observations by frozen probes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from stfmkit._core.random import stream
from stfmkit.bm.contenders import Output
from stfmkit.bm.study import Study
from stfmkit.bm.task import MetricKey, Scores, Task, Truth
from stfmkit.evaluation.controls import majority, noisy_labels, shuffled
from stfmkit.evaluation.degradations import NOISE, SMOOTHED, relabelled, smoothed_labels
from stfmkit.evaluation.label_ceilings import NO_COMMON_NAME, label_ceilings, right_labels
from stfmkit.evaluation.label_probes import knn_probe, linear_probe
from stfmkit.evaluation.labels import score_labels
from stfmkit.evaluation.scores import concat_scores, to_table
from stfmkit.splits.folds import Fold, inner_folds

SETTINGS = {"linear": "probe=linear", "knn": "probe=knn", "given": ""}
"""Columns of a prediction, and the setting of their scores: two probes of an embedding, or labels that were given."""
DEGRADATIONS = (*(f"noise={share}" for share in NOISE), *(f"smoothing={n}" for n in SMOOTHED))
"""What is done to predicted labels and clusters, to see whether a metric falls."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelTruth(Truth):
    """Labels in one fold.

    Attributes
    ----------
    names
        Names of the labels, in the order of their codes.
    codes
        Code of the label of every observation of the study (n_obs,), -1 where there is none.
    """

    names: np.ndarray
    codes: np.ndarray


class NicheProbe(Task):
    """Predict labels by probes on an embedding, or take labels as they are given; scored when all folds are there."""

    name = "niche_probe"
    title = "Niche probe"
    question = "A linear and a kNN probe, tuned inside training groups, predict labels of held-out observations."
    primary = MetricKey("macro_f1", "probe=linear", "sample")
    accepts = ("embedding", "labels")
    needs = ("label_key",)
    positive = "truth"
    negatives = ("shuffled", "mean", "coordinates")
    control_models = ("coordinates",)
    positive_note = "a probe on the labels themselves, with some noise"
    degraded_model = "hvg_pca"
    degradations = DEGRADATIONS

    def truth(self, study: Study, fold: Fold, hidden: np.ndarray) -> LabelTruth:
        """Return the labels."""
        del hidden
        return LabelTruth(
            study=study.without_counts(),
            fold=fold,
            names=study.labels.categories.to_numpy(dtype=str),  # type: ignore[union-attr]
            codes=study.labels.codes.astype(np.int64),  # type: ignore[union-attr]
        )

    def predict(self, output: Output, truth: LabelTruth) -> pd.DataFrame:
        """Return the codes of the labels predicted for the labelled test observations; -1 for a label unknown here."""
        train, test = (np.flatnonzero(truth.codes[rows] >= 0) for rows in (truth.fold.train, truth.fold.test))
        rows = truth.fold.test[test]
        if output.kind == "labels":
            place = {name: code for code, name in enumerate(truth.names.tolist())}
            return pd.DataFrame({"row": rows, "given": [place.get(name, -1) for name in output.test[test].tolist()]})
        if not len(rows):
            return pd.DataFrame({"row": rows, "linear": rows, "knn": rows})
        protocol, fold = truth.study.protocol, truth.fold
        known = truth.codes[fold.train[train]]
        rng = stream(protocol.rng, self.name, "inner", fold.number)
        inner = inner_folds(fold.train_groups[train], protocol.n_inner, rng)
        x, z = output.train[train].astype(np.float64), output.test[test].astype(np.float64)
        linear, _ = linear_probe(x, known, z, grid=protocol.linear_c, folds=inner)
        knn, _ = knn_probe(x, known, z, grid=protocol.n_neighbors, folds=inner)
        return pd.DataFrame({"row": rows, "linear": linear, "knn": knn})

    def score(self, truth: LabelTruth, prediction: pd.DataFrame) -> Scores:
        """Keep the prediction: a sample is scored as a whole, also where several folds test parts of it."""
        codes = truth.codes[prediction["row"]]
        guess = prediction["given" if "given" in prediction else "linear"].to_numpy(dtype=np.int64)
        shown = pd.DataFrame(
            {
                "row": prediction["row"],
                "truth": truth.names[codes],
                "predicted": np.append(truth.names, "")[guess],  # -1 is the last one
                "score": (codes == guess).astype(np.float64),
            }
        )
        return Scores(table=to_table(()), kept=prediction.assign(fold=truth.fold.number), observations=shown)

    def controls(self, truth: LabelTruth) -> Mapping[str, pd.DataFrame]:
        """Return predictions from noisy true labels, from labels permuted within samples, and the majority label."""
        study, fold, codes = truth.study, truth.fold, truth.codes
        rows = fold.test[codes[fold.test] >= 0]
        train = codes[fold.train]
        most = majority(train[train >= 0], len(rows))
        embeddings = {name: label_embedding(study, codes, name) for name in ("truth", "shuffled")}
        return {
            **{name: self.predict(as_output(values, fold), truth) for name, values in embeddings.items()},
            "mean": pd.DataFrame({"row": rows, "linear": most, "knn": most}),
        }

    def degrade(self, prediction: pd.DataFrame, truth: LabelTruth, how: str) -> pd.DataFrame:
        """Return predicted labels of which a share changed places, or the most frequent ones among neighbours."""
        return degraded_labels(prediction, truth, how)

    def perfect(self, truth: LabelTruth) -> pd.DataFrame:
        """Return the labels as the prediction of both probes."""
        rows = truth.fold.test[truth.codes[truth.fold.test] >= 0]
        return pd.DataFrame({"row": rows, "linear": truth.codes[rows], "knn": truth.codes[rows]})

    def pooled_ceiling(self, truth: Study) -> pd.DataFrame:
        """Return what two annotations, or draws of right labels, let a right prediction score."""
        opinions = other_labels(truth)
        if not opinions:
            return to_table(())
        own = _names_of(truth.labels)
        known = (own != "") & (opinions[0] != "")
        rows = np.concatenate([fold.test[known[fold.test]] for fold in truth.folds])
        folds = np.concatenate([np.full(int(known[fold.test].sum()), fold.number) for fold in truth.folds])
        where: dict[str, Any] = {
            "samples": np.asarray(truth.samples)[rows],
            "patients": np.asarray(truth.patients)[rows],
        }
        parts = []
        for setting in SETTINGS.values():
            tables = [score_labels(own[rows], other[rows], folds=folds, setting=setting, **where) for other in opinions]
            parts.append(label_ceilings(tables, ("macro_f1", "balanced_accuracy"), annotations=annotations_of(truth)))
        table = concat_scores(parts)
        if set(own[rows]) & set(opinions[0][rows]):
            return table
        return table.assign(value=np.nan, reason=NO_COMMON_NAME)

    def ceiling_words(self, study: Study) -> dict[str, str]:
        """Say what the ceiling of labels comes from."""
        return label_ceiling_words(study)

    def pooled_truth(self, study: Study, hidden: Mapping[int, np.ndarray]) -> Study:
        """Return the study, which has all labels."""
        del hidden
        return study

    def pooled(self, truth: Study, kept: pd.DataFrame) -> pd.DataFrame:
        """Return scores of every sample, over the out-of-fold predictions of all folds together."""
        rows = kept["row"].to_numpy(dtype=np.int64)
        where: dict[str, Any] = {
            "samples": np.asarray(truth.samples)[rows],
            "patients": np.asarray(truth.patients)[rows],
            "folds": kept["fold"].to_numpy(),
        }
        names = np.append(truth.labels.categories.to_numpy(dtype=str), "")  # type: ignore[union-attr]
        true = names[truth.labels.codes[rows]]  # type: ignore[union-attr]
        return concat_scores(
            score_labels(true, names[kept[column].to_numpy(dtype=np.int64)], setting=setting, **where)
            for column, setting in SETTINGS.items()
            if column in kept
        )


def other_labels(study: Study) -> list[np.ndarray]:
    """Return what else the labels may be (n_obs,), empty text where nothing is said; none where nothing is known.

    The second annotation, or draws of the right labels where a share of wrong ones was stated.
    """
    if study.second_labels is not None:
        return [_names_of(study.second_labels)]
    noise = study.protocol.label_noise
    if noise is None or study.labels is None:
        return []
    samples = np.asarray(study.samples).astype(str)
    return right_labels(_names_of(study.labels), samples, label_noise=noise, seed=study.protocol.rng)


def annotations_of(study: Study) -> int:
    """Return how many annotations with errors a ceiling comes from."""
    return 1 if study.second_labels is None else 2


def label_ceiling_words(study: Study) -> dict[str, str]:
    """Return how the report names the ceiling of labels, and what a reader must know of it."""
    noise = study.protocol.label_noise
    if noise is not None:
        note = f"attainable if {noise:.0%} of the labels are wrong (assumed)"
        remark = (
            f"The ceiling rests on an assumption: {noise:.0%} of the labels are wrong, at random. Annotators err at "
            "borders and in rare labels, which no such share tells."
        )
    else:
        note = "attainable, from what two annotations agree on"
        remark = (
            "The ceiling is the root of what two annotations agree on: what a right prediction scores if the errors of "
            "the two know nothing of each other. Annotators who err alike make it too high; a contender that learns "
            "the habits of the first annotator can pass it."
        )
    return {"ceiling_note": note, "ceiling_remark": f"{remark} control:truth knows the labels, and has no share."}


def _names_of(labels: pd.Categorical) -> np.ndarray:
    return np.append(labels.categories.to_numpy(dtype=str), "").astype(object)[labels.codes]


def degraded_labels(prediction: pd.DataFrame, truth: LabelTruth, how: str) -> pd.DataFrame:
    """Return a prediction in which all columns but the row are labels, made worse in one of the `DEGRADATIONS`."""
    study, rows = truth.study, prediction["row"].to_numpy(dtype=np.int64)
    if not len(rows):
        return prediction
    kind, _, amount = how.partition("=")
    samples, out = study.sample_codes[rows], prediction.copy()
    for name in (name for name in prediction if name != "row"):
        labels = prediction[name].to_numpy()
        if kind == "noise":
            rng = stream(study.protocol.rng, "degraded", kind, truth.fold.number)
            out[name] = relabelled(labels, samples, share=float(amount), rng=rng)
        else:
            out[name] = smoothed_labels(labels, study.coords[rows], samples, n_neighbors=int(amount))
    return out


def label_embedding(study: Study, codes: np.ndarray, control: str) -> np.ndarray:
    """Return noisy one-hot labels of all observations: the true ones, or those of the control "shuffled"."""
    rng = stream(study.protocol.rng, f"control:{control}")  # the same features in every fold
    known = codes.copy()
    if control == "shuffled":
        labelled = np.flatnonzero(codes >= 0)
        known[labelled] = shuffled(codes[labelled], study.sample_codes[labelled], rng=rng)
    return noisy_labels(known, rng=rng)


def as_output(values: np.ndarray, fold: Fold) -> Output:
    """Return the embedding of all observations as the output in one fold."""
    return Output(kind="embedding", train=values[fold.train], test=values[fold.test])


TASK = NicheProbe()
