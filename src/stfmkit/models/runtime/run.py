"""One run of a model over a table: the loop over parts, what is kept on disk, and what the run has seen."""

import time
import warnings
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from stfmkit._core.blame import raised_by
from stfmkit._core.errors import InputError, MissingKeyError, StfmkitWarning
from stfmkit._core.identity import exact
from stfmkit._core.progress import counter
from stfmkit._core.store import Store
from stfmkit.models.contract import Block, EmbeddingModel, Requirements
from stfmkit.models.runtime.distributed import ALONE, Share

_LOW_COVERAGE = 0.5
"""Share of the counts below which a model with a vocabulary deserves a warning."""

_REMEDIES = {
    "counts": "store raw counts in X or in a layer, and pass layer=.",
    "expression": "store expression in X or in a layer, and pass layer=.",
    "coordinates": "store coordinates (n_obs, 2) in obsm['spatial'], or pass spatial_key=.",
    "composition": "pass celltype_key=, an obs column of labels or an obsm matrix of shares.",
    "image": "pass a SpatialData with an image, or store one in uns['spatial'].",
}


class ModelRun:
    """Runs a model, and keeps what it has seen.

    Parameters
    ----------
    model
        The model; its files are opened before the first part.
    store
        Finished parts are kept there and found again by the same model, options, seed, files and data, so that a run
        that was stopped goes on with those that are missing. Not for models that fit.
    share
        Which of several processes this is.
    show_progress
        Show a bar on standard error once two seconds have passed, with the observations in a second.

    Attributes
    ----------
    n_fitted
        Observations that the model was fitted on.
    n_parts, n_parts_found
        Parts of the embedding, and those of them that were in the store already.
    seconds
        Time that fitting and embedding took so far.
    """

    def __init__(
        self,
        model: EmbeddingModel,
        *,
        store: Store | None = None,
        share: Share = ALONE,
        show_progress: bool = False,
    ) -> None:
        if store is not None and model.card.fits:
            raise InputError(
                f"resume= for {model.card.name!r}, which fits on the data.",
                allowed="models that fit nothing",
                remedy="leave resume out.",
            )
        self.model, self.share, self.show_progress = model, share, show_progress
        self.n_fitted = self.n_parts = self.n_parts_found = 0
        self.seconds = 0.0
        self._store = store
        self._counts_seen, self._counts = 0.0, 0.0
        self._genes_seen, self._genes = 0, 0

    def fit(self, block: Block) -> Self:
        """Fit the model on training observations.

        Raises
        ------
        MissingKeyError
            The block lacks what the model reads.
        InputError
            The model learns nothing from data.
        """
        started = time.perf_counter()
        with _in(self.model):
            self.model.load()
            self.model.fit(_needed(self.model, block))
        self.n_fitted += block.n_obs
        self.seconds += time.perf_counter() - started
        return self

    def embed(self, block: Block) -> np.ndarray:
        """Return the embedding (n_obs, d) of a block as float32, rows in the order of the block.

        Models that need whole samples see one after the other, all others see parts of fixed size, so that the result
        does not depend on the machine.

        Raises
        ------
        MissingKeyError
            The block lacks what the model reads.
        InputError
            The model returned something else than finite numbers of one width, one row per observation, or knows no
            gene of any observation.
        """
        started = time.perf_counter()
        model, requirements = self.model, self.model.requirements()
        seen = _needed(model, block)
        with _in(model):
            model.load()
            model.check(seen)
        parts = _parts(seen, requirements)
        identity = "" if self._store is None else model.identity()
        out: np.ndarray | None = None
        show = self.show_progress and self.share.rank == 0
        with counter(label=model.card.name, total=seen.n_obs, unit="obs", show=show) as advance:
            for rows in self.share.mine(parts):
                part = seen if len(parts) == 1 and len(rows) == seen.n_obs else seen.take(rows)
                values = self._values(part, requirements, identity=identity)
                advance(len(rows))
                if values is None:
                    continue
                if out is None:
                    out = np.zeros((seen.n_obs, values.shape[1]), dtype=np.float32)
                if values.shape[1] != out.shape[1]:
                    raise InputError(
                        f"the model {model.card.name!r} returned {out.shape[1]} columns, then {values.shape[1]}.",
                        allowed="one width for all observations",
                        remedy="report this to the author of the model.",
                    )
                out[rows] = values
        joined = self.share.together(out, n_obs=seen.n_obs)
        if joined.shape[1] == 0:
            raise InputError(
                f"none of the {seen.n_obs} observations has a count of a gene that {model.card.name!r} knows.",
                allowed="at least one observation with a known gene",
                remedy="check the gene names and the filters; a whole table of zeros would say nothing.",
            )
        self.seconds += time.perf_counter() - started
        return joined

    def embed_genes(self, block: Block) -> np.ndarray:
        """Return the vectors of the genes of a block (n_genes, d) as float32, NaN for those the model does not know.

        Raises
        ------
        InputError
            The model defines none, returned something else than one row per gene, or knows none of the genes.
        """
        started = time.perf_counter()
        model, seen = self.model, _needed(self.model, block)
        with _in(model):
            model.load()
            values = np.asarray(model.encode_genes(seen), dtype=np.float32)
        n_genes = 0 if block.genes is None else len(block.genes)
        known = np.isfinite(values).all(axis=1) if values.ndim == 2 else np.zeros(0, dtype=bool)
        if values.ndim != 2 or len(values) != n_genes or not known.any() or not np.isnan(values[~known]).all():
            raise InputError(
                f"the model {model.card.name!r} returned an array of shape {values.shape} for genes, "
                f"{int(known.sum())} of its rows finite.",
                allowed=f"numbers of shape ({n_genes}, d), whole rows of NaN for unknown genes",
                remedy="report this to the author of the model.",
            )
        self._note(seen, model.requirements())
        self.seconds += time.perf_counter() - started
        return values

    @property
    def coverage(self) -> dict[str, float]:
        """Number and share of the genes that the model reads, and the share of the counts that they hold.

        Empty for models that read no expression.
        """
        if self._genes == 0:
            return {}
        counts = self._counts_seen / self._counts if self._counts > 0 else 0.0
        return {"n_genes": self._genes_seen, "genes": self._genes_seen / self._genes, "counts": counts}

    def _values(self, part: Block, requirements: Requirements, *, identity: str) -> np.ndarray | None:
        """Return the embedding of a part, or None where nothing in it is known: its width is that of the others."""
        model, key = self.model, ""
        self.n_parts += 1
        if self._store is not None:
            key = exact({"model": identity, "part": part.identity()})
            kept = self._store.get(key)
            if kept is not None:
                self.n_parts_found += 1
                self._note(part, requirements)
                return np.asarray(kept["embedding"])
        with _in(model):
            batch = model.prepare(part)
        self._note(part, requirements)
        with _in(model):
            found = None if model.knows_nothing(batch) else model.encode(batch)
        if found is None:
            return None
        values = _checked(found, n_obs=part.n_obs, model=model.card.name, dimension=requirements.dimension)
        if self._store is not None:
            self._store.put(key, {"embedding": values})
        return values

    def _note(self, part: Block, requirements: Requirements) -> None:
        """Count what the model sees of a part; warn once where most of the data are outside of its vocabulary."""
        if requirements.matrix is None:
            return
        read = self.model.genes_read(part)
        per_gene = np.asarray(part.read(requirements.matrix).sum(axis=0), dtype=np.float64).ravel()
        before = self._counts_seen
        self._counts_seen, self._counts = before + float(per_gene[read].sum()), self._counts + float(per_gene.sum())
        self._genes_seen, self._genes = int(read.sum()), len(read)
        first = before == 0 < self._counts_seen  # parts of which nothing is known say nothing of the others
        if self.model.has_vocabulary and first and self.coverage["counts"] < _LOW_COVERAGE:
            warnings.warn(
                f"{self.model.card.name!r} sees {self._genes_seen} of {self._genes} genes and "
                f"{self.coverage['counts']:.0%} of the counts: most of the data are outside its vocabulary. Check the "
                "species and the kind of gene names (gene_key=, gene_table=).",
                StfmkitWarning,
                stacklevel=4,
            )


def _needed(model: EmbeddingModel, block: Block) -> Block:
    """Return what a model needs of a block, or refuse a block that lacks it, and an empty one."""
    requirements = model.requirements()
    for need in requirements.needs:
        if not block.has(need):
            raise MissingKeyError(
                f"the model {model.card.name!r} reads {need}, and there are none.",
                allowed=f"data with {', '.join(requirements.needs)}",
                remedy=_REMEDIES.get(need, "give the block what the model reads."),
            )
    if block.n_obs == 0:
        raise InputError("no observation.", allowed="at least one", remedy="check the filters before this step.")
    if requirements.matrix is not None and block.genes is None:
        raise MissingKeyError(
            f"no gene names for {model.card.name!r}.",
            allowed="counts with gene names",
            remedy="give the block its genes.",
        )
    lacking = {*requirements.obs_keys} - {*block.obs} | {*requirements.var_keys} - {*block.var}
    if lacking:
        raise MissingKeyError(
            f"a block without {', '.join(sorted(lacking))}, which the options of {model.card.name!r} name.",
            allowed=f"the columns {', '.join([*requirements.obs_keys, *requirements.var_keys])}",
            remedy="give the block these columns.",
        )
    return block.only(requirements)


def _in(model: EmbeddingModel) -> raised_by:
    """Name the model in the traceback of what it raises."""
    return raised_by(f"the model {model.card.name!r} ({model.card.target})")


def _parts(block: Block, requirements: Requirements) -> Sequence[np.ndarray]:
    if requirements.whole_samples:
        order = np.argsort(block.samples, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(block.samples[order])) + 1)
    size = requirements.rows_per_part
    return [np.arange(start, min(start + size, block.n_obs)) for start in range(0, block.n_obs, size)]


def _checked(values: Any, *, n_obs: int, model: str, dimension: int | None) -> np.ndarray:
    """Return what a model returned as float32, if it is finite numbers of the width it should have."""
    found = np.asarray(values)
    width = dimension if found.ndim == 2 and dimension is not None else found.shape[-1] if found.ndim else 0
    if found.dtype.kind not in "fiu" or found.shape != (n_obs, width) or width == 0:
        wanted = "d" if dimension is None else dimension
        raise InputError(
            f"the model {model!r} returned an array of shape {found.shape} and dtype {found.dtype}.",
            allowed=f"numbers of shape ({n_obs}, {wanted})",
            remedy="report this to the author of the model.",
        )
    with np.errstate(over="ignore"):
        found = found.astype(np.float32)
    bad = ~np.isfinite(found).all(axis=1)
    if bad.any():
        raise InputError(
            f"the model {model!r} returned values that are not finite (as float32) for {int(bad.sum())} "
            f"of {n_obs} observations.",
            allowed="finite numbers",
            remedy="check these observations, or report this to the author of the model.",
        )
    return found
