"""Patches that show the same tissue on both sides of the split."""

import numpy as np
import pytest
from tests.histology import MICRONS_PER_PIXEL, MeanColor, cohort_as_anndata

import stfmkit as sk
from stfmkit._data.patches import read_patches
from stfmkit._data.view import View


def patches_found(data, split):
    protocol = sk.bm.Protocol(patient_key="patient", sample_key="sample", label_key="niche", split=split)
    found = {f.check: f for f in sk.bm.audit(data, protocol, contenders={"colour": MeanColor()})}
    return found.get("patches on both sides")


def test_patients_share_no_patch():
    assert patches_found(cohort_as_anndata(3), sk.pp.PatientKFold(3)) is None


def test_neighbours_that_are_nearer_than_a_patch_share_tissue():
    data = cohort_as_anndata(2)
    spread = patches_found(data, sk.pp.RandomKFold(3))
    assert spread is None  # spots lie further apart than a patch is wide
    moved = data.obsm["spatial"].copy()
    moved[1] = moved[0] + 3.0  # in full-resolution pixels
    data.obsm["spatial"] = moved
    found = patches_found(data, sk.pp.RandomKFold(data.n_obs // 2))
    assert found.severity == "warning"
    assert found.evidence.startswith("2 of")


@pytest.mark.parametrize("size", [4, 10, 24])
def test_sides_are_those_of_the_patches(size):
    view = View.of(cohort_as_anndata(2))
    patches = read_patches(
        view, size=size, microns_per_pixel=MICRONS_PER_PIXEL, sample_key="sample", microns_per_unit=0.25
    )
    per_pixel = np.array([located.microns_per_pixel for located in patches.images])[patches.which]
    np.testing.assert_allclose(patches.sides, size * MICRONS_PER_PIXEL / per_pixel)
