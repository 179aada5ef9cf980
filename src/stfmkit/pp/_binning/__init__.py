"""From molecules or cells to spots."""
