"""Embed observations with any model, through one verb."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from stfmkit._core import slots
from stfmkit._core.arguments import check_choice, check_key
from stfmkit._core.errors import InputError, InputTypeError
from stfmkit._core.random import RNGLike
from stfmkit._core.store import Store
from stfmkit._data.columns import read_groups
from stfmkit._data.names import check_names
from stfmkit._data.patches import PatchRows
from stfmkit._data.training import Train, training_rows
from stfmkit._data.view import View
from stfmkit._data.write_slots import check_free_embedding, package_versions, write_embedding
from stfmkit.models._load_model import make_model
from stfmkit.models.contract import Block, EmbeddingModel
from stfmkit.models.open_block import open_block
from stfmkit.models.options import as_stored
from stfmkit.models.runtime.distributed import find_share
from stfmkit.models.runtime.run import ModelRun

if TYPE_CHECKING:
    from stfmkit._data.view import Container


def embed(
    data: "Container",
    model: str | EmbeddingModel = "hvg_pca",
    *,
    table_key: str | None = None,
    sample_key: str | None = None,
    patient_key: str | None = None,
    layer: str | None = None,
    spatial_key: str = slots.SPATIAL,
    celltype_key: str | None = None,
    train: Train = None,
    image_key: str | Sequence[str] | None = None,
    coordinate_system: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    device: str | None = None,
    output: Literal["obs", "genes"] = "obs",
    resume: str | os.PathLike[str] | None = None,
    key_added: str | None = None,
    rng: RNGLike = 0,
    copy: bool = False,
    show_progress: bool = True,
    **options: Any,
) -> np.ndarray | None:
    """Write the embedding of every observation into ``obsm``.

    A model that learns from data (``card.fits``) is fitted on all observations given, which is transductive: do not
    judge such an embedding on held-out patients. `stfmkit.bm.run` fits again within every fold; `train` restricts
    the fit here.

    Parameters
    ----------
    data
        AnnData, or SpatialData with a table of counts.
    model
        A name of `stfmkit.models.list_models`, or an object of a class under `stfmkit.models.EmbeddingModel`, which is
        fitted in place where it fits.
    table_key
        Table of a SpatialData; may be left out where there is one.
    sample_key
        Column of ``obs`` with the sample (section, slide); neighbours never cross samples. May be left out for a single
        sample.
    patient_key
        Column of ``obs`` with the patient; the patients of the fit are recorded.
    layer
        Layer with raw counts; None for ``X``.
    spatial_key
        Key of the coordinates in ``obsm``.
    celltype_key
        Column of ``obs`` with one label per observation, or key of ``obsm`` with shares (n_obs, n_types).
    train
        Training observations: a boolean column of ``obs``, a boolean mask (n_obs,), a fold, or None for all. Models
        are fitted on these only, and embed all; without effect on models that fit nothing.
    image_key
        The images that models of images read: names of images of a SpatialData, or resolutions of ``uns["spatial"]``
        such as "hires"; may be left out where every observation has one image. Libraries of ``uns["spatial"]`` are
        found by the names of the samples.
    coordinate_system
        Coordinate system of a SpatialData in which observations meet images; may be left out where all agree.
    weights
        For networks: None to fetch the published weights, a local folder or file in the published layout,
        ``owner/repository`` of the hub, or "random" for the untrained network.
    device
        For networks: "cpu" (also None), "cuda", "cuda:1", "mps" or "auto".
    output
        "obs" for a vector of every observation, or "genes" for one of every gene, where the model defines it.
    resume
        Folder that keeps finished parts: a run that was stopped goes on where it was. Parts are found again only by
        the same data, model, options and seed, the same content of all files that are read, wherever they lie, and the
        same versions of the model's package and of the libraries that decide numbers.
    key_added
        Key in ``obsm`` (``varm`` for genes); ``X_<model>`` by default. An entry that stfmkit did not write is never
        overwritten.
    rng
        Integer, generator, or None for a new seed, of models that draw random numbers and of untrained networks; the
        integer is recorded, None for models that take no seed.
    copy
        Return the result and write nothing.
    show_progress
        Show a progress bar where the work takes longer than two seconds.
    options
        Options of the model, by name. All networks take ``batch_size`` (observations in a batch, which changes no
        result unless the card says so), ``dtype`` ("float32", or "bfloat16" and "float16" on CUDA),
        ``gene_key``, ``gene_table`` and ``on_empty``.

    Returns
    -------
    None, or with ``copy=True`` the embedding (n_obs, d) as float32. Otherwise writes

    - ``obsm[key_added]``: float32 (n_obs, d), rows in the order of ``obs_names``; or
      ``varm[key_added]``: float32 (n_vars, d), NaN for genes that the model does not know.
    - ``uns["stfmkit"]["embed"]["results"][key_added]`` (``embed_genes`` for genes): model, family, licence, source,
      options, dimension, gene_coverage (share of genes and of counts in use), provenance of the weights (place,
      revision, sha256), n_obs, n_obs_fitted, patients_fitted, the keys that were read, rng, versions, seconds,
      peak_memory_mb (highest of the process so far); for models of images their names, size and resolution of the
      patches, and the share of them that lies outside.

    Raises
    ------
    MissingKeyError
        An unknown model (the nearest is suggested), or a missing key.
    InputError
        Data that the model cannot use, unknown options, or a taken key.
    InputTypeError
        `data` or `model` of a wrong type.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> from anndata import AnnData
    >>> adata = AnnData(np.random.default_rng(0).poisson(2.0, size=(60, 30)).astype("float32"))
    >>> sk.tl.embed(adata, "hvg_pca", n_components=5)
    >>> adata.obsm["X_hvg_pca"].shape
    (60, 5)
    >>> adata.uns["stfmkit"]["embed"]["results"]["X_hvg_pca"]["n_obs_fitted"]
    60
    """
    view = View.of(data, table_key=table_key)
    adata = view.table
    check_choice(output, ("obs", "genes"), name="output")
    if output == "genes" and resume is not None:
        raise InputError(
            "resume= with output='genes'.",
            allowed="resume with vectors of observations",
            remedy="leave resume out: vectors of genes are one result, not parts.",
        )
    check_names(adata)
    patients = None if patient_key is None else read_groups(adata, patient_key, role="patient_key")
    rows = None if train is None else training_rows(adata, train)
    common = {"weights": weights, "device": device}
    made = _made(model, rng, options | {name: value for name, value in common.items() if value is not None})
    fits = made.card.fits
    if output == "genes" and not made.gives_genes:
        raise InputError(
            f"output='genes' of {made.card.name!r}, which defines no vector of a gene.",
            allowed="models with encode_genes(block)",
            remedy="leave output out.",
        )
    key = check_key(slots.embedding(made.card.name) if key_added is None else key_added)
    if not copy:
        check_free_embedding(adata, key, output=output)
    store = None if resume is None else Store(Path(resume), role="resume")
    run = ModelRun(made, store=store, share=find_share(), show_progress=show_progress)
    keys: dict[str, Any] = {
        "layer": layer,
        "sample_key": sample_key,
        "spatial_key": spatial_key,
        "celltype_key": celltype_key,
        "image_key": image_key,
        "coordinate_system": coordinate_system,
    }
    stay = not fits and output == "obs"
    block = open_block(view, made.requirements(), model=made.card.name, stay_on_disk=stay, **keys)
    image = block.inputs.get("image")
    if not _built_in(made):
        block = _copied(block)
    if fits:
        run.fit(block if rows is None else block.take(rows))
    values = run.embed_genes(block) if output == "genes" else run.embed(block)
    if copy:
        return values
    facts = embedding_facts(run, n_obs=block.n_obs, dimension=values.shape[1])
    if fits and patients is not None:
        used = patients if rows is None else patients[rows]
        facts["patients_fitted"] = np.asarray(sorted(set(used)), dtype=str)
    if isinstance(image, PatchRows):
        facts["image"] = image.facts()
    write_embedding(adata, key, values, facts | keys | {"patient_key": patient_key}, output=output)
    return None


def _made(model: str | EmbeddingModel, rng: RNGLike, options: dict[str, Any]) -> EmbeddingModel:
    """Return the model, whose files are not opened yet."""
    if isinstance(model, str):
        return make_model(model, rng=rng, **options)
    if not isinstance(model, EmbeddingModel):
        found = f"the class {model.__name__}" if isinstance(model, type) else f"a model of type {type(model).__name__}"
        raise InputTypeError(
            f"{found}.",
            allowed="a registry name, or an object of a class under sk.models.EmbeddingModel",
            remedy="pass a name of sk.models.list_models(), or an instance.",
        )
    if options or rng != 0:
        given = ", ".join([*options, *([] if rng == 0 else ["rng"])])
        raise InputError(
            f"a model object, and options for it: {given}.",
            allowed="options with a registry name only",
            remedy="set them when the object is built.",
        )
    return model


def _built_in(model: EmbeddingModel) -> bool:
    """Tell whether a model is one of stfmkit's own, which are tested to leave what they read as it is."""
    return type(model).__module__.partition(".")[0] == __name__.partition(".")[0]


def _copied(block: Block) -> Block:
    """Return a block that shares no memory with the table of the caller; what is on disk stays there."""
    copied = block.take(np.arange(block.n_obs))
    return replace(copied, var={name: values.copy() for name, values in block.var.items()})


def embedding_facts(run: ModelRun, *, n_obs: int, dimension: int) -> dict[str, Any]:
    """Return model, licence, options, seed, weights, gene coverage, versions and peak memory, ready for ``uns``."""
    model, card = run.model, run.model.card
    facts: dict[str, Any] = {
        "model": card.name,
        "target": card.target,
        "family": card.family,
        "licence": card.licence,
        "commercial": card.commercial,
        "source": card.source,
        "options": as_stored(model.options()),
        "rng": model.rng,
        "dimension": dimension,
        "n_obs": n_obs,
        "n_obs_fitted": run.n_fitted,
        "seconds": run.seconds,
        "versions": package_versions("anndata") | model.definition().versions,
        "peak_memory_mb": _peak_memory_mb(),
    }
    loaded = model.record()
    if loaded is not None:
        facts["provenance"] = loaded
    return facts | ({"gene_coverage": run.coverage} if run.coverage else {})


def _peak_memory_mb() -> float:
    """Highest resident memory of this process so far; NaN where the system does not tell."""
    import sys

    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
