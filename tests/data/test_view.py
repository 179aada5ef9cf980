"""The table that is meant is found, or the caller is asked."""

import pandas as pd
import pytest

from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
from stfmkit._data.view import resolve_table


def test_resolve(toy):
    assert resolve_table(toy) is toy
    with pytest.raises(InputError, match="table_key"):
        resolve_table(toy, table_key="t")
    with pytest.raises(InputTypeError, match="AnnData or SpatialData"):
        resolve_table(pd.DataFrame())


def test_resolve_spatialdata(toy):
    import spatialdata as sd

    tables = {name: sd.models.TableModel.parse(toy.copy()) for name in ("cells", "spots")}
    one = sd.SpatialData(tables={"cells": tables["cells"]})
    assert resolve_table(one).n_obs == toy.n_obs
    both = sd.SpatialData(tables=tables)
    with pytest.raises(InputError, match="pass table_key"):
        resolve_table(both)
    with pytest.raises(MissingKeyError, match="Did you mean 'cells'"):
        resolve_table(both, table_key="cell")
    assert resolve_table(both, table_key="spots").n_obs == toy.n_obs
