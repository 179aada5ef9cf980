"""The only doors to AnnData and SpatialData; they never compute."""
