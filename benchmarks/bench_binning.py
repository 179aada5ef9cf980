"""Binning against reading the same columns with pyarrow, and against `spatialdata.aggregate`.

Usage: python benchmarks/bench_binning.py [--molecules 1e6 5e6 20e6] [--repeats 5] [--profile] [--folder FOLDER]

Made-up molecules of a Xenium run (0.55 per µm², 480 genes, 20 controls, cells of 12 µm) are written once to FOLDER, up
to 1e8 if asked for (1 GB, 1.3 GB with cells). The results of the two are compared for equality first. Every row is one
process: reading and binning alternate in it, times are medians over the repeats after a warm-up, and memory is the peak
of a first run above what the process and the result hold. `--profile` adds the share of every stage, with one thread.
"""

import argparse
import cProfile
import json
import os
import pstats
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from spatialdata import SpatialData, aggregate
from spatialdata.models import PointsModel, ShapesModel

import stfmkit as sk
from stfmkit.pp._binning import count

TITLES = ("molecules", "columns", "job", "read s", "bin s", "ratio", "ns each", "result MB", "above MB")
SMALL, GROUP, N_GENES, N_CONTROLS = 200_000, 1 << 20, 480, 20
PLAIN = ["x_location", "y_location", "feature_name", "qv"]
COLUMNS = {"dictionary": PLAIN, "dictionary+cells": [*PLAIN, "cell_id"], "text+cells": [*PLAIN, "cell_id"]}
VISIUM = {"grid": sk.pp.HexGrid(pitch=100.0, diameter=55.0)}
STAGES = {
    "decode": ("_row_group",),
    "names and columns": ("encode", "columns_of", "without_low", "those_not_low"),
    "lattice": ("_number",),
    "mask": ("mark_wanted",),
    "counts": ("_count", "append_keys", "_place_for", "count_kinds", "sum_by_cell", "spots_without_cell"),
    "assembly": ("matrix", "absorb"),
    "table": ("to_anndata",),
}
"""Functions of every stage; the time of those in WHOLE includes what they call."""
PLACES = {name: stage for stage, names in STAGES.items() for name in names}
WHOLE = {"encode", "_place_for", "matrix", "absorb", "to_anndata"}
WARM = 200_000
JOBS = {
    "xisium": VISIUM,
    "xisium, no mask": {**VISIUM, "mask": None},
    "8 µm squares, no mask": {"grid": sk.pp.SquareGrid(8.0), "mask": None},
    "8, 16, 55, 100 µm": {"grid": [sk.pp.SquareGrid(size) for size in (8, 16, 55, 100)], "mask": None},
}


def write(path: Path, n: int, kind: str) -> None:
    """Write molecules in the order in which an instrument writes them: field by field."""
    rng = np.random.default_rng(0)
    side = np.sqrt(n / 0.55)
    names = np.array([f"GENE{i}" for i in range(N_GENES)] + [f"NegControlProbe_{i:05d}" for i in range(N_CONTROLS)])
    rate = rng.dirichlet(np.r_[np.full(N_GENES, 0.5), np.full(N_CONTROLS, 0.01)])
    width = int(side // 12) + 1
    words = pa.dictionary(pa.int32(), pa.string())
    text = pa.string() if kind.startswith("text") else words
    schema = pa.schema([("x_location", pa.float32()), ("y_location", pa.float32()), ("feature_name", text)])
    schema = schema.append(pa.field("qv", pa.float32()))
    schema = schema.append(pa.field("cell_id", pa.string())) if "cells" in kind else schema
    part = path.with_suffix(".part")
    with pq.ParquetWriter(part, schema) as writer:
        for start in range(0, n, GROUP):
            m = min(GROUP, n - start)
            x, y = rng.uniform(0, side, m), side * (start + m * rng.random(m)) / n
            order = np.argsort(x // 200 * 1e6 + y // 200, kind="stable")
            x, y = x[order].astype(np.float32), y[order].astype(np.float32)
            gene = pa.DictionaryArray.from_arrays(rng.choice(len(names), m, p=rate).astype(np.int32), names)
            columns = [x, y, gene.cast(text) if kind.startswith("text") else gene]
            columns.append(rng.choice(np.arange(5, 41), m).astype(np.float32))
            if "cells" in kind:
                number = (y // 12).astype(int) * width + (x // 12).astype(int)
                cell = np.char.mod("%08x-1", number).astype(object)
                cell[rng.random(m) < 0.2] = "UNASSIGNED"
                columns.append(pa.array(cell, pa.string()))
            writer.write_table(pa.table(columns, schema=schema), row_group_size=GROUP)
    part.replace(path)


def measure(runs: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Return the median time of every run; they alternate, after a first time."""
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(repeats + 1):
        for run, seen in zip(runs, times, strict=True):
            start = time.perf_counter()
            run()
            seen.append(time.perf_counter() - start)
    return [statistics.median(seen[1:]) for seen in times]


def peak() -> float:
    """Return the largest memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def size_of(result: object) -> float:
    """Return the size of one or more tables in MB."""
    tables = result if isinstance(result, list) else [result]
    parts = [(t.X.data, t.X.indices, t.X.indptr, *t.obsm.values()) for t in tables]
    rows = sum(int(t.obs.memory_usage(deep=True).sum()) for t in tables)
    return (sum(part.nbytes for found in parts for part in found) + rows) / 2**20


def child(job: str, path: Path, repeats: int) -> dict[str, float]:
    """Measure one job in this process: memory first, while nothing has been read yet."""

    def run(file: Path = path) -> object:
        return sk.pp.bin(file, show_progress=False, **JOBS[job])

    small = path.with_name(f"{path.stem.rsplit('_', 1)[0]}_{WARM}.parquet")
    run(small)  # compiles the kernels
    before = peak()
    size = size_of(run())
    above = max(peak() - before - size, 0.0)
    read, seconds = measure([lambda: pq.read_table(path), run], repeats)
    return {"read": read, "seconds": seconds, "size_mb": size, "above_mb": above}


def stages(job: str, path: Path) -> dict[str, float]:
    """Return the seconds of every stage of one job, with one thread."""
    count._MOST_THREADS = 1
    sk.pp.bin(path, show_progress=False, **JOBS[job])
    profile = cProfile.Profile()
    profile.runcall(sk.pp.bin, path, show_progress=False, **JOBS[job])
    found = dict.fromkeys([*STAGES, "rest"], 0.0)
    for (file, _, name), (_, _, own, total, _) in pstats.Stats(profile).stats.items():
        if "stfmkit" in file and name in PLACES:
            found[PLACES[name]] += total if name in WHOLE else own
    everything = pstats.Stats(profile).total_tt
    return {**found, "rest": everything - sum(found.values())}


def in_process(what: str, path: Path, repeats: int, *more: str) -> dict[str, float]:
    """Measure one thing in a new process."""
    command = [sys.executable, __file__, "--child", what, "--repeats", str(repeats), "--folder", str(path), *more]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)  # noqa: S603
    return json.loads(done.stdout.splitlines()[-1])


def against_aggregate(folder: Path, repeats: int) -> None:
    """Bin 200 000 molecules into squares with both, compare the counts, then the times per molecule."""
    path = folder / "aggregate.parquet"
    write(path, SMALL, "dictionary")
    frame = pq.read_table(path).to_pandas()
    frame = frame[(frame["qv"] >= 20) & ~frame["feature_name"].str.startswith("Neg")].reset_index(drop=True)
    frame["feature_name"] = frame["feature_name"].cat.remove_unused_categories()
    points = PointsModel.parse(frame.rename(columns={"x_location": "x", "y_location": "y", "feature_name": "gene"}))
    options = {"mask": None, "show_progress": False}
    binned = sk.pp.bin(path, sk.pp.SquareGrid(50.0, origin=(0.0, 0.0)), **options)
    x, y = binned.obsm["spatial"].T
    shapes = ShapesModel.parse(gpd.GeoDataFrame(geometry=shapely.box(x - 25, y - 25, x + 25, y + 25)))

    def join() -> object:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return aggregate(
                values_sdata=SpatialData(points={"m": points}),
                values="m",
                by=shapes,
                value_key="gene",
                agg_func="count",
            )

    table = next(iter(join().tables.values()))
    counts = table.to_df().set_axis(table.obs["instance_id"], axis=0).loc[np.arange(len(shapes))]
    counts = counts.reindex(columns=binned.var_names, fill_value=0)  # genes of which no molecule is good enough
    different = np.abs(counts.to_numpy() - binned.X.toarray()).sum()
    theirs, ours = measure([join, lambda: sk.pp.bin(path, sk.pp.SquareGrid(50.0), **options)], max(1, repeats // 2))
    print(f"\nspatialdata.aggregate, {len(frame)} molecules, {len(shapes)} squares; counts that differ: {different:g}")
    print(f"  aggregate {theirs / len(frame) * 1e9:10.0f} ns per molecule ({theirs:.2f} s)")
    ratio = theirs / len(frame) * SMALL / ours
    print(f"  sk.pp.bin {ours / SMALL * 1e9:10.0f} ns per molecule ({ours:.4f} s), {ratio:.0f} × faster")


def main() -> None:
    """Print the table of times, ratios and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--molecules", nargs="+", type=float, default=[1e6, 5e6, 20e6])
    parser.add_argument("--kinds", nargs="+", choices=list(COLUMNS), default=list(COLUMNS))
    parser.add_argument("--jobs", nargs="+", choices=list(JOBS), default=list(JOBS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--child")
    args = parser.parse_args()
    if args.child:
        found = stages(args.child, args.folder) if args.profile else child(args.child, args.folder, args.repeats)
        print(json.dumps(found))
        return
    folder = args.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{len(os.sched_getaffinity(0))} cores, files in {folder}")
    against_aggregate(folder, args.repeats)
    print("\n{:>10} {:18} {:24} {:>8} {:>8} {:>6} {:>8} {:>9} {:>9}".format(*TITLES))
    for size in map(int, args.molecules):
        for kind in args.kinds:
            for n in (WARM, size):
                path = folder / f"{kind.replace('+', '_')}_{n}.parquet"
                if not path.exists():
                    write(path, n, kind)
            for job in args.jobs:
                found = in_process(job, path, args.repeats)
                seconds = found["seconds"]
                print(
                    f"{size:>10} {kind:18} {job:24} {found['read']:8.3f} {seconds:8.3f} "
                    f"{seconds / found['read']:6.2f} {seconds / size * 1e9:8.1f} {found['size_mb']:9.0f} "
                    f"{found['above_mb']:9.0f}",
                    flush=True,
                )
                if args.profile:
                    took = in_process(job, path, 1, "--profile")
                    whole = sum(took.values())
                    shares = ", ".join(f"{stage} {seconds / whole:.0%}" for stage, seconds in took.items())
                    print(f"{'':10} one thread {whole:.3f} s: {shares}", flush=True)


if __name__ == "__main__":
    main()
