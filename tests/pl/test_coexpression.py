import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

import stfmkit as sk
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit.evaluation.scores import score_table

NAN = float("nan")


@pytest.fixture
def stored(rng):
    adata = AnnData(np.ones((3, 5)), var=pd.DataFrame(index=list("ABCDE")))
    for key in ("coexpression", "coexpression_predicted"):
        matrix = rng.uniform(-1, 1, size=(5, 5))
        adata.varp[key] = matrix + matrix.T
    names = np.array(["model", "control:null"])
    raw = score_table(
        metric="ssim_ordered", setting="window=7, truth=raw", value=[0.61, 0.2], scope="sample", contender=names
    )
    latent = raw.assign(setting="window=7, truth=latent", value=[0.42, 0.1])
    scores = pd.concat([raw, latent], ignore_index=True)
    adata.uns["coexpression"] = {"order": np.array(list("CAEBD"), dtype=object), "scores": scores}
    return adata


ORDER = [2, 0, 4, 1, 3]


def picture(ax):
    return np.ma.filled(ax.images[0].get_array(), NAN)


def test_truth_above_and_prediction_below_the_diagonal(stored):
    ax = sk.pl.coexpression(stored)
    truth, guess = (stored.varp[k][np.ix_(ORDER, ORDER)] for k in ("coexpression", "coexpression_predicted"))
    upper, lower = np.triu_indices(5, 1), np.tril_indices(5, -1)
    np.testing.assert_array_equal(picture(ax)[upper], truth[upper])
    np.testing.assert_array_equal(picture(ax)[lower], guess[lower])
    assert np.isnan(picture(ax).diagonal()).all()
    assert [t.get_text() for t in ax.get_xticklabels()] == list("CAEBD")
    assert ax.images[0].get_clim() == (-1, 1)
    assert ax.get_title(loc="left").endswith("ssim ordered 0.42 with the latent truth")


def test_the_title_says_which_truth_the_score_is_of(stored):
    scores = stored.uns["coexpression"]["scores"]
    stored.uns["coexpression"]["scores"] = scores[scores["setting"].str.contains("raw")]
    assert sk.pl.coexpression(stored).get_title(loc="left").endswith("ssim ordered 0.61 with the raw truth")


@pytest.mark.parametrize(("which", "key"), [("truth", "coexpression"), ("predicted", "coexpression_predicted")])
def test_one_side_can_be_shown(stored, which, key):
    off = ~np.eye(5, dtype=bool)
    found = picture(sk.pl.coexpression(stored, which=which))
    np.testing.assert_array_equal(found[off], stored.varp[key][np.ix_(ORDER, ORDER)][off])


def test_without_a_prediction_the_truth_is_shown(stored):
    del stored.varp["coexpression_predicted"]
    assert sk.pl.coexpression(stored).get_title(loc="left") == "truth"
    with pytest.raises(MissingKeyError, match="prediction="):
        sk.pl.coexpression(stored, which="both")


def test_many_genes_are_not_named_and_nothing_is_written(stored):
    import matplotlib.pyplot as plt

    before = stored.varp["coexpression"].copy()
    _, given = plt.subplots()
    ax = sk.pl.coexpression(stored, max_labels=4, ax=given)
    assert ax is given
    assert len(ax.get_xticks()) == 0
    np.testing.assert_array_equal(stored.varp["coexpression"], before)


def test_missing_slots_and_other_genes_are_refused(stored, toy):
    with pytest.raises(MissingKeyError, match=r"run sk.tl.coexpression"):
        sk.pl.coexpression(toy)
    with pytest.raises(InputError, match="which='all'"):
        sk.pl.coexpression(stored, which="all")
    stored.var_names = list("ABCDF")
    with pytest.raises(InputError, match="1 genes of the stored order"):
        sk.pl.coexpression(stored)
