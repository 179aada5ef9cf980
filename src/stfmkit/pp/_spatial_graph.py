"""Spatial graphs, one for each sample."""

import warnings
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from stfmkit._core import slots
from stfmkit._core.arguments import check_choice, check_integer, check_key, check_positive, listed
from stfmkit._core.errors import InputError, StfmkitWarning
from stfmkit._data.columns import read_groups
from stfmkit._data.coordinates import check_one_frame, check_positions, read_coords, read_microns_per_unit
from stfmkit._data.names import check_names
from stfmkit._data.view import resolve_table
from stfmkit._data.write_slots import check_free, package_versions, write_record

if TYPE_CHECKING:
    from stfmkit._data.view import Container

STEP = "spatial_graph"
Edges: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]
KINDS = ("knn", "radius", "delaunay", "grid")


def spatial_graph(
    data: "Container",
    *,
    sample_key: str | None,
    kind: str = "knn",
    n_neighbors: int = 6,
    radius: float | None = None,
    microns_per_unit: float | None = None,
    spatial_key: str = slots.SPATIAL,
    table_key: str | None = None,
    key_added: str = "spatial",
    copy: bool = False,
) -> tuple[sparse.csr_matrix, sparse.csr_matrix] | None:
    """Connect observations that are neighbours in space, never across samples.

    The graphs are built by squidpy, sample by sample.

    Parameters
    ----------
    data
        AnnData or SpatialData with coordinates (n_obs, 2) in ``obsm``.
    sample_key
        Column of ``obs`` with the sample (section, slide). None says that all observations are one sample in one
        coordinate system; what looks like several samples that overlap is refused.
    kind
        "knn": the `n_neighbors` nearest; row i of the result holds the neighbours of i, so it need not be symmetric.
        "radius": all within `radius`. "delaunay": a triangulation, without edges longer than `radius` where it is
        given. "grid": the `n_neighbors` of a lattice (6 for Visium, 4 for squares), without the farther ones that
        observations at a border would get.
    n_neighbors
        Number of neighbours, for "knn" and "grid".
    radius
        In µm, for "radius" and "delaunay"; the unit of the coordinates must be known.
    microns_per_unit
        Length of one coordinate unit in µm, None for ``uns["stfmkit"]["microns_per_unit"]``; read where `radius` is
        given only.
    spatial_key
        Key of the coordinates in ``obsm``.
    table_key
        Table of a SpatialData.
    key_added
        Prefix of the ``obsp`` keys that are written.
    copy
        Return the result and write nothing.

    Returns
    -------
    With ``copy=True``, connectivities (1 for an edge) and distances, both (n_obs, n_obs) CSR. Otherwise None, and
    writes ``obsp["spatial_connectivities"]``, ``obsp["spatial_distances"]`` (in units of the coordinates; in steps
    of the lattice for "grid"), parameters in ``uns["stfmkit"]["spatial_graph"]["results"]``, and
    ``uns["spatial_neighbors"]`` for squidpy.

    Raises
    ------
    UnitsError
        A radius with coordinates of unknown unit.
    InputError
        Coordinates are missing, doubled or not finite, a sample is too small, or samples overlap on one frame.

    Warns
    -----
    StfmkitWarning
        Observations without any neighbour.

    Examples
    --------
    >>> import numpy as np, pandas as pd, anndata as ad
    >>> import stfmkit as sk
    >>> x, y = np.meshgrid(np.arange(4.0), np.arange(4.0))
    >>> place = np.column_stack([x.ravel(), y.ravel()])
    >>> obs = pd.DataFrame({"section": ["S1"] * 16 + ["S2"] * 16}, index=[f"spot{i}" for i in range(32)])
    >>> adata = ad.AnnData(np.ones((32, 1), dtype="float32"), obs=obs, obsm={"spatial": np.vstack([place, place])})
    >>> sk.pp.spatial_graph(adata, sample_key="section", kind="grid", n_neighbors=4)
    >>> adata.obsp["spatial_connectivities"].sum(axis=1).A1.max().item()
    4.0
    """
    adata = resolve_table(data, table_key=table_key)
    check_choice(kind, KINDS, name="kind")
    check_integer(n_neighbors, name="n_neighbors", least=1)
    keys = slots.spatial_graph(check_key(key_added))
    if not copy:
        check_free(adata, "obsp", keys, step=STEP, result=key_added)
        check_free(adata, "uns", [f"{key_added}_neighbors"], step=STEP, result=key_added)
    length = _radius_in_units(adata, kind, radius, microns_per_unit)
    check_names(adata)
    coords = read_coords(adata, spatial_key=spatial_key)
    samples = _samples(adata, coords, sample_key)
    _check_sizes(samples, kind, n_neighbors)
    near, far = _build(coords, samples, kind=kind, n_neighbors=n_neighbors, radius=length)
    alone = int((np.diff(near.indptr) == 0).sum())
    if alone:
        warnings.warn(
            f"{alone} of {adata.n_obs} observations have no neighbour in the {kind} graph.",
            StfmkitWarning,
            stacklevel=2,
        )
    if copy:
        return near, far
    adata.obsp[keys[0]], adata.obsp[keys[1]] = near, far
    params: dict[str, Any] = {"kind": kind, "sample_key": sample_key, "spatial_key": spatial_key}
    if kind in {"knn", "grid"}:
        params["n_neighbors"] = int(n_neighbors)
    if length is not None and radius is not None:
        params |= {"radius_um": float(radius), "radius": length}
    adata.uns[f"{key_added}_neighbors"] = {
        "connectivities_key": keys[0],
        "distances_key": keys[1],
        "params": {"n_neighbors": int(n_neighbors), "coord_type": "grid" if kind == "grid" else "generic"},
    }
    params["versions"] = package_versions("squidpy")
    write_record(adata, STEP, key_added, params, wrote={"obsp": keys, "uns": [f"{key_added}_neighbors"]})
    return None


def _radius_in_units(adata: AnnData, kind: str, radius: float | None, microns: float | None) -> float | None:
    if radius is None:
        if kind == "radius":
            raise InputError("kind='radius' without radius.", allowed="a radius in µm", remedy="pass radius=...")
        return None
    if kind not in {"radius", "delaunay"}:
        raise InputError(
            f"radius={radius!r} with kind={kind!r}.",
            allowed="radius with kind='radius' or kind='delaunay'",
            remedy="leave radius out, or pass kind='radius'.",
        )
    check_positive(radius, name="radius")
    return float(radius) / read_microns_per_unit(adata, microns)


def _samples(adata: AnnData, coords: np.ndarray, sample_key: str | None) -> np.ndarray:
    if sample_key is None:
        check_positions(coords, None, adata.obs_names, sample_key=None)
        check_one_frame(adata, coords)
        return np.full(adata.n_obs, "all")
    samples = read_groups(adata, sample_key, role="sample_key")
    labels = np.asarray(samples).astype(str)
    check_positions(coords, labels, adata.obs_names, sample_key=sample_key)
    return labels


def _check_sizes(samples: np.ndarray, kind: str, n_neighbors: int) -> None:
    least = {"knn": n_neighbors + 1, "grid": n_neighbors + 1, "delaunay": 3, "radius": 1}[kind]
    sizes = pd.Series(samples).value_counts()
    small = sizes.index[sizes < least].astype(str)
    if len(small):
        raise InputError(
            f"samples with fewer than {least} observations: {listed(small, most=5)}.",
            allowed=f"at least {least} observations in a sample for kind={kind!r} with {n_neighbors} neighbours",
            remedy="drop these samples, lower n_neighbors, or pass kind='radius'.",
        )


def _build(
    coords: np.ndarray, samples: np.ndarray, *, kind: str, n_neighbors: int, radius: float | None
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    from squidpy.gr import neighbors

    if kind == "knn":
        builder = neighbors.KNNBuilder(n_neighs=n_neighbors)
    elif kind == "grid":
        builder = neighbors.GridBuilder(n_neighs=n_neighbors)
    elif kind == "radius":
        builder = neighbors.RadiusBuilder(radius=radius)
    else:
        builder = neighbors.DelaunayBuilder(radius=radius)
    names, codes = np.unique(samples, return_inverse=True)
    pieces: tuple[list[Edges], list[Edges]] = ([], [])
    for code in range(len(names)):
        rows = np.flatnonzero(codes == code)
        for piece, block in zip(pieces, builder.build(coords[rows]), strict=True):
            edges = sparse.coo_array(block)
            piece.append((rows[edges.row], rows[edges.col], edges.data))  # rows of the whole table
    return _joined(pieces[0], len(coords), np.float32), _joined(pieces[1], len(coords), np.float64)


def _joined(pieces: list[Edges], n_obs: int, dtype: type) -> sparse.csr_matrix:
    """Return one graph of the whole table, without explicit zeros."""
    row, col, data = map(np.concatenate, zip(*pieces, strict=True))
    graph = sparse.csr_matrix((data.astype(dtype), (row, col)), shape=(n_obs, n_obs))
    graph.eliminate_zeros()
    graph.sort_indices()
    return graph
