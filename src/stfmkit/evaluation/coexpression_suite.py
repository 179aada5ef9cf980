"""The co-expression of all observations together: of the truth, of a prediction, and of the controls beside it."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit import metrics
from stfmkit._core.random import stream
from stfmkit.evaluation.coexpression import (
    CoexpressionSizes,
    as_ceilings,
    compare_structures,
    latent_halves,
    score_pairs,
)
from stfmkit.evaluation.controls import random_features, rotated, shuffled_sparse
from stfmkit.evaluation.molecules import Molecules
from stfmkit.evaluation.scores import concat_scores

Values: TypeAlias = np.ndarray | sparse.csr_array


@dataclass(frozen=True, kw_only=True, eq=False)
class CoexpressionValues:
    """Values of the observations that are scored, and of those that the order of the genes is learned from.

    Attributes
    ----------
    truth, train_truth
        True values of both (n_obs, n_genes), (n_train, n_genes).
    predicted
        Predicted values (n_obs, n_genes), or None.
    halves
        Two independent halves of the counts on the scale of the truth (n_obs, n_genes), or None.
    molecules
        The counts of the truth, None where there are none.
    samples, train_samples
        Code of the sample of every observation, from 0.
    covariate, train_covariate
        What values are regressed on (n_obs,), (n_train,), or None.
    coords
        Coordinates (n_obs, 2) that maps are rotated on, or None.
    graph
        Weights of neighbours (n_obs, n_obs) for pairs, or None.
    pairs
        Positions of ligands and receptors (n_pairs, 2), or None.
    """

    truth: Values
    train_truth: Values
    predicted: Values | None
    halves: tuple[Values, Values] | None
    molecules: Molecules | None
    samples: np.ndarray
    train_samples: np.ndarray
    covariate: np.ndarray | None
    train_covariate: np.ndarray | None
    coords: np.ndarray | None
    graph: sparse.csr_array | None
    pairs: np.ndarray | None


class CoexpressionSuite:
    """Correlations of the genes of one data set, and the scores of a prediction and of controls.

    Parameters
    ----------
    values
        What is compared.
    method
        "pearson" or "spearman".
    seed
        Of orders, permutations and controls; all predictions meet the same ones.

    Attributes
    ----------
    truth, predicted
        Correlations of the genes (n_genes, n_genes); None without a prediction.
    lagged
        Correlation of every pair with its neighbours (n_pairs,), by "truth", "predicted", "thinned", "null".
    """

    def __init__(self, values: CoexpressionValues, *, method: Literal["pearson", "spearman"], seed: int) -> None:
        self.values, self.method, self.seed = values, method, seed
        self.truth = self._matrix(values.truth)
        self.predicted = None if values.predicted is None else self._matrix(values.predicted)
        self.lagged: dict[str, np.ndarray] = {}

    def learned_order(self) -> np.ndarray:
        """Return the order of the genes by their true correlations in training (n_genes,)."""
        own = self.values
        if own.train_truth is own.truth:
            return metrics.coexpression_order(self.truth)
        matrix = metrics.correlation(
            own.train_truth,
            method=self.method,
            groups=_groups(own.train_samples),
            covariate=own.train_covariate,
        )
        return metrics.coexpression_order(matrix)

    def compare(
        self,
        order: np.ndarray,
        sizes: CoexpressionSizes,
        *,
        null_model: str | None,
        contender: str,
        **where: Any,
    ) -> pd.DataFrame:
        """Return the scores of the prediction and of the controls, and ceilings.

        Every matrix is compared with the correlations of the truth twice: with the raw ones, and where there are
        counts with the latent ones.

        Parameters
        ----------
        order
            Positions of all genes in the order for ``ssim_ordered`` (n_genes,).
        sizes
            Numbers that the metrics depend on.
        null_model
            How maps are moved in ``control:null``: "rotation" or "permutation"; None leaves all controls out.
        contender
            Name of the prediction.
        where
            Other columns of the rows, such as scope and sample.
        """
        own, parts = self.values, []
        names = (where.get("fold", -1), where.get("sample", ""))
        judged = self.predicted is not None or null_model is not None
        latent = self._latent(own.molecules, stream(self.seed, "latent", *names)) if judged else None
        how: dict[str, Any] = {"order": order, "seed": self.seed, "sizes": sizes, **where}

        def score(matrix: np.ndarray, name: str, lagged: str | None = None) -> None:
            row = {"contender": name, **where}
            if latent is not None:
                parts.append(compare_structures(latent, matrix, kind="latent", contender=name, **how))
            parts.append(compare_structures(self.truth, matrix, kind="raw", contender=name, **how))
            if own.pairs is not None and lagged is not None:
                parts.append(score_pairs(self.lagged["truth"], self.lagged[lagged], **row))

        self._lag("truth", own.truth)
        if own.predicted is not None and self.predicted is not None:
            self._lag("predicted", own.predicted)
            score(self.predicted, contender, "predicted")
        if null_model is None:
            return concat_scores(parts)
        if own.halves is not None:
            self._lag("thinned", own.halves[0])
            score(self._matrix(own.halves[0]), "control:thinned", "thinned")
            if own.molecules is not None and latent is not None:
                known: dict[str, Any] = {"groups": _groups(own.samples), "covariate": own.covariate}
                halves = latent_halves(own.molecules, seed=self.seed, names=names, **known)
                agreement = compare_structures(*halves, kind="latent", contender="control:thinned", **how)
                parts.append(as_ceilings(agreement))
        moved = self._moved(own.truth if own.predicted is None else own.predicted, null_model)
        self._lag("null", moved)
        score(self._matrix(moved), "control:null", "null")
        noise = random_features(own.train_truth, rng=self._stream("random_features"))
        score(metrics.correlation(noise, method=self.method), "control:random_features")
        return concat_scores(parts)

    def _moved(self, values: Values, null_model: str) -> sparse.csr_array:
        own, rng = self.values, self._stream("null")
        if null_model == "rotation" and own.coords is not None:
            return rotated(values, own.samples, coords=own.coords, rng=rng)
        return shuffled_sparse(values, own.samples, rng=rng)

    def _matrix(self, values: Values) -> np.ndarray:
        own = self.values
        return metrics.correlation(values, method=self.method, groups=_groups(own.samples), covariate=own.covariate)

    def _latent(self, molecules: Molecules | None, rng: np.random.Generator) -> np.ndarray | None:
        """Return correlations without the noise of counting; None without counts, and of ranks, which have none."""
        own = self.values
        if molecules is None or self.method != "pearson":
            return None
        return molecules.latent_correlation(rng, groups=_groups(own.samples), covariate=own.covariate)

    def _lag(self, name: str, values: Values) -> None:
        own = self.values
        if own.pairs is not None and own.graph is not None:
            self.lagged[name] = metrics.lagged_correlation(
                values,
                own.graph,
                own.pairs,
                method=self.method,
                groups=own.samples,
                covariate=own.covariate,
            )

    def _stream(self, name: str) -> np.random.Generator:
        return stream(self.seed, "coexpression", name)


def _groups(samples: np.ndarray) -> np.ndarray | None:
    """Return the groups that values are centred in; None where all observations are one sample."""
    return samples if len(np.unique(samples)) > 1 else None
