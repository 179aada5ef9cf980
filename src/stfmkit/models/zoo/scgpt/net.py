"""The network of scGPT: genes and values added, and post-norm layers."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

from stfmkit.models.nets.encoder import Encoder


class GeneEncoder(nn.Module):
    """Embedding of a gene, normalised."""

    def __init__(self, n_tokens: int, width: int) -> None:
        super().__init__()
        self.embedding, self.enc_norm = nn.Embedding(n_tokens, width), nn.LayerNorm(width)

    def forward(self, ids: Tensor) -> Tensor:
        """Return (…, width)."""
        out: Tensor = self.enc_norm(self.embedding(ids))
        return out


class ValueEncoder(nn.Module):
    """A number to a vector, with large numbers cut."""

    def __init__(self, width: int, *, most: float = 512.0) -> None:
        super().__init__()
        self.linear1, self.linear2, self.norm = nn.Linear(1, width), nn.Linear(width, width), nn.LayerNorm(width)
        self.most = most

    def forward(self, values: Tensor) -> Tensor:
        """Return (…, width)."""
        cut = values.unsqueeze(-1).clamp(max=self.most)
        out: Tensor = self.norm(self.linear2(functional.relu(self.linear1(cut))))
        return out


class ScGPTModule(nn.Module):
    """Sum of gene and value, then post-norm layers; no positions."""

    def __init__(self, *, n_tokens: int, width: int, heads: int, hidden: int, n_layers: int) -> None:
        super().__init__()
        self.encoder, self.value_encoder = GeneEncoder(n_tokens, width), ValueEncoder(width)
        self.transformer_encoder = Encoder(n_layers, width, heads, hidden)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the class token after the last layer (b, width)."""
        out: Tensor = self.transformer_encoder(self._input(batch), keep=batch["keep"], queries=1)
        return out[:, 0]

    def states(self, batch: Mapping[str, Tensor]) -> list[Tensor]:
        """Return the states before the first and after every layer."""
        return self.transformer_encoder.states(self._input(batch), keep=batch["keep"])

    def _input(self, batch: Mapping[str, Tensor]) -> Tensor:
        out: Tensor = self.encoder(batch["ids"]) + self.value_encoder(batch["values"])
        return out
