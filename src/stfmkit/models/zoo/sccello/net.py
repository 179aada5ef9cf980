"""The network of scCello: a BERT with three constant rows, and the head of the class token."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from stfmkit.models.nets.bert import Bert

_TABLES = {"tf_class_embeddings": 1, "tf_superclass_embeddings": 1, "expbin_embeddings": 1}


class CellHead(nn.Module):
    """The head that the training puts on the class token."""

    def __init__(self, width: int, *, eps: float) -> None:
        super().__init__()
        self.dense_1, self.dense_2 = nn.Linear(width, width), nn.Linear(width, width)
        self.layer_norm = nn.LayerNorm(width, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, width)."""
        out: Tensor = self.dense_2(functional.relu(self.layer_norm(self.dense_1(x))))
        return out


class ScCelloModule(Bert):
    """BERT with three constant rows in its input, and a head for the class token."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config, _TABLES)
        self.cell_cls = CellHead(config["hidden_size"], eps=config["layer_norm_eps"])

    def first(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the first state of the last layer (b, width)."""
        return self(batch, queries=1)[:, 0]
