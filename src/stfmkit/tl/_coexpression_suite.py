"""All comparisons of the co-expression of one table: the prediction, and the controls beside it."""

from typing import TypeAlias

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit import metrics
from stfmkit._core.random import stream
from stfmkit.tl._coexpression_controls import halves, permuted, random_prediction, rotated
from stfmkit.tl._coexpression_inputs import LIBRARY_SIZE, Inputs
from stfmkit.tl._coexpression_scores import Settings, score_matrices, score_pairs
from stfmkit.tl._ligand_receptor import Pairs

Values: TypeAlias = np.ndarray | sparse.csr_array


class Suite:
    """The correlations of one table, and the scores of all comparisons.

    Parameters
    ----------
    inputs
        What was read.
    method
        "pearson" or "spearman".
    covariate
        Name of what is regressed on; halves of the counts have library sizes of their own.
    pairs, ring
        Ligands and receptors, and the weights of the neighbours, or None.

    Attributes
    ----------
    truth, predicted
        Correlations of the genes (n_genes, n_genes); None without a prediction.
    """

    def __init__(
        self,
        inputs: Inputs,
        *,
        method: str,
        covariate: str | None,
        pairs: Pairs | None,
        ring: sparse.csr_array | None,
    ) -> None:
        self.inputs, self.method, self.own_depth = inputs, method, covariate == LIBRARY_SIZE
        self.pairs, self.ring = pairs, ring
        self.truth = self._matrix(inputs.truth)
        self.predicted = None if inputs.predicted is None else self._matrix(inputs.predicted)
        self._scores: dict[str, pd.DataFrame] = {}
        self._lagged: dict[str, np.ndarray] = {}

    def learned_order(self) -> np.ndarray:
        """Return the order of the genes by their true correlations in training."""
        at = self.inputs
        same = at.train is at.rows or np.array_equal(at.train, at.rows)
        matrix = self.truth
        if not same:
            matrix = metrics.correlation(
                at.train_truth,
                method=self.method,  # type: ignore[arg-type]
                groups=at.train_samples,
                covariate=at.train_covariate,
            )
        return metrics.coexpression_order(matrix)

    def compare(self, settings: Settings, *, null: str | None, coords: np.ndarray | None) -> None:
        """Score the prediction and, unless `null` is None, the controls; maps are rotated where `coords` are given."""
        at, self.settings = self.inputs, settings
        self._lagged["truth"] = self._lag(at.truth)
        if at.predicted is not None and self.predicted is not None:
            self._lagged["predicted"] = self._lag(at.predicted)
            self._add("predicted", self.truth, self.predicted)
        if null is None:
            return
        self._thinned()
        judged = at.truth if at.predicted is None else at.predicted
        rng = self._stream("null")
        if coords is None:
            moved = permuted(judged, at.samples, rng=rng)
        else:
            moved = rotated(judged, at.samples, coords=coords, rng=rng)
        self._lagged["control:null"] = self._lag(moved)
        self._add("control:null", self.truth, self._matrix(moved))
        noise = random_prediction(at.train_truth, rng=self._stream("random_features"))
        self._add("control:random_features", self.truth, metrics.correlation(noise, method=self.method))  # type: ignore[arg-type]

    def table(self) -> pd.DataFrame:
        """Return the scores, one row for every comparison and metric."""
        if not self._scores:
            empty = {"comparison": str, "metric": str, "value": float, "n_compared": int, "n_degenerate": int}
            return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in empty.items()})
        table = pd.concat(self._scores, names=["comparison", None]).reset_index(level=0).reset_index(drop=True)
        table.index = table.index.astype(str)  # as AnnData stores it
        return table

    def lagged_table(self, pairs: Pairs) -> pd.DataFrame:
        """Return the lagged correlation of every pair in truth, prediction and controls."""
        shown = {name.removeprefix("control:"): r for name, r in self._lagged.items() if not name.endswith("_half")}
        table = pairs.names.assign(**shown)
        table.index = table.index.astype(str)
        return table

    def _thinned(self) -> None:
        at = self.inputs
        if at.counts is None:
            return
        parts, depths = halves(at.counts, at.genes, rng=self._stream("thinned"))
        known = [np.log(np.maximum(d, 1.0)) if self.own_depth else at.covariate for d in depths]
        if self.pairs is not None:
            for name, part, covariate in zip(("first_half", "control:thinned"), parts, known, strict=True):
                self._lagged[name] = self._lag(part, covariate)
        first, second = (self._matrix(p, c) for p, c in zip(parts, known, strict=True))
        self._add("control:thinned", first, second, against="first_half")

    def _add(self, name: str, truth: np.ndarray, predicted: np.ndarray, *, against: str = "truth") -> None:
        rows = [score_matrices(truth, predicted, self.settings)]
        if self.pairs is not None and name in self._lagged:
            rows.append(score_pairs(self._lagged[against], self._lagged[name]))
        self._scores[name] = pd.concat(rows, ignore_index=True)

    def _matrix(self, values: Values, covariate: np.ndarray | None = None) -> np.ndarray:
        known = self.inputs.covariate if covariate is None else covariate
        return metrics.correlation(values, method=self.method, groups=self.inputs.samples, covariate=known)  # type: ignore[arg-type]

    def _lag(self, values: Values, covariate: np.ndarray | None = None) -> np.ndarray:
        if self.pairs is None or self.ring is None:
            return np.empty(0)
        known = self.inputs.covariate if covariate is None else covariate
        return metrics.lagged_correlation(
            values,
            self.ring,
            self.pairs.positions,
            method=self.method,  # type: ignore[arg-type]
            groups=self.inputs.samples,
            covariate=known,
        )

    def _stream(self, name: str) -> np.random.Generator:
        return stream(self.settings.seed, "coexpression", name)
