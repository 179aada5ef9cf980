"""Overlap of signatures: enumeration, known values, and loops of the definitions."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
from stfmkit.metrics import (
    adjusted_jaccard,
    dice,
    expected_jaccard,
    jaccard,
    normalized_jaccard,
    overlap_coefficient,
    rank_biased_overlap,
    signature_specificity,
    signed_jaccard,
)

SET = st.lists(st.integers(0, 15), unique=True, min_size=1, max_size=10)


def slow_rbo(a, b, p):
    """Equation 32 of Webber et al. 2010, term by term."""
    short, long = sorted((a, b), key=len)
    s, n = len(short), len(long)

    def x(d):
        return len(set(short[:d]) & set(long[:d]))

    total = sum(x(d) / d * p**d for d in range(1, n + 1))
    total += sum(x(s) * (d - s) / (s * d) * p**d for d in range(s + 1, n + 1))
    return (1 - p) / p * total + ((x(n) - x(s)) / n + x(s) / s) * p**n


@given(SET, SET)
def test_set_measures_follow_their_definitions(a, b):
    shared, union = set(a) & set(b), set(a) | set(b)
    assert jaccard(a, b) == pytest.approx(len(shared) / len(union))
    assert dice(a, b) == pytest.approx(2 * len(shared) / (len(a) + len(b)))
    assert overlap_coefficient(a, b) == pytest.approx(len(shared) / min(len(a), len(b)))
    for measure in (jaccard, dice, overlap_coefficient):
        assert measure(a, b) == measure(b, a)
        assert measure(a, a) == 1
        assert 0 <= measure(a, b) <= 1
    j = jaccard(a, b)
    assert dice(a, b) == pytest.approx(2 * j / (1 + j))


def test_members_may_come_in_any_container():
    genes = ["CD3E", "CD8A"]
    for container in (list, tuple, set, frozenset, np.array, iter, dict.fromkeys):
        assert jaccard(container(genes), ["CD3E"]) == 0.5
    assert jaccard(np.array([1, 2]), [2, 3]) == pytest.approx(1 / 3)


@pytest.mark.parametrize("measure", [jaccard, dice, overlap_coefficient, rank_biased_overlap])
def test_one_empty_signature_shares_nothing_and_two_are_refused(measure):
    assert measure([], ["A"]) == 0
    assert measure(["A"], []) == 0
    with pytest.raises(InputError, match="both empty"):
        measure([], [])


@pytest.mark.parametrize("measure", [jaccard, dice, overlap_coefficient, rank_biased_overlap])
@pytest.mark.parametrize(
    ("a", "b", "error", "words"),
    [
        (["A", "A"], ["B"], InputError, "more than once"),
        (["A"], [1], InputTypeError, "a holds str, b holds int"),
        ("CD3E", ["CD3E"], InputTypeError, "'CD3E'"),
        (["A"], 7, InputTypeError, "b=7"),
        ([0.5], [1.5], InputTypeError, "floating"),
        (["A", None], ["A"], InputTypeError, "mixed"),
        ([np.nan], ["A"], InputTypeError, "floating"),
    ],
)
def test_unusable_signatures_are_refused(measure, a, b, error, words):
    with pytest.raises(error, match=words):
        measure(a, b)


@pytest.mark.parametrize(
    ("n", "genes", "expected", "digits"), [(50, 300, 0.092, 3), (20, 50, 0.254, 3), (50, 18_000, 0.0014, 4)]
)
def test_chance_overlap_has_the_known_values(n, genes, expected, digits):
    assert round(expected_jaccard(n, n, n_genes=genes), digits) == expected


@pytest.mark.parametrize("sizes", [(1, 1), (2, 3), (3, 3), (5, 6), (6, 6), (0, 4)])
def test_chance_overlap_equals_enumeration(sizes):
    first = set(range(sizes[0]))
    scores = [len(first & set(c)) / len(first | set(c)) for c in combinations(range(6), sizes[1])]
    assert expected_jaccard(*sizes, n_genes=6) == pytest.approx(np.mean(scores))
    assert expected_jaccard(*sizes[::-1], n_genes=6) == pytest.approx(np.mean(scores))


@given(st.integers(1, 6), st.integers(1, 6), st.integers(6, 8))
def test_adjusted_overlap_is_zero_on_average_over_random_sets(n_a, n_b, n_genes):
    first = list(range(n_a))
    scores = [adjusted_jaccard(first, c, n_genes=n_genes) for c in combinations(range(n_genes), n_b)]
    if n_a == n_b == n_genes:
        assert np.isnan(scores).all()
    else:
        assert np.mean(scores) == pytest.approx(0, abs=1e-12)


@given(SET, SET)
def test_adjusted_overlap_is_one_for_equal_sets_and_never_above_the_raw_one(a, b):
    assert adjusted_jaccard(a, a, n_genes=16) == pytest.approx(1)
    assert adjusted_jaccard(a, b, n_genes=16) <= jaccard(a, b) + 1e-12
    assert adjusted_jaccard(a, b, n_genes=10**6) == pytest.approx(jaccard(a, b), abs=1e-3)


@pytest.mark.parametrize(
    ("sizes", "genes", "words"), [((5, 3), 4, "n_a=5 of 4"), ((0, 0), 4, "two empty"), ((1, 1), 0, "n_genes=0")]
)
def test_impossible_sizes_are_refused(sizes, genes, words):
    with pytest.raises(InputError, match=words):
        expected_jaccard(*sizes, n_genes=genes)


@settings(deadline=None)
@given(SET, SET, st.floats(0.05, 0.98))
def test_rbo_equals_its_definition_and_keeps_its_bounds(a, b, p):
    score = rank_biased_overlap(a, b, p=p)
    assert score == pytest.approx(slow_rbo(a, b, p), abs=1e-12)
    assert -1e-12 <= score <= 1 + 1e-12
    assert rank_biased_overlap(b, a, p=p) == pytest.approx(score)
    assert rank_biased_overlap(a, a, p=p) == pytest.approx(1)


@settings(deadline=None)
@given(st.permutations(range(8)), st.integers(0, 6))
def test_rbo_falls_when_a_shared_gene_moves_down_or_out(order, place):
    a = list(range(8))
    down = list(a)
    down[place], down[place + 1] = down[place + 1], down[place]
    assert rank_biased_overlap(a, down) <= 1
    out = list(order)
    out[place] = 99
    assert rank_biased_overlap(a, out) < rank_biased_overlap(a, order)


def test_rbo_has_known_values():
    assert rank_biased_overlap(["x", "y", "z"], ["y", "x", "z"], p=0.9) == pytest.approx(0.9)
    assert rank_biased_overlap(["a"], ["b"]) == 0
    assert rank_biased_overlap(["a"], ["a", "b"], p=0.5) == pytest.approx(slow_rbo(["a"], ["a", "b"], 0.5))
    top, bottom = [0, 1, 2, 13, 14, 15], [10, 11, 12, 3, 4, 5]
    assert rank_biased_overlap(range(6), top) > rank_biased_overlap(range(6), bottom)


@pytest.mark.parametrize("p", [0, 1, -0.1, 1.5, float("nan")])
def test_rbo_refuses_a_persistence_out_of_range(p):
    with pytest.raises(InputError, match="p="):
        rank_biased_overlap([1], [1], p=p)


def test_signed_overlap_wants_the_same_direction():
    assert signed_jaccard((["A"], ["B"]), (["A"], ["B"])) == 1
    assert signed_jaccard((["A"], ["B"]), (["B"], ["A"])) == 0
    tagged = jaccard(["A+", "B+", "C-"], ["A+", "B-", "C-"])
    assert signed_jaccard((["A", "B"], ["C"]), (["A"], ["B", "C"])) == tagged
    with pytest.raises(InputError, match="both up and down"):
        signed_jaccard((["A"], ["A"]), (["A"], []))
    with pytest.raises(InputError, match="both empty"):
        signed_jaccard(([], []), ([], []))


def test_specificity_is_own_minus_best_other():
    truth = {"core": ["A", "B"], "rim": ["C"], "none": []}
    predicted = {"core": ["A", "B"], "rim": ["A"], "none": ["D"]}
    found = signature_specificity(truth, predicted)
    assert found["core"] == 1 - 0.5
    assert found["rim"] == 0
    assert np.isnan(found["none"])


def test_one_signature_for_all_niches_is_not_specific():
    truth = {"core": ["A"], "rim": ["B"]}
    assert signature_specificity(truth, {"core": ["A"], "rim": ["A"]}) == {"core": 0, "rim": 0}
    assert signature_specificity(truth, {"core": [], "rim": []}) == {"core": 0, "rim": 0}


def test_specificity_needs_every_niche():
    with pytest.raises(MissingKeyError, match="rim"):
        signature_specificity({"core": ["A"], "rim": ["B"]}, {"core": ["A"]})
    with pytest.raises(InputError, match="at least two"):
        signature_specificity({"core": ["A"]}, {"core": ["A"]})


@given(SET, SET, st.floats(0, 1))
def test_normalized_overlap_is_zero_at_chance_and_one_at_the_ceiling(a, b, ceiling):
    chance = expected_jaccard(len(a), len(b), n_genes=16)
    score = normalized_jaccard(a, b, n_genes=16, ceiling=ceiling)
    if ceiling <= chance:
        assert np.isnan(score)
    else:
        assert chance + score * (ceiling - chance) == pytest.approx(jaccard(a, b))
    full = normalized_jaccard(a, b, n_genes=16, ceiling=1.0)
    assert full == pytest.approx(adjusted_jaccard(a, b, n_genes=16), nan_ok=True)


def test_an_unknown_ceiling_gives_no_score_and_an_impossible_one_is_refused():
    assert np.isnan(normalized_jaccard([1], [2], n_genes=9, ceiling=float("nan")))
    for ceiling in (-0.1, 1.5):
        with pytest.raises(InputError, match="a Jaccard index, in"):
            normalized_jaccard([1], [2], n_genes=9, ceiling=ceiling)
