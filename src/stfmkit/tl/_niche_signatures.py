"""Niche signatures: which genes mark a niche, and whether a prediction names them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from stfmkit._core import slots
from stfmkit._core.arguments import check_choice, check_fraction, check_integer, check_key
from stfmkit._core.random import RNGLike, as_seed
from stfmkit._data.view import resolve_table
from stfmkit._data.write_slots import check_free, package_versions, write_record
from stfmkit._kernels._torus import MOVES
from stfmkit.evaluation.averages import score_tables
from stfmkit.evaluation.signature_null import null_table
from stfmkit.evaluation.signature_tables import find_signatures, gene_table, score_cohort, within_table
from stfmkit.evaluation.signatures import MIN_OBS, SIZES, Thresholds
from stfmkit.tl._signature_inputs import check_sizes, read_inputs, read_moved_places

if TYPE_CHECKING:
    from stfmkit._data.view import Container

VERB = "niche_signatures"


def niche_signatures(
    data: "Container",
    label_key: str,
    *,
    patient_key: str,
    sample_key: str | None = None,
    layer: str | None = None,
    scale: str = "size_factor_log1p",
    prediction: str | pd.DataFrame | None = None,
    predicted_label_key: str | None = None,
    sizes: int | Sequence[int] = SIZES,
    min_auroc: float = 0.5,
    min_log2fc: float = 0.5,
    min_pct: float = 0.1,
    alpha: float = 0.05,
    min_obs: int = MIN_OBS,
    null_model: str | None = None,
    n_permutations: int = 99,
    ceiling: bool = True,
    within_patient: bool = False,
    spatial_key: str = slots.SPATIAL,
    table_key: str | None = None,
    key_added: str = VERB,
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
    label_key
        Column of ``obs`` with the niches of the annotation. Observations without a label are left out.
    patient_key
        Column of ``obs`` with the patient.
    sample_key
        Column of ``obs`` with the sample (section, slide); labels are moved within samples. Read with `null_model`
        only.
    layer
        Layer with the truth; ``X`` where it is left out.
    scale
        Scale of the expression that is predicted, to which the truth is brought. "size_factor_log1p": the prediction is
        log expression (values below 0 count as 0 in fold changes only), and the truth raw counts, which are checked and
        brought to size-factor log1p over all genes of the table. "counts": the prediction is expected counts, not
        necessarily integers, and both sides are normalised. "as_is": both sides are log expression already; there is no
        ceiling by thinning then.
    prediction
        Predicted expression: a layer, a key of ``obsm`` with a DataFrame whose columns are genes, or such a DataFrame.
        Genes that it does not predict are not compared.
    predicted_label_key
        Column of ``obs`` with predicted niches, named as in the annotation. The predicted expression is then ranked by
        these, and the truth by the annotation: this scores labels and expression together. By default both are ranked
        by the annotation. Only observations with both labels are used.
    sizes
        Sizes of signatures, one or several.
    min_auroc, min_log2fc, min_pct, alpha
        Thresholds of the true signature, as in :func:`stfmkit.metrics.signature_sets`; ``alpha=1`` leaves the test
        out, which has little power with three to five patients.
    min_obs
        Fewest observations inside and outside a niche for which a patient counts for it. A niche without any such
        patient is left out with a warning; its observations stay in the rest of the others.
    null_model
        Move labels within every sample, so that they keep their autocorrelation, and score again: "torus" (random
        shift on the bounding box, closed to a torus) or "rotation" (random angle around its middle). An observation
        takes the label of the nearest one. Torus suits samples that fill a rectangle, rotation round ones without a
        special direction (layers have one); elsewhere the sizes of moved niches vary, and p-values are approximate.
    n_permutations
        Number of random orders, here of moves of the labels; the smallest p-value is ``1 / (n_permutations + 1)``.
    ceiling
        Also estimate upper bounds from two halves of the counts (binomial thinning), and what another cohort of as many
        patients would agree on from two halves of the patients.
    within_patient
        Also return the rank-sum test of every patient on its own. Spots of one patient are no replicates: these
        p-values describe a section, choose no gene, and must not be reported as evidence over patients.
    spatial_key
        Key of the coordinates in ``obsm``. Read with `null_model` only.
    table_key
        Table of a SpatialData.
    key_added
        Key in ``uns``.
    rng
        Integer, generator, or None for a new seed, of thinning, splits and moves.
    copy
        Return the result and write nothing.

    Returns
    -------
    With ``copy=True`` a dictionary of tables. Otherwise None, and writes it into ``uns[key_added]``, and parameters
    into ``uns["stfmkit"]["niche_signatures"]``.

    ``genes``: one row per niche and gene. niche, gene, auroc, log2fc (of mean expression), pct_in, pct_out, n_patients,
    p_value, p_adj (NaN with fewer than three patients), selected (in the largest signature), rank (from 1, 0 where not
    selected; the signature of size n has ``1 <= rank <= n``), selected_down (same rule for genes with less), and with a
    prediction predicted_auroc and predicted_log2fc.

    ``scores``: one row for every contender, metric, size and niche, with the columns of all scores of stfmkit; the
    setting is the size, such as "n=10". ``signature_size`` of the true signatures (of genes with less: "n=10, down");
    ``jaccard`` of the contender "control:chance"; ceilings of ``adjusted_jaccard`` and ``rank_biased_overlap`` from
    halves of the counts ("n=10") and of the patients ("n=10, halves of patients"); with a prediction ``jaccard``,
    ``adjusted_jaccard`` and ``rank_biased_overlap`` (both also summed over niches as a share of the sum of their
    ceilings), ``dice``, ``overlap_coefficient``, ``signed_jaccard`` (up and down), ``signature_specificity``,
    ``signature_ranking_auroc`` and ``signature_fold_change_correlation`` (Spearman).
    Undefined where no gene marks the niche; set metrics are 0 for a niche that was never predicted.
    `stfmkit.bm.run` computes the same numbers.

    ``by_patient``: empty, as these scores speak of all patients together. ``summary``: means over niches.

    ``niches``: niche, n_obs, n_patients (that count), patients_left_out, tested, scored.

    ``within_patient``, where asked for: niche, patient, gene, auroc, z, p_value (two-sided, ties accounted for; not
    adjusted), for the patients that count for the niche.

    ``null``, where asked for: niche, n, statistic, observed, null_mean, null_sd, p_value, n_permutations. The statistic
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
    ...     cells, "niche", patient_key="patient", prediction="noise_free", scale="counts", sizes=5, alpha=1
    ... )
    >>> jaccard = cells.uns["niche_signatures"]["summary"].query("metric == 'jaccard'").set_index("contender")["mean"]
    >>> bool(jaccard["noise_free"] > jaccard["control:chance"])
    True
    """
    adata = resolve_table(data, table_key=table_key)
    wanted, thresholds = check_sizes(sizes), Thresholds(min_auroc, min_log2fc, min_pct, alpha)
    _check(thresholds, null_model=null_model, n_permutations=n_permutations, key_added=key_added)
    if not copy:
        check_free(adata, "uns", [key_added], step=VERB, result=key_added)
    seed = as_seed(rng)
    moves: dict[str, Any] = {"sample_key": sample_key, "spatial_key": spatial_key, "null_model": null_model}
    places = None if null_model is None else read_moved_places(adata, patient_key=patient_key, **moves)
    keys: dict[str, Any] = {
        "label_key": label_key,
        "patient_key": patient_key,
        "predicted_label_key": predicted_label_key,
    }
    inputs = read_inputs(adata, layer=layer, scale=scale, prediction=prediction, min_obs=min_obs, seed=seed, **keys)
    arrays, contender = inputs.arrays, prediction if isinstance(prediction, str) else "prediction"
    found = find_signatures(arrays, most=max(wanted), thresholds=thresholds)
    scores = score_cohort(arrays, found, wanted, contender=contender, thresholds=thresholds, ceiling=ceiling, seed=seed)
    result = {"genes": gene_table(found, inputs.genes), **score_tables(scores, relative=False)}
    result["niches"] = inputs.summary
    if within_patient:
        result["within_patient"] = within_table(found, inputs.genes)
    if null_model is not None and places is not None:
        coords, samples = (part[inputs.rows] for part in places)
        draws: dict[str, Any] = {"kind": null_model, "n_permutations": int(n_permutations), "seed": seed}
        result["null"] = null_table(arrays, found, coords=coords, samples=samples, sizes=wanted, **draws)
    if copy:
        return result
    adata.uns[key_added] = result
    record: dict[str, Any] = {
        **keys,
        **moves,
        "layer": layer,
        "scale": scale,
        "prediction": prediction if isinstance(prediction, str) else None,
        "sizes": list(wanted),
        "thresholds": thresholds._asdict(),
        "min_obs": int(min_obs),
        "within_patient": bool(within_patient),
        "n_permutations": int(n_permutations),
        "rng": seed,
        "n_obs": len(inputs.rows),
        "n_genes": len(inputs.genes),
        "versions": package_versions("numpy", "scipy"),
    }
    write_record(adata, VERB, key_added, record, wrote={"uns": [key_added]})
    return None


def _check(thresholds: Thresholds, *, null_model: str | None, n_permutations: int, key_added: str) -> None:
    for name in ("min_auroc", "min_pct", "alpha"):
        check_fraction(getattr(thresholds, name), name=name)
    if null_model is not None:
        check_choice(null_model, MOVES, name="null_model")
        check_integer(n_permutations, name="n_permutations", least=1)
    check_key(key_added)
