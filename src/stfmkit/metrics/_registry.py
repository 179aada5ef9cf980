"""Look up a metric."""

from dataclasses import asdict

import pandas as pd

from stfmkit._core.arguments import check_known
from stfmkit.metrics._spec import MetricSpec
from stfmkit.metrics._specs import SPECS

_BY_NAME = {s.name: s for s in SPECS}


def spec(name: str) -> MetricSpec:
    """Return what there is to know about a metric.

    Parameters
    ----------
    name
        Name of the metric, which is that of its function.

    Returns
    -------
    The specification; its `function` is the metric itself.

    Raises
    ------
    MissingKeyError
        If there is no such metric; the nearest names are suggested.

    Examples
    --------
    >>> spec("ari").higher_is_better, spec("ari").bounds
    (True, (-0.5, 1.0))
    """
    check_known(name, _BY_NAME, what="metric", remedy="see `sk.metrics.list_metrics()`.")
    return _BY_NAME[name]


def list_metrics(family: str | None = None) -> pd.DataFrame:
    """Return a table of all metrics, one row each.

    Parameters
    ----------
    family
        Only the metrics of this family: labels, clustering, expression, spatial, signatures, coexpression, embedding or
        noise.

    Returns
    -------
    The fields of `MetricSpec`, indexed by name.

    Raises
    ------
    MissingKeyError
        If there is no such family.

    Examples
    --------
    >>> list_metrics("labels")["title"].to_dict()
    {'macro_f1': 'Macro F1', 'balanced_accuracy': 'Balanced accuracy', 'class_f1': 'F1 per class'}
    """
    if family is not None:
        families = {s.family for s in SPECS}
        check_known(family, families, what="family of metrics", remedy="pass one of these.")
    rows = [asdict(s) for s in SPECS if family in (None, s.family)]
    return pd.DataFrame(rows).set_index("name")
