"""Do the whole job on a made-up cohort."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from stfmkit._core.errors import StfmkitWarning
from stfmkit._core.progress import step
from stfmkit.service._fields import AnyPath, NJobs, Rng
from stfmkit.service._output import write_table, write_with
from stfmkit.service._request import Request
from stfmkit.service._response import Response, Verdict
from stfmkit.service.bench import compare, kept_in

if TYPE_CHECKING:
    from anndata import AnnData

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


class DemoRequest(Request):
    """The folder for results, and the size."""

    EXAMPLE: ClassVar[dict[str, Any]] = {"out": "stfmkit-demo", "quick": True}

    command: Literal["demo"] = "demo"
    out: AnyPath = Field(description="Folder for results and report; new, or of an earlier `demo`.")
    quick: bool = Field(default=False, description="A smaller cohort and three models, in about a minute.")
    rng: Rng = 0
    n_jobs: NJobs = 1

    def kept(self) -> str:
        """Return what there is after the work was stopped."""
        return kept_in(self.out)


class DemoResponse(Response, Verdict):
    """Where results, report and spots are, and what the results say."""

    command: Literal["demo"] = "demo"
    status: Literal["done"] = "done"
    out: Path
    table: Path
    report: Path
    spots: Path


def run(request: DemoRequest) -> DemoResponse:
    """Compare the baselines on a made-up cohort: molecules, spots, models, tasks, report.

    A seeded simulator makes a tissue of several patients with known truth; its molecules are binned into
    Visium-like spots; every baseline is judged on patients that were held out. Takes minutes on two cores.
    """
    size = _QUICK if request.quick else _FULL
    spots = make_spots(rng=request.rng, **size)
    compared = compare(
        spots,
        contenders=contenders(quick=request.quick),
        protocol=make_protocol(rng=request.rng, **size),
        out=request.out,
        title="stfmkit demo: baselines on a made-up cohort",
        n_jobs=request.n_jobs,
    )
    file = request.out / "spots.h5ad"
    write_with(file, write_table(spots))
    return DemoResponse(**compared, spots=file)


def contenders(*, quick: bool) -> dict[str, Any]:
    """Return the contenders of the demo: baselines, and an untrained network where torch is installed."""
    from stfmkit import models

    chosen: dict[str, Any] = {name: name for name in (QUICK_MODELS if quick else MODELS)}
    if quick:
        return chosen
    if UNTRAINED in set(models.list_models(runnable=True)["name"]):
        chosen[f"{UNTRAINED} (untrained)"] = (UNTRAINED, {"weights": "random", "config": UNTRAINED_SIZES})
    else:
        warnings.warn(
            f"the untrained {UNTRAINED} is left out: it needs pip install 'stfmkit[torch]'.",
            StfmkitWarning,
            stacklevel=2,
        )
    return chosen


def make_spots(*, rng: int, n_patients: int, n_genes: int) -> "AnnData":
    """Return the binned spots of a made-up cohort."""
    from stfmkit import datasets, pp

    with step(f"Making a cohort of {n_patients} patients and {n_genes} genes"):
        cohort = datasets.synthetic_cohort(n_patients, n_genes=n_genes, as_="spatialdata", image=False, rng=rng)
    with step("Binning its molecules into spots"):
        return pp.xisium(cohort, sample_key="sample", carry=("niche", "cell_type", "patient"))


def make_protocol(*, rng: int, n_patients: int, n_genes: int) -> Any:
    """Return the protocol of the demo."""
    from stfmkit import bm, pp

    return bm.Protocol(
        patient_key="patient",
        sample_key="sample",
        label_key="niche",
        celltype_key="cell_type_share",
        n_target_genes=n_genes // 4,
        split=pp.PatientKFold(min(5, n_patients)),
        rng=rng,
    )
