"""Print the measured thresholds of the documentation's page on the audit.

Usage: python benchmarks/audit_thresholds.py FOLDER [PART ...], FOLDER being where the h5ad files are, and a part the
name of a function below without a leading underscore; all of them by default.

What is measured are the package's own functions (`stfmkit.bm.checks`), on real tissue and on synthetic cohorts, as they
are and with planted faults.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path
from time import process_time
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse
from scipy.spatial import cKDTree
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

import stfmkit as sk
from stfmkit.bm.checks import alike, counts, duplicates, embeddings, label_borders, made_labels, seen_targets
from stfmkit.bm.checks.expression_space import expression_space
from stfmkit.bm.study import Study, load_study

FILES = {
    "her2st": "her2st_patients_A-F",
    "DLPFC": "dlpfc_visium_151673_151675",
    "MERFISH": "merfish_hypothalamus_bregma0.26_0.21",
    "STARmap": "starmap_mpfc_BZ5_BZ9",
}
KEYS: dict[str, dict[str, Any]] = {
    "her2st": {"patient_key": "patient", "label_key": "label", "spatial_key": "spatial_um", "microns_per_unit": 1.0},
    "DLPFC": {"patient_key": "donor", "label_key": "layer", "microns_per_unit": 0.73},  # 100 µm between spots
    "MERFISH": {"patient_key": "animal", "label_key": "cell_type"},
    "STARmap": {"patient_key": "mouse", "label_key": "domain"},
}
SPLITS = {
    "her2st": sk.pp.PatientKFold(6),
    "DLPFC": sk.pp.SpatialBlockKFold(block=1650, buffer=300),
    "MERFISH": sk.pp.SlideKFold(2),
    "STARmap": sk.pp.PatientKFold(2),
}
COHORTS: dict[str, dict[str, Any]] = {
    "default": {},
    "60 genes": {"n_genes": 60, "n_niches": 2, "n_cell_types": 2},
    "few counts": {"counts_per_cell": 15.0},
    "30 genes": {"n_genes": 30, "counts_per_cell": 200.0},
    "2000 genes": {"n_genes": 2000, "counts_per_cell": 1000.0, "size": 500.0},
}
CLEAR: tuple[dict[str, Any], ...] = (
    {"n_niches": 2, "n_cell_types": 2},
    {"n_niches": 2, "n_cell_types": 2, "n_genes": 120, "size": 500.0},
    {"n_niches": 2, "n_cell_types": 2, "counts_per_cell": 30.0},
    {"n_niches": 2, "n_cell_types": 2, "counts_per_cell": 400.0},
    {"n_cell_types": 3, "counts_per_cell": 200.0},
)
"""Cohorts whose few cell types stand out in the counts."""
OF_COUNTS = (counts.common_divisor, counts.multiples, counts.equal_library_sizes, counts.too_even)


def copies(folder: Path) -> None:
    """Pairs of sections as they are, and a section beside what is left of it when counts are thinned away."""
    rng, found = np.random.default_rng(0), defaultdict(list)
    for name, study in {**_studies(folder), **_cohorts()}.items():
        kind, order = "synthetic" if "synthetic" in name else "real tissue", duplicates.most_counted(study.counts)
        sections = _sections(study)
        print(f"{name}: {len(sections)} sections, {np.median(study.depth):.0f} counts")
        for pair in combinations(sections, 2):
            found[kind, "sections"].append((name, duplicates.compared(study.counts, pair, order=order, rng=rng)))
        for thinned in (0.5, 0.75, 0.9):
            for here in sections[:4]:
                looked = _copy(study.counts[here], thinned, order=order, rng=rng)
                found[kind, f"{thinned:.0%} thinned away"].append((name, looked))
    print(pd.DataFrame([_likeness(*which, looks) for which, looks in sorted(found.items())]).to_string(index=False))


def _copy(
    section: sparse.csr_array, thinned: float, *, order: np.ndarray, rng: np.random.Generator
) -> duplicates.Likeness:
    copy = section.astype(np.int64)
    copy.data = rng.binomial(copy.data, 1 - thinned)
    here = np.arange(section.shape[0])
    both = sparse.csr_array(sparse.vstack([section, copy]))
    return duplicates.compared(both, (here, here + len(here)), order=order, rng=rng)


def _likeness(kind: str, what: str, named: list[tuple[str, duplicates.Likeness]]) -> dict[str, Any]:
    looks = [look for _, look in named]
    by_name = pd.DataFrame([(name, look.copied) for name, look in named]).groupby(0)[1].agg(["sum", "size"])
    some = [f"{name} {k} of {n}" for name, k, n in by_name[by_name["sum"] < by_name["size"]].itertuples()]
    return {
        "data": kind,
        "pairs": what,
        "each other's nearest": _range([look.mutual for look in looks]),
        "median ratio": _range([look.ratio for look in looks]),
        f"below {duplicates._NEAR}": _range([look.near for look in looks]),
        f"below {duplicates._TWIN}": _range([look.twins / look.n_rows for look in looks]),
        "found": f"{sum(look.copied for look in looks)} of {len(looks)}",
        "not in all of": ", ".join(some) if what != "sections" else "",
    }


def profiles(folder: Path) -> None:
    """Correlation of sections of one patient, and of two."""
    studies = {"her2st": [_studies(folder)["her2st"]]}
    for n_patients, n_sections in ((6, 1), (12, 1), (6, 2), (12, 2)):
        given = {"n_patients": n_patients, "n_sections": n_sections}
        studies[f"synthetic, {given}"] = [_cohort(rng=seed, **given) for seed in range(3)]
    for name, several in studies.items():
        same, others = [], []
        for study in several:
            correlation = alike.profile_correlation(study.counts, study.sample_codes)
            patient = pd.Series(study.patient_codes).groupby(study.sample_codes).first().to_numpy()
            one = patient[:, None] == patient
            same += correlation[one & ~np.eye(len(patient), dtype=bool)].tolist()
            others += correlation[~one].tolist()
        print(f"{name}: one patient {_range(same)}, two patients {_range(others)}")


def labels(folder: Path) -> None:
    """Labels from elsewhere, against a clustering of the counts."""
    rows = [(name, _border(data.X, label)) for name, data, label in _labelled(folder)]
    more = ({"counts_per_cell": 500.0}, {"n_niches": 8, "n_cell_types": 10})
    for seed, given in product(range(3), (*COHORTS.values(), *CLEAR, *more)):
        data = _simulated(rng=seed, **given)
        for column in ("niche", "cell_type"):
            border = _border(data.X, data.obs[column])
            least = made_labels._SAME if border.alike >= made_labels._SAME else made_labels._ALIKE
            like = f"index of {least} or more" if border.alike >= least else f"index below {least}"
            rows += [(f"synthetic {column}, {like}", border)]
    _print_borders(rows)


def clusters(folder: Path) -> None:
    """Labels that are a clustering of other components, and the same with a fifth of the labels dealt anew."""
    rng, rows = np.random.default_rng(0), []
    made = [(name, data, label) for name, data, label in _labelled(folder) if "cell_type" not in name]
    synthetic = {"4 niches": {}, "60 genes": COHORTS["60 genes"], "500 counts": {"counts_per_cell": 500.0}}
    for (name, given), seed in product(synthetic.items(), range(2)):
        data = _simulated(rng=seed, n_patients=3, **given)
        made += [(f"synthetic, {name}", data, data.obs["niche"])]
    for name, data, label in made:
        for n_genes, n_components in product(sorted({min(2000, data.n_vars), data.n_vars}), (15, 50)):
            chosen = {"n_genes": n_genes, "n_components": n_components}
            values = sk.tl.embed(data, "hvg_pca", **chosen, copy=True, show_progress=False)
            which = f"{name}, {'all' if n_genes == data.n_vars else n_genes} genes"
            for seed in range(2):
                fitted = KMeans(label.nunique(), n_init=3, random_state=seed).fit_predict(values)
                anew = np.where(rng.random(len(fitted)) < 0.2, rng.permutation(fitted), fitted)
                rows += [(which, _border(data.X, pd.Series(fitted)))]
                rows += [(f"{which}, a fifth dealt anew", _border(data.X, pd.Series(anew)))]
    _print_borders(rows)


def _border(matrix: Any, label: pd.Series) -> made_labels.Border:
    codes = pd.factorize(label)[0]
    found = made_labels.closest_clusters(sparse.csr_array(matrix), codes, rng=np.random.default_rng(0))
    if found is None:
        raise ValueError(f"{(codes >= 0).sum()} labels are too few.")
    return found


def _print_borders(rows: list[tuple[str, made_labels.Border]]) -> None:
    """Print ranges; of shares, over those that rest on enough observations for the check to read them."""
    table = []
    for name in dict.fromkeys(name for name, _ in rows):
        found = [border for other, border in rows if other == name]
        read = [border for border in found if border.n >= made_labels._LEAST]
        wide = [border.filled_wide for border in found if border.n_wide >= made_labels._LEAST]
        row = {"labels": name, "adjusted Rand index": _range([border.alike for border in found])}
        row |= {"enough near a border": f"{len(read)} of {len(found)}"}
        row |= {"agreement": _range([border.agreement for border in read])}
        row |= {"how filled": _range([border.filled for border in read]), "how filled, wide": _range(wide)}
        table.append({**row, "found": f"{sum(border.made for border in found)} of {len(found)}"})
    print(pd.DataFrame(table).to_string(index=False))


def held(folder: Path) -> None:
    """What can be read off embeddings linearly: components, averages over neighbours, and planted columns."""
    rng, rows = np.random.default_rng(0), []
    studies = _studies(folder)
    for label in ("niche", "cell_type"):
        for given in ({}, CLEAR[0], {"counts_per_cell": 500.0}):
            studies[f"synthetic {label} {given}"] = _cohort(label_key=label, **given)
    for name, study in studies.items():
        rows += [{"data": name, "embedding": k, **found} for k, found in _held(study, rng=rng)]
    table = pd.DataFrame(rows).set_index(["data", "embedding"]).astype(float)
    print(table.round(4).to_string())
    print(table.groupby("embedding", sort=False).agg(["min", "max"]).round(4).to_string())


def _held(study: Study, *, rng: np.random.Generator) -> Iterator[tuple[str, dict[str, float | None]]]:
    protocol = study.protocol
    keys = {"sample_key": protocol.sample_key, "spatial_key": protocol.spatial_key}
    few, many = (expression_space(study.counts, n_components=n) for n in (30, 100))
    base = few.values  # noqa: PD011
    label, patient = (pd.get_dummies(codes).to_numpy(float) for codes in (study.labels.codes, study.patient_codes))
    both = np.hstack([base, 5 * label])
    turn = np.linalg.qr(rng.normal(size=(both.shape[1], both.shape[1])))[0]
    made = {
        "30 components": base,
        "100 components": many.values,  # noqa: PD011
        "averages over neighbours": sk.tl.embed(study.adata, "neighbor_pca", copy=True, show_progress=False, **keys),
        "with labels": np.hstack([base, label]),
        "with labels, turned, with noise": both @ turn + rng.normal(0, 0.3, size=both.shape),
        "with patients": np.hstack([base, patient]),
        "with coordinates": np.hstack([base, study.coords]),
    }
    rows = np.sort(rng.choice(len(base), min(4000, len(base)), replace=False))
    for name, values in made.items():
        yield name, vars(embeddings.measured(study, rows, np.asarray(values, dtype=np.float64)[rows]))


def borders(folder: Path) -> None:
    """Labels that are read wrong where they change in the tissue, off honest embeddings and off planted columns."""
    rng, rows = np.random.default_rng(0), []
    studies = _studies(folder)
    for label in ("niche", "cell_type"):
        for given in ({}, CLEAR[0], CLEAR[4], {"counts_per_cell": 500.0}, COHORTS["2000 genes"]):
            studies[f"synthetic {label} {given}"] = _cohort(label_key=label, **given)
    for name, study in studies.items():
        here = np.sort(rng.choice(len(study.depth), min(4000, len(study.depth)), replace=False))
        looks = {k: label_borders.mistakes(study, here, v[here]) for k, v in _coded(study, rng=rng).items()}
        base = looks["30 components"]
        for embedding, found in looks.items():
            if found is not None and base is not None:
                warned = label_borders.stand_in(found, base) + label_borders.stand_there_exactly(found, base)
                row = {"wrong": found.border, "share of components": found.border / max(base.border, 1e-9)}
                said = ("nothing", "warning", "error")[warned]
                rows.append({"data": name, "embedding": embedding, "n": found.n_border, **row, "said": said})
    table = pd.DataFrame(rows)
    print(table.round(4).to_string(index=False))
    print(table.groupby("embedding", sort=False)["wrong"].agg(["min", "max"]).round(4).to_string())
    print(table.groupby(["embedding", "said"], sort=False).size().to_string())


def _coded(study: Study, *, rng: np.random.Generator) -> dict[str, np.ndarray]:
    protocol, codes = study.protocol, np.asarray(study.labels.codes, dtype=np.int64)
    spaces = [expression_space(study.counts, n_components=n) for n in (30, 100)]
    few, many = (space.values for space in spaces)  # noqa: PD011
    keys = {"sample_key": protocol.sample_key, "spatial_key": protocol.spatial_key}
    scaled, label = few / few.std(axis=0), pd.get_dummies(codes).to_numpy(float)[:, int((codes < 0).any()) :]
    blurred = {k: np.empty_like(few) for k in (7, 19)}
    for here in _sections(study):
        near = cKDTree(study.coords[here]).query(study.coords[here], k=min(19, len(here)))[1]
        for k, values in blurred.items():
            values[here] = few[here][near[:, :k]].mean(axis=1)
    made = {
        "30 components": few,
        "100 components": many,
        "neighbor_pca": sk.tl.embed(study.adata, "neighbor_pca", copy=True, show_progress=False, **keys),
        "components, mean of 7": blurred[7],
        "components, mean of 19": blurred[19],
        "components, alone and mean of 7": np.hstack([few, blurred[7]]),
        "code of the label": codes[:, None],
        "components beside the code": np.column_stack([scaled, codes]),
    }
    for noise in (0.2, 0.25, 0.3, 0.4):
        rough = scaled[:, :20] + rng.normal(0, 0.3, scaled[:, :20].shape)
        made[f"labels, noise {noise}"] = np.hstack([rough, label + rng.normal(0, noise, label.shape)])
    return {name: np.asarray(values, dtype=np.float64) for name, values in made.items()}


def targets(folder: Path) -> None:
    """Target genes that can be read off components linearly, and single columns that resemble them."""
    rng, rows = np.random.default_rng(0), []
    for name, study in {**_studies(folder), **_cohorts()}.items():
        here = np.sort(rng.choice(len(study.depth), min(4000, len(study.depth)), replace=False))
        part, order = study.counts[here], duplicates.most_counted(study.counts)
        chosen = order[: min(50, len(study.genes) // 3)]
        others = np.setdiff1d(np.arange(len(study.genes)), chosen)
        logged = np.log1p(part[:, chosen].toarray() / study.depth[here, None] * 1e4)
        turn = np.linalg.qr(rng.normal(size=(len(chosen), len(chosen))))[0]
        several = [n for n in (30, 100) if n < len(study.genes)]
        made = {f"{n} components": expression_space(part, n_components=n) for n in several}
        made |= {f"{n} components of other genes": expression_space(part[:, others], n_components=n) for n in several}
        values = {k: space.values for k, space in made.items()}  # noqa: PD011
        for k, v in (values | {"targets, turned": logged @ turn, "targets": logged}).items():
            found, base = seen_targets.turned_targets(study, here, v, chosen)
            close = seen_targets.columns_of_genes(part, study.depth[here], v, least=0)
            most = max(r for _, _, r in close)
            rows.append({"data": name, "embedding": k, "R²": found, "R² of others": base, "correlation": most})
            print(*rows[-1].values(), flush=True)
    table = pd.DataFrame(rows).set_index(["data", "embedding"]).astype(float)
    print(table.groupby("embedding", sort=False).agg(["min", "max"]).round(4).to_string())


def smoothed(folder: Path) -> None:
    """The share of observations most of whose six neighbours have another label, before and after a majority filter."""
    for name, data, label in _labelled(folder):
        known = label.notna().to_numpy()
        once, before, after = label[known].to_numpy(dtype=str), [], []
        xy, section = data.obsm["spatial"][known], data.obs["section"][known]
        for here in section.groupby(section, observed=True).indices.values():
            near = cKDTree(xy[here]).query(xy[here], k=7)[1]
            own = once[here]
            most = pd.DataFrame(own[near]).mode(axis=1)[0].to_numpy(dtype=str)
            before += [len(here) * sk.metrics.pas(xy[here], own, n_neighbors=6)]
            after += [len(here) * sk.metrics.pas(xy[here], most, n_neighbors=6)]
        print(f"{name}: {sum(before) / len(once):.4f}, after one filter {sum(after) / len(once):.4f}")


def normalised(folder: Path) -> None:
    """Counts as they are, divided by library size and rounded, and logged and rounded."""
    rows = defaultdict(list)
    for name, study in {**_studies(folder), **_cohorts()}.items():
        median = np.median(study.depth)
        divided = sparse.csr_array(study.counts.multiply(median / study.depth[:, None]))
        changed = {"raw": study.counts, "to the median": divided, "to 10 000": divided * (1e4 / median)}
        for what, values in (changed | {"to the median, logged": divided.log1p()}).items():
            whole = sparse.csr_array(values.rint().astype(np.int64))
            whole.eliminate_zeros()
            other = replace(study, counts=whole, depth=np.asarray(whole.sum(axis=1)).ravel())
            found = {finding.check for check in OF_COUNTS for finding in check(other)}
            for part in (whole[here] for here in _sections(study)):
                depth, steps = part.sum(axis=1), counts.grid_steps(part)
                rows[what].append((name, found, (steps > 0).mean(), depth.var() / depth.mean(), part))
    for what, parts in rows.items():
        print(f"{what}: on a grid {_range([grid for _, _, grid, _, _ in parts])}")
        print(f"  variance of library sizes over mean {_range([spread for _, _, _, spread, _ in parts])}")
        print(f"  genes too even {_range([counts.share_too_even(part)[0] for *_, part in parts])}")
        print(f"  found: { {name: sorted(found) for name, found, *_ in parts} }")


def alarms(folder: Path) -> None:
    """Warnings and errors in real tissue."""
    for name in KEYS:
        for found in sk.bm.audit(_read(folder, name), _protocol(name)):
            if found.severity != "info":
                print(f"{name}: {found.severity}, {found.check}: {found.evidence[:120]}")


def scale(_: Path) -> None:
    """Time of the processor that copies take to be found among 100 sections of 5 000 spots, one of them a copy."""
    rng, n, n_genes = np.random.default_rng(0), 5_000, 300
    usual, program = rng.lognormal(-1, 1, n_genes), rng.normal(0, 0.25, (10, n_genes))
    parts = []
    for _section in range(100):
        mean = usual * np.exp(rng.normal(size=(n, 10)) @ program + rng.normal(0, 0.2, n_genes))
        parts.append(sparse.csr_array(rng.poisson(mean).astype(np.float32)))
    parts[57] = parts[3].copy()
    parts[57].data = rng.binomial(parts[3].data.astype(int), 0.6).astype(np.float32)
    data = ad.AnnData(sparse.csr_matrix(sparse.vstack(parts)))
    data.obs["patient"] = np.repeat([f"P{i:03d}" for i in range(100)], n)
    data.obsm["spatial"] = rng.uniform(0, 5000, (data.n_obs, 2))
    protocol = sk.bm.Protocol(patient_key="patient", sample_key="patient", split=sk.pp.PatientKFold(5))
    study = load_study(data, protocol)
    print(f"{data.n_obs} spots, {n_genes} genes, {np.median(study.depth):.0f} counts")
    for check in (duplicates.equal_rows, duplicates.near_copies):
        with threadpool_limits(1):
            started = process_time()
            found = [finding.rows for finding in check(study)]
            print(f"{check.__name__}: {process_time() - started:.0f} s of CPU, finds {found}", flush=True)


def _range(values: Any) -> str:
    values = np.asarray(values, dtype=float)
    return f"{values.min():.3f} to {values.max():.3f}" if len(values) else "none"


def _sections(study: Study) -> list[np.ndarray]:
    return [np.flatnonzero(study.sample_codes == code) for code in range(len(study.samples.categories))]


def _read(folder: Path, name: str) -> ad.AnnData:
    data = ad.read_h5ad(folder / f"{FILES[name]}.h5ad")
    data.obs_names_make_unique()
    return data


def _protocol(name: str) -> sk.bm.Protocol:
    return sk.bm.Protocol(sample_key="section", split=SPLITS[name], **KEYS[name])


def _studies(folder: Path) -> dict[str, Study]:
    return {name: load_study(_read(folder, name), _protocol(name)) for name in KEYS}


def _simulated(**given: Any) -> ad.AnnData:
    chosen = {"n_patients": 4, "size": 800.0, "rng": 0, **given}
    return sk.datasets.synthetic_cohort(as_="anndata", show_progress=False, **chosen)


def _cohort(label_key: str = "niche", **given: Any) -> Study:
    data = _simulated(**given)
    split = sk.pp.PatientKFold(data.obs["patient"].nunique())
    keys = {"patient_key": "patient", "sample_key": "sample", "label_key": label_key}
    return load_study(data, sk.bm.Protocol(**keys, split=split))


def _cohorts() -> dict[str, Study]:
    return {f"synthetic, {name}": _cohort(**given) for name, given in COHORTS.items()}


def _labelled(folder: Path) -> Iterator[tuple[str, ad.AnnData, pd.Series]]:
    """Yield every label of real tissue that does not come from a clustering by somebody else."""
    for name, keys in KEYS.items():
        data = _read(folder, name)
        for column in dict.fromkeys((keys["label_key"], "cell_type")):
            if column in data.obs:
                yield f"{name} {column}", data, data.obs[column]
    data = ad.read_h5ad(folder / "starmap_visual_cortex_1020genes.h5ad")
    for column in ("domain", "cell_type"):
        yield f"STARmap, visual cortex, {column}", data, data.obs[column]


if __name__ == "__main__":
    known = (copies, profiles, labels, clusters, held, borders, targets, smoothed, normalised, alarms, scale)
    parts = {part.__name__: part for part in known}
    for chosen in sys.argv[2:] or parts:
        print(f"\n== {chosen}")
        parts[chosen](Path(sys.argv[1]))
