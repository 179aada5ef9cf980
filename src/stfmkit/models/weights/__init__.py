"""Published weights: where they are, how they are fetched, and safe readers of what lies there."""
