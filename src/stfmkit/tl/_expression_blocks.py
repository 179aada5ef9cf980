"""Score a prediction of many genes a block at a time, so that memory does not grow with their number."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit._core.errors import InputError
from stfmkit._kernels._autocorrelation import row_stochastic
from stfmkit._kernels._neighbors import neighbor_graph
from stfmkit.evaluation.expression import ExpressionTruth, score_expression, score_pearson
from stfmkit.evaluation.linear_baselines import LinearBaselines
from stfmkit.evaluation.scores import concat_scores, score_table
from stfmkit.tl._expression_study import Study

BASELINE = "control:linear_"
"""How the names of the linear baselines begin."""

_CELLS = 2**21  # of a dense block of genes
_NOT_PREDICTED = "the gene is not predicted in this sample"


@dataclass(frozen=True, eq=False)
class SamplePart:
    """The scored observations of one sample that one fold tests, and which genes are predicted there (n_genes,)."""

    rows: np.ndarray
    genes: np.ndarray
    fold: int
    graph: sparse.csr_array | None


def sample_parts(study: Study) -> list[SamplePart]:
    """Return what is scored together: the observations of a sample that one fold tests.

    Raises
    ------
    InputError
        A gene is missing for some of these observations only, or no sample is large enough.
    """
    parts = []
    for code, name in enumerate(study.samples.categories):
        in_sample = (study.samples.codes == code) & study.scored
        for fold in np.unique(study.folds[in_sample]):
            rows = np.flatnonzero(in_sample & (study.folds == fold))
            genes = _predicted_genes(study, rows, str(name))
            if len(rows) >= study.min_obs and genes.any():
                parts.append(SamplePart(rows, genes, int(fold), _weights(study, rows)))
    if not parts:
        raise InputError(
            f"no sample with {study.min_obs} predicted observations or more.",
            allowed="one such sample",
            remedy="predict whole samples, or lower min_obs and say so beside the scores.",
        )
    return parts


def score_blocks(study: Study, parts: list[SamplePart], baselines: LinearBaselines) -> list[pd.DataFrame]:
    """Return, for every part, the scores of every gene, and the correlation that the baselines reach."""
    n_genes = len(study.prediction.genes)
    step = max(16, _CELLS // len(study.scored))
    found: list[list[pd.DataFrame]] = [[] for _ in parts]
    for start in range(0, n_genes, step):
        block = slice(start, min(start + step, n_genes))
        guesses = baselines.predict(study.prediction.columns[block])
        for part, tables in zip(parts, found, strict=True):
            tables.extend(_score(study, part, block, guesses))
    return [concat_scores(tables) for tables in found]


def _score(study: Study, part: SamplePart, block: slice, guesses: dict[str, np.ndarray]) -> Iterator[pd.DataFrame]:
    """Yield the scores of one block of genes in one part."""
    at = np.flatnonzero(part.genes[block])
    if len(at):
        truth = _truth(study, part, np.arange(block.start, block.stop)[at])
        predicted = study.prediction.dense(part.rows, block)[:, at]
        scores = score_expression(truth, predicted)
        yield scores.assign(contender=study.contender)
        for name, values in guesses.items():
            guess = values[part.rows][:, at]
            if not np.isnan(guess).any():
                yield score_pearson(truth, guess).assign(contender=f"{BASELINE}{name}")
    left_out = np.flatnonzero(~part.genes[block])
    if len(left_out):
        yield score_table(
            metric="pearson",
            value=np.full(len(left_out), np.nan),
            scope="gene",
            contender=study.contender,
            fold=part.fold,
            patient=str(study.patients[part.rows[0]]),
            sample=str(study.samples[part.rows[0]]),
            gene=study.prediction.genes[block][left_out],
            reason=_NOT_PREDICTED,
        )


def _truth(study: Study, part: SamplePart, genes: np.ndarray) -> ExpressionTruth:
    """Return the truth about some of the predicted genes in one part."""
    rows, columns, sizes = part.rows, study.prediction.columns[genes], study.size_targets[part.rows]
    measured = study.measured
    return ExpressionTruth(
        expression=measured.scaled(rows, columns, size_target=sizes),
        genes=study.prediction.genes[genes],
        samples=np.asarray(study.samples[rows]),
        patients=np.asarray(study.patients[rows]),
        scale=measured.scale,
        graph=part.graph,
        train_mean=None if study.means is None else study.means[max(part.fold, 0)][genes],
        log_depth=None if measured.depth is None else np.log1p(measured.depth[rows]),
        min_obs=study.min_obs,
        fold=part.fold,
    )


def _predicted_genes(study: Study, rows: np.ndarray, sample: str) -> np.ndarray:
    """Return which genes are predicted for these observations (n_genes,); refuse a gene that is for some only."""
    matrix = study.prediction.matrix
    if isinstance(matrix, sparse.csr_array):
        return np.ones(matrix.shape[1], dtype=bool)
    known = ~np.isnan(matrix[rows])
    partly = known.any(axis=0) & ~known.all(axis=0)
    if partly.any():
        raise InputError(
            f"{int((~known[:, partly]).sum())} NaN among the predictions of {int(partly.sum())} genes in {sample!r}.",
            allowed="a gene is predicted for all observations of a sample that are predicted at all, or for none",
            remedy="set whole observations or whole genes of a sample to NaN, or find out where the NaN come from.",
        )
    return np.asarray(known.all(axis=0))


def _weights(study: Study, rows: np.ndarray) -> sparse.csr_array | None:
    """Return row-stochastic weights among the rows."""
    if study.graph is not None:
        return row_stochastic(sparse.csr_array(study.graph[rows][:, rows]))
    return None if study.coords is None else neighbor_graph(study.coords[rows])
