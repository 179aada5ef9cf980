"""Niche signatures: which genes mark a niche, and whether a prediction names them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from anndata import AnnData

from stfmkit._core import slots
from stfmkit._core.arguments import check_choice, check_fraction, check_integer
from stfmkit._core.errors import InputError
from stfmkit._core.random import RNGLike, as_generator, int_seed
from stfmkit._data.columns import read_groups
from stfmkit._data.view import resolve_table
from stfmkit._data.write import check_free, package_versions, write_result
from stfmkit._kernels._torus import MOVES
from stfmkit.tl._signature_agreement import Signatures, Thresholds
from stfmkit.tl._signature_input import SignatureInput, check_sizes, read_input
from stfmkit.tl._signature_null import null_table, read_places
from stfmkit.tl._signature_scores import (
    find_signatures,
    gene_table,
    patient_ceiling,
    score_table,
    thinned_ceiling,
    within_table,
)

if TYPE_CHECKING:
    from stfmkit._data.view import Container

STEP = "niche_signatures"


def niche_signatures(
    data: "Container",
    niche_key: str,
    *,
    patient_key: str,
    sample_key: str | None = None,
    layer: str | None = None,
    scale: str = "counts",
    pred_layer: str | pd.DataFrame | None = None,
    pred_scale: str = "log1p",
    pred_niche_key: str | None = None,
    n: int | Sequence[int] = (10, 20, 50),
    min_auroc: float = 0.5,
    min_log2fc: float = 0.5,
    min_pct: float = 0.1,
    alpha: float = 0.05,
    min_obs: int = 3,
    null: str | None = None,
    n_null: int = 99,
    ceiling: bool = True,
    within_patient: bool = False,
    spatial_key: str = slots.SPATIAL,
    table_key: str | None = None,
    key_added: str = STEP,
    rng: RNGLike = 0,
    copy: bool = False,
) -> dict[str, pd.DataFrame] | None:
    """Find the genes that mark each niche and, given a prediction, score whether it names them.

    Genes are ranked by AUROC (niche against the rest) within every patient, and averaged over patients. The true
    signature holds the best n genes that pass the thresholds and, with three patients or more, a paired test over
    patients on pseudobulks (Benjamini and Hochberg over genes); observations never enter as if they were independent.
    A predicted signature is chosen by rank alone, as many genes as the true one has: predictions are smooth, so that
    nearly every gene of them would be significant.

    Parameters
    ----------
    data
        AnnData or SpatialData.
    niche_key
        Column of ``obs`` with the niches of the annotation. Observations without a label are left out.
    patient_key
        Column of ``obs`` with the patient.
    sample_key
        Column of ``obs`` with the sample; labels are moved within samples. Read with `null` only.
    layer
        Layer with the truth; ``X`` where it is left out.
    scale
        "counts": raw counts, which are checked and brought to size-factor log1p over all genes of the table. "log1p":
        the layer has been normalised before; there is no ceiling by thinning then.
    pred_layer
        Layer with predicted expression of the same observations and genes, or a DataFrame with ``obs_names`` and
        ``var_names`` in the same order.
    pred_scale
        "log1p": predictions of log expression; values below 0 count as 0 in fold changes only. "counts": expected
        counts, not necessarily integers, which are normalised as the truth.
    pred_niche_key
        Column of ``obs`` with predicted niches, named as in the annotation. The predicted expression is then ranked by
        these, and the truth by the annotation: this scores labels and expression together. By default both are ranked
        by the annotation. Only observations with both labels are used.
    n
        Sizes of signatures.
    min_auroc, min_log2fc, min_pct, alpha
        Thresholds of the true signature, as in :func:`stfmkit.metrics.signature_sets`; ``alpha=1`` leaves the test
        out, which has little power with three to five patients.
    min_obs
        Fewest observations inside and outside a niche for which a patient counts for it. A niche without any such
        patient is left out with a warning; its observations stay in the rest of the others.
    null
        Move labels within every sample, so that they keep their autocorrelation, and score again: "torus" (random
        shift on the bounding box, closed to a torus) or "rotation" (random angle around its middle). An observation
        takes the label of the nearest one. Torus suits samples that fill a rectangle, rotation round ones without a
        special direction (layers have one); elsewhere the sizes of moved niches vary, and p-values are approximate.
    n_null
        Number of moves; the smallest p-value is ``1 / (n_null + 1)``.
    ceiling
        Also estimate what an independent measurement would score, from two halves of the counts (binomial thinning)
        and of the patients. Halves hold less than all of the data, so these ceilings are on the low side.
    within_patient
        Also return the rank-sum test of every patient on its own. Spots of one patient are no replicates: these
        p-values describe a section, choose no gene, and must not be reported as evidence over patients.
    spatial_key
        Key of the coordinates in ``obsm``. Read with `null` only.
    table_key
        Table of a SpatialData.
    key_added
        Key in ``uns``.
    rng
        Seed of thinning, splits and moves.
    copy
        Return the tables and write nothing.

    Returns
    -------
    With ``copy=True`` a dictionary of tables. Otherwise None, and writes it into ``uns[key_added]``, and parameters
    into ``uns["stfmkit"]["niche_signatures"]``.

    ``genes``: one row per niche and gene. niche, gene, auroc, log2fc (of mean expression), pct_in, pct_out, n_patients,
    p_value, p_adj (NaN with fewer than three patients), selected (in the largest signature), rank (from 1, 0 where not
    selected; the signature of size n has ``1 <= rank <= n``), selected_down (same rule for genes with less), and with a
    prediction predicted_auroc and predicted_log2fc.

    ``scores``: niche, n, metric, value; n is 0 where a metric has no size. n_true and n_true_down (sizes of the true
    signatures), chance_jaccard, ceiling_thinned and ceiling_patients (as Jaccard index for these sizes); with a
    prediction jaccard, adjusted_jaccard, dice, overlap_coefficient, rank_biased_overlap, signed_jaccard (up and down),
    specificity, ranking_auroc, normalized_jaccard_thinned and normalized_jaccard_patients (0 is chance, 1 the ceiling),
    fold_change_correlation (Spearman). NaN where no gene marks the niche; set metrics are 0 for a niche that was never
    predicted.

    ``niches``: niche, n_obs, n_patients (that count), patients_left_out, tested, scored.

    ``within_patient``, where asked for: niche, patient, gene, auroc, z, p_value (two-sided, ties accounted for; not
    adjusted), for the patients that count for the niche.

    ``null``, where asked for: niche, n, statistic, observed, null_mean, null_sd, p_value, n_null. The statistic
    "top_auroc" is the mean AUROC of the best n genes of the truth: does the niche mark expression more than a region of
    its shape anywhere? "jaccard" compares the true signature with the prediction ranked by moved labels: does the
    prediction name these genes more than it would for another region of that shape? p-values are one-sided and not
    adjusted over niches.

    Raises
    ------
    MissingKeyError
        A column, layer or slot is not there.
    InputError
        The matrix is not on the declared scale, a prediction has NaN or other genes, ids are missing, no niche can be
        scored, or labels cannot be moved.

    Warns
    -----
    StfmkitWarning
        Niches that are left out, and niches in fewer than three patients, whose genes are not tested.

    References
    ----------
    Neufeld et al. 2022, Biostatistics kxac047 (thinning); Webber et al. 2010, ACM Trans Inf Syst 28:20 (rank-biased
    overlap).

    Examples
    --------
    >>> import stfmkit as sk
    >>> cells = sk.datasets.synthetic_cohort(3, n_genes=40, size=300, as_="anndata", show_progress=False)
    >>> sk.tl.niche_signatures(
    ...     cells, "niche", patient_key="patient", pred_layer="noise_free", pred_scale="counts", n=5, alpha=1
    ... )
    >>> scores = cells.uns["niche_signatures"]["scores"]
    >>> mean = scores.groupby("metric", observed=True)["value"].mean()
    >>> bool(mean["jaccard"] > mean["chance_jaccard"])
    True
    """
    adata = resolve_table(data, table_key=table_key)
    sizes = check_sizes(n)
    thresholds = Thresholds(min_auroc, min_log2fc, min_pct, alpha)
    for name in ("min_auroc", "min_pct", "alpha"):
        check_fraction(getattr(thresholds, name), name=name)
    if not copy:
        check_free(adata, "uns", [key_added], step=STEP)
    places = _read_places(adata, null, n_null, sample_key=sample_key, spatial_key=spatial_key, patient_key=patient_key)
    used = read_input(
        adata,
        niche_key=niche_key,
        patient_key=patient_key,
        layer=layer,
        scale=scale,
        pred_layer=pred_layer,
        pred_scale=pred_scale,
        pred_niche_key=pred_niche_key,
        min_obs=min_obs,
    )
    seed = int_seed(as_generator(rng))
    found = find_signatures(used, most=max(sizes), thresholds=thresholds)
    result = _tables(used, found, sizes, ceiling=ceiling, seed=seed, thresholds=thresholds)
    if within_patient:
        result["within_patient"] = within_table(found, used.genes)
    if null is not None and places is not None:
        result["null"] = null_table(used, found, places=places, kind=null, n_null=int(n_null), sizes=sizes, seed=seed)
    if copy:
        return result
    params: dict[str, Any] = {
        "niche_key": niche_key,
        "patient_key": patient_key,
        "sample_key": sample_key or "none",
        "layer": layer or "X",
        "scale": scale,
        "prediction": "none" if pred_layer is None else pred_layer if isinstance(pred_layer, str) else "a table",
        "pred_scale": pred_scale,
        "pred_niche_key": pred_niche_key or "none",
        "n": list(sizes),
        "thresholds": thresholds._asdict(),
        "min_obs": int(min_obs),
        "within_patient": bool(within_patient),
        "null": null or "none",
        "n_null": int(n_null),
        "seed": seed,
        "n_obs": len(used.rows),
        "n_genes": len(used.genes),
        "versions": package_versions("numpy", "scipy"),
    }
    adata.uns[key_added] = result
    write_result(adata, STEP, key_added, params, wrote=[key_added])
    return None


def _read_places(
    adata: AnnData, null: str | None, n_null: int, *, sample_key: str | None, spatial_key: str, patient_key: str
) -> Any:
    if null is None:
        return None
    check_choice(null, MOVES, name="null")
    check_integer(n_null, name="n_null", least=1)
    patients = read_groups(adata, patient_key, role="patient_key")
    if sample_key is None and len(patients.categories) > 1:
        raise InputError(
            f"null={null!r}, {len(patients.categories)} patients, and no sample_key.",
            allowed="labels that are moved within one sample",
            remedy="pass sample_key=, the column that tells the samples apart.",
        )
    return read_places(adata, sample_key=sample_key, spatial_key=spatial_key)


def _tables(
    used: SignatureInput,
    found: Signatures,
    sizes: tuple[int, ...],
    *,
    ceiling: bool,
    seed: int,
    thresholds: Thresholds,
) -> dict[str, pd.DataFrame]:
    ceilings = {}
    if ceiling:
        if used.counts is not None:
            ceilings["thinned"] = thinned_ceiling(used, used.counts, sizes, seed=seed, thresholds=thresholds)
        ceilings["patients"] = patient_ceiling(found.statistics, sizes, seed=seed, thresholds=thresholds)
    niches = used.summary.copy()
    niches.index = niches.index.astype(str)
    return {
        "genes": gene_table(found, used.genes),
        "scores": score_table(found, sizes, ceilings),
        "niches": niches,
    }
