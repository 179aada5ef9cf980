"""List the tasks."""

import pandas as pd

from stfmkit.bm._tasks._registry import TASKS


def list_tasks() -> pd.DataFrame:
    """Return one row for every task: what it asks, its primary metric, its controls.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.bm.list_tasks()["primary"]["niche_probe"]
    'macro_f1_linear'
    """
    return pd.DataFrame([vars(task) for task in TASKS.values()]).set_index("name")
