"""From simulated sections to the containers of the field."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from stfmkit._core import slots
from stfmkit.datasets._cohort_config import CohortConfig
from stfmkit.datasets._histology import MICRONS_PER_PIXEL
from stfmkit.datasets._outlines import Outlines
from stfmkit.datasets._programs import Programs
from stfmkit.datasets._section import Elements, Section, named

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from spatialdata import SpatialData

TABLE = "cells"


def build_table(config: CohortConfig, programs: Programs, sections: list[Section]) -> AnnData:
    """Build the table of cells with the truth in it."""
    ids = pd.Index(np.concatenate([s.cell_ids for s in sections]))
    n_cells = [len(s.cells) for s in sections]
    panel = [config.panel_names[config.panel_of(s.patient)] for s in sections]
    obs = pd.DataFrame(
        {
            "patient": pd.Categorical(np.repeat([s.patient for s in sections], n_cells), config.patients),
            "sample": pd.Categorical(np.repeat([s.sample for s in sections], n_cells), [s.sample for s in sections]),
            "panel": pd.Categorical(np.repeat(panel, n_cells), config.panel_names),
            "niche": named(np.concatenate([s.cells.niche for s in sections]), config.niche_names),
            "cell_type": named(np.concatenate([s.cells.cell_type for s in sections]), config.type_names),
            "cell_id": ids,
            "depth": np.concatenate([s.expression.depth for s in sections]),
        },
        index=ids,
    )
    var = programs.truth.copy()
    for name, held in zip(config.panel_names, programs.panels, strict=True):
        var[f"in_panel_{name}"] = held
    pairs = programs.pairs.assign(
        ligand=np.array(config.gene_names)[programs.pairs["ligand"]],
        receptor=np.array(config.gene_names)[programs.pairs["receptor"]],
        sender_niche=np.array(config.niche_names)[programs.pairs["sender_niche"]],
        receiver_niche=np.array(config.niche_names)[programs.pairs["receiver_niche"]],
    )
    return AnnData(
        X=sparse.csr_matrix(sparse.vstack([s.expression.counts for s in sections], format="csr")),
        obs=obs,
        var=var,
        obsm={
            slots.SPATIAL: np.concatenate([s.cells.xy for s in sections]),
            "program_activity": np.concatenate([s.expression.activity for s in sections]),
        },
        varm={"program_weights": programs.weights.T.astype(np.float32)},
        layers={"noise_free": np.concatenate([s.expression.noise_free for s in sections])},
        uns={
            slots.ROOT: {slots.MICRONS: 1.0},
            "synthetic_cohort": {
                "seed": config.seed,
                "programs": np.array(programs.names, dtype=object),
                "ligand_receptor": pairs.set_index(pairs.index.astype(str)),
            },
        },
    )


def build_spatialdata(
    table: AnnData, sections: list[Section], elements: list[Elements], *, polygons: bool
) -> "SpatialData":
    """Build a SpatialData with one coordinate system, in µm, for each section."""
    from spatialdata import SpatialData
    from spatialdata.models import Image2DModel, PointsModel, ShapesModel, TableModel
    from spatialdata.transformations import Identity, Scale

    points, shapes, images = {}, {}, {}
    for section, drawn in zip(sections, elements, strict=True):
        here = {section.sample: Identity()}
        points[f"{section.sample}_transcripts"] = PointsModel.parse(
            drawn.molecules,
            coordinates={"x": "x", "y": "y"},
            feature_key="gene",
            instance_key="cell_id",
            transformations=here,
        )
        shapes[f"{section.sample}_cells"] = ShapesModel.parse(
            _shapes(drawn.outlines, section.cell_ids, polygons=polygons), transformations=here
        )
        if drawn.picture is not None:
            images[f"{section.sample}_he"] = Image2DModel.parse(
                drawn.picture,
                dims=("c", "y", "x"),
                c_coords=["r", "g", "b"],
                transformations={
                    section.sample: Scale([MICRONS_PER_PIXEL, MICRONS_PER_PIXEL], axes=("x", "y")),
                },
            )
    regions = [f"{section.sample}_cells" for section in sections]
    table.obs["region"] = pd.Categorical(table.obs["sample"].astype(str) + "_cells", regions)
    table = TableModel.parse(table, region=regions, region_key="region", instance_key="cell_id")
    return SpatialData(points=points, shapes=shapes, images=images, tables={TABLE: table})


def _shapes(outlines: Outlines, cell_ids: pd.Index, *, polygons: bool) -> "GeoDataFrame":
    """Return the polygons of the cells, or their centres with the radius of a circle of the same area."""
    import shapely
    from geopandas import GeoDataFrame

    if polygons:
        return GeoDataFrame(geometry=shapely.polygons(outlines.corners()), index=cell_ids)
    return GeoDataFrame({"radius": outlines.mean_radius()}, geometry=shapely.points(outlines.xy), index=cell_ids)
