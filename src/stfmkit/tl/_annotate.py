"""Label observations by a reference, with any method."""

import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stfmkit._core.arguments import check_key, listed
from stfmkit._core.errors import InputError, InputTypeError, LeakError, StfmkitWarning
from stfmkit._core.random import RNGLike, as_seed
from stfmkit._data.columns import read_column, read_groups
from stfmkit._data.embeddings import embedding_record, other_space, read_embedding
from stfmkit._data.view import View
from stfmkit.methods._declared import declared
from stfmkit.methods._load_method import load_method
from stfmkit.methods._run_method import check_requirements, run_method
from stfmkit.tl._method_labels import check_label_slots, check_storable, method_record, write_labels

if TYPE_CHECKING:
    from anndata import AnnData

    from stfmkit._data.view import Container
    from stfmkit.methods.contract import Output

STEP = "annotate"


def annotate(
    data: "Container",
    reference: "Container",
    *,
    label_key: str,
    method: str = "knn",
    embedding_key: str | None = None,
    sample_key: str | None = None,
    patient_key: str | None = None,
    table_key: str | None = None,
    key_added: str = "annotation",
    rng: RNGLike = 0,
    copy: bool = False,
    **options: Any,
) -> "Output | None":
    """Write the label of a reference that suits every observation best into ``obs``.

    Parameters
    ----------
    data
        AnnData or SpatialData without labels.
    reference
        AnnData, or SpatialData with one table, with labels.
    label_key
        Column of ``obs`` of the reference with its labels, none missing.
    method
        A name of ``stfmkit.methods.list_methods("annotate")``.
    embedding_key
        For methods that read an embedding: its key in ``obsm`` of the data and of the reference. Both must be of one
        space: made by one call (of a model that fits), or by the same model with the same weights and options.
    sample_key
        Column of ``obs`` of both tables with the sample (section, slide); with `patient_key`, it tells observations of
        one name apart.
    patient_key
        Column of ``obs`` of both tables with the patient. Patients on both sides are recorded: labels of observations
        whose own patient is in the reference say nothing of new patients.
    table_key
        Table of a SpatialData `data`.
    key_added
        Column of ``obs`` to write. A slot that stfmkit did not write is never overwritten.
    rng
        Integer, generator, or None for a new seed, of methods that draw.
    copy
        Return the result and write nothing.
    options
        Options of the method by name, such as ``n_neighbors``.

    Returns
    -------
    None, or with ``copy=True`` the `stfmkit.methods.Output`. Otherwise writes

    - ``obs[key_added]``: categorical, its categories the labels of the reference;
    - where the method gives probabilities, ``obs[key_added + "_probability"]`` (n_obs,), that of the most probable
      label, and ``obsm[key_added + "_probability"]``, a DataFrame (n_obs, n_labels);
    - ``uns["stfmkit"]["annotate"]["results"][key_added]``: method, licence, options, seed, numbers of observations,
      patients on both sides, and what the method said of the run.

    Raises
    ------
    MissingKeyError
        An unknown method, or a column or slot that is not there.
    InputError
        The method lacks an option or does not take one, embeddings are not of one space, values are not finite, labels
        are missing or cannot be stored, or a slot is taken.
    LeakError
        An observation is in the reference, too.

    Examples
    --------
    >>> import stfmkit as sk
    >>> cells = sk.datasets.synthetic_cohort(2, n_genes=40, size=300, as_="anndata", show_progress=False)
    >>> sk.tl.embed(cells, "hvg_pca", n_components=10)
    >>> first = cells.obs["patient"] == cells.obs["patient"].iloc[0]
    >>> reference, query = cells[first].copy(), cells[~first].copy()
    >>> sk.tl.annotate(query, reference, label_key="cell_type", embedding_key="X_hvg_pca")
    >>> bool((query.obs["annotation"] == query.obs["cell_type"]).mean() > 0.5)
    True
    """
    started, seed = time.perf_counter(), as_seed(rng)
    view, other = View.of(data, table_key=table_key), _reference(reference)
    table = view.table
    check_key(key_added)
    keys = {"label_key": label_key, "embedding_key": embedding_key}
    loaded = load_method(
        method, task="annotate", **{name: key for name, key in keys.items() if key is not None}, **options
    )
    if not copy:
        check_label_slots(table, key_added, step=STEP)
    check_requirements(loaded, view, other)
    _check_kind(other.table, label_key)
    labels = read_groups(other.table, label_key, role="label_key").categories
    if not copy:
        check_storable(labels, role=f"obs[{label_key!r}] of the reference")
    if embedding_key is not None:
        _check_space(table, other.table, embedding_key)
    shared = _check_apart(table, other.table, embedding_key, sample_key=sample_key, patient_key=patient_key)
    needs = loaded.requirements()
    shown = None if needs.reference is None else declared(other, needs.reference)
    output = run_method(loaded, declared(view, needs.data), shown, rng=seed)
    if copy:
        return output
    record = {
        "label_key": label_key,
        "embedding_key": embedding_key,
        "sample_key": sample_key,
        "patient_key": patient_key,
        "n_obs": table.n_obs,
        "n_obs_reference": other.table.n_obs,
        "patients_on_both_sides": shared,
    }
    write_labels(
        table, key_added, output, method_record(loaded, output, seed=seed, started=started) | record, step=STEP
    )
    return None


def _reference(reference: "Container") -> View:
    """Return the view of the reference, or say that it is the reference that cannot be used."""
    try:
        return View.of(reference)
    except InputTypeError as error:
        raise InputTypeError(
            f"a reference of type {type(reference).__name__}.",
            allowed=error.allowed,
            remedy="pass the annotated table as reference.",
        ) from None


def _check_kind(table: "AnnData", label_key: str) -> None:
    """Refuse numbers with fractions as labels: every one of them would be a class."""
    column = read_column(table, label_key, role="label_key")
    values = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else column
    if values.dtype.kind == "f" and (values.dropna() % 1 != 0).any():
        raise InputError(
            f"obs[{label_key!r}] of dtype {values.dtype}, a measurement and no label.",
            allowed="labels: text, categories or whole numbers",
            remedy="pass the column with the labels, or cut the numbers into groups with pd.cut.",
        )


def _check_space(table: "AnnData", reference: "AnnData", key: str) -> None:
    """Refuse embeddings of different spaces, as far as their records tell; warn where only one has a record."""
    mine, theirs = embedding_record(table, key), embedding_record(reference, key)
    if not mine or not theirs:
        if mine or theirs:
            side = "reference" if mine else "data"
            warnings.warn(
                f"obsm[{key!r}] of the {side} has no record of its model, so that it is not known whether it is of "
                "the same space as the other.",
                StfmkitWarning,
                stacklevel=3,
            )
        return
    why = other_space(mine, theirs)
    if why:
        raise InputError(
            f"obsm[{key!r}] of data and reference are of different spaces: {why}.",
            allowed="embeddings of one space",
            remedy="embed both in one call: sk.tl.embed(anndata.concat([data, reference]), ...), then split; or, with "
            "a model that fits nothing, embed both with the same weights and options.",
        )


def _check_apart(
    table: "AnnData",
    reference: "AnnData",
    embedding_key: str | None,
    *,
    sample_key: str | None,
    patient_key: str | None,
) -> np.ndarray | None:
    """Refuse an observation that is on both sides; return the patients that are, None where they are not told."""
    keys = {"patient_key": patient_key, "sample_key": sample_key}
    group_keys = {role: key for role, key in keys.items() if key is not None}
    sides = [_identities(side, group_keys) for side in (table, reference)]
    in_both = sides[0].isin(sides[1])
    if in_both.any() and not group_keys and embedding_key is not None:
        same = _same_vectors(table, reference, embedding_key)
        if not same.any():
            warnings.warn(
                f"{int(in_both.sum())} names are on both sides, with different vectors, and are taken for different "
                "observations. Pass sample_key= or patient_key= to tell them apart.",
                StfmkitWarning,
                stacklevel=3,
            )
        in_both = same
    if in_both.any():
        names = [str(name) for name in table.obs_names[in_both]]
        raise LeakError(
            f"{len(names)} observations that are in the reference, too: {listed(names, most=3)}.",
            allowed="a reference without the observations that it labels",
            remedy="take them out of one side; where only the names are alike, pass sample_key= (and patient_key=), or "
            "make the names unique.",
        )
    if patient_key is None:
        return None
    first, second = (set(read_groups(side, patient_key, role="patient_key")) for side in (table, reference))
    return np.asarray(sorted(first & second), dtype=str)


def _identities(table: "AnnData", keys: dict[str, str]) -> pd.Index:
    """Return the name of every observation, with its patient and sample where they are told."""
    groups = [np.asarray(read_groups(table, key, role=role).astype(str)) for role, key in keys.items()]
    return pd.MultiIndex.from_arrays([table.obs_names, *groups]) if groups else table.obs_names


def _same_vectors(table: "AnnData", reference: "AnnData", key: str) -> np.ndarray:
    """Return which observations have the name and the vector of a reference cell; barcodes alone may be alike."""
    where = reference.obs_names.get_indexer(table.obs_names)
    mine, theirs = read_embedding(table, key), read_embedding(reference, key)
    if mine.shape[1] != theirs.shape[1]:
        return np.zeros(len(mine), dtype=bool)  # the method refuses the widths
    return (where >= 0) & (mine == theirs[where]).all(axis=1)
