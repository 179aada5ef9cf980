"""Blocks of tables, as a model that a test holds reads them."""

from typing import Any

from anndata import AnnData

from stfmkit.models.contract import Block, EmbeddingModel
from stfmkit.models.open_block import open_block


def block_for(adata: AnnData, model: EmbeddingModel, **keys: Any) -> Block:
    """Return what a model reads of a table."""
    return open_block(adata, model.requirements(), model=model.card.name, **keys)
