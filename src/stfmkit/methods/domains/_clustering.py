"""What all clusterings of an embedding share: rows in canonical order, one thread, groups numbered by size."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from stfmkit._core.arguments import check_integer
from stfmkit._core.errors import InputError
from stfmkit._data.embeddings import read_embedding
from stfmkit._data.view import View
from stfmkit.evaluation.canonical import canonical_order, numbers_by_size
from stfmkit.methods.contract import Output


@dataclass(frozen=True, kw_only=True, eq=False)
class Clusters:
    """The group of every row (n,), from 0; the probability of every group (n, n_groups) where there is one."""

    groups: np.ndarray
    probabilities: np.ndarray | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def cluster(
    view: View, embedding_key: str, find: Callable[[np.ndarray], Clusters], *, n_clusters: int | None = None
) -> Output:
    """Return the groups that `find` makes of an embedding (n_obs, d) as labels "0", "1", …, the largest first.

    Sums are taken in one order, by one thread, so that the bits depend neither on the order of the table nor on the
    cores.

    Raises
    ------
    InputError
        Fewer different vectors than `n_clusters`.
    """
    values = read_embedding(view.table, embedding_key).astype(np.float64)
    _check_number(values, n_clusters, key=embedding_key)
    order = canonical_order(values)
    with threadpool_limits(1):
        clusters = find(values[order])
    n_groups = int(clusters.groups.max()) + 1
    if clusters.probabilities is not None:
        n_groups = clusters.probabilities.shape[1]
    numbers = numbers_by_size(clusters.groups, n_groups)
    names, rows = [str(number) for number in range(n_groups)], view.table.obs_names[order]
    probabilities = None
    if clusters.probabilities is not None:
        probabilities = pd.DataFrame(clusters.probabilities[:, np.argsort(numbers)], index=rows, columns=names)
    labels = pd.Categorical.from_codes(numbers[clusters.groups], categories=names)
    return Output(
        kind="labels", result=pd.Series(labels, index=rows), probabilities=probabilities, facts=clusters.facts
    )


def check_n_clusters(n_clusters: int) -> None:
    """Refuse a number of domains that is none."""
    check_integer(n_clusters, name="n_clusters", least=2)


def _check_number(values: np.ndarray, n_clusters: int | None, *, key: str) -> None:
    if n_clusters is None:
        return
    distinct = len(np.unique(values, axis=0))
    if distinct < n_clusters:
        raise InputError(
            f"{distinct} different vectors in obsm[{key!r}], and n_clusters={n_clusters}.",
            allowed="at least one vector for every domain",
            remedy="pass a smaller n_clusters.",
        )
