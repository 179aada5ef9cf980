"""Print the figures of the documentation's page on real data.

Usage: python benchmarks/real_data.py FOLDER [PART ...], FOLDER being where the h5ad files are, and a part the name of a
function below without a leading underscore; all of them by default.
"""

import sys
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from sklearn.cluster import KMeans

import stfmkit as sk
from stfmkit.evaluation.averages import per_patient
from stfmkit.evaluation.sign_flips import flipped_pairs
from stfmkit.evaluation.t_intervals import mean_interval

TUMOURS: dict[str, Any] = {
    "patient_key": "patient",
    "sample_key": "section",
    "label_key": "label",
    "spatial_key": "spatial_um",
    "microns_per_unit": 1.0,
}
BASELINES = ["hvg_pca", "neighbor_pca", "library_size", "coordinates", "random", "random_smooth"]


def her2st(folder: Path) -> None:
    """HER2+ breast tumours: six patients, held out one by one."""
    data = ad.read_h5ad(folder / "her2st_patients_A-F.h5ad")
    protocol = sk.bm.Protocol(**TUMOURS, split=sk.pp.PatientKFold(6))
    results = sk.bm.run(data, BASELINES, protocol=protocol, n_jobs=2)
    columns = [
        "task", "metric", "setting", "contender", "mean", "low", "high", "mean_corrected", "p_value", "rank_low",
        "rank_high", "detectable", "verdict",
    ]  # fmt: skip
    print(results.rank()[columns].round(3).to_string(index=False))
    print(results.rank_over_tasks().round(3).to_string(index=False))
    structure = per_patient(results.table.query("task == 'coexpression' and status == 'scored'"))
    similar = structure[structure["metric"].isin(["ssim_ordered", "ssim_permuted", "offdiagonal_correlation"])]
    print(similar.pivot_table(index="contender", columns=["metric", "setting"], values="value").round(3).to_string())
    pairs = results.pairs().query("contender == 'hvg_pca' and other in ('coordinates', 'library_size')")
    print(pairs.round(3).to_string(index=False))


def dlpfc(folder: Path) -> None:
    """Two sections of one donor: what the split does to coordinates."""
    data = ad.read_h5ad(folder / "dlpfc_visium_151673_151675.h5ad")
    xy = data.obsm["spatial"][data.obs["section"] == "151673"]
    unit = 100 / float(np.median(cKDTree(xy).query(xy, k=2)[0][:, 1]))
    splits = {
        "random": sk.pp.RandomKFold(5),
        "blocks": sk.pp.SpatialBlockKFold(block=1650, buffer=0),
        "blocks + buffer": sk.pp.SpatialBlockKFold(block=1650, buffer=300),
    }
    columns = {}
    for name, split in splits.items():
        protocol = sk.bm.Protocol(
            patient_key="donor", sample_key="section", label_key="layer", split=split, microns_per_unit=unit
        )
        results = sk.bm.run(
            data,
            BASELINES[:4],
            protocol=protocol,
            tasks=["niche_probe"],
            allow=["patient on both sides", "neighbours on both sides"],
            n_jobs=2,
        )
        table = results.table[results.table["metric"] == "macro_f1"]
        columns[name] = table.groupby(["setting", "contender"])["value"].mean()
        print(name, "verdicts:", sorted(set(results.rank()["verdict"])))
    print(pd.DataFrame(columns).round(3).to_string())


def breast(folder: Path) -> None:
    """Xenium cells as Visium-like spots, against the Visium of the neighbouring section."""
    xenium = ad.read_h5ad(folder / "breast_xenium_roi.h5ad")
    visium = ad.read_h5ad(folder / "breast_visium_cytassist_roi.h5ad")
    near = cKDTree(visium.obsm["spatial"]).query(visium.obsm["spatial"], k=2)[0][:, 1]
    unit = 100 / float(np.median(near))
    spots = sk.pp.xisium(xenium, like=visium, microns_per_unit=unit)
    genes = spots.var_names.intersection(visium.var_names)
    pair = (spots[:, genes].copy(), visium[spots.obs_names, genes].copy())
    logged = [sk.pp.normalize(part, copy=True).toarray() for part in pair]
    found = sk.metrics.pearson(*logged)
    best = np.argsort(-found)[:3]
    print(f"{spots.n_obs} spots, {len(genes)} genes, one unit = {unit:.3f} µm")
    print("quartiles of the correlation per gene:", np.nanquantile(found, [0.25, 0.5, 0.75]).round(3))
    print("largest:", {genes[g]: round(float(found[g]), 3) for g in best})


def _her2st(folder: Path, n_genes: int = 3_000) -> ad.AnnData:
    """Return the breast tumours with their most counted genes, which is enough to show what a choice does."""
    data = ad.read_h5ad(folder / "her2st_patients_A-F.h5ad")
    most = np.sort(np.argsort(-np.asarray(data.X.sum(axis=0)).ravel())[:n_genes])
    data = data[:, most]
    return data[np.asarray(data.X.sum(axis=1)).ravel() > 0].copy()


def _told(values: pd.DataFrame) -> None:
    """Print mean and 95 % interval of every column of patients × choices, and p of all pairs of choices."""
    low, high = mean_interval(values.to_numpy())
    shown = pd.DataFrame({"mean": values.mean(), "low": low, "high": high})
    p = flipped_pairs(values.to_numpy(), rng=np.random.default_rng(0))
    print(shown.join(pd.DataFrame(p, values.columns, values.columns).add_prefix("p ")).round(3).to_string())


def _by_patient(results: sk.bm.Results) -> pd.DataFrame:
    """Return patients × contenders of Pearson's r of predicted expression."""
    rows = results.table.query("task == 'expression' and metric == 'pearson' and status == 'scored'")
    return per_patient(rows).pivot_table(index="patient", columns="contender", values="value")


def scale(folder: Path) -> None:
    """What library size earns on raw counts, and on counts divided by size factors."""
    data, found = _her2st(folder), {}
    for name in ("log1p", "size_factor_log1p"):
        protocol = sk.bm.Protocol(**TUMOURS, split=sk.pp.PatientKFold(6), scale=name)
        results = sk.bm.run(data, ["library_size", "hvg_pca"], protocol=protocol, tasks=["expression"], n_jobs=2)
        for contender, column in _by_patient(results)[["library_size", "hvg_pca"]].items():
            found[f"{contender}, {name}"] = column
    _told(pd.DataFrame(found))


KEYS: dict[str, Any] = {"patient_key": "patient", "sample_key": "section", "spatial_key": "spatial_um"}


def _targets(data: ad.AnnData) -> tuple[list[str], pd.DataFrame]:
    """Return 100 genes to predict, and their normalised values."""
    sk.pp.select_genes(data, n_genes=100, **KEYS)
    chosen = data.var_names[data.var["selected"]].tolist()
    values = sk.pp.normalize(data, copy=True)[:, data.var_names.get_indexer(chosen)].toarray()
    return chosen, pd.DataFrame(values, data.obs_names)


def _r(truth: pd.DataFrame, predicted: pd.DataFrame) -> float:
    return float(np.nanmean(sk.metrics.pearson(truth.to_numpy(), predicted.to_numpy())))


def _within_sections(data: ad.AnnData, truth: pd.DataFrame, predicted: pd.DataFrame) -> pd.Series:
    """Return r of expression, averaged over genes and sections, by patient."""
    of_section = data.obs.groupby(["patient", "section"], observed=True).apply(
        lambda rows: _r(truth.loc[rows.index], predicted.loc[rows.index])
    )
    return of_section.groupby("patient").mean()


def pooled(folder: Path) -> None:
    """Correlation over the sections of a patient taken together, against correlation within sections."""
    data = _her2st(folder)
    chosen, truth = _targets(data)
    rest = data[:, ~data.var_names.isin(chosen)].copy()
    sk.tl.embed(rest, "hvg_pca")
    data.obsm["X_rest"] = rest.obsm["X_hvg_pca"]
    predicted = sk.tl.predict_expression(data, "X_rest", genes=chosen, split=sk.pp.PatientKFold(6), copy=True, **KEYS)
    together = data.obs.groupby("patient", observed=True).apply(
        lambda rows: _r(truth.loc[rows.index], predicted.loc[rows.index])
    )
    _told(pd.DataFrame({"pooled": together, "within sections": _within_sections(data, truth, predicted)}))


def penalty(folder: Path) -> None:
    """A penalty that is tuned inside training patients, against fixed ones: 300 other genes predict 100.

    Genes are correlated columns. Of components of a PCA, which are not, all shrink alike, and r is the same with any.
    """
    data = _her2st(folder)
    chosen, truth = _targets(data)
    others = np.flatnonzero(~data.var_names.isin(chosen))
    most = others[np.argsort(-np.asarray(data.X[:, others].sum(axis=0)).ravel())[:300]]
    data.obsm["X_genes"] = sk.pp.normalize(data, copy=True)[:, most].toarray()
    found = {}
    for name, grid in {"tuned": None, "0.01": (0.01,), "1": (1.0,), "100": (100.0,), "10000": (1e4,)}.items():
        options = {} if grid is None else {"ridge_alpha": grid}
        split = sk.pp.PatientKFold(6)
        predicted = sk.tl.predict_expression(
            data, "X_genes", genes=chosen, split=split, max_components=300, copy=True, **KEYS, **options
        )
        found[name] = _within_sections(data, truth, predicted)
    _told(pd.DataFrame(found))


def circular(folder: Path) -> None:
    """Labels that were made by clustering the counts, against those of a pathologist."""
    data = _her2st(folder)
    data = data[data.obs["label"].notna()].copy()
    sk.tl.embed(data, "hvg_pca")
    clusters = KMeans(7, n_init=10, random_state=0).fit_predict(data.obsm["X_hvg_pca"])
    data.obs["cluster"] = pd.Categorical([f"cluster {c}" for c in clusters])
    for key in ("label", "cluster"):
        protocol = sk.bm.Protocol(**{**TUMOURS, "label_key": key}, split=sk.pp.PatientKFold(6))
        results = sk.bm.run(data, ["hvg_pca", "library_size"], protocol=protocol, tasks=["niche_probe"], n_jobs=2)
        print(
            results.rank()[["contender", "mean", "low", "high", "p_value", "verdict"]].round(3).to_string(index=False)
        )
        print(key, [(f.severity, f.check, f.evidence) for f in results.findings if "label" in f.check])


PUBLISHED = {
    "ADEPT": 0.594, "GraphST": 0.537, "CCST": 0.496, "SpaGCN": 0.443, "DeepST": 0.394, "SEDR": 0.298,
    "STAGATE": 0.283, "conST": 0.019,
}  # fmt: skip
"""Mean ARI over runs in BenchmarkST's results per seed (commit 695ee4c), by its own annotation of the slice."""


def starmap(folder: Path) -> None:
    """Averaging over neighbours, PCA and k-means on a slice of mouse cortex, beside published scores."""
    data = ad.read_h5ad(folder / "starmap_visual_cortex_1020genes.h5ad")
    truth = data.obs["domain"].to_numpy(dtype=str)
    options = {
        "neighbor_pca": {"n_neighbors": 25, "n_components": 30},
        "hvg_pca": {"n_components": 30},
        "coordinates": {},
    }
    for name, chosen in options.items():
        keys = {} if name == "hvg_pca" else {"sample_key": "section"}
        sk.tl.embed(data, name, **chosen, **keys)
        values = data.obsm[f"X_{name}"]
        runs = [KMeans(7, n_init=10, random_state=seed).fit_predict(values) for seed in range(20)]
        found = np.array([sk.metrics.ari(truth, labels.astype(str)) for labels in runs])
        print(f"{name:<14} ARI {found.mean():.3f}, SD over 20 seeds {found.std(ddof=1):.3f}")
    print("published, by another annotation:", PUBLISHED)
    print("one slice: cannot test")


if __name__ == "__main__":
    parts = {part.__name__: part for part in (her2st, dlpfc, breast, scale, pooled, penalty, circular, starmap)}
    for name in sys.argv[2:] or parts:
        print(f"\n== {name}")
        parts[name](Path(sys.argv[1]))
