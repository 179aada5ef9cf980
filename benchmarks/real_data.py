"""Print the figures of the documentation's page on real data.

Usage: python benchmarks/real_data.py FOLDER [her2st] [dlpfc] [breast], FOLDER being where the h5ad files are.
"""

import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

import stfmkit as sk

BASELINES = ["hvg_pca", "neighbor_pca", "library_size", "coordinates", "random", "random_smooth"]


def her2st(folder: Path) -> None:
    """HER2+ breast tumours: six patients, held out one by one."""
    data = ad.read_h5ad(folder / "her2st_patients_A-F.h5ad")
    protocol = sk.bm.Protocol(
        patient_key="patient",
        sample_key="section",
        label_key="label",
        split=sk.pp.PatientKFold(6),
        spatial_key="spatial_um",
        microns_per_unit=1.0,
    )
    results = sk.bm.run(data, BASELINES, protocol=protocol, n_jobs=2)
    columns = [
        "task", "metric", "setting", "contender", "mean", "low", "high", "mean_corrected", "p_value", "rank_low",
        "rank_high", "detectable", "verdict",
    ]  # fmt: skip
    print(results.rank()[columns].round(3).to_string(index=False))
    print(results.rank_over_tasks().round(3).to_string(index=False))
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


if __name__ == "__main__":
    parts = {part.__name__: part for part in (her2st, dlpfc, breast)}
    for name in sys.argv[2:] or parts:
        print(f"\n== {name}")
        parts[name](Path(sys.argv[1]))
