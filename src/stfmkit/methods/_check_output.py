"""Check what a method returns, whatever the kind."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError, InputTypeError
from stfmkit._core.matrices import check_sparse
from stfmkit.methods.contract import Kind, MethodCard, Output

_SUM_TOLERANCE = 1e-4
"""How far the sum of a row of proportions may be from 1, as in single precision over many types."""

_SCORE_COLUMNS = ("ligand", "receptor", "score")
_COORDINATES = (("x", "y"), ("x", "y", "z"))


def check_output(output: Output, card: MethodCard, table: AnnData, reference: AnnData | None = None) -> Output:
    """Return an output with its rows in the order of the observations, or say which promise it breaks.

    Expression may be of genes that only the reference has: to predict what the data lack is what such a method is for.

    Raises
    ------
    InputTypeError
        Not an `Output`, or values of another type than its kind holds.
    InputError
        Values, names or shapes that its kind does not allow.
    """
    if not isinstance(output, Output):
        raise InputTypeError(
            f"the method {card.full_name!r} returns a {type(output).__name__}.",
            allowed="sk.methods.Output",
            remedy="return Output(kind=..., result=...).",
        )
    if output.kind != card.output:
        raise _broken(card, f"kind={output.kind!r}", f"kind={card.output!r}, as its task says")
    if output.probabilities is not None and output.kind != "labels":
        raise _broken(card, f"probabilities with {output.kind}", "probabilities with labels")
    if output.kind == "expression":
        genes = table.var_names if reference is None else table.var_names.union(reference.var_names, sort=False)
        return _expression(output, card, table, genes)
    return _CHECKS[output.kind](output, card, table)


def _broken(card: MethodCard, found: str, allowed: str) -> InputError:
    return InputError(
        f"an output of the method {card.full_name!r} with {found}.",
        allowed=allowed,
        remedy="correct the method; sk.testing.check_method shows what the contract wants.",
    )


def _check_type(card: MethodCard, values: object, *types: type) -> None:
    if not isinstance(values, types):
        raise InputTypeError(
            f"an output of the method {card.full_name!r} with {card.output} of type {type(values).__name__}.",
            allowed=" or ".join(kind.__name__ for kind in types),
            remedy="correct the method.",
        )


def _in_order(card: MethodCard, index: pd.Index, table: AnnData) -> np.ndarray:
    """Return where the row of every observation is."""
    where = index.get_indexer(table.obs_names) if index.is_unique else np.array([-1])
    if len(index) != table.n_obs or (where < 0).any():
        lost = table.obs_names[~table.obs_names.isin(index)]
        without = f", without {listed(lost, most=3)}" if len(lost) else ""
        raise _broken(card, f"{len(index)} rows for {table.n_obs} observations{without}", "one row for every obs_name")
    return where


def _numbers(card: MethodCard, values: pd.Series | pd.DataFrame | np.ndarray, *, least: float | None = None) -> None:
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise _broken(card, f"values of dtype {array.dtype}", "numbers")
    if not np.isfinite(array).all():
        raise _broken(card, f"{int((~np.isfinite(array)).sum())} NaN or infinite values", "finite numbers")
    if least is not None and (array < least).any():
        raise _broken(card, f"values down to {array.min():.6g}", f"numbers ≥ {least:g}")


def _shares(card: MethodCard, shares: pd.DataFrame, *, what: str) -> None:
    _numbers(card, shares, least=0)
    if not shares.columns.is_unique:
        raise _broken(card, f"columns of {what} that occur twice", "every column once")
    sums = shares.to_numpy(dtype=np.float64).sum(axis=1)
    off = np.abs(sums - 1) > _SUM_TOLERANCE
    if off.any():
        raise _broken(card, f"{int(off.sum())} rows of {what} that sum to {sums[off][0]:.6g}", "rows that sum to 1")


def _labels(output: Output, card: MethodCard, table: AnnData) -> Output:
    _check_type(card, output.result, pd.Series)
    values = output.result.iloc[_in_order(card, output.result.index, table)]
    if not isinstance(values.dtype, pd.CategoricalDtype) or values.isna().any():
        raise _broken(card, f"labels of dtype {values.dtype}, {int(values.isna().sum())} missing", "a category each")
    if not all(isinstance(label, str) for label in values.cat.categories):
        raise _broken(card, f"the labels {listed(values.cat.categories, most=3)}", "labels that are text")
    if output.probabilities is None:
        return replace(output, result=values)
    _check_type(card, output.probabilities, pd.DataFrame)
    shares = output.probabilities.iloc[_in_order(card, output.probabilities.index, table)]
    _shares(card, shares, what="probabilities")
    unknown = [label for label in shares.columns if label not in values.cat.categories]
    if unknown:
        raise _broken(card, f"probabilities of {listed(unknown, most=3)}", "columns that are categories of the labels")
    return replace(output, result=values, probabilities=shares)


def _proportions(output: Output, card: MethodCard, table: AnnData) -> Output:
    _check_type(card, output.result, pd.DataFrame)
    values = output.result.iloc[_in_order(card, output.result.index, table)]
    _shares(card, values, what="proportions")
    return replace(output, result=values)


def _expression(output: Output, card: MethodCard, table: AnnData, known: pd.Index) -> Output:
    _check_type(card, output.result, pd.DataFrame, sparse.csr_array)
    values = output.result
    if isinstance(values, pd.DataFrame):
        rows, genes, stored = values.index, values.columns, values.to_numpy()
    else:
        rows, genes, stored = output.observations, output.genes, values.data
        if rows is None or genes is None or values.shape != (len(rows), len(genes)):
            raise _broken(card, f"a CSR array of shape {values.shape}", "observations and genes of the same lengths")
        check_sparse(values, name=f"the result of {card.name!r}")
    wrong = genes[genes.duplicated() | ~genes.isin(known)]
    if len(wrong):
        raise _broken(card, f"genes such as {listed(wrong, most=3)}", "genes of the data or the reference, each once")
    _numbers(card, stored, least=0)
    where = _in_order(card, rows, table)
    if isinstance(values, pd.DataFrame):
        return replace(output, result=values.iloc[where])
    return replace(output, result=sparse.csr_array(values[where]), observations=rows[where])


def _embedding(output: Output, card: MethodCard, table: AnnData) -> Output:
    _check_type(card, output.result, pd.DataFrame)
    values = output.result.iloc[_in_order(card, output.result.index, table)]
    _numbers(card, values)
    if not values.shape[1]:
        raise _broken(card, "no dimension", "at least one dimension")
    return replace(output, result=values)


def _gene_scores(output: Output, card: MethodCard, table: AnnData) -> Output:
    _check_type(card, output.result, pd.Series, pd.DataFrame)
    genes = output.result.index
    if not genes.is_unique or not genes.isin(table.var_names).all():
        raise _broken(card, f"scores of {listed(genes, most=3)}", "scores of genes of the table, each once")
    _numbers(card, output.result)
    return replace(output, result=output.result.loc[table.var_names[table.var_names.isin(genes)]])


def _interaction_scores(output: Output, card: MethodCard, _: AnnData) -> Output:
    _check_type(card, output.result, pd.DataFrame)
    missing_columns = [name for name in _SCORE_COLUMNS if name not in output.result.columns]
    if missing_columns:
        raise _broken(card, f"no column {' and '.join(missing_columns)}", f"the columns {listed(_SCORE_COLUMNS)}")
    _numbers(card, output.result["score"])
    return output


def _segmentation(output: Output, card: MethodCard, _: AnnData) -> Output:
    _check_type(card, output.result, pd.Series)
    if output.result.dtype.kind not in "iu" or not output.result.index.is_unique:
        raise _broken(card, f"cells of dtype {output.result.dtype}", "one integer for every molecule")
    _numbers(card, output.result, least=0)
    return output


def _alignment(output: Output, card: MethodCard, table: AnnData) -> Output:
    _check_type(card, output.result, pd.DataFrame)
    if tuple(output.result.columns) not in _COORDINATES:
        raise _broken(card, f"the columns {listed(output.result.columns)}", "'x', 'y' (and 'z')")
    values = output.result.iloc[_in_order(card, output.result.index, table)]
    _numbers(card, values)
    return replace(output, result=values)


_CHECKS: dict[Kind, Callable[[Output, MethodCard, AnnData], Output]] = {
    "labels": _labels,
    "proportions": _proportions,
    "embedding": _embedding,
    "gene_scores": _gene_scores,
    "interaction_scores": _interaction_scores,
    "segmentation": _segmentation,
    "alignment": _alignment,
}
