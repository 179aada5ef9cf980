"""A histology model is compared from end to end, from a SpatialData and from ``uns["spatial"]``.

The niche of a spot is whether its block is red, which only the image tells. Images are neither square nor symmetric,
and those of a SpatialData are rotated and flipped.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tests.histology import (
    BLOCK,
    MICRONS_PER_PIXEL,
    MeanColor,
    as_spatialdata,
    cohort_as_anndata,
    cohort_as_spatialdata,
    paint_section,
    rotation,
)

import stfmkit as sk
from stfmkit._core.errors import InputError, MissingKeyError, UnitsError
from stfmkit._data.patches import PatchRows
from stfmkit.bm._run import protocol_id
from stfmkit.bm.report.appendix import cards_grid
from stfmkit.bm.resolve_contenders import resolve_contenders
from stfmkit.bm.study import load_study
from stfmkit.models.catalogue import MODELS
from stfmkit.models.contract import EmbeddingModel

N_PATIENTS = 3


def make_protocol(**options) -> sk.bm.Protocol:
    """A quick protocol."""
    quick = {"split": sk.pp.PatientKFold(N_PATIENTS), "min_obs": 5, "linear_c": (1e-3, 1e-1), "n_neighbors": (5,)}
    keys = {"patient_key": "patient", "sample_key": "sample", "label_key": "niche"}
    return sk.bm.Protocol(**{**keys, **quick, **options})


def run(data, contenders, *, protocol=None, **options) -> sk.bm.Results:
    """Compare in the niche probe."""
    return sk.bm.run(
        data, contenders, protocol=protocol or make_protocol(), tasks=["niche_probe"], show_progress=False, **options
    )


def equal(one: sk.bm.Results, other: sk.bm.Results) -> None:
    """Assert that all numbers are the same, to the last bit."""
    pd.testing.assert_frame_equal(one.table.drop(columns="seconds"), other.table.drop(columns="seconds"))
    pd.testing.assert_frame_equal(one.observations, other.observations)


def scores(results: sk.bm.Results) -> pd.Series:
    """Mean over patients of the primary metric, by contender."""
    return results.rank("niche_probe").set_index("contender")["mean"]


def values(results: sk.bm.Results, contender: str) -> np.ndarray:
    """All scores of a contender."""
    return results.table.loc[results.table["contender"] == contender, "value"].to_numpy()


def repainted(adata):
    """Return the same table on images that are upside down."""
    other = adata.copy()
    for entry in other.uns["spatial"].values():
        entry["images"] = {key: image[::-1].copy() for key, image in entry["images"].items()}
    return other


@pytest.fixture
def registered(monkeypatch):
    """The model by its name, as of a package that is installed."""
    monkeypatch.setattr(MeanColor, "definition", lambda self: replace(EmbeddingModel.definition(self), known=True))
    sk.models.register_model(MeanColor.card)
    yield "mean_color"
    MODELS.remove("mean_color")


@pytest.fixture
def encoded(monkeypatch) -> list[int]:
    """Number of observations in every call of the model."""
    calls, real = [], MeanColor.encode
    monkeypatch.setattr(MeanColor, "encode", lambda self, batch: (calls.append(len(batch)), real(self, batch))[1])
    return calls


@pytest.fixture(scope="module")
def sdata():
    return cohort_as_spatialdata(N_PATIENTS)


@pytest.fixture
def adata():
    return cohort_as_anndata(N_PATIENTS)


@pytest.fixture(scope="module")
def results(sdata) -> sk.bm.Results:
    """The model beside the depth, which says nothing here."""
    return run(sdata, {"color": MeanColor(), "depth": "library_size"})


# what the image tells


def test_the_image_tells_the_niche_and_the_depth_does_not(results):
    found = scores(results)
    assert found["color"] > 0.85
    assert found["color"] > found["depth"] + 0.25


def test_both_containers_give_the_same_scores(results, sdata, adata):
    names = [f"{spot}-{sample}" for sample, spot in (name.split("-") for name in sdata["table"].obs_names)]
    same = adata[names].copy()
    other = run(same, {"color": MeanColor(), "depth": "library_size"})
    for contender in ("color", "depth"):
        np.testing.assert_array_equal(values(results, contender), values(other, contender))
    assert len(values(results, "color")) > N_PATIENTS


def test_the_images_of_other_patients_tell_nothing(adata):
    """A planted fault: every sample has the image of the next one."""
    libraries = adata.uns["spatial"]
    names = sorted(libraries)
    images = [libraries[name]["images"]["hires"] for name in names]
    for name, image in zip(names, images[1:] + images[:1], strict=True):
        libraries[name]["images"] = {"hires": image}
    assert scores(run(adata, {"color": MeanColor()}))["color"] < 0.75


def test_contenders_with_other_patches_have_blocks_of_their_own(sdata, results):
    several = run(sdata, {"color": MeanColor(), "small": MeanColor(size=2), "wide": MeanColor(size=60)})
    np.testing.assert_array_equal(values(several, "color"), values(results, "color"))
    alone = run(sdata, {"wide": MeanColor(size=60)})
    np.testing.assert_array_equal(values(several, "wide"), values(alone, "wide"))
    assert scores(several)["wide"] < scores(several)["color"]
    sizes = {name: facts["patches"]["size"] for name, facts in several.meta["contenders"].items()}
    assert sizes == {"color": BLOCK, "small": 2, "wide": 60}


def test_only_parts_of_the_patches_are_in_memory(sdata, monkeypatch):
    lengths, real = [], PatchRows.read
    monkeypatch.setattr(PatchRows, "read", lambda self, rows: (lengths.append(len(rows)), real(self, rows))[1])
    run(sdata, {"color": MeanColor()})
    assert sum(lengths) == sdata["table"].n_obs  # once for all folds
    assert max(lengths) == MeanColor().requirements().rows_per_part


# processes and folders


@pytest.mark.parametrize("container", ["sdata", "adata"])
def test_the_bits_do_not_depend_on_the_processes(container, request):
    data, contenders = request.getfixturevalue(container), {"color": MeanColor(), "small": MeanColor(size=4)}
    equal(run(data, contenders, n_jobs=1), run(data, contenders, n_jobs=2))


def test_finished_work_is_found_again(adata, registered, encoded, tmp_path):
    first = run(adata, [registered], out=tmp_path / "r")
    assert sum(encoded) == adata.n_obs
    encoded.clear()
    equal(first, run(adata, [registered], out=tmp_path / "r"))
    assert not encoded


def test_a_run_that_was_stopped_goes_on_with_the_outputs_that_it_has(adata, registered, encoded, tmp_path, monkeypatch):
    from stfmkit.bm.tasks.niche_probe import NicheProbe

    def stops(*_):
        raise KeyboardInterrupt

    real = NicheProbe.predict
    monkeypatch.setattr(NicheProbe, "predict", stops)
    with pytest.raises(KeyboardInterrupt):
        run(adata, [registered], out=tmp_path / "r")
    monkeypatch.setattr(NicheProbe, "predict", real)
    encoded.clear()
    again = run(adata, [registered], out=tmp_path / "r")
    assert not encoded
    equal(again, run(adata, [registered]))


def test_another_image_is_never_taken_from_the_folder(adata, registered, encoded, tmp_path):
    first = run(adata, [registered], out=tmp_path / "r")
    encoded.clear()
    other = run(repainted(adata), [registered], out=tmp_path / "r")
    assert sum(encoded) == adata.n_obs
    equal(other, run(repainted(adata), [registered]))
    assert not np.array_equal(values(first, registered), values(other, registered))


def test_an_identity_without_the_image_would_be_seen(adata, registered, encoded, tmp_path, monkeypatch):
    """A planted fault: with an identity that says nothing of the pixels, the scores of the first image come back."""
    monkeypatch.setattr(PatchRows, "identity", lambda _: "patches")
    first = run(adata, [registered], out=tmp_path / "r")
    encoded.clear()
    equal(first, run(repainted(adata), [registered], out=tmp_path / "r"))
    assert not encoded


def test_the_identity_follows_what_the_patches_show(adata, registered):
    def identity(data, spec=registered, **options):
        study = load_study(data, make_protocol(**options))
        (contender,) = resolve_contenders({"color": spec}, study)
        return contender.identity()

    same = adata.copy()
    same.uns["stfmkit"] = {"microns_per_unit": 1.0}  # no patch here has a length in µm
    assert identity(adata) == identity(same) == identity(adata, image_key="hires")
    moved = adata.copy()
    moved.uns["spatial"]["S0"]["images"]["hires"] = np.roll(moved.uns["spatial"]["S0"]["images"]["hires"], 1, axis=1)
    others = [repainted(adata), moved]
    found = {identity(adata), *map(identity, others), identity(adata, (registered, {"size": 4}))}
    assert len(found) == 4
    assert identity(adata, MeanColor()) is None  # an object may hold anything


# choices of images


def test_protocols_say_which_images_are_read(adata):
    small = adata.copy()
    for entry in small.uns["spatial"].values():
        entry["images"] = {"hires": entry["images"]["hires"], "black": np.zeros_like(entry["images"]["hires"])}
        entry["scalefactors"] = {
            **entry["scalefactors"], "tissue_black_scalef": entry["scalefactors"]["tissue_hires_scalef"]
        }  # fmt: skip
    right, wrong = (
        run(small, {"color": MeanColor()}, protocol=make_protocol(image_key=key)) for key in ("hires", "black")
    )
    assert scores(right)["color"] > 0.85
    assert scores(wrong)["color"] < 0.6
    assert right.protocol["image_key"] == ["hires"]
    assert right.protocol_id != wrong.protocol_id


@pytest.fixture
def in_two_systems():
    """One section whose spots lie at the right pixels in one coordinate system, and beside them in the other."""
    from spatialdata.transformations import Sequence, Translation, get_transformation, set_transformation

    section = paint_section()
    data = as_spatialdata(section, rotation(30, shift=(9.0, -40.0)))
    of_image, of_spots = (get_transformation(data[name], "tissue") for name in ("he", "spots"))
    beside = Sequence([of_spots, Translation([3.0, -2.0], ("x", "y"))])
    set_transformation(data["he"], {"tissue": of_image, "beside": of_image}, set_all=True)
    set_transformation(data["spots"], {"tissue": of_spots, "beside": beside}, set_all=True)
    table = data["table"]
    table.obs["niche"] = np.where(section.colors[:, 0] > 127.5, "red", "other")
    table.obsm["spatial"] = section.centers
    return data, section.colors


def test_protocols_say_where_observations_and_images_meet(in_two_systems):
    data, painted = in_two_systems

    def colors(system: str | None) -> np.ndarray:
        study = load_study(data, make_protocol(coordinate_system=system))
        (contender,) = resolve_contenders({"color": MeanColor()}, study)
        return contender.extras.read("image").mean(axis=(1, 2))

    np.testing.assert_allclose(colors("tissue"), painted, rtol=1e-6)
    assert np.abs(colors("beside") - painted).mean() > 10
    with pytest.raises(InputError, match="pass coordinate_system="):
        colors(None)


def test_lengths_follow_the_unit_of_the_protocol(results):
    adata, color = cohort_as_anndata(N_PATIENTS, scales=(0.25,)), MeanColor(microns_per_pixel=MICRONS_PER_PIXEL)
    with pytest.raises(UnitsError, match="images of unknown scale"):
        run(adata, {"color": color})
    said = run(adata, {"color": color}, protocol=make_protocol(microns_per_unit=MICRONS_PER_PIXEL * 0.25))
    assert scores(said)["color"] == pytest.approx(scores(results)["color"], abs=0.05)
    assert said.meta["contenders"]["color"]["patches"]["microns_per_pixel"] == MICRONS_PER_PIXEL


def test_a_choice_of_images_is_part_of_the_protocol_and_none_is_not(adata):
    plain, chosen = (protocol_id(load_study(adata, make_protocol(image_key=key))) for key in (None, "hires"))
    assert plain != chosen
    assert not {"image_key", "coordinate_system"} & set(make_protocol().describe())


def test_images_that_are_not_there_are_refused_before_the_work(adata, monkeypatch):
    monkeypatch.delattr("stfmkit.bm.work.Work.done")
    with pytest.raises(MissingKeyError, match="Did you mean 'hires'"):
        run(adata, {"color": MeanColor()}, protocol=make_protocol(image_key="hirs"))
    del adata.uns["spatial"]
    with pytest.raises(MissingKeyError, match="without images"):
        run(adata, {"color": MeanColor()})


# the report


def test_the_report_names_the_modality(results, tmp_path):
    facts = results.meta["contenders"]["color"]
    assert facts["needs"] == ["image"]
    assert facts["patches"]["images"] == ["S0_he", "S1_he", "S2_he"]
    grid = cards_grid(results.meta["contenders"])
    heads = [column.text for column in grid.columns]
    rows = {row[0].text: dict(zip(heads, (cell.text for cell in row), strict=True)) for row in grid.rows}
    assert (rows["color"]["Reads"], rows["depth"]["Reads"]) == ("image", "counts")
    said = "10 × 10 pixels of the image, from 3 images; 0.0% of their area lies outside"
    assert (rows["color"]["Patches of the image"], rows["depth"]["Patches of the image"]) == (said, "–")
    results.report(tmp_path / "report.html")
    assert said in (tmp_path / "report.html").read_text()
