"""Nothing that stfmkit did not write is overwritten."""

import numpy as np
import pytest

from stfmkit._core.errors import InputError
from stfmkit._data.write import check_free_embedding, write_embedding


def test_foreign_embeddings_are_not_overwritten(toy):
    toy.obsm["X_mine"] = np.zeros((toy.n_obs, 2))
    with pytest.raises(InputError, match="not written by stfmkit"):
        check_free_embedding(toy, "X_mine")
    write_embedding(toy, "X_ours", np.zeros((toy.n_obs, 2)), {"model": "m"})
    check_free_embedding(toy, "X_ours")
    assert toy.obsm["X_ours"].dtype == np.float32
    assert toy.uns["stfmkit"]["microns_per_unit"] == 1.0
