"""Values told apart by content."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from stfmkit._core.identity import exact


@dataclass
class Options:
    n: int
    table: pd.DataFrame


def test_content_decides() -> None:
    table = pd.DataFrame({"a": range(1000)})
    other = table.copy()
    other.loc[500, "a"] = -1
    long = np.zeros(10_000)
    changed = long.copy()
    changed[5000] = 1
    for one, two in [
        (table, other),
        (long, changed),
        (Options(1, table), Options(1, other)),
        ([1, long], [1, changed]),
        ({"x": table}, {"x": other}),
        (pd.Index(["a", "b"]), pd.Index(["b", "a"])),
        (1, 1.5),
        ([1], (1,)),
    ]:
        assert exact(one) != exact(two)
        assert exact(one) == exact(one)


def test_the_order_of_names_makes_no_difference() -> None:
    assert exact({"a": 1, "b": 2}) == exact({"b": 2, "a": 1})
