"""Judge an embedding with one call."""

import time
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData

from stfmkit._core import slots
from stfmkit._core.arguments import check_choice, check_integer, check_key, check_known, check_positive, listed
from stfmkit._core.errors import InputError
from stfmkit._core.matrices import check_sparse
from stfmkit._core.progress import progress
from stfmkit._core.random import RNGLike, as_seed
from stfmkit._data.columns import read_groups, read_labels
from stfmkit._data.coordinates import read_coords, read_microns_per_unit
from stfmkit._data.embeddings import read_embedding
from stfmkit._data.matrices import read_totals, table_of
from stfmkit._data.patients import read_patients_and_samples
from stfmkit._data.view import resolve_table
from stfmkit._data.write_slots import check_free, package_versions, read_record, write_record
from stfmkit.evaluation.averages import score_tables
from stfmkit.evaluation.embedding import CHANCE, CONTROL, PLAN, SECOND, score_embedding
from stfmkit.evaluation.embedding_study import EmbeddingStudy
from stfmkit.evaluation.scores import concat_scores
from stfmkit.metrics._neighbors import METHODS

if TYPE_CHECKING:
    from stfmkit._data.view import Container

VERB = "evaluate_embedding"


def evaluate_embedding(
    data: "Container",
    embedding_key: str,
    *,
    patient_key: str,
    sample_key: str,
    label_key: str | None = None,
    second_label_key: str | None = None,
    celltype_key: str | None = None,
    confounder_keys: Sequence[str] = (),
    reference_key: str | None = None,
    metrics: Sequence[str] | None = None,
    n_clusters: int | None = None,
    n_neighbors: int = 20,
    radius: float | None = None,
    neighbor_search: str = "exact",
    layer: str | None = None,
    spatial_key: str = slots.SPATIAL,
    microns_per_unit: float | None = None,
    table_key: str | None = None,
    key_added: str = "embedding_scores",
    rng: RNGLike = 0,
    copy: bool = False,
    show_progress: bool = True,
) -> dict[str, pd.DataFrame] | None:
    """Score an embedding: labels, integration, leaks, coherence in space, niche tasks, and likeness to a reference.

    What lacks its input is listed with the reason, never left out. Nothing is fitted across patients that are held
    out, but the embedding itself may be: judge one that was fitted on all patients with `stfmkit.bm.run`.

    Parameters
    ----------
    data
        AnnData, or SpatialData with a table.
    embedding_key
        Key of the embedding in ``obsm``, (n_obs, d).
    patient_key, sample_key
        Columns of ``obs`` with the patient and with the sample (section, slide); a sample is of one patient and has its
        own coordinates.
    label_key
        Column of ``obs`` with niches or regions. Observations without a label are left out of all scores.
    second_label_key
        Column of ``obs`` with a second annotation of the same regions: the root of what both agree on is the ceiling of
        ``ari`` and ``nmi``, in rows of the contender ``control:second_annotation``.
    celltype_key
        Column of ``obs`` with cell types, for the composition of neighbourhoods.
    confounder_keys
        More columns of ``obs`` that an embedding should not tell, such as the panel or the platform. The patient is
        always one.
    reference_key
        Key in ``obsm`` of another embedding, such as ``X_hvg_pca``: the one before integration for principal
        component regression, and the one that CKA and neighbour overlap compare with.
    metrics
        Names of metrics; all where it is left out.
    n_clusters
        Number of clusters of k-means, for ARI, NMI and the coherence of domains; the number of labels where it is left
        out.
    n_neighbors
        Number of neighbours for the composition task, where no `radius` is given.
    radius
        In µm: the neighbourhood for composition and density.
    neighbor_search
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
        Integer, generator, or None for a new seed, of k-means, folds and draws.
    copy
        Return the result and write nothing.
    show_progress
        Show a progress bar where the work takes longer than two seconds.

    Returns
    -------
    With ``copy=True``, a dict of tables for this embedding. Otherwise None, and writes

    - ``uns[key_added]["scores"]``: one row for every metric, setting and sample, with the columns of all scores of
      stfmkit; the contender is the embedding, the scope is "sample", or "cohort" where all observations are scored
      together; a metric without a value has the reason. ``control:coordinates`` is what k-means of the coordinates
      scores: coherence in space without any biology. ``control:chance`` is what chance scores, where it depends on the
      data. Bounds and directions are those of `sk.metrics.spec`.
    - ``uns[key_added]["by_patient"]`` and ``["summary"]``: scores within samples averaged over the samples of a
      patient, and over patients; a score of all observations is its own mean.
    - ``uns["stfmkit"]["evaluate_embedding"]["results"][key_added][embedding_key]``: keys, settings, numbers of
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
    >>> cells.uns["embedding_scores"]["scores"][["metric", "status", "reason"]].values.tolist()
    [['ari', 'scored', ''], ['density_r2', 'undefined', 'no radius: pass radius= in µm']]
    """
    started = time.perf_counter()
    adata = resolve_table(data, table_key=table_key)
    names = _names(metrics)
    check_key(key_added)
    if not copy:
        check_free(adata, "uns", [key_added], step=VERB, result=key_added)
    check_choice(neighbor_search, METHODS, name="neighbor_search")
    check_integer(n_neighbors, name="n_neighbors", least=1)
    if n_clusters is not None:
        check_integer(n_clusters, name="n_clusters", least=2)
    keys: dict[str, Any] = {
        "patient_key": patient_key,
        "sample_key": sample_key,
        "label_key": label_key,
        "second_label_key": second_label_key,
        "celltype_key": celltype_key,
        "confounder_keys": list(confounder_keys),
        "reference_key": reference_key,
        "layer": layer,
        "spatial_key": spatial_key,
    }
    seed = as_seed(rng)
    settings = {"n_clusters": n_clusters, "n_neighbors": n_neighbors, "search": neighbor_search, "seed": seed}
    length = _length(adata, radius, microns_per_unit)
    study, kept = _study(adata, embedding_key, keys, {**settings, "radius": length})
    stated = {**keys, "n_clusters": n_clusters, "n_neighbors": n_neighbors, "neighbor_search": neighbor_search}
    stated |= {"radius": radius, "rng": seed, "n_obs": int(kept.sum())}
    if not copy:
        _check_same(adata, key_added, embedding_key, stated)
    parts = [score_embedding(study, [name]) for name in progress(names, label="score", show=show_progress)]
    scores = concat_scores(parts)
    scores = scores.assign(contender=scores["contender"].replace("", embedding_key))
    if copy:
        return score_tables(scores)
    record = {**stated, "seconds": time.perf_counter() - started, "versions": _versions()}
    _write(adata, key_added, embedding_key, scores=scores, record=record)
    return None


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


def _study(
    adata: AnnData, embedding_key: str, keys: dict[str, Any], settings: dict[str, Any]
) -> tuple[EmbeddingStudy, np.ndarray]:
    """Read and check everything; what is not there is recorded with its reason."""
    absent: dict[str, str] = {}
    embedding = read_embedding(adata, embedding_key).astype(np.float64)
    reference = None
    if keys["reference_key"] is None:
        absent["reference"] = "no reference: pass reference_key=, such as 'X_hvg_pca'"
    else:
        reference = read_embedding(adata, keys["reference_key"], role="reference_key").astype(np.float64)
    patients, samples = map(
        np.asarray,
        read_patients_and_samples(adata, patient_key=keys["patient_key"], sample_key=keys["sample_key"]),
    )
    confounders = {keys["patient_key"]: patients} | {
        key: np.asarray(read_groups(adata, key, role="confounder_keys")) for key in keys["confounder_keys"]
    }
    kept = np.ones(adata.n_obs, dtype=bool)
    labels = second = celltypes = None
    if keys["label_key"] is None:
        absent["labels"] = "no labels: pass label_key="
    else:
        categories = read_labels(adata, keys["label_key"])
        kept, labels = categories.codes >= 0, np.asarray(categories)
    if keys["second_label_key"] is not None:
        second = read_labels(adata, keys["second_label_key"], role="second_label_key")
        second = np.where(second.codes >= 0, np.asarray(second, dtype=object), "").astype(str)
    if keys["celltype_key"] is None:
        absent["celltypes"] = "no cell types: pass celltype_key="
    else:
        celltypes = np.asarray(read_groups(adata, keys["celltype_key"], role="celltype_key"))
    coords = _coords(adata, keys["spatial_key"], absent)
    if settings["radius"] is None:
        absent["radius"] = "no radius: pass radius= in µm"
    if len(np.unique(patients[kept])) < 2:
        absent["patients"] = "one patient, and two are needed to hold one out or to compare"
    if find_spec("scib_metrics") is None:
        absent["scib"] = "scib-metrics is not installed: pip install 'stfmkit[scib]'"
    if settings["n_clusters"] is None and labels is not None:
        settings = settings | {"n_clusters": len(np.unique(labels[kept]))}
    if settings["n_clusters"] is None or settings["n_clusters"] < 2:
        absent["clusters"] = "no number of clusters: pass label_key= with two labels or more, or n_clusters="
    read = {
        "embedding": embedding,
        "patients": patients,
        "samples": samples,
        "labels": labels,
        "second_labels": second,
        "celltypes": celltypes,
        "coords": coords,
        "depth": _depth(adata, keys["layer"], absent),
        "reference": reference,
    }
    parts: dict[str, Any] = {name: None if part is None else part[kept] for name, part in read.items()}
    parts["confounders"] = {key: values[kept] for key, values in confounders.items()}
    study = EmbeddingStudy(**parts, **settings, absent=absent)
    return study, kept


def _coords(adata: AnnData, key: str, absent: dict[str, str]) -> np.ndarray | None:
    if key not in adata.obsm:
        absent["coords"] = f"no coordinates in obsm[{key!r}]: pass spatial_key="
        return None
    return read_coords(adata, spatial_key=key)


def _depth(adata: AnnData, layer: str | None, absent: dict[str, str]) -> np.ndarray | None:
    whole = table_of(adata)
    if layer is None and whole.X is None:
        absent["counts"] = "no counts: the table has no X; pass layer="
        return None
    if layer is None or layer in whole.layers:  # damage is no lack of counts
        check_sparse(
            whole.X if layer is None else whole.layers[layer], name="X" if layer is None else f"layers[{layer!r}]"
        )
    try:
        return read_totals(adata, layer)
    except InputError as error:
        absent["counts"] = f"no counts: {error.found.rstrip('.')}; pass layer="
        return None


def _versions() -> dict[str, str]:
    packages = ["anndata", "numpy", "scipy", "scikit-learn"]
    packages += ["scib-metrics"] if find_spec("scib_metrics") is not None else []
    return package_versions(*packages)


def _before(adata: AnnData, key_added: str) -> dict[str, Any]:
    """Return the records of the embeddings that have been scored under this key."""
    return (read_record(adata, VERB, key_added) or {}) if key_added in adata.uns else {}


def _check_same(adata: AnnData, key_added: str, embedding_key: str, stated: dict[str, Any]) -> None:
    """Refuse to put scores of different settings into one table."""
    for other, facts in _before(adata, key_added).items():
        changed = [key for key, value in stated.items() if not np.array_equal(facts.get(key), value)]
        if other != embedding_key and changed:
            raise InputError(
                f"uns[{key_added!r}] holds scores of {other!r} with another {listed(changed)}.",
                allowed="one table of scores with the same settings",
                remedy="pass key_added= with another name, or the same settings.",
            )


def _write(adata: AnnData, key_added: str, embedding_key: str, *, scores: pd.DataFrame, record: dict[str, Any]) -> None:
    """Write the scores beside those of other embeddings; rows of this one, and of the controls, are replaced."""
    before = _before(adata, key_added)
    parts = [scores]
    if before:
        held = adata.uns[key_added]["scores"]
        controls = scores["contender"].isin([CONTROL, CHANCE, SECOND])
        anew = scores.loc[controls, "metric"].unique()
        old_controls = held["contender"].isin([CONTROL, CHANCE, SECOND]) & held["metric"].isin(anew)
        parts.insert(0, held[(held["contender"] != embedding_key) & ~old_controls])
    adata.uns[key_added] = score_tables(concat_scores(parts))
    write_record(adata, VERB, key_added, {**before, embedding_key: record}, wrote={"uns": [key_added]})
