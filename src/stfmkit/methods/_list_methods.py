"""The table of known methods."""

import pandas as pd

from stfmkit._core.arguments import check_choice
from stfmkit._core.errors import InputError
from stfmkit._core.extras import missing_packages
from stfmkit.methods._registry import catalogue
from stfmkit.methods.contract import TASKS, MethodCard


def list_methods(task: str | None = None, *, runnable: bool | None = None) -> pd.DataFrame:
    """List the known methods, one row each; no library that a method needs is imported.

    Parameters
    ----------
    task
        Only methods of this task, such as "annotate" or "domains".
    runnable
        True for methods that can be run here, False for those that cannot (the optional packages are not installed, or
        the card says why), None for all.

    Returns
    -------
    Indexed by full name (``task/name``), with the columns task, title, output, needs, reference_needs, transductive,
    draws, runs, species, licence, commercial (missing where a licence is not known), summary, reason (why a method
    cannot be run here).

    Raises
    ------
    InputError
        The task is not known.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.methods.list_methods("domains")["title"].to_dict()
    {'domains/gmm': 'Gaussian mixture', 'domains/kmeans': 'k-means', 'domains/leiden': 'Leiden'}
    """
    if task is not None:
        check_choice(task, TASKS, name="task")
    if runnable not in {None, True, False}:
        raise InputError(f"runnable={runnable!r}.", allowed="True, False or None", remedy="pass one of these.")
    rows = {
        name: _row(card)
        for name, card in sorted(catalogue.entries().items())
        if task in {None, card.task} and runnable in {None, not _why_not(card)}
    }
    table = pd.DataFrame.from_dict(rows, orient="index", columns=_COLUMNS).astype(_TYPES)
    return table.rename_axis(index="name")


_COLUMNS = [
    "task",
    "title",
    "output",
    "needs",
    "reference_needs",
    "transductive",
    "draws",
    "runs",
    "species",
    "licence",
    "commercial",
    "summary",
    "reason",
]
_TYPES = {"transductive": bool, "draws": bool, "commercial": "boolean"}


def _row(card: MethodCard) -> list[object]:
    return [
        card.task,
        card.title,
        card.output,
        ", ".join(card.needs),
        ", ".join(card.reference_needs),
        card.transductive,
        card.draws,
        card.runs,
        ", ".join(card.species),
        card.licence,
        card.commercial,
        card.summary,
        _why_not(card),
    ]


def _why_not(card: MethodCard) -> str:
    """Return why a method cannot be run here, or nothing."""
    if card.runs == "card":
        return card.reason
    missing = missing_packages(card.extra)
    return f"needs pip install 'stfmkit[{card.extra}]'" if missing else ""
