import numpy as np
import pytest
from matplotlib.collections import EllipseCollection, PathCollection, PolyCollection

import stfmkit as sk
from stfmkit._core.errors import InputError, MissingKeyError


@pytest.fixture
def bins(toy):
    toy = toy[toy.obs["sample"] == "S0"].copy()
    toy.obs["total_counts"] = np.asarray(toy.X.sum(axis=1)).ravel()
    return toy


def test_numbers_are_coloured_and_caller_is_untouched(bins):
    before = bins.copy()
    ax = sk.pl.spatial_bins(bins)
    (marks,) = ax.collections
    assert isinstance(marks, PathCollection)
    assert np.asarray(marks.get_offsets()) == pytest.approx(bins.obsm["spatial"])
    assert np.asarray(marks.get_array()) == pytest.approx(bins.obs["total_counts"])
    assert ax.get_xlabel() == "x (µm)"
    assert ax.yaxis_inverted()
    assert bins.obs.equals(before.obs)
    assert bins.uns == before.uns


def test_a_gene_is_a_colour(bins):
    ax = sk.pl.spatial_bins(bins, color="G3")
    assert np.asarray(ax.collections[0].get_array()) == pytest.approx(bins.X[:, 3].toarray().ravel())
    bins.layers["doubled"] = np.asarray(bins.X.toarray() * 2)
    ax = sk.pl.spatial_bins(bins, color="G3", layer="doubled")
    assert np.asarray(ax.collections[0].get_array()) == pytest.approx(2 * bins.X[:, 3].toarray().ravel())


def test_labels_get_a_legend(bins):
    ax = sk.pl.spatial_bins(bins, color="niche")
    assert [t.get_text().strip() for t in ax.get_legend().get_texts()] == ["stroma", "tumour"]
    faces = ax.collections[0].get_facecolors()
    tumour = (bins.obs["niche"] == "tumour").to_numpy()
    assert len(np.unique(faces[tumour], axis=0)) == 1
    assert not np.allclose(faces[tumour][0], faces[~tumour][0])


def test_missing_labels_are_grey_and_not_in_the_legend(bins):
    bins.obs["niche"] = bins.obs["niche"].astype(object).where(np.arange(bins.n_obs) > 4, None)
    ax = sk.pl.spatial_bins(bins, color="niche")
    assert len(ax.get_legend().get_texts()) == 2


@pytest.mark.parametrize(("shape", "corners"), [("square", 4), ("hex_gapless", 6)])
def test_true_outlines(bins, shape, corners):
    bins.uns["stfmkit"]["bin"] = {"shape": shape, "pitch": 100.0}
    ax = sk.pl.spatial_bins(bins)
    (marks,) = ax.collections
    assert isinstance(marks, PolyCollection)
    outline = marks.get_paths()[0].vertices[:corners]
    assert outline.mean(axis=0) == pytest.approx(bins.obsm["spatial"][0])
    x, y = outline.T
    area = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))
    # a cell of the lattice: pitch² for squares, pitch × pitch·√3/2 for hexagons
    assert area == pytest.approx(100**2 if shape == "square" else 100**2 * np.sqrt(3) / 2)
    assert np.ptp(x) == pytest.approx(100)


def test_discs_have_the_spot_diameter(bins):
    bins.uns["stfmkit"]["bin"] = {"shape": "hex", "pitch": 100.0, "diameter": 55.0}
    ax = sk.pl.spatial_bins(bins)
    (marks,) = ax.collections
    assert isinstance(marks, EllipseCollection)
    assert marks.get_widths() == pytest.approx(np.full(bins.n_obs, 55.0))
    ax.figure.canvas.draw()


def test_one_sample_at_a_time(toy):
    ax = sk.pl.spatial_bins(toy, color="G0", sample_key="sample", sample="S1")
    assert len(ax.collections[0].get_offsets()) == (toy.obs["sample"] == "S1").sum()
    assert ax.get_title(loc="left") == "G0 · S1"
    with pytest.raises(InputError, match=r"the samples 'S0', 'S1'(?s:.)*Remedy: pass sample="):
        sk.pl.spatial_bins(toy, color="G0", sample_key="sample")
    with pytest.raises(MissingKeyError, match=r"no sample named 'S9'"):
        sk.pl.spatial_bins(toy, color="G0", sample_key="sample", sample="S9")
    with pytest.raises(InputError, match=r"without sample_key(?s:.)*Remedy: pass sample_key="):
        sk.pl.spatial_bins(toy, color="G0", sample="S1")


def test_unknown_unit_is_not_called_microns(bins):
    del bins.uns["stfmkit"]
    assert sk.pl.spatial_bins(bins).get_xlabel() == "x (coordinate units)"


def test_unknown_colour_suggests_the_nearest(bins):
    with pytest.raises(MissingKeyError, match=r"named 'total_count'(?s:.)*Did you mean 'total_counts'"):
        sk.pl.spatial_bins(bins, color="total_count")


def test_missing_coordinates(bins):
    del bins.obsm["spatial"]
    with pytest.raises(MissingKeyError, match=r"no obsm\['spatial'\]"):
        sk.pl.spatial_bins(bins)
