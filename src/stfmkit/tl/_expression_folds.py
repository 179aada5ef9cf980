"""One fold after the other: its genes, its regression, its predictions."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from stfmkit._core.arguments import check_choice, check_integer, check_positive, listed, nearest
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError, StfmkitWarning
from stfmkit._core.random import stream
from stfmkit._data.columns import read_groups
from stfmkit._data.coordinates import read_coords
from stfmkit._kernels._normalize import median_total
from stfmkit._kernels._ridge import ridge_probe
from stfmkit.pp._selectors import NON_SPATIAL, SELECTORS, rank_genes
from stfmkit.splits.folds import Fold, inner_folds
from stfmkit.tl._expression_inputs import Truth
from stfmkit.tl._hest_probe import N_GENES, hest_genes, hest_predict

Genes: TypeAlias = Sequence[str] | np.ndarray | pd.Index | int | None


@dataclass(frozen=True)
class ProbeSettings:
    """How the probe is fitted."""

    alphas: tuple[float, ...]
    n_inner: int
    max_components: int
    flavor: str
    hest_compat: bool
    seed: int

    def __post_init__(self) -> None:
        if not self.alphas:
            raise InputError("alphas is empty.", allowed="one penalty or more", remedy="pass alphas=(1.0,), say.")
        for alpha in self.alphas:
            check_positive(alpha, name="alphas")
        check_integer(self.n_inner, name="n_inner", least=2)
        check_integer(self.max_components, name="max_components", least=1)
        check_choice(self.flavor, SELECTORS, name="flavor")


@dataclass(frozen=True, eq=False)
class Done:
    """What one fold predicts (n_test, n_genes), and how."""

    predicted: np.ndarray
    mean: np.ndarray
    size_target: float
    alpha: float
    n_components: int


def choose_genes(
    adata: AnnData,
    truth: Truth,
    genes: Genes,
    *,
    folds: list[Fold],
    settings: ProbeSettings,
    patient_key: str,
    sample_key: str,
    spatial_key: str,
) -> list[np.ndarray]:
    """Return the positions of the genes of every fold."""
    if isinstance(genes, str):
        raise InputTypeError(f"genes={genes!r}.", allowed="a list of genes, or a number", remedy="pass genes=[...].")
    if genes is None and not settings.hest_compat:
        return [np.arange(adata.n_vars)] * len(folds)
    if isinstance(genes, Iterable):
        return [_positions(adata, [str(g) for g in genes])] * len(folds)
    wanted = N_GENES if genes is None else genes
    check_integer(wanted, name="genes", least=1)
    if not truth.counted:
        raise InputError(
            f"genes={wanted} with target='as_is'.", allowed="names of genes", remedy="selectors need raw counts."
        )
    counts = sparse.csr_array(truth.matrix)
    samples = read_groups(adata, sample_key, role="sample_key").codes.astype(np.int64)
    if settings.hest_compat:
        warnings.warn(
            f"hest_compat chooses its {wanted} genes on all observations, test patients included, as HEST-Benchmark "
            "does; pass genes=[...] chosen on training patients to avoid the leak.",
            StfmkitWarning,
            stacklevel=3,
        )
        names = adata.var_names.to_numpy(dtype=str)
        found = hest_genes(counts, samples=samples, genes=names, n_genes=wanted)
        return [_positions(adata, found.tolist())] * len(folds)
    patients = read_groups(adata, patient_key, role="patient_key").codes.astype(np.int64)
    coords = None if settings.flavor in NON_SPATIAL else read_coords(adata, spatial_key=spatial_key)
    plan = []
    for fold in folds:
        best = rank_genes(
            settings.flavor,
            counts=sparse.csr_array(counts[fold.train]),
            samples=samples[fold.train],
            patients=patients[fold.train],
            n_genes=wanted,
            coords=None if coords is None else coords[fold.train],
            rng=stream(settings.seed, "genes", fold.number),
            genes=adata.var_names.to_numpy(),
        )
        if not len(best):
            raise InputError(
                f"no gene that {settings.flavor!r} selects on the training part of fold {fold.number}.",
                allowed="one gene or more",
                remedy="pass genes=[...] or another flavor; the data may be too sparse.",
            )
        plan.append(np.sort(best))
    return plan


def _positions(adata: AnnData, genes: list[str]) -> np.ndarray:
    at = adata.var_names.get_indexer(genes)
    missing = [g for g, i in zip(genes, at, strict=True) if i < 0]
    if missing:
        raise MissingKeyError(
            f"{len(missing)} genes that the table does not measure: {listed(missing, most=5)}.",
            allowed="genes in var_names",
            remedy=f"drop them.{nearest(missing[0], list(adata.var_names))}",
        )
    if not genes or len(set(genes)) < len(genes):
        raise InputError(
            f"{len(genes)} genes, {len(set(genes))} different.", allowed="every gene once", remedy="pass genes=[...]."
        )
    return np.asarray(at)


def predict_folds(
    folds: list[Fold],
    plan: list[np.ndarray],
    features: np.ndarray,
    *,
    truth: Truth,
    samples: np.ndarray,
    settings: ProbeSettings,
) -> list[Done]:
    """Return the predictions of every fold.

    Parameters
    ----------
    plan
        Positions of the genes of every fold.
    features
        The embedding (n_obs, d).
    samples
        Codes of the samples (n_obs,), for inner folds where a fold trains on one patient.
    """
    done = []
    for fold, genes in zip(folds, plan, strict=True):
        groups = fold.train_groups if len(np.unique(fold.train_groups)) > 1 else samples[fold.train]
        inner = inner_folds(groups, settings.n_inner, stream(settings.seed, "inner", fold.number))
        if not (inner or settings.hest_compat) and len(settings.alphas) > 1:
            warnings.warn(
                f"fold {fold.number} trains on one patient and one sample: the penalty cannot be tuned and is "
                f"{settings.alphas[len(settings.alphas) // 2]:g}.",
                StfmkitWarning,
                stacklevel=3,
            )
        size = 1.0 if truth.depth is None else median_total(truth.depth[fold.train])
        target = truth.scaled(truth.matrix, fold.train, genes, size_target=np.full(len(fold.train), size))
        mean = target.mean(axis=0)
        if settings.hest_compat:
            raw = sparse.csr_array(truth.matrix)[fold.train][:, genes].toarray()
            values, alpha, components = hest_predict(features[fold.train], raw, features[fold.test])
        else:
            values, alpha = ridge_probe(
                features[fold.train].astype(np.float64),
                target,
                features[fold.test].astype(np.float64),
                grid=settings.alphas,
                folds=inner,
                max_components=settings.max_components,
            )
            components = min(settings.max_components, features.shape[1], len(fold.train))
        done.append(Done(values, mean, size, alpha, components))
    return done


def assemble(
    adata: AnnData, folds: list[Fold], plan: list[np.ndarray], done: list[Done]
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return all predictions as a table, and the training means (n_folds, n_genes)."""
    same = all(genes is plan[0] for genes in plan)  # then in the order that was asked for
    columns = plan[0] if same else np.unique(np.concatenate(plan))
    values = np.full((adata.n_obs, len(columns)), np.nan, dtype=np.float32)
    means = np.full((len(folds), len(columns)), np.nan)
    place = pd.Index(columns)
    for number, (fold, genes, found) in enumerate(zip(folds, plan, done, strict=True)):
        at = place.get_indexer(genes)
        values[np.ix_(fold.test, at)] = found.predicted
        means[number, at] = found.mean
    return pd.DataFrame(values, index=adata.obs_names, columns=adata.var_names[columns].astype(str)), means


def fold_numbers(n_obs: int, folds: list[Fold]) -> np.ndarray:
    """Return the position of the fold that tests each observation (n_obs,), -1 for none."""
    number = np.full(n_obs, -1, dtype=np.int64)
    for position, fold in enumerate(folds):
        number[fold.test] = position
    return number


def gene_rule(genes: Genes, settings: ProbeSettings) -> str:
    """Say how the genes were chosen."""
    if isinstance(genes, Iterable):
        return "given"
    if settings.hest_compat:
        return "hest"
    return "all" if genes is None else settings.flavor
