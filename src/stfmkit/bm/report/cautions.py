"""Cautions: what must be read before a rank, because the run itself marks the contender."""

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from stfmkit.bm.marks import CEILING, NOT_ABOVE, SIGN
from stfmkit.bm.report.formatting import name, phrase
from stfmkit.bm.report.view_models import TaskView

_THEIRS = "their ceilings"


def signed(contender: str, marked: Iterable[str]) -> Markup:
    """Return the name of a contender, with the sign where it is among those that are marked."""
    return Markup("{} {}").format(name(contender), SIGN) if contender in marked else name(contender)


def cautions(task: TaskView, *, weak: Iterable[str] | None = None) -> list[Markup]:
    """Return the sentences on the marks of a task.

    Parameters
    ----------
    weak
        The contenders of whom it is also said what they are not above; None for all. What is above a limit is always
        said.
    """
    said = task.marks
    asked = set(said) if weak is None else set(weak)
    texts = dict.fromkeys(text for name in said for text in said[name])
    order = sorted(texts, key=lambda text: text.startswith(NOT_ABOVE))  # what may be a leak first
    sentences = []
    for text in order:
        names = [name for name in said if text in said[name]]
        if text.startswith(NOT_ABOVE):
            names = [name for name in names if name in asked]
            if names:
                sentences.append(_not_above(task, text.removeprefix(NOT_ABOVE), names))
        else:
            sentences.append(_above(task, text.removeprefix("above "), names))
    return sentences + _of_audit(task)


def _above(task: TaskView, reference: str, names: Sequence[str]) -> Markup:
    what = Markup("{}").format(reference)
    if reference == task.positive:
        note = f" ({task.positive_note})" if task.positive_note else ""
        what = Markup("{}, which knows the truth{}").format(name(reference), note)
    elif reference == CEILING and task.ceiling_note:
        what = Markup("{} ({})").format(CEILING if len(names) == 1 else _THEIRS, task.ceiling_note)
    return _warning(names, Markup("{} {}").format(_over(task), what))


def _warning(names: Sequence[str], what: Markup) -> Markup:
    """Say of contenders that they are what they should not be."""
    one = len(names) == 1
    read = "read the findings before " + ("its rank" if one else "their ranks")
    return Markup("{} {} {} {}: {}.").format(SIGN, phrase(map(name, names)), "is" if one else "are", what, read)


def _not_above(task: TaskView, reference: str, names: Sequence[str]) -> Markup:
    one = Markup("{} The mean of {} is not {} that of {}.")
    text = one if len(names) == 1 else Markup("{} The means of {} are not {} that of {}.")
    return text.format(SIGN, phrase(map(name, names)), _over(task), name(reference))


def _over(task: TaskView) -> str:
    return "better than" if task.primary.higher is False else "above"


def _of_audit(task: TaskView) -> list[Markup]:
    """Return which contenders that are here an error of the audit names."""
    text = Markup("{} An error of the audit about {} was allowed ({}): read the findings before its rank.")
    here = {contender: checks for contender, checks in task.accused.items() if contender in task.contenders}
    return [text.format(SIGN, name(who), ", ".join(checks)) for who, checks in here.items()]


def in_spite(allowed: Sequence[str]) -> list[Markup]:
    """Return the sentence on errors of the audit that were allowed, where there are some."""
    text = Markup("{} In spite of errors of the audit, which were allowed: {}.")
    return [text.format(SIGN, ", ".join(allowed))] if allowed else []


def cautions_over(tasks: Sequence[TaskView], contenders: Iterable[str]) -> list[Markup]:
    """Return the sentences on contenders that are above a limit in any of these tasks, or that the audit accused."""
    wanted, where = set(contenders), dict[tuple[str, str], list[str]]()
    for task in tasks:
        for who in (who for who in task.marks if who in wanted):
            for mark in (mark for mark in task.marks[who] if not mark.startswith(NOT_ABOVE)):
                where.setdefault((who, mark), []).append(task.title)
    alike: dict[tuple[str, Markup], list[str]] = {}
    for (who, mark), titles in where.items():
        alike.setdefault((mark, phrase(titles)), []).append(who)
    said = []
    for (mark, listed), names in alike.items():
        what = mark.replace(CEILING, _THEIRS) if len(names) > 1 else mark
        said.append(_warning(names, Markup("{} on {}").format(what, listed)))
    return said + list(dict.fromkeys(sentence for task in tasks for sentence in _of_audit(task)))
