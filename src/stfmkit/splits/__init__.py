"""Split observations into folds, as arrays: splitters, folds, and inner folds that keep groups whole."""
