"""One good call of every public metric that takes a matrix, for the tests that go through all of them."""

import numpy as np
from scipy import sparse

import stfmkit as sk

N, N_GENES = 120, 12
rng = np.random.default_rng(0)
NICHE = np.tile(["core", "core", "rim"], N // 3)
PATIENT = np.repeat(["P1", "P2", "P3", "P4"], N // 4)
SLIDE = np.repeat(["S1", "S2"], N // 2)
DEPTH = rng.lognormal(0, 0.3, size=N)
COUNTS = rng.poisson(rng.lognormal(0.2, 0.5, size=N_GENES) * DEPTH[:, None] * (1 + (NICHE == "core"))[:, None]) * 1.0
COUNTS[:, 3] = 0  # a constant gene
LOGGED = np.log1p(COUNTS / DEPTH[:, None])
GUESS = np.abs(0.6 * LOGGED + 0.2 * rng.normal(size=LOGGED.shape))
XY = rng.uniform(0, 100, size=(N, 2))
GRAPH = np.triu((rng.uniform(size=(N, N)) < 0.06) * rng.uniform(0.5, 1.5, size=(N, N)), 1)
GRAPH += GRAPH.T
GRAPH = np.where(SLIDE[:, None] == SLIDE, GRAPH, 0.0)
EMBEDDING = np.column_stack([(NICHE == "core") * 2.0, LOGGED[:, :4]]) + rng.normal(size=(N, 5))
OTHER = EMBEDDING @ rng.normal(size=(5, 3))
TRUTH_C, GUESS_C = (np.corrcoef(np.delete(part, 3, axis=1).T) for part in (LOGGED, GUESS))
SHARES, SHARES_GUESS = (part / part.sum(axis=1, keepdims=True) for part in rng.uniform(size=(2, N, 3)))

EXPRESSION = {"truth": LOGGED, "predicted": GUESS}
PAIR = {"truth": TRUTH_C, "predicted": GUESS_C}
SCIB = {"embedding": EMBEDDING, "labels": NICHE}
CALLS = {
    "auroc": {"X": LOGGED, "mask": NICHE == "core"},
    "auroc_by_group": {"X": LOGGED, "labels": NICHE},
    "auroc_top": EXPRESSION,
    "bivariate_morans_i": EXPRESSION | {"graph": GRAPH},
    "ccc": EXPRESSION,
    "chaos": {"coords": XY, "labels": NICHE},
    "cka": {"first": EMBEDDING, "second": OTHER},
    "coexpression_order": {"truth": TRUTH_C},
    "composition_f1": {"truth": SHARES, "predicted": SHARES_GUESS},
    "composition_js": {"truth": SHARES, "predicted": SHARES_GUESS},
    "composition_r2": {"truth": SHARES, "predicted": SHARES_GUESS},
    "coordinate_r2": {"embedding": EMBEDDING, "coords": XY, "groups": SLIDE},
    "correlation": {"X": LOGGED, "groups": SLIDE, "covariate": OTHER},
    "degenerate_genes": EXPRESSION,
    "deviance_explained": {"truth": COUNTS, "predicted": GUESS + 0.1, "null": COUNTS + 0.5},
    "drop_undefined": {"a": TRUTH_C, "b": GUESS_C},
    "eigen_spectrum_distance": PAIR,
    "embedding_neighbors": {"embedding": EMBEDDING, "n_neighbors": 5},
    "few_shot_f1": {"embedding": EMBEDDING, "labels": NICHE, "groups": PATIENT, "n_labels": (1, 5), "n_repeats": 2},
    "fide": {"labels": NICHE, "graph": GRAPH},
    "frobenius_error": PAIR,
    "gearys_c": {"X": LOGGED, "graph": GRAPH},
    "gearys_c_test": {"X": LOGGED, "graph": GRAPH, "n_permutations": 9},
    "group_probe_accuracy": {"embedding": EMBEDDING, "groups": PATIENT},
    "grouped_ridge": {"embedding": EMBEDDING, "targets": OTHER, "groups": PATIENT},
    "knn_overlap": {"first": EMBEDDING, "second": OTHER},
    "lagged_correlation": {
        "X": LOGGED,
        "graph": GRAPH,
        "pairs": [[0, 1], [4, 2], [3, 5]],
        "groups": SLIDE,
        "covariate": OTHER,
    },
    "latent_correlation": {"X": COUNTS, "groups": SLIDE, "covariate": OTHER, "n_draws": 2, "min_z": 1.0},
    "library_size_r2": {"embedding": EMBEDDING, "library_size": DEPTH, "groups": PATIENT},
    "mantel": PAIR | {"n_permutations": 9},
    "mantel_p": PAIR | {"n_permutations": 9},
    "map_ssim": EXPRESSION | {"graph": GRAPH},
    "mean_absolute_difference": PAIR,
    "module_preservation": PAIR | {"n_modules": 3},
    "moran_ratio": EXPRESSION | {"graph": GRAPH},
    "morans_i": {"X": LOGGED, "graph": GRAPH},
    "morans_i_test": {"X": LOGGED, "graph": GRAPH, "n_permutations": 9},
    "n_degenerate": PAIR,
    "neighborhood_composition": {"coords": XY, "celltypes": NICHE, "samples": SLIDE, "n_neighbors": 4},
    "neighborhood_purity": {"embedding": EMBEDDING, "labels": NICHE},
    "niche_scores": {"X": LOGGED, "labels": NICHE, "patients": PATIENT},
    "nrmse": EXPRESSION,
    "offdiagonal_correlation": PAIR,
    "partial_pearson": EXPRESSION | {"covariate": OTHER},
    "participation_ratio": PAIR,
    "pas": {"coords": XY, "labels": NICHE},
    "pearson": EXPRESSION,
    "q2": EXPRESSION | {"train_mean": GUESS + LOGGED.mean(axis=0)},
    "r2": EXPRESSION,
    "rank_sum_test": {"X": LOGGED, "labels": NICHE},
    "rigid_motion_change": {"embed": lambda at: at[:, :1] * at[:, 1:], "coords": XY},
    "rmse": EXPRESSION,
    "robustness_index": {"embedding": EMBEDDING, "biology": NICHE, "confounder": PATIENT},
    "rv_coefficient": PAIR,
    "scib_bras": SCIB | {"batches": PATIENT},
    "scib_clisi": SCIB,
    "scib_graph_connectivity": SCIB,
    "scib_ilisi": {"embedding": EMBEDDING, "batches": PATIENT},
    "scib_isolated_labels": SCIB | {"batches": PATIENT},
    "scib_kbet": SCIB | {"batches": PATIENT},
    "scib_kmeans_ari": SCIB,
    "scib_kmeans_nmi": SCIB,
    "scib_pcr": {"embedding": EMBEDDING, "reference": OTHER, "batches": PATIENT},
    "scib_silhouette_label": SCIB,
    "share_degenerate": PAIR,
    "sign_agreement": PAIR | {"threshold": 0.1},
    "signature_statistics": {"X": LOGGED, "labels": NICHE, "patients": PATIENT},
    "signature_truth": {"X": LOGGED, "mask": NICHE == "core", "patients": PATIENT, "min_log2fc": 0.0, "alpha": 1.0},
    "sparkx_test": {"X": COUNTS, "coords": XY},
    "spatial_asw": {"coords": XY, "labels": NICHE},
    "spearman": EXPRESSION,
    "split_half_reliability": {"half_a": LOGGED, "half_b": GUESS},
    "ssim": {"a": TRUTH_C, "b": GUESS_C, "data_range": 2.0},
    "ssim_global": PAIR,
    "ssim_ordered": PAIR | {"order": np.arange(N_GENES - 1)[::-1]},
    "ssim_permuted": PAIR | {"n_orders": 3},
    "ssim_permuted_sd": PAIR | {"n_orders": 3},
    "subspace_affinity": PAIR | {"n_eigenvectors": 3},
    "variance_ratio": EXPRESSION,
}
NO_MATRIX = {
    *("adjusted_jaccard", "dice", "expected_jaccard", "jaccard", "normalized_jaccard", "overlap_coefficient"),
    *("rank_biased_overlap", "signature_specificity", "signed_jaccard"),  # sets
    *("ari", "balanced_accuracy", "class_f1", "domain_jsd", "macro_f1", "nmi", "robustness_index_chance"),  # labels
    *("ceiling_normalized", "density_r2", "pearson_ceiling", "scib_total"),  # scores
    *(
        "signature_fold_change_correlation",
        "signature_ranking_auroc",
        "signature_sets",
        "signature_size",
        "signature_top",
    ),
    *("describe", "list_metrics", "metric", "register_metric", "spec", "unregister_metric"),  # about metrics
}
ARGUMENTS = [(name, key) for name, call in CALLS.items() for key, value in call.items() if np.ndim(value) == 2]
ARGUMENTS = [(name, key) for name, key in ARGUMENTS if key != "pairs"]


def arguments(name):
    """Return the arguments of one call, its graph as CSR."""
    return {key: sparse.csr_array(value) if key == "graph" else value for key, value in CALLS[name].items()}


def score(name, **changed):
    """Return the result of one call, with some arguments replaced."""
    return getattr(sk.metrics, name)(**arguments(name) | changed)
