"""A protocol is whole, refuses nonsense, and its identity changes with every choice."""

import json

import pytest
from tests.bm.conftest import make_cohort, make_protocol

import stfmkit as sk
from stfmkit._core.errors import InputError, InputTypeError
from stfmkit.bm._run import protocol_id
from stfmkit.bm.study import load_study


class Unsaid(sk.pp.PatientKFold):
    """A splitter that does not say what it holds out."""

    holds_out = "nobody knows"


def test_patient_and_sample_have_no_default():
    with pytest.raises(TypeError, match="patient_key"):
        sk.bm.Protocol(sample_key="s")
    with pytest.raises(TypeError, match="sample_key"):
        sk.bm.Protocol(patient_key="p")


def test_it_is_json():
    split = sk.pp.SpatialBlockKFold(block=1, buffer=2)
    text = json.dumps(make_protocol(target_genes=["a", "b"], split=split).describe())
    assert json.loads(text)["target_genes"] == ["a", "b"]


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"scale": "counts"}, InputError, "size_factor_log1p"),
        ({"selector": "hgv"}, InputError, "Did you mean 'hvg'"),
        ({"n_target_genes": 1}, InputError, "n_target_genes"),
        ({"linear_c": ()}, InputError, "linear_c is empty"),
        ({"ridge_alpha": (-1.0,)}, InputError, "ridge_alpha"),
        ({"rng": None}, InputTypeError, "integer seed"),
        ({"target_genes": "ERBB2"}, InputTypeError, "a list of genes"),
        ({"split": 5}, InputTypeError, "a splitter"),
        ({"split": Unsaid(3)}, InputTypeError, "holds_out is one of 'patient'"),
        ({"min_obs": 2}, InputError, "min_obs"),
        ({"image_key": []}, InputError, "image_key is empty"),
        ({"image_key": 3}, InputTypeError, "a name, or a list of names"),
        ({"image_key": ["hires", 3]}, InputTypeError, "a name, or a list of names"),
    ],
)
def test_nonsense_is_refused(options, error, text):
    with pytest.raises(error, match=text):
        make_protocol(**options)


def test_every_choice_changes_the_identity():
    cohort = make_cohort(n_patients=4, per_patient=12)
    cohort.layers["same"] = cohort.X.copy()
    cohort.obsm["xy"] = cohort.obsm["spatial"]
    choices = [
        {},
        {"rng": 1},
        {"split": sk.pp.PatientKFold(2)},
        {"split": sk.pp.SlideKFold(4)},
        {"label_key": None},
        {"scale": "log1p"},
        {"selector": "hest"},
        {"n_target_genes": 25},
        {"target_genes": ["G1"]},
        {"layer": "same"},
        {"spatial_key": "xy"},
        {"celltype_key": "niche"},
        {"microns_per_unit": 2.0},
        {"image_key": "hires"},
        {"coordinate_system": "tissue"},
        {"linear_c": (0.5,)},
        {"n_neighbors": (3,)},
        {"ridge_alpha": (3.0,)},
        {"n_inner": 3},
        {"max_components": 9},
        {"min_obs": 11},
    ]
    found = [protocol_id(load_study(cohort, make_protocol(**c))) for c in choices]
    assert len(set(found)) == len(choices)
    assert protocol_id(load_study(make_cohort(per_patient=12), make_protocol())) == found[0]
    assert all(len(i) == 12 for i in found)


def test_whole_numbers_are_one_choice_however_they_are_written():
    cohort = make_cohort(per_patient=12)
    ids = [
        protocol_id(load_study(cohort, make_protocol(split=sk.pp.SpatialBlockKFold(block=b, buffer=0, n_splits=2))))
        for b in (300, 300.0)
    ]
    assert ids[0] == ids[1]


def test_names_of_images_are_one_choice_however_they_are_written():
    assert make_protocol(image_key="a") == make_protocol(image_key=["a"])
    assert make_protocol(image_key=["b", "a"]) == make_protocol(image_key=("a", "b", "a"))
    assert make_protocol(image_key=["b", "a"]).describe()["image_key"] == ["a", "b"]


def test_protocols_without_images_do_not_speak_of_them():
    assert not {"image_key", "coordinate_system"} & set(make_protocol().describe())
    assert make_protocol(coordinate_system="tissue").describe()["coordinate_system"] == "tissue"


def test_order_of_a_grid_does_not_matter():
    assert make_protocol(n_neighbors=(9, 3)) == make_protocol(n_neighbors=(3, 9))
