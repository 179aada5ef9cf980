"""Time networks against the loops of their originals with the same random weights, results compared for equality first.

Usage: python benchmarks/bench_networks.py --originals FOLDER --python PYTHON MODEL [MODEL ...]

FOLDER holds a checkout of every original under the name of the model: geneformer (a copy of ctheodoris/Geneformer),
scgpt (bowang-lab/scGPT), nicheformer (theislab/nicheformer), uce (snap-stanford/UCE), scfoundation
(biomap-research/scFoundation), transcriptformer (the unpacked wheel), scimilarity (Genentech/scimilarity), cellplm
(OmicsML/CellPLM), sccello (DeepGraphLearning/scCello), cellama (portrai-io/CELLama), scgpt-spatial
(bowang-lab/scGPT-spatial), stformer (csh3/stFormer) and stofm (PharMolix/SToFM). PYTHON runs the originals and has what
they import; stfmkit need not be there. stofm clusters the observations that it embeds and cuts them into tiles: ask for
more of them (`--embedded 500`). transcriptformer compiles its attention, for which torch calls a C++ compiler; the
comparison of vectors does so before anything is timed.

Both sides run in processes of their own on the CPU and take turns, so that a busy machine slows both; the medians are
compared. `--threads` holds for torch on both sides; our kernels that make tokens, and the data loader of scGPT, use all
cores of the process all the same (`taskset` makes them fewer). Tokens: from the table (its file, where the original
reads a file) to what its network takes. Vectors: the same, with loading the weights and the network. Vectors are
compared on observations whose counts are all different, where no rule about ties enters; the timed counts are small
whole numbers, as real ones. Memory is the highest of the process during a run, beyond what it held once its libraries
were imported.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[0] / "tests" / "models" / "zoo")]
from _cases import gene_ids, synthetic_counts  # noqa: E402 - the folders of the tests come first on the path
from _models_serve import serve  # noqa: E402

TOLERANCE = 1e-5
ENSEMBL = ("geneformer", "nicheformer", "transcriptformer", "cellplm", "sccello", "stofm")
DENSE = ("scimilarity", "cellplm")
"""Models whose cost does not grow with the square of the genes: they embed all observations."""
SPATIAL = ("stformer", "stofm")
"""Models that read coordinates."""
EXACT = ("uce", "stofm")
"""Models that differ from their original on purpose, unless told not to."""
NAMES = {"geneformer": "geneformer-v1"}
FOLDERS = {"geneformer": "Geneformer-V1-10M"}
OPTIONS: dict[str, dict[str, Any]] = {
    "geneformer": {"emb_mode": "cell"},
    "scgpt": {"rng": 0},
    "scgpt-spatial": {"rng": 0},
    "nicheformer": {"modality": "spatial", "species": "human", "technology": "xenium"},
    "uce": {"species": "human", "rng": 0},
    "transcriptformer": {"assay": "unknown"},
    "scimilarity": {"min_genes": 10},
}


def tables(folder: Path, genes: list[str], *, n_obs: int, n_few: int, n_genes: int, spatial: bool) -> None:
    """Write the table that is tokenised, the one that is embedded, and the one on which vectors are compared."""
    draw = np.random.default_rng(0)
    rate = draw.gamma(0.4, 1.0, n_genes) * 0.75
    counts = draw.poisson(rate * draw.lognormal(0, 0.4, (n_obs, 1))).astype(np.float32)
    counts[:, 0] += 1
    names = draw.choice(genes, size=n_genes, replace=False)
    obs = pd.DataFrame(index=[f"cell{i}" for i in range(n_obs)])
    many = AnnData(sparse.csr_matrix(counts), obs=obs, var=pd.DataFrame(index=names))
    few = many[:n_few].copy()
    equal = synthetic_counts(list(names[: min(1000, n_genes)]), n_obs=64 if spatial else 8, seed=1)
    for cells in (many, few, equal):
        cells.obsm["spatial"] = draw.uniform(0, 10 * cells.n_obs**0.5, (cells.n_obs, 2))  # µm, as in dense tissue
        if not spatial:
            del cells.obsm["spatial"]
    folder.mkdir()
    many.write_h5ad(folder / "many.h5ad")
    few.write_h5ad(folder / "few.h5ad")
    equal.write_h5ad(folder / "equal.h5ad")


class Ours:
    """The same steps through stfmkit."""

    def __init__(self, name: str, folder: Path) -> None:
        from stfmkit.models import load_model

        self.name, self.options = NAMES.get(name, name), OPTIONS.get(name, {})
        self.folder = folder / FOLDERS.get(name, "")
        if name == "uce":
            n = len((folder / "genes.txt").read_text().split())
            self.options |= {"chrom_token_offset": 4 + 2 * n}
        self.tables = folder / "tables"
        self.model = load_model(self.name, weights=str(self.folder), **self.options)

    def open(self, case: str) -> AnnData:
        """Return what a run takes."""
        import anndata as ad

        return ad.read_h5ad(self.tables / f"{case}.h5ad")

    def tokens(self, cells: AnnData) -> Any:
        """Check the table and tokenise."""
        from stfmkit.models.open_block import open_block

        return self.model.prepare(open_block(cells, self.model.requirements(), model=self.name))

    def embed(self, cells: AnnData, **more: Any) -> np.ndarray:
        """Load, tokenise and embed through the public verb."""
        import stfmkit as sk

        options = {"weights": self.folder, "show_progress": False, "copy": True, **self.options, **more}
        return sk.tl.embed(cells, self.name, **options)

    def check(self, cells: AnnData) -> np.ndarray:
        """Embed as the original does, where the default differs on purpose."""
        return self.embed(cells, **({"exact": True} if self.name in EXACT else {}))


class Side:
    """A process that answers."""

    def __init__(self, command: list[str], *, threads: int, log: Path) -> None:
        count = str(threads)
        env = os.environ | {f"{name}_NUM_THREADS": count for name in ("OMP", "MKL", "OPENBLAS", "NUMBA")}
        self.log = log
        with log.open("w") as errors:
            self.process = subprocess.Popen(  # noqa: S603 - our own scripts
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=env
            )
        self.answer()

    def answer(self) -> dict[str, float]:
        """Return the next answer."""
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            raise SystemExit(f"{self.log} ends with:\n{self.log.read_text()[-3000:]}")
        return json.loads(line)

    def ask(self, do: str, case: str, save: str | None = None) -> dict[str, float]:
        """Run something there."""
        self.process.stdin.write(json.dumps({"do": do, "case": case, "save": save}) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def turns(ours: Side, theirs: Side, *, do: str, case: str, repeats: int) -> dict[str, float]:
    """Run both in turn; return the median seconds, the ratio and the highest memory of each."""
    found = [(ours.ask(do, case), theirs.ask(do, case)) for _ in range(repeats)]
    one, two = (median(pair[side]["seconds"] for pair in found) for side in (0, 1))
    memory = [max(pair[side]["peak_mb"] for pair in found) for side in (0, 1)]
    return {"stfmkit_s": one, "original_s": two, "ratio": two / one, "stfmkit_MB": memory[0], "original_MB": memory[1]}


def compare(name: str, folder: Path, given: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the rows of one model."""
    genes = gene_ids(given.vocabulary) if name in ENSEMBL else [f"GENE{i:05d}" for i in range(given.vocabulary)]
    folder.mkdir(parents=True)
    (folder / "genes.txt").write_text("\n".join(genes))
    tables(
        folder / "tables", genes, n_obs=given.spots, n_few=given.embedded, n_genes=given.genes, spatial=name in SPATIAL
    )
    sizes = {"width": given.width, "layers": given.layers, "heads": given.heads, "batch": given.batch}
    sizes |= {"wide": -(-given.width // 40) * 40, "threads": given.threads}  # of UCE, with its 20 heads
    script = [given.python, str(HERE / "_models_originals_more.py"), name, str(given.originals / name), str(folder)]
    theirs = Side([*script, json.dumps(sizes)], threads=given.threads, log=folder / "original.log")
    command = [sys.executable, __file__, "--child", str(folder), name]
    ours = Side(command, threads=given.threads, log=folder / "stfmkit.log")
    ours.ask("check", "equal", "ours.npy")
    theirs.ask("embed", "equal", "theirs.npy")
    one, two = (np.load(folder / f"{side}.npy") for side in ("ours", "theirs"))
    scale = max(1.0, float(np.abs(two).max()))
    difference = float(np.abs(one - two.reshape(one.shape)).max()) / scale
    if not difference <= TOLERANCE:
        raise SystemExit(f"{name}: the vectors differ by {difference:.3g} of {scale:.3g}")
    turns(ours, theirs, do="tokens", case="equal", repeats=1)
    rows = [{"model": name, "work": f"tokens of {given.spots}"}]
    rows[0] |= turns(ours, theirs, do="tokens", case="many", repeats=given.repeats)
    n_few, case = (given.spots, "many") if name in DENSE else (given.embedded, "few")
    rows.append({"model": name, "work": f"vectors of {n_few}", "difference": difference})
    rows[1] |= turns(ours, theirs, do="embed", case=case, repeats=given.repeats)
    ours.close()
    theirs.close()
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--originals", type=Path, help="folder with a checkout of every original")
    parser.add_argument("--python", default=sys.executable, help="interpreter of the originals")
    parser.add_argument("--spots", type=int, default=2000)
    parser.add_argument("--embedded", type=int, default=64)
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument("--vocabulary", type=int, default=20_000, help="genes that the models know")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--batch", type=int, default=32, help="observations in a batch of the originals that take one")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="folder for files and logs")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        warnings.simplefilter("ignore")
        import torch

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        serve(Ours(given.models[0], given.child), given.child)
        return
    place = Path(tempfile.mkdtemp(dir=given.folder))
    for name in given.models:
        rows = compare(name, place / name, given)
        print(pd.DataFrame(rows).to_string(index=False, float_format=lambda v: f"{v:.3g}"), flush=True)


if __name__ == "__main__":
    main()
