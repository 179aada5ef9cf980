"""Give every public function damaged sparse matrices, and print what each of them said; run as a program of its own.

Each line is ``call: outcome``. A line without an outcome is the call that brought the interpreter down.
"""

import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from tests.bm.conftest import make_cohort, make_protocol
from tests.metrics.calls import CALLS, score

import stfmkit as sk
from stfmkit._core.identity import exact
from stfmkit.errors import InputError

DRAW = np.random.default_rng(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
HOW_MANY = int(sys.argv[2]) if len(sys.argv) > 2 else 4
HVG = {"selector": "hvg", "split": sk.pp.PatientKFold(4)}
KEYS = {"patient_key": "patient", "sample_key": "sample"}
Change = Callable[[Any], None]


def somewhere(values: np.ndarray) -> np.ndarray:
    """Return a few places of an array."""
    return DRAW.integers(0, len(values), size=int(DRAW.integers(1, 20)))


def indices_of(value: int) -> Change:
    def change(matrix: Any) -> None:
        if value > 2**31:
            matrix.indices = matrix.indices.astype(np.int64)
        matrix.indices[somewhere(matrix.indices)] = value

    return change


def pointer_of(place: int | None, value: int) -> Change:
    def change(matrix: Any) -> None:
        at = int(DRAW.integers(1, len(matrix.indptr) - 1)) if place is None else place
        matrix.indptr[at] = value

    return change


def replaced(part: str, make: Callable[[np.ndarray], np.ndarray]) -> Change:
    return lambda matrix: setattr(matrix, part, make(getattr(matrix, part)))


def at_the_end(matrix: Any) -> None:
    matrix.indices[somewhere(matrix.indices)] = matrix.shape[1 if matrix.format == "csr" else 0]


def roomy(matrix: Any) -> None:
    matrix.indices = np.append(matrix.indices, matrix.indices[:7])
    matrix.data = np.append(matrix.data, matrix.data[:7])


BROKEN: dict[str, Change] = {
    "index at the end": at_the_end,
    "index far": indices_of(10**6),
    "index very far": indices_of(2**31 - 1),
    "index of 64 bits": indices_of(2**40),
    "index below 0": indices_of(-5),
    "least index": indices_of(-(2**31)),
    "indices of floats": replaced("indices", lambda held: held.astype(np.float64)),
    "indices fewer": replaced("indices", lambda held: held[: len(held) // 2]),
    "pointer jumps": pointer_of(None, 10**6),
    "pointer falls": pointer_of(None, -(10**6)),
    "pointer begins later": pointer_of(0, 3),
    "pointer begins before": pointer_of(0, -3),
    "pointer ends later": pointer_of(-1, 10**7),
    "pointer ends below 0": pointer_of(-1, -1),
    "pointers fewer": replaced("indptr", lambda held: held[:-1]),
    "pointers more": replaced("indptr", lambda held: np.append(held, held[-1] + 9)),
    "pointers turned": replaced("indptr", lambda held: held[::-1].copy()),
    "room": roomy,
    "values fewer": replaced("data", lambda held: held[: len(held) // 2]),
}


def turned(matrix: Any) -> None:
    for start, stop in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
        matrix.indices[start:stop] = matrix.indices[start:stop][::-1].copy()
        matrix.data[start:stop] = matrix.data[start:stop][::-1].copy()
    matrix.has_sorted_indices = False


def in_parts(matrix: Any) -> None:
    """Hold every value as two entries: itself and 0."""
    counts = np.diff(matrix.indptr)
    matrix.indices = np.repeat(matrix.indices, 2)
    matrix.data = np.column_stack([matrix.data, np.zeros_like(matrix.data)]).ravel()
    matrix.indptr = np.concatenate([[0], np.cumsum(2 * counts)]).astype(matrix.indptr.dtype)
    matrix.has_canonical_format = False


def wide(matrix: Any) -> None:
    matrix.indices, matrix.indptr = matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)


SOUND: dict[str, Change] = {"turned": turned, "in parts": in_parts, "64 bits": wide}


def cohort() -> AnnData:
    made = make_cohort(per_patient=30, n_genes=24)
    made.layers["counts"] = made.X.copy()
    sk.pp.spatial_graph(made, sample_key="sample")
    sk.tl.embed(made, "hvg_pca", n_components=4, n_genes=12, show_progress=False)
    made.layers["guess"] = sparse.csr_matrix(np.log1p(made.X.toarray()) + 0.01)
    made.obsm["X_held"] = sparse.csr_matrix(made.obsm["X_hvg_pca"].astype(np.float64))
    made.obsm["shares"] = sparse.csr_matrix(np.tile([0.3, 0.7], (made.n_obs, 1)))
    made.obsm["X_own"] = made.obsm["X_hvg_pca"]
    return made


def embedded(model: str, **options: Any) -> Callable[[AnnData], Any]:
    return lambda a: sk.tl.embed(a, model, copy=True, show_progress=False, **options)


def ran(*contenders: str, task: str = "niche_probe") -> Callable[[AnnData], Any]:
    def call(a: AnnData) -> Any:
        found = sk.bm.run(a, list(contenders), protocol=make_protocol(), tasks=[task], show_progress=False)
        return found.table.drop(columns="seconds")

    return call


SQUARES = sk.pp.SquareGrid(300.0)
BINNED = {"sample_key": "sample", "mask": None, "drop_controls": False, "show_progress": False}
OF_COUNTS: dict[str, Callable[[AnnData], Any]] = {
    "normalize": lambda a: sk.pp.normalize(a, copy=True),
    "normalize log1p": lambda a: sk.pp.normalize(a, scale="log1p", copy=True),
    "gene_sparsity": lambda a: sk.pp.gene_sparsity(a, **KEYS, n_permutations=9, copy=True),
    "select_genes hvg": lambda a: sk.pp.select_genes(a, n_genes=5, selector="hvg", **KEYS, copy=True),
    "select_genes svg": lambda a: sk.pp.select_genes(a, n_genes=5, selector="svg", **KEYS, copy=True),
    "select_genes reliable_svg": lambda a: sk.pp.select_genes(a, n_genes=5, **KEYS, min_reliability=0, copy=True),
    "align_panels": lambda a: sk.pp.align_panels(a, panel_key="patient").X,
    "bin": lambda a: sk.pp.bin(a, SQUARES, **BINNED).X,
    "embed hvg_pca": embedded("hvg_pca", n_components=4, n_genes=12),
    "embed library_size": embedded("library_size"),
    "embed neighbor_pca": embedded("neighbor_pca", sample_key="sample", n_components=4),
    "coexpression": lambda a: sk.tl.coexpression(a, sample_key="sample", n_orders=2, n_permutations=3, copy=True),
    "coexpression of spearman": lambda a: sk.tl.coexpression(
        a, method="spearman", sample_key="sample", n_orders=2, n_permutations=3, copy=True
    ),
    "evaluate_expression": lambda a: sk.tl.evaluate_expression(a, "guess", **KEYS, copy=True)["scores"],
    "evaluate_embedding": lambda a: sk.tl.evaluate_embedding(
        a, "X_own", **KEYS, metrics=["library_size_r2"], copy=True, show_progress=False
    ),
    "niche_signatures": lambda a: sk.tl.niche_signatures(a, "niche", patient_key="patient", copy=True),
    "niches of neighbor_pca": lambda a: sk.tl.niches(
        a, sample_key="sample", features="neighbor_pca", n_clusters=2, n_components=4, copy=True
    ),
    "predict_expression": lambda a: sk.tl.predict_expression(a, "X_own", **KEYS, n_genes=4, **HVG, copy=True),
    "audit": lambda a: [finding.check for finding in sk.bm.audit(a, make_protocol())],
    "run": ran("library_size", "obsm:X_own"),
    "spatial_bins": lambda a: sk.pl.spatial_bins(a, color="G3", sample_key="sample", sample="S1").get_title(),
}
OF_GRAPHS: dict[str, Callable[[AnnData], Any]] = {
    "gene_sparsity": lambda a: sk.pp.gene_sparsity(a, **KEYS, graph_key=GRAPH, copy=True),
    "select_genes": lambda a: sk.pp.select_genes(a, n_genes=5, selector="svg", graph_key=GRAPH, **KEYS, copy=True),
    "evaluate_expression": lambda a: sk.tl.evaluate_expression(a, "guess", **KEYS, graph_key=GRAPH, copy=True)[
        "scores"
    ],
}
OF_LAYERS: dict[str, Callable[[AnnData], Any]] = {
    "evaluate_expression": lambda a: sk.tl.evaluate_expression(a, "guess", **KEYS, copy=True)["scores"],
    "coexpression": lambda a: sk.tl.coexpression(
        a, prediction="guess", sample_key="sample", n_orders=2, n_permutations=3, copy=True
    ),
    "niche_signatures": lambda a: sk.tl.niche_signatures(
        a, "niche", patient_key="patient", prediction="guess", copy=True
    ),
    "run": ran("layer:guess", task="coexpression"),
}
OF_EMBEDDINGS: dict[str, Callable[[AnnData], Any]] = {
    "domains": lambda a: sk.tl.domains(a, embedding_key="X_held", n_clusters=2, sample_key="sample", copy=True).result,
    "annotate of": lambda a: (
        sk.tl.annotate(
            a[a.obs["patient"] == "P0"],
            a[a.obs["patient"] != "P0"],
            label_key="niche",
            embedding_key="X_held",
            copy=True,
        ).result
    ),
    "evaluate_embedding": lambda a: sk.tl.evaluate_embedding(
        a, "X_held", **KEYS, metrics=["library_size_r2"], copy=True, show_progress=False
    ),
    "predict_expression": lambda a: sk.tl.predict_expression(a, "X_held", **KEYS, n_genes=4, **HVG, copy=True),
    "run": ran("obsm:X_held"),
}
OF_SHARES: dict[str, Callable[[AnnData], Any]] = {
    "celltype_composition": embedded("celltype_composition", celltype_key="shares", sample_key="sample"),
}
GRAPH = "spatial_connectivities"
DOORS = [
    (OF_COUNTS, "X", ""),
    (OF_GRAPHS, "obsp", GRAPH),
    (OF_LAYERS, "layers", "guess"),
    (OF_EMBEDDINGS, "obsm", "X_held"),
    (OF_SHARES, "obsm", "shares"),
]


def changed(matrix: Any, form: str, change: Change) -> Any:
    """Return a copy of a matrix in a format, changed past the checks of its constructor."""
    copy = type(matrix)(matrix, copy=True).asformat(form, copy=True)
    change(copy)
    return copy


def with_matrix(base: AnnData, slot: str, key: str, matrix: Any) -> AnnData:
    """Return a table that holds a matrix in a slot."""
    table = base.copy()
    if slot == "X":
        table.X = matrix
        for name in ("data", "indices", "indptr"):  # whatever anndata made of it
            setattr(table.X, name, getattr(matrix, name))
    else:
        getattr(table, slot)[key] = base.obsp[GRAPH].copy() if slot == "obsp" else sparse.csr_matrix(matrix.shape)
        getattr(table, slot)._data[key] = matrix
    return table


def calls_of_verbs(base: AnnData) -> Iterator[tuple[str, str, Callable[[Any], Any], Callable[[str, Change], Any]]]:
    for verbs, slot, key in DOORS:
        held = base.X if slot == "X" else getattr(base, slot)[key]

        def make(form: str, change: Change, slot: str = slot, key: str = key, held: Any = held) -> AnnData:
            return with_matrix(base, slot, key, changed(held, form, change))

        for name, verb in verbs.items():
            yield f"{name} of {slot} {key}", "table", verb, make


def calls_of_metrics() -> Iterator[tuple[str, str, Callable[[Any], Any], Callable[[str, Change], Any]]]:
    for name, call in CALLS.items():
        for key in sorted({"X", "graph"} & set(call)):
            held = sparse.csr_array(call[key])

            def make(form: str, change: Change, held: Any = held) -> Any:
                return changed(held, form, change)

            yield f"metrics.{name} of {key}", key, lambda matrix, name=name, key=key: score(name, **{key: matrix}), make


def views(verb: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a call of some rows and genes of a table, which are taken only when they are read."""
    return lambda table: verb(table[np.arange(table.n_obs)[::-1]][:, np.arange(table.n_vars)])


def told(value: Any) -> str:
    """Return a result as text."""
    if isinstance(value, pd.Series):
        value = value.to_frame("value")
    if sparse.issparse(value):
        value = value.toarray()
    return exact(value)


def say(name: str, call: Callable[[], Any]) -> str:
    sys.stdout.write(f"{name}: ")
    sys.stdout.flush()
    try:
        outcome = f"answer {told(call())}"
    except InputError as error:
        whole = error.found and error.allowed and error.remedy and "a sparse matrix" in error.found
        outcome = "refused" if whole else f"refused for another reason ({error.found})"
    except Exception as error:  # noqa: BLE001  the outcome that is looked for
        outcome = f"ERROR {type(error).__name__}: {error}"
    sys.stdout.write(" ".join(outcome.split())[:300] + "\n")
    return outcome


def main() -> None:
    warnings.simplefilter("ignore")
    import matplotlib as mpl

    mpl.use("agg")
    faults = list(BROKEN)
    for name, kind, call, make in [*calls_of_verbs(cohort()), *calls_of_metrics()]:
        for form in ("csr", "csc"):
            for fault in np.resize(DRAW.permutation(faults), HOW_MANY):
                damaged = make(form, BROKEN[str(fault)])
                say(f"{name}, {form}, {fault}", lambda damaged=damaged, call=call: call(damaged))
                if kind == "table" and "obsm" not in name:
                    say(f"{name}, {form}, {fault}, view", lambda damaged=damaged, call=call: views(call)(damaged))
        sound = make("csr", lambda _matrix: None)
        wanted = say(f"{name}, as it is", lambda sound=sound, call=call: call(sound))
        form, change = str(DRAW.choice(["csr", "csc"])), str(DRAW.choice(list(SOUND)))
        same = make(form, SOUND[change])
        found = say(f"{name}, {form}, {change}, sound", lambda same=same, call=call: call(same))
        if found != wanted:
            sys.stdout.write(f"{name}, {form}, {change}: DIFFERENT\n")


if __name__ == "__main__":
    main()
