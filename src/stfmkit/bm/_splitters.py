"""The splitters of `stfmkit.pp`, at hand where protocols are written."""

from stfmkit.pp._splitters import LeavePanelOut, PatientKFold, RandomKFold, SlideKFold, SpatialBlockKFold

__all__ = ["LeavePanelOut", "PatientKFold", "RandomKFold", "SlideKFold", "SpatialBlockKFold"]
