"""A small section with an image on which the colour around every spot is known, as AnnData and as SpatialData.

The image is neither square nor symmetric. Around every spot lies a square block whose four quadrants differ, so that
rows and columns that are exchanged, flips, and offsets by one pixel all change a patch.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from stfmkit.models.card import ModelCard
from stfmkit.models.contract import Block, EmbeddingModel, Patch, Requirements

HEIGHT, WIDTH = 180, 250
BLOCK = 10
"""Side of the painted block of a spot in pixels; the spot is at its centre, between the fifth and the sixth pixel."""

MICRONS_PER_PIXEL = 0.5


@dataclass
class Section:
    """The image, the pixel positions of the spots, and what was painted around them."""

    image: np.ndarray
    centers: np.ndarray
    blocks: np.ndarray
    names: list[str] = field(default_factory=list)

    @property
    def colors(self) -> np.ndarray:
        """Mean colour of the block of every spot (n_spots, 3)."""
        return self.blocks.reshape(len(self.blocks), -1, 3).mean(axis=1)


def paint_section(seed: int = 0) -> Section:
    """Paint a section of 35 spots, on a background that differs at every pixel from its neighbours."""
    rng = np.random.default_rng(seed)
    image = np.empty((HEIGHT, WIDTH, 3), dtype=np.uint8)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            image[y, x] = (y, x, (3 * x + 5 * y) % 256)
    tops, lefts = np.meshgrid(np.arange(12, HEIGHT - 20, 32), np.arange(15, WIDTH - 20, 33), indexing="ij")
    tops = tops.ravel() + rng.integers(0, 5, tops.size)
    lefts = lefts.ravel() + rng.integers(0, 5, lefts.size)
    blocks = np.empty((len(tops), BLOCK, BLOCK, 3), dtype=np.uint8)
    half = BLOCK // 2
    for spot, (top, left) in enumerate(zip(tops, lefts, strict=True)):
        quadrants = rng.integers(0, 256, size=(2, 2, 3))
        for y in range(BLOCK):
            for x in range(BLOCK):
                blocks[spot, y, x] = quadrants[y // half, x // half]
        image[top : top + BLOCK, left : left + BLOCK] = blocks[spot]
    centers = np.column_stack([lefts + half, tops + half]).astype(float)
    return Section(image, centers, blocks, [f"spot{i}" for i in range(len(tops))])


def make_table(section: Section, *, patients: int = 5) -> AnnData:
    """Return counts without any structure, with a patient and a sample for every spot, and no coordinates."""
    n = len(section.centers)
    counts = np.random.default_rng(1).poisson(2.0, size=(n, 12)) + 1
    who = [f"P{i % patients}" for i in range(n)]
    obs = pd.DataFrame({"patient": who, "sample": [f"S{i % patients}" for i in range(n)]}, index=section.names)
    return AnnData(sparse.csr_matrix(counts.astype(np.float32)), obs=obs)


def as_anndata(
    section: Section, *, scale: float = 0.25, microns: bool = True, lowres: bool = False, library: str = "L"
) -> AnnData:
    """Return the section with its image in ``uns["spatial"]``; the full resolution has ``1 / scale`` as many pixels."""
    adata = make_table(section)
    adata.obsm["spatial"] = section.centers / scale
    images = {"hires": section.image}
    factors = {"tissue_hires_scalef": scale, "spot_diameter_fullres": BLOCK / scale}
    if lowres:
        images["lowres"] = shrunk(section.image, 2)
        factors["tissue_lowres_scalef"] = scale / 2
    adata.uns["spatial"] = {library: {"images": images, "scalefactors": factors}}
    if microns:
        adata.uns["stfmkit"] = {"microns_per_unit": MICRONS_PER_PIXEL * scale}
    return adata


def as_spatialdata(
    section: Section,
    matrix: np.ndarray,
    *,
    scale_factors: list[int] | None = None,
    microns: float | None = None,
    order: np.ndarray | None = None,
    chunks: int | None = None,
):
    """Return the section as a SpatialData: image, circles and a table that annotates them.

    Parameters
    ----------
    matrix
        Affine (3, 3) from pixels (x, y, 1) to the coordinate system "tissue".
    microns
        What ``attrs`` say of the unit of "tissue".
    order
        Order of the circles in their element, which is not that of the table.
    """
    import geopandas as gpd
    import shapely
    import spatialdata as sd
    from spatialdata.models import Image2DModel, ShapesModel, TableModel
    from spatialdata.transformations import Affine, Sequence, Translation

    image = Image2DModel.parse(
        np.moveaxis(section.image, 2, 0),
        dims=("c", "y", "x"),
        c_coords=["r", "g", "b"],
        scale_factors=scale_factors,
        chunks=None if chunks is None else (3, chunks, chunks),
        transformations={"tissue": Affine(matrix, input_axes=("x", "y"), output_axes=("x", "y"))},
    )
    places = []
    for x, y in section.centers:  # in the coordinate system, by hand
        places.append(
            (
                matrix[0][0] * x + matrix[0][1] * y + matrix[0][2],
                matrix[1][0] * x + matrix[1][1] * y + matrix[1][2],
            )
        )
    order = np.arange(len(places)) if order is None else order
    # the circles lie in a frame of their own: a tenth of the unit, shifted
    own = (np.array(places) - [7.0, -3.0]) * 10
    circles = gpd.GeoDataFrame(
        {"radius": np.full(len(own), 5.0)},
        geometry=shapely.points(own[order]),
        index=[section.names[i] for i in order],
    )
    way = Sequence(
        [Affine([[0.1, 0, 0], [0, 0.1, 0], [0, 0, 1]], ("x", "y"), ("x", "y")), Translation([7.0, -3.0], ("x", "y"))]
    )
    shapes = ShapesModel.parse(circles, transformations={"tissue": way})
    table = make_table(section)
    table.obs["region"] = pd.Categorical(["spots"] * table.n_obs)
    table.obs["circle"] = section.names
    table = TableModel.parse(table, region="spots", region_key="region", instance_key="circle")
    attrs = {} if microns is None else {"stfmkit": {"microns_per_unit": microns}}
    return sd.SpatialData(images={"he": image}, shapes={"spots": shapes}, tables={"table": table}, attrs=attrs)


def cohort_as_anndata(n_patients: int = 2, *, scales: tuple[float, ...] = (0.25, 0.5)) -> AnnData:
    """Return a section of every patient in one table, on frames that overlap, with libraries in another order."""
    import anndata as ad

    tables = {}
    for patient in range(n_patients):
        scale = scales[patient % len(scales)]
        tables[f"S{patient}"] = as_anndata(paint_section(patient), scale=scale, library=f"S{patient}")
        tables[f"S{patient}"].obs["patient"] = f"P{patient}"
    both = ad.concat(tables, label="sample", index_unique="-")
    both.uns["spatial"] = {name: tables[name].uns["spatial"][name] for name in reversed(tables)}
    return _with_niches(both)


def cohort_as_spatialdata(n_patients: int = 2):
    """Return a section of every patient, with an image, circles and a coordinate system of its own, spots in turn."""
    import anndata as ad
    import spatialdata as sd
    from spatialdata.models import TableModel
    from spatialdata.transformations import get_transformation, set_transformation

    elements, tables, regions = {}, [], []
    for patient in range(n_patients):
        way = rotation(30 - 90 * patient, scale=(1.0 + patient, -1.0 - patient), shift=(5.0, patient))
        one, name = as_spatialdata(paint_section(patient), way), f"S{patient}"
        for key in ("he", "spots"):
            set_transformation(one[key], {name: get_transformation(one[key], "tissue")}, set_all=True)
            elements[f"{name}_{key}"] = one[key]
        table = one["table"].copy()
        table.obs["patient"], table.obs["sample"], table.obs["region"] = f"P{patient}", name, f"{name}_spots"
        table.obsm["spatial"] = one["spots"].geometry.get_coordinates().to_numpy()
        table.obs_names = [f"{name}-{spot}" for spot in table.obs_names]
        tables.append(table)
        regions.append(f"{name}_spots")
    both = ad.concat(tables)
    both.obs["region"] = pd.Categorical(both.obs["region"])
    n_spots = both.n_obs // n_patients
    both = _with_niches(both[np.arange(both.n_obs).reshape(n_patients, n_spots).T.ravel()].copy())
    both.uns.pop("spatialdata_attrs", None)
    elements["table"] = TableModel.parse(both, region=regions, region_key="region", instance_key="circle")
    return sd.SpatialData.init_from_elements(elements)


def cohort_colors(table: AnnData) -> np.ndarray:
    """Return the mean colour of the block of every spot of a cohort, in the order of the table."""
    painted = {f"S{patient}": paint_section(patient).colors for patient in range(table.obs["patient"].nunique())}
    number = table.obs_names.str.extract(r"spot(\d+)")[0].astype(int).to_numpy()
    return np.array([painted[sample][i] for sample, i in zip(table.obs["sample"], number, strict=True)])


def _with_niches(table: AnnData) -> AnnData:
    """Return the table with a niche that only the image tells: red blocks and others."""
    red = cohort_colors(table)[:, 0] > 127.5
    table.obs["niche"] = pd.Categorical(np.where(red, "red", "other"))
    table.obs["sample"], table.obs["patient"] = (table.obs[key].astype("category") for key in ("sample", "patient"))
    return table


class MeanColor(EmbeddingModel):
    """The mean colour of the patch of every observation: the least histology model."""

    card = ModelCard(
        name="mean_color",
        target="tests.histology:MeanColor",
        family="histology",
        summary="Mean red, green and blue of the patch around an observation.",
        needs=("image",),
        dimension=3,
    )

    def __init__(self, *, size: int = BLOCK, microns_per_pixel: float | None = None) -> None:
        self.size, self.microns_per_pixel = size, microns_per_pixel

    def requirements(self) -> Requirements:
        """Ask for patches, a few at a time."""
        patch = Patch(size=self.size, microns_per_pixel=self.microns_per_pixel)
        return replace(super().requirements(), patch=patch, rows_per_part=16)

    def prepare(self, block: Block) -> np.ndarray:
        """Return the patches."""
        return block.read("image")

    def encode(self, batch: np.ndarray) -> np.ndarray:
        """Return their mean colour."""
        return batch.mean(axis=(1, 2))


def rotation(degrees: float, *, scale: tuple[float, float] = (1.0, 1.0), shift: tuple[float, float] = (0.0, 0.0)):
    """Return an affine: scale (negative flips), then rotate, then shift."""
    angle = np.deg2rad(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array(
        [[cos * scale[0], -sin * scale[1], shift[0]], [sin * scale[0], cos * scale[1], shift[1]], [0.0, 0.0, 1.0]]
    )


def shrunk(image: np.ndarray, by: int) -> np.ndarray:
    """Return the image with blocks of `by` × `by` pixels averaged."""
    height, width = image.shape[0] // by, image.shape[1] // by
    whole = image[: height * by, : width * by].astype(float)
    return np.rint(whole.reshape(height, by, width, by, -1).mean(axis=(1, 3))).astype(np.uint8)
