"""Judge an embedding with one call."""

import time
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData

from stfmkit import metrics
from stfmkit._core import slots
from stfmkit._core.arguments import check_choice, check_integer, check_known, check_positive, listed, nearest
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit._core.progress import progress
from stfmkit._core.random import RNGLike, as_generator, int_seed
from stfmkit._data.columns import read_groups, read_labels
from stfmkit._data.coordinates import read_coords, read_microns_per_unit
from stfmkit._data.matrices import read_totals
from stfmkit._data.view import resolve_table
from stfmkit._data.write import check_free, package_versions, write_result
from stfmkit.metrics._checks import table as check_table
from stfmkit.metrics._neighbors import METHODS
from stfmkit.tl._embedding_scores import PLAN, Score, scores
from stfmkit.tl._embedding_study import EmbeddingStudy, check_one_patient_each

if TYPE_CHECKING:
    from stfmkit._data.view import Container

STEP = "evaluate_embedding"
_DIRECTION = {True: "higher", False: "lower", None: "none"}


def evaluate_embedding(
    data: "Container",
    use_rep: str,
    *,
    patient_key: str,
    sample_key: str,
    label_key: str | None = None,
    celltype_key: str | None = None,
    confounder_keys: Sequence[str] = (),
    reference_rep: str | None = None,
    metrics: Sequence[str] | None = None,
    n_clusters: int | None = None,
    n_neighbors: int = 20,
    radius: float | None = None,
    neighbors: str = "exact",
    layer: str | None = None,
    spatial_key: str = slots.SPATIAL,
    microns_per_unit: float | None = None,
    table_key: str | None = None,
    key_added: str = "embedding_scores",
    rng: RNGLike = 0,
    copy: bool = False,
    show_progress: bool = True,
) -> pd.DataFrame | None:
    """Score an embedding: labels, integration, leaks, coherence in space, niche tasks, and likeness to a reference.

    What lacks its input is listed with the reason, never left out. Nothing is fitted across patients that are held
    out, but the embedding itself may be: judge one that was fitted on all patients with `stfmkit.bm.run`.

    Parameters
    ----------
    data
        AnnData, or SpatialData with a table.
    use_rep
        Key of the embedding in ``obsm``, (n_obs, d).
    patient_key, sample_key
        Columns of ``obs`` with the patient, and with the sample; a sample is of one patient and has its own frame.
    label_key
        Column of ``obs`` with niches or regions. Observations without a label are left out of all scores.
    celltype_key
        Column of ``obs`` with cell types, for the composition of neighbourhoods.
    confounder_keys
        More columns of ``obs`` that an embedding should not tell, such as the panel or the platform. The patient is
        always one.
    reference_rep
        Key in ``obsm`` of another embedding, such as ``X_hvg_pca``: the one before integration for principal
        component regression, and the one that CKA and neighbour overlap compare with.
    metrics
        Names of metrics; all where it is left out.
    n_clusters
        Clusters of k-means for ARI, NMI and the coherence of domains; the number of labels where it is left out.
    n_neighbors
        Neighbourhood of the composition task where no `radius` is given.
    radius
        Neighbourhood in µm, for composition and density.
    neighbors
        "exact", or "approximate" for a million observations. They are found once, at the largest k. With
        "approximate", silhouettes, whose time grows with the square of the observations, are those of 10 000 drawn by
        `rng` where there are more: against all of their sample in space, against each other in the embedding. The
        column "setting" says so.
    layer
        Layer with raw counts for the library size; None for ``X``.
    spatial_key
        Key of the coordinates in ``obsm``.
    microns_per_unit
        Length of one coordinate unit in µm; ``uns["stfmkit"]["microns_per_unit"]`` where it is left out. Only read
        where `radius` is given.
    table_key
        Table of a SpatialData.
    key_added
        Key in ``uns``. Rows of other embeddings there are kept, and those of this one replaced.
    rng
        Seed or generator of k-means, folds and draws.
    copy
        Return the rows of this embedding and write nothing.
    show_progress
        Show a bar on standard error once two seconds have passed.

    Returns
    -------
    With ``copy=True`` a table with the columns embedding, metric, value, direction ("higher", "lower" is better, or
    "none"), low, high (bounds, NaN where there is none), chance (NaN where unknown), variable (the confounder),
    setting, sample and patient (empty for a score over all), status ("computed" or "not computed") and reason. A
    score over samples is the mean over patients of the mean over their samples. Rows of "control:coordinates" show
    what k-means of the coordinates scores: coherence in space without any biology. Otherwise None, and writes

    - ``uns[key_added]``: the table.
    - ``uns["stfmkit"]["evaluate_embedding"]["results"][key_added][use_rep]``: keys, settings, numbers of
      observations, seed, versions, seconds.

    Raises
    ------
    MissingKeyError
        A key or metric that is not there; the nearest is suggested.
    InputError
        Missing ids, an embedding that is not finite, a sample of two patients, a taken key, or a table there that was
        made with other settings.
    UnitsError
        `radius` is given, and the unit of the coordinates is unknown.

    Examples
    --------
    >>> import stfmkit as sk
    >>> cells = sk.datasets.synthetic_cohort(2, n_genes=40, size=250, as_="anndata", show_progress=False)
    >>> sk.tl.embed(cells, "hvg_pca", n_components=5)
    >>> keys = {"patient_key": "patient", "sample_key": "sample", "label_key": "niche"}
    >>> sk.tl.evaluate_embedding(cells, "X_hvg_pca", metrics=["ari", "density_r2"], **keys)
    >>> cells.uns["embedding_scores"][["metric", "status", "reason"]].values.tolist()
    [['ari', 'computed', ''], ['density_r2', 'not computed', 'no radius: pass radius= in µm']]
    """
    started = time.perf_counter()
    adata = resolve_table(data, table_key=table_key)
    names = _names(metrics)
    if not copy:
        _check_key(adata, key_added)
    check_choice(neighbors, METHODS, name="neighbors")
    check_integer(n_neighbors, name="n_neighbors", least=1)
    if n_clusters is not None:
        check_integer(n_clusters, name="n_clusters", least=2)
    keys: dict[str, Any] = {
        "patient_key": patient_key,
        "sample_key": sample_key,
        "label_key": label_key,
        "celltype_key": celltype_key,
        "confounder_keys": list(confounder_keys),
        "reference_rep": reference_rep,
        "layer": layer,
        "spatial_key": spatial_key,
    }
    seed = int(rng) if isinstance(rng, (int, np.integer)) else int_seed(as_generator(rng))
    settings = {"n_clusters": n_clusters, "n_neighbors": n_neighbors, "search": neighbors, "seed": seed}
    length = _length(adata, radius, microns_per_unit)
    study, kept = _study(adata, use_rep, keys, {**settings, "radius": length})
    stated = _stated({**keys, **settings, "radius": radius, "n_obs": int(kept.sum())})
    if not copy:
        _check_same(adata, key_added, use_rep, stated)
    rows = [row for name in progress(names, label="score", show=show_progress) for row in scores(study, [name])]
    found = _table(rows, use_rep)
    if copy:
        return found
    _write(adata, key_added, found, facts={use_rep: {**stated, "seconds": time.perf_counter() - started}})
    return None


def _check_key(adata: AnnData, key: str) -> None:
    if not (isinstance(key, str) and key) or "/" in key or key == slots.ROOT:
        raise InputError(
            f"key_added={key!r}.", allowed=f"text without '/', not {slots.ROOT!r}", remedy="pass another key_added."
        )
    check_free(adata, "uns", [key], step=STEP)


def _names(wanted: Sequence[str] | None) -> list[str]:
    names = list(PLAN) if wanted is None else [wanted] if isinstance(wanted, str) else list(wanted)
    for name in names:
        check_known(name, PLAN, what="metric of an embedding", remedy="pass some of these.")
    return list(dict.fromkeys(names))


def _length(adata: AnnData, radius: float | None, microns_per_unit: float | None) -> float | None:
    if radius is None:
        return None
    check_positive(radius, name="radius")
    return float(radius) / read_microns_per_unit(adata, microns_per_unit)


def _embedding(adata: AnnData, key: str, *, role: str) -> np.ndarray:
    if key not in adata.obsm:
        raise MissingKeyError(
            f"{role}={key!r}, but there is no such obsm.",
            allowed=listed(adata.obsm),
            remedy=f"embed first: sk.tl.embed(adata, model).{nearest(key, list(adata.obsm))}",
        )
    return np.asarray(check_table(np.asarray(adata.obsm[key]), name=f"obsm[{key!r}]"), dtype=np.float64)


def _study(
    adata: AnnData, use_rep: str, keys: dict[str, Any], settings: dict[str, Any]
) -> tuple[EmbeddingStudy, np.ndarray]:
    """Read and check everything; what is not there is recorded with its reason."""
    absent: dict[str, str] = {}
    embedding = _embedding(adata, use_rep, role="use_rep")
    reference = None
    if keys["reference_rep"] is None:
        absent["reference"] = "no reference: pass reference_rep=, such as 'X_hvg_pca'"
    else:
        reference = _embedding(adata, keys["reference_rep"], role="reference_rep")
    groups = {role: np.asarray(read_groups(adata, keys[role], role=role)) for role in ("patient_key", "sample_key")}
    check_one_patient_each(groups["sample_key"], groups["patient_key"])
    confounders = {keys["patient_key"]: groups["patient_key"]} | {
        key: np.asarray(read_groups(adata, key, role="confounder_keys")) for key in keys["confounder_keys"]
    }
    kept = np.ones(adata.n_obs, dtype=bool)
    labels = celltypes = None
    if keys["label_key"] is None:
        absent["labels"] = "no labels: pass label_key="
    else:
        found = read_labels(adata, keys["label_key"])
        kept, labels = found.codes >= 0, np.asarray(found)
    if keys["celltype_key"] is None:
        absent["celltypes"] = "no cell types: pass celltype_key="
    else:
        celltypes = np.asarray(read_groups(adata, keys["celltype_key"], role="celltype_key"))
    coords = _coords(adata, keys["spatial_key"], absent)
    if settings["radius"] is None:
        absent["radius"] = "no radius: pass radius= in µm"
    if len(np.unique(groups["patient_key"][kept])) < 2:
        absent["patients"] = "one patient, and two are needed to hold one out or to compare"
    if find_spec("scib_metrics") is None:
        absent["scib"] = "scib-metrics is not installed: pip install 'stfmkit[scib]'"
    if settings["n_clusters"] is None and labels is not None:
        settings = settings | {"n_clusters": len(np.unique(labels[kept]))}
    if settings["n_clusters"] is None or settings["n_clusters"] < 2:
        absent["clusters"] = "no number of clusters: pass label_key= with two labels or more, or n_clusters="
    given = {
        "embedding": embedding,
        "patients": groups["patient_key"],
        "samples": groups["sample_key"],
        "labels": labels,
        "celltypes": celltypes,
        "coords": coords,
        "depth": _depth(adata, keys["layer"], absent),
        "reference": reference,
    }
    parts: dict[str, Any] = {name: None if part is None else part[kept] for name, part in given.items()}
    parts["confounders"] = {key: values[kept] for key, values in confounders.items()}
    study = EmbeddingStudy(**parts, **settings, absent=absent)
    return study, kept


def _coords(adata: AnnData, key: str, absent: dict[str, str]) -> np.ndarray | None:
    if key not in adata.obsm:
        absent["coords"] = f"no coordinates in obsm[{key!r}]: pass spatial_key="
        return None
    return read_coords(adata, spatial_key=key)


def _depth(adata: AnnData, layer: str | None, absent: dict[str, str]) -> np.ndarray | None:
    if layer is None and adata.X is None:
        absent["counts"] = "no counts: the table has no X; pass layer="
        return None
    try:
        return read_totals(adata, layer)
    except InputError as error:
        absent["counts"] = f"no counts: {error.found.rstrip('.')}; pass layer="
        return None


def _table(rows: list[Score], use_rep: str) -> pd.DataFrame:
    lines = []
    for row in rows:
        spec = metrics.spec(row.metric)
        chance = spec.chance if row.chance is None else row.chance
        undefined = np.isnan(row.value)
        lines.append(
            {
                "embedding": row.embedding or use_rep,
                "metric": row.metric,
                "value": float(row.value),
                "direction": _DIRECTION[spec.higher_is_better],
                "low": np.nan if spec.bounds[0] is None else spec.bounds[0],
                "high": np.nan if spec.bounds[1] is None else spec.bounds[1],
                "chance": np.nan if chance is None else chance,
                "variable": row.variable,
                "setting": row.setting,
                "sample": row.sample,
                "patient": row.patient,
                "status": "not computed" if undefined else "computed",
                "reason": (row.reason or "undefined on these data") if undefined else "",
            }
        )
    return _indexed(pd.DataFrame(lines))


def _indexed(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_axis(pd.Index([str(i) for i in range(len(table))]), axis=0)


def _stated(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings as values that a file can hold."""
    return {key: "none" if value is None else value for key, value in settings.items()}


def _before(adata: AnnData, key_added: str) -> dict[str, Any]:
    results = adata.uns.get(slots.ROOT, {}).get(STEP, {}).get("results", {})
    return dict(results.get(key_added, {})) if key_added in adata.uns else {}


def _check_same(adata: AnnData, key_added: str, use_rep: str, stated: dict[str, Any]) -> None:
    """Refuse to put scores of different settings into one table."""
    for other, facts in _before(adata, key_added).items():
        changed = [key for key, value in stated.items() if not np.array_equal(facts.get(key), value)]
        if other != use_rep and changed:
            raise InputError(
                f"uns[{key_added!r}] holds scores of {other!r} with another {listed(changed)}.",
                allowed="one table of scores with the same settings",
                remedy="pass key_added= with another name, or the same settings.",
            )


def _write(adata: AnnData, key_added: str, found: pd.DataFrame, *, facts: dict[str, dict[str, Any]]) -> None:
    before = _before(adata, key_added)
    held = adata.uns[key_added] if before else found.iloc[:0]
    kept = held[~held["embedding"].isin([*facts, *found["embedding"]])]  # the control too, where it is anew
    adata.uns[key_added] = _indexed(pd.concat([part for part in (kept, found) if len(part)]))
    packages = ["anndata", "numpy", "scipy", "scikit-learn"]
    packages += ["scib-metrics"] if find_spec("scib_metrics") is not None else []
    versions = package_versions(*packages)
    params = before | {name: {**of, "versions": versions} for name, of in facts.items()}
    write_result(adata, STEP, key_added, params, wrote=[key_added])
