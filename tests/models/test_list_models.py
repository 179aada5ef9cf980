"""The table of models, and that looking does not import."""

import subprocess
import sys

import pandas as pd
import pytest

import stfmkit as sk
from stfmkit._core import extras
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
from stfmkit.models.catalogue import built_in

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
        extras, "requires", lambda name: ["no-such-package>=1; extra == 'ghost'", "numpy; extra == 'here'", "numpy"]
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
    assert extras.missing_packages(None) == ()
    assert extras.missing_packages("no-such-extra") == ()


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
