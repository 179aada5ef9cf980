"""Checks of a comparison that need data and protocol together."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError
from stfmkit.bm._files import read_json
from stfmkit.bm._study import Study
from stfmkit.bm._tasks._registry import Task

REPORT_MARK = b'<meta name="generator" content="stfmkit'
"""What tells a report from other files."""


def check_labels(study: Study, tasks: Sequence[Task]) -> None:
    """Refuse labels that leave a fold with one class to train on, or with nothing to test anywhere."""
    if study.labels is None or not any(task.needs_labels for task in tasks):
        return
    codes = study.labels.codes
    key = study.protocol.label_key
    tested = 0
    for fold in study.folds:
        classes = np.unique(codes[fold.train][codes[fold.train] >= 0])
        n_test = int((codes[fold.test] >= 0).sum())
        tested += n_test
        if n_test and len(classes) < 2:
            known = listed(study.labels.categories[classes])
            raise InputError(
                f"obs[{key!r}] has {len(classes)} label ({known}) in the training part of fold {fold.number}.",
                allowed="two labels or more in the training part of every fold",
                remedy="use fewer n_splits, another label, or drop patients without the other labels.",
            )
    if not tested:
        raise InputError(
            f"no labelled observation of obs[{key!r}] is tested in any fold.",
            allowed="labelled observations in test folds",
            remedy="check the label column and the split.",
        )


def check_report(path: Path) -> None:
    """Refuse to replace a file that is not a report."""
    if path.exists() and not _is_report(path):
        raise InputError(
            f"{path}, which is not a report of stfmkit.",
            allowed="a new file, or an older report",
            remedy="pass another path.",
        )


def _is_report(path: Path) -> bool:
    return path.is_file() and REPORT_MARK in path.read_bytes()[:4096]


def check_output(folder: Path, identity: str) -> None:
    """Refuse a folder that holds something else, so that nothing written is lost."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(f"{folder} is a file.", allowed="a folder", remedy="pass another out.")
    if (folder / "results.json").is_file():
        other = read_json(folder / "results.json").get("protocol_id")
        if other != identity:
            raise InputError(
                f"{folder} holds results of protocol {other}; this is protocol {identity}.",
                allowed="a new folder, or one of the same protocol on the same data",
                remedy="pass another out.",
            )
        return
    strange = [p.name for p in folder.iterdir() if p.name != "units" and not _is_report(p)]
    if strange:
        raise InputError(
            f"{folder} holds other files: {listed(sorted(strange), most=4)}.",
            allowed="a new or empty folder, or one that a comparison wrote",
            remedy="pass another out.",
        )
