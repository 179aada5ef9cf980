"""Whether a sample is one piece of tissue with coordinates of its own."""

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from stfmkit._core.arguments import listed
from stfmkit.bm.finding import Finding
from stfmkit.bm.study import Study

_PARTS = re.compile(
    r"^(fov|fov_?id|library|library_?id|slide|slide_?id|section|section_?id|orig[._]ident|batch|batch_?id|sample|"
    r"sample_?id|capture_?area|core|tma_?core|specimen|specimen_?id|tissue_?id)$"
)
"""Columns that name a piece of tissue, or what was read at once."""
_MIXED = 0.25
"""Share of observations whose nearest neighbours are as often of another part as of their own: frames that lie on each
other. Parts that lie side by side have such neighbours along their border only."""
_NEAREST = 6


def several_in_one(study: Study) -> Iterator[Finding]:
    """Find samples that hold several sections, libraries or fields of view whose coordinates lie on each other."""
    obs, protocol = study.adata.obs, study.protocol
    taken = {protocol.sample_key, protocol.patient_key, protocol.label_key, protocol.celltype_key}
    for column in obs.columns:
        if column in taken or not _PARTS.match(str(column).casefold()) or obs[column].isna().any():
            continue
        parts = pd.factorize(obs[column].astype(str))[0]
        mixed = [
            (str(study.samples.categories[code]), len(np.unique(parts[rows])), share)
            for code in range(len(study.samples.categories))
            for rows in [np.flatnonzero(study.sample_codes == code)]
            if (share := _mixed_share(study.coords[rows], parts[rows])) >= _MIXED
        ]
        if mixed:
            yield Finding(
                severity="warning",
                check="several sections in one sample",
                evidence=f"{listed([name for name, _, _ in mixed], most=4)} of obs[{protocol.sample_key!r}] "
                f"{'hold' if len(mixed) > 1 else 'holds'} several values of obs[{str(column)!r}] whose coordinates lie "
                "on each other: neighbours are then taken from another section.",
                remedy=f"pass sample_key={str(column)!r}, or move the parts apart.",
                columns=("sample", f"values of {column}", "share of neighbours of another value"),
                rows=tuple(mixed),
            )


def one_in_several(study: Study) -> Iterator[Finding]:
    """Say where samples are fields of view, so that neighbours end at borders that the tissue does not have."""
    key = study.protocol.sample_key
    if re.match(r"^(fov|field_?of_?view)", key.casefold()):
        yield Finding(
            severity="info",
            check="fields of view given as samples",
            evidence=f"obs[{key!r}] names the samples: {len(study.samples.categories)} of "
            f"{len(study.patients.categories)} patients.",
            remedy="pass the section as sample_key if coordinates are of whole sections; neighbours end at samples.",
        )


def _mixed_share(coords: np.ndarray, parts: np.ndarray) -> float:
    """Return the share of nearest neighbours of another part, as a share of what a random mixture has."""
    _, codes = np.unique(parts, return_inverse=True)
    shares = np.bincount(codes) / len(codes)
    if len(shares) < 2 or len(codes) <= _NEAREST:
        return 0.0
    rows = np.arange(0, len(codes), max(1, len(codes) // 2000))
    near = cKDTree(coords).query(coords[rows], k=_NEAREST + 1)[1][:, 1:]
    other = float((codes[near] != codes[rows, None]).mean())
    return round(other / float(1 - (shares**2).sum()), 3)
