"""Print the figures of the documentation on ceilings, on the truth of co-expression, and on noise in predictions.

Usage: python benchmarks/simulate_ceilings.py [FOLDER] [PART ...], a part being the name of a function below without a
leading underscore; by default all of them, of which "annotations" and "ladder" read real data in FOLDER.

Shares are those of `stfmkit.evaluation.ceilings.relative_scores`: 1 for a score as high as its ceiling.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

import stfmkit as sk
from stfmkit._kernels._thinning import column_correlation, thin
from stfmkit.bm.model_contenders import from_registry, shared_inputs
from stfmkit.bm.stage import Stage
from stfmkit.bm.study import load_study
from stfmkit.bm.task_catalogue import catalogue
from stfmkit.evaluation import coexpression as structures
from stfmkit.evaluation import signatures as niches
from stfmkit.evaluation.averages import per_patient
from stfmkit.evaluation.bounds import annotation_bound, joint_bounds, upper_bound
from stfmkit.evaluation.ceilings import relative_scores
from stfmkit.evaluation.clusters import score_clusters
from stfmkit.evaluation.controls import shuffled
from stfmkit.evaluation.degradations import NOISE
from stfmkit.evaluation.expression import ExpressionTruth
from stfmkit.evaluation.label_ceilings import label_ceilings, right_labels
from stfmkit.evaluation.labels import score_labels
from stfmkit.evaluation.molecules import Molecules, PredictedStructure
from stfmkit.evaluation.reliability import MIN_RELIABILITY, half_agreement, training_reliability
from stfmkit.evaluation.scores import concat_scores, score_table

N_GENES = 60
LAYERS = ("L1", "L2/3", "L4", "L5", "L6", "cc", "HPC")


def expression() -> None:
    """The best possible predictor of simulated counts, as a share of the ceiling of Pearson's r."""
    rows = []
    for n, replicates in ((60, 20), (300, 8), (2_000, 3)):
        for mean in (0.1, 0.5, 2.0, 10.0):
            for sd, silent in ((0.8, 0.0), (0.3, 0.0), (0.8, 0.5), (0.3, 0.5)):
                found = pd.DataFrame([_best(n, mean, sd, silent, seed=s) for s in range(replicates)])
                told = {"n": n, "mean": mean, "SD": sd, "silent": silent, **found.mean()}
                rows.append({**told, "SD of share": found["share"].std(ddof=1)})
    print(pd.DataFrame(rows).round(2).to_string(index=False))
    broad = pd.DataFrame([_best(300, 2.0, 0.8, 0.0, dispersion=0.5, seed=s) for s in range(8)])
    print(f"negative binomial, dispersion .5 (n 300, mean 2, SD .8): {broad['share'].mean():.2f}")


def _best(n: int, mean: float, sd: float, silent: float, *, seed: int, dispersion: float = 0.0) -> dict[str, float]:
    """Return the share that the conditional mean reaches in one sample, by the package's rules and by others."""
    rng = np.random.default_rng([seed, n])
    spread = np.where(np.arange(N_GENES) < silent * N_GENES, 0, np.linspace(0.5, 1.5, N_GENES) if silent else 1.0) * sd

    def drawn() -> tuple[np.ndarray, Molecules]:
        rates = np.exp(rng.normal(0, 1, (n, N_GENES)) * spread - spread**2 / 2) * mean
        size = rng.lognormal(0, 0.4, n)
        seen = rates * size[:, None]
        if dispersion:
            seen = seen * rng.gamma(1 / dispersion, dispersion, seen.shape)
        return rates, Molecules(counts=sparse.csr_array(rng.poisson(seen)), library_size=size, target_sum=1.0)

    training = {f"T{i}": drawn()[1] for i in range(4)}
    rates, own = drawn()
    agreed = {name: _agreement(part, name, seed) for name, part in training.items()}
    reliable = np.nan_to_num(np.asarray(training_reliability(agreed, dict.fromkeys(agreed, n))))
    halves = _agreement(own, "test", seed)
    best = column_correlation(own.scaled(), sparse.csr_array(_conditional_mean(rates, own, dispersion)))

    def joint(least: float) -> np.ndarray:
        return joint_bounds(np.where(reliable >= least, halves, np.nan), n)

    alone = upper_bound(halves)
    kept = (np.nan_to_num(alone) >= 0.1) & ~np.isnan(best)  # a rule that reads the noise of what is tested
    return {
        "share": _share(best, joint(MIN_RELIABILITY)),
        "genes": float((reliable >= MIN_RELIABILITY).sum()),  # those that count
        "unshared noise": _share(best, np.where(reliable >= MIN_RELIABILITY, alone, np.nan)),
        "from .05": _share(best, joint(0.05)),
        "from .2": _share(best, joint(0.2)),
        "genes .2": float((reliable >= 0.2).sum()),
        "ratio by gene": float((best[kept] / alone[kept]).mean()) if kept.any() else np.nan,
    }


def _agreement(own: Molecules, name: str, seed: int) -> np.ndarray:
    def scaled(half: sparse.csr_array) -> sparse.csr_array:
        return replace(own, counts=half, library_size=own.library_size / 2).scaled()

    rows = {name: np.arange(len(own.library_size))}
    return half_agreement(own.counts, rows, scaled=scaled, seed=seed, names=(name,))[name]


def _conditional_mean(rates: np.ndarray, own: Molecules, dispersion: float) -> np.ndarray:
    """Return the expected log1p of scaled counts: a sum for means below 50, the delta method above."""
    seen, factor = rates * own.library_size[:, None], (own.target_sum / own.library_size)[:, None]
    noise = seen + dispersion * seen**2
    expected = np.log1p(factor * seen) - factor**2 * noise / (2 * (1 + factor * seen) ** 2)
    small = seen < 50
    low = seen[small]
    scale = np.broadcast_to(factor, seen.shape)[small]
    p, total = (1 + dispersion * low) ** (-1 / dispersion) if dispersion else np.exp(-low), np.zeros_like(low)
    for k in range(1, 1_000 if dispersion else 130):
        p = p * (low * (1 + (k - 1) * dispersion) / (1 + dispersion * low)) / k
        total += p * np.log1p(k * scale)
    expected[small] = total
    return np.asarray(expected)


def _share(values: np.ndarray, limits: np.ndarray) -> float:
    both = [
        score_table(metric="pearson", value=part, scope="gene", gene=np.arange(N_GENES).astype(str), status=status)
        for part, status in ((values, "scored"), (limits, "ceiling"))
    ]
    return float(relative_scores(concat_scores(both))["value"].iloc[0])


def _cohorts(depths: tuple[float, ...], seeds: range, **sizes: Any) -> Iterator[tuple[float, int, Any]]:
    """Yield depth, seed, and names, rates and counts of a synthetic cohort that is measured `depth` times as deep."""
    for seed in seeds:
        cells = sk.datasets.synthetic_cohort(**sizes, n_genes=120, as_="anndata", rng=seed, show_progress=False)
        layer = sparse.csr_array(cells.layers["noise_free"]).toarray().astype(np.float64)
        for depth in depths:
            counts = np.random.default_rng([seed, int(10 * depth)]).poisson(layer * depth)
            kept = counts.sum(axis=1) > 4
            yield depth, seed, (cells[kept], layer[kept] * depth, counts[kept])


def _logged(values: np.ndarray, size: np.ndarray, median: float) -> np.ndarray:
    return np.log1p(values / np.maximum(size, 1)[:, None] * median)


def signatures() -> None:
    """Predictors that know the truth, as shares of the ceilings of signatures, with and without a root."""
    rows = []
    for depth, seed, (cells, rates, counts) in _cohorts((0.3, 1, 3, 10, 30), range(8), n_patients=2, size=600):
        size, median = counts.sum(axis=1), float(np.median(counts.sum(axis=1)))
        parts = thin(sparse.csr_array(counts), rng=np.random.default_rng([seed, 2]))
        halves = [_logged(half.toarray(), size / 2, median) for half in parts]
        truth = niches.SignatureTruth(
            expression=_logged(counts, size, median),
            genes=cells.var_names.to_numpy(dtype=str),
            **{f"{key}s": cells.obs[key].to_numpy(dtype=str) for key in ("niche", "sample", "patient")},
            halves=(halves[0], halves[1]),
            sizes=(10, 20),
        )
        rng = np.random.default_rng([seed, 1])
        again = [_logged(part, part.sum(axis=1), median) for part in (rng.poisson(rates) for _ in range(6))]
        clean = niches.patient_signatures(truth, _logged(rates, rates.sum(axis=1), median))
        noisy = [niches.patient_signatures(truth, part) for part in again]
        expected = [np.mean([made[i].predicted.scores() for made in noisy], axis=0) for i in range(len(clean))]
        knowing = [
            part._replace(signatures=replace(part.signatures, scores=scores))
            for part, scores in zip(clean, expected, strict=True)
        ]
        limits = niches.signature_ceilings(truth)
        made = {"noise-free": clean, "knows the noise": knowing, "second measurement": noisy[0]}
        scores = [niches.score_signatures(truth, part).assign(contender=name) for name, part in made.items()]
        bounds = limits[limits["status"] == "ceiling"]
        for root, ceiling in (("no", bounds), ("yes", bounds.assign(value=np.sqrt(bounds["value"])))):
            found = relative_scores(concat_scores([*scores, ceiling]))
            rows.append(found.assign(depth=depth, root=root))
    _told(pd.concat(rows), ["root", "contender", "metric", "setting"])


def coexpression() -> None:
    """The noise-free co-expression, as a share of the ceilings of agreement with latent correlations."""
    rows = []
    sizes = structures.CoexpressionSizes(n_orders=5, n_permutations=9)  # neither has a ceiling that is shown
    for depth, seed, (cells, rates, counts) in _cohorts((0.3, 1, 3, 10), range(4), n_patients=3, size=900):
        size, median = counts.sum(axis=1), float(np.median(counts.sum(axis=1)))
        expected = _logged(rates, rates.sum(axis=1), median)
        genes = np.sort(np.argsort(-expected.std(axis=0))[:N_GENES])
        own = Molecules(counts=sparse.csr_array(counts[:, genes]), library_size=size.astype(float), target_sum=median)
        truth = ExpressionTruth(
            expression=own.scaled().toarray(),
            genes=genes.astype(str),
            **{f"{key}s": cells.obs[key].to_numpy(dtype=str) for key in ("sample", "patient")},
            molecules=own,
        )
        order = sk.metrics.coexpression_order(sk.metrics.correlation(expected[:, genes]))
        how: dict[str, Any] = {"order": order, "seed": seed, "sizes": sizes}
        scores = structures.score_coexpression(truth, expected[:, genes], **how)
        found = relative_scores(concat_scores([scores, structures.coexpression_ceilings(truth, **how)]))
        rows.append(found.assign(depth=depth))
    _told(pd.concat(rows).query("metric != 'ssim_permuted'"), ["metric", "setting"])


def _told(found: pd.DataFrame, by: list[str]) -> None:
    """Print mean and largest share by depth, and how many have no value."""
    groups = found.assign(undefined=found["value"].isna()).groupby([*by, "depth"])
    table = groups.agg(mean=("value", "mean"), largest=("value", "max"), undefined=("undefined", "sum"))
    print(table.reset_index().pivot_table(index=by, columns="depth").round(2).to_string())


def truths() -> None:
    """Predictions of simulated patients against measured, latent and noise-free correlations."""
    task = catalogue.find("coexpression")
    cells = sk.datasets.synthetic_cohort(4, n_genes=160, size=800, counts_per_cell=150, as_="anndata", rng=0)
    keys: dict[str, Any] = {"patient_key": "patient", "sample_key": "sample", "n_target_genes": N_GENES}
    study = load_study(cells, sk.bm.Protocol(**keys, split=sk.pp.PatientKFold(4), selector="hvg"))
    stage = Stage(inputs=shared_inputs(study), n_obs=len(study.obs_names), data="")
    models = [from_registry(name, name, {}, study) for name in ("hvg_pca", "neighbor_pca", "library_size")]
    rows = []
    for fold in study.folds:
        truth = task.truth(study, fold, task.hidden(study, fold))
        rates = cells.layers["noise_free"][fold.test][:, truth.targets].astype(np.float64)
        rng, own = np.random.default_rng(fold.number), truth.test.molecules
        expected = np.log1p(rates / own.library_size[:, None] * own.target_sum)
        again = replace(own, counts=sparse.csr_array(rng.poisson(rates))).scaled().toarray()
        controls, clean = task.controls(truth), sk.metrics.correlation(expected)
        order = sk.metrics.coexpression_order(sk.metrics.correlation(truth.train))
        judged = {
            "noise-free truth": expected,
            "half of it mixed with noise": 0.5 * expected + 0.5 * shuffled(expected, truth.test.samples, rng=rng),
            "training co-expression": task.baselines(truth)["train_coexpression"],
            **{m.label: task.predict(stage.output(m, fold, truth.targets), truth) for m in models},
            "replicate of the experiment": again,
            **{name: controls[name] for name in ("train_covariance", "thinned", "shuffled")},
        }
        for name, prediction in judged.items():
            scores = task.score(truth, prediction).table.set_index(["metric", "setting"])["value"]
            given = isinstance(prediction, PredictedStructure)
            matrix = next(iter(prediction.by_sample.values())) if given else sk.metrics.correlation(prediction)
            row: dict[str, Any] = {"prediction": name}
            for kind in ("raw", "latent"):
                row[f"SSIM {kind}"] = scores["ssim_ordered", f"window=7, truth={kind}"]
                row[f"r {kind}"] = scores["offdiagonal_correlation", f"truth={kind}"]
            matrix = structures.uncorrelated(matrix)
            row["SSIM noise-free"] = sk.metrics.ssim_ordered(clean, matrix, order=order)
            row["r noise-free"] = sk.metrics.offdiagonal_correlation(clean, matrix)
            rows.append(row)
    print(pd.DataFrame(rows).groupby("prediction", sort=False).mean().round(3).sort_index(axis=1).to_string())


def labels() -> None:
    """What true labels score against one noisy annotation, and the bound from two; agreement of the two beside it."""
    rows = []
    for shares in ((0.25, 0.25, 0.25, 0.25), (0.5, 0.3, 0.15, 0.05), (0.7, 0.3)):
        for wrong in (0.1, 0.2, 0.3):
            rng, n = np.random.default_rng(0), 20_000
            truth = rng.choice(len(shares), n, p=shares)
            first, second = (_annotated(truth, shares, wrong, rng) for _ in range(2))
            where: dict[str, Any] = {"samples": np.full(n, "S"), "patients": np.full(n, "P")}
            judged = {}
            for name, other in (("truth", truth), ("agreement", second)):
                found = [score_labels(first.astype(str), other.astype(str), **where)]
                found.append(score_clusters(first, other, **where))
                judged[name] = pd.concat(found).set_index("metric")["value"]
            for metric in ("macro_f1", "balanced_accuracy", "ari", "nmi"):
                told = {name: float(values[metric]) for name, values in judged.items()}
                bound = float(annotation_bound(told["agreement"]))
                above = {"truth / agreement": told["truth"] / told["agreement"], "bound - truth": bound - told["truth"]}
                rows.append({"shares": shares, "wrong": wrong, "metric": metric, **told, "bound": bound, **above})
    print(pd.DataFrame(rows).round(3).to_string(index=False))


def _annotated(truth: np.ndarray, shares: tuple[float, ...], wrong: float, rng: np.random.Generator) -> np.ndarray:
    """Return labels of which a share is wrong: another label, by frequency."""
    drawn = rng.choice(len(shares), len(truth), p=shares)
    while (same := drawn == truth).any():
        drawn[same] = rng.choice(len(shares), same.sum(), p=shares)
    return np.where(rng.random(len(truth)) < wrong, drawn, truth)


def annotations(folder: Path) -> None:
    """Two published annotations of one STARmap slice, against as many errors at random.

    Reads the table of annotations in Banksy_py (data/starmap, commit 6712bc6).
    """
    table = pd.read_csv(folder / "Starmap_BY3_1k_meta_annotated_18oct22.csv", index_col=0, dtype=str)
    own, other = (table[key].to_numpy(dtype=object) for key in ("smoothed_manual", "domain"))
    where: dict[str, Any] = {"samples": np.full(len(own), "BY3"), "patients": np.full(len(own), "BY3")}
    print(f"agreement {(own == other).mean():.3f}, ARI {sk.metrics.ari(own.astype(str), other.astype(str)):.3f}")
    places = np.array([[LAYERS.index(name) for name in part] for part in (own, other)])
    apart = np.abs(places[0] - places[1])
    print(f"of what differs, {(apart[apart > 0] == 1).mean():.3f} are labels of layers side by side")
    drawn = right_labels(own, where["samples"], label_noise=float((own != other).mean()), seed=0)
    codes = np.unique(own, return_inverse=True)[1]
    tables = [score_clusters(codes, np.unique(part, return_inverse=True)[1], **where) for part in drawn]
    print("as many errors at random:", label_ceilings(tables, ("ari",), annotations=1)["value"].round(3).tolist())


def ladder(folder: Path) -> None:
    """Predictions of HER2+ breast made worse step by step, as every run does: what each metric makes of it."""
    data = ad.read_h5ad(folder / "her2st_patients_A-F.h5ad")
    data = data[:, np.sort(np.argsort(-np.asarray((data.X > 0).sum(axis=0)).ravel())[:1_500])]
    data = data[np.asarray(data.X.sum(axis=1)).ravel() > 0].copy()
    protocol = sk.bm.Protocol(
        patient_key="patient", sample_key="section", spatial_key="spatial_um", split=sk.pp.PatientKFold(6),
        n_target_genes=60,
    )  # fmt: skip
    results = sk.bm.run(
        data, ["hvg_pca", "neighbor_pca"], protocol=protocol, tasks=["coexpression", "expression"], show_progress=False
    )
    rows = per_patient(results.table.query("status == 'scored' and scope != 'cohort'"))
    wide = rows.pivot_table(index=["task", "metric", "setting"], columns="contender", values="value")
    start = "control:hvg_pca"
    found = wide.loc["coexpression", [start, *(f"{start} + noise={share}" for share in NOISE)]]
    found.columns = [0.0, *NOISE]
    fall = found[0.0] - found[1.0]
    rise = found.mul(np.sign(fall), axis=0).diff(axis=1).max(axis=1).clip(lower=0)
    print(found.assign(rise=rise / fall.abs()).round(3).to_string())
    print(wide.loc["coexpression"].loc[["offdiagonal_correlation", "ssim_ordered"]].T.round(3).to_string())
    print(wide.loc["expression"].loc["bivariate_morans_i"].T.round(3).to_string())


SIMULATED: dict[str, Callable[[], None]] = {
    p.__name__: p for p in (expression, signatures, coexpression, truths, labels)
}
REAL: dict[str, Callable[[Path], None]] = {p.__name__: p for p in (annotations, ladder)}

if __name__ == "__main__":
    asked = sys.argv[1:]
    folder = None if not asked or asked[0] in {**SIMULATED, **REAL} else Path(asked.pop(0))
    for name in asked or [*SIMULATED, *(REAL if folder else {})]:
        print(f"\n== {name}", flush=True)
        if name in SIMULATED:
            SIMULATED[name]()
        elif folder and name in REAL:
            REAL[name](folder)
        else:
            sys.exit(__doc__)
