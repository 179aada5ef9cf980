"""Methods of `sk.tl.domains`: domains of tissue, without labels."""
