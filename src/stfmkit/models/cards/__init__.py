"""Cards of the models that come with the package, one file per group; data only."""
