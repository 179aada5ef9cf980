"""Baselines, card and class in one file each: what every representation has to beat."""
