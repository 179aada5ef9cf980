import pandas as pd
import pytest

from stfmkit._core.errors import InputTypeError, MissingKeyError
from stfmkit.pl._tables import require_columns, with_keys


def test_missing_columns_are_named():
    with pytest.raises(MissingKeyError, match=r"'value'.*(?s:.)*Remedy: pass the table"):
        require_columns(pd.DataFrame({"task": []}), ["task", "value"], what="a benchmark table")


def test_other_types_are_refused():
    with pytest.raises(InputTypeError, match="Found: a benchmark table of type list"):
        require_columns([1], ["task"], what="a benchmark table")


def test_columns_of_metrics_may_be_missing():
    table = with_keys(pd.DataFrame({"metric": ["m"], "setting": ["n=10"]}))
    assert table.loc[0, ["setting", "scope", "status"]].tolist() == ["n=10", "", "scored"]
