"""The contract check finds every fault that is planted, and passes the package's own methods under all options."""

import random
import re
from dataclasses import dataclass, replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import stfmkit as sk
from stfmkit._core.arguments import listed
from stfmkit.errors import InputError, InputTypeError
from stfmkit.methods.catalogue import catalogue
from stfmkit.methods.contract import Method, MethodCard, Output, Requirements, Slots
from stfmkit.testing import check_method

CARD = MethodCard(
    task="annotate",
    name="sound",
    target="tests.testing.test_check_method:Sound",
    title="Sound",
    summary="A test.",
    needs=("counts",),
    reference_needs=("counts", "labels"),
    transductive=False,
    draws=False,
)


def carded(kind, **facts):
    """Return a class as a frozen dataclass with a card of its own."""
    kind.card = replace(CARD, target=f"tests:{kind.__name__}", **facts)
    return dataclass(frozen=True, kw_only=True)(kind)


@dataclass(frozen=True, kw_only=True)
class Sound(Method):
    """Keeps the contract: the label whose mean profile is nearest."""

    card = CARD
    label_key: str
    scale: float = 1.0

    def requirements(self):
        return Requirements(data=Slots(X=True), reference=Slots(X=True, obs=(self.label_key,)))

    def profiles(self, view, reference):
        other = reference.table[:, view.table.var_names]
        return other.to_df().groupby(other.obs[self.label_key].astype(str)).mean()

    def run(self, view, reference, *, rng):
        profiles = self.profiles(view, reference)
        apart = ((view.table.to_df().to_numpy()[:, None, :] - profiles.to_numpy()[None]) ** 2).sum(axis=2)
        weight = np.exp(-apart / 1000) * self.scale
        return self.output(view, profiles.index, weight / weight.sum(axis=1, keepdims=True))

    def output(self, view, names, shares):
        rows = view.table.obs_names
        return Output(
            kind="labels",
            result=pd.Series(pd.Categorical.from_codes(shares.argmax(axis=1), categories=names), index=rows),
            probabilities=pd.DataFrame(shares, index=rows, columns=names),
        )


@carded
class Unseeded(Sound):
    def output(self, view, names, shares):
        noise = np.random.default_rng().random(shares.shape)
        return super().output(view, names, noise / noise.sum(axis=1, keepdims=True))


@carded
class DrawsInSecret(Sound):
    def run(self, view, reference, *, rng):
        output = super().run(view, reference, rng=rng)
        noise = 1 + np.random.default_rng(rng).random() * np.arange(output.probabilities.shape[1])
        shares = output.probabilities * noise
        return replace(output, probabilities=shares.div(shares.sum(axis=1), axis=0))


@carded
class GlobalNumpy(Sound):
    def run(self, view, reference, *, rng):
        np.random.rand()  # noqa: NPY002  the fault
        return super().run(view, reference, rng=rng)


@carded
class GlobalPython(Sound):
    def run(self, view, reference, *, rng):
        random.random()
        return super().run(view, reference, rng=rng)


@carded
class ChangesTheData(Sound):
    def run(self, view, reference, *, rng):
        output = super().run(view, reference, rng=rng)
        view.table.X *= 2
        return output


@carded
class WritesIntoTheReference(Sound):
    def run(self, view, reference, *, rng):
        reference.table.obs["seen"] = True
        return super().run(view, reference, rng=rng)


@carded
class KnowsTheRow(Sound):
    def output(self, view, names, shares):
        turned = np.roll(shares, 1, axis=0)
        return super().output(view, names, turned)


@carded
class FirstOfTheReference(Sound):
    def profiles(self, view, reference):
        other = reference.table[:, view.table.var_names]
        return other.to_df().groupby(other.obs[self.label_key].astype(str)).first()


@carded
class CentresOnTheData(Sound):
    def output(self, view, names, shares):
        moved = shares / shares.mean(axis=0)
        return super().output(view, names, moved / moved.sum(axis=1, keepdims=True))


@carded
class GenesByPosition(Sound):
    def profiles(self, view, reference):
        return reference.table.to_df().groupby(reference.table.obs[self.label_key].astype(str)).mean()


@carded
class ReadsWhatItDoesNotDeclare(Sound):
    def run(self, view, reference, *, rng):
        view.table.obsm["spatial"]
        return super().run(view, reference, rng=rng)


@carded
class GivesProportions(Sound):
    def output(self, view, names, shares):
        return Output(kind="proportions", result=pd.DataFrame(shares, index=view.table.obs_names, columns=names))


@carded
class LosesObservations(Sound):
    def output(self, view, names, shares):
        output = super().output(view, names, shares)
        return replace(output, result=output.result.iloc[:-1])


@carded
class NotFinite(Sound):
    def output(self, view, names, shares):
        return super().output(view, names, shares * np.nan)


@carded
class ReturnsAnArray(Sound):
    def output(self, view, names, shares):
        return shares.argmax(axis=1)


@carded
class ChangesAnOption(Sound):
    def __post_init__(self):
        object.__setattr__(self, "label_key", self.label_key.upper())


@carded
class ComputesWhenBuilt(Sound):
    def __post_init__(self):
        object.__setattr__(self, "weights_loaded", np.ones(3))


@carded
class HidesTheReference(Sound):
    def requirements(self):
        return Requirements(data=Slots(X=True))


HidesTheCounts = carded(type("HidesTheCounts", (Sound,), {}), needs=("coordinates",))
NeedsMore = carded(type("NeedsMore", (Sound,), {}), reference_needs=())
BadCard = carded(type("BadCard", (Sound,), {}), name="Bad Card")


@dataclass(frozen=True, kw_only=True)
class WrongTarget(Sound):
    card = replace(CARD, target="elsewhere:Other")


@dataclass
class CanBeChanged(Method):
    card = replace(CARD, target="tests:CanBeChanged")
    requirements = Sound.requirements
    run = Sound.run


class NoDataclass(Method):
    card = CARD
    requirements = Sound.requirements
    run = Sound.run


class NoRun(Method):
    def requirements(self):
        return Requirements(data=Slots())


def test_a_sound_method_passes():
    assert check_method(Sound) is None
    assert check_method(Sound, scale=2.0, rng=5) is None


@pytest.mark.parametrize(
    ("method", "error", "found"),
    [
        (Unseeded, InputError, "two runs of 'annotate/sound' differ"),
        (DrawsInSecret, InputError, "another result with another seed"),
        (GlobalNumpy, InputError, "draws from a global random state"),
        (GlobalPython, InputError, "draws from a global random state"),
        (ChangesTheData, InputError, "changes the data or the reference"),
        (WritesIntoTheReference, InputError, "changes the data or the reference"),
        (KnowsTheRow, InputError, "when the observations are shuffled"),
        (FirstOfTheReference, InputError, "when the reference is shuffled"),
        (CentresOnTheData, InputError, "when other observations are left out"),
        (GenesByPosition, InputError, "when the genes are in another order"),
        (ReadsWhatItDoesNotDeclare, InputError, "on a table of these slots alone"),
        (GivesProportions, InputError, "kind='proportions'"),
        (LosesObservations, InputError, "89 rows for 90 observations"),
        (NotFinite, InputError, "270 NaN or infinite"),
        (ReturnsAnArray, InputTypeError, "returns a ndarray"),
        (ChangesAnOption, InputError, "changes label_key"),
        (ComputesWhenBuilt, InputError, "stores weights_loaded"),
        (HidesTheReference, InputError, "declares reference=None"),
        (NeedsMore, InputError, "reference_needs=()"),
        (HidesTheCounts, InputError, "its card needs=('coordinates',)"),
        (BadCard, InputError, "name='Bad Card'"),
        (WrongTarget, InputError, "target='elsewhere:Other'"),
        (CanBeChanged, InputError, "a dataclass that can be changed"),
        (NoDataclass, InputError, "NoDataclass is no dataclass"),
        (NoRun, InputError, "NoRun without run and card"),
        (dict, InputTypeError, "the class dict"),
        (3, InputTypeError, "a method of type int"),
    ],
)
def test_every_planted_fault_is_found(method, error, found):
    with pytest.raises(error, match=re.escape(found)) as caught:
        check_method(method)
    assert caught.value.allowed
    assert caught.value.remedy


def test_the_card_in_the_registry_must_be_that_of_the_class():
    sk.methods.register_method(replace(sk.methods.method_card("annotate/knn"), name="other"))
    try:
        with pytest.raises(InputError, match="another card"):
            check_method("annotate/other")
    finally:
        catalogue.remove("annotate/other")


def test_partitions_may_be_renamed_and_not_mixed():
    """A method without reference whose partition depends on the row is found."""

    def run(self, view, reference, *, rng):
        codes = np.arange(view.table.n_obs) % 2
        labels = pd.Categorical.from_codes(codes, categories=["0", "1"])
        return Output(kind="labels", result=pd.Series(labels, index=view.table.obs_names))

    facts = {"task": "domains", "reference_needs": (), "transductive": True}
    declared = {"requirements": lambda self: Requirements(data=Slots(X=True)), "run": run}
    with pytest.raises(InputError, match="when the observations are shuffled"):
        check_method(carded(type("Stripes", (Sound,), declared), **facts))


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("more", [{}, {"n_neighbors": 1}, {"min_probability": 0.7, "unknown_label": "?"}])
def test_knn_under_all_options(weights, metric, more):
    check_method("annotate/knn", weights=weights, metric=metric, **more)


@pytest.mark.parametrize("more", [{}, {"n_starts": 1}])
def test_kmeans_under_all_options(more):
    check_method("domains/kmeans", n_clusters=4, **more)


@pytest.mark.parametrize("covariance", ["tied", "full", "diag", "spherical"])
@pytest.mark.parametrize("more", [{}, {"n_starts": 1}])
def test_gmm_under_all_options(covariance, more):
    check_method("domains/gmm", n_clusters=3, covariance=covariance, **more)


@pytest.mark.parametrize("number", [{"n_clusters": 3}, {"resolution": 1.0}, {"resolution": 0.2}])
@pytest.mark.parametrize("more", [{}, {"n_neighbors": 5}, {"n_iterations": -1}])
def test_leiden_under_all_options(number, more):
    check_method("domains/leiden", **number, **more)


def test_every_method_of_the_package_is_held():
    """Whoever adds a method adds its options above."""
    held = {"annotate/knn", "domains/kmeans", "domains/gmm", "domains/leiden"}
    built_in = [name for name, card in sk.methods.list_methods()["runs"].items() if card != "card"]
    assert set(built_in) == held, f"not held: {listed(set(built_in) - held)}"


def test_tables_of_the_caller(toy):
    toy.obsm["X_mine"] = np.log1p(toy.X.toarray())
    reference = toy[:60].copy()
    reference.obs_names = [f"ref{i}" for i in range(60)]
    keys = {"embedding_key": "X_mine", "label_key": "niche"}
    before = ad.AnnData(toy.X.copy(), obs=toy.obs.copy())
    check_method("annotate/knn", data=toy, reference=reference, **keys)
    assert (toy.X != before.X).nnz == 0
    assert toy.obs.equals(before.obs)
    with pytest.raises(InputError, match="without embedding_key and label_key"):
        check_method("annotate/knn", data=toy, reference=reference)
