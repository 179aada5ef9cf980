"""What a method reads is there before it runs, whatever the slot."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from stfmkit._data.view import View
from stfmkit.errors import InputError, MissingKeyError
from stfmkit.methods._run_method import check_requirements, run_method
from stfmkit.methods.contract import Method, MethodCard, Output, Requirements, Slots

CARD = MethodCard(
    task="spatially_variable",
    name="mean",
    target="tests:Mean",
    title="Mean",
    summary="A test.",
    needs=("counts",),
    transductive=True,
    draws=False,
)


@dataclass(frozen=True, kw_only=True)
class Mean(Method):
    """The mean of every gene; reads what the test says."""

    card = CARD
    slots: Slots

    def requirements(self):
        return Requirements(data=self.slots)

    def run(self, view, reference, *, rng):
        means = pd.Series(np.asarray(view.table.X.mean(axis=0)).ravel(), index=view.table.var_names)
        return Output(kind="gene_scores", result=means.iloc[::-1])


def test_gene_scores(toy):
    output = run_method(Mean(slots=Slots(X=True, obs=("sample",), obsm=("spatial",))), View.of(toy), rng=0)
    assert output.result.index.equals(toy.var_names)
    np.testing.assert_allclose(output.result, np.asarray(toy.X.mean(axis=0)).ravel())


@pytest.mark.parametrize(
    ("slots", "found"),
    [
        (Slots(layers=("counts",)), r"no layers\['counts'\] in the data, which the method 'spatially_variable/mean'"),
        (Slots(obs=("sampel",)), r"no obs\['sampel'\][\s\S]*Did you mean 'sample'"),
        (Slots(obsm=("X_pca",)), r"no obsm\['X_pca'\]"),
        (Slots(obsp=("spatial_distances",)), r"no obsp\['spatial_distances'\]"),
        (Slots(var=("symbol",)), r"no var\['symbol'\]"),
        (Slots(images=True), "no images in the data"),
        (Slots(points=True), "no points in the data"),
        (Slots(shapes=True), "no shapes in the data"),
    ],
)
def test_what_is_not_there_is_refused(toy, slots, found):
    with pytest.raises(MissingKeyError, match=found):
        run_method(Mean(slots=slots), View.of(toy), rng=0)


def test_a_table_without_x(toy):
    toy.layers["counts"] = sparse.csr_matrix(toy.X)
    toy.X = None
    check_requirements(Mean(slots=Slots(layers=("counts",))), View.of(toy), None)
    with pytest.raises(MissingKeyError, match="no X in the data"):
        check_requirements(Mean(slots=Slots(X=True)), View.of(toy), None)


def test_elements_of_spatialdata_are_there():
    from stfmkit.datasets import synthetic_cohort

    cohort = synthetic_cohort(1, n_genes=20, size=200, show_progress=False)
    view = View.of(cohort, table_key=next(iter(cohort.tables)))
    slots = Slots(points=bool(view.points), shapes=bool(view.shapes), images=bool(view.image_names))
    assert slots.reads_elements
    check_requirements(Mean(slots=slots), view, None)


def test_a_reference_that_is_not_wanted(toy):
    with pytest.raises(InputError, match="with a reference"):
        check_requirements(Mean(slots=Slots(X=True)), View.of(toy), View.of(toy))


def test_names_that_occur_twice(toy):
    toy.obs_names = ["a"] * toy.n_obs
    with pytest.raises(InputError, match="duplicated observation names"):
        check_requirements(Mean(slots=Slots(X=True)), View.of(toy), None)
