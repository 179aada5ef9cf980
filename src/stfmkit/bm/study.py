"""The data of one comparison, read once and checked before any long work."""

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError
from stfmkit._core.random import stream
from stfmkit._data.columns import read_groups, read_labels
from stfmkit._data.coordinates import check_positions, read_coords
from stfmkit._data.matrices import check_no_empty, read_counts
from stfmkit._data.names import check_names
from stfmkit._data.patients import check_nested
from stfmkit._data.view import View
from stfmkit._kernels._normalize import totals
from stfmkit.bm._protocol import Protocol
from stfmkit.pp._split import split_rows
from stfmkit.splits.check_folds import make_folds
from stfmkit.splits.folds import Fold

if TYPE_CHECKING:
    from stfmkit._data.view import Container


@dataclass(frozen=True, kw_only=True, eq=False)
class Study:
    """Checked arrays of one comparison; all of length n_obs unless said otherwise.

    Attributes
    ----------
    view
        The table and what belongs to it.
    counts
        Raw counts (n_obs, n_genes).
    depth
        Library size over all genes.
    labels
        Categorical with code -1 where there is no label, or None.
    second_labels
        The same of a second annotation.
    fingerprint
        Hash of everything that was read.
    """

    view: View
    protocol: Protocol
    counts: sparse.csr_array
    depth: np.ndarray
    coords: np.ndarray
    patients: pd.Categorical
    samples: pd.Categorical
    labels: pd.Categorical | None
    second_labels: pd.Categorical | None
    obs_names: pd.Index
    folds: list[Fold]
    fingerprint: str

    def without_counts(self) -> "Study":
        """Return the study without its table and counts, to be sent to other processes."""
        return replace(self, view=View(table=AnnData(obs=self.adata.obs.iloc[:0])), counts=self.counts[:0])

    @property
    def adata(self) -> AnnData:
        """The table."""
        return self.view.table

    @property
    def genes(self) -> pd.Index:
        """Gene names."""
        return self.adata.var_names

    @property
    def sample_codes(self) -> np.ndarray:
        """Integer code of the sample of every observation."""
        return self.samples.codes.astype(np.int64)

    @property
    def patient_codes(self) -> np.ndarray:
        """Integer code of the patient of every observation."""
        return self.patients.codes.astype(np.int64)

    def facts(self) -> dict[str, Any]:
        """Return what a reader must know of the data, ready for JSON."""
        facts: dict[str, Any] = {
            "holds_out": self.protocol.split.holds_out,
            "n_obs": len(self.depth),
            "n_genes": len(self.genes),
            "n_patients": len(self.patients.categories),
            "n_samples": len(self.samples.categories),
            "median_counts": float(np.median(self.depth)),
            "fingerprint": self.fingerprint,
        }
        if self.labels is not None:
            facts["n_labelled"] = int((self.labels.codes >= 0).sum())
            facts["labels"] = {str(k): int(v) for k, v in pd.Series(self.labels).value_counts().items()}
        return facts


def load_study(data: "Container", protocol: Protocol, *, table_key: str | None = None) -> Study:
    """Read and check everything that a comparison needs."""
    view = View.of(data, table_key=table_key)
    adata = view.table
    check_names(adata)
    patients = read_groups(adata, protocol.patient_key, role="patient_key")
    samples = read_groups(adata, protocol.sample_key, role="sample_key")
    check_nested(samples, patients, sample_key=protocol.sample_key, group_key=protocol.patient_key)
    labels = None if protocol.label_key is None else read_labels(adata, protocol.label_key)
    key = protocol.second_label_key
    second = None if key is None else read_labels(adata, key, role="second_label_key")
    coords = read_coords(adata, spatial_key=protocol.spatial_key)
    check_positions(coords, np.asarray(samples.codes), adata.obs_names, sample_key=protocol.sample_key)
    counts = read_counts(adata, protocol.layer)
    check_no_empty(counts, adata.obs_names)
    _check_genes(counts, adata.var_names, protocol)
    rows = split_rows(
        adata,
        protocol.split,
        patient_key=protocol.patient_key,
        sample_key=protocol.sample_key,
        spatial_key=protocol.spatial_key,
        microns_per_unit=protocol.microns_per_unit,
    )
    folds = make_folds(protocol.split, rows, rng=stream(protocol.rng, "split"))
    return Study(
        view=view,
        protocol=protocol,
        counts=counts,
        depth=totals(counts),
        coords=coords,
        patients=patients,
        samples=samples,
        labels=labels,
        second_labels=second,
        obs_names=adata.obs_names,
        folds=folds,
        fingerprint=_fingerprint(adata, counts, coords, (patients, samples, labels, second)),
    )


def check_labels(study: Study, *, needed: bool) -> None:
    """Refuse labels that leave a fold with one class to train on, or with nothing to test anywhere."""
    if study.labels is None or not needed:
        return
    codes = study.labels.codes
    key = study.protocol.label_key
    tested = 0
    for fold in study.folds:
        classes = np.unique(codes[fold.train][codes[fold.train] >= 0])
        n_test = int((codes[fold.test] >= 0).sum())
        tested += n_test
        if n_test and len(classes) < 2:
            known = listed(study.labels.categories[classes])
            raise InputError(
                f"obs[{key!r}] has {len(classes)} label ({known}) in the training part of fold {fold.number}.",
                allowed="two labels or more in the training part of every fold",
                remedy="use fewer n_splits, another label, or drop patients without the other labels.",
            )
    if not tested:
        raise InputError(
            f"no labelled observation of obs[{key!r}] is tested in any fold.",
            allowed="labelled observations in test folds",
            remedy="check the label column and the split.",
        )


def _check_genes(counts: sparse.csr_array, genes: pd.Index, protocol: Protocol) -> None:
    wanted = protocol.target_genes
    if wanted is None:
        return
    unknown = [g for g in wanted if g not in genes]
    if unknown or len(set(wanted)) < len(wanted) or not wanted:
        raise InputError(
            f"target_genes with {len(unknown)} unknown names ({listed(unknown, most=5)}) among {len(wanted)}.",
            allowed="distinct names out of var_names",
            remedy="check the spelling and the id type (symbols or Ensembl ids).",
        )
    silent = [g for g in wanted if not counts[:, [genes.get_loc(g)]].nnz]
    if silent:
        raise InputError(
            f"{len(silent)} target_genes without any count: {listed(silent, most=5)}.",
            allowed="target_genes with at least one count",
            remedy="leave them out; nothing can be predicted or scored.",
        )
    if len(wanted) >= len(genes):
        raise InputError(
            f"all {len(genes)} genes are target_genes.",
            allowed="some genes left for the models to read",
            remedy="leave genes out of target_genes; a model never receives the genes it is to predict.",
        )


def _fingerprint(adata: AnnData, counts: sparse.csr_array, coords: np.ndarray, columns: tuple[Any, ...]) -> str:
    digest = hashlib.sha256()
    for names in (adata.obs_names, adata.var_names):
        digest.update("\x1f".join(map(str, names)).encode())
    canonical = counts if counts.has_sorted_indices else counts.sorted_indices()
    for array, kind in (
        (canonical.indptr, "<i8"),
        (canonical.indices, "<i8"),
        (canonical.data, "<i8"),
        (coords, "<f8"),
    ):
        digest.update(np.ascontiguousarray(array, dtype=kind).tobytes())
    for column in columns:
        if column is not None:
            digest.update("\x1f".join(map(str, column.categories)).encode())
            digest.update(np.ascontiguousarray(column.codes, dtype="<i8").tobytes())
    return digest.hexdigest()[:16]
