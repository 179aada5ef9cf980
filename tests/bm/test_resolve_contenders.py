"""Names, keys, arrays and tables become contenders of the right kind, or are refused with the remedy."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist
from tests.bm.conftest import make_cohort, make_protocol

import stfmkit as sk
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
from stfmkit.bm.resolve_contenders import resolve_contenders
from stfmkit.bm.study import load_study
from stfmkit.methods.catalogue import catalogue


@pytest.fixture(scope="module")
def study():
    cohort = make_cohort(n_patients=4, per_patient=20)
    draw = np.random.default_rng(0)
    cohort.obsm["X_pca"] = draw.normal(size=(cohort.n_obs, 3))
    cohort.obsm["shares"] = pd.DataFrame(
        draw.dirichlet(np.ones(3), cohort.n_obs), index=cohort.obs_names, columns=["T", "B", "NK"]
    )
    cohort.obsm["odd"] = pd.DataFrame({"a": draw.normal(size=cohort.n_obs)}, index=cohort.obs_names)
    cohort.layers["guess"] = draw.normal(size=cohort.shape)
    cohort.obs["expert"] = cohort.obs["niche"].astype(str)
    cohort.obs["leiden"] = np.arange(cohort.n_obs) % 3
    cohort.obs["coordinates"] = "here"
    cohort.obsm["both"], cohort.obs["both"] = np.zeros((cohort.n_obs, 1)), "x"
    cohort.var["score"] = draw.normal(size=cohort.n_vars)
    cohort.var["text"] = "a"
    return load_study(cohort, make_protocol())


def one(spec, study):
    contenders = {"it": spec} if not isinstance(spec, str) else [spec]
    (found,) = resolve_contenders(contenders, study)
    return found


@pytest.mark.parametrize(
    ("name", "kind", "origin", "role"),
    [
        ("hvg_pca", "embedding", "model:hvg_pca", "baseline"),
        ("library_size", "embedding", "model:library_size", "control"),
        ("model:coordinates", "embedding", "model:coordinates", "control"),
        ("X_pca", "embedding", "obsm:X_pca", "given"),
        ("obsm:both", "embedding", "obsm:both", "given"),
        ("shares", "proportions", "obsm:shares", "given"),
        ("guess", "expression", "layer:guess", "given"),
        ("layer:guess", "expression", "layer:guess", "given"),
        ("expert", "labels", "obs:expert", "given"),
        ("leiden", "clusters", "obs:leiden", "given"),
        ("obs:coordinates", "clusters", "obs:coordinates", "given"),
        ("score", "gene_scores", "var:score", "given"),
    ],
)
def test_names(study, name, kind, origin, role):
    found = one(name, study)
    assert (found.label, found.kind, found.origin, found.role) == (name, kind, origin, role)
    assert found.exposure
    assert found.describe()["role"] == role


def test_a_name_of_several_things_is_refused_with_all_of_them(study):
    with pytest.raises(InputError, match=r"2 things(?s:.)*'model:coordinates', 'obs:coordinates'"):
        one("coordinates", study)
    with pytest.raises(InputError, match="'obsm:both', 'obs:both'"):
        one("both", study)


def test_unknown_names_suggest(study):
    with pytest.raises(MissingKeyError, match="Did you mean 'hvg_pca'"):
        one("hvgpca", study)
    with pytest.raises(MissingKeyError, match=r"obsm entry named 'X_pc'(?s:.)*Did you mean 'X_pca'"):
        one("obsm:X_pc", study)
    with pytest.raises(MissingKeyError, match="model or method"):
        one(("nothing", {}), study)


def test_values(study):
    n_obs = len(study.obs_names)
    assert one(np.zeros((n_obs, 2)), study).kind == "embedding"
    assert one(pd.Series(["stroma"] * n_obs, index=study.obs_names), study).kind == "labels"
    assert one(np.array(["7"] * n_obs), study).kind == "clusters"
    genes = pd.DataFrame(np.zeros((n_obs, 60)), index=study.obs_names, columns=study.genes)
    assert one(genes, study).kind == "expression"


def test_missing_labels_are_empty(study):
    values = pd.Series(["stroma", None] * (len(study.obs_names) // 2), index=study.obs_names)
    assert set(one(values, study).output(None, study.folds[0], hidden=study.folds[0].test).test.tolist()) == {
        "stroma",
        "",
    }


@pytest.mark.parametrize(
    ("spec", "error", "match"),
    [
        ("odd", InputError, "columns are not genes"),
        ("var:text", InputError, "one finite score"),
        (np.zeros((3, 2)), InputError, r"\(80, d\)"),
        (np.full((80, 2), np.inf), InputError, "NaN or infinite"),
        (np.zeros(80), InputError, "80 labels"),
        (np.array(["a"] * 7), InputError, "of length 7"),
    ],
)
def test_values_that_cannot_be_used(study, spec, error, match):
    with pytest.raises(error, match=match):
        one(spec, study)


def test_a_table_has_the_names_and_genes_that_are_asked(study):
    table = pd.DataFrame(np.zeros((80, 10)), index=study.obs_names, columns=study.genes[:10])
    with pytest.raises(InputError, match=r"without 50 genes(?s:.)*target_genes"):
        one(table, study)
    with pytest.raises(InputError, match="other row names"):
        one(table.reset_index(drop=True), study)


def test_types(study):
    with pytest.raises(InputTypeError, match="a list of names"):
        resolve_contenders(5, study)


def test_a_method_gets_training_observations_as_its_reference(study):
    options = {"embedding_key": "X_pca", "label_key": "niche"}
    found = one(("method:annotate/knn", options), study)
    assert (found.kind, found.origin) == ("labels", "method:annotate/knn")
    assert "training observations as the reference" in found.exposure
    fold = study.folds[0]
    seen = []
    method = type(found.method)
    run = method.run

    def spy(self, view, reference, *, rng):
        seen.append((set(view.table.obs_names), set(reference.table.obs_names), list(view.table.obsm)))
        return run(self, view, reference, rng=rng)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(method, "run", spy)
        output = found.output(None, fold, hidden=np.empty(0, dtype=int))
    assert seen == [(set(study.obs_names[fold.test]), set(study.obs_names[fold.train]), ["X_pca"])]
    assert len(output.test) == len(fold.test)
    assert set(output.test.tolist()) <= {"stroma", "tumour"}
    assert found.identity() == one(("annotate/knn", options), study).identity()
    assert found.identity() != one(("annotate/knn", options | {"n_neighbors": 3}), study).identity()


MEAN_CARD = sk.methods.MethodCard(
    task="impute",
    name="weighted-mean",
    target="tests.bm.test_resolve_contenders:WeightedMean",
    title="Weighted mean of reference observations",
    summary="A test.",
    needs=("expression",),
    reference_needs=("expression",),
    transductive=False,
    draws=False,
)


@dataclass(frozen=True, kw_only=True)
class WeightedMean(sk.methods.Method):
    """Gives the genes of the reference that the data lack, from those that both have."""

    card = MEAN_CARD
    lost: int = 0

    def requirements(self):
        return sk.methods.Requirements(data=sk.methods.Slots(X=True), reference=sk.methods.Slots(X=True))

    def run(self, view, reference, *, rng):
        here, there = (np.log1p(part.table.to_df()) for part in (view, reference))
        both, lacking = here.columns.intersection(there.columns), there.columns.difference(here.columns)
        assert len(lacking), "the data have the genes that are to be predicted"
        weights = np.exp(-cdist(here[both], there[both], "sqeuclidean") / len(both))
        values = weights @ there[lacking].to_numpy(dtype=float) / weights.sum(axis=1, keepdims=True)
        result = pd.DataFrame(values, index=here.index, columns=lacking)
        return sk.methods.Output(kind="expression", result=result.iloc[:, self.lost :])


@pytest.fixture
def weighted_mean(monkeypatch):
    sk.methods.register_method(MEAN_CARD)
    monkeypatch.setattr("stfmkit.methods._load_method.method_class", lambda card: WeightedMean)
    yield
    catalogue.remove(MEAN_CARD.full_name)


def test_a_method_that_gives_expression_is_compared(weighted_mean):
    cohort = make_cohort(n_patients=4, per_patient=40)
    compared = {"ours": ("impute/weighted-mean", {}), "place": "coordinates"}
    results = sk.bm.run(cohort, compared, protocol=make_protocol(), tasks=["expression"], show_progress=False)
    means = results.rank().set_index("contender")["mean"]
    assert means["ours"] > means["place"] + 0.1
    assert "target genes included" in results.meta["contenders"]["ours"]["exposure"]
    with pytest.raises(InputError, match="but not of 2 of 30 target genes"):
        sk.bm.run(
            cohort, {"ours": ("impute/weighted-mean", {"lost": 2})}, protocol=make_protocol(), tasks=["expression"]
        )


def test_a_method_that_gives_expression_is_checked():
    sk.testing.check_method(WeightedMean)
    with pytest.raises(InputError, match="gives none of 2 of 10 such genes"):
        sk.testing.check_method(WeightedMean, lost=2)


def test_a_method_never_reads_what_it_is_to_predict(study, monkeypatch):
    from stfmkit.methods.annotate.knn import KNN
    from stfmkit.methods.contract import Requirements, Slots

    leaky = Requirements(data=Slots(obsm=("X_pca",), obs=("niche",)), reference=Slots(obs=("niche",)))
    monkeypatch.setattr(KNN, "requirements", lambda _: leaky)
    with pytest.raises(InputError, match="reads obs"):
        one(("method:annotate/knn", {"embedding_key": "X_pca", "label_key": "niche"}), study)


def test_identities_tell_contents_apart(study):
    a, b = one(np.zeros((80, 2)), study), one(np.ones((80, 2)), study)
    assert a.identity() != b.identity()
    assert one("hvg_pca", study).identity() == one({"it": "hvg_pca"}["it"], study).identity()
    assert one(("hvg_pca", {"n_components": 4}), study).identity() != one(("hvg_pca", {}), study).identity()
    assert one(sk.models.load_model("hvg_pca"), study).identity() is None  # the state of an object is not known
    randoms = resolve_contenders({"a": "random", "b": "random"}, study)
    assert len({contender.identity() for contender in randoms}) == 2  # a seed of its own for each label


@pytest.mark.parametrize("spec", [("model:hvg_pca", 3), ("hvg_pca", {}, 3), ("hvg_pca",)])
def test_a_tuple_is_a_name_and_its_options(study, spec):
    with pytest.raises(InputTypeError, match=r"the tuple(?s:.)*a name and a mapping of its options"):
        one(spec, study)


@pytest.mark.parametrize("label", ["", " ", "a\nb"])
def test_labels_are_lines_of_text(study, label):
    with pytest.raises(InputError, match="labels of one line"):
        resolve_contenders({label: "hvg_pca"}, study)


def test_values_whose_squares_are_no_numbers(study):
    with pytest.raises(InputError, match="values as large as 1e\\+300"):
        one(np.full((len(study.obs_names), 2), -1e300), study)
    with pytest.raises(MissingKeyError, match=r"no obsm\['nope'\](?s:.)*'X_pca'"):
        one(("annotate/knn", {"embedding_key": "nope", "label_key": "niche"}), study)
