"""``stfmkit demo``: the whole job on a made-up cohort."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stfmkit.cli._failures import plain_failures
from stfmkit.cli._judge import KEPT, judge
from stfmkit.cli._output import write_with
from stfmkit.cli._show import say

if TYPE_CHECKING:
    from anndata import AnnData

EXAMPLES = """
**Examples**

```
stfmkit demo --out stfmkit-demo
stfmkit demo --out stfmkit-quick --quick
```

Then the same on a file, as you would with your own data:

```
stfmkit bench stfmkit-demo/spots.h5ad --patient-key patient \\
    --sample-key sample --label-key niche \\
    --models hvg_pca,coordinates --out my-results
```
"""

MODELS = (
    "library_size",
    "coordinates",
    "random",
    "random_smooth",
    "hvg_pca",
    "neighbor_pca",
    "celltype_composition",
)
UNTRAINED = "geneformer-v1"
"""The network whose untrained twin joins where torch is installed: what training has to beat."""
UNTRAINED_SIZES = {"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 128}
"""Small, so that the demo takes minutes; the published sizes are the default elsewhere."""
QUICK_MODELS = ("library_size", "coordinates", "hvg_pca")
_FULL: dict[str, Any] = {"n_patients": 6, "n_genes": 300}
_QUICK: dict[str, Any] = {"n_patients": 4, "n_genes": 120}


def demo(
    *,
    out: Annotated[Path, typer.Option(help="Folder for results and report; new, or of an earlier `demo`.")],
    seed: Annotated[int, typer.Option(help="Seed of the cohort and of everything else.", min=0)] = 0,
    quick: Annotated[
        bool, typer.Option("--quick", help="A smaller cohort and three models, in about a minute.")
    ] = False,
    jobs: Annotated[int, typer.Option(help="Worker processes.", min=1)] = 1,
) -> None:
    """Compare the baselines on a made-up cohort: molecules, spots, models, tasks, report.

    A seeded simulator makes a tissue of several patients with known truth; its molecules are binned into
    Visium-like spots; every baseline is judged on patients that were held out. Takes minutes on two cores.
    """
    with plain_failures(kept=KEPT):
        spots = make_spots(seed=seed, **(_QUICK if quick else _FULL))
        say(f"3/3  Judging representations of {spots.n_obs} spots on held-out patients …")
        judge(
            spots,
            models=contenders(quick=quick),
            protocol=make_protocol(seed=seed, quick=quick),
            out=out,
            title="stfmkit demo: baselines on a made-up cohort",
            jobs=jobs,
        )
        write_with(out / "spots.h5ad", spots.write_h5ad)
        say(f"Spots:  {out / 'spots.h5ad'}, to try `stfmkit bench` on")


def contenders(*, quick: bool) -> dict[str, Any]:
    """Return the models of the demo: baselines, and an untrained network where torch is installed."""
    from stfmkit import models

    chosen: dict[str, Any] = {name: name for name in (QUICK_MODELS if quick else MODELS)}
    if quick:
        return chosen
    if UNTRAINED in set(models.list_models(runnable=True)["name"]):
        chosen[f"{UNTRAINED} (untrained)"] = (UNTRAINED, {"weights": "random", "config": UNTRAINED_SIZES})
    else:
        say(f"     The untrained {UNTRAINED} is left out: it needs pip install 'stfmkit[torch]'.")
    return chosen


def make_spots(*, seed: int, n_patients: int, n_genes: int) -> "AnnData":
    """Return the binned spots of a made-up cohort."""
    from stfmkit import datasets, pp

    say(f"1/3  Making a cohort of {n_patients} patients and {n_genes} genes …")
    cohort = datasets.synthetic_cohort(n_patients, n_genes=n_genes, as_="spatialdata", image=False, rng=seed)
    say("2/3  Binning its molecules into spots …")
    return pp.xisium(cohort, sample_key="sample", carry=("niche", "cell_type", "patient"))


def make_protocol(*, seed: int, quick: bool) -> Any:
    """Return the protocol of the demo."""
    from stfmkit import bm, pp

    size = _QUICK if quick else _FULL
    return bm.Protocol(
        patient_key="patient",
        sample_key="sample",
        label_key="niche",
        celltype_key="cell_type_share",
        n_target_genes=size["n_genes"] // 4,
        split=pp.PatientKFold(min(5, size["n_patients"])),
        rng=seed,
    )
