"""Controls are told from genes."""

import pytest

from stfmkit._core.errors import InputError
from stfmkit.pp._controls import control_categories, control_names

GENES = ["NANOG", "NEGR1", "NANOS1", "NANS", "NANP", "BLNK", "Negr1", "ANTXR1", "INTS1", "FAS", "nan", "BLANKET"]
CONTROLS = [
    "NegControlProbe_00042",
    "NegControlCodeword_0500",
    "UnassignedCodeword_0012",
    "DeprecatedCodeword_0001",
    "BLANK_0006",
    "antisense_PROKR2",
    "Intergenic_Region_1",
    "Blank-12",
    "Blank_1",
    "NegPrb3",
    "Negative01",
    "SystemControl12",
    "FalseCode7",
]


def test_genes_survive() -> None:
    assert not control_names(GENES).any()


def test_every_platform_is_known() -> None:
    assert control_names(CONTROLS).all()


@pytest.mark.parametrize("name", ["xNegControlProbe_1", "NEGCONTROLPROBE_1", "NegControlProbe", "Negative", "blank_1"])
def test_whole_name_and_case_count(name: str) -> None:
    assert not control_names([name])[0]


def test_categories_of_xenium() -> None:
    words = ["predesigned_gene", "custom_gene", "negative_control_probe", "unassigned_codeword", "Gene Expression"]
    assert control_categories(words, key="codeword_category").tolist() == [False, False, True, True, False]


def test_is_gene_is_the_other_way_round() -> None:
    assert control_categories(["True", "false"], key="is_gene").tolist() == [False, True]
    assert control_categories(["True", "false"], key="is_control").tolist() == [True, False]


def test_unknown_category_is_refused() -> None:
    with pytest.raises(InputError, match="'puzzle'"):
        control_categories(["gene", "puzzle"], key="codeword_category")
