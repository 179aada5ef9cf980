"""Fingerprints of tables."""

from collections.abc import Callable

import numpy as np
import pytest
from anndata import AnnData
from pandas.util import hash_pandas_object


@pytest.fixture
def content() -> Callable[[AnnData], dict[str, object]]:
    """Return the content of a table as values that can be compared."""

    def read(adata: AnnData) -> dict[str, object]:
        matrix = adata.X
        return {
            "X": (matrix.data.tobytes(), matrix.indices.tobytes(), matrix.indptr.tobytes()),
            "obs": hash_pandas_object(adata.obs).tolist(),
            "columns": (list(adata.obs.columns), list(adata.var.columns)),
            "var": hash_pandas_object(adata.var).tolist(),
            "obsm": {key: np.asarray(adata.obsm[key]).tobytes() for key in adata.obsm},
            "uns": repr(dict(adata.uns)),
            "slots": (list(adata.layers), list(adata.obsp), list(adata.varm), list(adata.varp)),
        }

    return read
