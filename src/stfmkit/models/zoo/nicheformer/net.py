"""The network of Nicheformer: tokens and positions, and a post-norm encoder."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from stfmkit.models.nets.encoder import Encoder

PAD = 1
"""Token of padding."""


class NicheformerNet(nn.Module):
    """Embeddings of tokens and positions, and a post-norm encoder."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width = config["dim_model"]
        self.embeddings = nn.Embedding(config["n_tokens"] + 5, width)
        self.positional_embedding = nn.Embedding(config["context_length"], width)
        self.encoder = Encoder(config["nlayers"], width, config["nheads"], config["dim_feedforward"], eps=1e-12)

    def states(self, ids: Tensor, *, layers: int) -> Tensor:
        """Return the states (b, context_length, d) after a number of layers; padding is never attended to."""
        x = self.embeddings(ids) + self.positional_embedding.weight
        out: Tensor = self.encoder(x, keep=ids != PAD, layers=layers)
        return out
