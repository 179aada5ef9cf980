"""Checks that every model shares: what the card promises, and what the block holds."""

from typing import TYPE_CHECKING, TypeVar

import pandas as pd
from scipy import sparse

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit.models.contract import Block
from stfmkit.models.card import ModelCard

if TYPE_CHECKING:
    from stfmkit.models._streamed import StreamedBlock

T = TypeVar("T")

_SLOTS = {
    "counts": ("counts", "store raw counts in X or in a layer, and pass layer=."),
    "expression": ("counts", "store expression in X or in a layer, and pass layer=."),
    "coordinates": ("coords", "store coordinates (n_obs, 2) in obsm['spatial'], or pass spatial_key=."),
    "composition": ("composition", "pass celltype_key=, an obs column of labels or an obsm matrix of shares."),
}


def check_needs(card: ModelCard, block: "Block | StreamedBlock") -> None:
    """Refuse a block that lacks what the card says the model reads, and an empty one."""
    for need in card.needs:
        if need not in _SLOTS:
            continue
        slot, remedy = _SLOTS[need]
        if getattr(block, slot) is None:
            raise MissingKeyError(
                f"the model {card.name!r} reads {need}, and there are none.",
                allowed=f"data with {', '.join(card.needs)}",
                remedy=remedy,
            )
    if block.n_obs == 0:
        raise InputError("no observation.", allowed="at least one", remedy="check the filters before this step.")


def fitted(card: ModelCard, state: T | None) -> T:
    """Return what a model has learned, or say that it has learned nothing yet."""
    if state is None:
        raise InputError(
            f"the model {card.name!r} has not been fitted.",
            allowed="a fitted model",
            remedy="call fit(block) with training observations first.",
        )
    return state


def expression(block: Block, *, card: ModelCard) -> tuple[sparse.csr_array, pd.Index]:
    """Return the counts (n_obs, n_genes) and the gene names of a block."""
    check_needs(card, block)
    if block.counts is None or block.genes is None:
        raise MissingKeyError(
            f"no gene names for {card.name!r}.", allowed="counts with gene names", remedy="give the block its genes."
        )
    return block.counts, block.genes


def align_genes(block: Block, genes: pd.Index, *, card: ModelCard) -> sparse.csr_array:
    """Return the counts of the genes that a model was fitted on, in that order (n_obs, n_genes).

    Further genes of the block are left out; a missing one is an error, because a zero would be an invention.
    """
    counts, held = expression(block, card=card)
    if held.equals(genes):
        return counts
    where = held.get_indexer(genes)
    if (where < 0).any():
        lost = genes[where < 0]
        raise MissingKeyError(
            f"{len(lost)} of the {len(genes)} genes that {card.name!r} was fitted on are missing: "
            f"{listed(lost, most=5)}.",
            allowed="all genes of the fit, in any order",
            remedy="fit again on the genes that both sides share.",
        )
    return sparse.csr_array(counts[:, where])
