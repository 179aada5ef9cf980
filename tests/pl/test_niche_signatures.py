"""The plot of signatures: what is drawn is what is in the slot."""

import numpy as np
import pytest

import stfmkit as sk
from stfmkit._core.errors import InputError, MissingKeyError


@pytest.fixture
def scored(toy):
    toy.layers["model"] = sk.pp.normalize(toy, copy=True)
    sk.tl.niche_signatures(toy, "niche", patient_key="patient", prediction="model", sizes=(3, 8))
    return toy


def test_the_best_genes_of_every_niche_are_shown(scored):
    ax = sk.pl.niche_signatures(scored, n_genes=3)
    genes = scored.uns["niche_signatures"]["genes"]
    best = genes[genes["rank"].between(1, 3)].sort_values(["niche", "rank"])["gene"].astype(str).tolist()
    assert [t.get_text() for t in ax.get_xticklabels()] == best
    assert [t.get_text() for t in ax.get_yticklabels()] == ["stroma", "tumour"]
    dots, marks = ax.collections[:2]
    assert len(dots.get_offsets()) == 12
    assert len(marks.get_offsets()) == 6
    rows = genes.set_index(["niche", "gene"])
    for (x, y), auroc, area in zip(dots.get_offsets(), dots.get_array(), dots.get_sizes(), strict=True):
        row = rows.loc[(["stroma", "tumour"][int(y)], best[int(x)])]
        assert auroc == row["auroc"]
        assert area == pytest.approx(110 * row["pct_in"])
    low, high = dots.get_clim()
    assert low + high == pytest.approx(1)  # 0.5 is the middle of the colours


def test_niches_can_be_chosen_and_ordered(scored):
    ax = sk.pl.niche_signatures(scored, niches=["tumour"], n_genes=2)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["tumour"]
    assert len(ax.get_xticklabels()) == 2


@pytest.mark.parametrize(
    ("metric", "limit", "text"),
    [
        ("jaccard", "contender == 'control:chance'", "chance"),
        ("adjusted_jaccard", "contender == 'control:thinned' and status == 'ceiling'", "ceiling, half of the counts"),
    ],
)
def test_scores_are_shown_with_chance_or_ceiling(scored, metric, limit, text):
    ax = sk.pl.niche_signatures(scored, kind="scores", metric=metric)
    table = scored.uns["niche_signatures"]["scores"].query("metric == @metric")
    shown = [table.query("contender == 'model' and status == 'scored'"), table.query(limit)]
    groups = ax.collections
    assert len(groups) == 4  # two sizes, each with the score and its limit
    for i, n in enumerate((3, 8)):
        for group, rows in zip(groups[2 * i :], shown, strict=False):
            values = rows[rows["setting"] == f"n={n}"].set_index("niche")["value"]
            np.testing.assert_allclose(group.get_offsets()[:, 1], values[["stroma", "tumour"]])
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["3 genes", text, "8 genes"]


def test_other_scores_have_no_limits(scored):
    ax = sk.pl.niche_signatures(scored, kind="scores", metric="signature_fold_change_correlation")
    assert len(ax.collections) == 1
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["all genes"]


def test_given_axes_are_used(scored):
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots()
    assert sk.pl.niche_signatures(scored, ax=ax) is ax
    assert sk.pl.niche_signatures(scored, kind="scores", ax=ax) is ax
    plt.close(figure)


def test_nothing_is_changed(scored):
    before = {name: table.copy() for name, table in scored.uns["niche_signatures"].items()}
    sk.pl.niche_signatures(scored)
    sk.pl.niche_signatures(scored, kind="scores")
    for name, table in before.items():
        assert table.equals(scored.uns["niche_signatures"][name])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"kind": "map"}, InputError, "kind='map'"),
        ({"n_genes": 0}, InputError, "n_genes=0"),
        ({"niches": ["rim"]}, MissingKeyError, "no niche named 'rim'"),
        ({"niches": []}, InputError, "no niche"),
        ({"key": "niche_signature"}, MissingKeyError, "Did you mean 'niche_signatures'"),
        ({"kind": "scores", "metric": "jacard"}, MissingKeyError, "Did you mean 'jaccard'"),
    ],
)
def test_unusable_options_are_refused(scored, options, error, words):
    with pytest.raises(error, match=words):
        sk.pl.niche_signatures(scored, **options)


def test_missing_parts_and_empty_signatures_are_refused(scored):
    del scored.uns["niche_signatures"]["scores"]
    with pytest.raises(MissingKeyError, match="without 'scores'"):
        sk.pl.niche_signatures(scored, kind="scores")
    scored.uns["niche_signatures"]["genes"]["rank"] = 0
    with pytest.raises(InputError, match="no gene that marks"):
        sk.pl.niche_signatures(scored)
