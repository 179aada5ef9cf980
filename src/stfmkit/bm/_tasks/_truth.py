"""What one fold asks models to predict: target genes, chosen and scaled on training observations only."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from stfmkit._core.errors import InputError
from stfmkit._core.random import stream
from stfmkit._kernels._neighbors import knn_within, mean_operator
from stfmkit._kernels._normalize import median_total, size_factor_log1p
from stfmkit._kernels._thinning import thin
from stfmkit.bm._study import Study
from stfmkit.pp._selectors import rank_genes
from stfmkit.splits.folds import Fold

_LEAST = 5
_GRAPH_K = 6


@dataclass(frozen=True, kw_only=True, eq=False)
class FoldTruth:
    """Targets of one fold.

    Attributes
    ----------
    targets
        Positions of the target genes among all genes.
    train, test
        True expression on the scale of the protocol (n_train, n_targets), (n_test, n_targets).
    halves
        Two independent halves of the test counts by binomial thinning, on the same scale.
    log_depth
        log1p of library size in test observations.
    """

    fold: Fold
    targets: np.ndarray
    genes: list[str]
    train: np.ndarray
    test: np.ndarray
    halves: tuple[np.ndarray, np.ndarray]
    log_depth: np.ndarray


def choose_targets(study: Study, fold: Fold) -> np.ndarray:
    """Return the positions of the target genes of a fold, sorted; chosen on its training observations only."""
    protocol = study.protocol
    if protocol.target_genes is not None:
        return np.sort(study.genes.get_indexer(list(protocol.target_genes)))
    most = min(protocol.n_target_genes, len(study.genes) // 2)
    chosen = rank_genes(
        protocol.target_flavor,
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
            f"{len(chosen)} genes that {protocol.target_flavor!r} selects on the training part of fold {fold.number}.",
            allowed=f"{_LEAST} target genes or more",
            remedy="pass Protocol(target_genes=[...]) or another target_flavor; the data may be too sparse.",
        )
    return np.sort(chosen[:most])


def fold_truth(study: Study, fold: Fold, targets: np.ndarray) -> FoldTruth:
    """Return the targets of a fold on the scale of the protocol; scaled by the median library size in training."""
    median = median_total(study.depth[fold.train])
    by_depth = study.protocol.target == "size_factor_log1p"
    train, test = study.counts[fold.train][:, targets], study.counts[fold.test][:, targets]
    depth = study.depth[fold.test]
    first, second = thin(test, rng=stream(study.protocol.rng, "thinning", fold.number))

    def scaled(counts: sparse.csr_array, size: np.ndarray) -> np.ndarray:
        if not by_depth:
            return np.log1p(counts.toarray().astype(np.float64))
        return size_factor_log1p(counts, depth=size, target=median).toarray()

    return FoldTruth(
        fold=fold,
        targets=targets,
        genes=study.genes[targets].astype(str).tolist(),
        train=scaled(train, study.depth[fold.train]),
        test=scaled(test, depth),
        halves=(scaled(first, depth / 2), scaled(second, depth / 2)),
        log_depth=np.log1p(depth),
    )


def ring_graph(coords: np.ndarray) -> sparse.csr_array:
    """Return the row-stochastic graph (CSR) of the six nearest neighbours within one sample."""
    near = knn_within(coords, np.zeros(len(coords), dtype=np.int64), k=min(_GRAPH_K, len(coords) - 1))
    return mean_operator(near, include_self=False)


def shuffled(values: np.ndarray, samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return values with every column permuted on its own within each sample."""
    out = values.copy()
    for sample in np.unique(samples):
        rows = np.flatnonzero(samples == sample)
        out[rows] = rng.permuted(values[rows], axis=0)
    return out
