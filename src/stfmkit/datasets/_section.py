"""One section on its way through the simulator."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stfmkit.datasets._expression import Expression
from stfmkit.datasets._outlines import Outlines
from stfmkit.datasets._tissue import Cells, Layout


@dataclass(frozen=True)
class Section:
    """What every form of the cohort needs of a section."""

    patient: str
    sample: str
    layout: Layout
    cells: Cells
    expression: Expression

    @property
    def cell_ids(self) -> pd.Index:
        """Names of the cells, unique in the cohort."""
        return pd.Index([f"{self.sample}_{i:06d}" for i in range(1, len(self.cells) + 1)])


@dataclass(frozen=True)
class Elements:
    """What only a SpatialData holds of a section."""

    outlines: Outlines
    molecules: pd.DataFrame
    picture: np.ndarray | None


def named(codes: NDArray[np.integer], names: Sequence[str] | pd.Index) -> "pd.Categorical[str]":
    """Return numbers as a categorical with these names."""
    return pd.Categorical.from_codes(codes, categories=pd.Index(names))
