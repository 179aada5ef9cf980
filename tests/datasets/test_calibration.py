"""How hard the cohort of the defaults is; the figures stand in the notes of the docstring."""

import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse
from scipy.spatial import cKDTree
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def log_normalised(counts: np.ndarray) -> np.ndarray:
    total = counts.sum(axis=1, keepdims=True)
    return np.log1p(counts / total * np.median(total))


@pytest.fixture(scope="module")
def spots(default_cells: AnnData) -> dict[str, np.ndarray]:
    """Pool the cells within discs of 55 µm on a hexagonal lattice of 100 µm pitch."""
    row, column = np.divmod(np.arange(17 * 15), 15)
    centres = np.stack([column * 100 + 50 * (row % 2) + 25, row * 50 * np.sqrt(3) + 25], axis=1)
    niche_of = default_cells.obs["niche"].cat.codes.to_numpy()
    parts: dict[str, list[np.ndarray]] = {k: [] for k in ("counts", "noise_free", "niche", "xy", "smooth", "patient")}
    for patient in default_cells.obs["patient"].cat.categories:
        of = np.flatnonzero(default_cells.obs["patient"] == patient)
        hits = cKDTree(default_cells.obsm["spatial"][of]).query_ball_point(centres, 27.5)
        kept = [i for i, hit in enumerate(hits) if len(hit) >= 3]
        lengths = [len(hits[i]) for i in kept]
        pool = sparse.csr_array(
            (np.ones(sum(lengths)), np.concatenate([hits[i] for i in kept]), np.append(0, np.cumsum(lengths))),
            shape=(len(kept), len(of)),
        )
        counts = (pool @ sparse.csr_array(default_cells.X[of])).toarray()
        around = cKDTree(centres[kept]).query_ball_point(centres[kept], 105)
        parts["counts"].append(counts)
        parts["noise_free"].append(pool @ default_cells.layers["noise_free"][of])
        parts["niche"].append(np.argmax(pool @ np.eye(4)[niche_of[of]], axis=1))
        parts["xy"].append(centres[kept])
        parts["smooth"].append(np.stack([log_normalised(counts)[a].mean(axis=0) for a in around]))
        parts["patient"].append(np.full(len(kept), patient))
    return {key: np.concatenate(values) for key, values in parts.items()}


def probe(spots: dict[str, np.ndarray], features: np.ndarray, *, components: int | None = 30) -> float:
    """Return the mean macro-F1 of the niche over held-out patients."""
    patient, niche, scores = spots["patient"], spots["niche"], []
    for held in np.unique(patient):
        train, test = patient != held, patient == held
        steps = [] if components is None else [PCA(components, random_state=0)]
        model = make_pipeline(*steps, StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
        predicted = model.fit(features[train], niche[train]).predict(features[test])
        scores.append(f1_score(niche[test], predicted, average="macro"))
    return float(np.mean(scores))


def test_spots_look_like_visium_from_xenium(spots: dict[str, np.ndarray]) -> None:
    assert 900 < len(spots["niche"]) < 1400
    assert 250 < np.median(spots["counts"].sum(axis=1)) < 500


def test_expression_tells_niches_apart_but_not_all(spots: dict[str, np.ndarray]) -> None:
    alone = probe(spots, log_normalised(spots["counts"]))
    smooth = probe(spots, spots["smooth"])
    noise_free = probe(spots, log_normalised(spots["noise_free"]))
    assert 0.65 < alone < 0.82
    assert alone + 0.03 < smooth < 0.9
    assert smooth < noise_free < 0.995


def test_shortcuts_stay_near_chance(spots: dict[str, np.ndarray]) -> None:
    x, y = spots["xy"].T
    assert probe(spots, np.stack([x, y, x * y, x**2, y**2], axis=1), components=None) < 0.4
    assert probe(spots, np.log1p(spots["counts"].sum(axis=1))[:, None], components=None) < 0.35


def test_genes_are_predicted_from_others_in_part(spots: dict[str, np.ndarray]) -> None:
    logs, patient, found = log_normalised(spots["counts"]), spots["patient"], []
    targets = np.random.default_rng(0).choice(logs.shape[1], 60, replace=False)
    others = log_normalised(np.delete(spots["counts"], targets, axis=1))
    for held in np.unique(patient):
        train, test = patient != held, patient == held
        model = make_pipeline(PCA(30, random_state=0), Ridge(alpha=100)).fit(others[train], logs[train][:, targets])
        predicted = model.predict(others[test])
        found.append([np.corrcoef(predicted[:, i], logs[test, t])[0, 1] for i, t in enumerate(targets)])
    by_gene = np.mean(found, axis=0)
    assert 0.2 < by_gene.mean() < 0.5
    assert by_gene.std() > 0.05


def test_sparsity_and_size(default_cells: AnnData) -> None:
    assert 0.75 < 1 - default_cells.X.nnz / np.prod(default_cells.shape) < 0.92
    assert 3000 < default_cells.n_obs / 6 < 5000
    for _, rows in default_cells.obs.groupby("sample", observed=True):
        shares = rows["niche"].value_counts(normalize=True)
        assert len(shares) == 4
        assert shares.min() > 0.04
