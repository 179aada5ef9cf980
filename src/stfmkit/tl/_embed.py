"""Embed observations with any model, through one verb."""

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData

from stfmkit import _keys
from stfmkit._data._read import read_column, read_groups
from stfmkit._data._resolve import resolve_table
from stfmkit._data._write import check_free_obsm, package_versions, write_embedding
from stfmkit._errors import InputError, InputTypeError
from stfmkit._random import RNGLike
from stfmkit.models._base import Block, EmbeddingModel
from stfmkit.models._block import build_block
from stfmkit.models._load_model import load_model, seed_for
from stfmkit.models._model_card import model_card
from stfmkit.models._options import options_of
from stfmkit.models._runner import fit_model, run_model

if TYPE_CHECKING:
    from stfmkit._data._resolve import Container


def embed(
    data: "Container",
    model: str | EmbeddingModel = "hvg_pca",
    *,
    table_key: str | None = None,
    sample_key: str | None = None,
    patient_key: str | None = None,
    layer: str | None = None,
    spatial_key: str = _keys.SPATIAL,
    celltype_key: str | None = None,
    train: str | np.ndarray | pd.Series | None = None,
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
    key_added
        Key in ``obsm``; ``X_<model>`` by default. An entry that stfmkit did not write is never overwritten.
    rng
        Seed, required by models that draw random numbers. A generator is asked for one integer, which is recorded.
    copy
        Return the embedding and write nothing.
    show_progress
        Show a bar on standard error once two seconds have passed.
    options
        Options of the model, by name.

    Returns
    -------
    None, or with ``copy=True`` the embedding (n_obs, d) as float32. Otherwise writes

    - ``obsm[key_added]``: float32 (n_obs, d), rows in the order of ``obs_names``.
    - ``uns["stfmkit"]["embeddings"][key_added]``: model, family, licence, source, options, dimension, gene_coverage
      (share of genes and of counts in use), n_obs, n_obs_fitted, patients_fitted, the keys that were read, rng,
      versions, seconds, peak_memory_mb (highest of the process so far).

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
    >>> adata.uns["stfmkit"]["embeddings"]["X_hvg_pca"]["n_obs_fitted"]
    60
    """
    started = time.perf_counter()
    adata = resolve_table(data, table_key=table_key)
    loaded, seed = _load(model, rng, options)
    key = _check_key(adata, _keys.embedding(loaded.card.name) if key_added is None else key_added, copy=copy)
    keys = {"layer": layer, "sample_key": sample_key, "spatial_key": spatial_key, "celltype_key": celltype_key}
    patients = None if patient_key is None else read_groups(adata, patient_key, role="patient_key")
    rows = _training_rows(adata, train)
    block = build_block(adata, loaded.card, **keys)  # type: ignore[arg-type]
    facts: dict[str, Any] = {"n_obs_fitted": 0}
    if loaded.card.fits:
        fit_model(loaded, block if rows is None else block.take(rows))
        facts["n_obs_fitted"] = block.n_obs if rows is None else len(rows)
        if patients is not None:
            used = patients if rows is None else patients[rows]
            facts["patients_fitted"] = np.asarray(sorted(set(used)), dtype=str)
    values = run_model(loaded, block, show_progress=show_progress)
    if copy:
        return values
    facts |= {**keys, "patient_key": patient_key, "rng": seed, "seconds": time.perf_counter() - started}
    write_embedding(adata, key, values, _provenance(loaded, block, values.shape[1]) | facts)
    return None


def _load(model: str | EmbeddingModel, rng: RNGLike, options: dict[str, Any]) -> tuple[EmbeddingModel, int | None]:
    if isinstance(model, str):
        seed = seed_for(model_card(model), rng)
        return load_model(model, rng=seed, **options), seed
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
    held = getattr(model, "rng", None)
    return model, int(held) if isinstance(held, (int, np.integer)) else None


def _check_key(adata: AnnData, key: str, *, copy: bool) -> str:
    if not (isinstance(key, str) and key) or "/" in key:
        raise InputError(f"key_added={key!r}.", allowed="text without '/'", remedy="pass another key_added.")
    if not copy:
        check_free_obsm(adata, key)
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


def _provenance(model: EmbeddingModel, block: Block, dimension: int) -> dict[str, Any]:
    card = model.card
    facts: dict[str, Any] = {
        "model": card.name,
        "target": card.target,
        "family": card.family,
        "licence": card.licence,
        "commercial": card.commercial,
        "source": card.source,
        "options": options_of(model),
        "dimension": dimension,
        "n_obs": block.n_obs,
        "versions": package_versions("anndata", "numpy", "scipy"),
        "peak_memory_mb": _peak_memory_mb(),
    }
    if block.counts is not None and block.genes is not None:
        used = getattr(model, "genes_used", block.genes)
        held = block.genes.isin(used)
        per_gene = np.asarray(block.counts.sum(axis=0), dtype=np.float64).ravel()
        facts["gene_coverage"] = {
            "n_genes": int(held.sum()),
            "genes": float(held.mean()),
            "counts": float(per_gene[held].sum() / per_gene.sum()),
        }
    return facts


def _peak_memory_mb() -> float:
    """Highest resident memory of this process so far; NaN where the system does not tell."""
    import sys

    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
