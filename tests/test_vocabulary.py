"""One name for one thing, one meaning and one default, in the parameters of all public functions.

A parameter is a shared word (`SHARED`), a word of metrics (`OF_METRICS`), or is declared as particular to its function
(`OWN`). A new word is thus a conscious edit of this file; a synonym of a shared word is refused.
"""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from tests.test_conventions import _section, public_functions

REQUIRED = inspect.Parameter.empty
ANY = object()
"""The default is as the function says."""


@dataclass(frozen=True)
class Word:
    """A parameter that several functions share.

    Attributes
    ----------
    meaning
        What it is.
    defaults
        What it may be by default; REQUIRED where a function needs it, ANY where it depends on the function.
    says
        Words that every description of it holds.
    positional
        Whether it may be given by position.
    """

    meaning: str
    defaults: tuple[object, ...]
    says: str = ""
    positional: bool = False


SHARED = {
    "data": Word("AnnData or SpatialData, first", (REQUIRED,), positional=True),
    "results": Word("results of sk.bm.run, or a table of them, first", (REQUIRED,), positional=True),
    "patient_key": Word("column of obs: patient", (REQUIRED, None), "with the patient"),
    "sample_key": Word("column of obs: section, slide", (REQUIRED, None), "the sample (section, slide)"),
    "label_key": Word("column of obs: region, niche, domain, cell type", (REQUIRED, None), positional=True),
    "celltype_key": Word("column of obs of cell types, or matrix of obsm of their shares", (None,)),
    "panel_key": Word("column of obs: gene panel", (None,), "Column of ``obs`` with the gene panel"),
    "layer": Word("layer with raw counts or measured values, None for X", (None,), "Layer with"),
    "prediction": Word("layer, key in obsm, or table", (REQUIRED, None), positional=True),
    "spatial_key": Word("key of coordinates in obsm", ("spatial",), "Key of the coordinates in ``obsm``"),
    "microns_per_unit": Word("length of a coordinate unit in µm", (None,), "Length of one coordinate unit in µm"),
    "table_key": Word("table of a SpatialData", (None,), "Table of a SpatialData"),
    "coordinate_system": Word("coordinate system of a SpatialData", (None,), "Coordinate system of a SpatialData"),
    "image_key": Word("images to read", (None,), "The images that models of images read"),
    "graph_key": Word("key in obsp of spatial weights", (None,), "Key in ``obsp`` of spatial weights"),
    "embedding_key": Word("key in obsm of an embedding", (REQUIRED, None), positional=True),
    "control_key": Word("column that is true for controls", (None,), "that is true for control features"),
    "train": Word(
        "training observations",
        (None,),
        "Training observations: a boolean column of ``obs``, a boolean mask (n_obs,), a fold, or None",
    ),
    "split": Word("splitter of patients, slides or blocks", (None,)),
    "scale": Word("scale of expression", (ANY,), "Scale of the expression"),
    "target_sum": Word("library size that observations are scaled to", (None,), "Library size that all observations"),
    "library_size_key": Word("column of obs: library size", (None,)),
    "selector": Word("how genes are chosen", ("reliable_svg",), "How genes are chosen"),
    "limits": Word("when a gene is flagged", (None,), "Limits of the flags, None for the defaults of `GeneLimits`"),
    "radius": Word("distance in µm", (None,), "In µm"),
    "n_genes": Word("number of genes", (ANY,), "Number of genes", positional=True),
    "n_neighbors": Word("number of neighbours", (ANY,), "Number of neighbours"),
    "n_clusters": Word("number of clusters", (ANY,), "Number of clusters"),
    "n_components": Word("number of components", (ANY,), "Number of components"),
    "n_permutations": Word("number of random orders", (ANY,), "Number of random orders"),
    "n_labels": Word("number of things that are named on a plot", (ANY,), "Number of"),
    "min_obs": Word("least number of observations", (ANY,)),
    "hest_compat": Word("as HEST-Benchmark does it", (False,)),
    "key_added": Word("name of the slots that are written", (ANY,)),
    "copy": Word("return the result, write nothing", (False,), "Return the result and write nothing"),
    "rng": Word("integer, generator or None", (0,), "Integer, generator, or None for a new seed"),
    "n_jobs": Word("number of processes", (1,), "Number of processes"),
    "show_progress": Word("progress bar", (True,), "Show a progress bar where the work takes longer than two seconds"),
    "options": Word("passed on by keyword", (REQUIRED,)),
    "overwrite": Word("replace what has this name", (False,)),
    "key": Word("which result a plot shows", (ANY,), "Key of the result: the ``key_added`` of the verb"),
    "ax": Word("axes to draw on", (None,), "Axes to draw on, None for a new figure"),
    "show": Word("show the figure", (False,), "Show the figure"),
    "save": Word("path of an image file", (None,), "Path of an image file to write, None for none"),
    "task": Word("name of a task", (REQUIRED, None), positional=True),
    "contenders": Word("what is compared", (REQUIRED, None, ()), positional=True),
    "setting": Word("how a metric was applied, as in the column of scores", ("",), positional=True),
    "scope": Word("what a score is about, as in the column of scores", ("",)),
    "card": Word("facts of a model or of a method", (REQUIRED,), positional=True),
    "runnable": Word("only what can be run here, or cannot", (None,)),
    "metric": Word("name of a metric", (ANY,)),
    "family": Word("family of models or metrics", (None,)),
    "name": Word("registered name", (REQUIRED,), positional=True),
}
"""The vocabulary."""

SYNONYMS = {
    "adata": "data",
    "sdata": "data",
    "observations": "results",
    "batch_key": "sample_key",
    "library_key": "sample_key",
    "slide_key": "sample_key",
    "donor_key": "patient_key",
    "cluster_key": "label_key",
    "niche_key": "label_key",
    "domain_key": "label_key",
    "cell_type_key": "celltype_key",
    "true_layer": "layer",
    "counts_layer": "layer",
    "pred_layer": "prediction",
    "pred_key": "prediction",
    "pred_niche_key": "predicted_label_key",
    "pred_scale": "scale",
    "basis": "spatial_key",
    "graph": "graph_key",
    "use_rep": "embedding_key",
    "reference_rep": "reference_key",
    "rows": "train",
    "train_mask": "train",
    "target": "scale",
    "normalize": "scale",
    "flavor": "selector or method",
    "target_flavor": "selector",
    "test_ids": "test_patients",
    "k": "n_neighbors, n_components, …",
    "n": "n_genes, …",
    "n_top": "n_genes",
    "n_top_genes": "n_genes",
    "n_neighs": "n_neighbors",
    "n_perms": "n_permutations",
    "n_null": "n_permutations",
    "min_spots": "min_obs",
    "min_cells": "min_obs",
    "key_prefix": "key_added",
    "inplace": "copy",
    "seed": "rng",
    "random_state": "rng",
    "n_cpus": "n_jobs",
    "n_threads": "n_jobs",
    "n_workers": "n_jobs",
    "verbose": "show_progress",
    "figure": "ax",
    "fig": "ax",
    "axes": "ax",
    "filename": "save",
}
"""Names that are refused, and the word to take instead."""

OWN = {
    "bm.audit": {"protocol"},
    "bm.run": {"protocol", "tasks", "out", "allow"},
    "bm.register_task": {"task"},
    "datasets.gene_table": {"species", "release", "gtf", "folder"},
    "datasets.synthetic_cohort": {
        "n_patients", "n_sections", "size", "cell_density", "n_niches", "n_cell_types", "counts_per_cell",
        "patient_effect", "depth_sigma", "dropout", "n_panels", "n_controls", "as_", "image", "polygons",
    },
    "io.read": {"path", "kind"},
    "metrics.describe": {"status"},
    "metrics.metric": {"title", "label", "higher_is_better", "bounds", "source", "summary", "over", "over_genes"},
    "metrics.register_metric": {"function"},
    "models.load_model": {"weights"},
    "pl.coexpression": {"which", "max_labels"},
    "pl.gene_sparsity": {"x", "y"},
    "pl.niche_signatures": {"kind", "niches"},
    "pl.spatial_bins": {"color", "sample", "cmap"},
    "pl.benchmark": {"intervals"},
    "pl.tissue_maps": {"samples", "panel_size"},
    "pp.align_panels": {"genes"},
    "pp.bin": {"grid", "columns", "points_key", "min_qv", "drop_controls", "mask", "min_inside", "carry", "chunk_size"},
    "pp.filter_genes": {"flags", "min_reliability", "max_slide_r2"},
    "pp.select_genes": {"test_patients", "min_panel_share", "min_reliability"},
    "pp.spatial_graph": {"kind"},
    "pp.split": {"splitter"},
    "pp.xisium": {"like", "origin", "angle"},
    "service.make_request": {"values", "folder"},
    "service.read_request": {"path"},
    "service.report_to": {"progress"},
    "service.run": {"request", "progress"},
    "tl.annotate": {"reference", "method"},
    "tl.coexpression": {
        "method", "genes", "covariate", "order", "lr_pairs", "null_model", "window", "n_orders", "n_modules",
        "n_eigenvectors",
    },
    "tl.domains": {"method", "per_sample"},
    "tl.embed": {"model", "weights", "device", "output", "resume"},
    "tl.evaluate_embedding": {"second_label_key", "confounder_keys", "reference_key", "neighbor_search", "metrics"},
    "tl.evaluate_expression": {"train_mean"},
    "tl.niche_signatures": {
        "predicted_label_key", "sizes", "min_auroc", "min_log2fc", "min_pct", "alpha", "null_model",
        "ceiling", "within_patient",
    },
    "tl.niches": {"features", "method", "center_key"},
    "tl.predict_expression": {"genes", "ridge_alpha", "n_inner", "max_components"},
}  # fmt: skip
"""Words that are particular to a function."""

OF_METRICS = {
    "X", "a", "adjust", "alpha", "alternative", "b", "batches", "biology", "ceiling", "celltypes", "chance",
    "confounder", "continuity", "coords", "covariate", "data_range", "debiased", "diagonal", "direction", "dispersion",
    "embed",
    "embedding", "exclude", "first", "floor", "graph", "groups", "half_a", "half_b", "labels", "library_size", "mask",
    "method", "min_auroc", "min_log2fc", "min_pct", "n_a", "n_b", "n_classes", "n_eigenvectors", "n_folds",
    "n_draws", "min_z", "n_modules", "n_motions",
    "n_orders", "n_repeats", "n_sampled", "neighbors", "null", "order", "p", "pairs", "patients", "predicted",
    "reference", "reliability", "rings", "samples", "scores", "second", "second_neighbors", "share",
    "statistics", "targets", "threshold",
    "tie_correct", "train_mean", "truth", "value", "window",
}  # fmt: skip
"""Words of pure functions of arrays, beside the shared ones."""

METRICS_MAY = frozenset({"graph", "axes"})
"""Synonyms elsewhere, which are arrays in metrics."""


def faults(name: str, function: Callable[..., Any]) -> list[str]:
    """Return what is wrong with the parameters of a public function."""
    found = []
    namespace = name.partition(".")[0]
    for parameter in inspect.signature(function).parameters.values():
        word = parameter.name
        if word in SYNONYMS and not (namespace == "metrics" and word in METRICS_MAY):
            found.append(f"{word}: call it {SYNONYMS[word]}")
        elif word in OWN.get(name, ()) or (namespace == "metrics" and word in OF_METRICS):
            continue
        elif word not in SHARED:
            found.append(f"{word}: neither a shared word nor declared in OWN")
        else:
            found += _misuse(parameter, SHARED[word], metric=namespace == "metrics")
    return found


def _misuse(parameter: inspect.Parameter, word: Word, *, metric: bool) -> list[str]:
    found = []
    if ANY not in word.defaults and not metric and not any(_equal(parameter.default, d) for d in word.defaults):
        allowed = ["required" if d is REQUIRED else repr(d) for d in word.defaults]
        found.append(f"{parameter.name}={parameter.default!r}: by default {' or '.join(allowed)}")
    by_position = parameter.kind in {parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD}
    if by_position and not word.positional and not metric and parameter.default is not REQUIRED:
        found.append(f"{parameter.name}: by keyword only")
    return found


def _equal(one: object, other: object) -> bool:
    return one is other or (type(one) is type(other) and one == other)


def descriptions(function: Callable[..., Any]) -> dict[str, str]:
    """Return the description of every parameter, as one line."""
    out: dict[str, str] = {}
    text = _section(inspect.getdoc(function) or "", "Parameters")
    for heading, body in re.findall(r"^(\S[^\n]*)\n((?:[ \t]+[^\n]*\n?|\n)+)", text, flags=re.MULTILINE):
        for name in heading.split(","):
            out[name.strip(" *")] = " ".join(body.split())
    return out


def wrong_texts(function: Callable[..., Any]) -> list[str]:
    """Return the shared parameters whose description does not say what it says elsewhere."""
    said = descriptions(function)
    return [f"{name}: {SHARED[name].says!r}" for name in said if name in SHARED and SHARED[name].says not in said[name]]


def functions() -> list[Any]:
    """Return the public functions as parameters of a test."""
    return [pytest.param(name, function, id=name) for name, function in public_functions()]


@pytest.mark.parametrize(("name", "function"), functions())
def test_words_have_one_meaning_and_one_default(name: str, function: Callable[..., Any]) -> None:
    assert faults(name, function) == []


@pytest.mark.parametrize(("name", "function"), functions())
def test_shared_words_are_described_alike(name: str, function: Callable[..., Any]) -> None:
    if not name.startswith("metrics."):
        assert wrong_texts(function) == []


def test_tables_hold_what_is_there() -> None:
    public = dict(public_functions())
    assert not set(SYNONYMS) & (set(SHARED) | set().union(*OWN.values()))
    for name, words in OWN.items():
        if name in public:
            assert words <= set(inspect.signature(public[name]).parameters), name
        assert not words & set(SHARED) - {"task"}, name


def _plot_names() -> list[str]:
    return [name for name, _ in public_functions() if name.startswith("pl.")]


READS_A_RESULT = {"pl.coexpression", "pl.niche_signatures"}
"""Plots of what a verb wrote under its ``key_added``; the others read columns or a table."""


@pytest.mark.parametrize("name", _plot_names())
def test_plots_take_axes_show_and_save(name: str) -> None:
    function = getattr(import_module("stfmkit.pl"), name.removeprefix("pl."))
    signature = inspect.signature(function)
    assert {"ax", "show", "save"} <= set(signature.parameters)
    assert ("key" in signature.parameters) == (name in READS_A_RESULT)
    assert next(iter(signature.parameters)) in {"data", "results"}
    assert signature.return_annotation in {"Axes", np.ndarray}, "Axes, or an array of Axes"


# planted faults


def _seeded(data: Any, *, seed: int = 0) -> None:
    """Do something."""


def _other_default(data: Any, *, spatial_key: str = "X_spatial", copy: bool = True) -> None:
    """Do something."""


def _required_seed(data: Any, *, rng: int) -> None:
    """Do something."""


def _false_for_zero(data: Any, *, rng: int = False) -> None:
    """Do something."""


def _by_position(data: Any, layer: str | None = None) -> None:
    """Do something."""


def _new_word(data: Any, *, wobble: float = 1.0) -> None:
    """Do something."""


def _old_first(adata: Any) -> None:
    """Do something."""


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (_seeded, ["seed: call it rng"]),
        (_other_default, ["spatial_key='X_spatial': by default 'spatial'", "copy=True: by default False"]),
        (_required_seed, [f"rng={REQUIRED!r}: by default 0"]),
        (_false_for_zero, ["rng=False: by default 0"]),
        (_by_position, ["layer: by keyword only"]),
        (_new_word, ["wobble: neither a shared word nor declared in OWN"]),
        (_old_first, ["adata: call it data"]),
    ],
)
def test_planted_faults_are_seen(function: Callable[..., Any], expected: list[str]) -> None:
    assert faults("pp.new", function) == expected


@pytest.mark.parametrize("synonym", sorted(SYNONYMS))
def test_every_synonym_is_refused(synonym: str) -> None:
    namespace: dict[str, Any] = {}
    exec(f"def new(data, *, {synonym}=None): pass", namespace)
    assert faults("tl.new", namespace["new"]) == [f"{synonym}: call it {SYNONYMS[synonym]}"]


def test_a_word_of_one_function_is_no_word_of_another() -> None:
    def like(data: Any, *, like: Any = None) -> None:
        """Do something."""

    assert faults("pp.xisium", like) == []
    assert faults("pp.split", like) == ["like: neither a shared word nor declared in OWN"]


def test_another_description_is_seen() -> None:
    def described(data: Any, *, rng: int = 0, layer: str | None = None) -> None:
        """Do something.

        Parameters
        ----------
        data
            AnnData.
        rng
            The seed
            of all.
        layer
            Layer with raw counts, None for ``X``.
        """

    assert descriptions(described)["rng"] == "The seed of all."
    assert wrong_texts(described) == ["rng: 'Integer, generator, or None for a new seed'"]
