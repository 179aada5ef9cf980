"""A method is shown copies of what it declares, and nothing else; a model of others never the table itself."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import stfmkit as sk
from stfmkit._core.identity import exact
from stfmkit._data.view import View
from stfmkit.methods._declared import declared, rows_of, together
from stfmkit.methods.contract import Slots


@pytest.fixture
def table(toy):
    toy.obsm["X_e"] = np.random.default_rng(0).normal(size=(toy.n_obs, 3))
    toy.layers["other"] = toy.X.copy()
    toy.obsp["graph"] = sparse.eye_array(toy.n_obs, format="csr")
    toy.uns["secret"] = "truth"
    return toy


def test_only_what_is_declared(table):
    seen = declared(View.of(table), Slots(obs=("sample",), obsm=("X_e",))).table
    assert (list(seen.obs), list(seen.obsm), list(seen.layers), list(seen.obsp), seen.X) == (
        ["sample"],
        ["X_e"],
        [],
        [],
        None,
    )
    assert "secret" not in seen.uns
    assert seen.obs_names.equals(table.obs_names)
    assert seen.var_names.equals(table.var_names)


def test_nothing_written_reaches_the_data(table):
    wanted = Slots(X=True, layers=("other",), obs=("sample",), obsm=("X_e",), obsp=("graph",))
    before = exact([table.X.toarray(), table.layers["other"].toarray(), table.obs, table.obsm["X_e"]])
    seen = declared(View.of(table), wanted).table
    for values in (seen.X.data, seen.layers["other"].data, seen.obsm["X_e"], seen.obsp["graph"].data):
        values[:] = -1
    seen.obs["sample"] = "mine"
    assert exact([table.X.toarray(), table.layers["other"].toarray(), table.obs, table.obsm["X_e"]]) == before
    assert (table.obsp["graph"].data == 1).all()


def test_rows_are_copies(table):
    shared = declared(View.of(table), Slots(X=True, obsm=("X_e",)), copied=False)
    part = rows_of(shared, np.array([2, 0])).table
    part.obsm["X_e"][:] = 0
    part.X.data[:] = 0
    assert table.obsm["X_e"].all()
    assert table.X.sum() > 0


def test_images_cannot_be_written_to(table):
    table.uns["spatial"] = {"lib": {"images": {"hires": np.zeros((4, 4, 3))}}}
    seen = declared(View.of(table), Slots(images=True)).table.uns["spatial"]
    with pytest.raises(ValueError, match="read-only"):
        seen["lib"]["images"]["hires"][0] = 1


def test_elements_come_without_tables():
    data = sk.datasets.synthetic_cohort(2, n_genes=20, size=200, as_="spatialdata", show_progress=False)
    seen = declared(View.of(data), Slots(shapes=True))
    assert not seen.container.tables
    assert set(seen.shapes) == set(data.shapes)
    name = next(iter(seen.shapes))
    seen.shapes[name]["new"] = 1
    assert "new" not in data.shapes[name]


def test_columns_of_one_name_become_an_array(table):
    table.obsm["twice"] = pd.DataFrame(np.ones((table.n_obs, 2)), index=table.obs_names, columns=["a", "a"])
    assert isinstance(declared(View.of(table), Slots(obsm=("twice",))).table.obsm["twice"], np.ndarray)


def test_together():
    both = together([Slots(X=True, obs=("a",)), Slots(obs=("a", "b"), images=True)])
    assert both == Slots(X=True, obs=("a", "b"), images=True)


class Vandal(sk.models.EmbeddingModel):
    """A model that works in place on all that it is given."""

    card = sk.models.ModelCard(
        name="vandal",
        target="tests:Vandal",
        summary="A test.",
        family="baseline",
        needs=("counts", "coordinates"),
        fits=True,
    )

    def fit(self, block):
        block.read("counts").data[:] = 7
        return self

    def check(self, block):
        block.read("coordinates")[:] = 0

    def prepare(self, block):
        np.log1p(block.read("counts").data, out=block.read("counts").data)
        block.read("coordinates")[:] = 0
        return block.read("counts")

    def encode(self, batch):
        return np.asarray(batch.sum(axis=1), dtype=np.float32).reshape(-1, 1)


def test_a_model_that_works_in_place(table):
    before = exact([table.X.toarray(), table.obsm["spatial"]])
    sk.tl.embed(table, Vandal(), sample_key="sample")
    assert exact([table.X.toarray(), table.obsm["spatial"]]) == before


def test_a_method_that_works_in_place(table, monkeypatch):
    from stfmkit.methods.domains.kmeans import KMeans

    seen = []

    @dataclass(frozen=True, kw_only=True)
    class Wild(KMeans):
        def run(self, view, reference, *, rng):
            output = super().run(view, reference, rng=rng)
            view.table.obsm["X_e"][:] = 0
            seen.append(list(view.table.obs))
            return output

    monkeypatch.setattr("stfmkit.tl._domains._load", lambda *_, **__: Wild(embedding_key="X_e", n_clusters=2))
    sk.tl.domains(table, method="kmeans", embedding_key="X_e", n_clusters=2)
    sk.tl.domains(
        table, method="kmeans", embedding_key="X_e", n_clusters=2, sample_key="sample", per_sample=True, key_added="d"
    )
    assert table.obsm["X_e"].all()
    assert not any(seen)
