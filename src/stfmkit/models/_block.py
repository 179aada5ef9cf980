"""From a table to the block that a model sees, with every check before the work."""

from collections.abc import Sequence

import numpy as np
from anndata import AnnData
from scipy import sparse

from stfmkit._core import slots
from stfmkit._core.arguments import listed, nearest
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit._data.columns import read_column, read_groups, read_obs_text
from stfmkit._data.coordinates import check_one_frame, check_positions, read_coords
from stfmkit._data.matrices import check_no_empty, read_counts, read_expression, row_reader
from stfmkit._data.names import check_names, read_gene_names
from stfmkit.models._base import Block, EmbeddingModel
from stfmkit.models._card import ModelCard
from stfmkit.models._streamed import StreamedBlock

_ROUNDING = 1e-3


def build_block(
    adata: AnnData,
    card: ModelCard,
    *,
    layer: str | None = None,
    sample_key: str | None = None,
    spatial_key: str = slots.SPATIAL,
    celltype_key: str | None = None,
    obs_keys: Sequence[str] = (),
    var_keys: Sequence[str] = (),
    reads_counts: bool = True,
    allow_empty: bool = False,
    stream: bool = False,
) -> Block:
    """Return what a model reads of a table, checked; only what the card names is read.

    Parameters
    ----------
    adata
        The table.
    card
        Card of the model.
    layer
        Layer with raw counts; None for ``X``.
    sample_key
        Column of ``obs`` that tells the samples (sections, slides) apart. None where all observations are one sample;
        groups that overlap in space are then refused.
    spatial_key
        Key of the coordinates in ``obsm``.
    celltype_key
        A column of ``obs`` with one label per observation, or a key of ``obsm`` with shares (n_obs, n_types).
    obs_keys
        Further columns of ``obs`` that the options of the model name.
    var_keys
        Columns of ``var`` with other names of the genes.
    reads_counts
        Refuse what is not raw counts; otherwise any finite values ≥ 0 are taken.
    allow_empty
        Whether an observation without counts is the model's own business.
    stream
        Leave the counts out; they are read part by part.

    Returns
    -------
    A block in the order of ``adata.obs_names``.

    Raises
    ------
    InputError
        Duplicated names, values that are not counts, observations without counts, coordinates that are not finite or
        given twice within a sample, several samples on one frame, shares that are no shares.
    MissingKeyError
        A key that the model needs is not there.
    """
    check_names(adata)
    codes = None if sample_key is None else read_groups(adata, sample_key, role="sample_key").codes.astype(np.int64)
    coords = counts = genes = composition = None
    if "coordinates" in card.needs:
        coords = read_coords(adata, spatial_key=spatial_key)
        if sample_key is None:
            check_one_frame(adata, coords)
        check_positions(coords, codes, adata.obs_names, sample_key=sample_key)
    if "composition" in card.needs:
        composition = _read_composition(adata, card, celltype_key)
    if card.reads_expression:
        genes = adata.var_names
        if not stream:
            counts = read_counts(adata, layer) if reads_counts else read_expression(adata, layer)
            if not allow_empty:
                check_no_empty(counts, adata.obs_names)
    return Block(
        obs_names=adata.obs_names,
        samples=np.zeros(adata.n_obs, dtype=np.int64) if codes is None else codes,
        counts=counts,
        genes=genes,
        coords=coords,
        composition=composition,
        obs={key: read_obs_text(adata, key) for key in obs_keys},
        var={key: read_gene_names(adata, key) for key in var_keys},
    )


def open_block(
    adata: AnnData, model: EmbeddingModel, *, layer: str | None = None, allow_stream: bool = True, **keys: str | None
) -> Block | StreamedBlock:
    """Return what a model reads of a table: in memory, or part by part where the matrix is on disk or in dask arrays.

    Parameters
    ----------
    adata
        The table.
    model
        The model; its options may name further columns of obs and var.
    layer
        Layer with the matrix; None for ``X``.
    allow_stream
        Whether a matrix on disk may stay there; models that fit need it in memory.
    keys
        Further arguments of `build_block`.
    """
    reads_counts = getattr(model, "reads_counts", True)
    reader = row_reader(adata, layer) if allow_stream and reads_counts and model.card.reads_expression else None
    frame = build_block(
        adata,
        model.card,
        layer=layer,
        obs_keys=getattr(model, "obs_keys", ()),
        var_keys=getattr(model, "var_keys", ()),
        reads_counts=reads_counts,
        allow_empty=getattr(model, "on_empty", "refused") != "refused",
        stream=reader is not None,
        **keys,  # type: ignore[arg-type]
    )
    return frame if reader is None else StreamedBlock(frame, reader)


def _read_composition(adata: AnnData, card: ModelCard, key: str | None) -> np.ndarray:
    if key is None:
        raise MissingKeyError(
            f"the model {card.name!r} reads cell types, and celltype_key is None.",
            allowed="an obs column of labels, or an obsm matrix of shares",
            remedy="pass celltype_key=; cell types are never invented.",
        )
    in_obs, in_obsm = key in adata.obs.columns, key in adata.obsm
    if in_obs and in_obsm:
        raise InputError(
            f"celltype_key={key!r} is both a column of obs and a key of obsm.",
            allowed="a key that is only one of them",
            remedy="rename one of the two.",
        )
    if in_obs:
        return _one_hot(adata, key)
    if in_obsm:
        return _shares(adata, key)
    known = [*map(str, adata.obs.columns), *adata.obsm]
    raise MissingKeyError(
        f"celltype_key={key!r} is neither a column of obs nor a key of obsm.",
        allowed=listed(known),
        remedy=f"pass one of these as celltype_key.{nearest(str(key), known)}",
    )


def _one_hot(adata: AnnData, key: str) -> np.ndarray:
    if read_column(adata, key, role="celltype_key").dtype.kind == "f":
        raise InputError(
            f"obs[{key!r}] of dtype {adata.obs[key].dtype}.",
            allowed="labels (text, categories or integers)",
            remedy="pass the column with the names of the cell types.",
        )
    labels = read_groups(adata, key, role="celltype_key")
    shares = np.zeros((adata.n_obs, len(labels.categories)))
    shares[np.arange(adata.n_obs), labels.codes] = 1.0
    return shares


def _shares(adata: AnnData, key: str) -> np.ndarray:
    stored = adata.obsm[key]
    shares = np.asarray(stored.toarray() if sparse.issparse(stored) else stored, dtype=np.float64)
    good = shares.ndim == 2 and np.isfinite(shares).all() and (shares >= 0).all()
    if not (good and (shares.sum(axis=1) <= 1 + _ROUNDING).all()):
        raise InputError(
            f"obsm[{key!r}] of shape {shares.shape} holds values that are not shares.",
            allowed="finite shares ≥ 0 of shape (n_obs, n_types), at most 1 in a row",
            remedy="divide every row by its sum.",
        )
    return shares
