"""One name, one number: the verbs give what `evaluation` gives when it is called fold by fold, as sk.bm does."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import stfmkit as sk
from stfmkit import metrics
from stfmkit._core.random import stream
from stfmkit._kernels._neighbors import neighbor_graph
from stfmkit._kernels._thinning import thin
from stfmkit.evaluation.averages import score_tables
from stfmkit.evaluation.coexpression import CoexpressionSizes, coexpression_ceilings, score_coexpression
from stfmkit.evaluation.cohort_signatures import CohortTruth
from stfmkit.evaluation.expression import ExpressionTruth, expression_ceilings, score_expression
from stfmkit.evaluation.molecules import Molecules
from stfmkit.evaluation.reliability import Reliability, training_reliability
from stfmkit.evaluation.scores import concat_scores
from stfmkit.evaluation.signatures import SignatureTruth, marker_table, patient_signatures

KEYS = {"patient_key": "patient", "sample_key": "sample"}
ROW = ["metric", "setting", "scope", "status", "fold", "patient", "sample", "gene", "niche"]


@pytest.fixture
def predicted(toy, rng):
    """The toy with out-of-fold predictions of thirty genes from a noisy encoder."""
    toy.obsm["encoder"] = np.log1p(toy.X.toarray())[:, 30:] + rng.normal(0, 1, (toy.n_obs, 10))
    genes = list(toy.var_names[:30])
    sk.tl.predict_expression(toy, "encoder", genes=genes, split=sk.pp.PatientKFold(4), ridge_alpha=[10.0], **KEYS)
    return toy


def folds(adata):
    """Yield number, training and test rows, counts of the predicted genes, and library sizes."""
    fold = adata.obs["predicted_fold"].to_numpy()
    counts = sparse.csr_array(adata.X).astype(np.float64)
    for number in range(4):
        yield number, np.flatnonzero(fold != number), np.flatnonzero(fold == number), counts[:, :30].toarray()


def on_scale(counts, depth, target):
    return np.log1p(counts / depth[:, None] * target)


def halves_of(adata, depth):
    """Yield five pairs of halves, every observation scaled as in the fold that tests it."""
    fold = adata.obs["predicted_fold"].to_numpy()
    target = np.array([np.median(depth[fold != number]) for number in range(4)])[fold]
    for draw in range(5):
        pair = thin(sparse.csr_array(adata.X)[:, :30], rng=stream(0, "reliability", "halves", draw))
        yield [np.log1p(half.toarray() / (depth[:, None] / 2) * target[:, None]) for half in pair]


def agreement(halves, rows):
    """Return the correlation of the halves of every gene, the mean over draws."""
    return np.mean([[np.corrcoef(a[rows, g], b[rows, g])[0, 1] for g in range(30)] for a, b in halves], axis=0)


def rows_by_sample(sample, rows):
    return [(name, rows[sample[rows] == name]) for name in np.unique(sample[rows])]


def truths(adata):
    """Yield the truth of every fold, made by hand."""
    depth = np.asarray(adata.X.sum(axis=1), dtype=np.float64).ravel()
    thinned = list(halves_of(adata, depth))
    sample, patient = (np.asarray(adata.obs[key].astype(str)) for key in ("sample", "patient"))
    for number, train, test, counts in folds(adata):
        target = np.median(depth[train])
        yield ExpressionTruth(
            expression=on_scale(counts[test], depth[test], target),
            genes=adata.var_names[:30].to_numpy(dtype=str),
            samples=sample[test],
            patients=patient[test],
            graph=neighbor_graph(adata.obsm["spatial"][test], sample[test]),
            train_mean=on_scale(counts[train], depth[train], target).mean(axis=0),
            log_depth=np.log1p(depth[test]),
            reliability=Reliability(
                agreement={s: agreement(thinned, rows) for s, rows in rows_by_sample(sample, test)},
                train=training_reliability(
                    {s: agreement(thinned, rows) for s, rows in rows_by_sample(sample, train)},
                    {s: len(rows) for s, rows in rows_by_sample(sample, train)},
                ),
            ),
            fold=number,
        )


def compare(found, expected, **tolerance):
    left, right = (table.set_index(ROW)["value"].sort_index() for table in (found, expected))
    assert left.index.equals(right.index)
    np.testing.assert_allclose(left, right, **{"rtol": 1e-9, "atol": 1e-12, **tolerance})


def test_expression(predicted):
    prediction = predicted.obsm["predicted"].to_numpy(dtype=np.float64)
    parts = []
    for (_, _, test, _), truth in zip(folds(predicted), truths(predicted), strict=True):
        parts += [score_expression(truth, prediction[test]), expression_ceilings(truth)]
    expected = score_tables(concat_scores(parts))
    found = sk.tl.evaluate_expression(predicted, "predicted", copy=True, **KEYS)
    own = found["scores"][found["scores"]["contender"].isin(["predicted", ""])]
    assert own["metric"].nunique() == 15
    compare(own, expected["scores"])
    averages = found["summary"].query("contender in ('predicted', '')").set_index(["metric", "status"])["mean"]
    for row in expected["summary"].itertuples():
        assert averages[row.metric, row.status] == pytest.approx(row.mean, rel=1e-9)


def test_coexpression(predicted, rng):
    one = predicted[predicted.obs["sample"] == "S4"].copy()
    programs = rng.normal(size=(one.n_obs, 3)) @ rng.normal(size=(3, one.n_vars))
    one.X = sparse.csr_matrix(rng.poisson(np.exp(0.5 * programs + 2)).astype(np.float32))  # what few spots show clearly
    sizes = CoexpressionSizes(n_orders=5, n_permutations=19)
    found = sk.tl.coexpression(
        one, prediction="predicted", sample_key="sample", n_orders=5, n_permutations=19, copy=True, rng=3
    )
    depth = np.asarray(one.X.sum(axis=1), dtype=np.float64).ravel()
    counts = sparse.csr_array(one.X)[:, :30]
    halves = thin(counts, rng=stream(3, "coexpression", "thinned"))
    target = np.median(depth)
    truth = ExpressionTruth(
        expression=on_scale(counts.toarray().astype(np.float64), depth, target),
        genes=one.var_names[:30].to_numpy(dtype=str),
        samples=np.full(one.n_obs, "S4"),
        patients=np.full(one.n_obs, ""),
        halves=tuple(on_scale(half.toarray(), depth / 2, target) for half in halves),
        molecules=Molecules(counts=counts, library_size=depth, target_sum=target),
    )
    order = metrics.coexpression_order(metrics.correlation(truth.expression))
    assert found["order"].tolist() == truth.genes[order].tolist()
    parts = [
        score_coexpression(truth, one.obsm["predicted"].to_numpy(), order=order, seed=3, sizes=sizes),
        coexpression_ceilings(truth, order=order, seed=3, sizes=sizes),
    ]
    expected = score_tables(concat_scores(parts))["scores"]
    scores = found["scores"]
    own = scores[(scores["contender"] == "predicted") | (scores["status"] == "ceiling")]
    latent = own[own["setting"].str.contains("truth=latent")]
    assert latent["value"].notna().all()
    assert set(latent["metric"]) == set(own["metric"])
    compare(own, expected, rtol=1e-6)  # of a prediction in single precision


def test_signatures_of_the_cohort(predicted):
    niche, patient, sample = (np.asarray(predicted.obs[k].astype(str)) for k in ("niche", "patient", "sample"))
    prediction = predicted.obsm["predicted"].to_numpy(dtype=np.float64)
    markers = []
    for (number, _, test, _), truth in zip(folds(predicted), truths(predicted), strict=True):
        one = SignatureTruth(
            expression=truth.expression,
            genes=truth.genes,
            niches=niche[test],
            samples=sample[test],
            patients=patient[test],
            fold=number,
        )
        markers.append(marker_table(one, patient_signatures(one, prediction[test])))
    depth = np.asarray(predicted.X.sum(axis=1), dtype=np.float64).ravel()
    counts = sparse.csr_array(predicted.X)[:, :30].toarray()
    cohort = CohortTruth.of(
        sparse.csr_array(on_scale(counts, depth, np.median(depth))),
        genes=predicted.var_names[:30].to_numpy(dtype=str),
        niches=niche,
        patients=patient,
    )
    found = sk.tl.niche_signatures(
        predicted, "niche", patient_key="patient", prediction="predicted", sizes=(10,), ceiling=False, copy=True
    )["scores"]
    compare(found[found["contender"] == "predicted"], cohort.score(pd.concat(markers)))
