"""Which genes vary together, and how much of it a prediction keeps."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from anndata import AnnData

from stfmkit._core import slots
from stfmkit._core.arguments import check_choice, check_integer
from stfmkit._core.errors import InputError
from stfmkit._core.random import RNGLike, as_generator, int_seed
from stfmkit._data.view import resolve_table
from stfmkit._data.write import check_free, package_versions, write_result
from stfmkit.metrics._ssim import check_fits, check_window
from stfmkit.tl._coexpression_inputs import Inputs, read_graph, read_inputs, read_places
from stfmkit.tl._coexpression_scores import Settings
from stfmkit.tl._coexpression_suite import Suite
from stfmkit.tl._ligand_receptor import Pairs, read_pairs

if TYPE_CHECKING:
    from stfmkit._data.view import Container

STEP = "coexpression"


def coexpression(
    data: "Container",
    *,
    layer: str | None = None,
    pred_layer: str | None = None,
    method: Literal["pearson", "spearman"] = "pearson",
    normalize: bool = True,
    genes: str | list[str] | pd.Index | np.ndarray | None = None,
    sample_key: str | None = None,
    covariate: str | None = None,
    train: str | np.ndarray | pd.Series | None = None,
    order: list[str] | pd.Index | np.ndarray | None = None,
    lr_pairs: str | pd.DataFrame | None = None,
    graph: str | None = None,
    spatial_key: str = slots.SPATIAL,
    null: Literal["rotation", "permutation"] | None = "rotation",
    window: int = 7,
    n_orders: int = 100,
    n_permutations: int = 999,
    n_modules: int = 8,
    k: int = 10,
    table_key: str | None = None,
    key_added: str = STEP,
    rng: RNGLike = 0,
    copy: bool = False,
) -> dict[str, Any] | None:
    """Correlate all genes, and judge how much of their co-expression a prediction keeps.

    One score alone misleads: SSIM depends on the order of the genes, correlations of matrices on few large modules,
    spectra not at all on which genes vary together. So all of them are computed, for the prediction and beside it for
    controls:

    ``control:thinned``
        One half of the molecules against the other (binomial thinning): what a perfect model would reach against a
        measurement of half the depth.
    ``control:null``
        The truth against what is judged (the prediction, or without one the truth) after the map of every gene was
        moved by its own step: no co-expression is left.
    ``control:random_features``
        The truth against predictions of ridge from random features that were fitted to the training data. Such
        predictions know nothing of any observation, but their weights are regressions of all genes on the same noise,
        so that they inherit the gene-gene covariance of the training data. They score far above zero; a model that
        does not beat them has shown nothing about its representation.

    Genes without variation on either side are left out of every score and counted in ``n_degenerate``.

    Parameters
    ----------
    data
        AnnData or SpatialData (n_obs, n_genes).
    layer
        Layer with raw counts; ``X`` where it is left out.
    pred_layer
        Layer with predictions, on the scale of size-factor log1p; it is taken as it is.
    method
        Pearson's r or Spearman's ρ.
    normalize
        Counts become size-factor log1p. False takes the values of `layer` as they are; there is no
        ``control:thinned`` then.
    genes
        Names, or a boolean column of ``var``; all genes where it is left out.
    sample_key
        Column of ``obs`` with the slide: values are centred within slides, and neighbours never cross them. None where
        all observations are one slide.
    covariate
        "library_size" (the log of the counts of all genes), or a numeric column of ``obs``, that values are regressed
        on before, with common slopes within slides.
    train
        Boolean column of ``obs`` or mask (n_obs,). The order of the genes and ``control:random_features`` come from
        these observations, everything else from the others. Without it, all observations serve for both.
    order
        Names of all compared genes in the order for ``ssim_ordered``; by default `stfmkit.metrics.coexpression_order`
        of the training truth.
    lr_pairs
        Ligand-receptor pairs: a DataFrame with the columns ligand and receptor, or the name of a resource of the
        package liana, such as "consensus". Each is scored by the correlation of the ligand with the mean receptor of
        the neighbours. Complexes of several genes are left out.
    graph
        Key in ``obsp`` of the neighbours for `lr_pairs`, without observations themselves; the six nearest neighbours
        where it is left out.
    spatial_key
        Key of the coordinates in ``obsm``; read for "rotation", and for `lr_pairs` without `graph`.
    null
        How genes are moved for ``control:null``: "rotation" shifts a map along a path through its sample and keeps
        most of its autocorrelation; "permutation" mixes observations up and needs no coordinates. None leaves all
        controls out.
    window
        Side of the window of SSIM.
    n_orders
        Random orders of ``ssim_permuted``.
    n_permutations
        Permutations of ``mantel_p``.
    n_modules
        Modules of ``module_preservation``.
    k
        Eigenvectors of ``subspace_affinity``.
    table_key
        Table of a SpatialData.
    key_added
        Name of the slots.
    rng
        Seed of orders, permutations and controls; with the same seed, all predictions meet the same ones.
    copy
        Return the result and write nothing.

    Returns
    -------
    With ``copy=True``, a dict with ``truth`` and, with a prediction, ``predicted`` (n_compared, n_compared), and what
    ``uns`` would hold. Otherwise None, and writes

    - ``varp["coexpression"]``, and ``varp["coexpression_predicted"]`` with a prediction: (n_genes, n_genes), NaN for
      genes that are not compared or do not vary,
    - ``uns["coexpression"]["scores"]``: one row for every comparison and metric, with value, n_compared and
      n_degenerate (genes, or pairs for ``lr_…``),
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
    >>> sk.tl.coexpression(adata, pred_layer="guess", null="permutation", n_orders=5, n_permutations=99)
    >>> scores = adata.uns["coexpression"]["scores"].pivot(index="metric", columns="comparison", values="value")
    >>> bool(scores.loc["offdiagonal_pearson", "predicted"] > scores.loc["offdiagonal_pearson", "control:null"])
    True
    """
    adata = resolve_table(data, table_key=table_key)
    sizes = {"n_orders": n_orders, "n_permutations": n_permutations, "n_modules": n_modules, "k": k}
    _check_choices(method=method, null=null, key_added=key_added, sizes=sizes)
    if not copy:
        check_free(adata, "varp", _slots(key_added), step=STEP)
        check_free(adata, "uns", [key_added], step=STEP)
    inputs = read_inputs(
        adata,
        layer=layer,
        pred_layer=pred_layer,
        genes=genes,
        sample_key=sample_key,
        covariate=covariate,
        train=train,
        normalize=normalize,
    )
    names = adata.var_names[inputs.genes]
    _check_sizes(len(names), window=window, n_modules=n_modules, k=k)
    pairs = None if lr_pairs is None else read_pairs(lr_pairs, genes=names)
    coords = ring = None
    if null == "rotation":
        coords = read_places(adata, inputs, spatial_key=spatial_key, sample_key=sample_key)
    if pairs is not None:
        ring = read_graph(adata, inputs, graph=graph, spatial_key=spatial_key, sample_key=sample_key)
    fixed = None if order is None else _given_order(order, names)
    seed = int(rng) if isinstance(rng, int | np.integer) else int_seed(as_generator(rng))
    suite = Suite(inputs, method=method, covariate=covariate, pairs=pairs, ring=ring)
    fixed = suite.learned_order() if fixed is None else fixed
    settings = Settings(order=fixed, window=int(window), seed=seed, **{name: int(v) for name, v in sizes.items()})
    suite.compare(settings, null=null, coords=coords)
    found: dict[str, Any] = {"scores": suite.table(), "order": names[fixed].to_numpy(dtype=object)}
    if pairs is not None:
        found["pairs"] = suite.lagged_table(pairs)
    if copy:
        matrices = {"truth": suite.truth, "predicted": suite.predicted}
        return {**{name: matrix for name, matrix in matrices.items() if matrix is not None}, **found}
    params = {
        "method": method,
        "layer": layer or "X",
        "pred_layer": pred_layer or "none",
        "normalize": bool(normalize),
        "sample_key": sample_key or "none",
        "covariate": covariate or "none",
        "order": "given" if order is not None else "all observations" if train is None else "training",
        "null": null or "none",
        "graph": "none" if ring is None else graph or "6 nearest neighbours",
        "n_train": 0 if train is None else len(inputs.train),
    }
    _write(adata, key_added, suite, found=found, params=params | _facts(inputs, settings, pairs))
    return None


def _slots(key: str) -> list[str]:
    return [key, f"{key}_predicted"]


def _facts(inputs: Inputs, settings: Settings, pairs: Pairs | None) -> dict[str, Any]:
    facts = {name: value for name, value in settings._asdict().items() if name not in {"order", "seed"}}
    facts |= {"n_genes": len(inputs.genes), "n_obs": len(inputs.rows), "rng": settings.seed}
    if pairs is not None:
        facts |= {"n_pairs_given": pairs.n_given, "n_complexes": pairs.n_complexes}
    return {**facts, "versions": package_versions("numpy", "scipy")}


def _write(adata: AnnData, key: str, suite: Suite, *, found: dict[str, Any], params: dict[str, Any]) -> None:
    for slot, matrix in zip(_slots(key), (suite.truth, suite.predicted), strict=True):
        if matrix is not None:
            adata.varp[slot] = _spread(matrix, suite.inputs.genes, adata.n_vars)
        elif slot in adata.varp:
            del adata.varp[slot]  # of an earlier run with a prediction
    adata.uns[key] = found
    write_result(adata, STEP, key, params, wrote=_slots(key))


def _check_choices(*, method: str, null: str | None, key_added: str, sizes: dict[str, int]) -> None:
    check_choice(method, ["pearson", "spearman"], name="method")
    if null is not None:
        check_choice(null, ["rotation", "permutation"], name="null")
    if not (isinstance(key_added, str) and key_added) or "/" in key_added or key_added == slots.ROOT:
        raise InputError(f"key_added={key_added!r}.", allowed="text without '/'", remedy="pass another key_added.")
    least = {"n_orders": 2, "n_permutations": 1, "n_modules": 2, "k": 1}
    for name, value in sizes.items():
        check_integer(value, name=name, least=least[name])


def _check_sizes(n_genes: int, *, window: int, n_modules: int, k: int) -> None:
    check_window(window)
    check_fits(n_genes, window=window)
    for name, value in (("n_modules", n_modules), ("k", k)):
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
