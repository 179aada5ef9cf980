"""The one loop that runs a model over a block."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stfmkit._core.errors import InputError, InputTypeError
from stfmkit._core.progress import counter
from stfmkit.models.contract import Block, EmbeddingModel, FittedModel, GeneModel, ModelWithGaps
from stfmkit.models.card import ModelCard
from stfmkit.models._contract import check_needs
from stfmkit.models._parts import Parts
from stfmkit.models.runtime.distributed import ALONE, Share
from stfmkit.models._streamed import StreamedBlock

ROWS = 8192
"""Rows that a model without neighbours sees at once, so that memory does not grow with the table."""


def fit_model(model: EmbeddingModel, block: Block) -> None:
    """Fit a model whose card says that it fits, on training observations only.

    Raises
    ------
    InputTypeError
        The model has no ``fit``.
    MissingKeyError
        The block lacks what the card says that the model reads.
    """
    if not isinstance(model, FittedModel):
        raise InputTypeError(
            f"the card of {model.card.name!r} says that it fits, and it has no fit(block).",
            allowed="fits=True with fit(block)",
            remedy="add fit(block) to the model, or set fits=False on its card.",
        )
    check_needs(model.card, block)
    model.fit(block)


def run_model(
    model: EmbeddingModel,
    block: Block | StreamedBlock,
    *,
    show_progress: bool = True,
    resume: Path | None = None,
    share: Share = ALONE,
) -> np.ndarray:
    """Return the embedding (n_obs, d) of a block as float32, rows in the order of the block.

    A model whose card says ``uses_neighbors`` sees one whole sample after the other; all others see blocks of rows.
    The parts are fixed, so the result does not depend on the machine.

    Parameters
    ----------
    model
        A model, fitted where it has to be.
    block
        Observations, in memory or on disk.
    show_progress
        Show a bar on standard error once two seconds have passed, with the observations in a second.
    resume
        Folder for finished parts; a run that was stopped goes on with those that are missing.
    share
        Which of several processes this is.

    Raises
    ------
    MissingKeyError
        The block lacks what the card says that the model reads.
    InputError
        The model returned something else than finite numbers of one width, one row per observation, or knows no gene
        of any observation.
    """
    card = model.card
    check_needs(card, block)
    store = None if resume is None else Parts(resume, model)
    parts = _parts(block, whole_samples=card.uses_neighbors, rows=getattr(model, "block_size", ROWS))
    check = getattr(model, "check_block", None)
    if check is not None and isinstance(block, Block):
        check(block)
    begin = getattr(model, "begin", None)
    if begin is not None:
        begin()
    out: np.ndarray | None = None
    with counter(label=card.name, total=block.n_obs, unit="obs", show=show_progress and share.rank == 0) as advance:
        for rows in share.mine(parts):
            part = block if isinstance(block, Block) and len(parts) == 1 else block.take(rows)
            values = _values(model, part, store)
            advance(len(rows))
            if values is None:
                continue
            if out is None:
                out = np.zeros((block.n_obs, values.shape[1]), dtype=np.float32)
            if values.shape[1] != out.shape[1]:
                raise InputError(
                    f"the model {card.name!r} returned {out.shape[1]} columns, then {values.shape[1]}.",
                    allowed="one width for all observations",
                    remedy="report this to the author of the model.",
                )
            out[rows] = values
    joined = share.together(out, n_obs=block.n_obs)
    if joined.shape[1] == 0:
        raise InputError(
            f"none of the {block.n_obs} observations has a count of a gene that {card.name!r} knows.",
            allowed="at least one observation with a known gene",
            remedy="check the gene names and the filters; a whole table of zeros would say nothing.",
        )
    return joined


def encode_genes(model: GeneModel, block: Block) -> np.ndarray:
    """Return the vectors of the genes of a block (n_genes, d) as float32, NaN for those that the model does not know.

    Raises
    ------
    InputError
        The model returned something else than one row per gene, or knows none of them.
    """
    check_needs(model.card, block)
    found = np.asarray(model.encode_genes(block), dtype=np.float32)
    n_genes = 0 if block.genes is None else len(block.genes)
    known = np.isfinite(found).all(axis=1) if found.ndim == 2 else np.zeros(0, dtype=bool)
    if found.ndim != 2 or len(found) != n_genes or not known.any() or not np.isnan(found[~known]).all():
        raise InputError(
            f"the model {model.card.name!r} returned an array of shape {found.shape} for genes, "
            f"{int(known.sum())} of its rows finite.",
            allowed=f"numbers of shape ({n_genes}, d), whole rows of NaN for unknown genes",
            remedy="report this to the author of the model.",
        )
    return found


def _values(model: EmbeddingModel, part: Block, store: Parts | None) -> np.ndarray | None:
    """Return the embedding of a part, or None where nothing in it is known: its width is that of the other parts."""
    held = None if store is None else store.get(part)
    if held is not None:
        note = getattr(model, "note_block", None)
        if note is not None:
            note(part)
        return held
    card = model.card
    width = getattr(model, "dimension", card.dimension)
    batch = model.prepare(part)
    if isinstance(model, ModelWithGaps) and model.knows_nothing(batch):
        return None
    values = _checked(model.encode(batch), n_obs=part.n_obs, card=card, dimension=width)
    if store is not None:
        store.put(part, values)
    return values


def _parts(block: Block | StreamedBlock, *, whole_samples: bool, rows: int) -> Sequence[np.ndarray]:
    if whole_samples:
        order = np.argsort(block.samples, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(block.samples[order])) + 1)
    return [np.arange(start, min(start + rows, block.n_obs)) for start in range(0, block.n_obs, rows)]


def _checked(values: np.ndarray, *, n_obs: int, card: ModelCard, dimension: int | None) -> np.ndarray:
    found = np.asarray(values)
    width = dimension if found.ndim == 2 and dimension is not None else found.shape[-1] if found.ndim else 0
    if found.dtype.kind not in "fiu" or found.shape != (n_obs, width) or width == 0:
        wanted = "d" if dimension is None else dimension
        raise InputError(
            f"the model {card.name!r} returned an array of shape {found.shape} and dtype {found.dtype}.",
            allowed=f"numbers of shape ({n_obs}, {wanted})",
            remedy="report this to the author of the model.",
        )
    with np.errstate(over="ignore"):
        found = found.astype(np.float32)
    bad = ~np.isfinite(found).all(axis=1)
    if bad.any():
        raise InputError(
            f"the model {card.name!r} returned values that are not finite (as float32) for {int(bad.sum())} "
            f"of {n_obs} observations.",
            allowed="finite numbers",
            remedy="check these observations, or report this to the author of the model.",
        )
    return found
