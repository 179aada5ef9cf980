"""The tasks of a comparison: what each asks, its primary metric, and its controls."""

from dataclasses import dataclass
from typing import Literal

from stfmkit._core.arguments import check_known, listed
from stfmkit._core.errors import InputError

Unit = Literal["labels", "clusters", "expression"]


@dataclass(frozen=True, kw_only=True)
class Task:
    """Facts about a task.

    Attributes
    ----------
    unit
        The computation that the task shares with others: the expression tasks score the same predictions.
    primary
        The metric that ranks models.
    needs_labels
        Whether the protocol must name a label.
    positive, negatives
        Controls that a sound metric puts first and last.
    """

    name: str
    title: str
    summary: str
    unit: Unit
    primary: str
    needs_labels: bool
    positive: str
    negatives: tuple[str, ...]


TASKS = {
    task.name: task
    for task in (
        Task(
            name="niche_probe",
            title="Niche probe",
            summary="A linear and a kNN probe, tuned inside training groups, predict labels of held-out observations.",
            unit="labels",
            primary="macro_f1_linear",
            needs_labels=True,
            positive="control:truth",
            negatives=("control:shuffled", "control:mean", "control:coordinates"),
        ),
        Task(
            name="domains",
            title="Domains",
            summary="k-means on the embedding of a held-out sample, with as many clusters as the sample has labels.",
            unit="clusters",
            primary="ari",
            needs_labels=True,
            positive="control:truth",
            negatives=("control:shuffled", "control:coordinates"),
        ),
        Task(
            name="expression",
            title="Expression prediction",
            summary="Ridge predicts target genes of held-out observations; models never receive these genes.",
            unit="expression",
            primary="pearson",
            needs_labels=False,
            positive="control:thinned",
            negatives=("control:mean", "control:shuffled", "control:coordinates"),
        ),
        Task(
            name="niche_signatures",
            title="Niche signatures",
            summary="Do the predicted genes name the same markers of a niche as the measured ones?",
            unit="expression",
            primary="adjusted_jaccard_10",
            needs_labels=True,
            positive="control:thinned",
            negatives=("control:mean", "control:shuffled", "control:coordinates"),
        ),
        Task(
            name="coexpression",
            title="Co-expression",
            summary="Do the predicted genes correlate with each other as the measured ones do?",
            unit="expression",
            primary="ssim_ordered",
            needs_labels=False,
            positive="control:thinned",
            negatives=("control:mean", "control:shuffled", "control:coordinates"),
        ),
    )
}


def choose_tasks(names: list[str] | tuple[str, ...] | None, *, label_key: str | None) -> list[Task]:
    """Return the tasks named, or all that the protocol can serve."""
    if names is None:
        return [task for task in TASKS.values() if label_key is not None or not task.needs_labels]
    if isinstance(names, str) or not names:
        raise InputError(f"tasks={names!r}.", allowed=f"a list out of {listed(TASKS)}", remedy="pass a list of names.")
    for name in names:
        check_known(name, list(TASKS), what="task", remedy="pass names out of these.")
    chosen = [task for task in TASKS.values() if task.name in names]
    blind = [task.name for task in chosen if task.needs_labels]
    if blind and label_key is None:
        raise InputError(
            f"the tasks {listed(blind)} without a label.",
            allowed="Protocol(label_key=...) for tasks on labels",
            remedy="pass label_key, or leave these tasks out.",
        )
    return chosen
