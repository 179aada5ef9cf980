"""Gene programs, expected counts, counts."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy.spatial import cKDTree
from scipy.stats import spearmanr

import stfmkit as sk


def names(cells: AnnData) -> list[str]:
    return list(cells.uns["synthetic_cohort"]["programs"])


def test_counts_are_poisson_around_the_noise_free_counts(default_cells: AnnData) -> None:
    """With dropout d and rate λ, the mean is m = (1 - d) λ and the variance m + m² d / (1 - d)."""
    mean = default_cells.layers["noise_free"].astype(float)
    counts = default_cells.X.toarray()
    variance = mean + mean**2 * 0.1 / 0.9
    deviation = (counts.sum(axis=0) - mean.sum(axis=0)) / np.sqrt(variance.sum(axis=0))
    assert np.abs(deviation).max() < 5
    assert deviation.std() == pytest.approx(1, abs=0.2)
    assert ((counts - mean) ** 2 / variance).mean() == pytest.approx(1, abs=0.05)


def test_depth_is_the_sum_of_the_noise_free_counts(cells: AnnData) -> None:
    total = cells.layers["noise_free"].sum(axis=1, dtype=float)
    np.testing.assert_allclose(total, 0.9 * cells.obs["depth"], rtol=1e-4)


def test_programs_explain_what_types_niches_and_samples_do_not(cells: AnnData) -> None:
    """Logarithms minus the programs differ, within type, niche and sample, by one number for each cell only."""
    rest = np.log(cells.layers["noise_free"].astype(float))
    rest -= cells.obsm["program_activity"].astype(float) @ cells.varm["program_weights"].T.astype(float)
    rest -= rest.mean(axis=1, keepdims=True)
    groups = pd.DataFrame(rest).groupby([cells.obs[k].to_numpy() for k in ("sample", "niche", "cell_type")])
    assert groups.std().max().max() < 1e-4
    assert groups.mean().std().min() > 0.01


def test_markers_are_highest_in_their_type(default_cells: AnnData) -> None:
    normal = default_cells.layers["noise_free"] / default_cells.obs["depth"].to_numpy()[:, None]
    by_type = pd.DataFrame(normal, columns=default_cells.var_names).groupby(default_cells.obs["cell_type"].to_numpy())
    marked = default_cells.var.query("marker_of != ''")["marker_of"]
    assert 0.2 < len(marked) / default_cells.n_vars < 0.5
    assert (by_type.mean().idxmax()[marked.index] == marked).mean() > 0.95


def test_modules_make_genes_go_together_within_a_type(default_cells: AnnData) -> None:
    rows = (default_cells.obs["cell_type"] == "type_1") & (default_cells.obs["patient"] == "P01")
    normal = default_cells.X[rows.to_numpy()].toarray()
    normal = np.log1p(normal / normal.sum(axis=1, keepdims=True) * 75)
    correlation = np.corrcoef(normal.T)
    module = default_cells.var["module"].to_numpy()
    together = (module[:, None] == module) & (module[:, None] != "") & ~np.eye(len(module), dtype=bool)
    apart = (module[:, None] != module) & (module[:, None] != "") & (module != "")
    assert correlation[together].mean() > correlation[apart].mean() + 0.05


def test_modules_are_smooth_in_part(default_cells: AnnData) -> None:
    rows = (default_cells.obs["sample"] == "P01_S1").to_numpy()
    xy, activity = default_cells.obsm["spatial"][rows], default_cells.obsm["program_activity"][rows]
    _, near = cKDTree(xy).query(xy, k=2)
    columns = [i for i, name in enumerate(names(default_cells)) if name.startswith(("module", "gradient"))]
    modules = [i for i in columns if names(default_cells)[i].startswith("module")]
    along = {i: np.corrcoef(activity[:, i], activity[near[:, 1], i])[0, 1] for i in columns}
    assert all(0.3 < along[i] < 0.9 for i in modules)
    assert all(along[i] > 0.98 for i in columns if i not in modules)


def test_ligands_and_receptors_rise_towards_their_border(default_cells: AnnData) -> None:
    pairs = default_cells.uns["synthetic_cohort"]["ligand_receptor"]
    assert len(pairs) == 6
    normal = default_cells.layers["noise_free"] / default_cells.obs["depth"].to_numpy()[:, None]
    xy, niche = default_cells.obsm["spatial"], default_cells.obs["niche"].to_numpy()
    for pair in pairs.itertuples():
        assert default_cells.var.loc[pair.ligand, "ligand_of"] == pair.receptor
        assert default_cells.var.loc[pair.receptor, "receptor_of"] == pair.ligand
        assert pair.sender_niche != pair.receiver_niche
        for gene, here, there in (
            (pair.ligand, pair.sender_niche, pair.receiver_niche),
            (pair.receptor, pair.receiver_niche, pair.sender_niche),
        ):
            column, found = default_cells.var_names.get_loc(gene), []
            for sample in default_cells.obs["sample"].cat.categories:
                rows = (default_cells.obs["sample"] == sample).to_numpy()
                side = rows & (niche == here)
                distance, _ = cKDTree(xy[rows & (niche == there)]).query(xy[side])
                if distance.min() < 30:
                    found.append(spearmanr(distance, normal[side, column]).statistic)
            assert np.mean(found) < -0.05


def test_library_size_varies_by_cell_and_region(small: dict) -> None:
    free = {**small, "n_patients": 1, "size": 900.0}
    flat = sk.datasets.synthetic_cohort(**free, depth_sigma=0, as_="anndata")
    assert flat.obs.groupby("cell_type", observed=True)["depth"].nunique().max() == 1
    rough = sk.datasets.synthetic_cohort(**free, depth_sigma=0.4, as_="anndata")
    depth, xy = np.log(rough.obs["depth"].to_numpy()), rough.obsm["spatial"]
    depth = depth - pd.Series(depth).groupby(rough.obs["cell_type"].to_numpy()).transform("mean").to_numpy()
    assert depth.std() == pytest.approx(0.4 * np.sqrt(1 + 0.36), abs=0.1)
    _, near = cKDTree(xy).query(xy, k=7)
    assert 0.2 < np.corrcoef(depth, depth[near[:, 1:]].mean(axis=1))[0, 1] < 0.8


def test_dropout_makes_zeros(small: dict) -> None:
    def zeros(dropout: float) -> float:
        table = sk.datasets.synthetic_cohort(**small, dropout=dropout, counts_per_cell=600, as_="anndata")
        return 1 - table.X.nnz / np.prod(table.shape)

    assert zeros(0.4) == pytest.approx(1 - 0.6 * (1 - zeros(0.0)), abs=0.03)


def test_patients_differ_by_the_asked_amount(small: dict) -> None:
    def spread(effect: float) -> float:
        table = sk.datasets.synthetic_cohort(**{**small, "size": 600.0}, patient_effect=effect, as_="anndata")
        log = np.log(table.layers["noise_free"] / table.obs["depth"].to_numpy()[:, None])
        log -= table.obsm["program_activity"] @ table.varm["program_weights"].T
        cell = [table.obs[k].to_numpy() for k in ("patient", "niche", "cell_type")]
        mean = pd.DataFrame(log - log.mean(axis=1, keepdims=True)).groupby(cell).mean()
        gap = mean.xs("P01") - mean.xs("P02")
        return float(gap.mean().std())

    assert spread(0.0) < 1e-3
    # a patient and its section: √2 · effect · √(1 + 0.35²)
    assert spread(0.3) == pytest.approx(0.3 * np.sqrt(2 * (1 + 0.35**2)), rel=0.3)


def test_panels_share_a_core(two_panels: object) -> None:
    table = two_panels.tables["cells"]
    held = table.var[["in_panel_1", "in_panel_2"]].to_numpy()
    assert held.any(axis=1).all()
    assert held.all(axis=1).mean() == pytest.approx(0.5)
    assert table.obs.groupby("patient", observed=True)["panel"].first().tolist() == ["1", "2", "1", "2"]
    for panel in ("1", "2"):
        rows, measured = (table.obs["panel"] == panel).to_numpy(), table.var[f"in_panel_{panel}"].to_numpy()
        totals = table.X[rows].sum(axis=0)
        assert np.array_equal(np.asarray(totals).ravel() > 0, measured)
        assert (table.layers["noise_free"][rows] > 0).all()
