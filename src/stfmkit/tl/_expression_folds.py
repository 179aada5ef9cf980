"""One fold after the other: its genes, its regression, its predictions."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

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
from stfmkit.evaluation.measured import Measured
from stfmkit.evaluation.ridge_probe import ridge_probe
from stfmkit.pp._selectors import NON_SPATIAL, SELECTORS, rank_genes
from stfmkit.splits.folds import Fold, inner_folds
from stfmkit.tl._hest_probe import N_GENES, hest_genes, hest_predict


@dataclass(frozen=True)
class ProbeSettings:
    """How the probe is fitted, and how its genes are chosen."""

    ridge_alpha: tuple[float, ...]
    n_inner: int
    max_components: int
    selector: str
    hest_compat: bool
    seed: int

    def __post_init__(self) -> None:
        if not self.ridge_alpha:
            raise InputError(
                "ridge_alpha is empty.", allowed="one penalty or more", remedy="pass ridge_alpha=(1.0,), say."
            )
        for alpha in self.ridge_alpha:
            check_positive(alpha, name="ridge_alpha")
        check_integer(self.n_inner, name="n_inner", least=2)
        check_integer(self.max_components, name="max_components", least=1)
        check_choice(self.selector, SELECTORS, name="selector")


@dataclass(frozen=True, eq=False)
class FoldPrediction:
    """What one fold predicts (n_test, n_genes), and how."""

    predicted: np.ndarray
    mean: np.ndarray
    size_target: float
    alpha: float
    n_components: int


def choose_genes(
    adata: AnnData,
    measured: Measured,
    genes: Sequence[str] | np.ndarray | pd.Index | None,
    n_genes: int | None,
    *,
    folds: list[Fold],
    settings: ProbeSettings,
    patient_key: str,
    sample_key: str,
    spatial_key: str,
) -> list[np.ndarray]:
    """Return the positions of the genes of every fold."""
    if isinstance(genes, str | int):
        raise InputTypeError(
            f"genes={genes!r}.", allowed="a list of genes", remedy="pass genes=[...], or a number as n_genes."
        )
    if genes is not None and n_genes is not None:
        raise InputError(
            f"genes and n_genes={n_genes!r}.", allowed="one of the two", remedy="leave one of the two out."
        )
    if genes is not None:
        return [_positions(adata, [str(g) for g in genes])] * len(folds)
    if n_genes is None and not settings.hest_compat:
        return [np.arange(adata.n_vars)] * len(folds)
    wanted = N_GENES if n_genes is None else n_genes
    check_integer(wanted, name="n_genes", least=1)
    if not measured.counted:
        raise InputError(
            f"n_genes={wanted} with scale='as_is'.", allowed="names of genes", remedy="selectors need raw counts."
        )
    counts = sparse.csr_array(measured.matrix)
    samples = read_groups(adata, sample_key, role="sample_key").codes.astype(np.int64)
    if settings.hest_compat:
        warnings.warn(
            f"hest_compat chooses its {wanted} genes on all observations, test patients included, as HEST-Benchmark "
            "does; pass genes=[...] chosen on training patients to avoid the leak.",
            StfmkitWarning,
            stacklevel=3,
        )
        names = adata.var_names.to_numpy(dtype=str)
        chosen = hest_genes(counts, samples=samples, genes=names, n_genes=wanted)
        return [_positions(adata, chosen.tolist())] * len(folds)
    patients = read_groups(adata, patient_key, role="patient_key").codes.astype(np.int64)
    coords = None if settings.selector in NON_SPATIAL else read_coords(adata, spatial_key=spatial_key)
    plan = []
    for fold in folds:
        best = rank_genes(
            settings.selector,
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
                f"no gene that {settings.selector!r} selects on the training part of fold {fold.number}.",
                allowed="one gene or more",
                remedy="pass genes=[...] or another selector; the data may be too sparse.",
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
    measured: Measured,
    samples: np.ndarray,
    settings: ProbeSettings,
) -> list[FoldPrediction]:
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
    found = []
    for fold, genes in zip(folds, plan, strict=True):
        groups = fold.train_groups if len(np.unique(fold.train_groups)) > 1 else samples[fold.train]
        inner = inner_folds(groups, settings.n_inner, stream(settings.seed, "inner", fold.number))
        penalties = settings.ridge_alpha
        if not (inner or settings.hest_compat) and len(penalties) > 1:
            warnings.warn(
                f"fold {fold.number} trains on one patient and one sample: the penalty cannot be tuned and is "
                f"{penalties[len(penalties) // 2]:g}.",
                StfmkitWarning,
                stacklevel=3,
            )
        size = 1.0 if measured.depth is None else median_total(measured.depth[fold.train])
        target = measured.scaled(fold.train, genes, size_target=np.full(len(fold.train), size))
        if settings.hest_compat:
            raw = sparse.csr_array(measured.matrix)[fold.train][:, genes].toarray()
            values, alpha, components = hest_predict(features[fold.train], raw, features[fold.test])
        else:
            values, alpha = ridge_probe(
                features[fold.train].astype(np.float64),
                target,
                features[fold.test].astype(np.float64),
                grid=penalties,
                folds=inner,
                max_components=settings.max_components,
            )
            components = min(settings.max_components, features.shape[1], len(fold.train))
        found.append(FoldPrediction(values, target.mean(axis=0), size, alpha, components))
    return found


def assemble(
    adata: AnnData, folds: list[Fold], plan: list[np.ndarray], found: list[FoldPrediction]
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return all predictions as a table, and the training means (n_folds, n_genes)."""
    same = all(genes is plan[0] for genes in plan)  # then in the order that was asked for
    columns = plan[0] if same else np.unique(np.concatenate(plan))
    values = np.full((adata.n_obs, len(columns)), np.nan, dtype=np.float32)
    means = np.full((len(folds), len(columns)), np.nan)
    place = pd.Index(columns)
    for number, (fold, genes, part) in enumerate(zip(folds, plan, found, strict=True)):
        at = place.get_indexer(genes)
        values[np.ix_(fold.test, at)] = part.predicted
        means[number, at] = part.mean
    return pd.DataFrame(values, index=adata.obs_names, columns=adata.var_names[columns].astype(str)), means


def fold_numbers(n_obs: int, folds: list[Fold]) -> np.ndarray:
    """Return the position of the fold that tests each observation (n_obs,), -1 for none."""
    number = np.full(n_obs, -1, dtype=np.int64)
    for position, fold in enumerate(folds):
        number[fold.test] = position
    return number
