"""Every plot takes axes, shows and saves alike, and returns what it drew on."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import stfmkit as sk
from stfmkit._core.errors import InputError, MissingFileError


def _coexpression(**options):
    matrix = np.array([[1.0, 0.5], [0.5, 1.0]])
    adata = AnnData(np.ones((3, 2)), varp={"coexpression": matrix})
    adata.uns["coexpression"] = {"order": np.array(["1", "0"], dtype=object)}
    return sk.pl.coexpression(adata, **options)


def _gene_sparsity(**options):
    var = pd.DataFrame({"detect_frac": [0.9, 0.2], "morans_i": [0.4, 0.1]}, index=["A", "B"])
    return sk.pl.gene_sparsity(AnnData(np.ones((3, 2)), var=var), **options)


def _niche_signatures(**options):
    niches = np.repeat(["core", "rim", "stroma", "vessel"], 8)
    genes = pd.DataFrame({"niche": niches, "gene": list("ABCDEFGH") * 4, "auroc": np.linspace(0.2, 0.9, 32)})
    genes = genes.assign(pct_in=0.5, rank=np.tile(np.arange(1, 9), 4))
    return sk.pl.niche_signatures(AnnData(np.ones((2, 2)), uns={"niche_signatures": {"genes": genes}}), **options)


def _spatial_bins(**options):
    adata = AnnData(np.ones((3, 1)), obsm={"spatial": np.array([[0.0, 0], [100, 0], [50, 87]])})
    adata.obs["total_counts"] = [5, 7, 9]
    return sk.pl.spatial_bins(adata, **options)


def _tissue_maps(**options):
    spots = pd.DataFrame({"task": "probe", "contender": "m", "patient": "P1", "sample": "S1"}, index=range(4))
    spots = spots.assign(x=[0, 1, 0, 1], y=[0, 0, 1, 1], truth=list("aabb"), predicted=list("abbb"))
    return sk.pl.tissue_maps(spots.assign(score=[1.0, 0.0, 1.0, 1.0]), **options)


PLOTS = [_coexpression, _gene_sparsity, _niche_signatures, _spatial_bins, _tissue_maps]


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_saved_where_asked(plot, ending, tmp_path, monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: pytest.fail("shown, although nobody asked"))
    file = tmp_path / f"figure.{ending}"
    axes = plot(save=file)
    assert all(isinstance(ax, Axes) for ax in np.ravel(axes))
    assert file.stat().st_size > 1000
    assert plot(save=str(tmp_path / f"again.{ending}")) is not None


@pytest.mark.parametrize("plot", PLOTS)
def test_shown_once_where_asked(plot, monkeypatch):
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(True))
    plot(show=True)
    assert shown == [True]


@pytest.mark.parametrize("plot", PLOTS)
def test_nothing_is_drawn_for_a_path_that_cannot_be(plot, tmp_path):
    with pytest.raises(InputError, match="ends in one of"):
        plot(save=tmp_path / "figure.docx")
    with pytest.raises(MissingFileError, match="make the folder first"):
        plot(save=tmp_path / "no" / "figure.png")
    assert plt.get_fignums() == []


@pytest.mark.parametrize("plot", PLOTS)
def test_drawn_beside_other_axes(plot, tmp_path):
    figure = Figure(figsize=(8, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([0, 1])
    axes = plot(ax=right, save=tmp_path / "both.png")
    assert plt.get_fignums() == []
    assert left in figure.axes
    assert all(ax.figure.figure is figure for ax in np.ravel(axes))
    assert figure.get_size_inches().tolist() == [8, 4]


def test_maps_need_a_place_in_a_grid():
    figure = Figure()
    figure.subplots()
    loose = figure.add_axes((0.5, 0.5, 0.4, 0.4))
    with pytest.raises(InputError, match="not one of the subplots"):
        _tissue_maps(ax=loose)
