"""Judge predictions: arrays in, `Scores` out. The one definition of a score, for `sk.tl` and `sk.bm` alike."""
