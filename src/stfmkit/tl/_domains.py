"""Find domains of tissue without labels, with any method."""

import re
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stfmkit._core.arguments import check_key
from stfmkit._core.errors import InputError
from stfmkit._core.random import RNGLike, as_seed, int_seed, stream
from stfmkit._data.columns import read_groups
from stfmkit._data.view import View
from stfmkit.methods._declared import declared, rows_of
from stfmkit.methods._load_method import load_method, method_class, option_fields
from stfmkit.methods._run_method import check_requirements, run_method
from stfmkit.methods.catalogue import find
from stfmkit.methods.contract import Output
from stfmkit.tl._method_labels import check_label_slots, check_storable, method_record, write_labels

if TYPE_CHECKING:
    from stfmkit._data.view import Container
    from stfmkit.methods.contract import Method

STEP = "domains"


def domains(
    data: "Container",
    *,
    method: str = "kmeans",
    embedding_key: str | None = None,
    n_clusters: int | None = None,
    sample_key: str | None = None,
    per_sample: bool = False,
    table_key: str | None = None,
    key_added: str = "domains",
    rng: RNGLike = 0,
    copy: bool = False,
    **options: Any,
) -> "Output | None":
    """Write the domain of every observation into ``obs``.

    All observations are used, so that domains are no labels to judge a model on held-out patients by.

    Parameters
    ----------
    data
        AnnData or SpatialData.
    method
        A name of ``stfmkit.methods.list_methods("domains")``.
    embedding_key
        For methods that read an embedding: its key in ``obsm``.
    n_clusters
        Number of clusters, which are the domains; with `per_sample`, in every sample. Methods that need it have no
        default.
    sample_key
        Column of ``obs`` with the sample (section, slide). A method that uses coordinates never crosses samples.
    per_sample
        False: domains are found over all samples together, and one name is one domain everywhere. True: in every
        sample of `sample_key` on its own, named ``sample:number``, and names of two samples have nothing in common.
    table_key
        Table of a SpatialData.
    key_added
        Column of ``obs`` to write. A slot that stfmkit did not write is never overwritten.
    rng
        Integer, generator, or None for a new seed, of random starts; every sample has a stream of its own.
    copy
        Return the result and write nothing.
    options
        Options of the method by name, such as ``resolution`` for "leiden" or ``covariance`` for "gmm".

    Returns
    -------
    None, or with ``copy=True`` the `stfmkit.methods.Output`. Otherwise writes

    - ``obs[key_added]``: categorical, "0" being the largest domain;
    - where the method gives probabilities, ``obs[key_added + "_probability"]`` (n_obs,), that of the most probable
      domain, and ``obsm[key_added + "_probability"]``, a DataFrame (n_obs, n_clusters), with `per_sample` 0 for the
      domains of other samples;
    - ``uns["stfmkit"]["domains"]["results"][key_added]``: method, licence, options, seed, and what the method said of
      the run (by sample, with `per_sample`).

    Raises
    ------
    MissingKeyError
        An unknown method, or a column or slot that is not there.
    InputError
        The method lacks an option or does not take one, there are fewer different vectors than domains, values are not
        finite, or a slot is taken.

    Examples
    --------
    >>> import stfmkit as sk
    >>> cells = sk.datasets.synthetic_cohort(2, n_genes=40, size=300, as_="anndata", show_progress=False)
    >>> sk.tl.embed(cells, "neighbor_pca", sample_key="sample")
    >>> sk.tl.domains(cells, embedding_key="X_neighbor_pca", n_clusters=3)
    >>> cells.obs["domains"].cat.categories.tolist()
    ['0', '1', '2']
    """
    started, seed = time.perf_counter(), as_seed(rng)
    view = View.of(data, table_key=table_key)
    check_key(key_added)
    loaded = _load(method, embedding_key=embedding_key, n_clusters=n_clusters, sample_key=sample_key, options=options)
    samples = _samples(view, sample_key, per_sample=per_sample)
    if not copy:
        check_label_slots(view.table, key_added, step=STEP)
        if samples is not None and per_sample:
            check_storable(samples.categories, role=f"obs[{sample_key!r}]")
    check_requirements(loaded, view, None)
    if samples is not None and per_sample:
        output = _of_every_sample(loaded, view, samples, seed)
    else:
        output = run_method(loaded, declared(view, loaded.requirements().data), rng=seed)
    if copy:
        return output
    record = {
        "embedding_key": embedding_key,
        "sample_key": sample_key,
        "per_sample": per_sample,
        "n_samples": None if samples is None else len(samples.categories),
        "n_obs": view.table.n_obs,
        "n_clusters": len(output.result.cat.categories),
    }
    write_labels(
        view.table, key_added, output, method_record(loaded, output, seed=seed, started=started) | record, step=STEP
    )
    return None


def _load(
    method: str,
    *,
    embedding_key: str | None,
    n_clusters: int | None,
    sample_key: str | None,
    options: dict[str, Any],
) -> "Method":
    keys = {"embedding_key": embedding_key, "n_clusters": n_clusters}
    option_names = option_fields(method_class(find(method, task="domains")))
    if "sample_key" in option_names:  # otherwise it only tells samples apart
        keys["sample_key"] = sample_key
    return load_method(
        method, task="domains", **{name: value for name, value in keys.items() if value is not None}, **options
    )


def _samples(view: View, sample_key: str | None, *, per_sample: bool) -> pd.Categorical | None:
    if sample_key is not None:
        return read_groups(view.table, sample_key, role="sample_key")
    if per_sample:
        raise InputError(
            "per_sample=True without sample_key.",
            allowed="sample_key with per_sample=True",
            remedy="pass sample_key=, the obs column of the sample.",
        )
    return None


def _of_every_sample(method: "Method", view: View, samples: pd.Categorical, seed: int) -> Output:
    """Run a method on every sample on its own, with names that tell the sample."""
    outputs: dict[str, Output] = {}
    whole = declared(view, method.requirements().data)
    for sample in sorted(samples.categories, key=natural):
        part = rows_of(whole, np.flatnonzero(samples == sample))
        outputs[sample] = run_method(method, part, rng=int_seed(stream(seed, STEP, sample)))
    labels = pd.concat([_renamed(output.result.astype(str), sample) for sample, output in outputs.items()])
    names = [f"{sample}:{label}" for sample, output in outputs.items() for label in output.result.cat.categories]
    tables = [
        output.probabilities.add_prefix(f"{sample}:")
        for sample, output in outputs.items()
        if output.probabilities is not None
    ]
    order = view.table.obs_names
    return Output(
        kind="labels",
        result=labels.astype(pd.CategoricalDtype(names)).loc[order],
        probabilities=pd.concat(tables).fillna(0.0).loc[order] if len(tables) == len(outputs) else None,
        facts={sample: dict(output.facts) for sample, output in outputs.items()},
    )


def _renamed(labels: pd.Series, sample: str) -> pd.Series:
    return sample + ":" + labels


def natural(text: str) -> list[tuple[int, int, str]]:
    """Return the key of an order in which "s2" comes before "s10"."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]
