"""The one loop that runs a model over a block."""

from collections.abc import Sequence

import numpy as np

from stfmkit._errors import InputError, InputTypeError
from stfmkit._progress import progress
from stfmkit.models._base import Block, EmbeddingModel, FittedModel
from stfmkit.models._card import ModelCard
from stfmkit.models._contract import check_needs

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


def run_model(model: EmbeddingModel, block: Block, *, show_progress: bool = True) -> np.ndarray:
    """Return the embedding (n_obs, d) of a block as float32, rows in the order of the block.

    A model whose card says ``uses_neighbors`` sees one whole sample after the other; all others see blocks of rows.
    The parts are fixed, so the result does not depend on the machine.

    Parameters
    ----------
    model
        A model, fitted where it has to be.
    block
        Observations.
    show_progress
        Show a bar on standard error once two seconds have passed.

    Raises
    ------
    MissingKeyError
        The block lacks what the card says that the model reads.
    InputError
        The model returned something else than finite numbers of one width, one row per observation.
    """
    card = model.card
    check_needs(card, block)
    parts = _parts(block, whole_samples=card.uses_neighbors)
    unit = "sample" if card.uses_neighbors else "block"
    out: np.ndarray | None = None
    for rows in progress(parts, label=card.name, total=len(parts), unit=unit, show=show_progress):
        part = block if len(parts) == 1 else block.take(rows)
        values = _checked(model.encode(model.prepare(part)), n_obs=part.n_obs, card=card)
        if out is None:
            out = np.empty((block.n_obs, values.shape[1]), dtype=np.float32)
        if values.shape[1] != out.shape[1]:
            raise InputError(
                f"the model {card.name!r} returned {out.shape[1]} columns, then {values.shape[1]}.",
                allowed="one width for all observations",
                remedy="report this to the author of the model.",
            )
        out[rows if len(parts) > 1 else slice(None)] = values
    if out is None:  # a block without rows was refused above
        out = np.empty((0, 0), dtype=np.float32)
    return out


def _parts(block: Block, *, whole_samples: bool) -> Sequence[np.ndarray]:
    if whole_samples:
        order = np.argsort(block.samples, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(block.samples[order])) + 1)
    return [np.arange(start, min(start + ROWS, block.n_obs)) for start in range(0, block.n_obs, ROWS)]


def _checked(values: np.ndarray, *, n_obs: int, card: ModelCard) -> np.ndarray:
    found = np.asarray(values)
    width = card.dimension if found.ndim == 2 and card.dimension is not None else found.shape[-1] if found.ndim else 0
    if found.dtype.kind not in "fiu" or found.shape != (n_obs, width) or width == 0:
        wanted = "d" if card.dimension is None else card.dimension
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
