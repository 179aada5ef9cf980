"""Every metric of an embedding: what it needs of the data, and the rows it adds to the table."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from stfmkit import metrics
from stfmkit._core.errors import StfmkitError
from stfmkit.metrics._scib import BATCH, BIO
from stfmkit.metrics._scib_biology import kmeans_scores
from stfmkit.tl._embedding_study import EmbeddingStudy

CONTROL = "control:coordinates"
_PROBE_K, _PURITY_K, _INDEX_K, _OVERLAP_K = 10, 15, 50, 15


@dataclass(frozen=True, kw_only=True)
class Score:
    """One value, before it is written: what it is about, and where it holds."""

    metric: str
    value: float = float("nan")
    chance: float | None = None
    variable: str = ""
    setting: str = ""
    sample: str = ""
    patient: str = ""
    embedding: str | None = None
    reason: str = ""


Rows = Iterator[Score]
Compute = Callable[[EmbeddingStudy, str], Rows]


def _clustered(study: EmbeddingStudy, name: str) -> Rows:
    function = metrics.ari if name == "ari" else metrics.nmi
    yield Score(metric=name, value=function(_held(study.labels), study.clusters), setting=_k(study))


def _coherence(study: EmbeddingStudy, name: str) -> Rows:
    """Score domains in space, for the embedding and for k-means of the coordinates, by sample and over patients."""
    coords = _held(study.coords)
    for domains, embedding in ((study.clusters, None), (study.places, CONTROL)):
        values: dict[str, float] = {}
        for sample, patient, rows in study.by_sample:
            n_sampled = study.most_silhouettes(len(rows)) if name == "spatial_asw" else None
            setting = _k(study) + (f", n_sampled={n_sampled}" if n_sampled else "")
            where = {"sample": sample, "patient": patient, "setting": setting, "embedding": embedding}
            try:
                if name == "fide":
                    part = study.graph[rows][:, rows]
                    value = metrics.fide(domains[rows], part, n_classes=study.n_clusters)
                elif name == "spatial_asw":
                    seed = study.seed_of(name, sample)
                    value = metrics.spatial_asw(coords[rows], domains[rows], n_sampled=n_sampled, rng=seed)
                else:
                    function = metrics.chaos if name == "chaos" else metrics.pas
                    value = function(coords[rows], domains[rows])
            except StfmkitError as error:
                yield Score(metric=name, reason=_reason(error), **where)  # type: ignore[arg-type]
                continue
            values[sample] = value
            yield Score(metric=name, value=value, **where)  # type: ignore[arg-type]
        if values:
            yield Score(metric=name, value=study.patient_mean(values), setting=_k(study), embedding=embedding)


def _domain_jsd(study: EmbeddingStudy, name: str) -> Rows:
    yield Score(metric=name, value=metrics.domain_jsd(study.clusters, study.samples), setting=_k(study))


def _purity(study: EmbeddingStudy, name: str) -> Rows:
    labels = _held(study.labels)
    value = metrics.neighborhood_purity(study.embedding, labels, n_neighbors=_PURITY_K, neighbors=study.neighbors)
    sizes = np.unique(labels, return_counts=True)[1]
    chance = float(((sizes - 1) / (len(labels) - 1)).mean())
    yield Score(metric=name, value=value, chance=chance, setting=f"k={_PURITY_K}")


def _few_shot(study: EmbeddingStudy, name: str) -> Rows:
    curve = metrics.few_shot_f1(study.embedding, _held(study.labels), study.patients, rng=study.seed_of(name))
    for size, value in curve["macro_f1"].items():
        reason = f"a class has fewer than {size} labels in the training patients" if np.isnan(value) else ""
        yield Score(metric=name, value=value, setting=f"labels_per_class={size}", reason=reason)


def _robustness(study: EmbeddingStudy, name: str) -> Rows:
    labels = _held(study.labels)
    for key, groups in study.confounders.items():
        where = {"variable": key, "setting": f"k={_INDEX_K}"}
        try:
            value = metrics.robustness_index(
                study.embedding, labels, groups, n_neighbors=_INDEX_K, neighbors=study.neighbors
            )
        except StfmkitError as error:
            yield Score(metric=name, reason=_reason(error), **where)  # type: ignore[arg-type]
            continue
        chance = metrics.robustness_index_chance(labels, groups)
        yield Score(metric=name, value=value, chance=chance, **where)
        if study.spread(groups):
            yield _robustness_of_others(study, name, key)


def _robustness_of_others(study: EmbeddingStudy, name: str, key: str) -> Score:
    """Score neighbours in other samples alone, as a level of this confounder holds several."""
    labels, groups = _held(study.labels), study.confounders[key]
    where = {"variable": key, "setting": f"k={_INDEX_K}, other samples"}
    try:
        near = study.neighbors_elsewhere(_INDEX_K)
        value = metrics.robustness_index(
            study.embedding, labels, groups, n_neighbors=_INDEX_K, exclude=study.samples, neighbors=near
        )
    except StfmkitError as error:
        return Score(metric=name, reason=_reason(error), **where)  # type: ignore[arg-type]
    chance = metrics.robustness_index_chance(labels, groups, exclude=study.samples)
    return Score(metric=name, value=value, chance=chance, **where)


def _probe(study: EmbeddingStudy, name: str) -> Rows:
    for key, groups in study.confounders.items():
        where = {"variable": key, "setting": f"k={_PROBE_K}"}
        try:
            value = metrics.group_probe_accuracy(
                study.embedding, groups, n_neighbors=_PROBE_K, neighbors=study.standardized_neighbors(_PROBE_K)
            )
        except StfmkitError as error:
            yield Score(metric=name, reason=_reason(error), **where)  # type: ignore[arg-type]
            continue
        yield Score(metric=name, value=value, chance=1 / len(np.unique(groups)), **where)


def _library_size(study: EmbeddingStudy, name: str) -> Rows:
    yield Score(metric=name, value=metrics.library_size_r2(study.embedding, _held(study.depth), study.patients))


def _coordinates(study: EmbeddingStudy, name: str) -> Rows:
    values: dict[str, float] = {}
    coords = _held(study.coords)
    for sample, patient, rows in study.by_sample:
        try:
            value = metrics.coordinate_r2(
                study.embedding[rows], coords[rows], study.samples[rows], rng=study.seed_of(name, sample)
            )
        except StfmkitError as error:
            yield Score(metric=name, sample=sample, patient=patient, reason=_reason(error))
            continue
        values[sample] = value
        yield Score(metric=name, value=value, sample=sample, patient=patient)
    if values:
        yield Score(metric=name, value=study.patient_mean(values))


def _composition(study: EmbeddingStudy, name: str) -> Rows:
    function = {
        "composition_r2": metrics.composition_r2,
        "composition_js": metrics.composition_js,
        "composition_f1": metrics.composition_f1,
    }[name]
    size = f"k={study.n_neighbors}" if study.radius is None else f"radius={study.radius:g}"
    yield Score(metric=name, value=function(*study.composition), setting=size)


def _density(study: EmbeddingStudy, name: str) -> Rows:
    yield Score(metric=name, value=metrics.density_r2(*study.density), setting=f"radius={study.radius:g}")


def _pair(study: EmbeddingStudy, name: str) -> Rows:
    reference = _held(study.reference)
    if name == "cka":
        yield Score(metric=name, value=metrics.cka(study.embedding, reference, debiased=True), setting="debiased")
        return
    other = study.neighbors_of(reference, _OVERLAP_K, "reference")
    value = metrics.knn_overlap(
        study.embedding, reference, n_neighbors=_OVERLAP_K, neighbors=study.neighbors, second_neighbors=other
    )
    yield Score(metric=name, value=value, chance=_OVERLAP_K / (len(reference) - 1), setting=f"k={_OVERLAP_K}")


def _scib(study: EmbeddingStudy, name: str) -> Rows:
    n_sampled = study.most_silhouettes(len(study.embedding)) if name in _SCIB_SILHOUETTES else None
    setting = f"n_sampled={n_sampled}" if n_sampled else ""
    yield Score(metric=name, value=_scib_value(study, name), setting=setting)


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
        parts = [_held(part)[study.sampled] for part in parts]
    if name in _SCIB_KMEANS:  # both from one clustering
        found = kmeans_scores(study.embedding, _held(study.labels))
        study.done.update({one: found[score] for one, score in _SCIB_KMEANS.items()})
    else:
        more = {"neighbors": study.neighbors} if name in _SCIB_NEIGHBORS else {}
        study.done[name] = float(spec.function(*parts, **more))
    return study.done[name]


def _scib_total(study: EmbeddingStudy, name: str) -> Rows:
    yield Score(metric=name, value=metrics.scib_total({one: _scib_value(study, one) for one in (*BIO, *BATCH)}))


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


def scores(study: EmbeddingStudy, names: Sequence[str]) -> Rows:
    """Yield the scores of every metric named; one row with the reason where it cannot be computed."""
    for name in names:
        needs, compute = PLAN[name]
        lacking = [study.absent[need] for need in needs if need in study.absent]
        if lacking:
            yield Score(metric=name, reason="; ".join(lacking))
            continue
        try:
            yield from compute(study, name)
        except StfmkitError as error:
            yield Score(metric=name, reason=_reason(error))


def _held(value: np.ndarray | None) -> np.ndarray:
    return np.empty(0) if value is None else value


def _k(study: EmbeddingStudy) -> str:
    return f"n_clusters={study.n_clusters}"


def _reason(error: StfmkitError) -> str:
    return error.found.rstrip(".")
