"""Methods of `sk.tl.annotate`: labels of a reference for observations without labels."""
