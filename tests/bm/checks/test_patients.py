"""Patients under two names, and samples that are more than one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.bm.checks.conftest import alarms, audited, simulate

import stfmkit as sk
from stfmkit.bm.checks.patients import column_words, plain_name


def renamed(cells, names):
    cells.obs["patient"] = cells.obs["patient"].astype(str).replace(names).astype("category")
    return cells


@pytest.mark.parametrize(
    "other",
    ["p01", " P01", "P01 ", "P-01", "P_1", "P.001", "P 1", "Р01", "Ｐ０１", "P01\u200b", "p\t01"],
    ids=ascii,
)
def test_two_spellings_of_one_patient(cells, other):
    found = audited(renamed(cells, {"P02": other}))["patient under two spellings"]
    assert found.severity == "error"
    assert set(found.rows[0]) == {"P01", other}


@pytest.mark.parametrize("names", [("1-1", "11"), ("P1", "P11"), ("1.1", "1.10"), ("wt+", "wt-"), ("HC1", "AD1")])
def test_names_of_two_patients(cells, names):
    assert alarms(audited(renamed(cells, dict(zip(["P01", "P02"], names, strict=True))))) == set()


@given(st.text(min_size=1, max_size=12))
def test_a_name_is_its_own_plain_name(name):
    assert plain_name(name) == plain_name(f" {name} ")
    assert plain_name(name.upper().lower()) == plain_name(name.upper().lower().casefold())


@pytest.mark.parametrize("other", ["P01_1", "p01-b", "P01 2"])
def test_a_patient_inside_the_name_of_another(cells, other):
    found = audited(renamed(cells, {"P02": other}))["patient inside another name"]
    assert found.severity == "warning"
    assert found.rows == (("P01", other),)


def test_a_column_that_knows_the_patients():
    cells = simulate(3, n_sections=2)
    cells.obs["donor_id"] = cells.obs["patient"].to_numpy()
    cells.obs["donor_age"] = "70"
    cells.obs["patient"] = cells.obs["sample"].astype(str).to_numpy()
    found = audited(cells)["sections given as patients"]
    assert (found.severity, found.columns) == ("error", ("donor_id", "patient"))
    assert "3 of them are in training and test" in found.evidence
    cells.obs["donor_id"] = "D1"
    assert audited(cells)["sections given as patients"].severity == "warning"
    del cells.obs["donor_id"]
    assert "sections given as patients" not in audited(cells)


@pytest.fixture(scope="module")
def by_section():
    """Three patients, every section of whom is given as one."""
    cells = simulate(3, n_sections=2, size=300.0, n_genes=40)
    cells.obs["true"] = cells.obs["patient"].to_numpy()
    cells.obs["patient"] = cells.obs["sample"].astype(str).to_numpy()
    return cells


NAMES = ["patientID", "PatientID", "Patient.ID", "PATIENT_ID", "donorID", "subjectID", "orig.patient", "sample_donor"]
NAMES += [
    "patients",
    "case",
    "case_id",
    "CaseNumber",
    "person",
    "Donor IDs",
    "participant no.",
    "individualId",
    "pat_id",
]


@pytest.mark.parametrize("name", [*NAMES, "animalID", "MouseId", "mice"])
def test_a_column_of_persons_by_any_name(by_section, name):
    cells = by_section.copy()
    cells.obs[name] = cells.obs.pop("true")
    assert audited(cells)["sections given as patients"].severity == ("error" if name in NAMES else "warning")


@pytest.mark.parametrize(
    "name",
    ["patient_age", "donorSex", "case_control", "patientDiagnosis", "block_area", "cases_stage", "casette", "pt1a"],
)
def test_a_column_of_something_else_about_persons(by_section, name):
    cells = by_section.copy()
    cells.obs[name] = cells.obs.pop("true")
    assert "sections given as patients" not in audited(cells)


def test_a_column_that_has_persons_in_parts_of_sections_is_silent(by_section):
    cells = by_section.copy()
    cells.obs["case"] = np.where(np.arange(cells.n_obs) % 2, "a", "b")
    assert "sections given as patients" not in audited(cells)
    cells.obs["case"] = np.where(cells.obs["true"] == "P01", "Case", "Control")
    assert "sections given as patients" not in audited(cells)


@pytest.mark.parametrize(
    ("name", "words"),
    [("patientID", {"patient", "id"}), ("IDs", {"id"}), ("DonorIDs", {"donor", "id"}), ("PATIENTS", {"patient"})],
)
def test_words_of_a_column(name, words):
    assert column_words(name) == words


def test_columns_that_group_patients_without_naming_them_are_silent(cells):
    for name in ("donor_sex", "patient_group", "patient_age"):
        cells.obs[name] = np.where(cells.obs["patient"].isin(["P01", "P02"]), "a", "b")
    cells.obs["mouse"] = "mouse"
    assert alarms(audited(cells)) == set()


def test_sections_that_lie_on_each_other_in_one_sample():
    cells = simulate(3, n_sections=2)
    cells.obs["library_id"] = cells.obs["sample"].to_numpy()
    cells.obs["sample"] = cells.obs["patient"].astype(str).to_numpy()
    found = audited(cells)["several sections in one sample"]
    assert len(found.rows) == 3
    right = np.flatnonzero(cells.obs["library_id"].astype(str) == "P01_S2")
    cells.obsm["spatial"][right] += 5000  # side by side, as on a slide
    assert len(audited(cells)["several sections in one sample"].rows) == 2


def test_fields_of_view_that_tile_a_sample_are_silent(cells):
    xy = cells.obsm["spatial"]
    cells.obs["fov"] = [f"{a:.0f}_{b:.0f}" for a, b in np.floor(xy / 250)]
    assert alarms(audited(cells)) == set()
    cells.obs["fov"] = (cells.obs["sample"].astype(str) + cells.obs["fov"].astype(str)).to_numpy()
    found = audited(cells, sample_key="fov", split=sk.pp.PatientKFold(4))
    assert found["fields of view given as samples"].severity == "info"
