"""stFormer: the genes of a cell attend to each other and to the ligands of its niche."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Unpack

import numpy as np
import pandas as pd
from torch import Tensor, nn

from stfmkit._core.arguments import check_choice, check_integer, listed
from stfmkit._core.errors import InputError
from stfmkit.models.contract import Block, Requirements
from stfmkit.models.keyed_random import name_keys
from stfmkit.models.nets.autobin import GENE_LIST, read_gene_list
from stfmkit.models.nets.checkpoint import Assets
from stfmkit.models.nets.network import Common, Network
from stfmkit.models.nets.tokens import Tokens
from stfmkit.models.zoo.stformer.card import STFORMER
from stfmkit.models.zoo.stformer.files import read_ligands, read_module, read_sizes
from stfmkit.models.zoo.stformer.net import StFormerModule
from stfmkit.models.zoo.stformer.niche import niche_members, niche_tokens
from stfmkit.models.zoo.stformer.spots import LEAST, parse_abundances, spot_members, spot_shares

_SIZES = {"width": 768, "heads": 12, "hidden": 3072, "n_layers": 6, "n_bins": 100, "alpha": 1.0, "n_tokens": 0}
_TARGET, _LARGEST = 1e4, 50
_LIGAND_SHARE = 20
"""One gene in so many is a ligand of a random twin, as in the published list."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StFormerAssets(Assets):
    """What a checkpoint of stFormer holds.

    Attributes
    ----------
    ligands
        Tokens of ligands; None for a random twin, which takes a fixed choice among its genes.
    n_rows
        Rows of the tables of genes; None for as many as there are tokens.
    """

    ligands: np.ndarray | None = None
    n_rows: int | None = None


class StFormer(Network[StFormerAssets]):
    """stFormer (Cao et al. 2025, bioRxiv 2024.09.27.615337): the largest state over the genes of a cell.

    Tokens are the non-zero genes of the list of scFoundation, ``log1p`` of counts per ten thousand; the memory holds
    the ligands that the cells of the niche express, with log(1 / size of the niche) added to the scores.

    Parameters
    ----------
    mode
        "sp" for cells in space, or "sc" for cells without a niche, which needs no coordinates.
    niche
        "radius" for all cells of the sample within the largest radius that gives no cell more than
        `max_niche_cell_num`, or "nearest" for that many nearest; the cell itself is one of them.
    max_niche_cell_num
        Most cells of a niche, at most 50; the original shows 5 to 35.
    spot_key
        Column of obs with the spot, where every observation is a cell type in a spot, as in the pretraining: its
        expected expression, for instance from ``compute_expected_per_cell_type`` of cell2location. The niche is then
        the spot, and every cell type weighs its share. Fractions are taken, coordinates are not read. Cell types of a
        share below 0.05 are no part of their spot.
    abundance_key
        Column of obs with the abundance of the cell type in its spot; the original takes the 5 % quantile.
    common
        Options of every network; see `stfmkit.models.nets.network.Network`.
    """

    card = STFORMER
    defaults = _SIZES
    rename = (
        (r"^module\.", ""),
        (r"^transformer_decoder\.layers\.", "layers."),
        (r"self_attn\.Wqkv\.", "self_attn.in_proj_"),
        (r"^scfoundation_token_emb1\.", "niche_value."),
        (r"^scfoundation_token_emb2\.", "value."),
        (r"^scfoundation_pos_emb1\.", "niche_gene."),
        (r"^scfoundation_pos_emb2\.", "gene."),
    )
    ignore = (r"^(module\.)?(decoder|cls_decoder|gcl_decoder)\.", r"_emb[12]\.emb_(mask|pad)\.", r"_emb[12]\.tensor0$")
    gene_rows = "gene.weight"

    def __init__(
        self,
        *,
        mode: Literal["sp", "sc"] = "sp",
        niche: Literal["radius", "nearest"] = "radius",
        max_niche_cell_num: int = 20,
        spot_key: str | None = None,
        abundance_key: str | None = None,
        **common: Unpack[Common],
    ) -> None:
        check_choice(mode, ("sp", "sc"), name="mode")
        check_choice(niche, ("radius", "nearest"), name="niche")
        check_integer(max_niche_cell_num, name="max_niche_cell_num", least=1)
        if max_niche_cell_num > _LARGEST:
            raise InputError(
                f"max_niche_cell_num={max_niche_cell_num}.",
                allowed=f"1 to {_LARGEST}, as in the original",
                remedy="take a smaller niche.",
            )
        if (spot_key is None) != (abundance_key is None) or (spot_key is not None and mode == "sc"):
            raise InputError(
                f"spot_key={spot_key!r}, abundance_key={abundance_key!r} and mode={mode!r}.",
                allowed="both columns with mode='sp', or none of them",
                remedy="pass the columns of the spot and of the abundance in it.",
            )
        self.mode, self.niche, self.max_niche_cell_num = mode, niche, max_niche_cell_num
        self.spot_key, self.abundance_key = spot_key, abundance_key
        self.duplicates = "sum" if spot_key is None else "first"  # each as in the original
        super().__init__(**common)

    def requirements(self) -> Requirements:
        """Return what the model needs: no niche for cells alone, and spots instead of coordinates for cell types."""
        stated = super().requirements()
        if self.mode == "sc":
            return replace(stated, needs=("counts",), whole_samples=False)
        if self.spot_key is None or self.abundance_key is None:
            return stated
        return replace(stated, needs=("expression",), obs_keys=(self.spot_key, self.abundance_key))

    def read(self, folder: Path) -> StFormerAssets:
        """Return the tensors of the saved module, the list of genes and the ligands."""
        path = self.find(folder, "model_4.1M.ckpt", "*.ckpt", beside=("models", "pretraining/models"))
        beside = ("stformer/tokenizer", "tokenizer")
        genes = read_gene_list(self.find(path.parent, GENE_LIST, beside=beside))
        ligands = read_ligands(self.find(path.parent, "ligand_database.csv", beside=beside))
        state, plain = read_module(path)
        config = read_sizes(state, plain, n_genes=len(genes.names), what=path.name)
        known = np.flatnonzero(genes.names.isin(ligands))
        return StFormerAssets(config=config, genes=genes, state=state, ligands=known, n_rows=len(genes.names) + 3)

    def random_assets(self, config: Mapping[str, Any]) -> StFormerAssets:
        """Return a twin whose ligands are chosen among its genes."""
        return StFormerAssets(config=config)

    def build(self, assets: StFormerAssets) -> StFormerModule:
        """Return the module."""
        c = dict(assets.config)
        n_tokens = c.pop("n_tokens")
        return StFormerModule(n_rows=assets.n_rows or n_tokens, **c)

    def tokenise(self, block: Block) -> Tokens:
        """Return the genes of every cell, then the ligands of its niche."""
        counts, ids = self.align(block)
        held = counts.astype(np.float64)
        held.eliminate_zeros()
        scale = np.repeat(np.asarray(held.sum(axis=1)).ravel() / _TARGET, np.diff(held.indptr))
        held.data = np.log1p(held.data / scale)
        pairs = shares = None
        if self.spot_key is not None:
            spot, shares = self._spots(block)
            pairs = spot_members(spot, shares)
        elif self.mode == "sp":
            nearest, most = self.niche == "nearest", self.max_niche_cell_num
            pairs = niche_members(np.asarray(block.read("coordinates")), block.samples, most=most, nearest=nearest)
        return niche_tokens(held, ids, np.isin(ids, self._ligands()), pairs, shares=shares)

    def _spots(self, block: Block) -> tuple[np.ndarray, np.ndarray]:
        """Return the spot of every observation within its sample, and its share of it (n_obs,)."""
        names = pd.factorize(block.obs[str(self.spot_key)])[0]
        spot = np.unique(np.column_stack([block.samples, names]), axis=0, return_inverse=True)[1].ravel()
        key = str(self.abundance_key)
        shares = spot_shares(spot, parse_abundances(block.obs[key], key=key))
        small = shares == 0
        if small.any() and self.on_empty == "error":
            raise InputError(
                f"{int(small.sum())} of {block.n_obs} observations are less than {LEAST} of their spot by "
                f"obs[{key!r}]: {listed(block.obs_names[small], most=3)}.",
                allowed="cell types that are part of their spot",
                remedy="drop these observations, which changes no other, or pass on_empty='zero'.",
            )
        return spot, shares

    def forward(self, module: StFormerModule, batch: dict[str, Tensor]) -> Tensor:
        """Return the largest state over the genes of the cell (b, d)."""
        states, keep = module.states(batch)
        return states[-1].masked_fill(~keep[..., None], float("-inf")).amax(dim=1)

    def _ligands(self) -> np.ndarray:
        """Return the tokens of ligands; in a random twin, a fixed choice among the genes."""
        ligands, genes = self.assets.ligands, self.assets.genes
        if ligands is not None or genes is None:
            return np.zeros(0, dtype=np.int64) if ligands is None else ligands
        names = genes.names
        picked = np.argsort(name_keys(names, f"bins {self.rng}"), kind="stable")[: -(-len(names) // _LIGAND_SHARE)]
        return genes.tokens()[picked]

    def start_training(self, module: nn.Module) -> None:
        """Make both tables of a random twin the same, as they are before the training."""
        module.niche_gene.load_state_dict(module.gene.state_dict())  # type: ignore[union-attr]
        module.niche_value.load_state_dict(module.value.state_dict())  # type: ignore[union-attr]
