"""Score an embedding: what every metric needs of the data, and the rows it adds to the table."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from stfmkit import metrics
from stfmkit._core.errors import StfmkitError
from stfmkit.evaluation.bounds import annotation_bound
from stfmkit.evaluation.embedding_study import EmbeddingStudy
from stfmkit.evaluation.samples import SampleRows
from stfmkit.evaluation.scores import Score, to_table
from stfmkit.metrics._scib import BATCH, BIO
from stfmkit.metrics._scib_biology import kmeans_scores

CONTROL = "control:coordinates"
"""The contender that shows what k-means of the coordinates scores: coherence in space without any biology."""
CHANCE = "control:chance"
"""The contender that shows what chance scores on these data, where it depends on them."""
SECOND = "control:second_annotation"
"""The contender beside which the agreement of two annotations stands, as a ceiling."""
_PROBE_NEIGHBORS, _PURITY_NEIGHBORS, _INDEX_NEIGHBORS, _OVERLAP_NEIGHBORS = 10, 15, 50, 15

Rows = Iterator[Score]
Compute = Callable[[EmbeddingStudy, str], Rows]


def _row(metric: str, value: float = float("nan"), **columns: Any) -> Score:
    """Return a score; of all samples together where it names none."""
    given = {"scope": "sample" if columns.get("sample") else "cohort", "reason": "undefined on these data", **columns}
    return Score(metric=metric, value=float(value), **given)


def _clustered(study: EmbeddingStudy, name: str) -> Rows:
    function = metrics.ari if name == "ari" else metrics.nmi
    labels, second = _needed(study.labels), study.second_labels
    yield _row(name, function(labels, study.clusters), setting=_k(study))
    if second is not None:
        both = second != ""
        agreement = function(labels[both], second[both]) if both.any() else np.nan
        value = float(annotation_bound(agreement))
        yield _row(name, value, setting=_k(study), status="ceiling", contender=SECOND)


def _coherence(study: EmbeddingStudy, name: str) -> Rows:
    """Score domains in space within every sample, for the embedding and for k-means of the coordinates."""
    for domains, contender in ((study.clusters, ""), (study.places, CONTROL)):
        for sample in study.by_sample:
            n_sampled = study.most_silhouettes(len(sample.rows)) if name == "spatial_asw" else None
            setting = _k(study) + (f", n_sampled={n_sampled}" if n_sampled else "")
            where = {"setting": setting, "contender": contender, **sample.columns}
            try:
                value = _coherence_of(study, name, domains, sample=sample, n_sampled=n_sampled)
            except StfmkitError as error:
                yield _row(name, reason=_reason(error), **where)
                continue
            yield _row(name, value, **where)


def _coherence_of(
    study: EmbeddingStudy, name: str, domains: np.ndarray, *, sample: SampleRows, n_sampled: int | None
) -> float:
    rows, coords = sample.rows, _needed(study.coords)
    if name == "fide":
        return metrics.fide(domains[rows], study.graph[rows][:, rows], n_classes=study.n_clusters)
    if name == "spatial_asw":
        seed = study.seed_of(name, sample.sample)
        return metrics.spatial_asw(coords[rows], domains[rows], n_sampled=n_sampled, rng=seed)
    function = metrics.chaos if name == "chaos" else metrics.pas
    return function(coords[rows], domains[rows])


def _domain_jsd(study: EmbeddingStudy, name: str) -> Rows:
    yield _row(name, metrics.domain_jsd(study.clusters, study.samples), setting=_k(study))


def _purity(study: EmbeddingStudy, name: str) -> Rows:
    labels = _needed(study.labels)
    value = metrics.neighborhood_purity(
        study.embedding, labels, n_neighbors=_PURITY_NEIGHBORS, neighbors=study.neighbors
    )
    sizes = np.unique(labels, return_counts=True)[1]
    chance = float(((sizes - 1) / (len(labels) - 1)).mean())
    setting = f"n_neighbors={_PURITY_NEIGHBORS}"
    yield _row(name, value, setting=setting)
    yield _row(name, chance, setting=setting, contender=CHANCE)


def _few_shot(study: EmbeddingStudy, name: str) -> Rows:
    curve = metrics.few_shot_f1(study.embedding, _needed(study.labels), study.patients, rng=study.seed_of(name))
    for size, value in curve["macro_f1"].items():
        reason = f"a class has fewer than {size} labels in the training patients" if np.isnan(value) else ""
        yield _row(name, value, setting=f"labels_per_class={size}", reason=reason)


def _robustness(study: EmbeddingStudy, name: str) -> Rows:
    """Score every confounder; also by neighbours in other samples alone, where one of its levels holds several."""
    for key, groups in study.confounders.items():
        yield from _robustness_of(study, name, key, elsewhere=False)
        if study.spread(groups) and len(np.unique(groups)) > 1:
            yield from _robustness_of(study, name, key, elsewhere=True)


def _robustness_of(study: EmbeddingStudy, name: str, key: str, *, elsewhere: bool) -> Rows:
    labels, groups = _needed(study.labels), study.confounders[key]
    where: dict[str, Any] = {
        "setting": f"confounder={key}, n_neighbors={_INDEX_NEIGHBORS}{', other samples' if elsewhere else ''}"
    }
    exclude = {"exclude": study.samples} if elsewhere else {}
    try:
        near = study.neighbors_elsewhere(_INDEX_NEIGHBORS) if elsewhere else study.neighbors
        value = metrics.robustness_index(
            study.embedding, labels, groups, n_neighbors=_INDEX_NEIGHBORS, neighbors=near, **exclude
        )
    except StfmkitError as error:
        yield _row(name, reason=_reason(error), **where)
        return
    yield _row(name, value, **where)
    chance = metrics.robustness_index_chance(labels, groups, **exclude)
    yield _row(name, chance, contender=CHANCE, **where)


def _probe(study: EmbeddingStudy, name: str) -> Rows:
    for key, groups in study.confounders.items():
        where: dict[str, Any] = {"setting": f"confounder={key}, n_neighbors={_PROBE_NEIGHBORS}"}
        try:
            near = study.standardized_neighbors(_PROBE_NEIGHBORS)
            value = metrics.group_probe_accuracy(study.embedding, groups, n_neighbors=_PROBE_NEIGHBORS, neighbors=near)
        except StfmkitError as error:
            yield _row(name, reason=_reason(error), **where)
            continue
        yield _row(name, value, **where)
        yield _row(name, 1 / len(np.unique(groups)), contender=CHANCE, **where)


def _library_size(study: EmbeddingStudy, name: str) -> Rows:
    yield _row(name, metrics.library_size_r2(study.embedding, _needed(study.depth), study.patients))


def _coordinates(study: EmbeddingStudy, name: str) -> Rows:
    coords = _needed(study.coords)
    for sample in study.by_sample:
        rows, seed = sample.rows, study.seed_of(name, sample.sample)
        try:
            value = metrics.coordinate_r2(study.embedding[rows], coords[rows], study.samples[rows], rng=seed)
        except StfmkitError as error:
            yield _row(name, reason=_reason(error), **sample.columns)
            continue
        yield _row(name, value, **sample.columns)


def _composition(study: EmbeddingStudy, name: str) -> Rows:
    function = {
        "composition_r2": metrics.composition_r2,
        "composition_js": metrics.composition_js,
        "composition_f1": metrics.composition_f1,
    }[name]
    size = f"n_neighbors={study.n_neighbors}" if study.radius is None else f"radius={study.radius:g}"
    yield _row(name, function(*study.composition), setting=size)


def _density(study: EmbeddingStudy, name: str) -> Rows:
    yield _row(name, metrics.density_r2(*study.density), setting=f"radius={study.radius:g}")


def _pair(study: EmbeddingStudy, name: str) -> Rows:
    reference = _needed(study.reference)
    if name == "cka":
        yield _row(name, metrics.cka(study.embedding, reference, debiased=True), setting="debiased")
        return
    other = study.neighbors_of(reference, _OVERLAP_NEIGHBORS, "reference")
    value = metrics.knn_overlap(
        study.embedding, reference, n_neighbors=_OVERLAP_NEIGHBORS, neighbors=study.neighbors, second_neighbors=other
    )
    setting = f"n_neighbors={_OVERLAP_NEIGHBORS}"
    yield _row(name, value, setting=setting)
    yield _row(name, _OVERLAP_NEIGHBORS / (len(reference) - 1), setting=setting, contender=CHANCE)


def _scib(study: EmbeddingStudy, name: str) -> Rows:
    n_sampled = study.most_silhouettes(len(study.embedding)) if name in _SCIB_SILHOUETTES else None
    setting = f"n_sampled={n_sampled}" if n_sampled else ""
    yield _row(name, _scib_value(study, name), setting=setting)


def _scib_value(study: EmbeddingStudy, name: str) -> float:
    if name in study.done:
        return study.done[name]
    given = {
        "embedding": study.embedding,
        "labels": study.labels,
        "batches": study.patients,
        "reference": study.reference,
    }
    spec = metrics.spec(name)
    parts = [given[need] for need in spec.needs]
    if name in _SCIB_SILHOUETTES:
        parts = [_needed(part)[study.sampled] for part in parts]
    if name in _SCIB_KMEANS:  # both from one clustering
        found = kmeans_scores(study.embedding, _needed(study.labels))
        study.done.update({one: found[score] for one, score in _SCIB_KMEANS.items()})
    else:
        more = {"neighbors": study.neighbors} if name in _SCIB_NEIGHBORS else {}
        study.done[name] = float(spec.function(*parts, **more))
    return study.done[name]


def _scib_total(study: EmbeddingStudy, name: str) -> Rows:
    yield _row(name, metrics.scib_total({one: _scib_value(study, one) for one in (*BIO, *BATCH)}))


_SCIB_KMEANS = {"scib_kmeans_nmi": "nmi", "scib_kmeans_ari": "ari"}
_SCIB_SILHOUETTES = {"scib_isolated_labels", "scib_silhouette_label", "scib_bras"}
_SCIB_NEIGHBORS = {"scib_clisi", "scib_ilisi", "scib_kbet", "scib_graph_connectivity"}
_LABEL_SCIB = {*BIO, "scib_graph_connectivity", "scib_bras", "scib_kbet"}
_BATCH_SCIB = {"scib_isolated_labels", "scib_bras", "scib_ilisi", "scib_kbet", "scib_pcr"}


def _scib_needs(name: str) -> tuple[str, ...]:
    needs = ["scib"]
    needs += ["labels"] if name in _LABEL_SCIB else []
    needs += ["patients"] if name in _BATCH_SCIB else []
    return (*needs, "reference") if name == "scib_pcr" else tuple(needs)


PLAN: dict[str, tuple[tuple[str, ...], Compute]] = {
    "ari": (("labels", "clusters"), _clustered),
    "nmi": (("labels", "clusters"), _clustered),
    "neighborhood_purity": (("labels",), _purity),
    "few_shot_f1": (("labels", "patients"), _few_shot),
    "robustness_index": (("labels",), _robustness),
    "group_probe_accuracy": ((), _probe),
    "library_size_r2": (("counts", "patients"), _library_size),
    "coordinate_r2": (("coords",), _coordinates),
    "chaos": (("clusters", "coords"), _coherence),
    "pas": (("clusters", "coords"), _coherence),
    "spatial_asw": (("clusters", "coords"), _coherence),
    "fide": (("clusters", "coords"), _coherence),
    "domain_jsd": (("clusters",), _domain_jsd),
    "composition_r2": (("celltypes", "coords", "patients"), _composition),
    "composition_js": (("celltypes", "coords", "patients"), _composition),
    "composition_f1": (("celltypes", "coords", "patients"), _composition),
    "density_r2": (("radius", "coords", "patients"), _density),
    "cka": (("reference",), _pair),
    "knn_overlap": (("reference",), _pair),
    **{name: (_scib_needs(name), _scib) for name in (*BIO, *BATCH)},
    "scib_total": (("scib", "labels", "patients", "reference"), _scib_total),
}


def score_embedding(study: EmbeddingStudy, names: Sequence[str]) -> pd.DataFrame:
    """Return the scores of every metric named, keys of `PLAN`.

    What lacks its input, or cannot be computed on these data, is a row without a value, with the reason. Scores within
    samples have ``scope="sample"``, those over all observations ``scope="cohort"``; the contender is empty for the
    embedding.
    """
    return to_table(row for name in names for row in _rows(study, name))


def _rows(study: EmbeddingStudy, name: str) -> Rows:
    needs, compute = PLAN[name]
    lacking = [study.absent[need] for need in needs if need in study.absent]
    if lacking:
        yield _row(name, reason="; ".join(lacking))
        return
    try:
        yield from compute(study, name)
    except StfmkitError as error:
        yield _row(name, reason=_reason(error))


def _needed(value: np.ndarray | None) -> np.ndarray:
    return np.empty(0) if value is None else value


def _k(study: EmbeddingStudy) -> str:
    return f"n_clusters={study.n_clusters}"


def _reason(error: StfmkitError) -> str:
    return error.found.rstrip(".")
