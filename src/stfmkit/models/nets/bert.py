"""BERT as Hugging Face stores it, on the shared encoder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stfmkit._core.errors import InputError
from stfmkit._core.limits import short
from stfmkit.models.nets.encoder import ACTIVATIONS, Encoder
from stfmkit.models.nets.state import Rename, fuse_qkv
from stfmkit.models.weights.tables import read_mapping

SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "max_position_embeddings")
"""Numbers that a configuration has to state."""
TOKEN_TYPES = {"token_type_embeddings": 2}
"""Further tables of the input and their rows; the first row of each is added to every token."""

RENAME: Rename = (
    (r"^bert\.", ""),
    (r"^encoder\.layer\.", "encoder.layers."),
    (r"\.attention\.output\.dense\.", ".self_attn.out_proj."),
    (r"\.attention\.output\.LayerNorm\.", ".norm1."),
    (r"\.intermediate\.dense\.", ".linear1."),
    (r"(layers\.\d+)\.output\.dense\.", r"\1.linear2."),
    (r"(layers\.\d+)\.output\.LayerNorm\.", r"\1.norm2."),
)
"""From the names of Hugging Face to ours."""
HEADS = (r"(^|\.)position_ids$", r"^cls\.", r"^(bert\.)?pooler\.")
"""Tensors of the training, and positions that only count."""


class BertInput(nn.Module):
    """Sum of token, position and constant rows, normalised.

    Parameters
    ----------
    config
        Sizes.
    tables
        Further tables by name, with their rows.
    """

    def __init__(self, config: Mapping[str, Any], tables: Mapping[str, int]) -> None:
        super().__init__()
        width = config["hidden_size"]
        self.word_embeddings = nn.Embedding(config["n_tokens"], width)
        self.position_embeddings = nn.Embedding(config["max_position_embeddings"], width)
        self.tables = tuple(tables)
        for name, rows in tables.items():
            self.add_module(name, nn.Embedding(rows, width))
        self.LayerNorm = nn.LayerNorm(width, eps=config["layer_norm_eps"])

    def forward(self, ids: Tensor) -> Tensor:
        """Return (b, t, width)."""
        x: Tensor = self.word_embeddings(ids) + self.position_embeddings.weight[: ids.shape[1]]
        for name in self.tables:
            x = x + self.get_parameter(f"{name}.weight")[0]
        out: Tensor = self.LayerNorm(x)
        return out


class Bert(nn.Module):
    """The encoder of BERT without its heads.

    Parameters
    ----------
    config
        Sizes, as `read_config` returns them.
    tables
        Further tables of the input.
    """

    def __init__(self, config: Mapping[str, Any], tables: Mapping[str, int] | None = None) -> None:
        super().__init__()
        self.embeddings = BertInput(config, TOKEN_TYPES if tables is None else tables)
        self.encoder = Encoder(
            config["num_hidden_layers"],
            config["hidden_size"],
            config["num_attention_heads"],
            config["intermediate_size"],
            activation=config["hidden_act"],
            eps=config["layer_norm_eps"],
        )

    def forward(self, batch: Mapping[str, Tensor], *, layers: int | None = None, queries: int | None = None) -> Tensor:
        """Return the states (b, t, width) after a number of layers, or only the first `queries` of the t.

        All layers by default; 0 for the input.
        """
        return self.encoder(self.embeddings(batch["ids"]), keep=batch["keep"], layers=layers, queries=queries)

    def states(self, batch: Mapping[str, Tensor]) -> list[Tensor]:
        """Return the input and the states after every layer."""
        return self.encoder.states(self.embeddings(batch["ids"]), keep=batch["keep"])


def read_config(path: Path, *, what: str) -> dict[str, Any]:
    """Return the sizes in a ``config.json`` of BERT, `n_tokens` among them.

    Raises
    ------
    InputError
        The file is of another architecture, or lacks a size.
    """
    held = read_mapping(path)
    absent = [name for name in (*SIZES, "vocab_size") if not isinstance(held.get(name), int)]
    kind, places = held.get("model_type", "bert"), held.get("position_embedding_type", "absolute")
    if absent or kind != "bert" or places != "absolute" or held.get("hidden_act") not in ACTIVATIONS:
        raise InputError(
            f"{path.name} of {what!r} with model_type={short(kind)}, position_embedding_type={short(places)}, "
            f"hidden_act={short(held.get('hidden_act'))}" + (f", without {', '.join(absent)}." if absent else "."),
            allowed=f"a BERT with absolute positions and {' or '.join(ACTIVATIONS)}",
            remedy="pass the folder of a published checkpoint of this model.",
        )
    sizes = {name: held[name] for name in SIZES}
    eps = float(held.get("layer_norm_eps", 1e-12))
    return sizes | {"n_tokens": held["vocab_size"], "hidden_act": held["hidden_act"], "layer_norm_eps": eps}


def fused(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with query, key and value of a layer in one."""
    prefix = "bert." if any(name.startswith("bert.") for name in state) else ""
    return fuse_qkv(
        state,
        rf"{prefix}encoder\.layer\.(?P<layer>\d+)\.attention\.self\.(?P<which>query|key|value)\.(?P<kind>weight|bias)",
        prefix + "encoder.layer.{layer}.self_attn.in_proj_{kind}",
    )


def masked_mean(x: Tensor, keep: Tensor) -> Tensor:
    """Return the mean (b, d) over the kept tokens of (b, t, d), zero where there are none."""
    weight = keep.to(x.dtype).unsqueeze(-1)
    return (x * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=torch.finfo(x.dtype).tiny)
