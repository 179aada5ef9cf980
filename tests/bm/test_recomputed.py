"""Every primary score of two runs, computed again with numpy, scipy and scikit-learn from what the docs define.

Of the package, the recomputation takes the data that were compared, the patients that every fold tests, and the names
of the target genes. What is random in the package is compared with the spread of the same over seeds of its own.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product

import anndata as ad
import numpy as np
import pytest
from scipy import stats
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import adjusted_rand_score, f1_score

import stfmkit as sk

pytestmark = pytest.mark.slow

RIDGE = tuple(10.0**power for power in range(-2, 7))
LOGISTIC = (1e-3, 1e-2, 1e-1, 1.0)
SEEDS = range(20)
PRIMARY = {
    "expression": ("pearson", "", "gene"),
    "coexpression": ("offdiagonal_correlation", "truth=latent", "sample"),
    "niche_signatures": ("adjusted_jaccard", "n=10", "niche"),
    "niche_probe": ("macro_f1", "probe=linear", "sample"),
    "domains": ("ari", "", "sample"),
}
CONTENDERS = ("hvg_pca", "library_size", "coordinates")
SAME = 1e-5


@dataclass(frozen=True, kw_only=True, eq=False)
class Again:
    """The data of a run as plain arrays, and every score of it anew.

    Attributes
    ----------
    counts, depth, genes
        Counts (n_obs, n_genes), their sums over all genes (n_obs,), names of the genes.
    patients, samples, labels, coords
        Of every observation; a label is empty text where there is none.
    tested, targets
        Patients that a fold tests, and the names of its target genes, by the number of the fold.
    hvg
        Options of ``hvg_pca``: number of genes and of components.
    """

    counts: np.ndarray
    genes: list[str]
    patients: np.ndarray
    samples: np.ndarray
    labels: np.ndarray
    coords: np.ndarray
    tested: dict[int, set[str]]
    targets: dict[int, list[str]]
    hvg: tuple[int, int]

    @cached_property
    def depth(self):
        return self.counts.sum(axis=1)

    def rows(self, fold):
        """Return training and test rows."""
        test = np.isin(self.patients, list(self.tested[fold]))
        return np.flatnonzero(~test), np.flatnonzero(test)

    def expression(self, fold):
        """Return log1p of target genes (n_obs, n_targets), per library size, times the median library of training."""
        return log_normalised(self.counts, self.depth, self.size(fold))[:, self.columns(fold)]

    def size(self, fold):
        return np.median(self.depth[self.rows(fold)[0]])

    def columns(self, fold):
        return [self.genes.index(gene) for gene in self.targets[fold]]

    def embedding(self, contender, fold, *, hide):
        """Return the embedding of all observations, fitted on training rows; target genes are gone where hidden."""
        train = self.rows(fold)[0]
        seen = np.delete(self.counts, self.columns(fold), axis=1) if hide else self.counts
        if contender == "library_size":
            return np.log1p(np.column_stack([seen.sum(axis=1), (seen > 0).sum(axis=1)]))
        if contender == "coordinates":
            return in_frames(self.coords, self.samples)
        return components(seen, train, *self.hvg)

    def predicted(self, contender, fold):
        """Return target genes of the test rows by ridge; its penalty is chosen with every training patient left out."""
        train, test = self.rows(fold)
        x, y = self.embedding(contender, fold, hide=True), self.expression(fold)
        losses = [
            [
                ((ridge(x[fit], y[fit], x[check], alpha) - y[check]) ** 2).mean(axis=0) / y[train].var(axis=0)
                for fit, check in leave_one_out(train, self.patients)
            ]
            for alpha in RIDGE
        ]
        best = RIDGE[int(np.argmin(np.mean(losses, axis=(1, 2))))]
        return ridge(x[train], y[train], x[test], best)

    def folds(self, samples):
        """Yield fold, test rows, and the name of every sample or patient among them with its places."""
        for fold in self.tested:
            test = self.rows(fold)[1]
            for name in np.unique(samples[test]):
                yield fold, str(name), np.flatnonzero(samples[test] == name)

    def molecules(self, fold, at):
        """Return counts of target genes at places among the test rows, their library sizes, and the size they go to."""
        rows = self.rows(fold)[1][at]
        return self.counts[np.ix_(rows, self.columns(fold))], self.depth[rows], self.size(fold)

    def of_patients(self, by_sample):
        """Return the mean over the samples of every patient."""
        owner = dict(zip(self.samples.tolist(), self.patients.tolist(), strict=True))
        found = {}
        for sample, value in by_sample.items():
            found.setdefault(owner[sample], []).append(value)
        return {patient: float(np.mean(values)) for patient, values in found.items()}

    def score_expression(self, contender):
        found, predicted = {}, {fold: self.predicted(contender, fold) for fold in self.tested}
        for fold, sample, at in self.folds(self.samples):
            truth = self.expression(fold)[self.rows(fold)[1]][at]
            guess = predicted[fold][at]
            values = [
                0.0 if np.ptp(guess[:, g]) < 1e-12 else stats.pearsonr(truth[:, g], guess[:, g])[0]
                for g in range(truth.shape[1])
                if np.ptp(truth[:, g]) > 0
            ]
            found[sample] = np.mean(values)
        return self.of_patients(found)

    def score_coexpression(self, contender, seeds=SEEDS):
        """Return one score by patient for every seed of the halvings."""
        predicted = {fold: self.predicted(contender, fold) for fold in self.tested}
        found = []
        for seed in seeds:
            by_sample = {}
            for number, (fold, sample, at) in enumerate(self.folds(self.samples)):
                truth = latent(*self.molecules(fold, at), rng=np.random.default_rng([seed, number]))
                by_sample[sample] = offdiagonal(truth, correlations(predicted[fold][at]))
            found.append(self.of_patients(by_sample))
        return found

    def score_niche_signatures(self, contender):
        found, predicted = {}, {fold: self.predicted(contender, fold) for fold in self.tested}
        for fold, patient, at in self.folds(self.patients):
            rows = self.rows(fold)[1]
            here = at[self.labels[rows[at]] != ""]
            truth, guess, label = self.expression(fold)[rows][here], predicted[fold][here], self.labels[rows[here]]
            values = [adjusted_jaccard(truth, guess, label == niche) for niche in np.unique(label)]
            values = [value for value in values if value is not None]
            if values:
                found[patient] = float(np.mean(values))
        return found

    def score_niche_probe(self, contender):
        found = {}
        for fold in self.tested:
            train, test = (rows[self.labels[rows] != ""] for rows in self.rows(fold))
            x, y = self.embedding(contender, fold, hide=False), self.labels
            inner = list(leave_one_out(train, self.patients))
            means = [[macro_f1(y[b], logistic(x[a], y[a], x[b], c)) for a, b in inner] for c in LOGISTIC]
            best = LOGISTIC[int(np.argmax(np.mean(means, axis=1)))]
            guess = logistic(x[train], y[train], x[test], best)
            for sample in np.unique(self.samples[test]):
                here = self.samples[test] == sample
                found[str(sample)] = macro_f1(y[test][here], guess[here])
        return self.of_patients(found)

    def score_domains(self, contender, seeds=SEEDS):
        """Return one score by patient for every seed of k-means."""
        found = []
        for seed in seeds:
            by_sample = {}
            for fold, sample, at in self.folds(self.samples):
                rows = self.rows(fold)[1][at]
                rows = rows[self.labels[rows] != ""]
                names = np.unique(self.labels[rows])
                if len(names) > 1:
                    values = self.embedding(contender, fold, hide=False)[rows]
                    clusters = KMeans(len(names), n_init=10, random_state=seed).fit_predict(values)
                    by_sample[sample] = adjusted_rand_score(self.labels[rows], clusters)
            found.append(self.of_patients(by_sample))
        return found


def log_normalised(counts, depth, size):
    return np.log1p(counts / depth[:, None] * size)


def in_frames(coords, samples):
    """Return coordinates, centred and divided by the root mean square distance from the centre within each sample."""
    placed = np.array(coords, dtype=float)
    for sample in np.unique(samples):
        rows = samples == sample
        placed[rows] -= placed[rows].mean(axis=0)
        placed[rows] /= np.sqrt((placed[rows] ** 2).sum(axis=1).mean())
    return placed


def components(counts, train, n_genes, n_components):
    """Return principal components of the genes with the largest normalised dispersion, all learned in training."""
    depth = counts.sum(axis=1)
    logged = log_normalised(counts, depth, np.median(depth[train]))
    score = dispersion(np.expm1(logged[train])).round(9)  # two genes of one bin are always ±1/√2: ties go by position
    chosen = np.sort(np.argsort(-score, kind="stable")[:n_genes])
    centre = logged[train][:, chosen].mean(axis=0)
    axes = np.linalg.svd(logged[train][:, chosen] - centre, full_matrices=False)[2]
    return (logged[:, chosen] - centre) @ axes[:n_components].T


def dispersion(values):
    """Return log(variance / mean), standardised among the genes of one of 20 bins of log1p(mean)."""
    seen = values.sum(axis=0) > 0
    mean = values.mean(axis=0)[seen]
    raw = np.log(values.var(axis=0, ddof=1)[seen] / mean)
    edges = np.linspace(np.log1p(mean).min(), np.log1p(mean).max(), 21)
    place = np.clip(np.searchsorted(edges, np.log1p(mean), side="left"), 1, 20)
    score = np.empty(len(mean))
    for number in np.unique(place):
        own = place == number
        score[own] = (raw[own] - raw[own].mean()) / raw[own].std(ddof=1) if own.sum() > 1 else 1.0
    found = np.full(len(seen), -np.inf)
    found[seen] = score
    return found


def leave_one_out(rows, patients):
    """Yield (fit, check) rows with every patient left out once."""
    for patient in np.unique(patients[rows]):
        yield rows[patients[rows] != patient], rows[patients[rows] == patient]


def standardised(fit, *others):
    scale = np.where(fit.std(axis=0) > 0, fit.std(axis=0), 1.0)
    return [(values - fit.mean(axis=0)) / scale for values in (fit, *others)]


def ridge(x, y, z, alpha):
    x, z = standardised(x, z)
    return Ridge(alpha=alpha, solver="svd").fit(x, y).predict(z)


def logistic(x, y, z, c):
    if len(np.unique(y)) == 1:
        return np.full(len(z), y[0])
    x, z = standardised(x, z)
    model = LogisticRegression(C=c, class_weight="balanced", solver="newton-cg", tol=1e-8, max_iter=1000)
    return model.fit(x, y).predict(z)


def macro_f1(truth, guess):
    return f1_score(truth, guess, labels=np.unique(truth), average="macro", zero_division=0)


def correlations(values):
    """Return correlations of all pairs of genes; a constant gene is uncorrelated with all others."""
    centred = values - values.mean(axis=0)
    length = np.sqrt((centred**2).sum(axis=0))
    scaled = centred / np.where(length > 1e-12, length, np.inf)
    return scaled.T @ scaled


def latent(counts, depth, size, *, rng, n_draws=10, least=3.0):
    """Return correlations from covariances of two halves of the counts; NaN for genes that are not clear of noise."""
    shared, spread = 0.0, 0.0
    for _ in range(n_draws):
        first = rng.binomial(counts.astype(np.int64), 0.5)
        halves = [log_normalised(half, depth / 2, size) for half in (first, counts - first)]
        a, b = (half - half.mean(axis=0) for half in halves)
        shared = shared + (a.T @ b + b.T @ a) / 2
        spread = spread + ((a**2).sum(axis=0) + (b**2).sum(axis=0)) / 2
    own = np.diag(shared)
    clear = own > least / np.sqrt(len(counts) - 1) * spread
    root = np.sqrt(np.where(clear, own, np.nan))
    return np.clip(shared / np.outer(root, root), -1, 1)


def offdiagonal(truth, guess):
    """Return the correlation over all pairs of genes that have a latent correlation."""
    known = np.flatnonzero(~np.isnan(np.diag(truth)))
    a, b = (matrix[np.ix_(known, known)][np.triu_indices(len(known), 1)] for matrix in (truth, guess))
    return stats.pearsonr(a, b)[0]


def auroc(values, inside):
    """Return for every gene the chance that an observation inside has more than one outside; ties count half."""
    ranks, n = stats.rankdata(values, axis=0), inside.sum()
    return (ranks[inside].sum(axis=0) - n * (n + 1) / 2) / (n * (len(inside) - n))


def adjusted_jaccard(truth, guess, inside, *, most=10, min_obs=3):
    """Return the index of true and predicted markers of one niche beyond chance; None where it cannot be scored."""
    if min(inside.sum(), (~inside).sum()) < min_obs:
        return None
    score, values = auroc(truth, inside), np.expm1(truth)
    change = np.log2((values[inside].mean(axis=0) + 1e-9) / (values[~inside].mean(axis=0) + 1e-9))
    marks = (score > 0.5) & (change >= 0.5) & ((truth[inside] > 0).mean(axis=0) >= 0.1)
    true = [g for g in np.argsort(-score, kind="stable") if marks[g]][:most]
    if not true:
        return None
    n, n_genes = len(true), truth.shape[1]
    found = np.argsort(-auroc(guess.round(12), inside), kind="stable")[:n]
    shared = len(set(true) & set(found.tolist()))
    k = np.arange(n + 1)
    chance = (stats.hypergeom.pmf(k, n_genes, n, n) * k / (2 * n - k)).sum()
    return (shared / (2 * n - shared) - chance) / (1 - chance)


def jointly_flipped(scores):
    """Return the adjusted p of every pair of columns (n_patients, k), from all signs of whole patients."""
    pairs = list(combinations(range(scores.shape[1]), 2))
    differences = np.array([scores[:, i] - scores[:, j] for i, j in pairs])
    seen = np.abs(differences.sum(axis=1))
    order = np.argsort(-seen)
    flips = np.array(list(product((1, -1), repeat=len(scores))))
    sums = np.abs(flips @ differences.T)
    found, before = {}, 0.0
    for place, pair in enumerate(order):
        largest = sums[:, order[place:]].max(axis=1)
        before = max(before, float((largest >= seen[pair] - 1e-12).mean()))
        found[frozenset(pairs[pair])] = before
    return found


def values_of(results, task):
    """Return {contender: {patient: value}} of the primary metric: genes or niches, then folds, samples, patients."""
    metric, setting, scope = PRIMARY[task]
    table = results.table
    own = (table["task"] == task) & (table["metric"] == metric) & (table["setting"] == setting)
    rows = table[own & (table["scope"] == scope) & (table["status"] == "scored")]
    value = rows.groupby(["contender", "patient", "sample", "fold"], observed=True)["value"].mean()
    for part in (["contender", "patient", "sample"], ["contender", "patient"]):
        value = value.groupby(part, observed=True).mean()
    return {name: dict(part.droplevel(0)) for name, part in value.groupby(level="contender", observed=True)}


def again(data, results, hvg):
    """Return what the recomputation may know of a run."""
    keys = results.protocol
    rows = results.table[results.table["task"] == "expression"]
    column = {name: data.obs[keys[f"{name}_key"]] for name in ("patient", "sample", "label")}
    return Again(
        counts=data.X.toarray().astype(float),
        genes=list(data.var_names),
        patients=column["patient"].to_numpy(dtype=str),
        samples=column["sample"].to_numpy(dtype=str),
        labels=column["label"].astype(object).fillna("").to_numpy(dtype=str),
        coords=np.asarray(data.obsm[keys["spatial_key"]]),
        tested={int(fold): set(part["patient"]) for fold, part in rows.groupby("fold") if fold >= 0},
        targets={int(fold): facts["target_genes"] for fold, facts in results.meta["folds"].items()},
        hvg=hvg,
    )


def compared(data, *, hvg, **keys):
    """Run three contenders on all tasks, and return the results beside the same data for the recomputation."""
    protocol = sk.bm.Protocol(patient_key="patient", split=sk.pp.PatientKFold(3), linear_c=LOGISTIC, **keys)
    options = dict(zip(("n_genes", "n_components"), hvg, strict=True))
    contenders = {name: name for name in CONTENDERS} | {"hvg_pca": ("hvg_pca", options)}
    results = sk.bm.run(data, contenders, protocol=protocol, show_progress=False)
    return results, again(data, results, hvg)


@pytest.fixture(scope="module")
def synthetic():
    cells = sk.datasets.synthetic_cohort(6, n_genes=100, size=300, counts_per_cell=150, as_="anndata", rng=0)
    return compared(cells, hvg=(50, 10), sample_key="sample", label_key="niche", n_target_genes=30, selector="hvg")


@pytest.fixture(scope="module")
def real(real_data):
    data = ad.read_h5ad(real_data / "her2st_patients_A-F.h5ad")
    data = data[data.obs["section"].isin(["B1", "C1", "C2", "D1"])]  # C has two sections, of which C2 has no labels
    frequent = np.argsort(-np.asarray((data.X > 0).sum(axis=0)).ravel(), kind="stable")[:500]
    data = data[:, np.sort(frequent)]
    data = data[np.asarray(data.X.sum(axis=1)).ravel() > 0].copy()
    keys = {"sample_key": "section", "label_key": "label", "spatial_key": "spatial_um"}
    return compared(data, hvg=(300, 20), n_target_genes=40, selector="hvg", **keys)


@pytest.fixture(params=["synthetic", pytest.param("real", marks=pytest.mark.real_data)])
def both(request):
    """Return (results, the data for the recomputation) of a run."""
    return request.getfixturevalue(request.param)


def side_by_side(both, task, contender):
    """Return what the package says by patient and as the mean of its ranking, and what is computed again."""
    results, data = both
    told = values_of(results, task)[contender]
    ranks = results.rank(task).set_index("contender")
    mine = getattr(data, f"score_{task}")(contender)
    return told, float(ranks["mean"][contender]), mine


@pytest.mark.parametrize("contender", CONTENDERS)
@pytest.mark.parametrize("task", ["expression", "niche_signatures", "niche_probe"])
def test_what_is_not_random_is_the_same(both, task, contender):
    told, mean, mine = side_by_side(both, task, contender)
    assert mine == pytest.approx(told, abs=SAME)
    assert np.mean(list(mine.values())) == pytest.approx(mean, abs=SAME)
    assert set(told) == set(both[1].patients)


@pytest.mark.parametrize("contender", CONTENDERS)
@pytest.mark.parametrize("task", ["coexpression", "domains"])
def test_what_is_random_is_within_the_spread_over_seeds(both, task, contender):
    """The package draws once: its difference to the mean over 20 seeds has the spread of a draw and of that mean."""
    told, mean, mine = side_by_side(both, task, contender)
    drawn = np.array([[scores[patient] for patient in sorted(told)] for scores in mine])
    error = np.sqrt(1 + 1 / len(drawn)) * drawn.mean(axis=1).std(ddof=1)
    assert abs(mean - drawn.mean()) <= min(max(3 * error, 1e-3), 0.02)
    error = np.sqrt(1 + 1 / len(drawn)) * drawn.std(axis=0, ddof=1)
    found = np.array([told[patient] for patient in sorted(told)])
    assert (np.abs(found - drawn.mean(axis=0)) <= np.maximum(4 * error, 0.02)).all()
    assert np.mean(list(told.values())) == pytest.approx(mean, abs=1e-12)


def test_the_latent_truth_has_no_bias(synthetic):
    """Both sides draw 20 times; their means agree within three standard errors of the difference, and to .02."""
    _, data = synthetic
    fold, sample, at = next(data.folds(data.samples))
    counts, depth, size = data.molecules(fold, at)
    how = {"library_size": depth, "target_sum": size}
    for contender in CONTENDERS:
        guess = correlations(data.predicted(contender, fold)[at])
        mine = [offdiagonal(latent(counts, depth, size, rng=np.random.default_rng([s, 9])), guess) for s in SEEDS]
        theirs = [offdiagonal(sk.metrics.latent_correlation(counts, rng=s, **how), guess) for s in SEEDS]
        error = np.sqrt((np.var(mine, ddof=1) + np.var(theirs, ddof=1)) / len(SEEDS))
        assert abs(np.mean(mine) - np.mean(theirs)) <= min(3 * error, 0.02), (contender, sample)


@pytest.mark.parametrize("task", PRIMARY)
def test_ranks_rest_on_patients_alone(synthetic, task):
    """Means, t intervals, and p of one test of all pairs, from every sign of six patients."""
    results, _ = synthetic
    ranks = results.rank(task).set_index("contender")
    told = values_of(results, task)
    names = list(ranks.index)
    scores = np.array([[told[name][patient] for name in names] for patient in sorted(told[names[0]])])
    n, k = scores.shape
    assert n == 6
    assert ranks["mean"].to_numpy() == pytest.approx(scores.mean(axis=0), abs=1e-12)
    for column, name in enumerate(names):
        low, high = stats.t.interval(0.95, n - 1, scores[:, column].mean(), stats.sem(scores[:, column]))
        assert (ranks["low"][name], ranks["high"][name]) == pytest.approx((low, high), abs=1e-12)
    p = jointly_flipped(scores)
    level = 1 - 0.05 / (k * (k - 1) / 2)
    for column, name in enumerate(names[1:], start=1):
        difference = scores[:, column] - scores[:, 0]
        low, high = stats.t.interval(level, n - 1, difference.mean(), stats.sem(difference))
        told_of = ranks.loc[name]
        assert (told_of["difference_low"], told_of["difference_high"]) == pytest.approx((low, high), abs=1e-12)
        assert told_of["p_value"] == p[frozenset((0, column))]
