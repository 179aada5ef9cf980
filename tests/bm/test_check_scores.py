"""What a task returns is held to its class, and an error says which task it was."""

import numpy as np
import pytest
from tests.bm.conftest import make_protocol

import stfmkit as sk
from stfmkit._core.blame import raised_by
from stfmkit._core.errors import InputError, InputTypeError
from stfmkit.bm.check_scores import control_of, scored
from stfmkit.bm.folder import as_path
from stfmkit.bm.task_catalogue import catalogue, check_task_facts
from stfmkit.bm.tasks.domains import Domains


def made(**facts):
    return type("Odd", (Domains,), {"name": "odd", "shares": "", **facts})()


@pytest.mark.parametrize("returned", [None, 3, sk.bm.Scores(table=None)])
def test_scores_that_are_none(returned):
    with pytest.raises(InputError, match=r"the task 'odd' breaks the contract: score\(\) returned a"):
        scored(made(score=lambda self, truth, prediction: returned), None, None)


def test_controls_that_are_missing():
    task = made(positive="zzz")
    with pytest.raises(InputError, match=r"controls\(\) or baselines\(\) returned 'truth', without 'zzz'"):
        control_of(task, {"truth": 1}, "zzz")
    with pytest.raises(InputError, match="returned a NoneType"):
        control_of(task, None, "zzz")
    assert control_of(task, {"zzz": 1}, "zzz") == 1


def test_only_what_is_wrong_with_a_task_is_said():
    with pytest.raises(InputError, match="name 'T 3'") as caught:
        check_task_facts(made(name="T 3"))
    assert "nothing" not in str(caught.value)
    with pytest.raises(InputError, match="negative controls are 'shuffled'"):
        check_task_facts(made(negatives="shuffled"))
    check_task_facts(made())


def test_errors_name_the_plug_in():
    with pytest.raises(ZeroDivisionError) as caught, raised_by("the model 'mine'"), raised_by("the model 'mine'"):
        1 / 0  # noqa: B018
    assert caught.value.__notes__ == ["Raised in the model 'mine'."]
    with pytest.raises(InputError) as ours, raised_by("x"):
        raise InputError("a", allowed="b", remedy="c")
    assert not getattr(ours.value, "__notes__", [])


HOOKS = ["hidden", "truth", "facts", "pooled_truth", "describe_metric", "findings", "section"]


@pytest.mark.parametrize("hook", HOOKS)
def test_errors_of_a_task_name_it_wherever_it_is_asked(hook, cohort, monkeypatch, tmp_path):
    def fails(self, *_):
        return 1 / 0

    task = made(**{hook: fails})
    monkeypatch.setattr(catalogue, "entries", lambda: {"odd": task})

    def compare():
        results = sk.bm.run(cohort, ["coordinates"], protocol=make_protocol(), tasks=["odd"], show_progress=False)
        results.report(tmp_path / "report.html")

    with pytest.raises(ZeroDivisionError) as caught:
        compare()
    assert any("task" in note and "'odd'" in note for note in caught.value.__notes__)


@pytest.mark.parametrize("path", [3, "", None, 1.5])
def test_paths(path):
    with pytest.raises(InputTypeError, match="out="):
        as_path(path, name="out")


def test_a_model_of_images_is_checked_without_a_block():
    class Image(sk.models.EmbeddingModel):
        card = sk.models.ModelCard(
            name="my_image_model",
            target="my_package:Image",
            family="histology",
            summary="Mean colour.",
            needs=("image",),
        )

        def requirements(self):
            return sk.models.Requirements(needs=("image",), patch=sk.models.Patch(size=8, microns_per_pixel=None))

        def prepare(self, block):
            return block.read("image")

        def encode(self, batch):
            return batch.mean(axis=(1, 2)).astype(np.float32)

    sk.testing.check_model(Image)
    assert "my_package" in Image.card.install_text
    assert "stfmkit" not in Image.card.install_text
