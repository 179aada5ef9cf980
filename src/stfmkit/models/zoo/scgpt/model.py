"""scGPT: genes with binned values through a transformer, read off a class token."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from stfmkit._core.arguments import check_integer
from stfmkit._core.errors import InputError
from stfmkit.models.contract import Block
from stfmkit.models.genes.alignment import GeneVocabulary
from stfmkit.models.nets.checkpoint import Assets
from stfmkit.models.nets.encoder import Encoder
from stfmkit.models.nets.network import Common, Network
from stfmkit.models.nets.tokens import Tokens, collate
from stfmkit.models.weights.tables import read_mapping
from stfmkit.models.weights.tensors import read_state
from stfmkit.models.zoo.scgpt.bins import binned_tokens
from stfmkit.models.zoo.scgpt.card import SCGPT


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


SPECIAL = ("<pad>", "<cls>", "<eoc>")
_SIZES = {"embsize": 512, "nheads": 8, "d_hid": 512, "nlayers": 12, "n_tokens": len(SPECIAL)}
_HEADS = (
    r"^(decoder|mvc_decoder|impute_mvc_decoder|cls_decoder|grad_reverse_discriminator|flag_encoder|batch_encoder)\."
)


@dataclass(frozen=True, kw_only=True, eq=False)
class ScGPTAssets(Assets):
    """What a checkpoint of scGPT holds.

    Attributes
    ----------
    pad
        Token of padding.
    cls
        The class token.
    pad_value
        Number beside both.
    """

    pad: int = 0
    cls: int = 1
    pad_value: float = -2.0


class ScGPT(Network[ScGPTAssets]):
    """scGPT (Cui et al. 2024, Nat Methods 21:1470): the class token of the last layer, of length one.

    Tokens are the non-zero genes, each with the quantile bin of its count within the observation. Counts that equal
    several edges go to a random one of their bins, and of more than ``max_length - 1`` genes a random subset is read,
    as in the original; here both follow from the seed, the name of the observation and the gene.

    Parameters
    ----------
    max_length
        Most tokens of an observation, the class token among them.
    common
        Options of every network; see `stfmkit.models.nets.network.Network`.
    """

    card = SCGPT
    defaults = _SIZES
    rename = ((r"self_attn\.(_impl\.)?Wqkv\.", "self_attn.in_proj_"), (r"self_attn\._impl\.", "self_attn."))
    ignore = (_HEADS,)
    gives_genes = True
    duplicates = "keep"
    n_special = len(SPECIAL)
    gene_rows = "encoder.embedding.weight"

    def __init__(self, *, max_length: int = 1200, **common: Unpack[Common]) -> None:
        check_integer(max_length, name="max_length", least=2)
        self.max_length = max_length
        super().__init__(**common)

    def read(self, folder: Path) -> ScGPTAssets:
        """Return what ``args.json``, ``vocab.json`` and ``best_model.pt`` hold."""
        args = read_mapping(self.find(folder, "args.json"))
        _check_args(args, what=self.card.name)
        tokens = {str(name): int(token) for name, token in read_mapping(self.find(folder, "vocab.json")).items()}
        for name in SPECIAL:
            tokens.setdefault(name, len(tokens))
        if sorted(tokens.values()) != list(range(len(tokens))):
            raise InputError(
                f"vocab.json with {len(tokens)} tokens whose ids are not 0 … {len(tokens) - 1}.",
                allowed="consecutive ids",
                remedy="pass the folder of one published checkpoint.",
            )
        genes = pd.Series(tokens).drop(list(SPECIAL))
        config = {name: args[name] for name in self.defaults if name in args} | {"n_tokens": len(tokens)}
        vocabulary = GeneVocabulary(pd.Index(genes.index), kind="symbol", ids=genes.to_numpy())
        state = read_state(self.find(folder, "best_model.pt"))
        return ScGPTAssets(
            config=config,
            genes=vocabulary,
            state=state,
            pad=tokens["<pad>"],
            cls=tokens["<cls>"],
            pad_value=float(args.get("pad_value", -2)),
        )

    def random_assets(self, config: Mapping[str, Any]) -> ScGPTAssets:
        """Return a twin whose special tokens come first."""
        return ScGPTAssets(config=config)

    def build(self, assets: ScGPTAssets) -> ScGPTModule:
        """Return the module."""
        c = assets.config
        return ScGPTModule(
            n_tokens=c["n_tokens"], width=c["embsize"], heads=c["nheads"], hidden=c["d_hid"], n_layers=c["nlayers"]
        )

    def tokenise(self, block: Block) -> Tokens:
        """Return the class token and the non-zero genes with their bins."""
        counts, ids = self.align(block)
        first = (self.assets.cls, self.assets.pad_value)
        limit = self.max_length - 1
        return binned_tokens(counts, ids, block.obs_names, seed=self.rng, limit=limit, first=first)

    def collate(self, tokens: Tokens) -> dict[str, Tensor]:
        """Return a padded batch."""
        return collate(tokens, pad_id=self.assets.pad, pad_value=self.assets.pad_value)

    def forward(self, module: ScGPTModule, batch: dict[str, Tensor]) -> Tensor:
        """Return the class token (b, d), of length one."""
        return functional.normalize(module(batch).float(), dim=1)

    def encode_genes(self, block: Block) -> np.ndarray:
        """Return the input vector of every gene (n_genes, d), normalised as the network reads it."""
        match = self.match(block)
        with torch.inference_mode():
            known = self.module.encoder(torch.from_numpy(match.ids).to(self._device)).float().cpu().numpy()  # type: ignore[operator]
        rows = np.full((len(pd.Index(block.genes)), known.shape[1]), np.nan, dtype=np.float32)
        rows[match.columns] = known
        return rows


def _check_args(args: Mapping[str, Any], *, what: str) -> None:
    """Refuse a configuration that is not one of scGPT, or of another input."""
    wanted = ("embsize", "nheads", "d_hid", "nlayers")
    absent = [name for name in wanted if not isinstance(args.get(name), int)]
    if absent:
        raise InputError(
            f"args.json of {what!r} without {', '.join(absent)}: it holds {json.dumps(sorted(args))[:100]}.",
            allowed="the published args.json",
            remedy="pass the folder of a published checkpoint.",
        )
    style = args.get("input_emb_style", "continuous")
    if style != "continuous":
        raise InputError(
            f"args.json with input_emb_style={style!r}.",
            allowed="'continuous', as published",
            remedy="pass a published checkpoint.",
        )
