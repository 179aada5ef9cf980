"""Target genes: what three tasks ask contenders to predict, chosen and scaled on training observations only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError
from stfmkit._core.random import stream
from stfmkit._kernels._neighbors import neighbor_graph
from stfmkit._kernels._normalize import median_total
from stfmkit.bm.contenders import Kind, Output
from stfmkit.bm.finding import Finding
from stfmkit.bm.study import Study
from stfmkit.bm.task import Task, Truth
from stfmkit.evaluation.coexpression import latent_truths
from stfmkit.evaluation.controls import shuffled, training_mean
from stfmkit.evaluation.degradations import NOISE, PERMUTED, SMOOTHED, mixed_with_noise, permuted_genes, smoothed
from stfmkit.evaluation.expression import ExpressionTruth
from stfmkit.evaluation.molecules import Molecules
from stfmkit.evaluation.reliability import Reliability, half_agreement, training_reliability
from stfmkit.evaluation.ridge_probe import ridge_probe
from stfmkit.evaluation.samples import sample_rows
from stfmkit.pp._selectors import rank_genes
from stfmkit.splits.folds import Fold, inner_folds

_LEAST = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class TargetTruth(Truth):
    """True expression of the target genes in one fold.

    Attributes
    ----------
    targets
        Positions of the target genes among all genes, rising.
    train
        True expression of training observations on the scale of the protocol (n_train, n_targets).
    test
        The same of test observations, with what scores read beside it.
    train_molecules, train_samples
        Counts of the target genes in training, and the sample of every training observation (n_train,).
    """

    targets: np.ndarray
    train: np.ndarray
    test: ExpressionTruth
    train_molecules: Molecules
    train_samples: np.ndarray

    @cached_property
    def latent(self) -> dict[str, np.ndarray]:
        """Correlations of the target genes without the noise of counting (n_targets, n_targets), by test sample.

        Molecules are halved in the order of the study, so that the order of the test rows makes no difference.
        """
        own, order = self.test, np.argsort(self.fold.test)
        sorted_truth = replace(
            own,
            samples=own.samples[order],
            patients=own.patients[order],
            molecules=None if own.molecules is None else own.molecules.of(order),
        )
        return latent_truths(sorted_truth, seed=self.study.protocol.rng)


def choose_targets(study: Study, fold: Fold) -> np.ndarray:
    """Return the positions of the target genes of a fold, sorted; chosen on its training observations only."""
    protocol = study.protocol
    if protocol.target_genes is not None:
        return np.sort(study.genes.get_indexer(list(protocol.target_genes)))
    most = min(protocol.n_target_genes, len(study.genes) // 2)
    chosen = rank_genes(
        protocol.selector,
        counts=study.counts[fold.train],
        coords=study.coords[fold.train],
        samples=study.sample_codes[fold.train],
        patients=study.patient_codes[fold.train],
        n_genes=most,
        rng=stream(protocol.rng, "targets", fold.number),
        genes=study.genes.to_numpy(dtype=str),
    )
    if len(chosen) < _LEAST:
        raise InputError(
            f"{len(chosen)} genes that {protocol.selector!r} selects on the training part of fold {fold.number}.",
            allowed=f"{_LEAST} target genes or more",
            remedy="pass Protocol(target_genes=[...]) or another selector; the data may be too sparse.",
        )
    return np.sort(chosen[:most])


def target_truth(study: Study, fold: Fold, targets: np.ndarray) -> TargetTruth:
    """Return the targets of a fold on the scale of the protocol; scaled by the median library size in training."""
    protocol = study.protocol
    median = median_total(study.depth[fold.train])
    train, test = study.counts[fold.train][:, targets], study.counts[fold.test][:, targets]
    depth = study.depth[fold.test]
    how: dict[str, Any] = {"target_sum": median, "scale": protocol.scale}
    molecules = Molecules(counts=sparse.csr_array(test), library_size=depth, **how)
    train_molecules = Molecules(counts=sparse.csr_array(train), library_size=study.depth[fold.train], **how)
    first, second = molecules.halves(stream(protocol.rng, "thinning", fold.number))
    values = train_molecules.scaled().toarray()
    samples, train_samples = (np.asarray(study.samples)[rows].astype(str) for rows in (fold.test, fold.train))

    def agreement(whole: Molecules, names: np.ndarray, part: str) -> dict[str, np.ndarray]:
        return half_agreement(
            whole.counts,
            {s.sample: s.rows for s in sample_rows(names, names, min_obs=protocol.min_obs)},
            scaled=lambda half: replace(whole, counts=half, library_size=whole.library_size / 2).scaled(),
            seed=protocol.rng,
            names=("reliability", part, fold.number),
        )

    n_obs = dict(zip(*np.unique(train_samples, return_counts=True), strict=True))
    return TargetTruth(
        study=study.without_counts(),
        fold=fold,
        targets=targets,
        train=values,
        test=ExpressionTruth(
            expression=molecules.scaled().toarray(),
            genes=study.genes[targets].to_numpy(dtype=str),
            samples=samples,
            patients=np.asarray(study.patients)[fold.test].astype(str),
            scale=protocol.scale,
            graph=neighbor_graph(study.coords[fold.test], samples),
            train_mean=values.mean(axis=0),
            log_depth=np.log1p(depth),
            halves=(first.scaled().toarray(), second.scaled().toarray()),
            molecules=molecules,
            reliability=Reliability(
                agreement=agreement(molecules, samples, "test"),
                train=training_reliability(agreement(train_molecules, train_samples, "train"), n_obs),
            ),
            min_obs=protocol.min_obs,
            fold=fold.number,
        ),
        train_molecules=train_molecules,
        train_samples=train_samples,
    )


class TargetTask(Task):
    """What the tasks on target genes share: contenders never see these genes; a ridge predicts them from an embedding.

    One alpha for all genes is chosen by inner folds that keep patients whole. Predicted expression is taken as it is.
    """

    accepts: ClassVar[tuple[Kind, ...]] = ("embedding", "expression")
    positive: ClassVar[str] = "thinned"
    negatives: ClassVar[tuple[str, ...]] = ("mean", "shuffled", "coordinates")
    control_models: ClassVar[tuple[str, ...]] = ("coordinates",)
    degraded_model: ClassVar[str] = "hvg_pca"
    degradations: ClassVar[tuple[str, ...]] = (
        *(f"noise={share}" for share in NOISE),
        *(f"genes={share}" for share in PERMUTED),
        *(f"smoothing={n}" for n in SMOOTHED),
    )
    shares: ClassVar[str] = "target genes"
    positive_note: ClassVar[str] = "it holds half of the molecules that it is judged by; no prediction can reach it"
    ceiling_remark: ClassVar[str] = (
        "The ceiling is an upper bound: thinning sees the noise of counting only, and any other noise lowers what can "
        "be reached. control:thinned holds molecules that it is judged by, and so has no share."
    )

    def hidden(self, study: Study, fold: Fold) -> np.ndarray:
        """Return the positions of the target genes."""
        return choose_targets(study, fold)

    def truth(self, study: Study, fold: Fold, hidden: np.ndarray) -> TargetTruth:
        """Return the true expression of the target genes."""
        return target_truth(study, fold, hidden)

    def predict(self, output: Output, truth: TargetTruth) -> np.ndarray:
        """Return the predicted expression of the target genes (n_test, n_targets)."""
        if output.kind == "expression":
            place = {gene: i for i, gene in enumerate(output.columns)}
            genes = truth.test.genes.tolist()
            missing = [gene for gene in genes if gene not in place]
            if missing:
                raise InputError(
                    f"a method that predicts expression, but not of {len(missing)} of {len(genes)} target genes, such "
                    f"as {listed(missing, most=3)}.",
                    allowed="predictions of every target gene; the reference of the method has them, its data do not",
                    remedy="predict all genes of the reference, or name the genes: Protocol(target_genes=[...]).",
                )
            return output.test[:, [place[gene] for gene in genes]].astype(np.float64)
        protocol, fold = truth.study.protocol, truth.fold
        rng = stream(protocol.rng, "expression", "inner", fold.number)
        predicted, _ = ridge_probe(
            output.train.astype(np.float64),
            truth.train,
            output.test.astype(np.float64),
            grid=protocol.ridge_alpha,
            folds=inner_folds(fold.train_groups, protocol.n_inner, rng),
            max_components=protocol.max_components,
        )
        return predicted

    def controls(self, truth: TargetTruth) -> Mapping[str, np.ndarray]:
        """Return half of the molecules, the training mean, and the truth with every gene permuted within samples."""
        study, fold = truth.study, truth.fold
        rng = stream(study.protocol.rng, "control:shuffled", fold.number)
        values = truth.test.expression
        return {
            "thinned": values if truth.test.halves is None else truth.test.halves[0],
            "mean": training_mean(truth.train, len(values)),
            "shuffled": shuffled(values, study.sample_codes[fold.test], rng=rng),
        }

    def degrade(self, prediction: Any, truth: TargetTruth, how: str) -> Any:
        """Return predicted expression mixed with noise, with genes exchanged, or averaged over neighbours."""
        study, test = truth.study, truth.fold.test
        kind, _, amount = how.partition("=")
        rng = stream(study.protocol.rng, "degraded", kind, truth.fold.number)
        samples = study.sample_codes[test]
        if kind == "noise":
            return mixed_with_noise(prediction, samples, share=float(amount), rng=rng)
        if kind == "genes":
            return permuted_genes(prediction, share=float(amount), rng=rng)
        return smoothed(prediction, study.coords[test], samples, n_neighbors=int(amount))

    def perfect(self, truth: TargetTruth) -> Any:
        """Return the measured expression."""
        return truth.test.expression

    def facts(self, truth: TargetTruth) -> dict[str, Any]:
        """Return the names of the target genes, and of those without signal in training, which have no ceiling."""
        known, genes = truth.test.reliability, truth.test.genes
        silent = genes[:0] if known is None else genes[~known.has_signal(len(genes))]
        return {"target_genes": genes.tolist(), "genes_without_signal": silent.tolist()}

    def findings(self, study: Study, hidden: Mapping[int, np.ndarray], pooled_truth: Any) -> Iterator[Finding]:
        """Say where fewer genes were chosen than were asked for."""
        del pooled_truth
        sizes = [len(targets) for targets in hidden.values()]
        wanted = study.protocol.n_target_genes if study.protocol.target_genes is None else 0
        if sizes and min(sizes) < wanted:
            yield Finding(
                severity="info",
                check="fewer target genes",
                evidence=f"{min(sizes)} to {max(sizes)} target genes in a fold instead of {wanted}.",
                remedy="the selector and the size of the panel allow no more; see Protocol(selector=...).",
            )
