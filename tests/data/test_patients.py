"""A sample belongs to one patient, and ids are never invented."""

import numpy as np
import pytest

from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit._data.patients import check_nested, read_patients_and_samples


def test_patients_and_samples_are_read_in_the_order_of_the_table(toy):
    patients, samples = read_patients_and_samples(toy, patient_key="patient", sample_key="sample")
    np.testing.assert_array_equal(np.asarray(patients), toy.obs["patient"].astype(str))
    np.testing.assert_array_equal(np.asarray(samples), toy.obs["sample"].astype(str))


def test_a_sample_of_two_patients_is_refused_and_named(toy):
    ids = toy.obs["patient"].astype(str).to_numpy(copy=True)
    ids[0] = "P4"  # the first of the forty spots of S0
    toy.obs["patient"] = ids
    with pytest.raises(InputError, match=r"1 samples of obs\['sample'\] with several values of obs\['patient'\]: 'S0'"):
        read_patients_and_samples(toy, patient_key="patient", sample_key="sample")


def test_a_patient_may_have_several_samples(toy):
    patients, samples = read_patients_and_samples(toy, patient_key="patient", sample_key="sample")
    check_nested(samples, patients, sample_key="sample", group_key="patient")
    with pytest.raises(InputError, match="several values"):
        check_nested(patients, samples, sample_key="patient", group_key="sample")


def test_missing_ids_and_columns_are_refused(toy):
    with pytest.raises(MissingKeyError, match="Did you mean 'sample'"):
        read_patients_and_samples(toy, patient_key="patient", sample_key="sampel")
    toy.obs["patient"] = toy.obs["patient"].astype(object).where(np.arange(toy.n_obs) > 2)
    with pytest.raises(InputError, match="3 of 240"):
        read_patients_and_samples(toy, patient_key="patient", sample_key="sample")
