"""The splitters of `stfmkit.splits` under their public names."""

from stfmkit.splits.splitters import LeavePanelOut, PatientKFold, RandomKFold, SlideKFold, SpatialBlockKFold

__all__ = ["LeavePanelOut", "PatientKFold", "RandomKFold", "SlideKFold", "SpatialBlockKFold"]
