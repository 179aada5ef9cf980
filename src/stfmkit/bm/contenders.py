"""Whatever is compared: its kind of output, its identity, and what it may have seen."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from stfmkit._core.identity import exact
from stfmkit.splits.folds import Fold

Kind = Literal["embedding", "labels", "clusters", "proportions", "expression", "gene_scores"]
"""What a contender gives: of an observation a vector, a label (of a cluster: one whose name says nothing), shares or
expression; of a gene a score."""
KINDS: tuple[str, ...] = get_args(Kind)

Role = Literal["model", "baseline", "control", "given"]
"""A model; a baseline; a control that a representation must beat (position, depth); or values computed elsewhere."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Output:
    """What one contender gives in one fold.

    Attributes
    ----------
    kind
        What the values are.
    train, test
        Values of the training and of the test observations of the fold, rows in its order: (n, d) numbers, or (n,)
        text for labels and clusters ("" where there is none). Scores of genes (n_genes,) are the same on both sides.
    columns
        Genes of predicted expression, or cell types of proportions; empty for other kinds.
    seconds
        Time that it took.
    """

    kind: Kind
    train: np.ndarray
    test: np.ndarray
    columns: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Contender(ABC):
    """One contender.

    Attributes
    ----------
    label
        Its name in the results.
    kind
        Kind of its output.
    role
        What it stands for in the comparison.
    origin
        Where it comes from, such as "model:hvg_pca", "obsm:X_pca" or "array".
    exposure
        What it may have seen, in words.
    reads_expression
        Whether hiding genes changes the output; None where that cannot be told.
    by_row
        Whether the output of an observation depends on nothing else than this observation, so that it is the same in
        all folds.
    reads_elsewhere
        Slots that it reads and that were computed elsewhere, such as "obsm['X_pca']".
    reads_fitted
        Those of them that a model was fitted for on all observations, as `sk.tl.embed` has recorded it.
    transductive
        Whether the output of a test observation depends on other test observations, as its card says.
    """

    label: str
    kind: Kind
    role: Role
    origin: str
    exposure: str
    reads_expression: bool | None = None
    by_row: bool = False
    reads_elsewhere: tuple[str, ...] = ()
    reads_fitted: tuple[str, ...] = ()
    transductive: bool = False

    @abstractmethod
    def output(self, inputs: Any, fold: Fold, *, hidden: np.ndarray, resume: Path | None = None) -> Output:
        """Return the output in one fold.

        Parameters
        ----------
        inputs
            What contenders read, without the genes at `hidden`.
        fold
            Training and test rows. Of a contender with `by_row`, the training part may be empty.
        hidden
            Positions of the genes that the contender must not see.
        resume
            Folder for finished parts of long work.
        """

    def locate(self) -> None:  # noqa: B027  most contenders have no files
        """Find the files that the output needs, so that what is missing is told before long work."""

    def computed_with(self) -> dict[str, Any]:
        """Return the versions and files that outputs are computed with, ready for JSON; nothing for given values."""
        return {}

    def identity(self) -> str | None:
        """Return text that differs where two outputs can differ; None where that cannot be told."""
        return None

    def describe(self) -> dict[str, Any]:
        """Return facts for the report, ready for JSON."""
        return {
            "kind": self.kind,
            "role": self.role,
            "origin": self.origin,
            "exposure": self.exposure,
            "reads_expression": self.reads_expression,
            "reads_elsewhere": list(self.reads_elsewhere),
            "computed_with": self.computed_with(),
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class GivenContender(Contender):
    """Values that were computed elsewhere, for all observations (or all genes).

    Attributes
    ----------
    values
        (n_obs, d) numbers, (n_obs,) text of labels or clusters, or (n_genes,) scores.
    columns
        Genes or cell types, one for every column.
    n_obs_fitted
        Observations that an embedding was fitted on, where `sk.tl.embed` has recorded it.
    """

    values: np.ndarray
    columns: tuple[str, ...] = ()
    n_obs_fitted: int = 0

    def output(self, inputs: Any, fold: Fold, *, hidden: np.ndarray, resume: Path | None = None) -> Output:
        """Return the rows of the fold; nothing can be hidden from what is already computed."""
        del inputs, hidden, resume
        if self.kind == "gene_scores":
            return Output(kind=self.kind, train=self.values, test=self.values)
        return Output(kind=self.kind, train=self.values[fold.train], test=self.values[fold.test], columns=self.columns)

    def identity(self) -> str:
        """Return a hash of the values."""
        return f"given {self.kind} {exact(self.values)} {exact(self.columns)}"

    def describe(self) -> dict[str, Any]:
        """Return facts for the report, ready for JSON."""
        width = int(self.values.shape[1]) if self.values.ndim == 2 else None
        return {**super().describe(), "family": self.kind, "summary": "computed elsewhere", "dimension": width}


def can_be_told(value: object) -> bool:
    """Tell whether `exact` tells a value from all others: it is plain, or a table or array of numbers or text."""
    if isinstance(value, Mapping):
        return all(can_be_told(part) for part in value.values())
    if isinstance(value, (list, tuple)):
        return all(can_be_told(part) for part in value)
    plain = (str, bytes, int, float, np.generic, os.PathLike, pd.DataFrame, pd.Index)
    return value is None or isinstance(value, plain) or (isinstance(value, np.ndarray) and value.dtype != object)
