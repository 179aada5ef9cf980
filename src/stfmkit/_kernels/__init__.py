"""Array algorithms: arrays in, arrays out; no AnnData, no logging."""
