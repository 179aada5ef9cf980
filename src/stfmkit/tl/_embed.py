"""Embed observations with any model, through one verb."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from anndata import AnnData

from stfmkit._core import slots
from stfmkit._core.arguments import check_choice
from stfmkit._core.errors import InputError, InputTypeError
from stfmkit._core.random import RNGLike
from stfmkit._data.columns import read_column, read_groups
from stfmkit._data.names import check_names
from stfmkit._data.view import resolve_table
from stfmkit._data.write import check_free_embedding, write_embedding
from stfmkit.models._base import EmbeddingModel, GeneModel
from stfmkit.models._block import open_block
from stfmkit.models._load_model import load_model
from stfmkit.models._runner import encode_genes, fit_model, run_model
from stfmkit.models._share import find_share
from stfmkit.tl._embedding_facts import embedding_facts

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
    train: str | np.ndarray | pd.Series | None = None,
    weights: str | os.PathLike[str] | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
    output: Literal["obs", "genes"] = "obs",
    resume: str | os.PathLike[str] | None = None,
    key_added: str | None = None,
    rng: RNGLike = None,
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
        A name of `stfmkit.models.list_models`, or an object with a card, ``prepare`` and ``encode``. An object that
        fits is fitted in place.
    table_key
        The table of a SpatialData; may be left out where there is one.
    sample_key
        Column of ``obs`` that tells samples (sections, slides) apart; neighbours never cross samples. May be left out
        for a single sample.
    patient_key
        Column of ``obs`` with the patient; the patients of the fit are recorded.
    layer
        Layer with raw counts; None for ``X``.
    spatial_key
        Key of the coordinates in ``obsm``.
    celltype_key
        Column of ``obs`` with one label per observation, or key of ``obsm`` with shares (n_obs, n_types).
    train
        Boolean column of ``obs``, or mask (n_obs,): fit on these observations only. All are embedded. Without effect
        on models that fit nothing.
    weights
        For networks: None to fetch the published weights, a local folder or file in the published layout,
        ``owner/repository`` of the hub, or "random" for the untrained network.
    batch_size
        For networks: observations in a batch. The result does not depend on it, unless the card says so.
    device
        For networks: "cpu" (also None), "cuda", "cuda:1", "mps" or "auto".
    dtype
        For networks: "float32" (also None), or "bfloat16" and "float16" on CUDA; recorded.
    output
        "obs" for a vector of every observation, or "genes" for one of every gene, where the model defines it.
    resume
        Folder that keeps finished parts: a run that was stopped goes on where it was. Parts are found again only by
        the same data, model, weights, options and seed.
    key_added
        Key in ``obsm`` (``varm`` for genes); ``X_<model>`` by default. An entry that stfmkit did not write is never
        overwritten.
    rng
        Seed of models that draw random numbers and of untrained networks. Baselines that draw require it, networks
        take 0 where it is None. A generator is asked for one integer, which is recorded.
    copy
        Return the embedding and write nothing.
    show_progress
        Show a bar on standard error once two seconds have passed.
    options
        Options of the model, by name.

    Returns
    -------
    None, or with ``copy=True`` the embedding (n_obs, d) as float32. Otherwise writes

    - ``obsm[key_added]``: float32 (n_obs, d), rows in the order of ``obs_names``; or
      ``varm[key_added]``: float32 (n_vars, d), NaN for genes that the model does not know.
    - ``uns["stfmkit"]["embed"]["results"][key_added]`` (``embed_genes`` for genes): model, family, licence, source,
      options, dimension, gene_coverage (share of genes and of counts in use), provenance of the weights (place,
      revision, sha256), n_obs, n_obs_fitted, patients_fitted, the keys that were read, rng, versions, seconds,
      peak_memory_mb (highest of the process so far).

    Raises
    ------
    MissingKeyError
        An unknown model (the nearest is suggested), or a missing key.
    InputError
        Data that the model cannot use, unknown options, a random model without a seed, or a taken key.
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
    started = time.perf_counter()
    adata = resolve_table(data, table_key=table_key)
    check_choice(output, ("obs", "genes"), name="output")
    if output == "genes" and resume is not None:
        raise InputError(
            "resume= with output='genes'.",
            allowed="resume with vectors of observations",
            remedy="leave resume out: vectors of genes are one result, not parts.",
        )
    check_names(adata)
    patients = None if patient_key is None else read_groups(adata, patient_key, role="patient_key")
    rows = _training_rows(adata, train)
    common = {"weights": weights, "batch_size": batch_size, "device": device, "dtype": dtype}
    loaded, seed = _load(model, rng, options | {k: v for k, v in common.items() if v is not None})
    if output == "genes" and not isinstance(loaded, GeneModel):
        raise InputError(
            f"output='genes' of {loaded.card.name!r}, which defines no vector of a gene.",
            allowed="models with encode_genes(block)",
            remedy="leave output out.",
        )
    key = _check_key(adata, slots.embedding(loaded.card.name) if key_added is None else key_added, output, copy=copy)
    keys = {"layer": layer, "sample_key": sample_key, "spatial_key": spatial_key, "celltype_key": celltype_key}
    block = open_block(adata, loaded, allow_stream=not loaded.card.fits and output == "obs", **keys)
    facts: dict[str, Any] = {"n_obs_fitted": 0}
    if loaded.card.fits:
        fit_model(loaded, block if rows is None else block.take(rows))  # type: ignore[arg-type]  # never streamed
        facts["n_obs_fitted"] = block.n_obs if rows is None else len(rows)
        if patients is not None:
            used = patients if rows is None else patients[rows]
            facts["patients_fitted"] = np.asarray(sorted(set(used)), dtype=str)
    if output == "genes":
        values = encode_genes(loaded, block)  # type: ignore[arg-type]
    else:
        folder = None if resume is None else Path(resume)
        values = run_model(loaded, block, show_progress=show_progress, resume=folder, share=find_share())
    if copy:
        return values
    facts |= {**keys, "patient_key": patient_key, "rng": seed, "seconds": time.perf_counter() - started}
    write_embedding(adata, key, values, embedding_facts(loaded, block, values.shape[1]) | facts, output=output)
    return None


def _load(model: str | EmbeddingModel, rng: RNGLike, options: dict[str, Any]) -> tuple[EmbeddingModel, int | None]:
    if isinstance(model, str):
        loaded = load_model(model, rng=rng, **options)
        return loaded, _seed_of(loaded)
    if isinstance(model, type) or not isinstance(model, EmbeddingModel):
        found = f"the class {model.__name__}" if isinstance(model, type) else f"a model of type {type(model).__name__}"
        raise InputTypeError(
            f"{found}.",
            allowed="a registry name, or an object with card, prepare and encode",
            remedy="pass a name of sk.models.list_models(), or an instance.",
        )
    if options or rng is not None:
        given = ", ".join([*options, *([] if rng is None else ["rng"])])
        raise InputError(
            f"a model object, and options for it: {given}.",
            allowed="options with a registry name only",
            remedy="set them when the object is built.",
        )
    return model, _seed_of(model)


def _seed_of(model: EmbeddingModel) -> int | None:
    held = getattr(model, "rng", None)
    return int(held) if isinstance(held, (int, np.integer)) else None


def _check_key(adata: AnnData, key: str, output: str, *, copy: bool) -> str:
    if not (isinstance(key, str) and key) or "/" in key:
        raise InputError(f"key_added={key!r}.", allowed="text without '/'", remedy="pass another key_added.")
    if not copy:
        check_free_embedding(adata, key, output=output)
    return key


def _training_rows(adata: AnnData, train: str | np.ndarray | pd.Series | None) -> np.ndarray | None:
    """Return the rows to fit on, None for all."""
    if train is None:
        return None
    column = read_column(adata, train, role="train") if isinstance(train, str) else train
    mask = np.asarray(column)
    aligned = not isinstance(column, pd.Series) or column.index.equals(adata.obs_names)
    if mask.dtype != bool or mask.shape != (adata.n_obs,) or not aligned or not mask.any():
        order = "" if aligned else ", in another order of observations"
        empty = "" if mask.any() else ", all False"
        raise InputError(
            f"train of shape {mask.shape} and dtype {mask.dtype}{order}{empty}.",
            allowed=f"a boolean obs column, or a boolean mask of shape ({adata.n_obs},), some of it True",
            remedy="pass train=adata.obs['split'] == 'train', for example.",
        )
    return np.flatnonzero(mask)
