"""What tells the definition of one task from that of another: its code, its object, and what it stands on."""

from stfmkit._core.definition import Definition, definition_of
from stfmkit._core.identity import exact, with_content
from stfmkit.bm.contenders import can_be_told
from stfmkit.bm.task import Task
from stfmkit.bm.task_catalogue import catalogue
from stfmkit.metrics._catalogue import plugged_in


def task_definition(task: Task) -> Definition:
    """Return the code of a task: its class, the plug-in that brings it, and the libraries under it."""
    return definition_of(type(task), brought_by=catalogue.brought_by(task.name))


def task_identity(task: Task) -> str | None:
    """Return text that tells the definition of a task from others; None where it cannot be told.

    It follows the class with the versions of what it stands on, the metrics of plug-ins, and what the object holds;
    finished work of a task that is written in a notebook is never taken from a folder.
    """
    code, held = task_definition(task), dict(vars(task))
    if not code.known or not can_be_told(held):
        return None
    return exact({"code": code.identity(), "held": with_content(held), "metrics": plugged_in()})
