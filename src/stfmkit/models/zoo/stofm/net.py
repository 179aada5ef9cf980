"""The networks of SToFM: a BERT over genes, and a transformer over cells whose scores start from distances."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from stfmkit.models.nets.bert import Bert
from stfmkit.models.nets.encoder import ACTIVATIONS, check_heads
from stfmkit.models.zoo.stofm.graph import FAR

PAIRS = 65_536
"""Distances that are turned into scores at once."""


class PairScores(nn.Module):
    """A distance to one score per head, through Gaussian functions."""

    def __init__(self, n_functions: int, heads: int) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1)
        self.means, self.stds = nn.Embedding(1, n_functions), nn.Embedding(1, n_functions)
        self.proj = nn.Sequential(nn.Linear(n_functions, n_functions), nn.ReLU(), nn.Linear(n_functions, heads))

    def score(self, distances: Tensor) -> Tensor:
        """Return (n, heads) of (n,)."""
        std = self.stds.weight.abs() + 1e-5
        x = torch.exp(-0.5 * ((self.linear(distances[:, None]) - self.means.weight) / std) ** 2)
        out: Tensor = self.proj(x / ((2 * torch.pi) ** 0.5 * std))
        return out

    def forward(self, distances: Tensor) -> Tensor:
        """Return (heads, n, n) of symmetric distances (n, n), 0 where the distance is 0; most of them are alike."""
        far = self.score(distances.new_full((1,), FAR))[0]
        out = far[:, None, None].repeat(1, *distances.shape)
        out.masked_fill_(distances == 0, 0.0)
        near = torch.nonzero(torch.triu((distances != 0) & (distances != FAR)))
        for some in near.split(PAIRS):
            i, j = some.unbind(dim=1)
            scores = self.score(distances[i, j]).T.to(out.dtype)
            out[:, i, j] = scores
            out[:, j, i] = scores
        return out


class PairAttention(nn.Module):
    """Attention that adds its scores to those of the layer before."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        check_heads(width, heads)
        self.heads = heads
        self.q_proj, self.k_proj = nn.Linear(width, width), nn.Linear(width, width)
        self.v_proj, self.out_proj = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor, scores: Tensor) -> Tensor:
        """Return (n, width); `scores` (heads, n, n) become those of this layer."""
        n, width = x.shape
        q, k, v = (
            layer(x).view(n, self.heads, width // self.heads).transpose(0, 1)
            for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        scores.baddbmm_((q * (width // self.heads) ** -0.5).to(scores.dtype), k.transpose(1, 2).to(scores.dtype))
        mixed = torch.softmax(scores, dim=-1).to(v.dtype) @ v
        out: Tensor = self.out_proj(mixed.transpose(0, 1).reshape(n, width))
        return out


class PairLayer(nn.Module):
    """Attention and feed-forward, each added to its input and normalised after."""

    def __init__(self, width: int, heads: int, hidden: int, activation: str) -> None:
        super().__init__()
        self.self_attn = PairAttention(width, heads)
        self.self_attn_layer_norm, self.final_layer_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Tensor, scores: Tensor) -> Tensor:
        """Return (n, width)."""
        x = self.self_attn_layer_norm(x + self.self_attn(x, scores))
        out: Tensor = self.final_layer_norm(x + self.fc2(self.activation(self.fc1(x))))
        return out


class PairTransformer(nn.Module):
    """The SE(2) transformer: nodes of one tile, seen through their distances only."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width, heads = config["embedding_dim"], config["num_attention_heads"]
        self.embedding_layer = nn.Linear(config["input_dim"], width)
        self.token_type_embeddings = nn.Embedding(4, width)
        self.gaussian = PairScores(config["gaussian_hidden_dim"], heads)
        self.encoder = nn.Module()
        self.encoder.layers = nn.ModuleList(
            PairLayer(width, heads, config["ffn_embedding_dim"], config["activation_fn"])
            for _ in range(config["num_hidden_layers"])
        )

    def states(self, features: Tensor, types: Tensor, distances: Tensor) -> list[Tensor]:
        """Return the states (n_nodes, width) before the first and after every layer."""
        states = [self.embedding_layer(features) + self.token_type_embeddings(types)]
        scores = self.gaussian(distances)
        layers: Any = self.encoder.layers
        for layer in layers:
            states.append(layer(states[-1], scores))
        return states


class SToFMModule(nn.Module):
    """The encoder of cells, its projection, and the transformer over cells."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        bert = {name.removeprefix("cell_"): size for name, size in config.items() if name.startswith("cell_")}
        self.cell = Bert(bert | {"n_tokens": config["n_tokens"]})
        self.projection = nn.Linear(bert["hidden_size"], config["input_dim"])
        self.tissue = PairTransformer(config)

    def vectors(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the vectors of cells (b, input_dim), of length one."""
        return functional.normalize(self.projection(self.cell(batch)[:, 0]).float(), dim=-1)
