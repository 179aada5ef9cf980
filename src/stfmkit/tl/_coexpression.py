"""Correlate genes, and judge how much of their co-expression a prediction keeps."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from anndata import AnnData

from stfmkit._core import slots
from stfmkit._core.arguments import check_choice, check_integer, check_key
from stfmkit._core.errors import InputError
from stfmkit._core.random import RNGLike, as_seed
from stfmkit._data.training import Train
from stfmkit._data.view import resolve_table
from stfmkit._data.write_slots import check_free, package_versions, write_record
from stfmkit.evaluation.averages import score_tables
from stfmkit.evaluation.coexpression import (
    N_EIGENVECTORS,
    N_MODULES,
    N_ORDERS,
    N_PERMUTATIONS,
    WINDOW,
    CoexpressionSizes,
)
from stfmkit.evaluation.coexpression_suite import CoexpressionSuite
from stfmkit.metrics._ssim import check_fits, check_window
from stfmkit.tl._coexpression_inputs import Inputs, read_inputs

if TYPE_CHECKING:
    from stfmkit._data.view import Container

VERB = "coexpression"


def coexpression(
    data: "Container",
    *,
    layer: str | None = None,
    prediction: str | pd.DataFrame | None = None,
    method: Literal["pearson", "spearman"] = "pearson",
    scale: str = "size_factor_log1p",
    genes: str | list[str] | pd.Index | np.ndarray | None = None,
    sample_key: str | None = None,
    covariate: str | None = None,
    train: Train = None,
    order: list[str] | pd.Index | np.ndarray | None = None,
    lr_pairs: str | pd.DataFrame | None = None,
    graph_key: str | None = None,
    spatial_key: str = slots.SPATIAL,
    null_model: Literal["rotation", "permutation"] | None = "rotation",
    window: int = WINDOW,
    n_orders: int = N_ORDERS,
    n_permutations: int = N_PERMUTATIONS,
    n_modules: int = N_MODULES,
    n_eigenvectors: int = N_EIGENVECTORS,
    table_key: str | None = None,
    key_added: str = VERB,
    rng: RNGLike = 0,
    copy: bool = False,
) -> dict[str, Any] | None:
    """Correlate all genes, and judge how much of their co-expression a prediction keeps.

    Every score stands there twice, with the truth in its setting. "truth=latent" compares with correlations without the
    noise of counting (`sk.metrics.latent_correlation`), which rank predictions as noise-free correlations do;
    "truth=raw" with those of measured values, which the noise brings nearer to 0, so that a noisy prediction looks
    better than a good one. Without counts (``scale="as_is"``), and for ranks, there are raw ones only.

    One score alone misleads: SSIM depends on the order of the genes, correlations of matrices on few large modules,
    spectra not at all on which genes vary together. So all of them are computed, for the prediction and beside it for
    controls:

    ``control:thinned``
        One half of the molecules (binomial thinning) as a prediction of the whole. The scores of one half against the
        other are the ceilings (``status="ceiling"``) of ``ssim_ordered``, ``ssim_permuted``, ``rv_coefficient`` and
        ``offdiagonal_correlation``, and scores are given as shares of them, too (``status="of ceiling"``).
    ``control:null``
        The truth against what is judged (the prediction, or without one the truth) after the map of every gene was
        moved by its own step: no co-expression is left.
    ``control:random_features``
        The truth against predictions of ridge from random features that were fitted to the training data. Such
        predictions know nothing of any observation, but their weights are regressions of all genes on the same noise,
        so that they inherit the gene-gene covariance of the training data. They score far above zero; a model that
        does not beat them has shown nothing about its representation.

    Genes without a true correlation are left out of every score, and ``share_degenerate`` says how many they are: those
    that do not vary, and of latent correlations those that vary no more than the noise of counting explains. A gene
    without variation in the prediction is left out of raw comparisons, and uncorrelated in latent ones.

    Parameters
    ----------
    data
        AnnData or SpatialData (n_obs, n_genes).
    layer
        Layer with raw counts; ``X`` where it is left out.
    prediction
        The prediction, on the scale of the truth; it is taken as it is. A layer, a key of ``obsm`` with a DataFrame
        whose columns are genes, or such a DataFrame; genes that it does not predict are not compared.
    method
        Pearson's r or Spearman's ρ.
    scale
        Scale of the expression: "size_factor_log1p" (log1p of counts over library size) or "log1p" of counts; "as_is"
        takes the values of `layer` as they are, and there is no ``control:thinned`` then.
    genes
        Names, or a boolean column of ``var``; all genes where it is left out.
    sample_key
        Column of ``obs`` with the sample (section, slide): values are centred within slides, and neighbours never cross
        them. None where all observations are one slide.
    covariate
        "library_size" (the log of the counts of all genes), or a numeric column of ``obs``, that values are regressed
        on before, with common slopes within slides.
    train
        Training observations: a boolean column of ``obs``, a boolean mask (n_obs,), a fold, or None. The order of the
        genes and ``control:random_features`` come from these observations, everything else from the others. Without it,
        all observations serve for both.
    order
        Names of all compared genes in the order for ``ssim_ordered``; by default `stfmkit.metrics.coexpression_order`
        of the training truth.
    lr_pairs
        Ligand-receptor pairs: a DataFrame with the columns ligand and receptor, or the name of a resource of the
        package liana, such as "consensus". Each is scored by the correlation of the ligand with the mean receptor of
        the neighbours. Complexes of several genes are left out.
    graph_key
        Key in ``obsp`` of spatial weights for `lr_pairs`, without observations themselves; None for the six nearest
        neighbours.
    spatial_key
        Key of the coordinates in ``obsm``; read for "rotation", and for `lr_pairs` without `graph_key`.
    null_model
        How genes are moved for ``control:null``: "rotation" shifts a map along a path through its sample and keeps
        most of its autocorrelation; "permutation" mixes observations up and needs no coordinates. None leaves all
        controls out.
    window
        Side of the window of SSIM.
    n_orders
        Random orders of ``ssim_permuted``.
    n_permutations
        Number of random orders of the genes for ``mantel_p``.
    n_modules
        Modules of ``module_preservation``.
    n_eigenvectors
        Eigenvectors of ``subspace_affinity``.
    table_key
        Table of a SpatialData.
    key_added
        Name of the slots.
    rng
        Integer, generator, or None for a new seed, of orders, permutations and controls; with the same seed, all
        predictions meet the same ones.
    copy
        Return the result and write nothing.

    Returns
    -------
    With ``copy=True``, a dict with ``truth`` and, with a prediction, ``predicted`` (n_compared, n_compared), and what
    ``uns`` would hold. Otherwise None, and writes

    - ``varp["coexpression"]``, and ``varp["coexpression_predicted"]`` with a prediction: (n_genes, n_genes), NaN for
      genes that are not compared or do not vary,
    - ``uns["coexpression"]["scores"]``: one row for every contender, metric and setting, with the columns of all scores
      of stfmkit; the contender is the name of the prediction, or of a control; the scope is "sample" where there is one
      sample, and "cohort" where all samples are compared together; ``lagged_correlation`` speaks of `lr_pairs`,
    - ``uns["coexpression"]["by_patient"]`` and ``["summary"]``: their averages,
    - ``uns["coexpression"]["order"]``: names of the genes in their order,
    - ``uns["coexpression"]["pairs"]``, with `lr_pairs`: ligand, receptor and the lagged correlations,
    - ``uns["stfmkit"]["coexpression"]["results"]["coexpression"]``: parameters.

    Raises
    ------
    InputError
        Values are no counts or not finite, fewer genes than the window, an order that does not fit, or no pair that is
        measured.
    MissingKeyError
        A column, layer or slot is not there.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> adata = sk.datasets.synthetic_cohort(2, n_genes=40, as_="anndata")[:200].copy()
    >>> adata.layers["guess"] = np.log1p(adata.layers["noise_free"])
    >>> sk.tl.coexpression(adata, prediction="guess", null_model="permutation", n_orders=5, n_permutations=99)
    >>> scores = adata.uns["coexpression"]["scores"].query("setting == 'truth=latent' and status == 'scored'")
    >>> rv = scores[scores["metric"] == "rv_coefficient"].set_index("contender")["value"]
    >>> bool(rv["guess"] > rv["control:null"])
    True
    """
    adata = resolve_table(data, table_key=table_key)
    sizes = CoexpressionSizes(window, n_orders, n_permutations, n_modules, n_eigenvectors)
    _check_choices(method=method, null_model=null_model, key_added=key_added, sizes=sizes)
    if not copy:
        check_free(adata, "varp", _slots(key_added), step=VERB, result=key_added)
        check_free(adata, "uns", [key_added], step=VERB, result=key_added)
    seed = as_seed(rng)
    inputs = read_inputs(
        adata,
        layer=layer,
        prediction=prediction,
        scale=scale,
        genes=genes,
        sample_key=sample_key,
        covariate=covariate,
        train=train,
        lr_pairs=lr_pairs,
        graph_key=graph_key,
        spatial_key=spatial_key,
        rotates=null_model == "rotation",
        seed=seed,
    )
    names = adata.var_names[inputs.genes]
    _check_sizes(len(names), sizes)
    suite = CoexpressionSuite(inputs.arrays, method=method, seed=seed)
    fixed = suite.learned_order() if order is None else _given_order(order, names)
    contender = prediction if isinstance(prediction, str) else "prediction"
    one_sample = inputs.arrays.samples.max(initial=0) == 0
    where = {"scope": "sample" if one_sample else "cohort", "sample": inputs.sample}
    scores = suite.compare(fixed, sizes, null_model=null_model, contender=contender, **where)
    found: dict[str, Any] = {**score_tables(scores), "order": names[fixed].to_numpy(dtype=object)}
    if inputs.pairs is not None:
        found["pairs"] = inputs.pairs.names.assign(**suite.lagged)
    if copy:
        matrices = {"truth": suite.truth, "predicted": suite.predicted}
        return {**{name: matrix for name, matrix in matrices.items() if matrix is not None}, **found}
    record = {
        "method": method,
        "layer": layer,
        "prediction": prediction if isinstance(prediction, str) else None,
        "scale": scale,
        "sample_key": sample_key,
        "covariate": covariate,
        "order": "given" if order is not None else "all observations" if train is None else "training",
        "null_model": null_model,
        "graph_key": graph_key,
        "n_train": 0 if train is None else int(inputs.arrays.train_truth.shape[0]),
        **{name: int(value) for name, value in vars(sizes).items()},
    }
    _write(adata, key_added, suite, inputs, found=found, record=record)
    return None


def _slots(key: str) -> list[str]:
    return [key, f"{key}_predicted"]


def _write(
    adata: AnnData, key: str, suite: CoexpressionSuite, inputs: Inputs, *, found: dict[str, Any], record: dict[str, Any]
) -> None:
    for slot, matrix in zip(_slots(key), (suite.truth, suite.predicted), strict=True):
        if matrix is not None:
            adata.varp[slot] = _spread(matrix, inputs.genes, adata.n_vars)
        elif slot in adata.varp:
            del adata.varp[slot]  # of an earlier run with a prediction
    adata.uns[key] = found
    facts: dict[str, Any] = {"n_genes": len(inputs.genes), "n_obs": len(inputs.rows), "rng": suite.seed}
    if inputs.pairs is not None:
        facts |= {"n_pairs_given": inputs.pairs.n_given, "n_complexes": inputs.pairs.n_complexes}
    facts["versions"] = package_versions("numpy", "scipy")
    write_record(adata, VERB, key, {**record, **facts}, wrote={"varp": _slots(key), "uns": [key]})


def _check_choices(*, method: str, null_model: str | None, key_added: str, sizes: CoexpressionSizes) -> None:
    check_choice(method, ["pearson", "spearman"], name="method")
    if null_model is not None:
        check_choice(null_model, ["rotation", "permutation"], name="null_model")
    check_key(key_added)
    for name, least in {"n_orders": 2, "n_permutations": 1, "n_modules": 2, "n_eigenvectors": 1}.items():
        check_integer(getattr(sizes, name), name=name, least=least)


def _check_sizes(n_genes: int, sizes: CoexpressionSizes) -> None:
    check_window(sizes.window)
    check_fits(n_genes, window=sizes.window)
    for name in ("n_modules", "n_eigenvectors"):
        value = getattr(sizes, name)
        if value >= n_genes:
            raise InputError(f"{name}={value} of {n_genes} genes.", allowed="fewer than genes", remedy=f"lower {name}.")


def _given_order(order: list[str] | pd.Index | np.ndarray, names: pd.Index) -> np.ndarray:
    given = pd.Index([str(name) for name in order])  # zarr gives arrays of a string dtype back
    positions = names.get_indexer(given) if given.is_unique else np.array([-1])
    if len(positions) != len(names) or (positions < 0).any():
        raise InputError(
            f"an order of {len(given)} names for {len(names)} genes.",
            allowed="every compared gene once, by name",
            remedy="pass the order that an earlier run stored: adata.uns['coexpression']['order'].",
        )
    return np.asarray(positions, dtype=np.int64)


def _spread(matrix: np.ndarray, genes: np.ndarray, n_vars: int) -> np.ndarray:
    """Return the matrix of all genes of the table, NaN where they are not compared."""
    if len(genes) == n_vars:
        return matrix
    whole = np.full((n_vars, n_vars), np.nan)
    whole[np.ix_(genes, genes)] = matrix
    return whole
