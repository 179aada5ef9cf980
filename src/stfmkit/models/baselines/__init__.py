"""Baselines, one class per file: what every representation has to beat."""
