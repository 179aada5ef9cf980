"""The network of scFoundation: genes and soft bins added, and post-norm layers."""

from collections.abc import Mapping

from torch import Tensor, nn

from stfmkit.models.nets.autobin import AutoBin
from stfmkit.models.nets.encoder import Encoder


class ScFoundationModule(nn.Module):
    """Sum of gene and value, post-norm layers, and a last norm."""

    def __init__(self, *, n_rows: int, width: int, heads: int, n_layers: int, n_bins: int, alpha: float) -> None:
        super().__init__()
        self.token_emb, self.pos_emb = AutoBin(width, n_bins=n_bins, alpha=alpha), nn.Embedding(n_rows, width)
        self.encoder, self.encoder_norm = Encoder(n_layers, width, heads, 4 * width), nn.LayerNorm(width)

    def states(self, batch: Mapping[str, Tensor]) -> list[Tensor]:
        """Return the states before the first and after every layer, without the last norm."""
        x = self.token_emb(batch["values"]) + self.pos_emb(batch["ids"])
        return self.encoder.states(x, keep=batch["keep"])
