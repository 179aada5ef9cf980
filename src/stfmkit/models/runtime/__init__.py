"""Running a model over a table."""
