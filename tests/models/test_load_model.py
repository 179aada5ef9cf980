"""Names, options and seeds to objects."""

import numpy as np
import pytest

import stfmkit as sk
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
from stfmkit.models.options import as_stored, check_options, options_of

NAMES = list(sk.models.list_models(family="baseline")["name"])


@pytest.mark.parametrize("name", NAMES)
def test_loads_every_model_fresh(name):
    first, second = (sk.models.load_model(name, rng=0) for _ in range(2))
    assert first is not second
    assert isinstance(first, sk.models.EmbeddingModel)
    assert first.card is sk.models.model_card(name)


def test_unknown_name():
    with pytest.raises(MissingKeyError, match="Did you mean 'random_smooth'"):
        sk.models.load_model("random_smoth")


@pytest.mark.parametrize(
    ("name", "option", "hint"),
    [
        ("hvg_pca", "n_component", "n_genes=2000, n_components=50[\\s\\S]*Did you mean 'n_components'"),
        ("random", "dimensions", "Did you mean 'dimension'"),
        ("library_size", "n_genes", "no option"),
        ("random", "seed", "dimension=50"),
    ],
)
def test_unknown_options_list_the_known_ones(name, option, hint):
    with pytest.raises(InputError, match=f"'{option}' is not an option of the model '{name}'[\\s\\S]*{hint}"):
        sk.models.load_model(name, rng=0, **{option: 5})


@pytest.mark.parametrize(
    ("name", "options", "kind"),
    [
        ("hvg_pca", {"n_components": 0}, InputError),
        ("hvg_pca", {"n_genes": 1.5}, InputTypeError),
        ("hvg_pca", {"n_genes": "all"}, InputTypeError),
        ("neighbor_pca", {"n_neighbors": 0}, InputError),
        ("neighbor_pca", {"n_components": -1}, InputError),
        ("random", {"dimension": 0}, InputError),
        ("random_smooth", {"n_neighbors": 0}, InputError),
        ("random_smooth", {"dimension": True}, InputTypeError),
        ("celltype_composition", {"n_neighbors": -1}, InputError),
    ],
)
def test_bad_values_of_options(name, options, kind):
    with pytest.raises(kind):
        sk.models.load_model(name, rng=0, **options)


@pytest.mark.parametrize("name", ["random", "random_smooth"])
def test_random_models_take_a_seed(name):
    assert sk.models.load_model(name).rng == 0
    with pytest.raises(InputError):
        sk.models.load_model(name, rng=-1)
    with pytest.raises(InputTypeError):
        sk.models.load_model(name, rng="seed")
    with pytest.raises(InputError, match=r"from 0 to 2\*\*63"):  # no file could record it
        sk.models.load_model(name, rng=2**63)
    assert sk.models.load_model(name, rng=0).rng == 0  # 0 is a seed
    assert sk.models.load_model(name, rng=np.int64(3)).rng == 3
    drawn = [sk.models.load_model(name, rng=np.random.default_rng(5)).rng for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert isinstance(drawn[0], int)


def test_deterministic_models_take_a_seed_and_leave_it():
    generator = np.random.default_rng(0)
    sk.models.load_model("hvg_pca", rng=generator)
    assert generator.random() == np.random.default_rng(0).random()


def test_a_card_that_points_nowhere(known, card):
    sk.models.register_model(card(name="no-class", target="stfmkit.models.catalogue:MODELS"))
    sk.models.register_model(card(name="no-module", target="stfmkit_no_such:Model"))
    with pytest.raises(InputTypeError, match="not a class"):
        sk.models.load_model("no-class")
    with pytest.raises(ModuleNotFoundError, match="stfmkit_no_such"):
        sk.models.load_model("no-module")


class _Anything:
    def __init__(self, weights, *, rng=0, depth: int = 3, **further):
        self.weights, self.depth, self.rng = weights, depth, rng


class _Bare: ...


def test_options_of_an_object_are_storable():
    assert options_of(_Anything(("a", 1))) == {"weights": ("a", 1), "depth": 3}
    assert as_stored(options_of(_Anything(("a", 1)))) == {"weights": "('a', 1)", "depth": 3}
    assert as_stored({"a": None, "b": np.float64(1.5)}) == {"a": None, "b": 1.5}
    assert options_of(_Bare()) == {}


def test_options_of_foreign_classes():
    check_options(_Anything, ["whatever"], model="anything")
    with pytest.raises(InputError, match="no option"):
        check_options(_Bare, ["depth"], model="bare")


@pytest.mark.parametrize(
    ("name", "option", "value", "allowed"),
    [
        ("uce", "exact", "False", "True or False"),
        ("uce", "exact", 0, "True or False"),
        ("nicheformer", "layer_index", "last", "a whole number"),
        ("nicheformer", "layer_index", 1.5, "a whole number"),
        ("geneformer-v1", "emb_layer", True, "a whole number"),
        ("stofm", "leiden_res", "fine", "a number"),
    ],
)
def test_options_of_another_kind_are_refused(name: str, option: str, value: object, allowed: str) -> None:
    with pytest.raises(InputTypeError, match=rf"{option}={value!r} for the model '{name}'[\s\S]*Allowed: {allowed}"):
        sk.models.load_model(name, weights="random", **{option: value})


def test_numbers_of_numpy_are_numbers() -> None:
    assert sk.models.load_model("hvg_pca", n_components=np.int32(4)).n_components == 4
