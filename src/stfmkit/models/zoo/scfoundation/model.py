"""scFoundation: log counts as soft bins, with the depth and a wanted depth as two further tokens."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Unpack

import torch
from torch import Tensor, nn

from stfmkit._core.arguments import check_choice, listed
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit.models.contract import Block, Requirements
from stfmkit.models.nets.autobin import GENE_LIST, AutoBin, read_gene_list
from stfmkit.models.nets.checkpoint import Assets
from stfmkit.models.nets.encoder import Encoder
from stfmkit.models.nets.network import Common, Network
from stfmkit.models.nets.tokens import Tokens
from stfmkit.models.weights.tensors import read_checkpoint
from stfmkit.models.zoo.scfoundation.card import SCFOUNDATION
from stfmkit.models.zoo.scfoundation.tokens import depth_tokens, parse_resolution, parse_totals


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


Pool = Literal["all", "max"]
PreNormalized = Literal["F", "T", "A"]
Version = Literal["cell", "rde", "gene"]

_SIZES = {"hidden_dim": 768, "depth": 12, "heads": 12, "bin_num": 100, "bin_alpha": 1.0, "seq_len": 2}


@dataclass(frozen=True, kw_only=True, eq=False)
class ScFoundationAssets(Assets):
    """What a checkpoint of scFoundation holds.

    Attributes
    ----------
    t, s
        Tokens of the wanted and of the measured depth.
    n_rows
        Rows of the table of genes; None for as many as there are tokens.
    """

    t: int = 0
    s: int = 1
    n_rows: int | None = None


class ScFoundation(Network[ScFoundationAssets]):
    """scFoundation (Hao et al. 2024, Nat Methods 21:1481): pooled states of the encoder.

    Tokens are the non-zero genes of the published list with ``log1p(counts / total * 1e4)``, then T (the wanted depth)
    and S (the depth, log10 of the total). The vector is that of S, that of T, and the largest and the mean of the
    genes, side by side.

    Parameters
    ----------
    pool
        "all" for the four parts (4 d), or "max" for the largest over all tokens (d).
    tgthighres
        The wanted depth T: "t4" for 4, "f2" for log10 of twice the total, "a1" for S + 1.
    pre_normalized
        "F" for raw counts. "T" for ``log1p`` of counts per ten thousand, where S comes from the sum of these values;
        "A" likewise, with the total counts in a column of obs.
    total_key
        Column of obs with the total counts, for ``pre_normalized="A"``.
    key
        Version in the checkpoint: "cell" for embeddings of cells, "rde" for read-depth enhancement, "gene".
    common
        Options of every network; see `stfmkit.models.nets.network.Network`.
    """

    card = SCFOUNDATION
    defaults = _SIZES
    rename = (
        (r"^model\.", ""),
        (r"^encoder\.norm\.", "encoder_norm."),
        (r"^encoder\.transformer_encoder\.", "encoder.layers."),
    )
    ignore = (r"^model\.(decoder|decoder_embed|norm|to_final)\.", r"token_emb\.emb_(mask|pad)\.")
    n_special = 2
    gene_rows = "pos_emb.weight"

    def __init__(
        self,
        *,
        pool: Pool = "all",
        tgthighres: str = "t4",
        pre_normalized: PreNormalized = "F",
        total_key: str | None = None,
        key: Version = "cell",
        **common: Unpack[Common],
    ) -> None:
        check_choice(pool, ("all", "max"), name="pool")
        check_choice(pre_normalized, ("F", "T", "A"), name="pre_normalized")
        check_choice(key, ("cell", "rde", "gene"), name="key")
        parse_resolution(tgthighres)
        if (pre_normalized == "A") != (total_key is not None):
            raise MissingKeyError(
                f"pre_normalized={pre_normalized!r} and total_key={total_key!r}.",
                allowed="total_key= with pre_normalized='A', and only then",
                remedy="pass the column of obs that holds the total counts, or leave it out.",
            )
        self.pool, self.tgthighres, self.pre_normalized, self.key = pool, tgthighres, pre_normalized, key
        self.total_key = total_key
        super().__init__(**common)

    def requirements(self) -> Requirements:
        """Return what the model needs: raw counts, or any values where they are normalised already."""
        return replace(
            super().requirements(),
            needs=("counts",) if self.pre_normalized == "F" else ("expression",),
            obs_keys=() if self.total_key is None else (self.total_key,),
        )

    def read(self, folder: Path) -> ScFoundationAssets:
        """Return one version of ``models.ckpt``, and the list of genes."""
        path = self.find(folder, "models.ckpt", "*.ckpt", beside=("models", "model/models"))
        genes = read_gene_list(self.find(path.parent, GENE_LIST, beside=("model",)))
        held = read_checkpoint(path)
        config, state = _version(held, self.key, what=path.name)
        n = len(genes.names)
        if config["seq_len"] != n + 2:
            raise InputError(
                f"{path.name} for {config['seq_len'] - 2} genes, and {n} genes in {GENE_LIST}.",
                allowed="the list of genes that belongs to the checkpoint",
                remedy="pass the folder of the publication.",
            )
        return ScFoundationAssets(config=config, genes=genes, state=state, t=n, s=n + 1, n_rows=n + 3)

    def random_assets(self, config: Mapping[str, Any]) -> ScFoundationAssets:
        """Return a twin whose two further tokens come first."""
        return ScFoundationAssets(config=config)

    def build(self, assets: ScFoundationAssets) -> ScFoundationModule:
        """Return the module."""
        c = assets.config
        rows = assets.n_rows or c.get("n_tokens", self.n_special)
        sizes = {"width": c["hidden_dim"], "heads": c["heads"], "n_layers": c["depth"], "n_bins": c["bin_num"]}
        return ScFoundationModule(n_rows=rows, alpha=c["bin_alpha"], **sizes)

    def tokenise(self, block: Block) -> Tokens:
        """Return the non-zero genes, T and S."""
        counts, ids = self.align(block)
        totals = None if self.total_key is None else parse_totals(block.obs[self.total_key], key=self.total_key)
        tokens = depth_tokens(
            counts,
            ids,
            t_and_s=(self.assets.t, self.assets.s),
            resolution=self.tgthighres,
            logged=self.pre_normalized != "F",
            totals=totals,
        )
        short = (tokens.lengths < 3) & ~tokens.rows["empty"]
        if self.pool == "all" and short.any():
            raise InputError(
                f"{int(short.sum())} of {block.n_obs} observations have too few tokens to pool "
                f"({listed(block.obs_names[short], most=3)}): with a total of one count, S is zero and not read.",
                allowed="a gene beside T and S in every observation",
                remedy="drop these observations, or pass pool='max'.",
            )
        return tokens

    def forward(self, module: ScFoundationModule, batch: dict[str, Tensor]) -> Tensor:
        """Return the pooled states (b, 4 d) or (b, d)."""
        states = module.encoder_norm(module.states(batch)[-1])
        keep, length = batch["keep"], batch["keep"].sum(dim=1)
        if self.pool == "max":
            return _largest(states, keep)
        row = torch.arange(len(states), device=states.device)
        gene = torch.arange(keep.shape[1], device=states.device)[None, :] < (length - 2)[:, None]
        mean = (states * gene[..., None]).sum(dim=1) / (length - 2)[:, None]
        return torch.cat([states[row, length - 1], states[row, length - 2], _largest(states, gene), mean], dim=1)


def _largest(states: Tensor, keep: Tensor) -> Tensor:
    return states.masked_fill(~keep[..., None], float("-inf")).amax(dim=1)


def _version(held: Mapping[str, Any], key: str, *, what: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the flat configuration and the tensors of one version of a checkpoint."""
    try:
        nested, state = held[key]["config"], held[key]["state_dict"]
        inner = nested["model_config"][nested["model"]]
        encoder = inner["encoder"]
        config = {name: encoder[name] for name in ("hidden_dim", "depth", "heads")}
        config |= {name: inner[name] for name in ("bin_num", "bin_alpha")}
        config["seq_len"] = {**inner, **nested["dataset_config"]["rnaseq"]}["seq_len"]
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{what} for key={key!r} without {error}; it holds {listed([str(name) for name in held], most=5)}.",
            allowed="'cell', 'rde' and 'gene', each with config and state_dict",
            remedy="pass the published models.ckpt.",
        ) from None
    return config, dict(state)
