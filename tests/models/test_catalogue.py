"""Names, tags, plug-ins, and models that are found in their folders."""

import subprocess
import sys
import types
import warnings
from importlib.metadata import EntryPoint

import pandas as pd
import pytest

import stfmkit as sk
from stfmkit._core import catalogue as core
from stfmkit._core import optional
from stfmkit._core.catalogue import Catalogue
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError, StfmkitWarning
from stfmkit.models.catalogue import GROUP, built_in, check_card

CARDS_BUILT_IN = list(built_in())


def registry_of(cards):
    return Catalogue(
        what="model", group=GROUP, built_in=lambda: cards, name_of=lambda card: card.name, check=check_card
    )


@pytest.fixture
def plug_in(monkeypatch):
    """Install plug-ins, given as objects or as targets."""

    def install(**entries) -> None:
        module = types.ModuleType("plug_in_of_a_test")
        points = []
        for name, held in entries.items():
            if isinstance(held, str):
                points.append(EntryPoint(name, held, GROUP))
            else:
                setattr(module, name, held)
                points.append(EntryPoint(name, f"plug_in_of_a_test:{name}", GROUP))
        monkeypatch.setitem(sys.modules, "plug_in_of_a_test", module)
        monkeypatch.setattr(core, "entry_points", lambda *, group: [p for p in points if p.group == group])

    return install


def test_finds_by_name_and_by_tag(card):
    registry = registry_of([card(name="a"), card(name="b.v1"), card(name="c.v1"), card(name="c.v2"), card(name="c-d")])
    assert registry.find("a").name == "a"
    assert registry.find("b").name == "b.v1"
    assert registry.find("b.v1").name == "b.v1"
    with pytest.raises(MissingKeyError, match=r"several tags[\s\S]*'c.v1', 'c.v2'"):
        registry.find("c")
    with pytest.raises(MissingKeyError, match=r"no model named 'a\.v9'"):
        registry.find("a.v9")


@pytest.mark.parametrize(
    ("wrong", "right"), [("hvgpca", "hvg_pca"), ("HVG_PCA", "hvg_pca"), ("libary_size", "library_size")]
)
def test_unknown_name_suggests_the_nearest(wrong, right):
    with pytest.raises(MissingKeyError, match=f"no model named '{wrong}'[\\s\\S]*Did you mean .*'{right}'"):
        registry_of(CARDS_BUILT_IN).find(wrong)


def test_unknown_name_far_from_all_suggests_nothing():
    with pytest.raises(MissingKeyError) as caught:
        registry_of(CARDS_BUILT_IN).find("zzzzzz")
    assert "Did you mean" not in str(caught.value)
    assert "list all models" in str(caught.value)


def test_name_that_is_no_text():
    with pytest.raises(InputTypeError, match="type int"):
        registry_of(CARDS_BUILT_IN).find(3)


def test_add_and_overwrite(card):
    registry = registry_of([])
    registry.add(card())
    with pytest.raises(InputError, match=r"'mine' exists[\s\S]*overwrite=True"):
        registry.add(card(fits=True))
    assert not registry.find("mine").fits
    registry.add(card(fits=True), overwrite=True)
    assert registry.find("mine").fits


def test_cards_cannot_be_changed_from_outside(card):
    registry = registry_of([card()])
    registry.entries().clear()
    assert registry.find("mine").name == "mine"


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "Mine"},
        {"name": "a/b"},
        {"name": ""},
        {"name": None},
        {"name": "a."},
        {"target": "module"},
        {"target": "a b:C"},
        {"family": "neural"},
        {"needs": "counts"},
        {"needs": ("genes",)},
    ],
)
def test_malformed_cards_are_refused(card, fields):
    registry = registry_of([])
    with pytest.raises(InputError):
        registry.add(card(**fields))
    assert not registry.entries()


def test_what_is_no_card_is_refused():
    with pytest.raises(InputTypeError, match="a card of type dict"):
        registry_of([]).add({"name": "mine"})


def test_plug_ins_hold_one_card_or_several(plug_in, card):
    plug_in(one=card(name="one"), more=[card(name="two.v1"), card(name="two.v2")], tupled=(card(name="three"),))
    registry = registry_of(CARDS_BUILT_IN)
    assert list(registry.entries())[len(CARDS_BUILT_IN) :] == ["one", "two.v1", "two.v2", "three"]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("no_such_package_anywhere:CARD", "ModuleNotFoundError"),
        ("stfmkit.models.catalogue:NO_SUCH", "AttributeError"),
        (3, "a card of type int"),
    ],
)
def test_one_bad_plug_in_warns_and_breaks_nothing(plug_in, card, broken, reason):
    plug_in(broken=broken, good=card(name="good"))
    registry = registry_of(CARDS_BUILT_IN)
    with pytest.warns(StfmkitWarning, match=f"(?s)plug-in 'broken'.*left out.*{reason}") as seen:
        assert registry.find("good").name == "good"
    assert len(seen) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert registry.find("hvg_pca").name == "hvg_pca"  # says it once


def test_plug_in_that_raises_on_import(monkeypatch, plug_in, tmp_path, card):
    (tmp_path / "raises_on_import_of_a_test.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    plug_in(bad="raises_on_import_of_a_test:CARD", good=card(name="good"))
    with pytest.warns(StfmkitWarning, match="ZeroDivisionError"):
        assert "good" in registry_of(CARDS_BUILT_IN).entries()


def test_plug_ins_do_not_take_names(plug_in, card):
    plug_in(thief=[card(name="new"), card(name="hvg_pca")])
    registry = registry_of(CARDS_BUILT_IN)
    with pytest.warns(StfmkitWarning, match="taken, 'hvg_pca'"):
        assert registry.find("hvg_pca").family == "baseline"
    assert "new" not in registry.entries()  # all or nothing


BASELINE = """
import numpy as np

from stfmkit.models import EmbeddingModel, ModelCard

CARD = ModelCard(
    name="mean_count",
    target="stfmkit.models.baselines.mean_count_of_a_test:MeanCount",
    family="baseline",
    summary="Mean.",
    needs=("counts",),
)
CARDS = (CARD,)


class MeanCount(EmbeddingModel):
    card = CARD

    def prepare(self, block):
        return block.read("counts")

    def encode(self, batch):
        return batch.mean(axis=1)[:, None]
"""
CARD = """
from dataclasses import replace

from stfmkit.models.baselines.library_size import CARD as OTHER

CARDS = (replace(OTHER, name="net-of-a-test", family="rna"), replace(OTHER, name="net-of-a-test.small", family="rna"))
"""


def test_a_file_or_a_folder_is_all_that_a_new_model_needs(tmp_path, monkeypatch):
    from stfmkit.models import baselines, zoo
    from stfmkit.models.runtime.run import ModelRun
    from stfmkit.testing import example_block

    for package in (baselines, zoo):
        (tmp_path / package.__name__).mkdir()
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path / package.__name__)])
    (tmp_path / baselines.__name__ / "mean_count_of_a_test.py").write_text(BASELINE)
    family = tmp_path / zoo.__name__ / "family_of_a_test"
    family.mkdir()
    (family / "__init__.py").write_text("")
    (family / "card.py").write_text(CARD)
    found = {card.name: card for card in built_in()}
    assert set(found) - {card.name for card in CARDS_BUILT_IN} == {"mean_count", "net-of-a-test", "net-of-a-test.small"}
    kind = sys.modules["stfmkit.models.baselines.mean_count_of_a_test"].MeanCount
    assert ModelRun(kind()).embed(example_block()).shape == (90, 1)


COLUMNS = ["name", "family", "needs", "fits", "uses_neighbors", "species", "gene_ids", "dimension", "licence"]
COLUMNS += ["commercial", "summary", "reason"]


def test_one_row_per_card():
    table = sk.models.list_models(family="baseline")
    assert list(table.columns) == COLUMNS
    assert list(table["name"]) == [card.name for card in built_in() if card.family == "baseline"]
    assert table["fits"].dtype == bool
    assert pd.isna(table.set_index("name").loc["hvg_pca", "dimension"])
    assert table.set_index("name").loc["library_size", "dimension"] == 2


def test_commercial_use_is_missing_where_a_licence_is_not_known():
    table = sk.models.list_models().set_index("name")
    assert table["commercial"].dtype == "boolean"
    assert pd.isna(table.loc["scimilarity", "commercial"])
    assert set(table.loc[table["commercial"]].index) >= {"geneformer-v2", "library_size"}
    assert not {"scimilarity", "scfoundation"} & set(table.loc[table["commercial"]].index)


def test_family_filter(known, card):
    sk.models.register_model(card(name="net", family="rna"))
    assert "net" in set(sk.models.list_models(family="rna")["name"])
    assert "net" not in set(sk.models.list_models(family="spatial")["name"])
    assert "net" in set(sk.models.list_models()["name"])
    with pytest.raises(InputError, match=r"family='rnaa'[\s\S]*Did you mean 'rna'"):
        sk.models.list_models(family="rnaa")


def test_empty_table_keeps_its_columns():
    assert list(sk.models.list_models(family="hybrid").columns) == COLUMNS


def test_runnable_is_a_switch():
    with pytest.raises(InputError, match="runnable='yes'"):
        sk.models.list_models(runnable="yes")


def test_runnable_filter(known, card, monkeypatch):
    monkeypatch.setattr(
        optional, "requires", lambda name: ["no-such-package>=1; extra == 'ghost'", "numpy; extra == 'here'", "numpy"]
    )
    sk.models.register_model(card(name="ghost", extra="ghost"))
    sk.models.register_model(card(name="here", extra="here"))
    runnable = set(sk.models.list_models(runnable=True)["name"])
    assert "here" in runnable
    assert "ghost" not in runnable
    refused = sk.models.list_models(runnable=False).set_index("name")
    assert "ghost" in refused.index
    assert "here" not in refused.index
    assert refused.loc["ghost", "reason"] == "needs pip install 'stfmkit[ghost]'"
    with pytest.raises(ImportError, match=r"'ghost' needs no-such-package[\s\S]*pip install 'stfmkit\[ghost\]'"):
        sk.models.load_model("ghost")


def test_extras_read_the_metadata():
    assert optional.missing_packages(None) == ()
    assert optional.missing_packages("no-such-extra") == ()


def test_register_and_card(known, card):
    sk.models.register_model(card(name="net.v1"))
    assert sk.models.model_card("net").name == "net.v1"
    with pytest.raises(InputError, match="exists"):
        sk.models.register_model(card(name="net.v1"))
    with pytest.raises(InputTypeError):
        sk.models.register_model("net")
    with pytest.raises(MissingKeyError, match="Did you mean 'neighbor_pca'"):
        sk.models.model_card("neighbour_pca")


def test_listing_imports_no_network_and_nothing_heavy():
    code = (
        "import sys, stfmkit as sk\n"
        "sk.models.list_models(); sk.models.model_card('hvg_pca')\n"
        "heavy = ['torch', 'sklearn', 'scanpy', 'squidpy', 'spatialdata', 'numba', 'matplotlib.pyplot']\n"
        "print([m for m in heavy if m in sys.modules], [m for m in sys.modules if m.endswith('.model')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] []"
