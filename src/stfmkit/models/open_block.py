"""Open what a model reads of a table as a block: every modality becomes a reader here, checked before the work."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
from anndata import AnnData

from stfmkit._core import slots
from stfmkit._core.arguments import listed, nearest
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit._core.matrices import sound_dense
from stfmkit._data.columns import read_column, read_groups, read_obs_text
from stfmkit._data.coordinates import check_one_frame, check_positions, read_coords
from stfmkit._data.images import ImageKey
from stfmkit._data.matrices import check_no_empty, read_counts, read_expression, stored_matrix
from stfmkit._data.names import check_names, read_gene_names
from stfmkit._data.patches import read_patches
from stfmkit._data.rows import ArrayRows, StoredMatrix, is_stored
from stfmkit._data.view import View
from stfmkit.models.contract import Block, Patch, Requirements, Rows

if TYPE_CHECKING:
    from stfmkit._data.view import Container
    from stfmkit.models.card import Modality

_ROUNDING = 1e-3


def open_block(
    data: "Container | View",
    requirements: Requirements,
    *,
    model: str,
    layer: str | None = None,
    sample_key: str | None = None,
    spatial_key: str = slots.SPATIAL,
    celltype_key: str | None = None,
    image_key: ImageKey = None,
    coordinate_system: str | None = None,
    microns_per_unit: float | None = None,
    stay_on_disk: bool = True,
) -> Block:
    """Return what a model reads of a table; nothing that the requirements do not name is read.

    Parameters
    ----------
    data
        The table, or the view of it.
    requirements
        What the model reads.
    model
        Name of the model, for errors.
    layer
        Layer with the matrix; None for ``X``.
    sample_key
        Column of ``obs`` that tells the samples (sections, slides) apart. None where all observations are one sample;
        groups that overlap in space are then refused.
    spatial_key
        Key of the coordinates in ``obsm``.
    celltype_key
        A column of ``obs`` with one label per observation, or a key of ``obsm`` with shares (n_obs, n_types).
    image_key
        The image or images of a SpatialData, or resolutions of ``uns["spatial"]`` such as "hires"; may be left out
        where every observation has one image.
    coordinate_system
        Coordinate system of a SpatialData in which observations meet images; may be left out where all agree.
    microns_per_unit
        Length of one unit in µm, of the coordinates in ``obsm`` of an AnnData, or of the coordinate system; None where
        the data say it, or no patch has a length in µm.
    stay_on_disk
        Leave a matrix of a backed table, or of dask arrays, where it is, and read it part by part.

    Returns
    -------
    A block in the order of ``obs_names``.

    Raises
    ------
    InputError
        Duplicated names, values that are not counts, observations without counts, coordinates that are not finite or
        given twice within a sample, several samples on one frame, shares that are no shares, observations beside
        their image or in several.
    MissingKeyError
        A key or an image that the model needs is not there.
    UnitsError
        The model reads patches of a length in µm, and that of a pixel of the image is not known.
    """
    view = View.of(data)
    adata = view.table
    check_names(adata)
    groups = None if sample_key is None else read_groups(adata, sample_key, role="sample_key")
    codes = None if groups is None else groups.codes.astype(np.int64)
    obs = {key: read_obs_text(adata, key) for key in requirements.obs_keys}
    var = {key: read_gene_names(adata, key) for key in requirements.var_keys}
    inputs: dict[Modality, Rows] = {}
    if "coordinates" in requirements.needs:
        coords = read_coords(adata, spatial_key=spatial_key)
        if codes is None:
            check_one_frame(adata, coords)
        check_positions(coords, codes, adata.obs_names, sample_key=sample_key)
        inputs["coordinates"] = ArrayRows(coords)
    if "composition" in requirements.needs:
        inputs["composition"] = ArrayRows(_read_composition(adata, celltype_key, model=model))
    if "image" in requirements.needs:
        inputs["image"] = read_patches(
            view,
            **asdict(_patch(requirements, model=model)),
            image_key=image_key,
            sample_key=sample_key,
            coordinate_system=coordinate_system,
            spatial_key=spatial_key,
            microns_per_unit=microns_per_unit,
        )
    for need in requirements.needs:
        if need in {"text", "proteins"}:
            raise InputError(
                f"the model {model!r} reads {need}, which no table of stfmkit holds yet.",
                allowed="counts, expression, coordinates, composition and image",
                remedy="choose another model.",
            )
    if requirements.matrix is not None:
        inputs[requirements.matrix] = _open_matrix(adata, requirements, layer=layer, stay_on_disk=stay_on_disk)
    return Block(
        obs_names=adata.obs_names,
        samples=np.zeros(adata.n_obs, dtype=np.int64) if codes is None else codes,
        inputs=inputs,
        genes=None if requirements.matrix is None else adata.var_names,
        obs=obs,
        var=var,
    )


def _open_matrix(adata: AnnData, requirements: Requirements, *, layer: str | None, stay_on_disk: bool) -> Rows:
    kind, stored = requirements.matrix, stored_matrix(adata, layer)
    names = None if requirements.takes_empty else adata.obs_names
    if stay_on_disk and is_stored(stored):
        where = "X" if layer is None else f"layers[{layer!r}]"
        return StoredMatrix(stored, where=where, kind="counts" if kind == "counts" else "expression", obs_names=names)
    values = read_counts(adata, layer) if kind == "counts" else read_expression(adata, layer)
    if names is not None:
        check_no_empty(values, names)
    return ArrayRows(values)


def _patch(requirements: Requirements, *, model: str) -> Patch:
    """Return the patch of an image that a model reads."""
    if requirements.patch is None:
        raise InputError(
            f"the model {model!r} reads an image, and its requirements state no patch.",
            allowed="requirements with patch=Patch(size=..., microns_per_pixel=...)",
            remedy="report this to the author of the model.",
        )
    return requirements.patch


def _read_composition(adata: AnnData, key: str | None, *, model: str) -> np.ndarray:
    if key is None:
        raise MissingKeyError(
            f"the model {model!r} reads cell types, and celltype_key is None.",
            allowed="an obs column of labels, or an obsm matrix of shares",
            remedy="pass celltype_key=; cell types are never invented.",
        )
    in_obs, in_obsm = key in adata.obs.columns, key in adata.obsm
    if in_obs and in_obsm:
        raise InputError(
            f"celltype_key={key!r} is both a column of obs and a key of obsm.",
            allowed="a key that is only one of them",
            remedy="rename one of the two.",
        )
    if in_obs:
        return _one_hot(adata, key)
    if in_obsm:
        return _shares(adata, key)
    known = [*map(str, adata.obs.columns), *adata.obsm]
    raise MissingKeyError(
        f"celltype_key={key!r} is neither a column of obs nor a key of obsm.",
        allowed=listed(known),
        remedy=f"pass one of these as celltype_key.{nearest(str(key), known)}",
    )


def _one_hot(adata: AnnData, key: str) -> np.ndarray:
    if read_column(adata, key, role="celltype_key").dtype.kind == "f":
        raise InputError(
            f"obs[{key!r}] of dtype {adata.obs[key].dtype}.",
            allowed="labels (text, categories or integers)",
            remedy="pass the column with the names of the cell types.",
        )
    labels = read_groups(adata, key, role="celltype_key")
    shares = np.zeros((adata.n_obs, len(labels.categories)))
    shares[np.arange(adata.n_obs), labels.codes] = 1.0
    return shares


def _shares(adata: AnnData, key: str) -> np.ndarray:
    stored = adata.obsm[key]
    shares = sound_dense(stored, name=f"obsm[{key!r}]").astype(np.float64)
    good = shares.ndim == 2 and np.isfinite(shares).all() and (shares >= 0).all()
    if not (good and (shares.sum(axis=1) <= 1 + _ROUNDING).all()):
        raise InputError(
            f"obsm[{key!r}] of shape {shares.shape} holds values that are not shares.",
            allowed="finite shares ≥ 0 of shape (n_obs, n_types), at most 1 in a row",
            remedy="divide every row by its sum.",
        )
    return shares
