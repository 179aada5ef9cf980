"""What reaches across the split within a sample: patches that overlap, and neighbours that were read elsewhere."""

from collections.abc import Iterator

import numpy as np
from scipy.spatial import cKDTree

from stfmkit._core.arguments import listed
from stfmkit._data.embeddings import embedding_record
from stfmkit.bm.contenders import Contender
from stfmkit.bm.finding import Finding
from stfmkit.bm.model_contenders import patches_of
from stfmkit.bm.study import Study
from stfmkit.models.catalogue import MODELS


def patches_overlap(study: Study, contender: Contender) -> Iterator[Finding]:
    """Find models of images whose patches of training and test observations show the same tissue."""
    patches = patches_of(contender)
    if patches is None:
        return
    sides = patches.sides
    overlapping, tested = 0, 0
    for fold in study.folds:
        tested += len(fold.test)
        for image in np.intersect1d(patches.which[fold.train], patches.which[fold.test]):
            train, test = (rows[patches.which[rows] == image] for rows in (fold.train, fold.test))
            scale = sides[test[0]]
            distance, _ = cKDTree(patches.centers[train] / scale).query(patches.centers[test] / scale, p=np.inf)
            overlapping += int((distance < 1).sum())
    if overlapping:
        yield Finding(
            severity="warning",
            check="patches on both sides",
            evidence=f"{overlapping} of {tested} test patches of {contender.label!r} ({patches.size} pixels) show "
            "tissue that a training patch shows, too.",
            remedy="pass a buffer wider than a patch, or hold out patients.",
        )


def neighbours_read(study: Study, contender: Contender) -> Iterator[Finding]:
    """Find embeddings that `sk.tl.embed` made by reading neighbours, in samples that the split tears."""
    if contender.role != "given" or not contender.origin.startswith("obsm:") or not torn_samples(study):
        return
    name = embedding_record(study.adata, contender.origin.removeprefix("obsm:")).get("model")
    known = MODELS.entries()
    if name in known and known[name].uses_neighbors:
        yield Finding(
            severity="warning",
            check="neighbours across the split",
            evidence=f"{contender.origin}: {name} reads the neighbours of an observation, and was run on whole "
            f"samples, of which {listed(torn_samples(study), most=4)} lie on both sides.",
            remedy="pass the registry name: training and test are then embedded apart.",
        )


def torn_samples(study: Study) -> list[str]:
    """Return the samples that have training and test observations in one fold."""
    codes = study.sample_codes
    both = [np.intersect1d(codes[fold.train], codes[fold.test]) for fold in study.folds]
    return [str(study.samples.categories[code]) for code in np.unique(np.concatenate(both))] if both else []
