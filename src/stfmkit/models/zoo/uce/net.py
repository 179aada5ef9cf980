"""The network of UCE: protein vectors to states, a post-norm encoder, and a head on the first state."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from stfmkit.models.nets.encoder import Encoder


class _Waves(nn.Module):
    """Sines and cosines of the positions, added to the input."""

    pe: Tensor

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        angles = torch.arange(length)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
        waves = torch.stack([angles.sin(), angles.cos()], dim=2)
        self.register_buffer("pe", waves.reshape(length, 1, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, t, width)."""
        return x + self.pe[: x.shape[1], 0]


class UCENet(nn.Module):
    """Protein vectors to states, a post-norm encoder, and a head on the first state."""

    def __init__(self, config: Mapping[str, Any], table: Tensor | None) -> None:
        super().__init__()
        width, out, hidden = config["d_model"], config["output_dim"], config["hidden"]
        self.encoder = nn.Sequential(nn.Linear(config["token_dim"], width), nn.GELU(), nn.LayerNorm(width))
        self.pos_encoder = _Waves(config["pad_length"], width)
        self.transformer_encoder = Encoder(config["nlayers"], width, config["nhead"], config["d_hid"])
        self.decoder = nn.Sequential(_block(width, hidden), _block(hidden, out), _block(out, out), nn.Linear(out, out))
        self.width, self._table = width, table
        if table is None:  # a random twin draws its own
            self.pe_embedding = nn.Embedding(config["n_tokens"], config["token_dim"])
        self._place = torch.full((config["n_tokens"],), -1, device="cpu")
        self._projected = torch.empty(0, width, device="cpu")

    def project(self, ids: Tensor) -> Tensor:
        """Return the input of tokens (b, t, d); every row of the table is read and projected once."""
        new = torch.unique(ids).cpu()
        new = new[self._place[new] < 0]
        if len(new):
            table = self.pe_embedding.weight if self._table is None else self._table
            rows = table[new.to(table.device)].to(ids.device, torch.float32)
            self._place[new] = len(self._projected) + torch.arange(len(new))
            self._projected = torch.cat([self._projected.to(ids.device), self.encoder(normalize(rows, dim=1))])
        return self._projected[self._place[ids.cpu()].to(ids.device)]

    def forward(self, ids: Tensor, *, keep: Tensor | None, bias: Tensor | None, layers: int | None = None) -> Tensor:
        """Return the first state (b, d) after a number of layers."""
        x = self.pos_encoder(self.project(ids) * math.sqrt(self.width))
        out: Tensor = self.transformer_encoder(x, keep=keep, bias=bias, layers=layers, queries=1)
        return out[:, 0]


def _block(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, out), nn.LayerNorm(out), nn.GELU(), nn.Dropout())
