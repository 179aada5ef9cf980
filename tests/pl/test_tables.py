import numpy as np
import pandas as pd
import pytest

from stfmkit._core.errors import InputTypeError, MissingKeyError
from stfmkit.pl._tables import patient_values, require_columns

COLUMNS = ["task", "metric", "model", "fold", "patient", "sample", "gene", "value"]


def test_patient_values_weigh_slides_not_genes_or_folds():
    rows = [
        ("t", "m", "a", 0, "P1", "S1", "g1", 0.0),
        ("t", "m", "a", 0, "P1", "S1", "g2", 1.0),
        ("t", "m", "a", 0, "P1", "S1", "g3", np.nan),
        ("t", "m", "a", 1, "P1", "S1", "g1", 0.9),
        ("t", "m", "a", 0, "P1", "S2", "g1", 0.1),
        ("t", "m", "a", 0, "P2", "S3", "g1", 0.4),
        ("t", "m", "b", 0, "P2", "S3", "g1", 0.6),
        ("t", "other", "a", 0, "P1", "S1", "g1", 99.0),
        ("other", "m", "a", 0, "P1", "S1", "g1", 99.0),
    ]
    values = patient_values(pd.DataFrame(rows, columns=COLUMNS), task="t", metric="m")
    # P1: S1 = mean(mean(0, 1), 0.9) = 0.7; S2 = 0.1
    assert values.loc["a", "P1"] == pytest.approx(0.4)
    assert values.loc["a", "P2"] == pytest.approx(0.4)
    assert np.isnan(values.loc["b", "P1"])
    assert values.loc["b", "P2"] == pytest.approx(0.6)


def test_missing_columns_are_named():
    with pytest.raises(MissingKeyError, match=r"'value'.*(?s:.)*Remedy: pass the table"):
        require_columns(pd.DataFrame({"task": []}), ["task", "value"], what="a benchmark table")


def test_other_types_are_refused():
    with pytest.raises(InputTypeError, match="Found: a benchmark table of type list"):
        require_columns([1], ["task"], what="a benchmark table")
