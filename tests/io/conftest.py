"""Folders that look like those of the platforms."""

from collections.abc import Callable
from pathlib import Path

import pytest

FILES = {
    "xenium": ["experiment.xenium", "transcripts.parquet", "cells.parquet", "cell_feature_matrix.h5"],
    "visium_hd": ["Sample_feature_slice.h5", "binned_outputs/square_008um/filtered_feature_bc_matrix.h5"],
    "visium": ["S1_filtered_feature_bc_matrix.h5", "spatial/scalefactors_json.json", "spatial/tissue_positions.csv"],
    "cosmx": ["Lung5_exprMat_file.csv.gz", "Lung5_fov_positions_file.csv", "Lung5_metadata_file.csv"],
    "merscope": ["cell_by_gene.csv", "cell_metadata.csv", "images/micron_to_mosaic_pixel_transform.csv"],
}


@pytest.fixture
def lay_out() -> Callable[[Path, str], Path]:
    """Return a function that makes empty files with the names of a platform."""

    def make(folder: Path, kind: str) -> Path:
        for name in FILES[kind]:
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        return folder

    return make
