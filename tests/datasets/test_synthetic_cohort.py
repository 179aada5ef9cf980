"""The public function: what it returns, that it repeats, and what it refuses."""

import inspect
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

import stfmkit as sk
from stfmkit._core.errors import InputError, InputTypeError


def same(a: AnnData, b: AnnData) -> bool:
    return (
        a.obs_names.equals(b.obs_names)
        and (a.X != b.X).nnz == 0
        and all(np.array_equal(a.obsm[k], b.obsm[k]) for k in a.obsm)
        and np.array_equal(a.layers["noise_free"], b.layers["noise_free"])
        and all(a.obs[k].astype(object).equals(b.obs[k].astype(object)) for k in a.obs)
    )


def test_table_follows_the_contract(cells: AnnData) -> None:
    assert sparse.issparse(cells.X)
    assert cells.X.dtype == np.float32
    assert (cells.X.data == np.rint(cells.X.data)).all()
    assert (cells.X.data > 0).all()
    for key in ("patient", "sample", "niche", "cell_type", "panel"):
        assert isinstance(cells.obs[key].dtype, pd.CategoricalDtype)
        assert cells.obs[key].notna().all()
    assert cells.obs["sample"].cat.categories.tolist() == ["P01_S1", "P02_S1"]
    assert cells.obs_names.is_unique
    assert cells.obs["cell_id"].tolist() == cells.obs_names.tolist()
    assert cells.obsm["spatial"].shape == (cells.n_obs, 2)
    assert cells.uns["stfmkit"] == {"microns_per_unit": 1.0}
    assert not cells.var_names.str.startswith("NegControl").any()
    assert cells.layers["noise_free"].dtype == np.float32
    assert cells.obsm["program_activity"].dtype == np.float32
    assert cells.var["in_panel_1"].all()


def test_samples_have_overlapping_frames(cells: AnnData) -> None:
    for sample in cells.obs["sample"].cat.categories:
        xy = cells.obsm["spatial"][cells.obs["sample"] == sample]
        assert xy.min() > 0
        assert xy.max() < 300
        assert xy.min(axis=0).max() < 60


def test_same_seed_same_bits(cells: AnnData, small: dict) -> None:
    assert same(cells, sk.datasets.synthetic_cohort(**small, as_="anndata", rng=0))
    assert not same(cells, sk.datasets.synthetic_cohort(**small, as_="anndata", rng=1))


def test_both_forms_hold_the_same_table(cells: AnnData, tissue: object) -> None:
    assert same(cells, tissue.tables["cells"])


def test_a_larger_cohort_holds_the_smaller_one(cells: AnnData, small: dict) -> None:
    more = sk.datasets.synthetic_cohort(**{**small, "n_patients": 3, "n_sections": 2}, as_="anndata")
    assert more.obs["sample"].nunique() == 6
    assert same(cells, more[more.obs["sample"].isin(["P01_S1", "P02_S1"])])


def test_sections_of_one_patient_differ(small: dict) -> None:
    pair = sk.datasets.synthetic_cohort(**{**small, "n_patients": 1, "n_sections": 2}, as_="anndata")
    first, second = (pair[pair.obs["sample"] == s] for s in ("P01_S1", "P01_S2"))
    assert not np.array_equal(first.obsm["spatial"][:50], second.obsm["spatial"][:50])
    assert (pair.obs["patient"] == "P01").all()


def test_generators_move_on_and_none_takes_entropy(small: dict) -> None:
    rng = np.random.default_rng(3)
    first, second = (sk.datasets.synthetic_cohort(**small, as_="anndata", rng=rng) for _ in range(2))
    again = sk.datasets.synthetic_cohort(**small, as_="anndata", rng=np.random.default_rng(3))
    assert same(first, again)
    assert not same(first, second)
    free = [sk.datasets.synthetic_cohort(**small, as_="anndata", rng=None).uns["synthetic_cohort"] for _ in range(2)]
    assert free[0]["seed"] != free[1]["seed"]


def test_the_global_generator_is_left_alone(small: dict) -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    sk.datasets.synthetic_cohort(**small, as_="anndata")
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_the_table_alone_loads_no_spatialdata() -> None:
    code = (
        "import sys, stfmkit as sk; assert 'numpy' not in sys.modules; sk.datasets.synthetic_cohort;"
        "sk.datasets.synthetic_cohort(1, 1, 20, size=200, as_='anndata');"
        "print(sorted({'spatialdata', 'squidpy', 'scanpy', 'torch', 'matplotlib.pyplot'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_signature() -> None:
    parameters = inspect.signature(sk.datasets.synthetic_cohort).parameters.values()
    by_place = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert by_place == ["n_patients", "n_sections", "n_genes"]


@pytest.mark.parametrize(
    ("wrong", "kind", "words"),
    [
        ({"n_patients": 0}, InputError, "n_patients=0"),
        ({"n_sections": 1.5}, InputError, "n_sections=1.5"),
        ({"n_genes": 19}, InputError, "20"),
        ({"n_patients": "6"}, InputTypeError, "n_patients='6'"),
        ({"n_niches": 1}, InputError, "n_niches=1"),
        ({"n_cell_types": 1}, InputError, "n_cell_types=1"),
        ({"n_controls": -1}, InputError, "n_controls=-1"),
        ({"size": 0}, InputError, "size=0"),
        ({"size": float("nan")}, InputError, "size=nan"),
        ({"size": 100}, InputError, "raise size or cell_density"),
        ({"cell_density": -5}, InputError, "cell_density"),
        ({"counts_per_cell": float("inf")}, InputError, "counts_per_cell"),
        ({"patient_effect": -0.1}, InputError, "patient_effect=-0.1"),
        ({"patient_effect": float("nan")}, InputError, "patient_effect=nan"),
        ({"depth_sigma": 9}, InputError, "depth_sigma=9"),
        ({"depth_sigma": "big"}, InputTypeError, "depth_sigma='big'"),
        ({"dropout": 1}, InputError, "dropout=1"),
        ({"dropout": 1.2}, InputError, "dropout=1.2"),
        ({"n_panels": 3, "n_patients": 2}, InputError, "one panel for each patient"),
        ({"n_panels": 0}, InputError, "n_panels=0"),
        ({"as_": "AnnData"}, InputError, "Did you mean 'anndata'"),
        ({"image": "yes"}, InputTypeError, "image='yes'"),
        ({"polygons": None}, InputTypeError, "polygons=None"),
        ({"rng": -1}, InputError, "rng=-1"),
    ],
)
def test_wrong_arguments_are_refused(wrong: dict, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind) as caught:
        sk.datasets.synthetic_cohort(**{"as_": "anndata", **wrong})
    assert words in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize("seed", range(4))
def test_every_corner_of_the_arguments_can_be_made(seed: int) -> None:
    rng = np.random.default_rng(seed)
    config = {
        "n_patients": int(rng.integers(1, 4)),
        "n_genes": int(rng.integers(20, 90)),
        "n_niches": int(rng.integers(2, 9)),
        "n_cell_types": int(rng.integers(2, 12)),
        "cell_density": float(rng.uniform(800, 8000)),
        "size": float(rng.uniform(280, 400)),
        "depth_sigma": float(rng.choice([0, 1.5])),
        "patient_effect": float(rng.choice([0, 0.5])),
        "dropout": float(rng.choice([0, 0.6])),
        "counts_per_cell": float(rng.choice([2, 200])),
    }
    data = sk.datasets.synthetic_cohort(**config, rng=seed, show_progress=False)
    table = data.tables["cells"]
    assert table.obs["sample"].nunique() == config["n_patients"]
    assert (np.diff(table.X.indptr) > 0).all()
    assert np.isfinite(table.layers["noise_free"]).all()
    assert len(data.images) == config["n_patients"]
