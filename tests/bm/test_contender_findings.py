"""What contenders may have seen is told also where they read it themselves; and predictions on another scale."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from tests.bm.conftest import make_cohort, make_protocol

import stfmkit as sk
from stfmkit._core.errors import InputError
from stfmkit.bm.contender_findings import findings_of_labels, what_it_reads
from stfmkit.bm.method_contenders import from_method
from stfmkit.bm.prediction_scale import scale_findings
from stfmkit.bm.resolve_contenders import resolve_contenders
from stfmkit.bm.study import load_study

KNN = {"embedding_key": "X_foreign", "label_key": "niche"}


@pytest.fixture(scope="module")
def study():
    cohort = make_cohort(n_patients=4, per_patient=40)
    draw = np.random.default_rng(0)
    cohort.obsm["X_foreign"] = draw.normal(size=(cohort.n_obs, 3))
    sk.tl.embed(cohort, "hvg_pca", n_components=3)
    return load_study(cohort, make_protocol())


def checks(study, contenders):
    found = [what_it_reads(study, contender) for contender in resolve_contenders(contenders, study)]
    return {finding.check for findings in found for finding in findings}


def test_a_method_inherits_what_its_slots_may_have_seen(study):
    assert checks(study, {"votes": ("annotate/knn", KNN)}) == {"input computed elsewhere"}
    fitted = {**KNN, "embedding_key": "X_hvg_pca"}
    assert checks(study, {"votes": ("annotate/knn", fitted)}) == {
        "input computed elsewhere",
        "fitted on test observations",
    }
    (contender,) = resolve_contenders({"votes": ("annotate/knn", KNN)}, study)
    assert "obsm['X_foreign'], computed elsewhere" in contender.exposure
    assert contender.describe()["reads_elsewhere"] == ["obsm['X_foreign']"]


def test_the_audit_tells_it(study):
    found = sk.bm.audit(study.adata, study.protocol, contenders={"votes": ("annotate/knn", KNN)})
    assert any(finding.check == "input computed elsewhere" and "X_foreign" in finding.evidence for finding in found)


def test_coordinates_and_ids_are_data(study):
    assert checks(study, {"votes": ("annotate/knn", {**KNN, "embedding_key": "spatial"})}) == set()
    assert checks(study, ["hvg_pca", "coordinates"]) == set()


def test_a_transductive_method_is_named(study):
    clusters = {"found": ("domains/kmeans", {"embedding_key": "spatial", "n_clusters": 2})}
    assert checks(study, clusters) == {"transductive contender"}
    (contender,) = resolve_contenders(clusters, study)
    assert "transductive" in contender.exposure


def test_test_observations_do_not_show_the_labels_of_the_reference(study):
    contender = from_method("votes", "annotate/knn", KNN, study)
    seen = []

    @dataclass(frozen=True, kw_only=True)
    class Spy(type(contender.method)):
        def run(self, view, reference, *, rng):
            seen.append((list(view.table.obs), list(reference.table.obs)))
            return super().run(view, reference, rng=rng)

    object.__setattr__(contender, "method", Spy(**contender.method.options))
    contender.output(None, study.folds[0], hidden=np.empty(0, dtype=np.int64))
    assert seen == [([], ["niche"])]


def test_labels_of_other_names(study):
    observations = pd.DataFrame({"contender": ["a", "a", "b"], "predicted": ["", "", "tumour"]})
    (contender,) = resolve_contenders({"a": ("annotate/knn", KNN)}, study)
    (finding,) = findings_of_labels(study, observations, [contender])
    assert "'stroma', 'tumour'" in finding.evidence
    assert not list(findings_of_labels(study, observations.assign(predicted="tumour"), [contender]))


@pytest.mark.parametrize("scale", ["size_factor_log1p", "log1p"])
@pytest.mark.parametrize("given", ["size_factor_log1p", "log1p", "counts"])
def test_the_scale_of_predictions(study, scale, given):
    study = load_study(study.adata, make_protocol(scale=scale))
    raw = study.counts.toarray().astype(float)
    sized = np.log1p(raw / study.depth[:, None] * np.median(study.depth))
    values = {"size_factor_log1p": sized, "log1p": np.log1p(raw), "counts": raw}[given]
    noisy = values + (0 if given == "counts" else 0.05) * np.random.default_rng(0).normal(size=values.shape)
    found = list(scale_findings(study, "it", noisy, study.genes.astype(str).tolist()))
    assert bool(found) == (given != scale)
    if found:
        assert f"nearer to {given!r}" in found[0].evidence
        assert ("whole numbers" in found[0].evidence) == (given == "counts")


def test_standardised_and_mean_predictions(study):
    genes = study.genes.astype(str).tolist()
    truth = np.log1p(study.counts.toarray() / study.depth[:, None] * np.median(study.depth))
    (finding,) = scale_findings(study, "z", (truth - truth.mean(axis=0)) / truth.std(axis=0), genes)
    assert "negative" in finding.evidence
    assert not list(scale_findings(study, "mean", np.tile(truth.mean(axis=0), (len(truth), 1)), genes))


def test_a_series_goes_by_its_names(study):
    labels = pd.Series(np.asarray(study.labels), index=study.obs_names)
    (aligned,) = resolve_contenders({"it": labels}, study)
    assert aligned.output(None, study.folds[0], hidden=None).test.tolist() == list(study.labels[study.folds[0].test])
    for other in (labels.iloc[::-1], labels.reset_index(drop=True), labels.rename(index=lambda name: f"x{name}")):
        with pytest.raises(InputError, match="other row names than obs_names"):
            resolve_contenders({"it": other}, study)


def test_columns_of_one_name_trouble_nobody():
    cohort = make_cohort(n_patients=4, per_patient=20)
    cohort.obsm["twice"] = pd.DataFrame(np.ones((cohort.n_obs, 2)), index=cohort.obs_names, columns=["a", "a"])
    study = load_study(cohort, make_protocol())
    assert study.without_counts().counts.shape[0] == 0
    with pytest.raises(InputError, match="columns that occur twice: 'a'"):
        resolve_contenders(["obsm:twice"], study)
    contender = from_method("votes", "annotate/knn", {"embedding_key": "twice", "label_key": "niche"}, study)
    assert len(contender.output(None, study.folds[0], hidden=np.empty(0, dtype=np.int64)).test) == 20
