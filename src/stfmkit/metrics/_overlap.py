"""Overlap of two signatures, raw and adjusted for chance."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import hypergeom

from stfmkit._core.arguments import check_integer, listed
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
from stfmkit.metrics._metric import metric


@metric(
    title="Jaccard",
    family="signatures",
    higher_is_better=True,
    bounds=(0, 1),
    chance=None,
    source="Jaccard 1901",
    summary="Shared over all genes of two signatures; chance is large on small panels.",
)
def jaccard(a: Iterable[Any], b: Iterable[Any]) -> float:
    """Return the shared over all genes of two signatures.

    Small panels overlap by chance: on 300 genes two random sets of 50 score .09 on average. See `adjusted_jaccard`.

    Parameters
    ----------
    a, b
        Gene names, or integer positions; every gene once. One may be empty, which scores 0.

    Returns
    -------
    A number in [0, 1].

    Raises
    ------
    InputError
        If both are empty, or a gene is named twice.
    InputTypeError
        If one side holds names and the other positions.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.jaccard(["CD3E", "CD8A", "MS4A1"], ["CD3E", "CD8A", "EPCAM"])
    0.5
    """
    first, second = item_pair(a, b)
    shared = len(set(first) & set(second))
    return shared / (len(first) + len(second) - shared)


@metric(
    title="Dice",
    family="signatures",
    higher_is_better=True,
    bounds=(0, 1),
    chance=None,
    source="Dice 1945, Ecology 26:297",
    summary="Twice the shared genes over the sum of the sizes.",
)
def dice(a: Iterable[Any], b: Iterable[Any]) -> float:
    """Return twice the shared genes over the sum of the sizes of two signatures.

    Parameters
    ----------
    a, b
        Gene names, or integer positions; every gene once. One may be empty, which scores 0.

    Returns
    -------
    A number in [0, 1].

    Raises
    ------
    InputError, InputTypeError
        As `jaccard`.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.dice([1, 2, 3], [2, 3, 4]).__round__(3)
    0.667
    """
    first, second = item_pair(a, b)
    return 2 * len(set(first) & set(second)) / (len(first) + len(second))


@metric(
    title="Overlap coefficient",
    family="signatures",
    higher_is_better=True,
    bounds=(0, 1),
    chance=None,
    source="Simpson 1943; Szymkiewicz 1934",
    summary="Shared genes over the size of the smaller signature.",
)
def overlap_coefficient(a: Iterable[Any], b: Iterable[Any]) -> float:
    """Return the shared genes over the size of the smaller signature.

    It is 1 when one contains the other, however much larger that is.

    Parameters
    ----------
    a, b
        Gene names, or integer positions; every gene once. One may be empty, which scores 0: nothing is shared.

    Returns
    -------
    A number in [0, 1].

    Raises
    ------
    InputError, InputTypeError
        As `jaccard`.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.overlap_coefficient(["CD3E"], ["CD3E", "CD8A", "EPCAM"])
    1.0
    """
    first, second = item_pair(a, b)
    smaller = min(len(first), len(second))
    return len(set(first) & set(second)) / smaller if smaller else 0.0


@metric(
    title="Jaccard by chance",
    family="signatures",
    higher_is_better=None,
    bounds=(0, 1),
    chance=None,
    source="Hypergeometric mean; stfmkit documentation",
    summary="Mean Jaccard index of two random sets of these sizes from the panel; the floor to read overlaps against.",
)
def expected_jaccard(n_a: int, n_b: int, *, n_genes: int) -> float:
    """Return the exact mean Jaccard index of two random sets of genes.

    The number of shared genes is hypergeometric, so that ``E[J] = Σ_k P(k) k / (n_a + n_b - k)``.

    Parameters
    ----------
    n_a, n_b
        Sizes of the sets; at most one is 0.
    n_genes
        Number of genes that could have been chosen: the panel, not the genome.

    Returns
    -------
    A number in [0, 1].

    Raises
    ------
    InputError
        If a set is larger than the panel, or both are empty.

    Examples
    --------
    >>> import stfmkit as sk
    >>> (
    ...     round(sk.metrics.expected_jaccard(50, 50, n_genes=300), 3),
    ...     round(sk.metrics.expected_jaccard(50, 50, n_genes=18_000), 4),
    ... )
    (0.092, 0.0014)
    """
    check_integer(n_genes, name="n_genes", least=1)
    for name, value in {"n_a": n_a, "n_b": n_b}.items():
        check_integer(value, name=name, least=0)
        if value > n_genes:
            raise InputError(
                f"{name}={value} of {n_genes} genes.",
                allowed=f"at most {n_genes}",
                remedy="count the genes of the whole panel for n_genes.",
            )
    if not n_a and not n_b:
        raise InputError("two empty sets.", allowed="one gene or more", remedy="leave such niches out, and count them.")
    shared = np.arange(max(0, n_a + n_b - n_genes), min(n_a, n_b) + 1)
    chance = hypergeom.pmf(shared, n_genes, n_a, n_b)
    return float((chance * shared / (n_a + n_b - shared)).sum())


@metric(
    title="Adjusted Jaccard",
    family="signatures",
    higher_is_better=True,
    bounds=(None, 1),
    chance=0,
    source="Jaccard with the exact hypergeometric mean; stfmkit documentation",
    summary="Jaccard rescaled so that random sets of these sizes score 0 and equal sets 1.",
)
def adjusted_jaccard(a: Iterable[Any], b: Iterable[Any], *, n_genes: int) -> float:
    """Return the Jaccard index, rescaled so that chance scores 0 and identity 1.

    ``(J - E[J]) / (1 - E[J])`` with the exact mean of `expected_jaccard`. Its mean over random sets is 0.

    Parameters
    ----------
    a, b
        Gene names, or integer positions; every gene once.
    n_genes
        Number of genes that could have been chosen: the panel, not the genome.

    Returns
    -------
    A number of at most 1, negative below chance; NaN where both sets are the whole panel and nothing could differ.

    Raises
    ------
    InputError, InputTypeError
        As `jaccard` and `expected_jaccard`.

    Examples
    --------
    >>> import stfmkit as sk
    >>> round(sk.metrics.adjusted_jaccard(range(0, 50), range(25, 75), n_genes=300), 3)
    0.266
    """
    first, second = item_pair(a, b)
    chance = expected_jaccard(len(first), len(second), n_genes=n_genes)
    if len(first) == len(second) == n_genes:
        return float("nan")
    return (jaccard(first, second) - chance) / (1 - chance)


@metric(
    title="Normalised Jaccard",
    family="signatures",
    higher_is_better=True,
    bounds=(None, None),
    chance=0,
    source="stfmkit documentation",
    summary="Jaccard rescaled so that random sets score 0 and an independent measurement of the same tissue 1.",
)
def normalized_jaccard(a: Iterable[Any], b: Iterable[Any], *, n_genes: int, ceiling: float) -> float:
    """Return the Jaccard index on the scale from chance (0) to what the noise of the data allows (1).

    ``(J - E[J]) / (ceiling - E[J])`` with the exact mean of `expected_jaccard`.

    Parameters
    ----------
    a, b
        Gene names, or integer positions; every gene once.
    n_genes
        Number of genes that could have been chosen: the panel, not the genome.
    ceiling
        The Jaccard index that sets of these sizes reach when one is made of an independent measurement of the same
        tissue, such as the other half of thinned counts; NaN where it is not known.

    Returns
    -------
    A number, above 1 where the ceiling is beaten; NaN where the ceiling is not above chance, so that nothing could be
    learned.

    Raises
    ------
    InputError, InputTypeError
        As `jaccard` and `expected_jaccard`, or if the ceiling is outside [0, 1].

    Examples
    --------
    >>> import stfmkit as sk
    >>> round(sk.metrics.normalized_jaccard(range(0, 50), range(25, 75), n_genes=300, ceiling=0.6), 3)
    0.475
    """
    first, second = item_pair(a, b)
    if not (np.isnan(ceiling) or 0 <= ceiling <= 1):
        raise InputError(
            f"ceiling={ceiling!r}.",
            allowed="a Jaccard index, in [0, 1]",
            remedy="pass that of two halves.",
        )
    chance = expected_jaccard(len(first), len(second), n_genes=n_genes)
    room = ceiling - chance
    return (jaccard(first, second) - chance) / room if room > 0 else float("nan")


@metric(
    title="Rank-biased overlap",
    label="RBO",
    family="signatures",
    higher_is_better=True,
    bounds=(0, 1),
    chance=None,
    source="Webber, Moffat and Zobel 2010, ACM Trans Inf Syst 28:20, equation 32",
    summary="Agreement of two rankings, averaged over depths, the top weighing most.",
)
def rank_biased_overlap(a: Iterable[Any], b: Iterable[Any], *, p: float = 0.9) -> float:
    """Return the extrapolated rank-biased overlap of two ranked signatures.

    The agreement of the first d genes, averaged over all depths d with weights that fall as ``p**d``; beyond the end of
    the lists the last agreement is held. Equation 32 of Webber, Moffat and Zobel 2010 (ACM Trans Inf Syst 28:20), which
    also covers lists of different lengths. With p = 0.9 the first ten ranks have 86 % of the weight.

    Parameters
    ----------
    a, b
        Genes, best first: names, or integer positions; every gene once. An empty list scores 0.
    p
        Persistence, above 0 and below 1; larger values look deeper.

    Returns
    -------
    A number in [0, 1].

    Raises
    ------
    InputError, InputTypeError
        As `jaccard`, or if `p` is out of range.

    Examples
    --------
    >>> import stfmkit as sk
    >>> round(sk.metrics.rank_biased_overlap(["x", "y", "z"], ["y", "x", "z"], p=0.9), 6)
    0.9
    """
    if not 0 < p < 1:
        raise InputError(
            f"p={p!r}.", allowed="a number above 0 and below 1", remedy="pass 0.9 for the first ten genes."
        )
    first, second = item_pair(a, b)
    short, long = sorted((first, second), key=len)
    s, depth = len(short), len(long)
    if not s:
        return 0.0
    place = {gene: rank for rank, gene in enumerate(long, start=1)}
    seen_at = [max(rank, place[gene]) for rank, gene in enumerate(short, start=1) if gene in place]
    shared = np.bincount(seen_at, minlength=depth + 1).cumsum()[1:]  # shared genes at depths 1, 2, …, depth
    d = np.arange(1, depth + 1)
    agreement = (shared + np.where(d > s, shared[s - 1] * (d - s) / s, 0.0)) / d
    weights = float(p) ** d
    return float((1 - p) / p * (agreement * weights).sum() + agreement[-1] * weights[-1])


@metric(
    title="Signed Jaccard",
    family="signatures",
    higher_is_better=True,
    bounds=(0, 1),
    chance=None,
    source="stfmkit documentation",
    summary="Jaccard of genes up and genes down; a gene is shared only if it goes the same way.",
)
def signed_jaccard(a: tuple[Iterable[Any], Iterable[Any]], b: tuple[Iterable[Any], Iterable[Any]]) -> float:
    """Return the Jaccard index of signatures of genes that go up and genes that go down.

    A gene is shared only if it goes the same way on both sides.

    Parameters
    ----------
    a, b
        A pair of genes up, genes down; names, or integer positions.

    Returns
    -------
    A number in [0, 1].

    Raises
    ------
    InputError, InputTypeError
        As `jaccard`, or if a gene goes both ways on one side.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.signed_jaccard((["A", "B"], ["C"]), (["A"], ["B", "C"]))
    0.5
    """
    sides = []
    for name, (up, down) in {"a": a, "b": b}.items():
        first, second = items(up, name=f"{name}[0]"), items(down, name=f"{name}[1]")
        twice = sorted(set(first) & set(second), key=str)
        if twice:
            raise InputError(
                f"{name} has {listed(twice, most=5)} both up and down.",
                allowed="every gene on one side",
                remedy="choose the genes down among those that are not up.",
            )
        sides.append((first, second))
    (up_a, down_a), (up_b, down_b) = sides
    first, second = item_pair(up_a + down_a, up_b + down_b)
    shared = len(set(up_a) & set(up_b)) + len(set(down_a) & set(down_b))
    return shared / (len(first) + len(second) - shared)


@metric(
    title="Signature specificity",
    family="signatures",
    higher_is_better=True,
    bounds=(-1, 1),
    chance=0,
    source="stfmkit documentation",
    summary="Jaccard with the signature of the own niche minus the best with that of another.",
)
def signature_specificity(
    truth: Mapping[Any, Iterable[Any]], predicted: Mapping[Any, Iterable[Any]]
) -> dict[Any, float]:
    """Return, per niche, the overlap with its own predicted signature minus the best overlap with another niche's.

    ``J(A_k, B_k) - max_{j≠k} J(A_k, B_j)``. A model that predicts one signature for all niches scores 0 or less.

    Parameters
    ----------
    truth
        True signature A of every niche.
    predicted
        Predicted signature B of the same niches, and perhaps of more.

    Returns
    -------
    A number in [-1, 1] per niche of `truth`; NaN where the true signature is empty.

    Raises
    ------
    MissingKeyError
        If a niche has no predicted signature.
    InputError
        If there are fewer than two predicted niches.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.signature_specificity({"core": ["A", "B"], "rim": ["C"]}, {"core": ["A", "B"], "rim": ["A"]})
    {'core': 0.5, 'rim': 0.0}
    """
    absent = [k for k in truth if k not in predicted]
    if absent:
        raise MissingKeyError(
            f"no predicted signature of {listed(absent)}.",
            allowed=listed(truth),
            remedy="predict a signature for every niche; an empty one is allowed.",
        )
    if len(predicted) < 2:
        raise InputError(
            f"{len(predicted)} predicted niche.", allowed="at least two", remedy="pass the signatures of all niches."
        )
    known = {k: items(v, name=f"truth[{k!r}]") for k, v in truth.items()}
    guess = {k: items(v, name=f"predicted[{k!r}]") for k, v in predicted.items()}
    out = {}
    for niche, genes in known.items():
        scores = {k: jaccard(genes, other) for k, other in guess.items()} if genes else {}
        own = scores.pop(niche, float("nan"))
        out[niche] = own - max(scores.values(), default=float("nan"))
    return out


def items(values: Iterable[Any], *, name: str) -> list[Any]:
    """Return the members of a signature in their order: text or integers, none twice."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InputTypeError(
            f"{name}={values!r}.", allowed="a list or array of gene names or positions", remedy="pass a list."
        )
    members = values.tolist() if hasattr(values, "tolist") else list(values)
    if members:
        array = np.empty(len(members), dtype=object)
        array[:] = members
        found = pd.api.types.infer_dtype(array, skipna=False)
        if found not in {"string", "integer"}:
            raise InputTypeError(
                f"{name} holds {found} values.", allowed="gene names, or integer positions", remedy="pass one kind."
            )
    twice = [m for m, n in pd.Series(members, dtype=object).value_counts().items() if n > 1]
    if twice:
        raise InputError(
            f"{name} names {listed(twice, most=5)} more than once.",
            allowed="every gene once",
            remedy="remove the repeats, and look for what made them.",
        )
    return members


def item_pair(a: Iterable[Any], b: Iterable[Any], *, names: Sequence[str] = ("a", "b")) -> tuple[list[Any], list[Any]]:
    """Return two signatures of one kind, of which at most one is empty."""
    first, second = items(a, name=names[0]), items(b, name=names[1])
    if not first and not second:
        raise InputError(
            f"{names[0]} and {names[1]} are both empty.",
            allowed="at least one gene on one side",
            remedy="leave such niches out, and count them.",
        )
    if first and second and isinstance(first[0], str) != isinstance(second[0], str):
        raise InputTypeError(
            f"{names[0]} holds {type(first[0]).__name__}, {names[1]} holds {type(second[0]).__name__}.",
            allowed="names on both sides, or positions on both",
            remedy="translate positions into names, such as `genes[positions]`.",
        )
    return first, second
