"""scGPT-spatial: counts over the means of their slide and their gene, then as scGPT."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError
from stfmkit.models.contract import Block
from stfmkit.models.nets.tokens import Tokens
from stfmkit.models.zoo.scgpt.bins import binned_tokens
from stfmkit.models.zoo.scgpt.card import SCGPT_SPATIAL
from stfmkit.models.zoo.scgpt.model import ScGPT, ScGPTAssets

_MEANS = "all_dict_mean_std.csv"


@dataclass(frozen=True, kw_only=True, eq=False)
class ScGPTSpatialAssets(ScGPTAssets):
    """What a checkpoint of scGPT-spatial holds.

    Attributes
    ----------
    means
        Published mean of every token (n_tokens,), NaN where there is none; empty for a random twin.
    """

    means: np.ndarray = field(default_factory=lambda: np.empty(0))


class ScGPTSpatial(ScGPT):
    """scGPT-spatial (Wang et al. 2025, bioRxiv 2025.02.05.636714): the class token of the last layer, of length one.

    Counts are divided by the mean of all non-zero counts of known genes in the sample, then by the published mean of
    their gene; a gene without one takes the mean of its own non-zero values in the sample. Bins and tokens are those
    of `ScGPT`. Coordinates are not read.

    Parameters
    ----------
    max_length
        Most tokens of an observation, the class token among them.
    common
        Options of every network; see `stfmkit.models.nets.network.Network`.
    """

    card = SCGPT_SPATIAL

    def read(self, folder: Path) -> ScGPTSpatialAssets:
        """Return what the files of scGPT and the table of means hold."""
        assets = super().read(folder)
        means = _read_means(self.find(folder, _MEANS), n_tokens=assets.config["n_tokens"])
        return ScGPTSpatialAssets(**vars(assets), means=means)

    def random_assets(self, config: Mapping[str, Any]) -> ScGPTSpatialAssets:
        """Return a twin without published means."""
        return ScGPTSpatialAssets(config=config)

    @property
    def _means(self) -> np.ndarray:
        assets = self.assets
        return assets.means if isinstance(assets, ScGPTSpatialAssets) else np.empty(0)

    def tokenise(self, block: Block) -> Tokens:
        """Return the class token and the non-zero genes with the bins of their relative counts."""
        counts, ids = self.align(block)
        first = (self.assets.cls, self.assets.pad_value)
        values = relative_counts(counts, _known_means(self._means, ids), block.samples)
        return binned_tokens(values, ids, block.obs_names, seed=self.rng, limit=self.max_length - 1, first=first)


def relative_counts(counts: sparse.csr_array, means: np.ndarray, samples: np.ndarray) -> sparse.csr_array:
    """Return counts over the mean of their sample and of their gene (n_obs, m), as float32.

    Parameters
    ----------
    counts
        Counts of the known genes (n_obs, m).
    means
        Published mean of every gene (m,), NaN where there is none.
    samples
        Sample of every observation (n_obs,).
    """
    held = counts.astype(np.float32)
    held.eliminate_zeros()
    m = held.shape[1]
    sample = np.repeat(np.unique(samples, return_inverse=True)[1], np.diff(held.indptr)).astype(np.int64)
    number = np.bincount(sample)
    slide = np.bincount(sample, weights=held.data) / np.maximum(number, 1)
    values = held.data / slide.astype(np.float32)[sample]  # single precision here, double below, as the original
    known = means[held.indices]
    absent = np.isnan(known)
    if absent.any():
        group = sample[absent] * m + held.indices[absent]
        own = np.bincount(group, weights=values[absent]) / np.maximum(np.bincount(group), 1)
        known[absent] = own[group]
    held.data = (values / known).astype(np.float32)
    return held


def _known_means(means: np.ndarray, ids: np.ndarray) -> np.ndarray:
    return np.asarray(means[ids]) if len(means) else np.full(len(ids), np.nan)


def _read_means(path: Path, *, n_tokens: int) -> np.ndarray:
    """Return the mean of every token (n_tokens,), NaN where the table has none that is above zero."""
    try:
        table = pd.read_csv(path, index_col=0)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError):
        table = pd.DataFrame()
    tokens = pd.to_numeric(pd.Series(table.index), errors="coerce").to_numpy(dtype=np.float64)
    column = table["mean"] if "mean" in table else pd.Series(dtype=float)
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    values = np.where(np.isfinite(values) & (values > 0), values, np.nan)
    if not (np.isfinite(values).any() and np.isin(tokens, np.arange(n_tokens)).all()):
        raise InputError(
            f"{path.name} with the columns {listed(table.columns)} and {len(table)} rows holds no means.",
            allowed=f"tokens 0 … {n_tokens - 1} in the first column, and a column 'mean' of numbers above zero",
            remedy="pass the published file that belongs to the vocabulary.",
        )
    means = np.full(n_tokens, np.nan)
    means[tokens.astype(np.int64)] = values
    return means
