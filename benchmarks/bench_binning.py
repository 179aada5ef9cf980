"""Binning against reading the same columns with pyarrow, and against `spatialdata.aggregate`.

Usage: python benchmarks/bench_binning.py [--sizes 1e6 5e6 20e6] [--repeats 5] [--folder FOLDER]

Made-up molecules of a Xenium run (0.55 per µm², 480 genes, 20 controls, cells of 12 µm) are written once to FOLDER. The
two results are compared for equality first. Every measurement runs in a process of its own, of which the peak memory is
reported; times are medians over the repeats, after one warm-up.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from spatialdata import SpatialData, aggregate
from spatialdata.models import PointsModel, ShapesModel

import stfmkit as sk

TITLES = ("molecules", "columns", "job", "read s", "bin s", "ratio", "ns each", "peak MB")
SMALL, GROUP, N_GENES, N_CONTROLS = 200_000, 1 << 20, 480, 20
PLAIN = ["x_location", "y_location", "feature_name", "qv"]
COLUMNS = {"dictionary": PLAIN, "dictionary+cells": [*PLAIN, "cell_id"], "text+cells": [*PLAIN, "cell_id"]}
VISIUM = {"shape": "hex", "pitch": 100.0, "spot_diameter": 55.0}
JOBS = {
    "xisium": VISIUM,
    "xisium, no mask": {**VISIUM, "mask": None},
    "8 µm squares, no mask": {"shape": "square", "pitch": 8.0, "mask": None},
    "8, 16, 55, 100 µm": {"shape": "square", "resolutions": [8, 16, 55, 100], "mask": None},
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


def measure(run: Callable[[], object], repeats: int) -> dict[str, float]:
    """Return the median time of some runs after a first one, and the peak memory of this process in MB."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": statistics.median(times[1:]), "peak_mb": peak}


def child(what: str, path: Path, repeats: int) -> dict[str, float]:
    """Measure one thing in this process."""
    if what == "read":
        return measure(lambda: pq.read_table(path), repeats)
    return measure(lambda: sk.pp.bin(path, show_progress=False, **JOBS[what]), repeats)


def in_process(what: str, path: Path, repeats: int) -> dict[str, float]:
    """Measure one thing in a new process."""
    command = [sys.executable, __file__, "--child", what, "--repeats", str(repeats), "--folder", str(path)]
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
    options = {"shape": "square", "pitch": 50.0, "mask": None, "show_progress": False}
    binned = sk.pp.bin(path, **options, origin=(0.0, 0.0))
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
    theirs = measure(join, max(1, repeats // 2))["seconds"]
    ours = measure(lambda: sk.pp.bin(path, **options), repeats)["seconds"]
    print(f"\nspatialdata.aggregate, {len(frame)} molecules, {len(shapes)} squares; counts that differ: {different:g}")
    print(f"  aggregate {theirs / len(frame) * 1e9:10.0f} ns per molecule ({theirs:.2f} s)")
    ratio = theirs / len(frame) * SMALL / ours
    print(f"  sk.pp.bin {ours / SMALL * 1e9:10.0f} ns per molecule ({ours:.4f} s), {ratio:.0f} × faster")


def main() -> None:
    """Print the table of times, ratios and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", type=float, default=[1e6, 5e6, 20e6])
    parser.add_argument("--kinds", nargs="+", choices=list(COLUMNS), default=list(COLUMNS))
    parser.add_argument("--jobs", nargs="+", choices=list(JOBS), default=list(JOBS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--child")
    args = parser.parse_args()
    if args.child:
        print(json.dumps(child(args.child, args.folder, args.repeats)))
        return
    folder = args.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{len(os.sched_getaffinity(0))} cores, files in {folder}")
    print("{:>10} {:18} {:24} {:>8} {:>8} {:>6} {:>8} {:>8}".format(*TITLES))
    for size in map(int, args.sizes):
        for kind in args.kinds:
            path = folder / f"{kind.replace('+', '_')}_{size}.parquet"
            if not path.exists():
                write(path, size, kind)
            read = in_process("read", path, args.repeats)
            for job in args.jobs:
                found = in_process(job, path, args.repeats)
                seconds = found["seconds"]
                print(
                    f"{size:>10} {kind:18} {job:24} {read['seconds']:8.3f} {seconds:8.3f} "
                    f"{seconds / read['seconds']:6.2f} {seconds / size * 1e9:8.1f} {found['peak_mb']:8.0f}",
                    flush=True,
                )
    against_aggregate(folder, args.repeats)


if __name__ == "__main__":
    main()
