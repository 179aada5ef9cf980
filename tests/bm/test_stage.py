"""Every distinct output is computed once, and read by all tasks."""

from collections import Counter

import numpy as np
import pytest
from tests.bm.conftest import make_cohort, make_protocol

import stfmkit as sk
from stfmkit.bm.model_contenders import ModelContender
from stfmkit.bm.resolve_contenders import resolve_contenders
from stfmkit.bm.stage import Stage
from stfmkit.bm.study import load_study
from stfmkit.models.baselines.hvg_pca import HvgPca


@pytest.fixture
def computed(monkeypatch):
    """How often every (contender, fold, number of hidden genes, hidden genes) was computed."""
    times = Counter()
    real = ModelContender.output

    def spy(self, inputs, fold, *, hidden, resume=None):
        times[self.label, fold.number, len(hidden), hidden.tobytes()] += 1
        return real(self, inputs, fold, hidden=hidden, resume=resume)

    monkeypatch.setattr(ModelContender, "output", spy)
    return times


def run(**options):
    contenders = ["hvg_pca", "library_size", "coordinates"]
    return sk.bm.run(make_cohort(per_patient=20), contenders, protocol=make_protocol(**options), show_progress=False)


def test_once_for_every_fold_and_set_of_hidden_genes(computed, monkeypatch):
    fits = []
    fit = HvgPca.fit
    monkeypatch.setattr(HvgPca, "fit", lambda self, block: fits.append(len(block.genes)) or fit(self, block))
    run()
    assert max(computed.values()) == 1
    assert sorted(fits) == [30] * 4 + [60] * 4  # four folds, with and without the target genes
    own = {key[1:3] for key in computed if key[0] == "hvg_pca"}
    assert own == {(fold, hidden) for fold in range(4) for hidden in (0, 30)}
    places = {key[1:3] for key in computed if key[0] == "coordinates"}
    assert places == {(fold, 0) for fold in range(4)}  # reads no gene


def test_what_depends_on_single_rows_is_computed_once_for_all_folds(computed):
    run(target_genes=[f"G{i}" for i in range(30)])
    assert {key[1:3] for key in computed if key[0] == "library_size"} == {(-1, 0), (-1, 30)}


def test_shared_outputs_are_those_of_the_fold():
    study = load_study(make_cohort(per_patient=20), make_protocol())
    (contender,) = resolve_contenders(["library_size"], study)
    from stfmkit.bm.model_contenders import shared_inputs

    stage = Stage(inputs=shared_inputs(study), n_obs=80, data="")
    hidden = np.arange(10)
    shared = stage.with_shared([(contender, hidden)] * 2, n_jobs=1, show_progress=False)
    assert len(shared.shared) == 1
    assert not shared.for_contender(None).shared
    fold = study.folds[1]
    output = shared.output(contender, fold, hidden)
    alone = contender.output(shared_inputs(study), fold, hidden=hidden)
    np.testing.assert_array_equal(output.train, alone.train)
    np.testing.assert_array_equal(output.test, alone.test)
    counts = study.counts[fold.test][:, 10:].sum(axis=1)
    np.testing.assert_allclose(output.test[:, 0], np.log1p(counts), rtol=1e-6)


def test_many_processes_share_too():
    one, two = (
        run(),
        sk.bm.run(
            make_cohort(per_patient=20),
            ["hvg_pca", "library_size", "coordinates"],
            protocol=make_protocol(),
            n_jobs=2,
            show_progress=False,
        ),
    )
    np.testing.assert_array_equal(one.table["value"], two.table["value"])
