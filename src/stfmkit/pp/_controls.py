"""Control probes and codewords: by the platform's own category, else by exact names."""

import re
from collections.abc import Iterable

import numpy as np

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError

CATEGORY_COLUMNS = ("codeword_category", "is_gene")
"""Columns in which Xenium says what a molecule is."""

_CONTROL_NAMES = re.compile(
    r"""
      (NegControlProbe|NegControlCodeword|UnassignedCodeword|DeprecatedCodeword|GenomicControl|BLANK|antisense
        |Intergenic_Region)_.+            # Xenium
    | Blank[-_]\d+                        # MERSCOPE, MERFISH
    | (NegPrb|Negative|SystemControl|FalseCode)\d+   # CosMx
    """,
    re.VERBOSE,
)
_GENE_CATEGORIES = frozenset({"predesigned_gene", "custom_gene", "gene", "gene expression"})
_CONTROL_CATEGORIES = frozenset(
    {
        "negative_control_probe",
        "negative_control_codeword",
        "genomic_control_probe",
        "genomic_control",
        "unassigned_codeword",
        "deprecated_codeword",
        "predicted_false_positive",
        "blank",
        "antisense",
        "negative control probe",
        "negative control codeword",
        "genomic control",
        "unassigned codeword",
        "deprecated codeword",
    }
)
_TRUE, _FALSE = frozenset({"true", "1", "t"}), frozenset({"false", "0", "f"})


def control_names(names: Iterable[str]) -> np.ndarray:
    """Tell which names (n,) are control probes or codewords of Xenium, CosMx, MERSCOPE or MERFISH.

    The whole name is matched, upper and lower case apart, so genes such as NANOG and NEGR1 are never taken.

    Examples
    --------
    >>> control_names(["NegControlProbe_00042", "NANOG", "NEGR1", "Blank-3"]).tolist()
    [True, False, False, True]
    """
    return np.array([_CONTROL_NAMES.fullmatch(name) is not None for name in names], dtype=bool)


def control_categories(categories: Iterable[str], *, key: str) -> np.ndarray:
    """Tell which values (n,) of the column `key` mean a control.

    ``is_gene`` is true for genes; every other column holds Xenium's categories, or is true for controls.

    Raises
    ------
    InputError
        A value is unknown.
    """
    flags, unknown = [], []
    for category in categories:
        word = category.casefold()
        if word in _TRUE or word in _FALSE:
            flags.append((word in _TRUE) != (key == "is_gene"))
        elif word in _GENE_CATEGORIES or word in _CONTROL_CATEGORIES:
            flags.append(word in _CONTROL_CATEGORIES)
        else:
            unknown.append(category)
    if unknown:
        raise InputError(
            f"the values {listed(unknown, most=5)} in column {key!r}.",
            allowed=f"true or false, or one of {listed(sorted(_GENE_CATEGORIES | _CONTROL_CATEGORIES), most=99)}",
            remedy="pass control_key=, a column that is true for control probes.",
        )
    return np.array(flags, dtype=bool)
