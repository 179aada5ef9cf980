"""Every kind of output is checked in one place: what passes, and every fault that is planted."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from stfmkit.errors import InputError, InputTypeError
from stfmkit.methods._check_output import check_output
from stfmkit.methods.contract import TASKS, Output

OBS, GENES = pd.Index(["a", "b", "c"]), pd.Index(["G0", "G1"])
TURNED = [2, 0, 1]
TASK_OF = {kind: task for task, kind in reversed(TASKS.items())}


@pytest.fixture
def table() -> AnnData:
    return AnnData(np.ones((3, 2), dtype=np.float32), obs=pd.DataFrame(index=OBS), var=pd.DataFrame(index=GENES))


def labels(values=("x", "y", "x"), index=OBS):
    return pd.Series(pd.Categorical(values, categories=["x", "y"]), index=index)


def frame(values, index=OBS, columns=None):
    return pd.DataFrame(np.asarray(values), index=index, columns=columns)


SHARES = frame([[0.2, 0.8], [1.0, 0.0], [0.5, 0.5]], columns=["x", "y"])
GOOD = {
    "labels": Output(kind="labels", result=labels(), probabilities=SHARES),
    "proportions": Output(kind="proportions", result=SHARES),
    "expression": Output(kind="expression", result=frame([[1.0, 2.0], [0.0, 3.0], [4.0, 5.0]], columns=GENES)),
    "embedding": Output(kind="embedding", result=frame([[1.0], [-2.0], [3.0]])),
    "gene_scores": Output(kind="gene_scores", result=pd.Series([1.0, -2.0], index=GENES)),
    "interaction_scores": Output(
        kind="interaction_scores", result=pd.DataFrame({"ligand": ["L"], "receptor": ["R"], "score": [0.3]})
    ),
    "segmentation": Output(kind="segmentation", result=pd.Series([0, 1, 1, 2], index=list("pqrs"))),
    "alignment": Output(kind="alignment", result=frame([[1.0, 2.0], [0.0, 0.0], [5.0, 1.0]], columns=["x", "y"])),
}
ROWS = ("labels", "proportions", "expression", "embedding", "alignment")


def check(output, card, table):
    return check_output(output, card(task=TASK_OF[output.kind]), table)


def test_every_kind_of_a_task_has_a_good_output():
    assert set(GOOD) == set(TASKS.values())


@pytest.mark.parametrize("kind", GOOD)
def test_good_outputs_pass(kind, card, table):
    check(GOOD[kind], card, table)


@pytest.mark.parametrize("kind", ROWS)
def test_rows_are_put_in_the_order_of_the_observations(kind, card, table):
    good = GOOD[kind]
    shares = None if good.probabilities is None else good.probabilities.iloc[[1, 2, 0]]
    found = check(replace(good, result=good.result.iloc[TURNED], probabilities=shares), card, table)
    assert found.result.equals(good.result)
    assert found.probabilities is None or found.probabilities.equals(good.probabilities)


def test_expression_of_genes_that_only_the_reference_has(card, table):
    more = AnnData(np.ones((2, 2)), var=pd.DataFrame(index=["G1", "G7"]))
    output = Output(kind="expression", result=frame([[1.0, 1.0]] * 3, columns=["G0", "G7"]))
    about = card(task="impute")
    assert list(check_output(output, about, table, more).result) == ["G0", "G7"]
    with pytest.raises(InputError, match="genes such as 'G7'"):
        check_output(output, about, table)


def test_sparse_expression(card, table):
    values = sparse.csr_array(GOOD["expression"].result.to_numpy())
    good = Output(kind="expression", result=values, observations=OBS, genes=GENES)
    found = check(replace(good, result=values[TURNED], observations=OBS[TURNED]), card, table)
    np.testing.assert_array_equal(found.result.toarray(), values.toarray())
    assert found.observations.equals(OBS)
    for fault in ({"observations": None}, {"genes": None}, {"genes": GENES[:1]}):
        with pytest.raises(InputError, match="CSR array of shape"):
            check(replace(good, **fault), card, table)


def test_scores_of_genes_follow_the_table_and_may_leave_some_out(card, table):
    turned = GOOD["gene_scores"].result.iloc[[1, 0]]
    assert check(Output(kind="gene_scores", result=turned), card, table).result.index.equals(GENES)
    assert len(check(Output(kind="gene_scores", result=turned[:1]), card, table).result) == 1


@pytest.mark.parametrize(
    ("kind", "fault", "found"),
    [
        *[(kind, {"result": GOOD[kind].result.iloc[:2]}, r"2 rows for 3 observations, without 'c'") for kind in ROWS],
        *[(kind, {"result": GOOD[kind].result.iloc[[0, 1, 1]]}, "3 rows for 3 observations") for kind in ROWS],
        *[(kind, {"result": GOOD[kind].result.set_axis(list("abd"))}, "without 'c'") for kind in ROWS],
        ("labels", {"result": labels(["x", None, "y"])}, "1 missing"),
        ("labels", {"result": labels().astype(str)}, "dtype str|dtype object"),
        ("labels", {"result": pd.Series(pd.Categorical([1, 2, 1]), index=OBS)}, "labels that are text"),
        ("labels", {"probabilities": SHARES * 0.9}, r"3 rows of probabilities that sum to 0\.9"),
        ("labels", {"probabilities": SHARES.iloc[:2]}, "2 rows for 3 observations"),
        ("labels", {"probabilities": SHARES.set_axis(["x", "z"], axis=1)}, "probabilities of 'z'"),
        ("labels", {"probabilities": SHARES.set_axis(["x", "x"], axis=1)}, "occur twice"),
        ("proportions", {"result": SHARES * 2}, "sum to 2"),
        ("proportions", {"result": frame([[1.5, -0.5]] * 3, columns=["x", "y"])}, "values down to -0.5"),
        ("proportions", {"result": frame([[np.nan, 1.0]] * 3, columns=["x", "y"])}, "3 NaN or infinite"),
        ("proportions", {"result": frame([["a", "b"]] * 3, columns=["x", "y"])}, "values of dtype"),
        ("proportions", {"probabilities": SHARES}, "probabilities with proportions"),
        ("expression", {"result": frame([[1.0, -1.0]] * 3, columns=GENES)}, "values down to -1"),
        ("expression", {"result": frame([[1.0, 1.0]] * 3, columns=["G0", "G9"])}, "genes such as"),
        ("expression", {"result": frame([[1.0, 1.0]] * 3, columns=["G0", "G0"])}, "genes such as"),
        ("embedding", {"result": frame([[np.inf]] * 3)}, "NaN or infinite"),
        ("embedding", {"result": frame(np.empty((3, 0)))}, "no dimension"),
        ("gene_scores", {"result": pd.Series([1.0], index=["G9"])}, "scores of 'G9'"),
        ("gene_scores", {"result": pd.Series([np.nan, 1.0], index=GENES)}, "1 NaN"),
        ("interaction_scores", {"result": pd.DataFrame({"ligand": ["L"], "score": [1.0]})}, "no column receptor"),
        ("segmentation", {"result": pd.Series([0.5, 1.0])}, "cells of dtype float64"),
        ("segmentation", {"result": pd.Series([0, -1])}, "values down to -1"),
        ("segmentation", {"result": pd.Series([0, 1], index=["p", "p"])}, "cells of dtype"),
        ("alignment", {"result": frame([[1.0, 2.0]] * 3, columns=["row", "col"])}, "the columns 'row', 'col'"),
        ("alignment", {"result": frame([[np.nan, 2.0]] * 3, columns=["x", "y"])}, "3 NaN"),
    ],
)
def test_planted_faults(kind, fault, found, card, table):
    with pytest.raises(InputError, match=found):
        check(replace(GOOD[kind], **fault), card, table)


@pytest.mark.parametrize("kind", GOOD)
def test_values_of_another_type(kind, card, table):
    with pytest.raises(InputTypeError, match=f"with {kind} of type ndarray"):
        check(replace(GOOD[kind], result=np.ones((3, 2))), card, table)


def test_another_kind_and_no_output(card, table):
    with pytest.raises(InputError, match=r"kind='proportions'[\s\S]*kind='labels'"):
        check_output(GOOD["proportions"], card(task="annotate"), table)
    with pytest.raises(InputTypeError, match="returns a Series"):
        check_output(labels(), card(), table)
