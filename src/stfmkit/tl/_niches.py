"""Niches: clusters of what surrounds every observation."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from stfmkit._core import slots
from stfmkit._core.arguments import check_choice, check_integer, check_key
from stfmkit._core.errors import InputError
from stfmkit._core.random import RNGLike, as_seed, stream
from stfmkit._data.columns import read_groups
from stfmkit._data.view import resolve_table
from stfmkit._data.write_slots import check_free, package_versions, write_record
from stfmkit.evaluation.clusters import METHODS, cluster
from stfmkit.evaluation.stability import Choice, choose_number
from stfmkit.models._load_model import load_model
from stfmkit.models.open_block import open_block
from stfmkit.models.runtime.run import ModelRun
from stfmkit.pp._spatial_graph import spatial_graph

if TYPE_CHECKING:
    from stfmkit._data.view import Container

VERB = "niches"
FEATURES = {"composition": "celltype_composition", "neighbor_pca": "neighbor_pca"}
_NEIGHBORS = {"composition": 10, "neighbor_pca": 25}
_DRAWS, _SHARE, _MOST, _TOLERANCE = 6, 0.8, 5000, 0.025


def niches(
    data: "Container",
    *,
    sample_key: str | None = None,
    features: str = "composition",
    celltype_key: str | None = None,
    layer: str | None = None,
    n_clusters: int | Sequence[int] | None = None,
    n_neighbors: int | None = None,
    radius: float | None = None,
    microns_per_unit: float | None = None,
    n_components: int = 30,
    center_key: str | None = None,
    method: str = "kmeans",
    spatial_key: str = slots.SPATIAL,
    table_key: str | None = None,
    key_added: str = "niche",
    rng: RNGLike = 0,
    copy: bool = False,
) -> pd.Series | None:
    """Cluster observations by their surroundings, over all samples together.

    Neighbours never cross samples; clusters do, so that a niche has one name everywhere. All observations are used: do
    not judge a model on held-out patients by niches that were found with them.

    Parameters
    ----------
    data
        AnnData or SpatialData with coordinates.
    sample_key
        Column of ``obs`` with the sample (section, slide). None says that all observations are one sample on one frame.
    features
        "composition": share of every cell type among an observation and its neighbours (Schürch et al. 2020).
        "neighbor_pca": principal components of log-normalised expression averaged over an observation and its
        neighbours (NichePCA). Patients and depth are part of these components: see `center_key`.
    celltype_key
        For "composition": a column of ``obs`` with one label per observation, or a key of ``obsm`` with shares.
    layer
        Layer with raw counts, for "neighbor_pca"; None for ``X``.
    n_clusters
        Number of clusters, that is of niches. Where it is left out, or several are given, it is chosen without labels:
        six random parts of 80 % of the observations (of 5000 at most) are clustered on their own, stability is the mean
        adjusted Rand index of two parts on what they share, and the largest number within 0.025 of the most stable one
        is taken, from 2 to 12 by default. What is reproducible is often less than what an anatomist sees: in visual
        cortex four niches were chosen where seven are annotated. The whole curve is stored.
    n_neighbors
        Number of neighbours: 10 for "composition" and 25 for "neighbor_pca" where it is left out.
    radius
        In µm, for "composition", instead of `n_neighbors`.
    microns_per_unit
        Length of one coordinate unit in µm; ``uns["stfmkit"]["microns_per_unit"]`` where it is left out. Read with
        `radius` only.
    n_components
        Number of components for "neighbor_pca".
    center_key
        Column of ``obs``; the mean of every group is taken off before clustering, such as that of each patient. Right
        only where groups hold about the same mixture of niches.
    method
        "kmeans", or "gmm" for Gaussians that share one covariance matrix, which suits niches of unequal sizes.
    spatial_key
        Key of the coordinates in ``obsm``.
    table_key
        Table of a SpatialData.
    key_added
        Column of ``obs`` to write. A column that stfmkit did not write is never overwritten.
    rng
        Integer, generator, or None for a new seed, of parts and starts.
    copy
        Return the result and write nothing.

    Returns
    -------
    With ``copy=True`` a categorical Series, "0" being the largest niche. Otherwise None, and writes ``obs[key_added]``
    and parameters into ``uns["stfmkit"]["niches"]["results"][key_added]``, with numbers, stability and spread where the
    number was chosen.

    Raises
    ------
    MissingKeyError
        A column or slot is not there.
    InputError
        Options that other features need, or there are fewer distinct surroundings than niches.
    UnitsError
        A radius with coordinates of unknown unit.

    References
    ----------
    Schürch et al. 2020, Cell 182:1341; NichePCA, Bioinformatics 2025, btaf005; stability of clusterings as a criterion:
    Ben-Hur et al. 2002, Pac Symp Biocomput 7:6.

    Examples
    --------
    >>> import stfmkit as sk
    >>> cells = sk.datasets.synthetic_cohort(2, n_genes=40, size=300, as_="anndata", show_progress=False)
    >>> sk.tl.niches(cells, sample_key="sample", celltype_key="cell_type", n_clusters=3, key_added="found")
    >>> cells.obs["found"].cat.categories.tolist()
    ['0', '1', '2']
    """
    adata = resolve_table(data, table_key=table_key)
    check_choice(features, FEATURES, name="features")
    check_choice(method, METHODS, name="method")
    _check_options(features, celltype_key=celltype_key, layer=layer, radius=radius, n_neighbors=n_neighbors)
    numbers = _numbers(n_clusters)
    check_key(key_added)
    if not copy:
        check_free(adata, "obs", [key_added], step=VERB, result=key_added)
    seed = as_seed(rng)
    groups = None if center_key is None else read_groups(adata, center_key, role="center_key")
    if n_neighbors is None:
        n_neighbors = _NEIGHBORS[features]
    keys: dict[str, Any] = {"sample_key": sample_key, "spatial_key": spatial_key}
    if features == "composition":
        scope: dict[str, Any] = {"radius": radius, "n_neighbors": n_neighbors, "microns_per_unit": microns_per_unit}
        values = _composition(adata, celltype_key=celltype_key, **scope, **keys)
    else:
        values = _neighbor_pca(adata, layer, n_neighbors, n_components, **keys)
    if groups is not None:
        values = values - pd.DataFrame(values).groupby(groups.codes).transform("mean").to_numpy()
    _check_distinct(values, max(numbers))
    choice = None
    if len(numbers) > 1:
        choice = choose_number(
            values, numbers, method=method, seed=seed, n_draws=_DRAWS, share=_SHARE, most=_MOST, tolerance=_TOLERANCE
        )
    n_chosen = numbers[0] if choice is None else choice.chosen
    codes = cluster(values, n_chosen, method=method, rng=stream(seed, "niches", "final"))
    column = pd.Categorical.from_codes(codes, categories=[str(j) for j in range(n_chosen)])
    if copy:
        return pd.Series(column, index=adata.obs_names, name=key_added)
    adata.obs[key_added] = column
    record: dict[str, Any] = {
        "features": features,
        "method": method,
        "n_clusters": n_chosen,
        "celltype_key": celltype_key,
        "layer": layer,
        "center_key": center_key,
        "n_features": values.shape[1],
        "rng": seed,
        **keys,
        "n_neighbors": int(n_neighbors) if radius is None else None,
        "radius": None if radius is None else float(radius),
        **_curve(choice),
        "versions": package_versions("numpy", "scikit-learn"),
    }
    write_record(adata, VERB, key_added, record, wrote={"obs": [key_added]})
    return None


def _curve(choice: Choice | None) -> dict[str, np.ndarray]:
    if choice is None:
        return {}
    return {"numbers": choice.numbers, "stability": choice.stability, "spread": choice.spread}


def _check_options(
    features: str, *, celltype_key: str | None, layer: str | None, radius: float | None, n_neighbors: int | None
) -> None:
    composition = features == "composition"
    if composition and celltype_key is None:
        raise InputError(
            "features='composition' without celltype_key.",
            allowed="an obs column of cell types, or an obsm matrix of shares",
            remedy="pass celltype_key=, or features='neighbor_pca', which reads expression.",
        )
    other = {"layer": layer} if composition else {"celltype_key": celltype_key, "radius": radius}
    given = [name for name, value in other.items() if value is not None]
    if given:
        raise InputError(
            f"features={features!r} with {' and '.join(given)}.",
            allowed="options of these features",
            remedy=f"leave {' and '.join(given)} out, or cluster the other features.",
        )
    if radius is not None and n_neighbors is not None:
        raise InputError(
            f"radius={radius!r} and n_neighbors={n_neighbors!r}.",
            allowed="one of them",
            remedy="leave one of them out.",
        )
    if n_neighbors is not None:
        check_integer(n_neighbors, name="n_neighbors", least=1)


def _numbers(n_clusters: int | Sequence[int] | None) -> list[int]:
    if n_clusters is None:
        return list(range(2, 13))
    given = [n_clusters] if isinstance(n_clusters, int | np.integer) else list(n_clusters)
    for k in given:
        check_integer(k, name="n_clusters", least=2)
    if not given or len(set(given)) < len(given):
        raise InputError(
            f"n_clusters={n_clusters!r}.",
            allowed="a number, or several, each once",
            remedy="pass n_clusters=range(2, 9).",
        )
    return sorted(int(k) for k in given)


def _composition(
    adata: AnnData,
    *,
    celltype_key: str | None,
    radius: float | None,
    n_neighbors: int,
    microns_per_unit: float | None,
    sample_key: str | None,
    spatial_key: str,
) -> np.ndarray:
    model = load_model(FEATURES["composition"], n_neighbors=n_neighbors)
    keys: dict[str, Any] = {"sample_key": sample_key, "spatial_key": spatial_key}
    block = open_block(adata, model.requirements(), model=model.card.name, celltype_key=celltype_key, **keys)
    if radius is None:
        return ModelRun(model).embed(block).astype(np.float64)
    near, _ = spatial_graph(  # type: ignore[misc]
        adata, kind="radius", radius=radius, microns_per_unit=microns_per_unit, copy=True, **keys
    )
    near = sparse.csr_array(near, dtype=np.float64) + sparse.eye_array(adata.n_obs, format="csr")
    return np.asarray((near @ block.read("composition")) / np.asarray(near.sum(axis=1))[:, None])


def _neighbor_pca(
    adata: AnnData, layer: str | None, n_neighbors: int, n_components: int, *, sample_key: str | None, spatial_key: str
) -> np.ndarray:
    model = load_model(FEATURES["neighbor_pca"], n_neighbors=n_neighbors, n_components=n_components)
    block = open_block(
        adata,
        model.requirements(),
        model=model.card.name,
        layer=layer,
        sample_key=sample_key,
        spatial_key=spatial_key,
        stay_on_disk=False,
    )
    return ModelRun(model).fit(block).embed(block).astype(np.float64)


def _check_distinct(values: np.ndarray, most: int) -> None:
    distinct = len(np.unique(values, axis=0)) if len(values) < 10 * most else most
    if distinct < most:
        raise InputError(
            f"{distinct} different surroundings, and {most} niches.",
            allowed="at least one surrounding for every niche",
            remedy="pass a smaller n_clusters.",
        )
